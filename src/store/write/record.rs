//! The rows of a batch: all that its transaction inserts, except the files.

use super::batch::{Batch, Conflict, Reject};
use super::replace;
use crate::model::{Accepted, AcceptedTls, Hash, Provenance, ReportKey};
use crate::store::disk::layout::Month;
use crate::store::ledger::{intents, mailboxes, outbox, tls};
use crate::store::tables::reports::{self, ReportRow, sums};
use crate::store::tables::values::int;
use jiff::Timestamp;
use rusqlite::types::ToSqlOutput;
use rusqlite::{OptionalExtension as _, Transaction, params, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};

/// Inserts everything of a batch that needs no file.
pub(super) fn record_all(
    transaction: &Transaction<'_>,
    batch: &Batch,
    number: i64,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let at = now.as_millisecond();
    let counts = params![number, at, int(batch.accepted.len()), int(batch.records)];
    transaction.execute("INSERT INTO batches VALUES (?1, ?2, ?3, ?4)", counts)?;
    record_reports(transaction, batch, number, now)?;
    record_tls(transaction, batch, number, now)?;
    record_sums(transaction, batch)?;
    record_seen(transaction, batch)?;
    record_rejects(transaction, batch, at)?;
    record_conflicts(transaction, batch, at)?;
    mailboxes::record(transaction, &batch.messages, at)?;
    mailboxes::record_heard(transaction, &batch.heard)
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
        let row = ReportRow::new(accepted, batch.first_stored(accepted.report.key, now));
        let values = row.values().chain(std::iter::once(ToSqlOutput::from(number)));
        statement.execute(params_from_iter(values))?;
    }
    Ok(())
}

fn record_tls(transaction: &Transaction<'_>, batch: &Batch, number: i64, now: Timestamp) -> rusqlite::Result<()> {
    batch.tls.replaced.iter().try_for_each(|key| tls::forget(transaction, *key))?;
    let reports = batch.tls.accepted.iter();
    let reports = reports.map(|accepted| (accepted, batch.first_stored(accepted.report.key, now)));
    tls::record(transaction, reports, number)
}

/// The statement that inserts a report: the values of its row, then the number of the batch.
fn insert_report() -> String {
    let places = vec!["?"; reports::COLUMNS.len() + 1].join(", ");
    format!("INSERT INTO reports ({}, batch) VALUES ({places})", reports::ledger_columns())
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

/// Notes how the content of each item counted.
fn record_seen(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let mut statement =
        transaction.prepare_cached("INSERT OR REPLACE INTO seen VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let mut seen: Vec<_> = batch.seen.iter().collect();
    seen.sort_unstable_by_key(|(hash, _)| *hash);
    for (hash, item) in seen {
        // TLS reports count as reports; older programs set them aside.
        let counts = params![hash, item.reports, 0, item.failure, item.bounce, item.other, item.rejected];
        statement.execute(counts)?;
    }
    Ok(())
}

/// The file of rejected bytes, below the root.
pub(super) fn rejected_file(hash: Hash, extension: &str) -> String {
    let dot = if extension.is_empty() { "" } else { "." };
    format!("rejected/{hash}{dot}{extension}")
}

fn record_rejects(transaction: &Transaction<'_>, batch: &Batch, now: i64) -> rusqlite::Result<()> {
    let mut forget = transaction.prepare_cached("DELETE FROM rejected WHERE file IS NULL AND origin = ?1")?;
    batch.fetched.iter().try_for_each(|origin| forget.execute([origin]).map(drop))?;
    let mut statement = transaction.prepare_cached("INSERT INTO rejected VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for (hash, reject) in &batch.rejects {
        let Reject { origin, attachment, reason, bytes, extension, arrival } = reject;
        let size = bytes.as_ref().map_or(0, |bytes| int(bytes.len()));
        let file = bytes.as_ref().map(|_| rejected_file(*hash, extension));
        statement.execute(params![hash.0, origin, attachment, reason, arrival.as_millisecond(), now, size, file])?;
    }
    Ok(())
}

fn record_conflicts(transaction: &Transaction<'_>, batch: &Batch, now: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM conflicts WHERE key = ?1 AND content = ?2 RETURNING file";
    let mut settle = transaction.prepare_cached(sql)?;
    let mut settled: Vec<String> = Vec::new();
    for (key, content) in &batch.settled {
        settled.extend(settle.query_row(params![key.0, content.0], |row| row.get::<_, String>(0)).optional()?);
    }
    for Conflict { accepted, file } in batch.conflicts.iter().chain(&batch.replaced_before) {
        insert_conflict(transaction, "REPLACE", &accepted.into(), now, file)?;
    }
    for Conflict { accepted, file } in batch.tls.conflicts.iter().chain(&batch.tls.replaced_before) {
        insert_conflict(transaction, "REPLACE", &accepted.into(), now, file)?;
    }
    // Its bytes are in the pack of this batch. Other conflicts may be in the same file.
    let mut needed = transaction.prepare_cached("SELECT 1 FROM conflicts WHERE file = ?1")?;
    for file in settled.iter().filter(|file| !file.is_empty()) {
        if !needed.exists([file])? {
            intents::remove(transaction, [file])?;
        }
    }
    Ok(())
}
