//! What every source returns: items, and errors.

use crate::model::Message;
use jiff::Timestamp;

/// One mail, or one file that is not a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it came from: the path, and the message's number if the file contains several.
    pub origin: String,
    /// The file's name; `None` for a mail, whose file name says nothing.
    pub name: Option<String>,
    /// All of it.
    pub bytes: Vec<u8>,
    /// When it arrived. For files this is the time of the run: a file's own time may have been preserved from anywhere,
    /// and if it were older than the report in it, a good report would seem to come from the future.
    pub arrival: Timestamp,
    /// Which message of which mailbox, if it came from a server.
    pub message: Option<Message>,
}

/// What a source returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// Something to unpack.
    Item(Item),
    /// Something found in a folder that clearly is not a report, archive or mail, or not a regular file.
    SetAside {
        /// Where it is.
        origin: String,
    },
    /// A symbolic link found in a folder that leads out of it; it was not followed.
    LinkOut {
        /// Where it is.
        origin: String,
    },
    /// A file or mail over the limit; it was not read.
    TooLarge {
        /// Where it is.
        origin: String,
        /// Its size in bytes, at least.
        size: u64,
        /// `Limits::item_bytes`.
        limit: u64,
        /// Which message of which mailbox, if it came from a server.
        message: Option<Message>,
    },
    /// A mail the server lists but does not deliver. A later run requests it again.
    Unfetched {
        /// Which mail.
        origin: String,
        /// What happened when it was requested.
        reason: String,
        /// Which message.
        message: Message,
    },
}

/// A local error: the next run may not have it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A path does not exist, or cannot be read.
    #[error("{origin}: cannot {action}: {source}")]
    File {
        /// The path.
        origin: String,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A stream of frames is corrupt: nothing after this can be read.
    #[error("frame {number}: expected {expected}, found {found}")]
    Frame {
        /// Which frame, from 1; 0 before the first.
        number: u64,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// An item could not be processed for an unrelated reason: the next run takes it again.
    #[error("{origin}: left for the next run: {reason}")]
    Left {
        /// Where it came from.
        origin: String,
        /// Why.
        reason: String,
    },
    /// A mailbox could not be read, or not completely.
    #[cfg(feature = "imap")]
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
}

/// A mailbox could not be read, or not completely.
#[cfg(feature = "imap")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mailbox {mailbox}: {reason}")]
pub struct MailboxError {
    /// The mailbox's name in the settings.
    pub mailbox: String,
    /// What failed: what was expected, what was found. May quote the server; cleaned when shown.
    pub reason: String,
    /// What the user could do, if anything.
    pub hint: Option<String>,
}
