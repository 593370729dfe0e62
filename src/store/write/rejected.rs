//! Rejected items and conflicts: reads, forgets and updates them.

use super::writer::Writer;
use crate::model::Original;
use crate::store::disk::files;
use crate::store::error::StoreError;
use crate::store::ledger::intents;
use crate::store::ledger::rejected::{ConflictEntry, RejectedEntry, conflicts, rejected};
use crate::store::pack::zip::original_of;
use rusqlite::params;

impl Writer {
    /// The rejected items, oldest first.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn rejected(&self) -> Result<Vec<RejectedEntry>, StoreError> {
        rejected(&self.ledger)
    }

    /// The conflicts, oldest first.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn conflicts(&self) -> Result<Vec<ConflictEntry>, StoreError> {
        conflicts(&self.ledger)
    }

    /// The original of a conflict.
    ///
    /// # Errors
    /// If its bytes were not kept, or they cannot be read.
    pub fn conflict(&self, entry: &ConflictEntry) -> Result<Original, StoreError> {
        let file = entry.file.as_deref().ok_or_else(|| StoreError::Unknown {
            what: entry.origin.clone(),
            expected: "a conflict whose bytes were kept",
        })?;
        let path = self.layout.file(file);
        let bytes = std::fs::read(&path).map_err(StoreError::io(&path, "reading a conflict"))?;
        Ok(original_of(&path, bytes))
    }

    /// The bytes of a rejected item.
    ///
    /// # Errors
    /// If none were kept, or they cannot be read.
    pub fn rejected_bytes(&self, entry: &RejectedEntry) -> Result<Vec<u8>, StoreError> {
        let file = entry.file.as_deref().ok_or_else(|| StoreError::Unknown {
            what: entry.origin.clone(),
            expected: "a rejected item whose bytes were kept",
        })?;
        let path = self.layout.file(file);
        std::fs::read(files::standing(&path)).map_err(StoreError::io(&path, "reading a rejected item"))
    }

    /// Forgets a rejected item and its bytes: everything in it is committed, or nobody wants it.
    ///
    /// # Errors
    /// If the ledger cannot be written or the file cannot be removed.
    pub fn forget_rejected(&mut self, entry: &RejectedEntry) -> Result<(), StoreError> {
        self.ledger.write("forgetting a rejected item", |transaction| {
            transaction.execute("DELETE FROM rejected WHERE hash = ?1", [entry.hash.0])?;
            intents::remove(transaction, &entry.file)
        })?;
        self.settle()
    }

    /// Records another reason for a rejected item after an unsuccessful retry.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn reject_again(&mut self, entry: &RejectedEntry, reason: &str) -> Result<(), StoreError> {
        let sql = "UPDATE rejected SET reason = ?2 WHERE hash = ?1";
        let note = |transaction: &rusqlite::Transaction<'_>| transaction.execute(sql, params![entry.hash.0, reason]);
        self.ledger.write("noting a reason", note).map(drop)
    }
}
