//! The TLS reports in the ledger: entered with their batch, read back policy by policy.
//!
//! They have no parts: a report has a few rows, and a table of the ledger holds them as safely. Their originals lie in
//! the packs, from which a rebuild recreates the rows.

mod enter;
mod read;

pub(crate) use enter::{forget, forget_before, record};
pub(crate) use read::{StoredTls, count_before, each_report, find, policies_of};
