//! What is added up: the numbers that sums are made of.

mod day_counts;
mod day_span;
mod messages;
mod statistics;

pub(crate) use day_counts::DayCounts;
pub(crate) use day_span::DaySpan;
pub(crate) use messages::Messages;
pub use statistics::{Rate, Sums};
