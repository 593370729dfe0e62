//! DMARC (RFC 9989, RFC 7489): the record that holds for a domain, taken apart and checked.

mod check;
mod discover;
mod record;

pub use check::{Dmarc, check};
pub use discover::{Discovered, Discovery, Found, Step, discover, organization, record_at};
pub use record::{Policy, Reach, Record, Slip, Target, is_dmarc};
