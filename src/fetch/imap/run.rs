//! One run over one mailbox, on the poller's thread: connects, reads each folder, tells the server which mails are
//! stored.
//!
//! A lost connection is reopened; a run ends after several attempts in a row without progress.

use super::after::{self, AfterAction};
use super::bodies::BodyReply;
use super::folder::FolderProgress;
use super::folders::FolderTree;
use super::list::Entry;
use super::session::{ImapConnection, OpenMode};
use crate::fetch::item::{Fetched, Item, MailboxError};
use crate::fetch::mailbox::error::ServerError;
use crate::fetch::mailbox::oauth::TokenCache;
use crate::fetch::mailbox::retry::Retry;
use crate::fetch::mailbox::run::Order;
use crate::fetch::mailbox::sink::MailQueue;
use crate::fetch::mailbox::tls;
use crate::fetch::mailbox::{After, Finished, Mailbox, PollOptions};
use crate::model::{Cursor, Fate, Message};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_rustls::rustls::ClientConfig;

/// A run.
pub(in crate::fetch) struct ImapRun {
    mailbox: Mailbox,
    options: PollOptions,
    trust: Arc<ClientConfig>,
    tokens: TokenCache,
    link: Option<ImapConnection>,
    folders: Vec<FolderProgress>,
    /// What to do with a processed mail.
    done_act: Plan,
    /// What to do with an unreadable one.
    unreadable_act: Plan,
    pub(in crate::fetch) orders: mpsc::UnboundedReceiver<Order>,
    /// The caller waits for the end.
    pub(in crate::fetch) finishing: bool,
    retry: Retry,
    /// How many mails may still be returned.
    quota: u32,
    acknowledged: Vec<Message>,
    notes: Vec<String>,
    failures: Vec<MailboxError>,
}

/// What to do with mails of one fate.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Plan {
    /// Nothing: they are not touched.
    Leave,
    /// This.
    Act(AfterAction),
    /// Something that cannot be done in this run; they stay pending.
    Wait,
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
            done_act: Plan::Leave,
            unreadable_act: Plan::Leave,
            orders,
            finishing: false,
            retry: Retry::default(),
            quota,
            acknowledged: Vec::new(),
            notes: Vec::new(),
            failures: Vec::new(),
        })
    }

    /// Connects, logs in, finds the folders, and creates target folders.
    ///
    /// An error of one folder is recorded; the others are still read.
    pub(in crate::fetch) async fn begin(
        &mut self,
        cursors: Vec<(String, Cursor)>,
    ) -> Result<Vec<MailboxError>, MailboxError> {
        loop {
            match self.try_to_begin(&cursors).await {
                Ok(()) => return Ok(self.failures.clone()),
                Err(fault) if fault.passes() => self.pause(fault).await.map_err(|fault| self.error(fault))?,
                Err(fault) => return Err(self.error(fault)),
            }
        }
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
        self.done_act = match &self.mailbox.after {
            After::Keep => Plan::Leave,
            After::Seen => Plan::Act(AfterAction::Seen),
            After::Delete => Plan::Act(AfterAction::Delete),
            After::Move(folder) => target(folder).await?,
        };
        self.unreadable_act = match &self.mailbox.rejected_to {
            Some(folder) => target(folder).await?,
            None => Plan::Leave,
        };
        Ok(())
    }

    /// Reads all folders, and passes on their mails.
    pub(in crate::fetch) async fn read(&mut self, mut sink: MailQueue) {
        for index in 0..self.folders.len() {
            match self.read_folder(index, &mut sink).await {
                Ok(()) => {}
                Err(ServerError::Stopped) => return,
                Err(fault @ ServerError::Refused { .. }) => self.fail(fault),
                Err(fault) => return self.fail(fault),
            }
        }
    }

    async fn read_folder(&mut self, index: usize, sink: &mut MailQueue) -> Result<(), ServerError> {
        loop {
            let read = self.try_to_read(index, sink).await;
            // Before a pause or the next folder: the caller need not wait for buffered mails.
            let stop = self.options.stop.clone();
            let flushed = tokio::select! {
                flushed = sink.flush() => flushed,
                () = stop.overdue(Duration::from_secs(2)) => Err(ServerError::Stopped),
            };
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
        self.tell(index).await?;
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
                self.tell(index).await?;
            }
        }
    }

    /// Opens a folder in the mode that is needed.
    async fn open_folder(&mut self, index: usize) -> Result<(), ServerError> {
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
    fn mode(&self) -> OpenMode {
        let changes = [&self.done_act, &self.unreadable_act].into_iter().any(|plan| matches!(plan, Plan::Act(_)));
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
        let acts = self.done_act != Plan::Leave || self.unreadable_act != Plan::Leave;
        let (orders, stop) = (&self.orders, &self.options.stop);
        let pause = || acts && !orders.is_empty() || stop.is_set();
        let limit = self.options.item_bytes;
        let got = tokio::select! {
            got = folder.queue.next(link, limit, pause) => got?,
            () = stop.overdue(Duration::from_secs(1)) => return Err(ServerError::Stopped),
        };
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
        tokio::select! {
            given = sink.give(fetched) => given.map(|()| true),
            () = stop.overdue(Duration::from_secs(2)) => Err(ServerError::Stopped),
        }
    }

    /// Takes the caller's acknowledgments.
    fn take_orders(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            self.take(order);
        }
    }

    pub(in crate::fetch) fn take(&mut self, order: Order) {
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

    /// Performs the actions on the mails of a folder. Refused ones stay pending, and are reported.
    async fn tell(&mut self, index: usize) -> Result<(), ServerError> {
        for fate in [Fate::NotReport, Fate::Done, Fate::Unreadable] {
            let plan = match fate {
                Fate::NotReport => Plan::Leave,
                Fate::Done => self.done_act.clone(),
                Fate::Unreadable => self.unreadable_act.clone(),
            };
            let uids: Vec<u32> = self.folders[index]
                .unacknowledged
                .iter()
                .filter(|(_, each)| *each == fate)
                .map(|(uid, _)| *uid)
                .collect();
            match plan {
                _ if uids.is_empty() => {}
                Plan::Leave => self.note_told(index, &uids),
                Plan::Wait => {}
                Plan::Act(_) if self.folders[index].stuck => {}
                Plan::Act(act) => self.tell_those(index, &act, uids).await?,
            }
        }
        Ok(())
    }

    async fn tell_those(&mut self, index: usize, act: &AfterAction, mut uids: Vec<u32>) -> Result<(), ServerError> {
        uids.sort_unstable();
        let mut rest = &uids[..];
        while !rest.is_empty() {
            let Some(link) = &mut self.link else { return Err(ServerError::Stopped) };
            match after::act(link, act, rest).await {
                Ok(done) => {
                    rest = &rest[done.uids.len()..];
                    self.note_told(index, &done.uids);
                    self.retry.progress();
                    if let Some(note) = done.note {
                        self.note_once(format!("mailbox {}: {note}", self.mailbox.name));
                    }
                }
                Err(fault @ ServerError::Refused { .. }) => {
                    self.folders[index].stuck = true;
                    self.fail(fault);
                    return Ok(());
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    fn note_told(&mut self, index: usize, uids: &[u32]) {
        let folder = &mut self.folders[index];
        let (mailbox, name) = (&self.mailbox.name, &folder.name);
        let uid_validity = folder.validity.unwrap_or_default();
        let message = |&uid: &u32| Message::Imap { mailbox: mailbox.clone(), folder: name.clone(), uid_validity, uid };
        self.acknowledged.extend(uids.iter().map(message));
        let acknowledged: std::collections::BTreeSet<u32> = uids.iter().copied().collect();
        folder.unacknowledged.retain(|(uid, _)| !acknowledged.contains(uid));
    }

    fn note_once(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Says something to the server, so that it does not close an idle connection.
    pub(in crate::fetch) async fn keep_alive(&mut self) {
        if let Some(link) = &mut self.link
            && link.noop().await.is_err()
        {
            self.link = None;
        }
    }

    /// Tells the server the rest, and logs out.
    pub(in crate::fetch) async fn end(mut self) -> Finished {
        self.take_orders();
        let stop = self.options.stop.clone();
        let acknowledged = tokio::select! {
            acknowledged = self.tell_all() => acknowledged,
            () = stop.overdue(Duration::from_secs(2)) => Err(ServerError::Stopped),
        };
        if let Err(fault) = acknowledged
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

    async fn tell_all(&mut self) -> Result<(), ServerError> {
        for index in 0..self.folders.len() {
            while !self.folders[index].unacknowledged.is_empty() && self.folders[index].validity.is_some() {
                let work = async {
                    // If nothing has to be changed on the server, no connection is needed.
                    if self.mode() == OpenMode::Write {
                        self.open_folder(index).await?;
                    }
                    self.tell(index).await
                };
                match work.await {
                    Ok(()) => break,
                    Err(fault) if fault.passes() => {
                        self.link = None;
                        self.pause(fault).await?;
                    }
                    Err(fault @ ServerError::Refused { .. }) => {
                        self.fail(fault);
                        break;
                    }
                    Err(fault) => return Err(fault),
                }
            }
        }
        Ok(())
    }

    /// Waits before the next connection; returns the error once retrying is useless.
    async fn pause(&mut self, fault: ServerError) -> Result<(), ServerError> {
        self.link = None;
        self.retry.pause(fault, &self.mailbox, &self.options.stop).await
    }

    fn fail(&mut self, fault: ServerError) {
        let error = self.error(fault);
        if !self.failures.contains(&error) {
            self.failures.push(error);
        }
    }

    fn error(&self, fault: ServerError) -> MailboxError {
        self.mailbox.error(fault)
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
