//! Finished mail leaves: composed once, then submitted to a server or handed to the local sendmail, one after another in
//! one conversation.
//!
//! It does not know what the mail says, and keeps a secret no longer than the hand-over.

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
