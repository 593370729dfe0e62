//! Live checks: what DNS says about a domain, beside what the reports say.
//!
//! Takes what the store has seen as plain values, and returns findings with the record to publish. The interface is
//! blocking: the tokio runtime lives inside [`resolver`], and no public signature names its types. Everything but the
//! resolver asks through [`answer::Lookup`], so that it runs the same over a table in a test. Taking in a report uses DNS
//! only where its mail is to be verified ([`proof`], [`keyring`]).

pub mod answer;
pub mod dkim;
pub mod dmarc;
pub mod enrich;
pub mod finding;
pub mod history;
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
