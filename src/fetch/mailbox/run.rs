//! What is asked of a run over a mailbox, and what it came to.

use super::stop::StopFlag;
use crate::fetch::item::MailboxError;
use crate::model::{Cursor, Fate, Message};
use jiff::Timestamp;

/// What is asked of a run.
#[derive(Debug, Clone)]
pub struct PollOptions {
    /// At most so many mails.
    pub limit: Option<u32>,
    /// Only mails that arrived at or after this time; older ones wait for a run without it.
    pub since: Option<Timestamp>,
    /// Largest mail in bytes; a larger one is named and not read.
    pub item_bytes: u64,
    /// The time of arrival of a mail whose server does not say.
    pub now: Timestamp,
    /// Ends the run early.
    pub stop: StopFlag,
}

impl PollOptions {
    /// Whether a mail that arrived then is asked for; one without a date always is.
    pub(crate) fn wants(&self, arrival: Option<Timestamp>) -> bool {
        self.since.is_none_or(|since| arrival.is_none_or(|arrival| arrival >= since))
    }
}

/// What a caller tells a run.
#[derive(Debug)]
pub(crate) enum Order {
    /// These are safe.
    Safe(Vec<(Message, Fate)>),
    /// There will be no more.
    Finish,
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finished {
    /// Messages the server was told of, or needs not be: no longer pending.
    pub told: Vec<Message>,
    /// How far each folder was read, by the server's own name. One with another `UIDVALIDITY` than before voids all
    /// that is known of the folder.
    pub cursors: Vec<(String, Cursor)>,
    /// The unique ids that a POP3 mailbox holds now; `None` where it was not listed.
    pub uidls: Option<Vec<String>>,
    /// What a curious person may want to know.
    pub notes: Vec<String>,
    /// What was not done, and needs a person or another run.
    pub failures: Vec<MailboxError>,
}
