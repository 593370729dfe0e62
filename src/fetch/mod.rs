//! Where bytes come from: the only stage that waits.
//!
//! Comes in: paths, or a mailbox. Goes out: [`Fetched`] values, one a file or mail, each with the origin that names
//! it. A source is an iterator of `Result<Fetched, FetchError>`: an error is a local fault ("try again"), never a
//! judgement of the bytes. Must not look inside a report.

#[cfg(feature = "imap")]
pub mod imap;

use crate::model::Message;
use jiff::Timestamp;

/// A file or mail, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Each step by its name: `inbox.mbox > message 2`.
    pub origin: String,
    /// The file name, where there is one.
    pub name: Option<String>,
    /// The content.
    pub bytes: Vec<u8>,
    /// When it arrived (`INTERNALDATE`, modification time, else now).
    pub arrival: Timestamp,
    /// Which message of which mailbox it is, where it came from one.
    pub message: Option<Message>,
}

/// One thing a source found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// Bytes to look into.
    Item(Item),
    /// Plainly no report, archive or mail.
    SetAside {
        /// Which file.
        origin: String,
    },
    /// Over the limit, and not read.
    TooLarge {
        /// Which file or mail.
        origin: String,
        /// Its size in bytes, as far as it is known.
        size: u64,
        /// The limit in bytes.
        limit: u64,
        /// Which message, where it is one.
        message: Option<Message>,
    },
    /// A mail the server lists and does not give. A later run asks for it again.
    Unfetched {
        /// Which mail.
        origin: String,
        /// What happened when it was asked for.
        reason: String,
        /// Which message.
        message: Message,
    },
}

/// A local fault: nothing is said about the bytes, the next run tries again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A mailbox could not be read, or not to its end.
    #[cfg(feature = "imap")]
    #[error(transparent)]
    Mailbox(#[from] imap::MailboxError),
}
