//! Prunes old months, and verifies that ledger, parts and originals agree.

use crate::store::disk::files::{self, FileSeal};
use crate::store::disk::layout::{FileKind, Layout, Month};
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use crate::store::ledger::{intents, outbox, survey, tls};
use crate::store::pack::manifest::ManifestLine;
use crate::store::pack::zip::PackReader;
use crate::store::parquet::checked_read;
use crate::store::parquet::rows::ParquetPart;
use crate::store::parquet::table_columns::{IngestedTimes, record_column};
use crate::store::read::store::Store;
use crate::store::tables::schema::COLUMNS;
use crate::store::tables::values;
use crate::store::write::writer::Writer;
use rusqlite::{Connection, Row};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Reports.
    pub reports: usize,
    /// Parts and packs.
    pub files: usize,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file or table, below the root.
    pub at: String,
    /// What was expected and what was found.
    pub what: String,
}

impl Writer {
    /// Deletes all months before this one: rows, originals, and what the ledger says about their reports. Their items
    /// stay known, so that a mailbox that still has them does not bring them back.
    ///
    /// # Errors
    /// A disk error; files of deleted rows are then removed at the next start.
    pub fn prune(&mut self, first: Month) -> Result<Pruned, StoreError> {
        self.lock.check()?;
        let month = first.to_string();
        let pruned = self.ledger.write("letting old months go", |transaction| {
            let mut statement = transaction.prepare("SELECT path FROM files WHERE month < ?1")?;
            let paths = statement.query_map([&month], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
            intents::remove(transaction, &paths)?;
            let files = transaction.execute("DELETE FROM files WHERE month < ?1", [&month])?;
            let day = values::days_since_epoch(first.first());
            let reports = transaction.execute("DELETE FROM reports WHERE day < ?1", [day])?;
            outbox::numbers_may_return(transaction)?;
            let reports = reports + tls::forget_before(transaction, day)?;
            transaction.execute("DELETE FROM totals WHERE month < ?1", [&month])?;
            transaction.execute_batch(
                "DELETE FROM reporters;
                 INSERT INTO reporters SELECT org_name, COUNT(*), MAX(\"end\"), MAX(arrival) FROM reports GROUP BY org_name",
            )?;
            Ok(Pruned { reports, files })
        })?;
        self.settle()?;
        for kind in FileKind::ALL {
            remove_empty_months(&self.layout.folder(kind), first);
        }
        Ok(pruned)
    }
}

/// Removes empty monthly folders; one with unknown content stays.
fn remove_empty_months(folder: &Path, first: Month) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if Month::of_folder(&entry.path()).is_some_and(|month| month < first) {
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

impl Store {
    /// Verifies that ledger, parts and originals agree, and returns all problems.
    ///
    /// # Errors
    /// If there is no store, the ledger cannot be read, or a folder cannot be listed.
    pub fn verify(&self) -> Result<Vec<Problem>, StoreError> {
        let Some(ledger) = &self.ledger else {
            return Err(StoreError::NoStore { path: self.layout.root().to_owned() });
        };
        // What a writer does meanwhile may look like damage; what is damaged is so in the next pass, too.
        let mut before = None;
        for pass in 1..=PASSES {
            let fresh = if pass == 1 { None } else { Ledger::reader(&self.layout)? };
            match check(&self.layout, fresh.as_ref().unwrap_or(ledger)) {
                Ok(faults) if faults.is_empty() || before.as_ref() == Some(&faults) => return Ok(faults),
                Ok(faults) => before = Some(faults),
                Err(StoreError::Rebuilt { .. }) if pass < PASSES => {}
                Err(error) => return Err(error),
            }
        }
        Ok(before.unwrap_or_default())
    }
}

/// How often to look, as long as every pass finds something else.
const PASSES: u32 = 5;

/// Verifies the store once, as the ledger describes it at one instant.
fn check(layout: &Layout, ledger: &Ledger) -> Result<Vec<Problem>, StoreError> {
    // It writes nothing, so there is nothing to commit.
    let _reading = ledger.connection.unchecked_transaction().map_err(ledger.failed("reading the ledger"))?;
    let mut faults = Vec::new();
    check_ledger(ledger, &mut faults)?;
    let known = listed(ledger)?;
    for file in &known {
        check_file(layout, file, &mut faults);
    }
    check_originals(layout, ledger, &known, &mut faults)?;
    check_others(layout, ledger, &mut faults)?;
    Ok(faults)
}

/// A file as listed in the ledger.
struct ListedFile {
    path: String,
    kind: FileKind,
    records: i64,
    bytes: i64,
    hash: Option<[u8; 32]>,
}

fn listed(ledger: &Ledger) -> Result<Vec<ListedFile>, StoreError> {
    // A store may be verified before a writer upgrades it.
    let hash = if ledger.version()? < 2 { "NULL" } else { "hash" };
    let sql = format!("SELECT path, kind, records, bytes, {hash} FROM files ORDER BY path");
    ledger.rows("listing the files", &sql, [], |row| {
        let kind = if row.get_ref(1)?.as_str()? == "records" { FileKind::Part } else { FileKind::Pack };
        Ok(ListedFile { path: row.get(0)?, kind, records: row.get(2)?, bytes: row.get(3)?, hash: row.get(4)? })
    })
}

const CHECKING: &str = "checking the ledger";

/// What SQLite finds wrong with a ledger; `None` if it is whole.
pub(crate) fn quick_check(ledger: &Ledger) -> Result<Option<String>, StoreError> {
    let check = |connection: &Connection| connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    Ok(Some(ledger.read(CHECKING, check)?).filter(|found| found != "ok"))
}

fn check_ledger(ledger: &Ledger, faults: &mut Vec<Problem>) -> Result<(), StoreError> {
    // A sum of counts may overflow SQLite's integers.
    let sum = |sql: &str| -> Result<i128, StoreError> {
        let mut sum: i128 = 0;
        ledger.each_row(CHECKING, sql, [], |row| {
            sum += i128::from(row.get::<_, i64>(0)?);
            Ok(())
        })?;
        Ok(sum)
    };
    let mut fault = |what: String| faults.push(Problem { at: "ledger.sqlite".into(), what });
    if let Some(found) = quick_check(ledger)? {
        fault(format!("quick_check: expected ok, found {found}"));
    }
    for column in ["records", "messages", "dmarc_pass"] {
        // A month's stored sum stays at 2^63 - 1, and an earlier version turned it into a floating-point number.
        let sums = sum(&format!("SELECT CAST({column} AS INTEGER) FROM totals"))?;
        let found = sum(&format!("SELECT {column} FROM reports"))?;
        let largest = format!("SELECT 1 FROM totals WHERE CAST({column} AS INTEGER) = 9223372036854775807");
        let saturated = found > sums && ledger.any(CHECKING, &largest, [])?;
        if sums != found && !saturated {
            fault(format!("kept sum of {column}: expected {found} as in its reports, found {sums}"));
        }
    }
    for (table, column) in [("tls_policies", "policies"), ("tls_failures", "failures")] {
        let expected = sum(&format!("SELECT {column} FROM tls_reports"))?;
        let found = sum(&format!("SELECT 1 FROM {table} WHERE report IN (SELECT id FROM tls_reports)"))?;
        let strays = sum(&format!("SELECT 1 FROM {table} WHERE report NOT IN (SELECT id FROM tls_reports)"))?;
        if expected != found || strays > 0 {
            fault(format!("rows of {table}: expected {expected} as in its reports, found {}", found + strays));
        }
    }
    let reports = sum("SELECT records FROM reports")?;
    let parts = sum("SELECT records FROM files WHERE kind = 'records'")?;
    if reports != parts {
        fault(format!("rows of parts: expected {reports} as in its reports, found {parts}"));
    }
    Ok(())
}

fn check_file(layout: &Layout, listed: &ListedFile, faults: &mut Vec<Problem>) {
    let path = files::standing(&layout.file(&listed.path));
    let mut fault = |what: String| faults.push(Problem { at: listed.path.clone(), what });
    match FileSeal::of(&path) {
        Err(error) => return fault(format!("expected a file, found none: {error}")),
        Ok(found) if values::int(found.bytes) != listed.bytes => {
            fault(format!("expected {} bytes, found {}", listed.bytes, found.bytes));
        }
        Ok(found) if listed.hash.is_some_and(|hash| hash != found.hash) => {
            fault("expected the bytes that were written, found others".into());
        }
        Ok(_) => {}
    }
    if listed.kind == FileKind::Part {
        match rows(&path) {
            Ok(rows) if rows == listed.records => {}
            Ok(rows) => fault(format!("expected {} rows, found {rows}", listed.records)),
            Err(error) => fault(error.to_string()),
        }
    }
}

/// Reads every page of a part; returns its number of rows.
pub(crate) fn rows(path: &Path) -> Result<i64, StoreError> {
    let part = ParquetPart::open(path.to_owned())?;
    let mut rows = 0;
    for group in &part.metadata.row_groups {
        rows += values::int(group.num_rows());
        for column in COLUMNS {
            checked_read::read(path, "reading the part", || {
                record_column(&part, group, column, &IngestedTimes::default()).map(drop)
            })?;
        }
    }
    Ok(rows)
}

/// Checks that every original is intact, and every report has one.
fn check_originals(
    layout: &Layout,
    ledger: &Ledger,
    known: &[ListedFile],
    faults: &mut Vec<Problem>,
) -> Result<(), StoreError> {
    let mut kept = BTreeSet::new();
    for listed in known.iter().filter(|listed| listed.kind == FileKind::Pack) {
        let mut fault = |what: String| faults.push(Problem { at: listed.path.clone(), what });
        let read = PackReader::open(&layout.file(&listed.path)).and_then(|mut pack| {
            pack.originals(|_, lines| {
                kept.extend(lines.into_iter().map(|line| line.key));
                Ok(())
            })
        });
        match read {
            Err(error) => fault(format!("{error}; {RESTORE}")),
            Ok(bad) => {
                for bad in bad {
                    let reports = lost(ledger, &bad.lines)?;
                    fault(format!("{}; lost: {reports}; {RESTORE}", bad.error));
                    // They are reported with their member.
                    kept.extend(bad.lines.into_iter().map(|line| line.key));
                }
            }
        }
    }
    let mut missing = Vec::new();
    ledger.each_row("reading the reports", &every_report("lower(hex(key))"), [], |row| {
        if !kept.contains(row.get_ref(0)?.as_str()?) {
            missing.push(named(row)?);
        }
        Ok(())
    })?;
    if !missing.is_empty() {
        let missing = some_of(&missing, missing.len());
        let what = format!("expected the originals of all reports, found none of {missing}; {RESTORE}");
        faults.push(Problem { at: "originals".into(), what });
    }
    Ok(())
}

/// What the user can do about a damaged or missing original.
pub(crate) const RESTORE: &str = "fetch these reports again, or restore this file from a backup";

/// Selects an expression of every report of either kind, and what [`named`] describes it by.
pub(crate) fn every_report(expression: &str) -> String {
    format!(
        "SELECT {expression} AS found, org_name, report_id, policy_domain FROM reports
         UNION ALL SELECT {expression}, org_name, report_id,
             COALESCE((SELECT min(policy_domain) FROM tls_policies WHERE report = id), '') FROM tls_reports"
    )
}

/// Describes a report of [`every_report`].
pub(crate) fn named(row: &Row<'_>) -> rusqlite::Result<String> {
    let text = |column: usize| row.get::<_, String>(column);
    Ok(format!("report {} from {} about {}", text(2)?, text(1)?, text(3)?))
}

/// Names listed before the rest is counted.
const NAMED: usize = 5;

/// The first of some names, and how many more there are of all.
pub(crate) fn some_of(names: &[String], all: usize) -> String {
    let shown = names[..names.len().min(NAMED)].join(", ");
    match all.saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The reports of some lines of a manifest, in words.
fn lost(ledger: &Ledger, lines: &[ManifestLine]) -> Result<String, StoreError> {
    let sql = format!("SELECT * FROM ({}) WHERE found = ?1", every_report("lower(hex(key))"));
    let mut names = Vec::new();
    for line in lines.iter().take(NAMED) {
        let known = ledger.first_row("reading the reports", &sql, [&line.key], named)?;
        names.push(known.unwrap_or_else(|| format!("a report of {}", line.origin)));
    }
    Ok(some_of(&names, lines.len()))
}

/// Files that the ledger does not know are reported, never removed; so are missing files.
fn check_others(layout: &Layout, ledger: &Ledger, faults: &mut Vec<Problem>) -> Result<(), StoreError> {
    for at in survey::unknown(layout, ledger)? {
        let what = "expected only files of the ledger, found one it does not know".to_owned();
        faults.push(Problem { at, what });
    }
    if let Err(error @ StoreError::OlderLedger { .. }) = survey::check_age(layout, ledger) {
        faults.push(Problem { at: "ledger.sqlite".into(), what: error.to_string() });
    }
    let sql = "SELECT file FROM rejected WHERE file <> '' UNION SELECT file FROM conflicts WHERE file <> ''
               ORDER BY 1";
    let aside: Vec<String> = ledger.rows("listing what is aside", sql, [], |row| row.get(0))?;
    for file in aside {
        if !files::standing(&layout.file(&file)).is_file() {
            faults.push(Problem { at: file, what: "expected the kept bytes, found none".into() });
        }
    }
    Ok(())
}
