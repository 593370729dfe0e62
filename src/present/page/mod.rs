//! The page that every readable rendering shows: the summary put into words, in reading order. A writer lays it out and
//! escapes it, and has no words of its own.

mod changes;
pub(crate) mod chart;
mod domains;
mod doubts;
mod lead;
pub(crate) mod overview;
mod quality;
mod reporting;
pub(crate) mod results;
mod senders;
pub(crate) mod shared;
pub(crate) mod summary;
mod tiles;
pub(crate) mod tls;

pub(crate) use domains::{DomainLine, told_of};

pub(crate) use senders::{SenderLine, sender_line};
pub(crate) use tiles::Tile;

#[cfg(test)]
mod tests;
