//! Reads items from files and mailboxes. The only stage that waits.
//!
//! Sources are `Send` iterators of `Result<Fetched, FetchError>`. A local failure (disk, network, memory) always means
//! "try again": the item is never blamed for it. An error names the path or mailbox it is about; the iterator may
//! continue after it.
//!
//! | file | reads |
//! |---|---|
//! | `files` | paths: files, folders, standard input |
//! | `frames` | names and bodies that another program pipes in |
//! | `mbox` | messages of a mailbox file, streamed |
//! | `maildir` | messages of a Maildir |
//! | `pipe` | a named pipe, with a time limit |
//! | `imap` | messages of a mailbox on a server |
//! | `pop3` | the same where the server speaks POP3 |
//! | `poll` | a mailbox of either protocol, as an iterator |

pub mod files;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
#[cfg(feature = "imap")]
pub mod imap;
mod item;
#[cfg(feature = "imap")]
pub mod mailbox;
#[cfg(feature = "imap")]
pub mod poll;
#[cfg(feature = "imap")]
mod pop3;
#[cfg(test)]
mod tests;

#[cfg(feature = "imap")]
pub use item::MailboxError;
pub use item::{FetchError, Fetched, Item};
