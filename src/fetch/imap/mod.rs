//! Mails from an IMAP server: each given once, and told to the server only after the caller says it is safe.
//!
//! ```text
//! mailbox ─► connect ─► auth ─► session ─► folders ─► list ─► bodies ─► (channel) ─► Poller, an iterator
//!            gate + wire beneath: bound, filter                after ◄─ (channel) ◄─ Acknowledger
//! ```
//!
//! Comes in: a [`Mailbox`] and how far each folder was read. Goes out: mails, and at the end what the ledger is to
//! remember. Everything async runs on one thread of its own; no type of tokio is in a public signature. Must not know
//! the store: what is safe, it is told.

mod after;
mod auth;
mod bodies;
mod connect;
mod error;
mod folder;
mod folders;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gate;
mod list;
mod mailbox;
mod oauth;
mod poller;
mod ranges;
mod redact;
mod run;
mod secret;
mod session;
mod sink;
mod stop;
mod survey;
mod tls;
mod watch;
mod wire;

pub use error::MailboxError;
pub use mailbox::{After, Auth, Mailbox, OAuth2, Patience, Security, Token};
pub use poller::{Acknowledger, Finished, Options, Poller};
pub use redact::Redaction;
pub use secret::Secret;
pub use sink::Mails;
pub use stop::Stop;
pub use survey::{FolderSurvey, Survey, TargetSurvey, survey};
#[cfg(feature = "cli")]
pub(crate) use tls::trust;
pub use watch::{Wake, Watch};

#[cfg(test)]
mod tests;
