//! Events: what changed in the last weeks compared with what was reported before. The rules use the days of the
//! reports, no clock and no files.
//!
//! They compare [`EventFacts`] with the rows and reports of eight weeks, the [`Rhythm`] of earlier runs, and the known
//! events, and return [`EventChanges`]: what began, what continues, what ended.

mod breaks;
mod by_source;
mod changes;
mod facts;
mod incident;
mod known;
mod newcomers;
mod policies;
mod rates;
mod sighting;
mod silence;
#[cfg(test)]
mod tests;
mod waves;

pub use changes::{EventChanges, compare};
pub use facts::{EventFacts, reporter_identity};
pub use incident::{Ended, EventKind, EventSeverity, Incident, IncidentDetails, KnownEvent};
pub use known::{EventQuestion, is_same};
pub use silence::Rhythm;
