//! Properties of reading any bytes as rows of the ledger or pages of a part. The functions panic if one does not hold;
//! `fuzz/` and the tests run them, and release builds leave them out.
//!
//! The input may be the data folder, or a folder written by others: every read ends in values or a typed error.

#![allow(clippy::missing_panics_doc, reason = "to panic is what these are for")]

mod ledger;
mod pages;

pub use ledger::ledger;
pub use pages::{ValidFiles, pages};
