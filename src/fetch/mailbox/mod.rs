//! Shared by IMAP and POP3: the account, its secrets, TLS, and passing mails to the caller.

pub(crate) mod account;
pub(crate) mod connect;
pub(crate) mod error;
pub(crate) mod oauth;
pub(crate) mod redact;
pub(crate) mod run;
pub(crate) mod sasl;
pub(crate) mod secret;
pub(crate) mod sink;
pub(crate) mod stop;
mod survey;
pub(crate) mod tls;

pub use account::{After, Auth, Mailbox, OAuth2, Patience, Protocol, Security, TokenSource};
pub use redact::Redaction;
pub use run::{Finished, PollOptions};
pub use secret::Secret;
pub use sink::Mails;
pub use stop::StopFlag;
pub use survey::{FolderSurvey, Survey, TargetSurvey};
