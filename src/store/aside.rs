//! What was kept aside: rejected items and conflicts, listed, read, and let go.

use super::ledger::Ledger;
use super::reports::time;
use super::writer::Writer;
use super::{Store, StoreError, files, intents};
use crate::model::{Hash, Original, ReportKey};
use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::{Row, params};

/// Something that should have been a report and could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedEntry {
    /// Its name: the hash of its bytes, or of its origin and reason where none came.
    pub hash: Hash,
    /// Where it came from.
    pub origin: String,
    /// The file or attachment name nearest to it.
    pub attachment: Option<String>,
    /// What was expected and what was found.
    pub reason: String,
    /// When it arrived.
    pub arrival: Timestamp,
    /// When it was first rejected.
    pub ingested: Timestamp,
    /// Its size in bytes.
    pub bytes: i64,
    /// Where the bytes are, below the folder of the store; null where they are not kept.
    pub file: Option<String>,
}

/// A report that came under the key of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictEntry {
    /// The key both have.
    pub key: ReportKey,
    /// The hash of its document, which tells it from others with its key.
    pub content: Hash,
    /// Where this one came from.
    pub origin: String,
    /// The file or attachment name nearest to it.
    pub attachment: Option<String>,
    /// The reporter.
    pub org_name: String,
    /// The reporter's id.
    pub report_id: String,
    /// The domain it is about.
    pub policy_domain: String,
    /// When it arrived.
    pub arrival: Timestamp,
    /// When it was kept aside.
    pub ingested: Timestamp,
    /// Where the bytes are, below the folder of the store; null where the quota let them go.
    pub file: Option<String>,
    /// The day that the report with its key counts for; `None` where that was pruned.
    pub day: Option<Date>,
}

impl Store {
    /// The rejected items, oldest first.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn rejected(&self) -> Result<Vec<RejectedEntry>, StoreError> {
        self.ledger.as_ref().map_or(Ok(Vec::new()), rejected)
    }

    /// The conflicts, oldest first.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn conflicts(&self) -> Result<Vec<ConflictEntry>, StoreError> {
        self.ledger.as_ref().map_or(Ok(Vec::new()), conflicts)
    }

    /// The bytes of something kept aside, by its file below the folder of the store.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn aside(&self, file: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.layout.file(file);
        std::fs::read(files::standing(&path)).map_err(StoreError::io(&path, "reading what was kept aside"))
    }
}

fn conflicts(ledger: &Ledger) -> Result<Vec<ConflictEntry>, StoreError> {
    let read = || -> rusqlite::Result<Vec<ConflictEntry>> {
        let mut statement = ledger.connection.prepare(
            "SELECT key, origin, attachment, org_name, report_id, policy_domain, arrival, ingested, file, content,
                (SELECT day FROM reports WHERE reports.key = conflicts.key)
             FROM conflicts ORDER BY ingested, origin, file",
        )?;
        statement.query_map([], conflict)?.collect()
    };
    read().map_err(ledger.failed("listing the conflicts"))
}

fn rejected(ledger: &Ledger) -> Result<Vec<RejectedEntry>, StoreError> {
    let read = || -> rusqlite::Result<Vec<RejectedEntry>> {
        let mut statement = ledger.connection.prepare(
            "SELECT hash, origin, attachment, reason, arrival, ingested, bytes, file FROM rejected
             ORDER BY ingested, origin, hash",
        )?;
        statement.query_map([], entry)?.collect()
    };
    read().map_err(ledger.failed("listing the rejected items"))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<RejectedEntry> {
    Ok(RejectedEntry {
        hash: Hash(row.get(0)?),
        origin: row.get(1)?,
        attachment: row.get(2)?,
        reason: row.get(3)?,
        arrival: time(row.get(4)?),
        ingested: time(row.get(5)?),
        bytes: row.get(6)?,
        // Empty where the quota let the bytes go.
        file: row.get::<_, Option<String>>(7)?.filter(|file| !file.is_empty()),
    })
}

fn conflict(row: &Row<'_>) -> rusqlite::Result<ConflictEntry> {
    Ok(ConflictEntry {
        key: ReportKey(row.get(0)?),
        origin: row.get(1)?,
        attachment: row.get(2)?,
        org_name: row.get(3)?,
        report_id: row.get(4)?,
        policy_domain: row.get(5)?,
        arrival: time(row.get(6)?),
        ingested: time(row.get(7)?),
        file: Some(row.get(8)?).filter(|file: &String| !file.is_empty()),
        content: Hash(row.get(9)?),
        day: row.get::<_, Option<i32>>(10)?.map(super::reports::day),
    })
}

impl Writer {
    /// The rejected items, oldest first.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn rejected(&self) -> Result<Vec<RejectedEntry>, StoreError> {
        rejected(&self.ledger)
    }

    /// The conflicts, oldest first.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn conflicts(&self) -> Result<Vec<ConflictEntry>, StoreError> {
        conflicts(&self.ledger)
    }

    /// The original of a conflict.
    ///
    /// # Errors
    /// Where its bytes were not kept, or they cannot be read.
    pub fn conflict(&self, entry: &ConflictEntry) -> Result<Original, StoreError> {
        let file = entry.file.as_deref().ok_or_else(|| StoreError::Unknown {
            what: entry.origin.clone(),
            expected: "a conflict whose bytes were kept",
        })?;
        let path = self.layout.file(file);
        let bytes = std::fs::read(&path).map_err(StoreError::io(&path, "reading a conflict"))?;
        Ok(if file.ends_with(".gz") { Original::Gzip(bytes) } else { Original::Xml(bytes) })
    }

    /// The bytes of a rejected item.
    ///
    /// # Errors
    /// Where none were kept, or they cannot be read.
    pub fn rejected_bytes(&self, entry: &RejectedEntry) -> Result<Vec<u8>, StoreError> {
        let file = entry.file.as_deref().ok_or_else(|| StoreError::Unknown {
            what: entry.origin.clone(),
            expected: "a rejected item whose bytes were kept",
        })?;
        let path = self.layout.file(file);
        std::fs::read(files::standing(&path)).map_err(StoreError::io(&path, "reading a rejected item"))
    }

    /// Let a rejected item go, with its bytes: all that was in it is committed, or nobody wants it.
    ///
    /// # Errors
    /// Where the ledger cannot be written or the file not removed.
    pub fn forget_rejected(&mut self, entry: &RejectedEntry) -> Result<(), StoreError> {
        self.ledger.write("letting a rejected item go", |transaction| {
            transaction.execute("DELETE FROM rejected WHERE hash = ?1", [entry.hash.0])?;
            intents::remove(transaction, &entry.file)
        })?;
        self.settle()
    }

    /// Note another reason for a rejected item that was tried again in vain.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub fn reject_again(&mut self, entry: &RejectedEntry, reason: &str) -> Result<(), StoreError> {
        let sql = "UPDATE rejected SET reason = ?2 WHERE hash = ?1";
        let note = |transaction: &rusqlite::Transaction<'_>| transaction.execute(sql, params![entry.hash.0, reason]);
        self.ledger.write("noting a reason", note).map(drop)
    }
}
