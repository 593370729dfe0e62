//! The answer of a simulation. Its JSON form is described in `present/structured/simulation.schema.json`.

use super::ObstacleKind;
use crate::analyze::{Foreign, MailSender, Role};
use crate::dns::dmarc::Policy;
use jiff::civil::Date;
use serde::{Serialize, Serializer};
use std::str::FromStr;

/// The version of the JSON form: raised when a key changes its meaning or goes.
pub const SIMULATION_SCHEMA: u32 = 1;

/// What would happen if a proposal were carried out. Sums are messages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Simulation {
    /// [`SIMULATION_SCHEMA`].
    pub schema: u32,
    /// Whose mail.
    pub policy_domain: Foreign,
    /// The days that were judged.
    pub window: SimulatedWeeks,
    /// The record in force.
    pub in_force: RecordInForce,
    /// What is proposed.
    pub proposed: ProposedRecords,
    /// All mail of the days.
    pub judged: MailCount,
    /// Mail that passes under one record only, or whose fate differs.
    pub changes: ChangedMail,
    /// Changed mail whose fate gets stricter, of senders that are or may be the domain's own.
    pub lost: LostMail,
    /// Mail whose verdict hangs on what no report holds, or on a lookup that failed; in no other sum but `judged`.
    pub undecidable: UndecidableMail,
    /// What receivers said of test mode, beside what the simulation says.
    pub test_mode: TestModeCheck,
    /// The tree walk of RFC 9989 beside the suffix list; `None`: not compared, as DNS was not asked or did not answer.
    pub tree_walk: Option<TreeWalkCheck>,
    /// What may be lost.
    pub tolerated: MailCount,
}

impl Simulation {
    /// 0 where no more is lost than is tolerated, 1 where more is, 2 where it depends on a lookup that failed.
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

/// Whole ISO weeks, the first and the last day inside, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SimulatedWeeks {
    /// A Monday.
    #[serde(serialize_with = "day")]
    pub from: Date,
    /// A Sunday.
    #[serde(serialize_with = "day")]
    pub to: Date,
    /// How many.
    pub weeks: u16,
}

/// The DMARC record in force, as reports show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordInForce {
    /// The day of the reports; `None`: no report shows a policy.
    #[serde(serialize_with = "day_or_null")]
    pub day: Option<Date>,
    /// Its tags that are not the defaults.
    pub dmarc: String,
}

/// The records as proposed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProposedRecords {
    /// The tags of the DMARC record that are not the defaults.
    pub dmarc: String,
    /// The SPF record of the domain, where it is replaced.
    pub spf: Option<Foreign>,
    /// Selectors whose keys are taken away.
    pub removed_selectors: Vec<Foreign>,
    /// A zone file was given.
    pub zone_file: bool,
}

/// A number of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MailCount {
    /// How many.
    pub messages: u64,
}

/// Changed messages by how they change: each is in `messages`, and in one of the others or several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ChangeCounts {
    /// All.
    pub messages: u64,
    /// Those that pass now, and would not.
    pub newly_failing: u64,
    /// Those that fail now, and would pass.
    pub newly_passing: u64,
    /// Those for which the record would ask for more than now.
    pub stricter: u64,
    /// Those for which it would ask for less.
    pub milder: u64,
}

impl ChangeCounts {
    /// Add others.
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

/// What changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ChangedMail {
    /// In which way.
    #[serde(flatten)]
    pub all: ChangeCounts,
    /// By whose it is: those with messages, in the order of [`Role::ALL`].
    pub roles: Vec<RoleCount>,
    /// By sender, suspects left out: most messages first, a hundred at most.
    pub senders: Vec<ChangedSender>,
    /// How many more there are.
    pub more_senders: u64,
}

/// A sender of judged mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SimulatedSender {
    /// An address, or the smallest network of several; `None`: the reports do not say.
    pub address: Option<String>,
    /// How many addresses.
    pub addresses: u64,
    /// The mail service, where a known one is proven.
    pub service: Option<Foreign>,
    /// The domain that signs most of its mail.
    pub signs_as: Option<Foreign>,
    /// The organization of the return path that SPF proves for most of its mail.
    pub returns_to: Option<Foreign>,
    /// What it is for the domain.
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

    /// What it is best known as: its service, else the domain it authenticates as.
    pub(crate) fn name(&self) -> Option<&Foreign> {
        self.service.as_ref().or(self.signs_as.as_ref()).or(self.returns_to.as_ref())
    }
}

/// A sender whose mail changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedSender {
    /// Who it is.
    #[serde(flatten)]
    pub sender: SimulatedSender,
    /// In which way its mail changes.
    #[serde(flatten)]
    pub changes: ChangeCounts,
}

/// Changed messages of the senders of one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RoleCount {
    /// What the senders are for the domain.
    pub role: Role,
    /// In which way they change.
    #[serde(flatten)]
    pub changes: ChangeCounts,
}

/// What would be lost.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LostMail {
    /// All: `legitimate` and `unclear`.
    pub messages: u64,
    /// Of own senders and vendors.
    pub legitimate: u64,
    /// Of senders that may be the domain's own.
    pub unclear: u64,
    /// All who lose, most messages first.
    pub senders: Vec<LostSender>,
}

/// A sender that loses mail.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LostSender {
    /// Who it is.
    #[serde(flatten)]
    pub sender: SimulatedSender,
    /// Messages.
    pub messages: u64,
    /// Why most of them are lost.
    pub cause: LossCause,
    /// One of its rows.
    pub example: LossExample,
}

/// Why mail is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    /// It fails already; the policy gets stricter.
    Policy,
    /// It passes by DKIM alone now, and would not.
    Dkim,
    /// It passes by SPF alone now, and would not.
    Spf,
    /// It passes by both now, and would by neither.
    DkimAndSpf,
}

/// A row of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LossExample {
    /// Its day.
    #[serde(serialize_with = "day")]
    pub day: Date,
    /// Who reported it.
    pub org_name: Foreign,
    /// The From domain.
    pub header_from: Foreign,
    /// Its signatures: `example.com/s1 pass`.
    pub dkim: Vec<Foreign>,
    /// Its return path: `bounce.example.com pass`.
    pub spf: Option<Foreign>,
    /// What the record in force asks for it.
    pub fate: Policy,
    /// What the proposed one asks for it.
    pub proposed_fate: Policy,
}

/// What cannot be decided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UndecidableMail {
    /// All.
    pub messages: u64,
    /// Why, most messages first.
    pub reasons: Vec<UndecidableReason>,
}

impl UndecidableMail {
    /// Messages that hang on a lookup that failed.
    pub fn failed_lookups(&self) -> u64 {
        let failed = self.reasons.iter().find(|reason| reason.reason == ObstacleKind::LookupFailed);
        failed.map_or(0, |reason| reason.messages)
    }
}

/// Why some messages cannot be decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UndecidableReason {
    /// Why.
    pub reason: ObstacleKind,
    /// Names that it is about, and what a server said of them: those with most messages first, ten at most.
    pub details: Vec<Foreign>,
    /// How many more there are.
    pub more_details: u64,
    /// Messages.
    pub messages: u64,
}

/// Messages of which receivers say that test mode spared them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TestModeCheck {
    /// All.
    pub messages: u64,
    /// Those that the simulation says the same of.
    pub agree: u64,
}

/// The proposal by the tree walk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TreeWalkCheck {
    /// Messages that pass under one only, or whose fate differs.
    pub messages: u64,
    /// Those of them for which receivers that walk the tree are asked for more.
    pub stricter: u64,
    /// The From domains they were sent as.
    pub header_from: Vec<Foreign>,
}

/// How much may be lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// Messages.
    Messages(u64),
    /// A share of all mail of the days, in percent.
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
        const EXPECTED: &str = "expected a number of messages or a share from 0% to 100%, as 20 or 0.1%";
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
    /// The messages that may be lost of so many.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u64 fits")]
    pub fn of(self, judged: u64) -> u64 {
        match self {
            Self::Messages(messages) => messages,
            // A hair more, so that 0.1% of 1,000 is 1 in binary fractions too.
            Self::Percent(percent) => (judged as f64 * percent / 100.0 + 1e-9).floor() as u64,
        }
    }
}

fn day<S: Serializer>(day: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(day)
}

#[expect(clippy::ref_option, reason = "serde hands over the field as it is")]
fn day_or_null<S: Serializer>(day: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
    match day {
        Some(day) => serializer.collect_str(day),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tolerance_is_a_number_or_a_share() {
        for (text, of_1000) in [("0", 0), ("20", 20), ("0.1%", 1), ("50%", 500), ("100%", 1000), ("0.05 %", 0)] {
            assert_eq!(text.parse::<Tolerance>().map(|tolerance| tolerance.of(1000)), Ok(of_1000), "{text}");
        }
        for text in ["", "-1", "x", "101%", "-1%", "%", "NaN%", "inf%", "1.5"] {
            assert!(text.parse::<Tolerance>().is_err(), "{text}");
        }
    }
}
