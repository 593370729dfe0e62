//! What a summary says: readiness, actions, spoofing, changes, and the four questions answered.

mod actions;
mod assemble;
mod changes;
mod questions;
mod readiness;
mod senders;
mod spoofing;
mod step;
mod tracking;

pub use actions::{Action, Change, Confidence, KeyFault};
pub(crate) use assemble::summary;
pub use changes::{SenderChange, SenderChanges};
pub use questions::{Answers, Level, QuestionAnswer};
pub use readiness::{HeldBy, Losing, Readiness, Verdict};
pub use senders::{Sender, SenderName};
pub use spoofing::Spoofing;
pub use tracking::{Acknowledged, ActionState, Tracking};
