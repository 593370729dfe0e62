//! Sends finished mail: composed once, then submitted to a server or passed to the local sendmail, several over one
//! connection.
//!
//! It does not know the content of a mail, and keeps a secret no longer than sending takes.

pub(crate) mod mail;
mod program;
mod sendmail;
mod smtp;
mod webhook;

pub use mail::{
    ComposedMail, InlinePicture, Login, LoginKind, Outbox, OutgoingMail, PATIENCE, PROGRAM_PATIENCE, RefusedRecipient,
    Route, SendError, Server, SmtpSecurity, is_address,
};
pub use program::feed;
pub use webhook::{WEB_PATIENCE, WebFailure, WebMessage, Webhook};
