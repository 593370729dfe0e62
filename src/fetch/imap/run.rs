//! One run over one mailbox, on the poller's thread: connects, reads each folder, tells the server which mails are
//! stored.
//!
//! A lost connection is reopened; a run ends after several attempts in a row without progress.

use super::after::{AfterAction, Plan, Plans};
use super::bodies::BodyReply;
use super::folder::FolderProgress;
use super::folders::FolderTree;
use super::list::{Entry, Lister};
use super::session::{ImapConnection, OpenMode};
use crate::fetch::item::{Fetched, Item, MailboxError};
use crate::fetch::mailbox::error::ServerError;
use crate::fetch::mailbox::run::{GRACE, Order, ProtocolRun, RunState};
use crate::fetch::mailbox::sink::MailQueue;
use crate::fetch::mailbox::{After, Finished, Mailbox, PollOptions};
use crate::model::{Cursor, MailboxProgress, Message};
use std::time::Duration;
use tokio::sync::mpsc;

/// A run.
pub(in crate::fetch) struct ImapRun {
    pub(super) state: RunState,
    pub(super) link: Option<ImapConnection>,
    /// How far earlier runs got, by the folder's name on the server.
    cursors: Vec<(String, Cursor)>,
    pub(super) folders: Vec<FolderProgress>,
    pub(super) plans: Plans,
}

impl ImapRun {
    /// A run that has not begun.
    pub(in crate::fetch) fn new(
        mailbox: Mailbox,
        progress: MailboxProgress,
        options: PollOptions,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> Result<Self, MailboxError> {
        let state = RunState::new(mailbox, options, orders)?;
        let MailboxProgress { cursors, .. } = progress;
        Ok(Self { state, link: None, cursors, folders: Vec::new(), plans: Plans::default() })
    }

    async fn read_folder(&mut self, index: usize, sink: &mut MailQueue) -> Result<(), ServerError> {
        loop {
            let read = self.try_to_read(index, sink).await;
            // Before a pause or the next folder: the caller need not wait for buffered mails.
            let flushed = self.state.options.stop.abort(GRACE, sink.flush()).await;
            match read.and(flushed) {
                Err(fault) if fault.passes() => {
                    self.folders[index].queue.connection_lost();
                    self.pause(fault).await?;
                }
                other => return other,
            }
        }
    }

    async fn try_to_read(&mut self, index: usize, sink: &mut MailQueue) -> Result<(), ServerError> {
        self.open_folder(index).await?;
        self.acknowledge(index).await?;
        loop {
            if self.state.quota == 0 || self.state.has_to_end() {
                // The next command skips outstanding answers.
                return Ok(());
            }
            if self.folders[index].queue.is_empty() {
                if self.folders[index].lister.as_ref().is_none_or(Lister::is_over) {
                    return Ok(());
                }
                self.list_more(index).await?;
            }
            if !self.step(index, sink).await? {
                self.take_orders();
                self.acknowledge(index).await?;
            }
        }
    }

    /// Opens a folder in the mode that is needed.
    pub(super) async fn open_folder(&mut self, index: usize) -> Result<(), ServerError> {
        let mode = self.mode();
        let link = connected(&mut self.state, &mut self.link).await?;
        let folder = &mut self.folders[index];
        let opened = link.select(&folder.name, mode).await?.clone();
        if folder.opened(&opened) {
            let note = "the server gave its mails new UIDs (UIDVALIDITY changed): all are read again; known reports are recognized by content";
            self.state.note(&format!("folder {}: {note}", folder.setting));
        }
        if opened.read_only && !folder.stuck {
            folder.stuck = true;
            let what = format!("folder {}: it is read-only, its mails stay as they are", folder.setting);
            self.state.fail(ServerError::settled(what));
        }
        Ok(())
    }

    /// EXAMINE, unless something has to be changed.
    pub(super) fn mode(&self) -> OpenMode {
        let changes = [&self.plans.done, &self.plans.unreadable].into_iter().any(|plan| matches!(plan, Plan::Act(_)));
        if changes { OpenMode::Write } else { OpenMode::Read }
    }

    async fn list_more(&mut self, index: usize) -> Result<(), ServerError> {
        let (Some(link), folder) = (&mut self.link, &mut self.folders[index]) else { return Err(ServerError::Stopped) };
        let Some(mut lister) = folder.lister.take() else { return Ok(()) };
        let window = lister.next(link, folder.dealt()).await;
        folder.lister = Some(lister);
        let window = window?;
        folder.empty(&window.empty);
        let given = &folder.given;
        let quota = usize::try_from(self.state.quota).unwrap_or(usize::MAX);
        let wanted = |entry: &Entry| self.state.options.wants(entry.arrival) && !given.contains(entry.uid);
        let wanted: Vec<Entry> = window.entries.into_iter().filter(wanted).take(quota).collect();
        folder.queue.extend(wanted);
        self.state.progress();
        Ok(())
    }

    /// Fetches and passes on one mail. Returns false if nothing is outstanding: another command may be sent.
    async fn step(&mut self, index: usize, sink: &mut MailQueue) -> Result<bool, ServerError> {
        let Some(link) = &mut self.link else { return Err(ServerError::Stopped) };
        let folder = &mut self.folders[index];
        let acts = self.plans.done != Plan::Leave || self.plans.unreadable != Plan::Leave;
        let (orders, stop) = (&self.state.orders, self.state.options.stop.clone());
        let pause = || acts && !orders.is_empty() || stop.is_set();
        let limit = self.state.options.item_bytes;
        let got = stop.abort(Duration::from_secs(1), folder.queue.next(link, limit, pause)).await?;
        let Some(got) = got else { return Ok(false) };
        self.state.progress();
        let validity = folder.validity.unwrap_or_default();
        let message = |uid| Message::Imap {
            mailbox: self.state.mailbox.name.clone(),
            folder: folder.name.clone(),
            uid_validity: validity,
            uid,
        };
        let setting = folder.setting.clone();
        let origin = |uid| format!("{} > {setting} > uid {uid}", self.state.mailbox.name);
        let (uid, fetched) = match got {
            BodyReply::Gone(entry) => {
                folder.gone(entry.uid);
                return Ok(true);
            }
            BodyReply::Mail(entry, bytes) => {
                let arrival = entry.arrival.unwrap_or(self.state.options.now);
                let message = Some(message(entry.uid));
                (entry.uid, Fetched::Item(Item { origin: origin(entry.uid), name: None, bytes, arrival, message }))
            }
            BodyReply::TooLarge(entry, size) => {
                let message = Some(message(entry.uid));
                (entry.uid, Fetched::TooLarge { origin: origin(entry.uid), size, limit, message })
            }
            BodyReply::Withheld(entry, reason) => {
                let reason = self.state.mailbox.secrets.clean(&reason);
                let message = message(entry.uid);
                folder.withhold(entry.uid);
                (entry.uid, Fetched::Unfetched { origin: origin(entry.uid), reason, message })
            }
        };
        // Marked first: if the connection is lost while waiting for room, the mail must not be returned again.
        folder.given.insert(uid);
        self.state.quota = self.state.quota.saturating_sub(1);
        stop.abort(GRACE, sink.give(fetched)).await.map(|()| true)
    }
}

impl ProtocolRun for ImapRun {
    fn state(&mut self) -> &mut RunState {
        &mut self.state
    }

    /// Connects, logs in, finds the folders, and creates target folders.
    async fn connect(&mut self) -> Result<(), ServerError> {
        self.state.failures.clear();
        self.folders.clear();
        let link = connected(&mut self.state, &mut self.link).await?;
        let mut tree = FolderTree::ask(link).await?;
        for setting in &self.state.mailbox.folders {
            match tree.find(setting) {
                Ok(folder) => {
                    self.folders.push(FolderProgress::new(setting.clone(), folder, &self.cursors));
                }
                Err(fault) => self.state.failures.push(self.state.mailbox.error(fault)),
            }
        }
        let mut target = async |wanted: &str| match tree.find_or_make(link, wanted).await {
            Ok(folder) => Ok(Plan::Act(AfterAction::Move(folder))),
            Err(fault) if fault.passes() || fault == ServerError::Stopped => Err(fault),
            Err(fault) => {
                let mut error = self.state.mailbox.error(fault);
                error.hint =
                    Some("its mails stay where they are until it can be created; their reports are stored".into());
                self.state.failures.push(error);
                Ok(Plan::Wait)
            }
        };
        self.plans.done = match &self.state.mailbox.after {
            After::Keep => Plan::Leave,
            After::Seen => Plan::Act(AfterAction::Seen),
            After::Delete => Plan::Act(AfterAction::Delete),
            After::Move(folder) => target(folder).await?,
        };
        self.plans.unreadable = match &self.state.mailbox.rejected_to {
            Some(folder) => target(folder).await?,
            None => Plan::Leave,
        };
        Ok(())
    }

    /// Waits before the next connection; returns the error once retrying is useless.
    async fn pause(&mut self, fault: ServerError) -> Result<(), ServerError> {
        self.link = None;
        self.state.pause(fault).await
    }

    /// Reads all folders, and passes on their mails.
    async fn read(&mut self, mut sink: MailQueue) {
        for index in 0..self.folders.len() {
            match self.read_folder(index, &mut sink).await {
                Ok(()) => {}
                Err(ServerError::Stopped) => return,
                Err(fault @ ServerError::Refused { .. }) => self.state.fail(fault),
                Err(fault) => return self.state.fail(fault),
            }
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Safe(messages) => {
                for (message, fate) in messages {
                    let Message::Imap { folder: name, uid_validity, uid, .. } = message else { continue };
                    if let Some(folder) = self.folders.iter_mut().find(|folder| folder.name == name) {
                        folder.safe(uid_validity, uid, fate);
                    }
                }
            }
            Order::Finish => self.state.finishing = true,
        }
    }

    /// Says something to the server, so that it does not close an idle connection.
    async fn keep_alive(&mut self) {
        if let Some(link) = &mut self.link
            && link.noop().await.is_err()
        {
            self.link = None;
        }
    }

    /// Tells the server the rest, and logs out.
    async fn end(mut self) -> Finished {
        self.take_orders();
        let stop = self.state.options.stop.clone();
        if let Err(fault) = stop.abort(GRACE, self.acknowledge_rest()).await
            && fault != ServerError::Stopped
        {
            self.state.fail(fault);
        }
        if let Some(link) = self.link.take() {
            link.logout().await;
        }
        let cursors = self.folders.iter().filter_map(|folder| Some((folder.name.clone(), folder.cursor()?))).collect();
        let RunState { acknowledged, notes, failures, .. } = self.state;
        Finished { acknowledged, cursors, uidls: None, notes, failures }
    }
}

/// The connection, opened if there is none.
async fn connected<'a>(
    state: &mut RunState,
    link: &'a mut Option<ImapConnection>,
) -> Result<&'a mut ImapConnection, ServerError> {
    if link.is_none() {
        *link = Some(ImapConnection::open(&state.mailbox, &state.trust, &mut state.tokens).await?);
    }
    link.as_mut().ok_or(ServerError::Stopped)
}
