//! The content of a summary: readiness, steps of policies, spoofing, changes, and answers to the four questions.

mod action_list;
mod assemble;
pub(crate) mod attributed;
mod changes;
pub(crate) mod explain;
mod overview;
mod questions;
mod readiness;
pub(crate) mod row_sample;
mod senders;
mod spoofing;
mod step;
pub(crate) mod summary;

pub use changes::{SenderChange, SenderChanges};
pub use overview::{DnsState, DomainState, Overview, OverviewDomain, OverviewRow};
pub use readiness::{HeldBy, LoneLoss, Losing, Readiness, ReadinessVerdict};
pub use senders::{Sender, SenderName};
pub use spoofing::Spoofing;
pub use summary::{Answers, Level, QuestionAnswer};
