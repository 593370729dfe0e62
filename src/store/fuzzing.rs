//! What must hold for any bytes where rows of the ledger or pages of a part should be: functions that panic where it does
//! not. `fuzz/` and the tests run them; no build for users has them.
//!
//! What is read is the data folder's own, or a folder of somebody else's making: every reading ends in values or in a typed
//! error.

#![allow(clippy::missing_panics_doc, reason = "to panic is what these are for")]

mod ledger;
mod pages;

pub use ledger::ledger;
pub use pages::{Sound, pages};
