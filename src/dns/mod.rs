//! Live checks: what DNS says about a domain, beside what the reports say.
//!
//! Takes what the store has seen as plain values, and returns findings with the record to publish. The interface is
//! blocking: the tokio runtime is inside [`lookup::resolver`], and no public signature uses its types. Everything
//! except the resolver asks through [`lookup::answer::Lookup`], so that tests can run it over a table. Reading a report
//! uses DNS only to verify its mail ([`verify::proof`], [`lookup::keyring`]).

pub mod dkim;
pub mod dmarc;
pub mod hosts;
pub mod lookup;
pub mod posture;
pub mod verify;

pub mod finding;

mod proposals;

pub mod seen;
pub mod spf;
mod tags;
pub mod transport;
