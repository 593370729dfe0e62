//! The ledger that a rebuild replaces: opened if it is readable, and what only it knew.

use super::verify::{every_report, named, quick_check};
use crate::store::disk::access::{LOG_FILES, beside, has_log, sync_folder};
use crate::store::disk::layout::Layout;
use crate::store::disk::lock::Lock;
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use crate::store::ledger::{intents, mailboxes, outbox};
use crate::store::tables::values::path_value;
use jiff::Timestamp;

/// The tables of the old ledger that cannot be rebuilt from originals.
const CARRIED: &[&str] = &[
    "folders",
    "pending",
    "done",
    "uidls",
    "rejected",
    "conflicts",
    "lookups",
    "events",
    "alert_heard",
    "alert_senders",
    "alert_state",
    "outbox",
    "mailbox_runs",
    "mailed",
    "dns_names",
    "dns_records",
    "verdicts",
];
/// Which items were read before. It is not carried over if reports are lost: their items must be read when they arrive
/// again.
const SEEN: &str = "seen";
/// When mailboxes were heard from: only a ledger that needed it has this table.
const HEARD: &str = "heard";

/// The old ledger, claimed, with its log written back so that it can be replaced; `None` if there is none.
pub(super) fn open_old(layout: &Layout, lock: &Lock) -> Result<Option<(Ledger, Vec<String>)>, StoreError> {
    let path = layout.ledger();
    match std::fs::metadata(&path) {
        // A ledger whose first commit is only in the log is still empty.
        Ok(found) if found.len() > 0 || has_log(&path) => {}
        _ => return Ok(None),
    }
    let (ledger, notices) = Ledger::writer(layout, lock)?;
    if let Some(found) = quick_check(&ledger)? {
        return Err(StoreError::damaged(&path, "a ledger that is whole", found));
    }
    intents::recover(layout, &ledger)?;
    ledger.fold_log()?;
    Ok(Some((ledger, notices)))
}

/// Whether a ledger is damaged, rather than a disk that is full or fails temporarily: in that case the knowledge of the
/// old ledger is not given up.
pub(super) fn is_unreadable(error: &StoreError) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, TypeMismatch, Unknown};
    match error {
        StoreError::Damaged { .. } | StoreError::NoLedger { .. } => true,
        StoreError::Ledger { source, .. } => source
            .sqlite_error_code()
            .is_none_or(|code| matches!(code, DatabaseCorrupt | NotADatabase | TypeMismatch | Unknown)),
        _ => false,
    }
}

/// Moves a partly unreadable ledger out of the way, its log first: a new ledger must never meet it.
pub(super) fn keep_old(layout: &Layout, now: Timestamp) -> Result<String, StoreError> {
    let ledger = layout.ledger();
    let name = format!("ledger-{}.damaged", now.as_millisecond());
    let kept = layout.root().join(&name);
    for suffix in LOG_FILES {
        let (file, kept) = (beside(&ledger, suffix), beside(&kept, suffix));
        if file.exists() {
            std::fs::rename(file, &kept).map_err(StoreError::io(&kept, "keeping the old ledger"))?;
        }
    }
    // A copy if the file system has no hard links: the ledger exists until the new one replaces it.
    if std::fs::hard_link(&ledger, &kept).is_err() {
        std::fs::copy(&ledger, &kept).map_err(StoreError::io(&kept, "keeping the old ledger"))?;
    }
    sync_folder(layout.root())?;
    Ok(name)
}

/// The reports that the old ledger knew and the new one does not.
pub(super) fn lost_reports(old: &Ledger, new: &Ledger) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT 1 FROM reports WHERE content = ?1 UNION ALL SELECT 1 FROM tls_reports WHERE content = ?1
               UNION ALL SELECT 1 FROM conflicts WHERE content = ?1";
    let mut here = new.connection.prepare(sql).map_err(new.failed("looking for a report"))?;
    let mut lost = Vec::new();
    old.each_row("reading the reports", &every_report("content"), [], |row| {
        if !here.exists([row.get::<_, [u8; 32]>(0)?])? {
            lost.push(named(row)?);
        }
        Ok(())
    })?;
    Ok(lost)
}

/// Copies what only the old ledger knew; which items were seen only if no report is lost. Returns the tables that could
/// not be read.
pub(super) fn carry_over(old: &Ledger, new: &Ledger, none_lost: bool) -> Vec<&'static str> {
    let connection = &new.connection;
    if connection.execute("ATTACH ?1 AS old", [path_value(&old.path)]).is_err() {
        return CARRIED.to_vec();
    }
    let heard = connection.table_exists(Some("old"), HEARD).unwrap_or(false).then_some(HEARD);
    if heard.is_some() && mailboxes::make_heard(connection).is_err() {
        return CARRIED.to_vec();
    }
    let copy = |table: &&str| {
        // The old ledger knows more about a conflict than the pack of a replaced report.
        let or = if *table == "conflicts" { "REPLACE" } else { "IGNORE" };
        let sql = format!("INSERT OR {or} INTO main.{table} SELECT * FROM old.{table}");
        connection.execute(&sql, []).is_err()
    };
    let seen = none_lost.then_some(SEEN);
    let unread = CARRIED.iter().copied().chain(seen).chain(heard).filter(copy).collect();
    // Incremental loaders use the run of a report. Without it the report is exported again, never lost.
    let runs =
        "UPDATE main.reports SET batch = old.reports.batch FROM old.reports WHERE old.reports.key = main.reports.key";
    let _ = connection.execute(runs, []);
    let _ = connection.execute(&runs.replace("reports", "tls_reports"), []);
    let _ = connection.execute(outbox::RENUMBERED, []);
    // They may turn out differently now, except for weeks whose reports were pruned: those are kept.
    let _ = connection.execute("UPDATE main.verdicts SET batch = -1", []);
    let _ = connection.execute("DETACH old", []);
    unread
}
#[cfg(test)]
mod tests {
    use super::*;

    /// The tables that a rebuild makes again from the originals, or begins anew.
    const MADE_AGAIN: &[&str] = &[
        "batches",
        "writer",
        "intents",
        "files",
        "reports",
        "totals",
        "reporters",
        "tls_reports",
        "tls_policies",
        "tls_failures",
    ];

    #[test]
    fn every_table_of_the_ledger_is_carried_over_or_made_again() {
        let ledger = rusqlite::Connection::open_in_memory().unwrap();
        ledger.execute_batch(&Ledger::tables()).unwrap();
        let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        let mut tables = ledger.prepare(sql).unwrap();
        let names = tables.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
        let known = |name: &String| CARRIED.iter().chain(&[SEEN]).chain(MADE_AGAIN).any(|known| known == name);
        let forgotten: Vec<String> = names.filter(|name| !known(name)).collect();
        assert!(forgotten.is_empty(), "a rebuild would lose these: {forgotten:?}");
    }
}
