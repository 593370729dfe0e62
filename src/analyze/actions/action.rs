//! An action: what to change, why, how sure that is, since when it is known, and what happened after the change.

use crate::analyze::Foreign;
use crate::analyze::explained_by::ExplainedBy;
use crate::analyze::sums::DayCounts;
use crate::model::{Cause, SourceAddress};
use jiff::civil::Date;
use serde::Serialize;
use std::cmp::Reverse;
use std::net::IpAddr;

/// Hexadecimal digits of an ID: enough that ten thousand actions do not collide.
const DIGITS: usize = 12;
/// Sources that are named.
const SOURCES: usize = 3;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Action {
    /// For which domain.
    pub policy_domain: Foreign,
    /// The change to make.
    #[serde(flatten)]
    pub change: Change,
    /// The cause it repairs.
    pub cause: Cause,
    /// The sources with most messages, at most three.
    pub sources: Vec<IpAddr>,
    /// These and further ones, whose mail shows whether a repair worked.
    #[serde(skip)]
    pub followed: Vec<IpAddr>,
    /// How many addresses there are.
    pub addresses: u64,
    /// Messages that show it, in the period; in the eight weeks for aligning a service or publishing a policy, and before
    /// the period for what no longer failed in it.
    pub messages: u64,
    /// Of them, those that fail DMARC.
    pub failing: u64,
    /// Reporters that saw it.
    pub reporters: u64,
    /// The first day after the last good one; `None` if it never was good, as far as known.
    pub since: Option<Date>,
    /// How sure it is.
    pub confidence: Confidence,
    /// Its ID, since when it is known, whether it is acknowledged.
    #[serde(flatten)]
    pub tracking: Tracking,
    /// The change in DNS that made the mail fail.
    pub explained_by: Option<ExplainedBy>,
    /// What happened after a change in DNS that removes the cause.
    pub repair: Option<Repair>,
    /// The service to set up, as far as there is proof whose mail it is.
    pub service: Option<ServiceHelp>,
}

/// How sure an action is. Anything less sure is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// A before and after, or proof in the results themselves.
    High,
    /// Another explanation is possible.
    Medium,
}

/// A change to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// Publish a stricter policy.
    PublishPolicy {
        /// The name of the TXT record.
        name: Foreign,
        /// The tag to set in it; the others stay as they are.
        tag: &'static str,
        /// Its value in the reports.
        from: Option<Foreign>,
        /// Its new value.
        to: &'static str,
        /// Tags to remove, because they limit the policy to a part of the mail.
        remove: Vec<&'static str>,
    },
    /// Repair the key of a selector, or the signing with it.
    RepairKey {
        /// The signing domain, `d=`.
        dkim_domain: Foreign,
        /// The selector, `s=`.
        selector: Option<Foreign>,
        /// What is wrong with it.
        fault: KeyProblem,
    },
    /// Find what changes the mail after it was signed.
    CheckModification {
        /// The signing domain, `d=`.
        dkim_domain: Foreign,
        /// The selector, `s=`.
        selector: Option<Foreign>,
        /// Reporters say that the body was changed; else the same key verifies from other addresses.
        body: bool,
    },
    /// Let a service sign, or return mail, as the domain.
    AlignSender {
        /// What the service authenticates as.
        organization: Foreign,
        /// It signs with its own domain; else only its return path passes.
        signs: bool,
    },
    /// Let subdomains of the own organization align.
    RelaxAlignment {
        /// The tags of the DMARC record that are to be `r`.
        tags: Vec<&'static str>,
    },
    /// Authorize sources in the SPF record.
    AuthorizeSource {
        /// The domain of the return path.
        spf_domain: Foreign,
        /// What to include, if the addresses belong to a shared service.
        include: Option<&'static str>,
    },
    /// Repair an SPF record that cannot be evaluated.
    RepairSpf {
        /// The domain of the return path.
        spf_domain: Foreign,
    },
    /// Sign mail that passes by SPF alone: forwarding breaks that.
    Sign,
}

/// What is wrong with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyProblem {
    /// It cannot be found or read.
    Missing,
    /// It is not accepted because it is too weak.
    Weak,
    /// Signatures do not match it.
    Mismatch,
}

/// What happened after a change that removes the cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// The day a lookup first saw it.
    pub published: Date,
    /// The day after: from then on mail should pass.
    pub since: Date,
    /// Messages that failed in the seven days before `since`.
    pub failing_before: u64,
    /// Messages from `since` to the end of the period.
    pub messages: u64,
    /// Of them, those that fail DMARC.
    pub failing: u64,
    /// Reporters that saw these messages.
    pub reporters: u64,
    /// Those of them that still see failures, by name.
    pub still_failing: Vec<Foreign>,
    /// What was repaired still does not pass, whether or not the mail passes DMARC in another way.
    #[serde(skip)]
    pub still_broken: bool,
}

/// The repair that a service describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceHelp {
    /// What it is called.
    pub name: Foreign,
    /// The kind of proof that the mail is the service's: 1 a signature or return path of its own that passes, 2 delegation in
    /// DNS. Weaker proof is no ground for advice.
    pub rung: u8,
    /// What to do there.
    pub fix: String,
    /// The page of the service that says so.
    pub help: Option<String>,
}

/// Since when an action is known, and whether it was acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Tracking {
    /// Identifies the action: the same every week and for every user.
    pub id: String,
    /// Whether it is new.
    pub state: ActionState,
    /// The first day it was seen, among those that were read.
    pub first_seen: Option<Date>,
    /// Acknowledged, and the evidence has not grown since: pages leave it out.
    pub folded: bool,
    /// The note of the acknowledgment.
    pub note: Option<Foreign>,
    /// What identifies it beside domain and change.
    #[serde(skip)]
    place: String,
    /// The first day of the last break, and the last day on which most of its mail failed.
    #[serde(skip)]
    pub(super) broke: Option<(i32, i32)>,
    /// It is listed only for its repair: nothing, or too little, fails in the period.
    #[serde(skip)]
    pub(super) ended: bool,
}

/// What identifies an action: the policy domain, what it is about, and where.
pub(super) type ActionIdentity = (String, [String; 2], String);

/// Whether an action is new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    /// It began in the period.
    New,
    /// It began before the period.
    #[default]
    Open,
    /// A change in DNS removed the cause; whether the mail passes since is not proven.
    Published,
    /// The repair worked: several reporters, several days, no failure.
    Fixed,
}

impl ActionState {
    /// Its name in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Open => "open",
            Self::Published => "published",
            Self::Fixed => "fixed",
        }
    }
}

impl Change {
    /// Its name in JSON.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::PublishPolicy { .. } => "publish_policy",
            Self::RepairKey { .. } => "repair_key",
            Self::CheckModification { .. } => "check_modification",
            Self::AlignSender { .. } => "align_sender",
            Self::RelaxAlignment { .. } => "relax_alignment",
            Self::AuthorizeSource { .. } => "authorize_source",
            Self::RepairSpf { .. } => "repair_spf",
            Self::Sign => "sign",
        }
    }
}

impl Tracking {
    /// For an action first seen on a day, if known. `place` distinguishes it from others of the same kind.
    pub(crate) fn since(first_seen: Option<Date>, place: String) -> Self {
        Self { first_seen, place, ..Self::default() }
    }

    /// Whose mail was good and bad on these days.
    pub(super) fn of_break(mut self, days: &DayCounts) -> Self {
        self.broke = days.last_break();
        self
    }
}

impl Action {
    /// One of high confidence, without figures yet.
    pub(crate) fn new(policy_domain: Foreign, change: Change, cause: Cause) -> Self {
        Self {
            policy_domain,
            change,
            cause,
            sources: Vec::new(),
            followed: Vec::new(),
            addresses: 0,
            messages: 0,
            failing: 0,
            reporters: 0,
            since: None,
            confidence: Confidence::High,
            tracking: Tracking::default(),
            explained_by: None,
            repair: None,
            service: None,
        }
    }

    /// The same with its sources, those with most messages first.
    pub(crate) fn at(mut self, largest: &[(Reverse<u64>, SourceAddress)], addresses: u64) -> Self {
        let with_messages = largest.iter().filter(|(messages, _)| messages.0 > 0);
        self.followed = with_messages.filter_map(|(_, source)| source.address()).collect();
        self.sources = self.followed.iter().take(SOURCES).copied().collect();
        self.addresses = addresses;
        self
    }

    /// Whether somebody still has to do it.
    pub fn is_to_do(&self) -> bool {
        !self.tracking.folded && self.tracking.state != ActionState::Fixed
    }

    /// The messages that show it: the failing ones, or all if none fails.
    pub fn evidence(&self) -> u64 {
        if self.failing > 0 { self.failing } else { self.messages }
    }

    /// What identifies it, apart from the domain.
    fn subject(&self) -> [&str; 2] {
        fn maybe(text: Option<&Foreign>) -> &str {
            text.map_or("", Foreign::as_written)
        }
        match &self.change {
            Change::PublishPolicy { tag, to, .. } => [tag, to],
            Change::RepairKey { dkim_domain, selector, .. }
            | Change::CheckModification { dkim_domain, selector, .. } => {
                [dkim_domain.as_written(), maybe(selector.as_ref())]
            }
            Change::AlignSender { organization, .. } => [organization.as_written(), ""],
            Change::AuthorizeSource { spf_domain, include } => [spf_domain.as_written(), include.unwrap_or_default()],
            Change::RepairSpf { spf_domain } => [spf_domain.as_written(), ""],
            Change::RelaxAlignment { .. } | Change::Sign => ["", ""],
        }
    }

    /// What identifies it, whichever change it asks for.
    pub(crate) fn identity(&self) -> ActionIdentity {
        let place = self.tracking.place.clone();
        (self.policy_domain.as_written().to_owned(), self.subject().map(str::to_owned), place)
    }

    pub(super) fn id(&self, copy: usize) -> String {
        let mut hash = blake3::Hasher::new();
        let copy = if copy == 0 { String::new() } else { copy.to_string() };
        let kind = [self.change.word(), self.policy_domain.as_written()];
        for part in kind.into_iter().chain(self.subject()).chain([self.tracking.place.as_str(), copy.as_str()]) {
            hash.update(part.as_bytes()).update(b"\0");
        }
        hash.finalize().to_hex()[..DIGITS].to_owned()
    }
}

/// What is worth doing first comes first.
pub(crate) fn order(action: &Action) -> impl Ord + use<> {
    let what = format!("{:?}", action.change);
    (
        Reverse(action.failing),
        Reverse(action.messages),
        action.policy_domain.clone(),
        what,
        action.sources.first().copied(),
    )
}
