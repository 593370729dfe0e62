//! Polls a mailbox of any protocol, or surveys it: the blocking interface over `imap` and `pop3`.
//!
//! All async code of a run is on a thread of its own. The caller takes the mails, says which are stored, and gets back
//! what the ledger has to remember.

mod poller;
mod survey;

pub use poller::{Acknowledger, Poller};
pub use survey::survey;
