//! The steps of a commit, in an order in which a kill at any instant loses nothing and duplicates nothing.
//!
//! 1. A transaction names the files to be written.
//! 2. The files are written under hidden names, and files and names are synced.
//! 3. A transaction records reports, files, items and cursors. From here on the batch exists.
//! 4. The files get their final names.
//!
//! Before step 3 is durable the next writer removes the hidden files; after it the next writer gives them their names.
//! The rows of step 3 are inserted while the files of step 2 are written: only the end of the transaction makes them
//! valid.

use super::batch::{Batch, Conflict, Reject, TlsConflict};
use super::ledger_files::{LedgerFile, record_files};
use super::replace;
use super::rivals::Rivals;
use super::writer::Writer;
use crate::limits::return_freed_memory;
use crate::model::{Accepted, AcceptedTls, Fate, Hash, Message, Provenance, ReportKey};
use crate::store::disk::access::{create_folder, sync_folder};
use crate::store::disk::files::write_file;
use crate::store::disk::layout::{FileKind, Layout, Month};
use crate::store::error::StoreError;
use crate::store::ledger::survey::LAST_BATCH;
use crate::store::ledger::{intents, mailboxes, outbox, quota, tls};
use crate::store::pack::manifest::{PackItem, Standing};
use crate::store::pack::zip::PackContents;
use crate::store::parquet::encode;
use crate::store::tables::reports::{self, ReportRow, sums};
use crate::store::tables::values::int;
use jiff::Timestamp;
use rayon::prelude::*;
use rusqlite::types::ToSqlOutput;
use rusqlite::{Transaction, params, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

/// An instant at which a test may kill the commit.
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

/// A file that a commit writes.
enum Task<'a> {
    Part {
        path: String,
        month: Month,
        reports: Vec<&'a Accepted>,
    },
    Pack {
        path: String,
        month: Month,
        reports: Vec<PackItem<'a>>,
        records: usize,
    },
    /// The bytes of a rejected item or of a report in conflict.
    Plain {
        path: String,
        bytes: &'a [u8],
    },
}

impl Task<'_> {
    fn path(&self) -> &str {
        match self {
            Self::Part { path, .. } | Self::Pack { path, .. } | Self::Plain { path, .. } => path,
        }
    }
}

impl Writer {
    /// Makes the batch durable, and returns the messages whose reports are now stored.
    ///
    /// # Errors
    /// A disk error. Then nothing of the batch is stored, and the next writer finds the store as it was before.
    pub fn commit(&mut self) -> Result<Vec<(Message, Fate)>, StoreError> {
        if self.batch.is_empty() {
            return Ok(Vec::new());
        }
        self.known.release()?;
        self.rivals = Rivals::default();
        self.make_room()?;
        // The batch is taken out while the writer's hook and ledger are used.
        let is_large = self.is_crowded();
        let mut batch = std::mem::take(&mut self.batch);
        try_commit(self, &batch)?;
        self.fresh = self.fresh && batch.accepted.is_empty();
        let messages = std::mem::take(&mut batch.messages);
        drop(batch);
        if is_large {
            return_freed_memory();
        }
        Ok(messages)
    }
}

fn try_commit(writer: &mut Writer, batch: &Batch) -> Result<(), StoreError> {
    step(writer, CommitStage::Start)?;
    writer.lock.check()?;
    let rewrites = replace::plan(writer, batch)?;
    let number = next_batch(writer)?;
    let tasks = tasks(batch, number, writer);
    plan(writer, &tasks)?;
    step(writer, CommitStage::Planned)?;
    let rewritten = replace::write(&writer.layout, &writer.ledger, &rewrites)?;
    let transaction = write(writer, batch, number, &tasks)?;
    step(writer, CommitStage::Written)?;
    replace::record(&transaction, &rewrites, &rewritten).map_err(writer.ledger.failed("recording the batch"))?;
    end(transaction, writer, batch, &tasks).map_err(writer.ledger.failed("recording the batch"))?;
    step(writer, CommitStage::Recorded)?;
    if !writer.rebuilding {
        writer.published = intents::settle(&writer.layout, &writer.ledger)?;
    }
    step(writer, CommitStage::Published)
}

#[cfg_attr(not(test), expect(clippy::unnecessary_wraps, reason = "tests kill here"))]
fn step(writer: &Writer, step: CommitStage) -> Result<(), StoreError> {
    #[cfg(test)]
    if writer.fault.borrow_mut().as_mut().is_some_and(|fault| fault(step)) {
        return Err(StoreError::Unknown { what: format!("{step:?}"), expected: "a writer that lives" });
    }
    let _ = (writer, step);
    Ok(())
}

/// The next number of a file: greater than all in the ledger, which are greater than all on the disk.
fn next_batch(writer: &Writer) -> Result<i64, StoreError> {
    let found = writer.ledger.connection.query_row(LAST_BATCH, [], |row| row.get::<_, i64>(0));
    found.map(|last| last.saturating_add(1)).map_err(writer.ledger.failed("numbering the batch"))
}

fn tasks<'b>(batch: &'b Batch, number: i64, writer: &Writer) -> Vec<Task<'b>> {
    let mut months: BTreeMap<Month, Vec<&Accepted>> = BTreeMap::new();
    for accepted in &batch.accepted {
        months.entry(Month::of(accepted.report.day)).or_default().push(accepted);
    }
    let mut packs: BTreeMap<Month, Vec<PackItem<'_>>> = BTreeMap::new();
    let mut records: BTreeMap<Month, usize> = BTreeMap::new();
    for (month, reports) in &months {
        packs.entry(*month).or_default().extend(reports.iter().map(|accepted| PackItem::from(*accepted)));
        records.insert(*month, reports.iter().map(|accepted| accepted.report.records.len()).sum());
    }
    for accepted in &batch.tls.accepted {
        packs.entry(Month::of(accepted.report.day)).or_default().push(accepted.into());
    }
    let mut tasks = Vec::new();
    for (month, reports) in months {
        // A report without rows has an original and a line in the ledger, but no part.
        let with_rows: Vec<&Accepted> =
            reports.iter().copied().filter(|accepted| !accepted.report.records.is_empty()).collect();
        if !with_rows.is_empty() {
            let path = Layout::relative_file(FileKind::Part, month, number, writer.tag);
            tasks.push(Task::Part { path, month, reports: with_rows });
        }
    }
    // A rebuild reads the originals from packs, which stay.
    for (month, reports) in packs.into_iter().filter(|_| !writer.rebuilding) {
        let path = Layout::relative_file(FileKind::Pack, month, number, writer.tag);
        let records = records.get(&month).copied().unwrap_or(0);
        tasks.push(Task::Pack { path, month, reports, records });
    }
    for (hash, reject) in &batch.rejects {
        if let Some(bytes) = &reject.bytes {
            tasks.push(Task::Plain { path: rejected_file(&hash.to_string(), reject.extension), bytes });
        }
    }
    for Conflict { accepted, file } in batch.conflict_files() {
        tasks.push(Task::Plain { path: file.clone(), bytes: accepted.original.bytes() });
    }
    let mut seen = BTreeSet::new();
    for TlsConflict { accepted, file } in batch.tls.conflicts.iter().filter(|conflict| seen.insert(&conflict.file)) {
        tasks.push(Task::Plain { path: file.clone(), bytes: accepted.original.bytes() });
    }
    tasks
}

fn rejected_file(hash: &str, extension: &str) -> String {
    match extension {
        "" => format!("rejected/{hash}"),
        extension => format!("rejected/{hash}.{extension}"),
    }
}

/// Step 1. Files published by an earlier commit are durable from here on, and no longer need intents.
fn plan(writer: &Writer, tasks: &[Task<'_>]) -> Result<(), StoreError> {
    if tasks.is_empty() {
        return Ok(());
    }
    intents::sync(&writer.layout, &writer.published)?;
    writer.ledger.write("recording the files to be written", |transaction| {
        intents::forget_published(transaction, &writer.published)?;
        intents::plan(transaction, writer.ledger.generation, tasks.iter().map(Task::path))
    })
}

/// Step 2, and the rows of step 3 in a transaction that is still open.
fn write<'w>(
    writer: &'w Writer,
    batch: &Batch,
    number: i64,
    tasks: &[Task<'_>],
) -> Result<Transaction<'w>, StoreError> {
    let layout = &writer.layout;
    let folders: BTreeSet<&Path> =
        tasks.iter().map(|task| Path::new(task.path()).parent().expect("every file is in a folder")).collect();
    let folders: Vec<PathBuf> = folders.into_iter().map(|folder| layout.root().join(folder)).collect();
    folders.iter().try_for_each(|folder| create_folder(folder))?;

    let now = writer.now;
    let standing = |key: ReportKey| {
        let replaces = batch.replaced.contains(&key) || batch.tls.replaced.contains(&key);
        let replaced = if replaces { number } else { 0 };
        let ingested = batch.ingested.get(&key).copied().unwrap_or(now);
        Standing { ingested, replaced, promoted: batch.promoted.contains(&key) }
    };
    let mut written: Vec<Option<Result<Option<LedgerFile>, StoreError>>> = tasks.iter().map(|_| None).collect();
    let entered = rayon::in_place_scope(|scope| {
        for (task, slot) in tasks.iter().zip(&mut written) {
            let standing = &standing;
            scope.spawn(move |_| *slot = Some(write_task(layout, task, standing)));
        }
        enter(writer, batch, number)
    });
    let made: Vec<LedgerFile> =
        written.into_iter().flatten().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    let transaction = entered?;
    folders.into_par_iter().try_for_each(|folder| sync_folder(&folder))?;
    record_files(&transaction, &made, number).map_err(writer.ledger.failed("recording the batch"))?;
    Ok(transaction)
}

fn write_task(
    layout: &Layout,
    task: &Task<'_>,
    standing: &(dyn Fn(ReportKey) -> Standing + Sync),
) -> Result<Option<LedgerFile>, StoreError> {
    let target = layout.file(task.path());
    let file = Layout::temporary(&target);
    let made = match task {
        Task::Part { path, month, reports } => {
            let bytes = encode_part(reports, standing).map_err(StoreError::parquet(&target, "writing the part"))?;
            let seal = write_file(&file, |out| out.write_all(&bytes))?;
            let records: usize = reports.iter().map(|accepted| accepted.report.records.len()).sum();
            Some((path, FileKind::Part, month, records, reports.len(), seal))
        }
        Task::Pack { path, month, reports, records } => {
            let contents = PackContents::of(reports, standing);
            let seal = write_file(&file, |out| contents.write(out))?;
            Some((path, FileKind::Pack, month, *records, reports.len(), seal))
        }
        Task::Plain { bytes, .. } => {
            write_file(&file, |out| out.write_all(bytes))?;
            None
        }
    };
    Ok(made.map(|(path, kind, month, records, reports, seal)| LedgerFile {
        path: path.clone(),
        kind,
        month: *month,
        records: int(records),
        reports: int(reports),
        seal,
    }))
}

fn encode_part(reports: &[&Accepted], standing: &dyn Fn(ReportKey) -> Standing) -> polars_error::PolarsResult<Vec<u8>> {
    encode::encode(&encode::judged(reports, &encode::keys(reports), |accepted| standing(accepted.report.key).ingested))
}

/// Inserts everything of the batch that needs no file, in a transaction that is still open.
fn enter<'w>(writer: &'w Writer, batch: &Batch, number: i64) -> Result<Transaction<'w>, StoreError> {
    let transaction = writer.ledger.begin("recording the batch")?;
    let now = writer.now.as_millisecond();
    let record = || -> rusqlite::Result<()> {
        record_batch(&transaction, batch, number, now)?;
        record_reports(&transaction, batch, number, writer.now)?;
        record_tls(&transaction, batch, number, writer.now)?;
        record_sums(&transaction, batch)?;
        record_rest(&transaction, batch, now)?;
        mailboxes::record(&transaction, &batch.messages, now)?;
        mailboxes::record_heard(&transaction, &batch.heard)
    };
    record().map_err(writer.ledger.failed("recording the batch"))?;
    Ok(transaction)
}

/// Step 3: the files are durable; commits.
fn end(transaction: Transaction<'_>, writer: &Writer, batch: &Batch, tasks: &[Task<'_>]) -> rusqlite::Result<()> {
    intents::publish(&transaction, tasks.iter().map(Task::path))?;
    if !batch.rejects.is_empty() {
        quota::hold_rejected(&transaction, writer.quota)?;
    }
    if !batch.conflicts.is_empty() || !batch.tls.conflicts.is_empty() {
        quota::hold_conflicts(&transaction, &writer.layout, writer.quota)?;
    }
    transaction.commit()
}

fn record_batch(transaction: &Transaction<'_>, batch: &Batch, number: i64, now: i64) -> rusqlite::Result<()> {
    let counts = params![number, now, int(batch.accepted.len()), int(batch.records)];
    transaction.execute("INSERT INTO batches VALUES (?1, ?2, ?3, ?4)", counts).map(drop)
}

fn record_reports(transaction: &Transaction<'_>, batch: &Batch, number: i64, now: Timestamp) -> rusqlite::Result<()> {
    for ReportKey(key) in &batch.replaced {
        transaction.prepare_cached("DELETE FROM reports WHERE key = ?1")?.execute([key])?;
    }
    if !batch.replaced.is_empty() {
        outbox::numbers_may_return(transaction)?;
    }
    let mut statement = transaction.prepare_cached(&insert_report())?;
    for accepted in &batch.accepted {
        let ingested = batch.ingested.get(&accepted.report.key).copied().unwrap_or(now);
        let row = ReportRow::new(accepted, ingested);
        let values = row.values().chain(std::iter::once(ToSqlOutput::from(number)));
        statement.execute(params_from_iter(values))?;
    }
    Ok(())
}

fn record_tls(transaction: &Transaction<'_>, batch: &Batch, number: i64, now: Timestamp) -> rusqlite::Result<()> {
    batch.tls.replaced.iter().try_for_each(|key| tls::forget(transaction, *key))?;
    let ingested = |accepted: &AcceptedTls| batch.ingested.get(&accepted.report.key).copied().unwrap_or(now);
    let reports = batch.tls.accepted.iter().map(|accepted| (accepted, ingested(accepted)));
    tls::record(transaction, reports, number)
}

/// The statement that inserts a report: the values of its row, then the number of the batch.
fn insert_report() -> String {
    let names: Vec<String> = reports::COLUMNS.iter().map(|column| format!("\"{}\"", column.ledger)).collect();
    let places = vec!["?"; names.len() + 1].join(", ");
    format!("INSERT INTO reports ({}, batch) VALUES ({places})", names.join(", "))
}

/// Updates the sums that `status` shows.
fn record_sums(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let mut months: BTreeMap<Month, [i64; 4]> = BTreeMap::new();
    let mut reporters: BTreeMap<&str, (i64, i64, i64)> = BTreeMap::new();
    let mut again: BTreeSet<Month> = BTreeSet::new();
    for accepted in &batch.accepted {
        let (messages, passing) = sums(accepted);
        let sum = months.entry(Month::of(accepted.report.day)).or_default();
        let records = int(accepted.report.records.len());
        for (sum, more) in sum.iter_mut().zip([1, records, messages, passing]) {
            *sum = sum.saturating_add(more);
        }
        let reporter = reporters.entry(&accepted.report.metadata.org_name).or_insert((0, i64::MIN, i64::MIN));
        // The replaced report already counted for its reporter.
        let replaced = batch.replaced.contains(&accepted.report.key);
        reporter.0 += i64::from(!replaced);
        if replaced {
            again.insert(Month::of(accepted.report.day));
        }
        reporter.1 = reporter.1.max(accepted.report.metadata.end.as_millisecond());
        reporter.2 = reporter.2.max(accepted.provenance.arrival.as_millisecond());
    }
    let mut statement = transaction.prepare_cached(
        // SQLite turns a sum beyond 2^63 - 1 into a floating-point number, which is no longer exact.
        "INSERT INTO totals VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (month) DO UPDATE SET reports = reports + ?2,
         records = records + ?3, messages = MIN(messages, 9223372036854775807 - ?4) + ?4,
         dmarc_pass = MIN(dmarc_pass, 9223372036854775807 - ?5) + ?5",
    )?;
    for (month, [reports, records, messages, passing]) in months {
        statement.execute(params![month.to_string(), reports, records, messages, passing])?;
    }
    again.into_iter().try_for_each(|month| replace::sum_month(transaction, month))?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO reporters VALUES (?1, ?2, ?3, ?4) ON CONFLICT (org_name) DO UPDATE SET reports = reports + ?2,
         newest_end = MAX(newest_end, ?3), newest_arrival = MAX(newest_arrival, ?4)",
    )?;
    for (org_name, (reports, end, arrival)) in reporters {
        statement.execute(params![org_name, reports, end, arrival])?;
    }
    Ok(())
}

/// What the ledger keeps of a report in conflict.
pub(crate) struct ConflictRow<'a> {
    key: ReportKey,
    content: Hash,
    provenance: &'a Provenance,
    org_name: &'a str,
    report_id: &'a str,
    policy_domain: &'a str,
}

impl<'a> From<&'a Accepted> for ConflictRow<'a> {
    fn from(accepted: &'a Accepted) -> Self {
        let Accepted { report, content, provenance, .. } = accepted;
        Self {
            key: report.key,
            content: *content,
            provenance,
            org_name: &report.metadata.org_name,
            report_id: &report.metadata.report_id,
            policy_domain: report.policy.domain.as_str(),
        }
    }
}

impl<'a> From<&'a AcceptedTls> for ConflictRow<'a> {
    fn from(accepted: &'a AcceptedTls) -> Self {
        let AcceptedTls { report, provenance, .. } = accepted;
        Self {
            key: report.key,
            content: report.content,
            provenance,
            org_name: &report.org_name,
            report_id: &report.report_id,
            policy_domain: report.domains().first().copied().unwrap_or_default(),
        }
    }
}

/// Records a report in conflict with the stored one, and the file it is kept in. `or` says what to do if the conflict
/// is known: `REPLACE` or `IGNORE`.
pub(crate) fn insert_conflict(
    transaction: &Transaction<'_>,
    or: &str,
    row: &ConflictRow<'_>,
    ingested: i64,
    file: &str,
) -> rusqlite::Result<()> {
    let sql = format!("INSERT OR {or} INTO conflicts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    transaction.prepare_cached(&sql)?.execute(params![
        row.key.0,
        row.content.0,
        row.provenance.origin,
        row.provenance.attachment,
        row.org_name,
        row.report_id,
        row.policy_domain,
        row.provenance.arrival.as_millisecond(),
        ingested,
        file,
    ])?;
    Ok(())
}

/// Records seen items, rejected items and conflicts.
fn record_rest(transaction: &Transaction<'_>, batch: &Batch, now: i64) -> rusqlite::Result<()> {
    let mut statement =
        transaction.prepare_cached("INSERT OR REPLACE INTO seen VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let mut seen: Vec<_> = batch.seen.iter().collect();
    seen.sort_unstable_by_key(|(hash, _)| *hash);
    for (hash, item) in seen {
        // TLS reports count as reports; older programs set them aside.
        let counts = params![hash, item.reports, 0, item.failure, item.bounce, item.other, item.rejected];
        statement.execute(counts)?;
    }
    let mut statement = transaction.prepare_cached("INSERT INTO rejected VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for origin in &batch.fetched {
        transaction.prepare_cached("DELETE FROM rejected WHERE file IS NULL AND origin = ?1")?.execute([origin])?;
    }
    for (hash, reject) in &batch.rejects {
        let Reject { origin, attachment, reason, bytes, extension, arrival } = reject;
        let size = bytes.as_ref().map_or(0, |bytes| int(bytes.len()));
        let file = bytes.as_ref().map(|_| rejected_file(&hash.to_string(), extension));
        statement.execute(params![hash.0, origin, attachment, reason, arrival.as_millisecond(), now, size, file])?;
    }
    let mut settled: Vec<String> = Vec::new();
    for (key, content) in &batch.settled {
        let sql = "SELECT file FROM conflicts WHERE key = ?1 AND content = ?2 AND file <> ''";
        let mut files = transaction.prepare_cached(sql)?;
        let files = files.query_map(params![key.0, content.0], |row| row.get(0))?;
        settled.extend(files.collect::<rusqlite::Result<Vec<String>>>()?);
        let sql = "DELETE FROM conflicts WHERE key = ?1 AND content = ?2";
        transaction.prepare_cached(sql)?.execute(params![key.0, content.0])?;
    }
    let conflicts = batch.conflicts.iter().map(|Conflict { accepted, file }| (accepted, file));
    let before = batch.replaced_before.iter().map(|(accepted, file)| (accepted, file));
    for (accepted, file) in conflicts.chain(before) {
        insert_conflict(transaction, "REPLACE", &accepted.into(), now, file)?;
    }
    for TlsConflict { accepted, file } in batch.tls.conflicts.iter().chain(&batch.tls.replaced_before) {
        insert_conflict(transaction, "REPLACE", &accepted.into(), now, file)?;
    }
    // Its bytes are in the pack of this batch. Other conflicts may be in the same file.
    let mut needed = transaction.prepare_cached("SELECT 1 FROM conflicts WHERE file = ?1")?;
    for file in settled {
        if !needed.exists([&file])? {
            intents::remove(transaction, [&file])?;
        }
    }
    Ok(())
}
