//! One run over one mailbox, on the poller's thread: connects, reads each folder, tells the server which mails are
//! stored.
//!
//! A lost connection is reopened; a run ends after several attempts in a row without progress.

use super::after::{AfterAction, Plan, Plans};
use super::bodies::BodyReply;
use super::folder::FolderProgress;
use super::folders::FolderTree;
use super::list::Entry;
use super::session::{ImapConnection, OpenMode};
use crate::fetch::item::{Fetched, Item, MailboxError};
use crate::fetch::mailbox::error::ServerError;
use crate::fetch::mailbox::oauth::TokenCache;
use crate::fetch::mailbox::retry::Retry;
use crate::fetch::mailbox::run::{GRACE, Order, ProtocolRun};
use crate::fetch::mailbox::sink::MailQueue;
use crate::fetch::mailbox::tls;
use crate::fetch::mailbox::{After, Finished, Mailbox, PollOptions};
use crate::model::{Cursor, MailboxProgress, Message};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_rustls::rustls::ClientConfig;

/// A run.
pub(in crate::fetch) struct ImapRun {
    pub(super) mailbox: Mailbox,
    options: PollOptions,
    trust: Arc<ClientConfig>,
    tokens: TokenCache,
    pub(super) link: Option<ImapConnection>,
    pub(super) folders: Vec<FolderProgress>,
    pub(super) plans: Plans,
    orders: mpsc::UnboundedReceiver<Order>,
    /// The caller waits for the end.
    finishing: bool,
    pub(super) retry: Retry,
    /// How many mails may still be returned.
    quota: u32,
    pub(super) acknowledged: Vec<Message>,
    notes: Vec<String>,
    failures: Vec<MailboxError>,
}

impl ImapRun {
    /// A run that has not begun.
    pub(in crate::fetch) fn new(
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
            link: None,
            folders: Vec::new(),
            plans: Plans::default(),
            orders,
            finishing: false,
            retry: Retry::default(),
            quota,
            acknowledged: Vec::new(),
            notes: Vec::new(),
            failures: Vec::new(),
        })
    }

    async fn try_to_begin(&mut self, cursors: &[(String, Cursor)]) -> Result<(), ServerError> {
        self.failures.clear();
        self.folders.clear();
        connected(&self.mailbox, &self.trust, &mut self.tokens, &mut self.link).await?;
        let Some(link) = &mut self.link else { return Err(ServerError::Stopped) };
        let mut tree = FolderTree::ask(link).await?;
        for setting in &self.mailbox.folders {
            match tree.find(setting) {
                Ok(folder) => {
                    let before = cursors.iter().find(|(each, _)| *each == folder).map(|(_, cursor)| cursor.clone());
                    self.folders.push(FolderProgress::new(setting.clone(), folder, before.unwrap_or_default()));
                }
                Err(fault) => self.failures.push(self.mailbox.error(fault)),
            }
        }
        let mut target = async |wanted: &str| match tree.find_or_make(link, wanted).await {
            Ok(folder) => Ok(Plan::Act(AfterAction::Move(folder))),
            Err(fault) if fault.passes() || fault == ServerError::Stopped => Err(fault),
            Err(fault) => {
                let mut error = self.mailbox.error(fault);
                error.hint =
                    Some("its mails stay where they are until it can be made; their reports are stored".into());
                self.failures.push(error);
                Ok(Plan::Wait)
            }
        };
        self.plans.done = match &self.mailbox.after {
            After::Keep => Plan::Leave,
            After::Seen => Plan::Act(AfterAction::Seen),
            After::Delete => Plan::Act(AfterAction::Delete),
            After::Move(folder) => target(folder).await?,
        };
        self.plans.unreadable = match &self.mailbox.rejected_to {
            Some(folder) => target(folder).await?,
            None => Plan::Leave,
        };
        Ok(())
    }

    async fn read_folder(&mut self, index: usize, sink: &mut MailQueue) -> Result<(), ServerError> {
        loop {
            let read = self.try_to_read(index, sink).await;
            // Before a pause or the next folder: the caller need not wait for buffered mails.
            let flushed = self.options.stop.abort(GRACE, sink.flush()).await;
            match read.and(flushed) {
                Err(fault) if fault.passes() => {
                    self.link = None;
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
            if self.quota == 0 || self.options.stop.is_set() || self.finishing {
                // The next command skips outstanding answers.
                return Ok(());
            }
            if self.folders[index].queue.is_empty() {
                if self.folders[index].lister.as_ref().is_none_or(super::list::Lister::is_over) {
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
        connected(&self.mailbox, &self.trust, &mut self.tokens, &mut self.link).await?;
        let Some(link) = &mut self.link else { return Err(ServerError::Stopped) };
        let folder = &mut self.folders[index];
        let opened = link.select(&folder.name, mode).await?.clone();
        if folder.opened(&opened) {
            let note = "the server gave its mails new UIDs (UIDVALIDITY changed): all are read again; known reports are recognized by content";
            self.notes.push(format!("mailbox {}: folder {}: {note}", self.mailbox.name, folder.setting));
        }
        if opened.read_only && !folder.stuck {
            folder.stuck = true;
            let what = format!("folder {}: it is read-only, its mails stay as they are", folder.setting);
            self.failures.push(self.mailbox.error(ServerError::settled(what)));
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
        let quota = usize::try_from(self.quota).unwrap_or(usize::MAX);
        let wanted = |entry: &Entry| self.options.wants(entry.arrival) && !given.contains(entry.uid);
        let wanted: Vec<Entry> = window.entries.into_iter().filter(wanted).take(quota).collect();
        folder.queue.extend(wanted);
        self.retry.progress();
        Ok(())
    }

    /// Fetches and passes on one mail. Returns false if nothing is outstanding: another command may be sent.
    async fn step(&mut self, index: usize, sink: &mut MailQueue) -> Result<bool, ServerError> {
        let Some(link) = &mut self.link else { return Err(ServerError::Stopped) };
        let folder = &mut self.folders[index];
        let acts = self.plans.done != Plan::Leave || self.plans.unreadable != Plan::Leave;
        let (orders, stop) = (&self.orders, &self.options.stop);
        let pause = || acts && !orders.is_empty() || stop.is_set();
        let limit = self.options.item_bytes;
        let got = stop.abort(Duration::from_secs(1), folder.queue.next(link, limit, pause)).await?;
        let Some(got) = got else { return Ok(false) };
        self.retry.progress();
        let validity = folder.validity.unwrap_or_default();
        let message = |uid| Message::Imap {
            mailbox: self.mailbox.name.clone(),
            folder: folder.name.clone(),
            uid_validity: validity,
            uid,
        };
        let setting = folder.setting.clone();
        let origin = |uid| format!("{} > {setting} > uid {uid}", self.mailbox.name);
        let (uid, fetched) = match got {
            BodyReply::Gone(entry) => {
                folder.gone(entry.uid);
                return Ok(true);
            }
            BodyReply::Mail(entry, bytes) => {
                let arrival = entry.arrival.unwrap_or(self.options.now);
                let message = Some(message(entry.uid));
                (entry.uid, Fetched::Item(Item { origin: origin(entry.uid), name: None, bytes, arrival, message }))
            }
            BodyReply::TooLarge(entry, size) => {
                let message = Some(message(entry.uid));
                (entry.uid, Fetched::TooLarge { origin: origin(entry.uid), size, limit, message })
            }
            BodyReply::Withheld(entry, reason) => {
                let reason = self.mailbox.secrets.clean(&reason);
                let message = message(entry.uid);
                folder.withhold(entry.uid);
                (entry.uid, Fetched::Unfetched { origin: origin(entry.uid), reason, message })
            }
        };
        // Marked first: if the connection is lost while waiting for room, the mail must not be returned again.
        folder.given.insert(uid);
        self.quota = self.quota.saturating_sub(1);
        stop.abort(GRACE, sink.give(fetched)).await.map(|()| true)
    }

    /// Takes the caller's acknowledgments.
    fn take_orders(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            self.take(order);
        }
    }

    pub(super) fn note_once(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Waits before the next connection; returns the error once retrying is useless.
    pub(super) async fn pause(&mut self, fault: ServerError) -> Result<(), ServerError> {
        self.link = None;
        self.retry.pause(fault, &self.mailbox, &self.options.stop).await
    }

    pub(super) fn fail(&mut self, fault: ServerError) {
        let error = self.error(fault);
        if !self.failures.contains(&error) {
            self.failures.push(error);
        }
    }

    fn error(&self, fault: ServerError) -> MailboxError {
        self.mailbox.error(fault)
    }
}

impl ProtocolRun for ImapRun {
    /// Connects, logs in, finds the folders, and creates target folders.
    ///
    /// An error of one folder is recorded; the others are still read.
    async fn begin(&mut self, progress: MailboxProgress) -> Result<Vec<MailboxError>, MailboxError> {
        loop {
            match self.try_to_begin(&progress.cursors).await {
                Ok(()) => return Ok(self.failures.clone()),
                Err(fault) if fault.passes() => self.pause(fault).await.map_err(|fault| self.error(fault))?,
                Err(fault) => return Err(self.error(fault)),
            }
        }
    }

    /// Reads all folders, and passes on their mails.
    async fn read(&mut self, mut sink: MailQueue) {
        for index in 0..self.folders.len() {
            match self.read_folder(index, &mut sink).await {
                Ok(()) => {}
                Err(ServerError::Stopped) => return,
                Err(fault @ ServerError::Refused { .. }) => self.fail(fault),
                Err(fault) => return self.fail(fault),
            }
        }
    }

    async fn order(&mut self) -> Option<Order> {
        self.orders.recv().await
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
            Order::Finish => self.finishing = true,
        }
    }

    fn is_finishing(&self) -> bool {
        self.finishing
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
        let stop = self.options.stop.clone();
        if let Err(fault) = stop.abort(GRACE, self.acknowledge_rest()).await
            && fault != ServerError::Stopped
        {
            self.fail(fault);
        }
        if let Some(link) = self.link.take() {
            link.logout().await;
        }
        let cursors = self.folders.iter().filter_map(|folder| Some((folder.name.clone(), folder.cursor()?))).collect();
        Finished { acknowledged: self.acknowledged, cursors, uidls: None, notes: self.notes, failures: self.failures }
    }
}

/// Ensures that there is a connection.
async fn connected(
    mailbox: &Mailbox,
    trust: &Arc<ClientConfig>,
    tokens: &mut TokenCache,
    link: &mut Option<ImapConnection>,
) -> Result<(), ServerError> {
    if link.is_none() {
        *link = Some(ImapConnection::open(mailbox, trust, tokens).await?);
    }
    Ok(())
}
