//! A run over a mailbox by any protocol: its options, its steps and its result.

use super::account::Mailbox;
use super::error::ServerError;
use super::oauth::TokenCache;
use super::sink::MailQueue;
use super::stop::StopFlag;
use super::tls;
use crate::fetch::item::MailboxError;
use crate::model::{Cursor, Fate, Message};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_rustls::rustls::ClientConfig;

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

/// What a run over any protocol keeps.
pub(crate) struct RunState {
    pub(crate) mailbox: Mailbox,
    pub(crate) options: PollOptions,
    pub(crate) trust: Arc<ClientConfig>,
    pub(crate) tokens: TokenCache,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    /// The caller waits for the end.
    pub(crate) finishing: bool,
    /// Connections in a row without progress.
    barren: u32,
    /// How many mails may still be returned.
    pub(crate) quota: u32,
    pub(crate) acknowledged: Vec<Message>,
    pub(crate) notes: Vec<String>,
    pub(crate) failures: Vec<MailboxError>,
}

impl RunState {
    /// Of a run that has not begun.
    pub(crate) fn new(
        mailbox: Mailbox,
        options: PollOptions,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> Result<Self, MailboxError> {
        let trust = tls::trusted(mailbox.ca_file.as_deref()).map_err(|fault| mailbox.error(fault))?;
        let quota = options.limit.unwrap_or(u32::MAX);
        Ok(Self {
            mailbox,
            options,
            trust,
            tokens: TokenCache::default(),
            orders,
            finishing: false,
            barren: 0,
            quota,
            acknowledged: Vec::new(),
            notes: Vec::new(),
            failures: Vec::new(),
        })
    }

    /// Whether the caller wants no more mails.
    pub(crate) fn has_to_end(&self) -> bool {
        self.options.stop.is_set() || self.finishing
    }

    /// The connection made progress: the count of those without starts again.
    pub(crate) fn progress(&mut self) {
        self.barren = 0;
    }

    /// Waits before the next connection; returns the error once retrying is useless.
    pub(crate) async fn pause(&mut self, fault: ServerError) -> Result<(), ServerError> {
        let stop = &self.options.stop;
        if stop.is_set() {
            return Err(ServerError::Stopped);
        }
        let patience = &self.mailbox.patience;
        self.barren += 1;
        if self.barren >= patience.tries {
            let (what, hint) = fault.reason_and_hint();
            return Err(ServerError::Settled { what: format!("{what} (tried {} times)", self.barren), hint });
        }
        let wait = match &fault {
            ServerError::Throttled { wait, .. } if *wait > patience.longest_pause => {
                let (what, hint) = fault.reason_and_hint();
                return Err(ServerError::Settled { what, hint });
            }
            ServerError::Throttled { wait, .. } => *wait,
            _ => patience.pause * 2_u32.saturating_pow(self.barren - 1),
        };
        // Jitter of up to a quarter: many clients of one server must not reconnect at the same time.
        let jitter = wait.mul_f64(rand::random_range(0.0..0.25));
        let why = self.mailbox.error(fault).reason;
        tracing::debug!(mailbox = self.mailbox.name, why, wait = ?(wait + jitter), "connecting again");
        tokio::select! {
            () = tokio::time::sleep(wait + jitter) => Ok(()),
            () = stop.wait() => Err(ServerError::Stopped),
        }
    }

    /// Records an error, once.
    pub(crate) fn fail(&mut self, fault: ServerError) {
        let error = self.mailbox.error(fault);
        if !self.failures.contains(&error) {
            self.failures.push(error);
        }
    }

    /// Records a remark about the mailbox, once.
    pub(crate) fn note(&mut self, note: &str) {
        let note = format!("mailbox {}: {note}", self.mailbox.name);
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// A run over any protocol.
pub(crate) trait ProtocolRun: Sized {
    /// What it keeps.
    fn state(&mut self) -> &mut RunState;
    /// Connects, logs in, and finds out what there is to read. An error of one folder is recorded; the others are still read.
    async fn connect(&mut self) -> Result<(), ServerError>;
    /// Connects, again if that fails for a passing reason; returns the errors of single folders.
    async fn begin(&mut self) -> Result<Vec<MailboxError>, MailboxError> {
        loop {
            let begun = match self.connect().await {
                Err(fault) if fault.passes() => self.pause(fault).await,
                Ok(()) => return Ok(self.state().failures.clone()),
                Err(fault) => Err(fault),
            };
            begun.map_err(|fault| self.state().mailbox.error(fault))?;
        }
    }
    /// Gives up the connection and waits before the next; returns the error once retrying is useless.
    async fn pause(&mut self, fault: ServerError) -> Result<(), ServerError>;
    /// Reads new mails and passes them on.
    async fn read(&mut self, sink: MailQueue);
    /// Notes what the caller said.
    fn take(&mut self, order: Order);
    /// Notes what the caller said so far.
    fn take_orders(&mut self) {
        while let Ok(order) = self.state().orders.try_recv() {
            self.take(order);
        }
    }
    /// Says something to the server, so that it does not close an idle connection. A lost one is forgotten.
    async fn keep_alive(&mut self);
    /// Tells the server the rest, and logs out.
    async fn end(self) -> Finished;
}
