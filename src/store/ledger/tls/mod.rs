//! The TLS reports in the ledger: entered with their batch, read back policy by policy.
//!
//! They have no parts: a report has a few rows, which a table of the ledger keeps as safely. Their originals are in
//! the packs, from which a rebuild recreates the rows.

mod enter;
mod read;

pub(crate) use enter::{forget, forget_before, record};
pub(crate) use read::{StoredTls, count_before, each_report, find, policies_of, totals};
