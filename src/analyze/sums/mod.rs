//! Adding up: sums, and the facts they are made of.

pub(crate) mod adder;
pub(crate) mod classes;
pub(crate) mod common;
mod day_counts;
pub(crate) mod facts;
pub(crate) mod heads;
pub(crate) mod interner;
mod messages;
mod scope;
pub(crate) mod shards;
mod statistics;
mod tail;

pub(crate) use day_counts::DayCounts;
pub(crate) use messages::Messages;
pub use statistics::{Rate, Sums};
