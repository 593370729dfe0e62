//! Rejected items and conflicts: listed, read, and dropped.

use super::database::Ledger;
use crate::model::{Hash, ReportKey};
use crate::store::error::StoreError;
use crate::store::tables::values::{self, time};

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::Row;

/// Something that should have been a report and could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedEntry {
    /// Its ID: the hash of its bytes, or of its origin and reason if there are none.
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
    /// Where the bytes are, below the folder of the store; `None` if they are not kept.
    pub file: Option<String>,
}

/// A report with the same key as another, different one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictEntry {
    /// The key both have.
    pub key: ReportKey,
    /// The hash of its document, which distinguishes it from others with its key.
    pub content: Hash,
    /// Where this one came from.
    pub origin: String,
    /// The file or attachment name nearest to it.
    pub attachment: Option<String>,
    /// The reporter.
    pub org_name: String,
    /// The reporter's ID.
    pub report_id: String,
    /// The domain it is about.
    pub policy_domain: String,
    /// When it arrived.
    pub arrival: Timestamp,
    /// When it was recorded.
    pub ingested: Timestamp,
    /// Where the bytes are, below the folder of the store; `None` if the quota dropped them.
    pub file: Option<String>,
    /// The day of the stored report with its key; `None` if that was pruned.
    pub day: Option<Date>,
}

pub(crate) fn conflicts(ledger: &Ledger) -> Result<Vec<ConflictEntry>, StoreError> {
    let sql = "SELECT key, origin, attachment, org_name, report_id, policy_domain, arrival, ingested, file, content,
            COALESCE((SELECT day FROM reports WHERE reports.key = conflicts.key),
                (SELECT day FROM tls_reports WHERE tls_reports.key = conflicts.key))
         FROM conflicts ORDER BY ingested, origin, file";
    ledger.rows("listing the conflicts", sql, [], conflict)
}

pub(crate) fn rejected(ledger: &Ledger) -> Result<Vec<RejectedEntry>, StoreError> {
    let sql = "SELECT hash, origin, attachment, reason, arrival, ingested, bytes, file FROM rejected
         ORDER BY ingested, origin, hash";
    ledger.rows("listing the rejected items", sql, [], entry)
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
        // Empty if the quota dropped the bytes.
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
        day: row.get::<_, Option<i32>>(10)?.map(values::day),
    })
}
