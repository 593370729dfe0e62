//! One run over one mailbox, on the poller's thread: reads new messages, deletes stored ones, ends with QUIT.
//!
//! Within a run a message is identified by its content: numbers and marks are lost with a connection, and a message
//! read again under another number is recognized by its hash. A message is marked only in a session that has read it.

use super::listing::ListedMessage;
use super::maildrop::{Maildrop, Retrieved};
use crate::fetch::item::{Fetched, Item, MailboxError};
use crate::fetch::mailbox::error::ServerError;
use crate::fetch::mailbox::run::{Finished, GRACE, Order, ProtocolRun, RunState};
use crate::fetch::mailbox::sink::MailQueue;
use crate::fetch::mailbox::{After, Mailbox, PollOptions};
use crate::model::{Cursor, Fate, Hash, KnownUidl, MailboxProgress, Message};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often a message may break the connection before it is skipped.
const TRIES: u32 = 2;
/// After this many refusals in a row of messages that only STAT counts, STAT is considered wrong.
const REFUSALS: u32 = 20;
/// The name of POP3's only folder.
pub(super) const FOLDER: &str = "INBOX";

/// A message across the sessions of a run: its ID, else its number, which mostly stays the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Label {
    Uidl(String),
    Number(u32),
}

impl Label {
    pub(super) fn of(listed: &ListedMessage) -> Self {
        listed.uidl.clone().map_or(Self::Number(listed.number), Self::Uidl)
    }
}

/// A content that was passed to the caller.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// The IDs it was passed under.
    pub(super) uidls: HashSet<Option<String>>,
    /// What became of it, once it is stored.
    pub(super) fate: Option<Fate>,
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// Read it and pass it to the caller.
    Give,
    /// Only check whether it has to be deleted.
    Recognize,
}

/// A run.
pub(in crate::fetch) struct Pop3Run {
    pub(super) state: RunState,
    pub(super) maildrop: Option<Maildrop>,
    pub(super) known: HashMap<String, KnownUidl>,
    pub(super) given: HashMap<Hash, Given>,
    /// Passed under its ID: read again in this run only to be deleted.
    pub(super) settled: HashSet<String>,
    /// Not delivered by the server, or too large: not requested again in this run.
    pub(super) withheld: HashSet<Label>,
    /// How often requesting a message broke the connection. They come first in the next session, where no other message
    /// can have confused the server.
    pub(super) broken: HashMap<Label, u32>,
    /// Stored since the last check.
    pub(super) safe: Vec<Hash>,
    /// Stored, but the server did not confirm the deletion yet.
    pub(super) undeleted: HashSet<Hash>,
    /// How many messages to request per session: more have broken one.
    pub(super) reach: usize,
    pub(super) present: Option<Vec<String>>,
}

impl Pop3Run {
    /// A run that has not begun.
    pub(in crate::fetch) fn new(
        mailbox: Mailbox,
        progress: MailboxProgress,
        options: PollOptions,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> Result<Self, MailboxError> {
        let mut run = Self {
            state: RunState::new(mailbox, options, orders)?,
            maildrop: None,
            known: progress.uidls.into_iter().map(|known| (known.uidl.clone(), known)).collect(),
            given: HashMap::new(),
            settled: HashSet::new(),
            withheld: HashSet::new(),
            broken: HashMap::new(),
            safe: Vec::new(),
            undeleted: HashSet::new(),
            reach: usize::MAX,
            present: None,
        };
        if !run.deletes() {
            // What an earlier run was to delete may stay.
            for known in run.known.values_mut().filter(|known| known.pending) {
                known.pending = false;
                let uidl = Some((known.uidl.clone(), known.octets));
                let mailbox = run.state.mailbox.name.clone();
                run.state.acknowledged.push(Message::Pop3 { mailbox, content: None, uidl });
            }
        }
        Ok(run)
    }

    pub(super) fn deletes(&self) -> bool {
        self.state.mailbox.after == After::Delete
    }

    fn take_over(&mut self, maildrop: Maildrop) {
        if !maildrop.names && maildrop.len() > 0 {
            self.state.note("the server gives no unique ids (UIDL): all its mails are read again in every run");
        }
        self.present = maildrop.present(false);
        self.maildrop = Some(maildrop);
    }

    /// Ensures that there is a session.
    pub(super) async fn connected(&mut self) -> Result<(), ServerError> {
        if self.maildrop.is_some() {
            return Ok(());
        }
        match Maildrop::open(&self.state.mailbox, &self.state.trust, &mut self.state.tokens).await {
            Ok(maildrop) => {
                self.take_over(maildrop);
                Ok(())
            }
            // The lost session may still lock the mailbox.
            Err(ServerError::Refused { what, answer }) => {
                Err(ServerError::lost(&what, format_args!("the server answered {answer}")))
            }
            Err(fault) => Err(fault),
        }
    }

    async fn try_to_read(&mut self, sink: &mut MailQueue) -> Result<(), ServerError> {
        self.connected().await?;
        let Some(maildrop) = &self.maildrop else { return Err(ServerError::Stopped) };
        let limit = self.state.options.item_bytes;
        // A message that is too large ends the session, so it comes last. Sizes are hints, so it is requested anyway.
        let place = |listed: &ListedMessage| {
            let broken = self.broken.contains_key(&Label::of(listed));
            (!broken, listed.octets.is_some_and(|octets| octets > limit))
        };
        let mut all = maildrop.listed.clone();
        all.sort_by_key(place);
        for listed in all {
            if self.state.has_to_end() {
                return Ok(());
            }
            if !self.is_settled(&listed) && self.state.quota > 0 {
                self.step(&listed, Goal::Give, Some(sink)).await?;
                self.delete_safe().await?;
            }
        }
        let Some(maildrop) = &self.maildrop else { return Err(ServerError::Stopped) };
        let mut refused = 0;
        for listed in maildrop.unlisted() {
            if self.state.has_to_end() || self.state.quota == 0 {
                return Ok(());
            }
            if self.is_settled(&listed) {
                continue;
            }
            // STAT counts too many if a number has no message, or none is delivered.
            if !self.step(&listed, Goal::Give, Some(sink)).await? || refused == REFUSALS {
                return Ok(());
            }
            refused = if self.withheld.contains(&Label::of(&listed)) { refused + 1 } else { 0 };
            self.delete_safe().await?;
        }
        Ok(())
    }

    /// Whether a message need not be read: it was processed by this or an earlier run.
    fn is_settled(&self, listed: &ListedMessage) -> bool {
        let given = listed.uidl.as_ref().is_some_and(|uidl| self.settled.contains(uidl));
        if given || self.withheld.contains(&Label::of(listed)) {
            return true;
        }
        let Some(known) = listed.uidl.as_ref().and_then(|uidl| self.known.get(uidl)) else { return false };
        // A different size: another message may have got the ID of a deleted one.
        let same = known.octets.zip(listed.octets).is_none_or(|(then, now)| then == now);
        same && !(known.pending && self.deletes())
    }

    /// Reads one message. Returns false if there is none with this number.
    pub(super) async fn step(
        &mut self,
        listed: &ListedMessage,
        goal: Goal,
        sink: Option<&mut MailQueue>,
    ) -> Result<bool, ServerError> {
        let label = Label::of(listed);
        let Some(maildrop) = &mut self.maildrop else { return Err(ServerError::Stopped) };
        let first = !maildrop.has_asked();
        let retrieve = maildrop.retrieve(listed.number, self.state.options.item_bytes);
        let retrieved = self.state.options.stop.abort(Duration::from_secs(1), retrieve).await;
        let message = |content| Message::Pop3 {
            mailbox: self.state.mailbox.name.clone(),
            content,
            uidl: listed.uidl.clone().map(|uidl| (uidl, listed.octets)),
        };
        let origin = match &listed.uidl {
            Some(uidl) => format!("{} > uidl {uidl}", self.state.mailbox.name),
            None => format!("{} > message {}", self.state.mailbox.name, listed.number),
        };
        let mut lost = None;
        let fetched = match retrieved {
            Ok(Retrieved::Gone) => return Ok(false),
            Ok(Retrieved::Mail(bytes, content)) => {
                self.broken.remove(&label);
                if let Some(given) = self.given.get(&content)
                    && (goal == Goal::Recognize || given.uidls.contains(&listed.uidl))
                {
                    if given.fate == Some(Fate::Done) {
                        self.safe.push(content);
                    }
                    return Ok(true);
                }
                if goal == Goal::Recognize {
                    return Ok(true);
                }
                self.given.entry(content).or_default().uidls.insert(listed.uidl.clone());
                self.settled.extend(listed.uidl.clone());
                let (message, arrival) = (Some(message(Some(content))), self.state.options.now);
                Fetched::Item(Item { origin, name: None, bytes, arrival, message })
            }
            Ok(Retrieved::TooLarge(size)) => {
                self.withheld.insert(label);
                self.maildrop = None;
                lost = Some(ServerError::Oversized { uid: None, announced: size });
                let message = listed.uidl.is_some().then(|| message(None));
                Fetched::TooLarge { origin, size, limit: self.state.options.item_bytes, message }
            }
            Ok(Retrieved::Refused(answer)) => {
                self.withheld.insert(label);
                let reason = format!("the server lists it, and answers -ERR {answer}");
                let reason = self.state.mailbox.secrets.clean(&reason);
                Fetched::Unfetched { origin, reason, message: message(None) }
            }
            Err(fault) if fault.passes() => {
                self.maildrop = None;
                let count = self.broken.entry(label.clone()).or_default();
                *count += 1;
                if *count < TRIES || !first {
                    return Err(fault);
                }
                let reason = format!("the connection broke {count} times while it was being fetched");
                self.withheld.insert(label);
                let unfetched = Fetched::Unfetched { origin, reason, message: message(None) };
                lost = Some(fault);
                unfetched
            }
            Err(fault) => return Err(fault),
        };
        if let Some(sink) = sink {
            self.state.progress();
            self.state.quota = self.state.quota.saturating_sub(1);
            self.state.options.stop.abort(GRACE, sink.give(fetched)).await?;
        }
        lost.map_or(Ok(true), Err)
    }

    /// Takes the caller's acknowledgments, and marks stored messages.
    pub(super) async fn delete_safe(&mut self) -> Result<(), ServerError> {
        self.take_orders();
        while let Some(content) = self.safe.pop() {
            let Some(maildrop) = &mut self.maildrop else { return Ok(()) };
            if let Some(answer) = self.state.options.stop.abort(GRACE, maildrop.delete(&content)).await? {
                let what = "deleting a mail whose reports are stored".to_owned();
                self.state.fail(ServerError::Refused { what, answer: format!("-ERR {answer}") });
            }
        }
        Ok(())
    }
}

impl ProtocolRun for Pop3Run {
    fn state(&mut self) -> &mut RunState {
        &mut self.state
    }

    /// Connects, logs in, and lists the messages.
    async fn connect(&mut self) -> Result<(), ServerError> {
        let maildrop = Maildrop::open(&self.state.mailbox, &self.state.trust, &mut self.state.tokens).await?;
        self.take_over(maildrop);
        Ok(())
    }

    /// Waits before the next connection; returns the error once retrying is useless.
    async fn pause(&mut self, fault: ServerError) -> Result<(), ServerError> {
        self.maildrop = None;
        self.state.pause(fault).await
    }

    /// Reads new messages and passes them on.
    async fn read(&mut self, mut sink: MailQueue) {
        loop {
            let read = self.try_to_read(&mut sink).await;
            // Before a pause or the end: the caller need not wait for buffered mails.
            let flushed = self.state.options.stop.abort(GRACE, sink.flush()).await;
            match read.and(flushed) {
                Ok(()) | Err(ServerError::Stopped) => return,
                Err(fault) if fault.passes() => match self.pause(fault).await {
                    Ok(()) => {}
                    Err(ServerError::Stopped) => return,
                    Err(fault) => return self.state.fail(fault),
                },
                Err(fault) => return self.state.fail(fault),
            }
        }
    }

    fn take(&mut self, order: Order) {
        let Order::Safe(messages) = order else {
            self.state.finishing = true;
            return;
        };
        for (message, fate) in messages {
            let Message::Pop3 { content, .. } = &message else { continue };
            if let Some(content) = content
                && let Some(given) = self.given.get_mut(content)
            {
                given.fate = Some(fate);
                if fate == Fate::Done && self.state.mailbox.after == After::Delete {
                    self.safe.push(*content);
                    self.undeleted.insert(*content);
                }
            }
            if !self.deletes() {
                self.state.acknowledged.push(message);
            }
        }
    }

    /// Says something to the server, so that it does not close an idle connection.
    async fn keep_alive(&mut self) {
        if let Some(maildrop) = &mut self.maildrop
            && maildrop.noop().await.is_err()
        {
            self.maildrop = None;
        }
    }

    /// Deletes the rest, and logs out.
    async fn end(mut self) -> Finished {
        self.take_orders();
        loop {
            let stop = self.state.options.stop.clone();
            let paused = match stop.abort(GRACE, self.try_to_end()).await {
                Ok(true) => break,
                Ok(false) => Ok(()),
                Err(fault) if fault.passes() => self.pause(fault).await,
                Err(fault) => Err(fault),
            };
            match paused {
                Ok(()) => {}
                Err(ServerError::Stopped) => break,
                Err(fault) => {
                    self.state.fail(fault);
                    break;
                }
            }
        }
        // The time of reading is recorded; the progress is in the IDs.
        let cursors = vec![(FOLDER.to_owned(), Cursor::default())];
        let RunState { acknowledged, notes, failures, .. } = self.state;
        Finished { acknowledged, cursors, uidls: self.present, notes, failures }
    }
}
