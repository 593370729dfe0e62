//! The status of the store, read from sums that commits maintain: nothing is counted here.

use super::database::Ledger;
use crate::store::disk::layout::Month;
use crate::store::error::StoreError;
use crate::store::tables::values::time;

use jiff::Timestamp;
use rusqlite::{Connection, Row, types::ValueRef};
use serde::Serialize;

/// Sums of reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ReportTotals {
    /// Reports.
    pub reports: i64,
    /// Their rows.
    pub records: i64,
    /// Sum of the rows' counts; `i64::MAX` if it overflows.
    pub messages: i64,
    /// Messages that pass.
    pub dmarc_pass: i64,
}

impl ReportTotals {
    /// Adds other sums; each stays at `i64::MAX` if it overflows.
    pub(crate) fn add(&mut self, more: Self) {
        self.reports = self.reports.saturating_add(more.reports);
        self.records = self.records.saturating_add(more.records);
        self.messages = self.messages.saturating_add(more.messages);
        self.dmarc_pass = self.dmarc_pass.saturating_add(more.dmarc_pass);
    }
}

/// A reporter, and when it last reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReporterTotals {
    /// Its name for itself.
    pub org_name: String,
    /// Its reports.
    pub reports: i64,
    /// The end of its newest period.
    pub newest_end: Timestamp,
    /// When its newest report arrived.
    pub newest_arrival: Timestamp,
}

/// A folder of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FolderStatus {
    /// The mailbox's name in the settings.
    pub mailbox: String,
    /// The folder, in the server's own encoding.
    pub folder: String,
    /// Its `UIDVALIDITY`.
    pub uid_validity: u32,
    /// Every message up to this UID was processed.
    pub last_uid: u32,
    /// When it was last read.
    pub read_at: Timestamp,
    /// Messages whose reports are stored, but which the server was not told about yet.
    pub pending: i64,
}

/// Files of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FileTotals {
    /// How many.
    #[serde(rename = "files")]
    pub count: i64,
    /// Their bytes.
    pub bytes: i64,
}

/// The status of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The version of the data folder; `None` for a folder of Parquet files, or without a ledger.
    pub version: Option<i64>,
    /// Over all months.
    pub totals: ReportTotals,
    /// By month of the rows' day, oldest first.
    pub months: Vec<(Month, ReportTotals)>,
    /// By name.
    pub reporters: Vec<ReporterTotals>,
    /// By mailbox and folder.
    pub folders: Vec<FolderStatus>,
    /// When the newest DMARC report arrived.
    pub newest_arrival: Option<Timestamp>,
    /// TLS reports, which all sums above leave out.
    pub tls_reports: i64,
    /// When the newest of them arrived.
    pub newest_tls_arrival: Option<Timestamp>,
    /// When the last batch was committed.
    pub last_commit: Option<Timestamp>,
    /// Parquet parts.
    pub parts: FileTotals,
    /// Packs of originals.
    pub packs: FileTotals,
    /// Rejected items, and the bytes kept of them.
    pub rejected: FileTotals,
    /// Rejected items whose bytes were dropped: the oldest beyond the quota.
    pub let_go: i64,
    /// When the newest of them arrived.
    pub newest_rejected: Option<Timestamp>,
    /// Reports in conflict with one stored before.
    pub conflicts: i64,
    /// Those whose bytes were dropped: the oldest beyond the quota.
    pub conflicts_let_go: i64,
    /// Files in `rejected/` that the ledger does not list, as after a rebuild without the old ledger.
    pub rejected_unlisted: i64,
    /// The same in `conflicts/`.
    pub conflicts_unlisted: i64,
}

impl Status {
    /// When the newest report arrived whose absence is worth an alarm: of the DMARC reports, or, without any, of the TLS
    /// reports. TLS reports that go on are no sign that the others still come.
    pub fn newest_awaited(&self) -> Option<Timestamp> {
        self.newest_arrival.or(self.newest_tls_arrival)
    }
}

pub(crate) fn status(ledger: &Ledger) -> Result<Status, StoreError> {
    let status = ledger.read("reading the status", read)?;
    Ok(Status { version: Some(ledger.version()?), ..status })
}

fn read(connection: &Connection) -> rusqlite::Result<Status> {
    let mut status = Status { months: months(connection)?, ..Status::default() };
    status.months.iter().for_each(|(_, month)| status.totals.add(*month));
    status.reporters = all(connection, "SELECT org_name, reports, newest_end, newest_arrival FROM reporters", |row| {
        let (newest_end, newest_arrival) = (time(row.get(2)?), time(row.get(3)?));
        Ok(ReporterTotals { org_name: row.get(0)?, reports: row.get(1)?, newest_end, newest_arrival })
    })?;
    status.newest_arrival = status.reporters.iter().map(|reporter| reporter.newest_arrival).max();
    status.folders = all(
        connection,
        "SELECT mailbox, folder, uid_validity, last_uid, read_at, (SELECT COUNT(*) FROM pending WHERE
            pending.mailbox = folders.mailbox AND pending.folder = folders.folder) FROM folders",
        |row| {
            Ok(FolderStatus {
                mailbox: row.get(0)?,
                folder: row.get(1)?,
                uid_validity: row.get(2)?,
                last_uid: row.get(3)?,
                read_at: time(row.get(4)?),
                pending: row.get(5)?,
            })
        },
    )?;
    let files = |kind: &str| {
        let sql = "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM files WHERE kind = ?1";
        connection.query_row(sql, [kind], |row| Ok(FileTotals { count: row.get(0)?, bytes: row.get(1)? }))
    };
    status.parts = files("records")?;
    status.packs = files("originals")?;
    let maybe = |at: Option<i64>| at.map(time);
    status.last_commit = last_commit(connection)?;
    (status.rejected, status.newest_rejected, status.let_go) = connection.query_row(
        "SELECT COUNT(*), COALESCE(SUM(bytes) FILTER (WHERE file <> ''), 0), MAX(ingested),
            COUNT(*) FILTER (WHERE file = '') FROM rejected",
        [],
        |row| Ok((FileTotals { count: row.get(0)?, bytes: row.get(1)? }, maybe(row.get(2)?), row.get(3)?)),
    )?;
    (status.conflicts, status.conflicts_let_go) =
        connection.query_row("SELECT COUNT(*), COUNT(*) FILTER (WHERE file = '') FROM conflicts", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    Ok(status)
}

pub(crate) fn last_commit(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let sql = "SELECT MAX(committed) FROM batches WHERE id = (SELECT MAX(id) FROM batches)";
    connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).map(|at| at.map(time))
}

fn months(connection: &Connection) -> rusqlite::Result<Vec<(Month, ReportTotals)>> {
    let sql = "SELECT month, reports, records, messages, dmarc_pass FROM totals ORDER BY month";
    let months = all(connection, sql, |row| {
        let totals = ReportTotals {
            reports: row.get(1)?,
            records: row.get(2)?,
            messages: sum(row, 3)?,
            dmarc_pass: sum(row, 4)?,
        };
        Ok(Month::parse(row.get_ref(0)?.as_str()?).map(|month| (month, totals)))
    })?;
    Ok(months.into_iter().flatten().collect())
}

/// A stored sum. An earlier version let it overflow into a floating-point number.
fn sum(row: &Row<'_>, column: usize) -> rusqlite::Result<i64> {
    match row.get_ref(column)? {
        ValueRef::Real(_) => Ok(i64::MAX),
        _ => row.get(column),
    }
}

fn all<T>(
    connection: &Connection,
    sql: &str,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare(sql)?.query_map([], row)?.collect()
}
