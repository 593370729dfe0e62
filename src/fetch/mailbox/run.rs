//! The options and the result of a run over a mailbox.

use super::stop::StopFlag;
use crate::fetch::item::MailboxError;
use crate::model::{Cursor, Fate, Message};
use jiff::Timestamp;

/// The options of a run.
#[derive(Debug, Clone)]
pub struct PollOptions {
    /// At most this many mails.
    pub limit: Option<u32>,
    /// Only mails that arrived at or after this time; older ones wait for a run without it.
    pub since: Option<Timestamp>,
    /// Largest mail in bytes; a larger one is reported and not read.
    pub item_bytes: u64,
    /// The time of arrival if the server does not say.
    pub now: Timestamp,
    /// Ends the run early.
    pub stop: StopFlag,
}

impl PollOptions {
    /// Whether to request a mail that arrived then; one without a date is always requested.
    pub(crate) fn wants(&self, arrival: Option<Timestamp>) -> bool {
        self.since.is_none_or(|since| arrival.is_none_or(|arrival| arrival >= since))
    }
}

/// A message from the caller to a run.
#[derive(Debug)]
pub(crate) enum Order {
    /// These are stored.
    Safe(Vec<(Message, Fate)>),
    /// There will be no more.
    Finish,
}

/// The result of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finished {
    /// Messages that the server was told about, or need not be: no longer pending.
    pub acknowledged: Vec<Message>,
    /// How far each folder was read, by the server's name. A changed `UIDVALIDITY` invalidates everything known about
    /// the folder.
    pub cursors: Vec<(String, Cursor)>,
    /// The unique IDs in a POP3 mailbox now; `None` if it was not listed.
    pub uidls: Option<Vec<String>>,
    /// Remarks for the user.
    pub notes: Vec<String>,
    /// What was not done, and needs a person or another run.
    pub failures: Vec<MailboxError>,
}
