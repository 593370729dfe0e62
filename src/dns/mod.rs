//! Live checks: what DNS says about a domain, beside what the reports say.
//!
//! Takes what the store has seen as plain values, and returns findings with the record to publish. The interface is
//! blocking: the tokio runtime lives inside [`lookup::resolver`], and no public signature names its types. Everything but the
//! resolver asks through [`lookup::answer::Lookup`], so that it runs the same over a table in a test. Taking in a report uses DNS
//! only where its mail is to be verified ([`verify::proof`], [`lookup::keyring`]).

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
