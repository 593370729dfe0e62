//! Columns in, answers out: who sends as the domains asked for, what passes, why the rest fails.
//!
//! In: a [`Question`], chunks of [`crate::model::Rows`] and [`crate::model::ReportHead`]s in any order. Out: one
//! [`Summary`], the same for the same rows whatever their order. It reads no files and no clock, and prints nothing; text
//! of strangers leaves as [`Foreign`], which only `present` can show.
//!
//! An [`Adder`] folds rows into facts (one a source and pattern of results), exact sums a domain and day, and sums of
//! report heads; `finish` turns those into the answer.

mod adder;
mod diagnosis;
mod facts;
mod finish;
mod foreign;
mod heads;
mod interner;
#[cfg(test)]
pub(crate) mod made;
mod period;
mod quality;
mod question;
mod sources;
mod summary;
mod sums;

pub use adder::Adder;
pub use foreign::Foreign;
pub use period::{Period, PeriodError};
pub use question::{Aside, KnownSender, Question};
pub use summary::{Days, DomainSummary, LongReport, PolicySeen, Quality, SCHEMA, SourceSummary, Summary, Totals};
pub use sums::{Rate, Sums};
