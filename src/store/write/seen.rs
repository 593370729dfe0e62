//! What was stored before the current batch, and which items were seen before.

use crate::model::Hash;
use crate::store::disk::layout::Layout;
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use std::path::Path;

/// How the content of an item counted when it was first read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeenItem {
    /// Reports of either kind: stored, duplicates or conflicts.
    pub reports: u32,
    /// Failure reports.
    pub failure: u32,
    /// Bounces.
    pub bounce: u32,
    /// Anything else that is not a report.
    pub other: u32,
    /// Rejected.
    pub rejected: u32,
}

/// What was stored before the current batch, on a separate connection. All lookups of a batch share one transaction: a
/// lock for each would cost more than the lookup.
#[derive(Debug, Default)]
pub(super) struct Snapshot(Option<Ledger>);

impl Snapshot {
    /// The ledger as of the first lookup of the batch, which is still current: only this process writes.
    pub(super) fn hold(&mut self, layout: &Layout) -> Result<Option<&Ledger>, StoreError> {
        if self.0.is_none() {
            self.0 = Ledger::reader(layout)?;
        }
        if let Some(ledger) = &self.0
            && ledger.connection.is_autocommit()
        {
            ledger.connection.execute_batch("BEGIN").map_err(ledger.failed("looking at what is stored"))?;
        }
        Ok(self.0.as_ref())
    }

    /// Called before a commit, so that its log can be written back.
    pub(super) fn release(&self) -> Result<(), StoreError> {
        match &self.0 {
            Some(ledger) if !ledger.connection.is_autocommit() => {
                ledger.connection.execute_batch("COMMIT").map_err(ledger.failed("looking at what is stored"))
            }
            _ => Ok(()),
        }
    }
}

/// Which items were seen before this run; usable on any thread.
#[derive(Debug)]
pub struct Memory {
    ledger: Ledger,
}

impl Memory {
    /// Opens a separate connection for reading. `None` if the store is empty.
    ///
    /// # Errors
    /// If the ledger cannot be opened.
    pub fn open(dir: &Path) -> Result<Option<Self>, StoreError> {
        Ok(Ledger::reader(&Layout::new(dir))?.map(|ledger| Self { ledger }))
    }

    /// How the content of an item counted, if its bytes were seen before.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn seen(&self, hash: Hash) -> Result<Option<SeenItem>, StoreError> {
        seen(&self.ledger, hash)
    }
}

/// How the content of an item counted, if its bytes were seen before.
pub(super) fn seen(ledger: &Ledger, hash: Hash) -> Result<Option<SeenItem>, StoreError> {
    let sql = "SELECT reports, failure, bounce, other, rejected FROM seen WHERE hash = ?1";
    ledger.first_row("looking up an item", sql, [short_hash(hash)], |row| {
        Ok(SeenItem {
            reports: row.get(0)?,
            failure: row.get(1)?,
            bounce: row.get(2)?,
            other: row.get(3)?,
            rejected: row.get(4)?,
        })
    })
}

/// Half a hash identifies an item well enough, and keeps the ledger small.
pub(crate) fn short_hash(hash: Hash) -> [u8; 16] {
    let (half, _) = hash.0.split_at(16);
    half.try_into().expect("a hash has 32 bytes")
}
