//! Columns in, answers out: who sends as the domains asked for, what passes, why the rest fails.
//!
//! In: a [`Question`], chunks of [`crate::model::Rows`] and [`crate::model::ReportHead`]s in any order. Out: one
//! [`Summary`], the same for the same rows whatever their order. It reads no files and no clock, and prints nothing; text
//! of strangers leaves as [`Foreign`], which only `present` can show.
//!
//! An [`Adder`] folds rows, from all threads that read them, into facts (one a source and pattern of results), exact sums a
//! pattern and a domain and day, and sums of report heads; `finish` turns those into the answer. Of the facts there is one
//! state, split by network and locked part by part: what memory a summary takes is theirs.

mod actions;
mod adder;
mod changes;
mod classes;
mod common;
mod diagnosis;
mod explain;
mod facts;
mod finish;
mod fold;
mod foreign;
mod groups;
mod heads;
mod interner;
mod known;
#[cfg(test)]
pub(crate) mod made;
mod period;
mod policies;
mod quality;
mod question;
mod readiness;
mod reporters;
mod roles;
mod seen;
mod senders;
mod shards;
mod signing;
mod sources;
mod summary;
mod sums;
mod totals;
mod trend;
mod view;
#[cfg(test)]
pub(crate) mod weeks;

pub use actions::{Action, Change, Confidence, KeyFault};
pub use adder::Adder;
pub use changes::{SenderChange, SenderChanges};
pub use explain::{ExplainedRow, Explainer, Explanation};
pub use foreign::Foreign;
pub use known::{Service, Services};
pub use period::{Period, PeriodError};
pub use policies::PolicyChange;
pub use question::{Aside, Contradicted, HostName, KnownSender, Network, Question};
pub use readiness::{Losing, Readiness, Verdict};
pub use reporters::{MissingDays, SilentDomain, SilentReporter};
pub use roles::{Evidence, Role};
pub use senders::{Sender, SenderName, Spoofing};
pub use summary::{
    Changes, Days, DomainSummary, LongReport, PolicySeen, Quality, SCHEMA, SourceSummary, Subdomain, Summary, Totals,
};
pub use sums::{Rate, Sums};
pub use trend::{Comparison, Point};
