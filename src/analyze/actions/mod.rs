//! Actions: what failures ask for, the change in DNS that explains each, and whether a repair worked.

mod action;
mod ended;
mod failures;
mod groups;
mod repairs;
pub(crate) mod service_help;
mod spf_history;
mod tracking;

pub(crate) use action::order;
pub use action::{Action, ActionState, Change, Confidence, KeyProblem, Repair, ServiceHelp, Tracking};
pub(crate) use failures::ActionFacts;
pub use repairs::RepairCount;
pub(crate) use repairs::explain;
pub(crate) use tracking::track;
