//! The content of a summary: readiness, actions, spoofing, changes, and answers to the four questions.

mod actions;
mod assemble;
pub(crate) mod attributed;
mod changes;
mod ended;
pub(crate) mod explain;
mod overview;
mod questions;
mod readiness;
mod repairs;

pub(crate) mod row_sample;
mod senders;
mod service_help;
mod spf_history;
mod spoofing;
mod step;
pub(crate) mod summary;

mod tracking;

pub use actions::{Action, Change, Confidence, KeyProblem};
pub use changes::{SenderChange, SenderChanges};
pub use overview::{DnsState, DomainState, Overview, OverviewDomain, OverviewRow};
pub use questions::{Answers, Level, QuestionAnswer};
pub use readiness::{HeldBy, Losing, Readiness, ReadinessVerdict};
pub use repairs::{Repair, RepairCount};
pub use senders::{Sender, SenderName};
pub use service_help::ServiceHelp;
pub use spoofing::Spoofing;
pub use tracking::{ActionState, Tracking};
