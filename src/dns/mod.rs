//! The live side: what DNS says of a domain's mail, beside what the reports say.
//!
//! Takes a domain, a resolver and, as plain values, what the store has seen; gives findings with the record to publish.
//! Blocking from outside: the tokio runtime lives inside [`resolver`], and no type of it is in a public signature.
//! Everything but the resolver asks through [`answer::Lookup`], so that it runs the same over a table in a test.
//! Must not: lie on the way of a report unless asked to verify its mail ([`proof`], [`keyring`]), read the store, print.

pub mod answer;
pub mod dkim;
pub mod dmarc;
pub mod enrich;
pub mod finding;
pub mod keyring;
pub mod message;
pub mod mx;
pub mod name;
pub mod overlay;
mod placement;
pub mod posture;
pub mod proof;
mod proposals;
pub mod ptr;
pub mod resolver;
pub mod seen;
pub mod spf;
mod tags;

#[cfg(test)]
pub(crate) mod zone;
