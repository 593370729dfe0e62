//! Reads mails from an IMAP server: each is passed on once, and acknowledged to the server only after the caller says
//! it is stored.
//!
//! ```text
//! mailbox ─► connect ─► auth ─► session ─► folders ─► list ─► bodies ─► (channel) ─► Poller, an iterator
//!            gate + wire beneath: bound, filter                after ◄─ (channel) ◄─ Acknowledger
//! ```
//!
//! No public signature uses tokio types. This module does not know the store: the caller says what is stored, and gets
//! back what the ledger has to remember.

mod acknowledge;
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
mod ranges;
mod response;
mod run;
mod session;
mod survey;
mod watch;
pub(in crate::fetch) mod wire;

pub(in crate::fetch) use run::ImapRun;
pub(in crate::fetch) use survey::look;

pub use watch::{IdleWatch, Wake};

#[cfg(test)]
mod tests;
