//! The page shared by all readable formats: the summary in words, in reading order. Writers only lay it out and escape
//! it, and have no wording of their own.

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

pub(crate) use domains::{DomainLine, domain_line, domain_rank};
pub(crate) use senders::{SenderLine, sender_line};
pub(crate) use tiles::Tile;

#[cfg(test)]
mod tests;
