//! What every source of bytes gives: items, and why one could not be given.

use crate::model::Message;
use jiff::Timestamp;
#[cfg(feature = "imap")]
use std::fmt;

/// One mail, or one file that is not a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where from: the path, and the message's number where the file holds several.
    pub origin: String,
    /// The file's name; `None` for a mail, whose file, if any, has a name that says nothing.
    pub name: Option<String>,
    /// All of it.
    pub bytes: Vec<u8>,
    /// When it arrived. For files this is the time of the run: a file's own time may be preserved from anywhere, and one
    /// older than the report in it would make good reports look as if they came from the future.
    pub arrival: Timestamp,
    /// Which message of which mailbox, where it came from a server.
    pub message: Option<Message>,
}

/// What a source gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// Something to unpack.
    Item(Item),
    /// A file met on the way through a folder that plainly is no report, archive or mail, or no file at all.
    SetAside {
        /// Where it is.
        origin: String,
    },
    /// A symbolic link met in a folder that leads out of it; it was not followed.
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
        /// Which message of which mailbox, where it came from a server.
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

/// A fault on this side: the next run may find it gone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A path that is not there, or cannot be read.
    #[error("{origin}: cannot {action}: {source}")]
    File {
        /// The path.
        origin: String,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A stream of frames that is out of step: nothing behind this can be read.
    #[error("frame {number}: expected {expected}, found {found}")]
    Frame {
        /// Which frame, from 1; 0 before the first.
        number: u64,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// An item that could not be looked at for a reason that lies elsewhere: the next run takes it again.
    #[error("{origin}: left for the next run: {reason}")]
    Left {
        /// Where it came from.
        origin: String,
        /// Why.
        reason: String,
    },
    /// A mailbox could not be read, or not to its end.
    #[cfg(feature = "imap")]
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
}

#[cfg(feature = "imap")]
/// A mailbox could not be read, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxError {
    /// The mailbox's name in the settings.
    pub mailbox: String,
    /// What failed: what was expected, what was found. A server's own words may be in it: cleaned when shown.
    pub reason: String,
    /// What a person could do, where there is something.
    pub hint: Option<String>,
}

#[cfg(feature = "imap")]
impl fmt::Display for MailboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mailbox {}: {}", self.mailbox, self.reason)
    }
}

#[cfg(feature = "imap")]
impl std::error::Error for MailboxError {}
