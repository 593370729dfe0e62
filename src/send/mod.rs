//! Sends finished mail: composed once, then submitted to a server or passed to the local sendmail, several over one
//! connection.
//!
//! It does not know the content of a mail, and keeps a secret no longer than sending takes.

mod connection;
pub(crate) mod mail;
mod program;
mod sendmail;
mod server;
mod smtp;
mod webhook;

pub use mail::{
    ComposedMail, InlinePicture, Outbox, OutgoingMail, PATIENCE, PROGRAM_PATIENCE, RefusedRecipient, Route, SendError,
    is_address,
};
pub use program::feed;
pub use server::{Login, LoginKind, Server};
pub use webhook::{WEB_PATIENCE, WebFailure, WebMessage, Webhook};
