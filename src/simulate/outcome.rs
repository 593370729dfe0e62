//! The result of a simulation. Its JSON format is described in `present/structured/simulation.schema.json`.

use crate::analyze::{Foreign, MailSender, Role};
use crate::dns::dmarc::Policy;
use jiff::civil::Date;
use serde::Serialize;
use std::str::FromStr;

/// The version of the JSON format: incremented when a key changes its meaning or is removed.
pub const SIMULATION_SCHEMA: u32 = 1;

/// The effect of a proposal. Sums are messages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Simulation {
    /// [`SIMULATION_SCHEMA`].
    pub schema: u32,
    /// The policy domain of the mail.
    pub policy_domain: Foreign,
    /// The days that were evaluated.
    pub window: SimulatedWeeks,
    /// The current record.
    pub in_force: RecordInForce,
    /// The proposal.
    pub proposed: ProposedRecords,
    /// All mail in these days.
    pub judged: MailCount,
    /// Mail that passes with only one of the records, or whose fate differs.
    pub changes: ChangedMail,
    /// Changed mail with a stricter fate, from senders that are or may be the domain's own.
    pub lost: LostMail,
    /// Mail whose verdict depends on data missing from reports or on a failed lookup; included in no other sum but
    /// `judged`.
    pub undecidable: UndecidableMail,
    /// Comparison of the simulation with what receivers reported about test mode.
    pub test_mode: TestModeCheck,
    /// Comparison of the tree walk of RFC 9989 with the suffix list; `None`: DNS was not queried or did not answer.
    pub tree_walk: Option<TreeWalkCheck>,
    /// The number of messages that may be lost.
    pub tolerated: MailCount,
}

impl Simulation {
    /// 0 if no more is lost than tolerated, 1 if more is lost, 2 if it depends on a failed lookup.
    pub fn exit_code(&self) -> u8 {
        if self.lost.messages > self.tolerated.messages {
            1
        } else if self.undecidable.failed_lookups() > 0 {
            2
        } else {
            0
        }
    }
}

/// Whole ISO weeks in UTC; both days are included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SimulatedWeeks {
    /// A Monday.
    pub from: Date,
    /// A Sunday.
    pub to: Date,
    /// The number.
    pub weeks: u16,
}

/// The current DMARC record, according to reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordInForce {
    /// The day of the reports; `None`: no report has a policy.
    pub day: Option<Date>,
    /// Its tags that differ from the defaults.
    pub dmarc: String,
}

/// The proposed records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProposedRecords {
    /// The tags of the DMARC record that differ from the defaults.
    pub dmarc: String,
    /// The SPF record of the domain, if replaced.
    pub spf: Option<Foreign>,
    /// Selectors whose keys are removed.
    pub removed_selectors: Vec<Foreign>,
    /// A zone file was given.
    pub zone_file: bool,
}

/// A number of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MailCount {
    /// The number.
    pub messages: u64,
}

/// Changed messages by kind of change: each is in `messages` and in at least one other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ChangeCounts {
    /// All.
    pub messages: u64,
    /// Messages that pass now and would fail.
    pub newly_failing: u64,
    /// Messages that fail now and would pass.
    pub newly_passing: u64,
    /// Messages with a stricter fate than now.
    pub stricter: u64,
    /// Messages with a milder fate than now.
    pub milder: u64,
}

impl ChangeCounts {
    /// Adds other counts.
    pub(super) fn merge(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.messages, other.messages),
            (&mut self.newly_failing, other.newly_failing),
            (&mut self.newly_passing, other.newly_passing),
            (&mut self.stricter, other.stricter),
            (&mut self.milder, other.milder),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// Changed mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ChangedMail {
    /// Changes by kind.
    #[serde(flatten)]
    pub all: ChangeCounts,
    /// By role of the sender, in the order of [`Role::ALL`]; only roles with messages.
    pub roles: Vec<RoleCount>,
    /// By sender, without suspects: most messages first, at most a hundred.
    pub senders: Vec<ChangedSender>,
    /// The number of entries left out.
    pub more_senders: u64,
}

/// A sender of evaluated mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SimulatedSender {
    /// An address, or the smallest network of several; `None`: missing from reports.
    pub address: Option<String>,
    /// The number of addresses.
    pub addresses: u64,
    /// The mail service, if proven to be a known one.
    pub service: Option<Foreign>,
    /// The domain that signs most of its mail.
    pub signs_as: Option<Foreign>,
    /// The organization of the return path that SPF proves for most of its mail.
    pub returns_to: Option<Foreign>,
    /// Its role for the domain.
    pub role: Role,
}

impl SimulatedSender {
    /// A sender at one of its addresses, or at several in one network.
    pub(super) fn at(sender: &MailSender, address: Option<String>, addresses: u64) -> Self {
        Self {
            address,
            addresses,
            service: sender.service.clone(),
            signs_as: sender.signs_as.clone(),
            returns_to: sender.returns_to.clone(),
            role: sender.role,
        }
    }

    /// Its most recognizable name: its service, else the domain it authenticates as.
    pub(crate) fn name(&self) -> Option<&Foreign> {
        self.service.as_ref().or(self.signs_as.as_ref()).or(self.returns_to.as_ref())
    }
}

/// A sender whose mail changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedSender {
    /// The sender.
    #[serde(flatten)]
    pub sender: SimulatedSender,
    /// Changes of its mail by kind.
    #[serde(flatten)]
    pub changes: ChangeCounts,
}

/// Changed messages of the senders of one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RoleCount {
    /// The role of the senders for the domain.
    pub role: Role,
    /// Changes by kind.
    #[serde(flatten)]
    pub changes: ChangeCounts,
}

/// Mail that would be lost.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LostMail {
    /// The sum of `legitimate` and `unclear`.
    pub messages: u64,
    /// From own senders and vendors.
    pub legitimate: u64,
    /// From senders that may be the domain's own.
    pub unclear: u64,
    /// All senders that lose mail, most messages first.
    pub senders: Vec<LostSender>,
}

/// A sender that loses mail.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LostSender {
    /// The sender.
    #[serde(flatten)]
    pub sender: SimulatedSender,
    /// Messages.
    pub messages: u64,
    /// The cause of most losses.
    pub cause: LossCause,
    /// One of its rows.
    pub example: LossExample,
}

/// Causes of lost mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    /// It already fails; the policy becomes stricter.
    Policy,
    /// It only passes by DKIM now, and would fail.
    Dkim,
    /// It only passes by SPF now, and would fail.
    Spf,
    /// It passes by both now, and would pass by neither.
    DkimAndSpf,
}

/// A row of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LossExample {
    /// Its day.
    pub day: Date,
    /// The reporter.
    pub org_name: Foreign,
    /// The From domain.
    pub header_from: Foreign,
    /// Its signatures: `example.com/s1 pass`.
    pub dkim: Vec<Foreign>,
    /// Its return path: `bounce.example.com pass`.
    pub spf: Option<Foreign>,
    /// Its fate by the current record.
    pub fate: Policy,
    /// Its fate by the proposed record.
    pub proposed_fate: Policy,
}

/// Mail whose verdict cannot be decided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UndecidableMail {
    /// All.
    pub messages: u64,
    /// The reasons, most messages first.
    pub reasons: Vec<UndecidableReason>,
}

impl UndecidableMail {
    /// Messages that depend on a failed lookup.
    pub fn failed_lookups(&self) -> u64 {
        let failed = self.reasons.iter().find(|reason| reason.reason == ObstacleKind::LookupFailed);
        failed.map_or(0, |reason| reason.messages)
    }
}

/// The kind of reason why a verdict is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObstacleKind {
    /// The local part of the return path, or the HELO name.
    SenderUnsaid,
    /// Other data is missing from the report.
    ReportIncomplete,
    /// A key differs from the one in DNS.
    KeyReplaced,
    /// A lookup failed.
    LookupFailed,
}

/// Why messages cannot be decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UndecidableReason {
    /// Why.
    pub reason: ObstacleKind,
    /// Names involved, with server errors: those with the most messages first, at most ten.
    pub details: Vec<Foreign>,
    /// The number of entries left out.
    pub more_details: u64,
    /// Messages.
    pub messages: u64,
}

/// Messages that receivers report as exempt because of test mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TestModeCheck {
    /// All.
    pub messages: u64,
    /// Messages for which the simulation agrees.
    pub agree: u64,
}

/// The proposal evaluated with the tree walk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TreeWalkCheck {
    /// Messages that pass with only one method, or whose fate differs.
    pub messages: u64,
    /// Messages with a stricter fate at receivers that use the tree walk.
    pub stricter: u64,
    /// The From domains of these messages.
    pub header_from: Vec<Foreign>,
}

/// How much may be lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// Messages.
    Messages(u64),
    /// A share of all mail in percent.
    Percent(f64),
}

impl Default for Tolerance {
    fn default() -> Self {
        Self::Messages(0)
    }
}

impl FromStr for Tolerance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected a number of messages or a share from 0% to 100%, such as 20 or 0.1%";
        match text.strip_suffix('%') {
            Some(share) => share
                .trim_end()
                .parse()
                .ok()
                .filter(|share| (0.0..=100.0).contains(share))
                .map(Self::Percent)
                .ok_or_else(|| EXPECTED.to_owned()),
            None => text.parse().map(Self::Messages).map_err(|_| EXPECTED.to_owned()),
        }
    }
}

impl Tolerance {
    /// The number of messages that may be lost out of `judged`.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u64 fits")]
    pub fn allowed(self, judged: u64) -> u64 {
        match self {
            Self::Messages(messages) => messages,
            // Slightly more, so that 0.1% of 1,000 is 1 despite binary fractions.
            Self::Percent(percent) => (judged as f64 * percent / 100.0 + 1e-9).floor() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tolerance_is_a_number_or_a_share() {
        for (text, of_1000) in [("0", 0), ("20", 20), ("0.1%", 1), ("50%", 500), ("100%", 1000), ("0.05 %", 0)] {
            assert_eq!(text.parse::<Tolerance>().map(|tolerance| tolerance.allowed(1000)), Ok(of_1000), "{text}");
        }
        for text in ["", "-1", "x", "101%", "-1%", "%", "NaN%", "inf%", "1.5"] {
            assert!(text.parse::<Tolerance>().is_err(), "{text}");
        }
    }
}
