//! Analyzes rows: who sends as the requested domains, what passes, why the rest fails.
//!
//! From a [`Question`], chunks of [`crate::model::Rows`] and [`crate::model::ReportHead`]s in any order it computes one
//! [`Summary`], which does not depend on that order. It reads no files and no clock, and prints nothing; untrusted text
//! is returned as [`Foreign`], which only `present` can show.
//!
//! An [`Adder`] folds rows, from all reading threads, into facts (one per source and pattern of results), exact sums
//! per pattern and per domain and day, and sums of report heads; `finish` turns those into the answer. There is one set
//! of facts, split by network and locked part by part: they determine how much memory a summary takes.

mod actions;
mod answers;
mod census;
mod day_span;
mod events;
mod explained_by;
mod figures;
mod foreign;
mod form;
mod known;
pub(crate) mod period;
mod question;
mod senders;
mod sums;
#[cfg(test)]
pub(crate) mod tests;
mod thresholds;
mod tls;

pub use actions::{Action, ActionState, Change, Confidence, KeyProblem, Repair, RepairCount, ServiceHelp, Tracking};
pub use answers::attributed::{AttributedMail, MailResults, MailRow, MailSender, ReportedSignature};
pub use answers::explain::{ExplainedRow, Explainer, Explanation};
pub use answers::row_sample::{RowSample, SampledRow};
pub use answers::summary::{Changes, DomainSummary, SCHEMA, Summary};
pub use answers::{
    Answers, DnsState, DomainState, HeldBy, Level, LoneLoss, Losing, Overview, OverviewDomain, OverviewRow,
    QuestionAnswer, Readiness, ReadinessVerdict, Sender, SenderChange, SenderChanges, SenderName, Spoofing,
};
pub use census::{Census, CensusTaker, CountedText, DomainMethod, ReporterCensus};
pub use events::{
    Ended, EventChanges, EventFacts, EventKind, EventQuestion, EventSeverity, Incident, IncidentDetails, KnownEvent,
    Rhythm, compare, is_same, reporter_identity,
};
pub use explained_by::ExplainedBy;
pub use figures::policies::PolicyChange;
pub use figures::quality::{LoneReporter, LongReport, Quality, RepeatedReports};
pub use figures::reporters::{MissingDays, ReporterDays, SilentDomain, SilentReporter};
pub use figures::totals::{Subdomain, Totals};
pub use figures::trend::{Comparison, FailingBy, Point};
pub use foreign::Foreign;
pub use known::{HostName, Service, Services};
pub use period::{Period, PeriodError, SummaryPeriod};
pub use question::Acknowledged;
pub use question::{Aside, Confirmed, Contradicted, Network, Question, Watched};
pub use senders::source::SourceSummary;
pub use senders::view::ServerOrigin;
pub use senders::{Evidence, Role, Roles};
pub use sums::adder::Adder;
pub use sums::heads::{PolicySeen, ReportSums};
pub use sums::{Rate, Sums};
pub use tls::{TlsAdvice, TlsCause, TlsHost, TlsReporter, TlsSessions, TlsSummary};
