//! A run over a mailbox by any protocol: its options, its steps and its result.

use super::sink::MailQueue;
use super::stop::StopFlag;
use crate::fetch::item::MailboxError;
use crate::model::{Cursor, Fate, MailboxProgress, Message};
use jiff::Timestamp;
use std::time::Duration;

/// How long a step may go on after the run was asked to end.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

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

/// A run over any protocol.
pub(crate) trait ProtocolRun: Sized {
    /// Connects, logs in, and lists folders; returns errors of single folders.
    async fn begin(&mut self, progress: MailboxProgress) -> Result<Vec<MailboxError>, MailboxError>;
    /// Reads new mails and passes them on.
    async fn read(&mut self, sink: MailQueue);
    /// What the caller said, in order; `None` once it is gone.
    async fn order(&mut self) -> Option<Order>;
    /// Notes what the caller said.
    fn take(&mut self, order: Order);
    /// Whether the caller waits for the end.
    fn is_finishing(&self) -> bool;
    /// Says something to the server, so that it does not close an idle connection. A lost one is forgotten.
    async fn keep_alive(&mut self);
    /// Tells the server the rest, and logs out.
    async fn end(self) -> Finished;
}
