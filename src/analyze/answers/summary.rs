//! The answer: one value from which every rendering comes. Its JSON form is the format of `summary --format json`, whose
//! schema is `present/structured/summary.schema.json`.

use super::actions::Action;
use super::changes::SenderChanges;
use super::policies::PolicyChange;
use super::questions::Answers;
use super::readiness::Readiness;
use super::reporters::{MissingDays, ReporterDays, SilentDomain, SilentReporter};
use super::senders::Sender;
use super::spoofing::Spoofing;
use super::trend::{Comparison, Point};
use crate::analyze::foreign::Foreign;
use crate::analyze::form;
use crate::analyze::question::Contradicted;
use crate::analyze::senders::source::SourceSummary;
use crate::analyze::sums::Sums;

use jiff::civil::Date;
use serde::Serialize;
use std::collections::BTreeMap;

/// The version of the JSON form: raised when a key changes its meaning or goes.
pub const SCHEMA: u32 = 2;

/// The weekly summary, or that of any period.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The days it speaks of.
    pub period: Days,
    /// Over all chosen domains.
    pub totals: Totals,
    /// The totals against earlier periods; null: nothing earlier has data.
    pub comparison: Option<Comparison>,
    /// The last eight periods, the one asked for last.
    pub trend: Vec<Point>,
    /// Mail that nothing proves to be the domains'.
    pub spoofing: Spoofing,
    /// The four questions, answered.
    pub answers: Answers,
    /// What to do, the most useful first; ten thousand at most.
    pub actions: Vec<Action>,
    /// How many more there are.
    pub more_actions: u64,
    /// What is new, gone or different.
    pub changes: Changes,
    /// By policy domain: most messages first. The smallest of very many are one, named `(other)`.
    pub domains: Vec<DomainSummary>,
    /// How many domains that one stands for.
    pub more_domains: u64,
    /// Senders, failing first in the order of what a person can fix; the spoofing tail is folded into `spoofing`.
    pub senders: Vec<Sender>,
    /// All sources, one entry an address over the chosen domains: most failing messages first, then most messages.
    pub sources: Vec<SourceSummary>,
    /// The senders that hold a source that the question watches, suspects too small to be listed among them.
    #[serde(skip)]
    pub watched: Vec<Sender>,
    /// Of a week or less: who reported on which of its days, most messages first. Those that are not among the first twelve are
    /// added up in a last entry without a name.
    pub reporting: Vec<ReporterDays>,
    /// What the numbers cannot be trusted for.
    pub quality: Quality,
}

/// What differs from earlier periods.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Changes {
    /// Senders, each against its own history.
    pub senders: SenderChanges,
    /// Reporters that used to report, most messages first.
    pub silent_reporters: Vec<SilentReporter>,
    /// Domains that used to be reported on, by name.
    pub silent_domains: Vec<SilentDomain>,
    /// Policies that changed in the period.
    pub policies: Vec<PolicyChange>,
}

/// The days an answer speaks of, both inside, UTC. Null where there was nothing to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Days {
    /// The first day.
    #[serde(serialize_with = "form::day_or_null")]
    pub from: Option<Date>,
    /// The last day.
    #[serde(serialize_with = "form::day_or_null")]
    pub to: Option<Date>,
    /// The ISO week it is, as `2026-W47`.
    pub week: Option<String>,
}

/// Sums with the number of reports behind them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Messages and rows.
    #[serde(flatten)]
    pub sums: Sums,
    /// Reports.
    pub reports: u64,
    /// Distinct `org_name`s among them.
    pub reporters: u64,
    /// Failing messages that pass something, but for another domain: the pile that can be fixed.
    pub authenticated_unaligned: u64,
    /// Failing messages that receivers rejected.
    pub failing_rejected: u64,
    /// Failing messages that receivers quarantined.
    pub failing_quarantined: u64,
    /// Failing messages that receivers did not block. Whether they delivered them is not in the reports.
    pub failing_not_blocked: u64,
}

/// One policy domain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DomainSummary {
    /// One of the settings, or one that was asked for, or one with mail that passes. Of any other only the word of whoever
    /// sent the report says that it is the reader's: of many, pages list the largest only.
    #[serde(skip)]
    pub vouched: bool,
    /// Where the DMARC record was found.
    pub policy_domain: Foreign,
    /// Its sums.
    #[serde(flatten)]
    pub totals: Totals,
    /// The totals against earlier periods; null: nothing earlier has data.
    pub comparison: Option<Comparison>,
    /// The last eight periods, the one asked for last.
    pub trend: Vec<Point>,
    /// The policy most reports of the last two days with reports show.
    pub policy: Option<PolicySeen>,
    /// May it be stricter?
    pub readiness: Readiness,
    /// Mail that nothing proves to be the domain's.
    pub spoofing: Spoofing,
    /// Names in `header_from` other than the domain itself: most messages first, ten at most.
    pub subdomains: Vec<Subdomain>,
}

/// A name below the policy domain that mail was sent as.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Subdomain {
    /// The name.
    pub header_from: Foreign,
    /// Messages.
    pub messages: u64,
    /// Those that pass.
    pub dmarc_pass: u64,
}

/// A published policy, as reports show it; null where none says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PolicySeen {
    /// For the domain.
    pub p: Option<Foreign>,
    /// For subdomains.
    pub sp: Option<Foreign>,
    /// For subdomains that do not exist.
    pub np: Option<Foreign>,
    /// DKIM alignment.
    pub adkim: Option<Foreign>,
    /// SPF alignment.
    pub aspf: Option<Foreign>,
    /// Share of failing mail it is applied to.
    pub pct: Option<i32>,
    /// Test mode.
    pub testing: Option<Foreign>,
}

/// What the numbers cannot be trusted for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Quality {
    /// Items that should have been a report and could not be read.
    pub unreadable: u64,
    /// Reports that came again with other content: the authentic one counts, else the fuller, else the first.
    pub conflicts: u64,
    /// The first of those, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicting: Vec<Contradicted>,
    /// Reports over two days long, by domain, reporter and id: a thousand at most.
    pub long_reports: Vec<LongReport>,
    /// How many more there are.
    pub more_long_reports: u64,
    /// Messages of rows without a usable evaluation by the reporter: alignment is recomputed.
    pub not_evaluated: u64,
    /// Messages that the reporter lets pass though its own results show nothing that would.
    pub pass_without_evidence: u64,
    /// Messages that the reporter fails though its own results pass and align.
    pub fail_but_aligned: u64,
    /// Reports whose mail was a proven forgery.
    pub unproven_reports: u64,
    /// The messages in them.
    pub unproven_messages: u64,
    /// They are left out of every other number.
    pub unproven_left_out: bool,
    /// Reports on domains that are not the reader's, by the settings of their time.
    pub foreign_reports: u64,
    /// Days of the period on which a receiver that matters did not report.
    pub missing_days: Vec<MissingDays>,
    /// Days of the period on which nobody reported.
    #[serde(serialize_with = "form::days")]
    pub empty_days: Vec<Date>,
    /// The reader's domains that no report of the period is on, but those that are told as silent.
    pub unreported_domains: Vec<Foreign>,
    /// The period is not over yet.
    pub unfinished: bool,
    /// Reports of its last days may still come.
    pub reports_may_come: bool,
    /// The first day of all that was read with a report: history before it is no data.
    #[serde(serialize_with = "form::day_or_null")]
    pub first_day: Option<Date>,
    /// Reporters that, in the period, see most of that mail fail which others see pass: no verdict counts what they see.
    pub lone_reporters: Vec<LoneReporter>,
    /// Reporters that, in the period, sent the same rows again under another report id: verdicts count them once.
    pub repeated_reports: Vec<RepeatedReports>,
    /// Reports by the codes of what was odd about them.
    pub findings: BTreeMap<Foreign, u64>,
}

/// A reporter that sees what nobody else sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoneReporter {
    /// Its name.
    pub org_name: Foreign,
    /// The domain.
    pub policy_domain: Foreign,
    /// Of the mail that others see pass: messages that it sees fail.
    pub failing: u64,
    /// And those that it sees pass.
    pub passing: u64,
}

/// Reports that came more than once under different ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepeatedReports {
    /// Who sent them.
    pub org_name: Foreign,
    /// The domain.
    pub policy_domain: Foreign,
    /// How many too many.
    pub reports: u64,
    /// Messages in those.
    pub messages: u64,
    /// The days they are about.
    #[serde(serialize_with = "form::days")]
    pub days: Vec<Date>,
}

/// A report that covers more than two days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LongReport {
    /// Who sent it.
    pub org_name: Foreign,
    /// Its id.
    pub report_id: Foreign,
    /// The domain.
    pub policy_domain: Foreign,
    /// The first day.
    #[serde(serialize_with = "form::day")]
    pub from: Date,
    /// The last day.
    #[serde(serialize_with = "form::day")]
    pub to: Date,
    /// Its messages, all counted for the midpoint's day.
    pub messages: u64,
}
