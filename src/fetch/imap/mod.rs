//! Mails from an IMAP server: each is handed on once, and acknowledged to the server only after the caller says it is safe.
//!
//! ```text
//! mailbox ─► connect ─► auth ─► session ─► folders ─► list ─► bodies ─► (channel) ─► Poller, an iterator
//!            gate + wire beneath: bound, filter                after ◄─ (channel) ◄─ Acknowledger
//! ```
//!
//! Everything async runs on one thread of its own, and no public signature names a tokio type. This module does not know
//! the store: the caller tells it what is safe, and gets back what the ledger is to remember.

mod after;
pub(in crate::fetch) mod auth;
mod bodies;
pub(in crate::fetch) mod connect;

mod folder;
mod folders;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub(crate) mod gate;
mod list;

pub(in crate::fetch) mod poller;
mod ranges;

mod run;

mod session;

mod survey;

mod watch;
pub(in crate::fetch) mod wire;

pub use poller::{Acknowledger, Poller};

pub use survey::survey;

pub use watch::{IdleWatch, Wake};

#[cfg(test)]
mod tests;
