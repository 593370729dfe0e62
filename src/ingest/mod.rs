//! Composes all stages: from a source's items to a store, or to judged reports without one.
//!
//! Every item ends in exactly one place of the [`Tally`]. The source, the workers and the writer run in parallel. An
//! [`Observer`] learns what is safe after each durable commit, never before. A disk error ends the run and loses
//! nothing: the next run continues.

mod again;
mod alone;
mod budget;
mod convert;
mod counter;
mod options;
mod parsed;
mod pieces;
mod pipeline;
mod reread;
mod run;
mod save;
mod tally;
#[cfg(test)]
mod tests;
mod trial;
mod trust;
mod underway;
mod work;

pub use again::{promote, rebuild, retry};
pub use alone::{attempt, store_alone};
pub use convert::{Destination, Placed, ReportSink, convert, read};
pub use options::{IngestOptions, Observer};
pub use run::run;
pub use tally::{FoundItem, ItemOutcome, RejectedItem, SetAside, Stored, Tally};
pub use trial::{StoreJob, StoredAlone, Survival, Trial, TrialItem};
pub use trust::{MailVerifier, Trust};
