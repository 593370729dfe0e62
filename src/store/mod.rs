//! The data folder: a ledger, immutable Parquet parts, the originals. It survives a kill at any instant.
//!
//! Comes in: judged reports, rejected bytes, cursors of mailboxes ([`Writer`]). Goes out: rows in columns, heads of
//! reports, and facts about the store ([`Store`]). One process writes, any number read, and neither waits for the
//! other. Must not parse, nor know where bytes come from.

mod commit;
mod encode;
mod error;
pub mod layout;
mod ledger;
mod lock;
mod mailboxes;
mod pack;
mod recover;
pub mod schema;
mod writer;

pub use error::StoreError;
pub use writer::{Added, BatchLimits, Memory, Reject, Rejected, SeenItem, Writer};
