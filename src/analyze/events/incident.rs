//! An event as the rules find it, and as earlier runs knew it.

use crate::analyze::Foreign;
use jiff::civil::Date;
use std::net::IpAddr;

/// What kind of event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// Signatures with a key do not verify any more.
    KeyBroken,
    /// SPF does not pass any more for an address.
    SpfLost,
    /// A sender that was not there before.
    SenderNew,
    /// Far more mail than usual that nothing authenticates.
    SpoofWave,
    /// Much less of the known senders' mail passes.
    PassRate,
    /// The published policy is another.
    PolicyChanged,
    /// A DNS record is another.
    DnsChanged,
    /// A reporter sends no reports any more.
    ReporterSilent,
    /// No reports on a domain come any more.
    DomainSilent,
    /// A mailbox cannot be read.
    MailboxFailing,
    /// Something could not be read.
    RejectedNew,
    /// A file of the store is not as it should be.
    StoreDamaged,
}

impl EventKind {
    /// All kinds, in the order in which they are told.
    pub const ALL: [Self; 12] = [
        Self::StoreDamaged,
        Self::MailboxFailing,
        Self::KeyBroken,
        Self::SpfLost,
        Self::PassRate,
        Self::SpoofWave,
        Self::PolicyChanged,
        Self::DnsChanged,
        Self::SenderNew,
        Self::DomainSilent,
        Self::ReporterSilent,
        Self::RejectedNew,
    ];

    /// Its word, in JSON and in the settings.
    pub const fn word(self) -> &'static str {
        match self {
            Self::KeyBroken => "key_broken",
            Self::SpfLost => "spf_lost",
            Self::SenderNew => "sender_new",
            Self::SpoofWave => "spoof_wave",
            Self::PassRate => "pass_rate",
            Self::PolicyChanged => "policy_changed",
            Self::DnsChanged => "dns_changed",
            Self::ReporterSilent => "reporter_silent",
            Self::DomainSilent => "domain_silent",
            Self::MailboxFailing => "mailbox_failing",
            Self::RejectedNew => "rejected_new",
            Self::StoreDamaged => "store_damaged",
        }
    }

    /// The kind of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// How urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventSeverity {
    /// Good to know.
    Info,
    /// Worth a look today.
    Warning,
    /// Mail is lost, or spoofed mail is not stopped.
    Critical,
}

impl EventSeverity {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The severity of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Critical].into_iter().find(|severity| severity.word() == word)
    }
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Its kind.
    pub kind: EventKind,
    /// How urgent it is.
    pub severity: EventSeverity,
    /// The domain it is about; `None` where it is about no single one.
    pub policy_domain: Option<Foreign>,
    /// What else it is about: with kind and domain, what makes two incidents the same.
    pub subject: String,
    /// The addresses it is about, most messages first.
    pub sources: Vec<IpAddr>,
    /// The first day that shows it.
    pub since: Date,
    /// The last day that shows it.
    pub seen: Date,
    /// Messages that show it.
    pub messages: u64,
    /// How many reporters show it.
    pub reporters: u64,
    /// What is told beside.
    pub details: IncidentDetails,
}

/// What is told of an incident of each kind.
#[derive(Debug, Clone, PartialEq)]
pub enum IncidentDetails {
    /// A key.
    Key {
        /// The signing domain.
        dkim_domain: Foreign,
        /// The selector.
        selector: Foreign,
        /// Messages that fail DMARC.
        lost: u64,
    },
    /// Addresses without SPF.
    Spf {
        /// The return path.
        spf_domain: Foreign,
        /// Messages that fail DMARC.
        lost: u64,
    },
    /// A new sender.
    Sender {
        /// What it signs or returns mail as; `None`: SPF authorizes its network.
        name: Option<Foreign>,
        /// Messages that pass DMARC.
        passing: u64,
    },
    /// A wave of spoofing.
    Wave {
        /// Messages that receivers blocked.
        blocked: u64,
        /// How many addresses sent it.
        addresses: u64,
    },
    /// A pass rate, in hundredths.
    Rate {
        /// Of the last days.
        now: f64,
        /// The lowest before.
        lowest: f64,
    },
    /// A policy: tag, value before, value after.
    Policy(Vec<(&'static str, Foreign, Foreign)>),
    /// A DNS record.
    Dns {
        /// Its name and type.
        record: String,
        /// Its text before; `None`: it was not there.
        before: Option<Foreign>,
        /// Its text now; `None`: it is gone.
        after: Option<Foreign>,
        /// How many of the checked domains use it.
        domains: u64,
    },
    /// A reporter or domain that is silent.
    Silent {
        /// The reporter's name; of a domain, none.
        name: Option<Foreign>,
        /// The longest wait for a report before, in days.
        usual: i32,
    },
    /// A mailbox, and why it cannot be read.
    Mailbox {
        /// Its name in the settings.
        name: String,
        /// What went wrong last.
        why: Foreign,
    },
    /// How many items, and why the newest could not be read.
    Rejected(u64, Foreign),
    /// What is wrong with the store.
    Store(String),
}

/// An event that is known from earlier runs.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownEvent {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: EventKind,
    /// Its domain.
    pub policy_domain: Option<String>,
    /// What else it is about.
    pub subject: String,
    /// Its addresses.
    pub sources: Vec<IpAddr>,
    /// The first day that showed it.
    pub since: Date,
    /// The last day that showed it.
    pub seen: Date,
    /// It has ended, and that was told or need not be.
    pub ended: bool,
    /// Of a pass rate, the lowest before it fell.
    pub usual: f64,
}

/// The end of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// The id of its beginning.
    pub id: String,
    /// The first day without it.
    pub day: Date,
    /// How many reporters show that.
    pub reporters: u64,
}
