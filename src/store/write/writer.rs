//! The one writer: collects what a run found, item by item, and makes it durable one batch at a time.
//!
//! Only [`Writer::commit`] writes to the disk. Each report, rejected item and cursor is stored exactly once, whatever
//! happens in between.

use super::batch::{Added, Batch, BatchLimits, Conflict, Reject, Rejected};
use super::rivals::{OriginalReader, Rivals};
use super::seen::{SeenItem, Snapshot, seen, short_hash};
use super::unfinished;
use crate::judge::Rivalry;
use crate::model::{Accepted, Fate, Hash, Message, ReportKey, SenderAuth};
use crate::store::disk::access::{self, Access};
use crate::store::disk::layout::Layout;
use crate::store::disk::lock::Lock;
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use crate::store::ledger::quota::Quota;
use crate::store::ledger::status::last_commit;
use crate::store::ledger::{intents, survey};
use crate::store::tables::values;
use jiff::Timestamp;
use rusqlite::params;
use std::path::Path;

/// An instant at which a test may kill a commit or a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitStage {
    /// Nothing is done yet.
    Start,
    /// The files to be written are named.
    Planned,
    /// All files are durable under their hidden names.
    Written,
    /// The last transaction is durable.
    Recorded,
    /// All files have their final names.
    Published,
}

/// The writer of a store. Dropping it discards what was not committed.
pub struct Writer {
    pub(crate) layout: Layout,
    /// Declared before the ledger, so that it is closed first: the last connection to close writes the log back, which
    /// a reader cannot.
    pub(super) known: Snapshot,
    pub(crate) ledger: Ledger,
    pub(crate) batch: Batch,
    pub(crate) now: Timestamp,
    /// Called at each stage of a commit and of a merge; `true` simulates a kill at that instant.
    #[cfg(test)]
    pub(crate) fault: std::cell::RefCell<Option<Box<dyn FnMut(CommitStage) -> bool + Send>>>,
    pub(crate) lock: Lock,
    access: Access,
    /// Part of the names of its files, unique to this writer.
    pub(crate) tag: u32,
    /// Files whose last intent is done, but whose new names are not durable yet.
    pub(crate) published: Vec<String>,
    /// It rebuilds a store's tables beside the old ones, from packs that stay.
    pub(crate) rebuilding: bool,
    /// Messages for the user, oldest first.
    pub(crate) notices: Vec<String>,
    limits: BatchLimits,
    pub(crate) quota: Quota,
    /// Nothing is stored yet: no lookup can find anything.
    pub(crate) fresh: bool,
    /// Something without bytes is listed as rejected.
    unread: bool,
    pub(crate) reader: Option<OriginalReader>,
    pub(crate) rivals: Rivals,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("layout", &self.layout).field("batch", &self.batch).finish_non_exhaustive()
    }
}

impl Writer {
    /// Opens the store for writing, readable only by its owner: see [`Writer::open_as`].
    ///
    /// # Errors
    /// Those of [`Writer::open_as`].
    pub fn open(dir: &Path, now: Timestamp) -> Result<Self, StoreError> {
        Self::open_as(dir, now, Access::PRIVATE)
    }

    /// Opens the store for writing, creates it if necessary, recovers from a killed run, and applies the read
    /// permissions.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if another process writes, [`StoreError::NoLocks`] if two could, [`StoreError::NoLedger`]
    /// if data have no ledger, [`StoreError::OlderLedger`] if it does not know all of them, and any disk error.
    pub fn open_as(dir: &Path, now: Timestamp, access: Access) -> Result<Self, StoreError> {
        let layout = Layout::new(dir);
        access::create_root(layout.root())?;
        let lock = Lock::take(&layout, now)?;
        let (ledger, notices) = Ledger::writer(&layout, &lock)?;
        access::settle(&layout, access)?;
        let published = intents::recover(&layout, &ledger)?;
        unfinished::clear(&layout, &ledger)?;
        survey::check_age(&layout, &ledger)?;
        Ok(Self { access, published, notices, ..Self::of(layout, ledger, lock, now)? })
    }

    /// Releases the store, lets another process write it, and takes it again. Call it only between commits.
    ///
    /// # Errors
    /// Those of [`Writer::open_as`]: a third process may have taken the store first. Then nothing more can be written.
    pub fn lend<T>(&mut self, to: impl FnOnce(&Path, Access) -> T) -> Result<T, StoreError> {
        self.close_snapshot();
        self.ledger.let_go();
        self.lock.release()?;
        let done = to(self.layout.root(), self.access);
        let again = Self::open_as(self.layout.root(), self.now, self.access)?;
        let before = std::mem::replace(self, again);
        self.limits = before.limits;
        self.quota = before.quota;
        self.reader.clone_from(&before.reader);
        self.notices.splice(0..0, before.notices.iter().cloned());
        Ok(done)
    }

    /// The writer of a claimed ledger.
    pub(crate) fn of(layout: Layout, ledger: Ledger, lock: Lock, now: Timestamp) -> Result<Self, StoreError> {
        let any = |sql: &str| ledger.any("reading the ledger", sql, []);
        let (fresh, unread) = (!any("SELECT 1 FROM reports")?, any("SELECT 1 FROM rejected WHERE file IS NULL")?);
        Ok(Self {
            layout,
            known: Snapshot::default(),
            ledger,
            batch: Batch::default(),
            now,
            #[cfg(test)]
            fault: std::cell::RefCell::default(),
            lock,
            access: Access::PRIVATE,
            tag: random_tag(),
            published: Vec::new(),
            rebuilding: false,
            notices: Vec::new(),
            limits: BatchLimits::default(),
            quota: Quota::default(),
            fresh,
            unread,
            reader: None,
            rivals: Rivals::default(),
        })
    }

    /// Messages for the user since the last call: that the folder was upgraded, that a file is damaged.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Lets a test kill the writer at this instant.
    #[cfg_attr(not(test), expect(clippy::unnecessary_wraps, reason = "tests kill here"))]
    pub(crate) fn reach(&self, stage: CommitStage) -> Result<(), StoreError> {
        #[cfg(test)]
        if self.fault.borrow_mut().as_mut().is_some_and(|fault| fault(stage)) {
            return Err(StoreError::Unknown { what: format!("{stage:?}"), expected: "a writer that lives" });
        }
        let _ = (self, stage);
        Ok(())
    }

    /// Performs the file operations of the last transaction.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        self.published = intents::settle(&self.layout, &self.ledger)?;
        Ok(())
    }

    /// Closes the snapshot connection.
    pub(crate) fn close_snapshot(&mut self) {
        self.known = Snapshot::default();
    }

    /// Sets other limits of a batch.
    #[must_use]
    pub fn with_limits(mut self, limits: BatchLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds a report to the batch, unless it is known. Of two with the same key the authentic one counts, else the more
    /// complete, else the first; the other is kept as a conflict.
    ///
    /// # Errors
    /// If the ledger cannot be read, or a pack.
    pub fn add(&mut self, mut accepted: Accepted) -> Result<Added, StoreError> {
        if !self.rebuilding {
            self.keep_former_key(&mut accepted)?;
        }
        let (key, content) = (accepted.report.key, accepted.content);
        let is_proven = accepted.provenance.sender_auth() == SenderAuth::Pass;
        let in_batch = self.batch.keys.get(&key).copied();
        let known = match in_batch {
            Some(content) => {
                let proven = || {
                    let mut stored = self.batch.accepted.iter().filter(|stored| stored.report.key == key);
                    stored.any(|stored| stored.provenance.sender_auth() == SenderAuth::Pass)
                };
                Some((content, is_proven && proven()))
            }
            None => self.stored(key)?.map(|(content, auth)| (content, auth == SenderAuth::Pass)),
        };
        let Some((known, known_is_proven)) = known else {
            if self.rebuilding {
                // Its pack stays and is not written again.
                accepted.original = std::sync::Arc::new(crate::model::Original::Plain(Vec::new()));
            }
            self.push(accepted);
            return Ok(Added::Stored);
        };
        if known == content && (self.rebuilding || !is_proven || known_is_proven) {
            return Ok(Added::Duplicate);
        }
        // A rebuild knows from the packs which report counts.
        let decided = if self.rebuilding { Rivalry::Stays } else { self.rivalry(&accepted)? };
        match decided {
            Rivalry::Same => Ok(Added::Duplicate),
            Rivalry::Replaces => self.replace(accepted),
            Rivalry::Stays => {
                if known == content
                    || self.batch.conflicting.contains(&(key, content))
                    || self.conflict_known(key, content)?
                {
                    return Ok(Added::Duplicate);
                }
                self.batch.conflicting.insert((key, content));
                self.push_conflict(accepted);
                Ok(Added::Conflict)
            }
        }
    }

    /// Adds a report to be stored.
    pub(crate) fn push(&mut self, accepted: Accepted) {
        self.batch.keys.insert(accepted.report.key, accepted.content);
        self.batch.records += accepted.report.records.len();
        self.batch.bytes += accepted.weight() + accepted.original_weight(self.batch.accepted.last());
        self.batch.accepted.push(accepted);
    }

    /// Adds a report to be kept as a conflict: its original and its sender. Its rows are not stored.
    pub(crate) fn push_conflict(&mut self, mut accepted: Accepted) {
        accepted.report.records = Vec::new();
        accepted.verdicts = Vec::new();
        let before = self.batch.conflicts.last();
        self.batch.bytes += accepted.weight() + accepted.original_weight(before.map(|known| &known.accepted));
        let conflict = Conflict::new(accepted, before);
        self.batch.conflicts.push(conflict);
    }

    /// Notes when a report of the batch was first committed: a rebuild keeps that time.
    pub fn first_stored(&mut self, key: ReportKey, at: Timestamp) {
        self.batch.ingested.insert(key, at);
    }

    /// The content of a stored report, and what is known about its mail.
    pub(crate) fn stored(&mut self, key: ReportKey) -> Result<Option<(Hash, SenderAuth)>, StoreError> {
        if self.fresh {
            return Ok(None);
        }
        let Some(ledger) = self.known.hold(&self.layout)? else { return Ok(None) };
        let sql = "SELECT content, sender_auth FROM reports WHERE key = ?1";
        ledger.first_row("looking up a report", sql, [key.0], |row| {
            Ok((Hash(row.get(0)?), values::sender_auth(row.get_ref(1)?.as_str()?)))
        })
    }

    pub(crate) fn conflict_known(&self, key: ReportKey, content: Hash) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM conflicts WHERE key = ?1 AND content = ?2";
        self.ledger.any("looking up a conflict", sql, params![key.0, content.0])
    }

    /// Keeps bytes that could not be read, unless they are known.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn reject(&mut self, reject: Reject) -> Result<Rejected, StoreError> {
        let hash = reject.identity();
        let sql = "SELECT 1 FROM rejected WHERE hash = ?1";
        if self.batch.rejected.contains(&hash) || self.ledger.any("looking up a rejected item", sql, [hash.0])? {
            return Ok(Rejected::Known);
        }
        self.batch.bytes += reject.bytes.as_ref().map_or(0, |bytes| bytes.len());
        self.batch.rejected.insert(hash);
        self.batch.rejects.push((hash, reject));
        Ok(Rejected::New)
    }

    /// Notes how the content of an item counted, under the hash of its bytes.
    pub fn item(&mut self, hash: Hash, counted: SeenItem) {
        self.batch.seen.push((short_hash(hash), counted));
    }

    /// Notes a processed message: everything in it is in this batch or an earlier one. Its UID is in the `done` of its
    /// folder's cursor once the batch is committed, until [`Writer::set_cursor`] moves the cursor past it.
    pub fn message(&mut self, message: Message, fate: Fate) {
        self.batch.messages.push((message, fate));
    }

    /// Notes that a report, known or not, arrived in a mailbox.
    pub fn heard(&mut self, mailbox: &str, arrival: Timestamp) {
        match self.batch.heard.get_mut(mailbox) {
            Some(newest) => *newest = arrival.max(*newest),
            None => drop(self.batch.heard.insert(mailbox.to_owned(), arrival)),
        }
    }

    /// Notes that something arrived that may have been listed as not fetched before.
    pub fn fetched(&mut self, origin: &str) {
        if self.unread {
            self.batch.fetched.push(origin.to_owned());
        }
    }

    /// The items of the batch, by the starts of their hashes.
    pub(crate) fn items(&self) -> Vec<[u8; 16]> {
        self.batch.seen.iter().map(|(item, _)| *item).collect()
    }

    /// Whether the batch should be committed now.
    pub fn is_full(&self) -> bool {
        self.batch.accepted.len() + self.batch.tls.accepted.len() >= self.limits.reports
            || self.batch.records >= self.limits.records
            || self.batch.bytes >= self.limits.bytes
            || self.batch.seen.len() + self.batch.messages.len() >= self.limits.items
    }

    /// Whether the batch has so many rows that it should be committed within an item: otherwise an item is committed as
    /// a whole, so that a file with many reports is kept once.
    pub fn is_crowded(&self) -> bool {
        self.batch.records >= self.limits.records
    }

    /// How the content of an item counted, if its bytes were seen before.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn seen(&self, hash: Hash) -> Result<Option<SeenItem>, StoreError> {
        seen(&self.ledger, hash)
    }

    /// Whether any item was ever seen: if not, no `Memory` is needed.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn has_memory(&self) -> Result<bool, StoreError> {
        self.ledger.any("reading the ledger", "SELECT 1 FROM seen", [])
    }

    /// When the last batch was committed; `None` for an empty store.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn last_commit(&self) -> Result<Option<Timestamp>, StoreError> {
        self.ledger.read("reading the last commit", last_commit)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.layout.root()
    }
}

/// A tag that another writer has only with a probability of one in four billion.
fn random_tag() -> u32 {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one((std::process::id(), std::time::SystemTime::now()));
    u32::try_from(random >> 32).unwrap_or_default()
}
