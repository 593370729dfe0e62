//! Events as the rules find them, and as earlier runs stored them.

use crate::analyze::Foreign;
use jiff::Timestamp;
use jiff::civil::Date;
use std::net::IpAddr;

/// What kind of event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// Signatures with a key no longer verify.
    KeyBroken,
    /// SPF no longer passes for an address.
    SpfLost,
    /// A sender that was not seen before.
    SenderNew,
    /// Far more unauthenticated mail than usual.
    SpoofWave,
    /// Much less of the known senders' mail passes.
    PassRate,
    /// The published policy changed.
    PolicyChanged,
    /// A DNS record changed.
    DnsChanged,
    /// A reporter no longer sends reports.
    ReporterSilent,
    /// There are no more reports about a domain.
    DomainSilent,
    /// A mailbox cannot be read.
    MailboxFailing,
    /// Something could not be read.
    RejectedNew,
    /// A file of the store is damaged.
    StoreDamaged,
}

impl EventKind {
    /// All kinds, in the order in which they are shown.
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

    /// Its name in JSON and in the settings.
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

    /// The kind with this name.
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
    /// Mail is lost, or spoofed mail is not blocked.
    Critical,
}

impl EventSeverity {
    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Its kind.
    pub kind: EventKind,
    /// How urgent it is.
    pub severity: EventSeverity,
    /// The domain it is about; `None` if it is not about a single one.
    pub policy_domain: Option<Foreign>,
    /// What else it is about: kind, domain and subject identify an incident.
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
    /// Details.
    pub details: IncidentDetails,
}

/// The details of each kind of incident.
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
        /// The domain it signs with or uses as return path; `None`: SPF authorizes its network.
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
        /// There may be more of them: there were too many to tell all apart.
        more: bool,
    },
    /// A pass rate, in percent.
    Rate {
        /// In the last days.
        now: f64,
        /// The lowest earlier rate.
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
        /// The reporter's name; `None` for a domain.
        name: Option<Foreign>,
        /// The longest earlier wait for a report, in days.
        usual: i32,
    },
    /// A mailbox, and why it cannot be read.
    Mailbox {
        /// Its name in the settings.
        name: String,
        /// What went wrong last.
        why: Foreign,
        /// When it began: a mailbox may fail several times in a day.
        began: Timestamp,
    },
    /// How many items, and why the newest could not be read.
    Rejected(u64, Foreign),
    /// What is wrong with the store.
    Store(String),
}

/// An event that is known from earlier runs.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownEvent {
    /// Its ID.
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
    /// It has ended, and that was reported or need not be.
    pub ended: bool,
    /// When a run found that.
    pub ended_at: Option<Timestamp>,
    /// For a pass rate, the lowest before it fell.
    pub usual: f64,
}

/// The end of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// The ID of the event.
    pub id: String,
    /// The first day without it.
    pub day: Date,
    /// How many reporters show that.
    pub reporters: u64,
}
