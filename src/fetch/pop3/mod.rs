//! Reads mails from a POP3 server (RFC 1939): each is returned once, and deleted only after the caller says it is
//! stored.
//!
//! ```text
//! mailbox ─► login ─► maildrop: listing, RETR, DELE, QUIT ─► run ─► (channel) ─► Poller
//! ```
//!
//! Connection, TLS, secrets, tokens, pauses and the channel to the caller are those of `mailbox`. It does not know the
//! store.

mod ending;
mod listing;
mod login;
mod maildrop;
mod run;
mod stream;
mod survey;
#[cfg(test)]
mod tests;

pub(in crate::fetch) use run::Pop3Run;
pub(in crate::fetch) use survey::look;
