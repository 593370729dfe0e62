//! The summary: one value from which every rendering is made. Its JSON form is the format of `summary --format json`,
//! described by `present/structured/summary.schema.json`.

use super::changes::SenderChanges;
use super::readiness::Readiness;
use super::senders::Sender;
use super::spoofing::Spoofing;
use crate::analyze::actions::Action;
use crate::analyze::figures::policies::PolicyChange;
use crate::analyze::figures::quality::Quality;
use crate::analyze::figures::reporters::{ReporterDays, SilentDomain, SilentReporter};
use crate::analyze::figures::totals::{Subdomain, Totals};
use crate::analyze::figures::trend::{Comparison, Point};
use crate::analyze::foreign::Foreign;
use crate::analyze::period::SummaryPeriod;
use crate::analyze::senders::source::SourceSummary;
use crate::analyze::sums::heads::PolicySeen;
use crate::analyze::tls::TlsSummary;
use serde::Serialize;

/// The version of the JSON form: raised when a key changes its meaning or is removed.
pub const SCHEMA: u32 = 2;

/// The weekly summary, or that of any period.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The days it is about.
    pub period: SummaryPeriod,
    /// Sums over all chosen domains.
    pub totals: Totals,
    /// The totals against earlier periods; `None`: nothing earlier has data.
    pub comparison: Option<Comparison>,
    /// The last eight periods, the requested one last.
    pub trend: Vec<Point>,
    /// Unauthenticated mail that is probably not the domains'.
    pub spoofing: Spoofing,
    /// The four questions, answered.
    pub answers: Answers,
    /// What to do, most useful first; at most ten thousand.
    pub actions: Vec<Action>,
    /// How many more there are.
    pub more_actions: u64,
    /// What is new, gone or different.
    pub changes: Changes,
    /// By policy domain: most messages first. The smallest of very many are one, named `(other)`.
    pub domains: Vec<DomainSummary>,
    /// How many domains that one stands for.
    pub more_domains: u64,
    /// What TLS reports say, one entry per domain and type of policy, by domain: their sessions are never added up.
    pub tls: Vec<TlsSummary>,
    /// Senders, failing ones first, most fixable first; the spoofing tail is folded into `spoofing`.
    pub senders: Vec<Sender>,
    /// Sources, one entry per address over the chosen domains: most failing messages first, then most messages. The
    /// first 400,000.
    pub sources: Vec<SourceSummary>,
    /// How many sources there are beyond those; the totals count their messages.
    pub more_sources: u64,
    /// The senders that include a watched source, also suspects too small to be listed.
    #[serde(skip)]
    pub watched: Vec<Sender>,
    /// For a week or less: who reported on which day, most messages first. Reporters after the first twelve are added
    /// up in a last entry without a name.
    pub reporting: Vec<ReporterDays>,
    /// Limits of the data quality.
    pub quality: Quality,
}

/// What differs from earlier periods.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Changes {
    /// Senders, each against its own history.
    pub senders: SenderChanges,
    /// Reporters that used to report, most messages first.
    pub silent_reporters: Vec<SilentReporter>,
    /// Domains that used to have reports, by name.
    pub silent_domains: Vec<SilentDomain>,
    /// Policies that changed in the period.
    pub policies: Vec<PolicyChange>,
}

/// One policy domain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DomainSummary {
    /// It is in the settings, was requested, or has passing mail. For any other domain only the report claims that it
    /// is the user's: of many such, pages list the largest only.
    #[serde(skip)]
    pub vouched: bool,
    /// Where the DMARC record was found.
    pub policy_domain: Foreign,
    /// Its sums.
    #[serde(flatten)]
    pub totals: Totals,
    /// The totals against earlier periods; `None`: nothing earlier has data.
    pub comparison: Option<Comparison>,
    /// The last eight periods, the requested one last.
    pub trend: Vec<Point>,
    /// The policy in most reports of the last two days with reports.
    pub policy: Option<PolicySeen>,
    /// Can it be stricter?
    pub readiness: Readiness,
    /// Mail that nothing proves to be the domain's.
    pub spoofing: Spoofing,
    /// Names in `header_from` other than the domain itself: most messages first, at most ten.
    pub subdomains: Vec<Subdomain>,
}

/// How urgent an answer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing to do.
    #[default]
    Ok,
    /// Worth a look.
    Notice,
    /// Look at it now.
    Alert,
}

/// One question, answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct QuestionAnswer {
    /// How urgent it is.
    pub level: Level,
}

/// The four answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// Is anyone spoofing the domains?
    pub spoofing: QuestionAnswer,
    /// Do the own senders pass?
    pub own_senders: QuestionAnswer,
    /// Can the domains enforce a stricter policy?
    pub policy: QuestionAnswer,
    /// What is new?
    pub news: QuestionAnswer,
}
