//! Simulates a change: judges the stored rows by the current DMARC record and by a proposed one, with other proposed
//! DNS records.
//!
//! Takes mail whose senders are known ([`AttributedMail`]), a proposal ([`SimulationRequest`]) and a DNS lookup, and
//! returns one [`Simulation`]: which messages change, whose they are, what would be lost, and what cannot be decided.
//! Reads no store, no file and no clock, and prints nothing.

mod addresses;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod keys;
mod losses;
mod obstacle;
mod outcome;
mod policy_tags;
mod proposed_dns;
mod request;
mod rules;
mod run;
mod spf_answers;
mod test_mode;
#[cfg(test)]
mod tests;
mod tree_walk;
mod zone_entries;
mod zone_file;

pub use error::SimulationError;
use obstacle::Obstacle;
pub use outcome::{
    ChangeCounts, ChangedMail, ChangedSender, LossCause, LossExample, LostMail, LostSender, MailCount, ObstacleKind,
    ProposedRecords, RecordInForce, RoleCount, SIMULATION_SCHEMA, SimulatedSender, SimulatedWeeks, Simulation,
    TestModeCheck, Tolerance, TreeWalkCheck, UndecidableMail, UndecidableReason,
};
pub use policy_tags::{PolicyTags, TagChanges};
pub use proposed_dns::{NotAsked, PatientLookup};
pub use request::SimulationRequest;
pub use run::simulate;
pub use zone_file::ZoneFile;

#[cfg(doc)]
use crate::analyze::AttributedMail;
