//! Events: what changed in the last weeks, beside what was told before. Rules by the days of the reports; no clock, no files.
//!
//! In: [`EventFacts`] with the rows and reports of eight weeks, the [`Rhythm`] of earlier runs, and the events that are
//! known. Out: a [`Comparison`](EventChanges) of the two: what began, what goes on, what ended.

mod breaks;
mod changes;
mod facts;
mod incident;
mod newcomers;
mod policies;
mod rates;
mod silence;
mod waves;

pub use changes::{EventChanges, EventQuestion, compare, is_same};
pub use facts::{EventFacts, reporter_identity};
pub use incident::{Ended, EventKind, EventSeverity, Incident, IncidentDetails, KnownEvent};
pub use silence::Rhythm;
