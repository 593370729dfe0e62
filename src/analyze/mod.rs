//! Columns in, answers out: who sends as the domains asked for, what passes, why the rest fails.
//!
//! In: a [`Question`], chunks of [`crate::model::Rows`] and [`crate::model::ReportHead`]s in any order. Out: one
//! [`Summary`], the same for the same rows whatever their order. It reads no files and no clock, and prints nothing; text
//! of strangers leaves as [`Foreign`], which only `present` can show.
//!
//! An [`Adder`] folds rows, from all threads that read them, into facts (one a source and pattern of results), exact sums a
//! pattern and a domain and day, and sums of report heads; `finish` turns those into the answer. Of the facts there is one
//! state, split by network and locked part by part: what memory a summary takes is theirs.

mod adder;
mod answers;
mod classes;
mod common;
mod events;
mod explain;
mod facts;
mod foreign;
mod heads;
mod interner;
mod known;
#[cfg(test)]
pub(crate) mod made;
mod period;
mod policies;
mod quality;
mod question;
mod reporters;
mod senders;
mod shards;
mod summary;
mod sums;
mod thresholds;
mod totals;
mod trend;
#[cfg(test)]
pub(crate) mod weeks;

pub use adder::Adder;
pub use answers::{
    Acknowledged, Action, ActionState, Answers, Change, Confidence, HeldBy, KeyFault, Level, Losing, QuestionAnswer,
    Readiness, Sender, SenderChange, SenderChanges, SenderName, Spoofing, Tracking, Verdict,
};
pub use events::{
    Ended, EventChanges, EventFacts, EventKind, EventQuestion, Incident, IncidentDetails, KnownEvent, Rhythm, Severity,
    compare, is_same, reporter_identity,
};
pub use explain::{ExplainedRow, Explainer, Explanation};
pub use foreign::Foreign;
pub use known::{Service, Services};
pub use period::{Period, PeriodError};
pub use policies::PolicyChange;
pub use question::{Aside, Confirmed, Contradicted, HostName, Network, Question, Watched};
pub use reporters::{MissingDays, SilentDomain, SilentReporter};
pub use senders::{AttributedMail, Evidence, MailResults, MailRow, MailSender, ReportedSignature, Role, Roles};
pub use summary::{
    Changes, Days, DomainSummary, LoneReporter, LongReport, PolicySeen, Quality, RepeatedReports, SCHEMA,
    SourceSummary, Subdomain, Summary, Totals,
};
pub use sums::{Rate, Sums};
pub use trend::{Comparison, Point};
