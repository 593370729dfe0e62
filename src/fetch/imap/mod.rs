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
pub(in crate::fetch) mod error;
mod folder;
mod folders;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gate;
mod list;
mod mailbox;
pub(in crate::fetch) mod oauth;
pub(in crate::fetch) mod poller;
mod ranges;
mod redact;
pub(in crate::fetch) mod retry;
mod run;
pub(in crate::fetch) mod sasl;
mod secret;
mod session;
pub(in crate::fetch) mod sink;
mod stop;
mod survey;
pub(in crate::fetch) mod tls;
mod watch;
pub(in crate::fetch) mod wire;

pub use error::MailboxError;
pub use mailbox::{After, Auth, Mailbox, OAuth2, Patience, Protocol, Security, Token};
#[cfg(feature = "cli")]
pub(crate) use oauth::http_agent;
pub use poller::{Acknowledger, Finished, Options, Poller};
pub use redact::Redaction;
pub use secret::Secret;
pub use sink::Mails;
pub use stop::Stop;
pub use survey::{FolderSurvey, Survey, TargetSurvey, survey};
pub(crate) use tls::trust;
pub use watch::{Wake, Watch};

#[cfg(test)]
mod tests;
