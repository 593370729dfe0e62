//! The settings file: found, read, and checked as a whole.
//!
//! Every error names the file, the line, what was expected and what was found, and all errors are reported at once.
//! Secrets are not read here, but when they are needed. Reading settings neither connects to anything nor runs a
//! command.

mod alert;
mod confirmed;
mod customer;
pub(crate) mod file;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub(crate) mod local_path;
mod mailbox;
pub(crate) mod near;
mod reader;
mod secret;
mod senders;
mod smtp;
mod syntax;

pub(crate) use alert::{CommandSettings, WebhookFormat, WebhookSettings};
pub(crate) use customer::{Customer, organizations};
pub(crate) use mailbox::secrets_of;
pub(crate) use secret::warning;
pub(crate) use smtp::{Outlet, Smtp};

#[cfg(test)]
mod tests;
