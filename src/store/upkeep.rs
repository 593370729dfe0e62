//! Letting old months go, and checking ledger, parts and originals against each other.

use super::commit::Seal;
use super::layout::{FileKind, Layout, Month};
use super::ledger::Ledger;
use super::pack::PackReader;
use super::read::Part;
use super::rebuild::files;
use super::writer::Writer;
use super::{Store, StoreError, encode, recover, sound};
use rusqlite::params;
use std::collections::BTreeSet;
use std::path::Path;

/// What was let go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Reports.
    pub reports: usize,
    /// Parts and packs.
    pub files: usize,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file or table, below the root.
    pub at: String,
    /// What was expected and what was found.
    pub what: String,
}

impl Writer {
    /// Let go of all months before this one: rows, originals, and what the ledger says of their reports. Their items stay
    /// known, so that a mailbox that still holds them does not bring them back.
    ///
    /// # Errors
    /// A fault of the disk; what is gone from the ledger then goes from the disk at the next start.
    pub fn prune(&mut self, first: Month) -> Result<Pruned, StoreError> {
        let failed = self.ledger.failed("letting old months go");
        let month = first.to_string();
        let prune = || -> rusqlite::Result<Pruned> {
            let transaction = self.ledger.connection.unchecked_transaction()?;
            // Their files go the way of unfinished ones: what an intent names is removed, now or at the next start.
            transaction.execute("INSERT OR REPLACE INTO intents SELECT path FROM files WHERE month < ?1", [&month])?;
            let files = transaction.execute("DELETE FROM files WHERE month < ?1", [&month])?;
            let day = encode::days_since_epoch(first.first());
            let reports = transaction.execute("DELETE FROM reports WHERE day < ?1", [day])?;
            transaction.execute("DELETE FROM totals WHERE month < ?1", [&month])?;
            transaction.commit()?;
            Ok(Pruned { reports, files })
        };
        let pruned = prune().map_err(failed)?;
        recover::recover(&self.layout, &self.ledger)?;
        for kind in FileKind::ALL {
            remove_empty_months(&self.layout.folder(kind), first);
        }
        Ok(pruned)
    }
}

/// A folder of a month that holds nothing goes; one that holds something nobody knows stays.
fn remove_empty_months(folder: &Path, first: Month) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if Month::of_folder(&entry.path()).is_some_and(|month| month < first) {
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

impl Store {
    /// Check ledger, parts and originals against each other, and give all that is off.
    ///
    /// # Errors
    /// Where the ledger cannot be read, or a folder not be listed.
    pub fn verify(&self) -> Result<Vec<Fault>, StoreError> {
        let Some(ledger) = &self.ledger else { return Ok(Vec::new()) };
        let mut faults = Vec::new();
        check_ledger(ledger, &mut faults)?;
        let known = listed(ledger)?;
        for file in &known {
            check_file(&self.layout, file, &mut faults);
        }
        check_originals(&self.layout, ledger, &known, &mut faults)?;
        check_unknown(&self.layout, ledger, &known, &mut faults)?;
        Ok(faults)
    }
}

/// A file as the ledger has it.
struct Listed {
    path: String,
    kind: FileKind,
    records: i64,
    bytes: i64,
    hash: Option<[u8; 32]>,
}

fn listed(ledger: &Ledger) -> Result<Vec<Listed>, StoreError> {
    let hash = if ledger.version()? < 2 { "NULL" } else { "hash" };
    let read = || -> rusqlite::Result<Vec<Listed>> {
        let sql = format!("SELECT path, kind, records, bytes, {hash} FROM files ORDER BY path");
        let mut statement = ledger.connection.prepare(&sql)?;
        let found = statement.query_map([], |row| {
            let kind = if row.get::<_, String>(1)? == "records" { FileKind::Part } else { FileKind::Pack };
            Ok(Listed { path: row.get(0)?, kind, records: row.get(2)?, bytes: row.get(3)?, hash: row.get(4)? })
        })?;
        found.collect()
    };
    read().map_err(ledger.failed("listing the files"))
}

fn check_ledger(ledger: &Ledger, faults: &mut Vec<Fault>) -> Result<(), StoreError> {
    let failed = || ledger.failed("checking the ledger");
    let one = |sql: &str| ledger.connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed());
    let said: String = ledger.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed())?;
    let mut fault = |what: String| faults.push(Fault { at: "ledger.sqlite".into(), what });
    if said != "ok" {
        fault(format!("quick_check: expected ok, found {said}"));
    }
    for column in ["records", "messages", "dmarc_pass"] {
        let sums = one(&format!("SELECT COALESCE(SUM({column}), 0) FROM totals"))?;
        let found = one(&format!("SELECT COALESCE(SUM({column}), 0) FROM reports"))?;
        if sums != found {
            fault(format!("kept sum of {column}: expected {found} as in its reports, found {sums}"));
        }
    }
    let reports = one("SELECT COALESCE(SUM(records), 0) FROM reports")?;
    let parts = one("SELECT COALESCE(SUM(records), 0) FROM files WHERE kind = 'records'")?;
    if reports != parts {
        fault(format!("rows of parts: expected {reports} as in its reports, found {parts}"));
    }
    Ok(())
}

fn check_file(layout: &Layout, listed: &Listed, faults: &mut Vec<Fault>) {
    let path = layout.file(&listed.path);
    let mut fault = |what: String| faults.push(Fault { at: listed.path.clone(), what });
    match Seal::of(&path) {
        Err(error) => return fault(format!("expected a file, found none: {error}")),
        Ok(found) if i64::try_from(found.bytes) != Ok(listed.bytes) => {
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

/// Read every page of a part; gives its rows.
pub(super) fn rows(path: &Path) -> Result<i64, StoreError> {
    let part = Part::open(path.to_owned())?;
    let mut rows = 0;
    for group in &part.metadata.row_groups {
        rows += super::commit::int(group.num_rows());
        for column in super::schema::COLUMNS {
            sound::read(path, "reading the part", || {
                super::nested::read_array(&part.file, group, encode::arrow_field(column)).map(drop)
            })?;
        }
    }
    Ok(rows)
}

/// Every original is whole, and every report has one.
fn check_originals(
    layout: &Layout,
    ledger: &Ledger,
    known: &[Listed],
    faults: &mut Vec<Fault>,
) -> Result<(), StoreError> {
    let mut kept = BTreeSet::new();
    for listed in known.iter().filter(|listed| listed.kind == FileKind::Pack) {
        if let Err(error) = check_pack(&layout.file(&listed.path), &mut kept) {
            faults.push(Fault { at: listed.path.clone(), what: error.to_string() });
        }
    }
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement = ledger.connection.prepare("SELECT lower(hex(key)) FROM reports ORDER BY id")?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    for key in read().map_err(ledger.failed("reading the reports"))? {
        if !kept.contains(&key) {
            faults.push(Fault {
                at: format!("report {key}"),
                what: "expected its original in a pack, found none".into(),
            });
        }
    }
    Ok(())
}

fn check_pack(path: &Path, kept: &mut BTreeSet<String>) -> Result<(), StoreError> {
    let mut pack = PackReader::open(path)?;
    for line in pack.manifest()? {
        let original = pack.original(&line.member)?;
        let found = super::pack::hash(super::pack::original_bytes(&original)).to_string();
        if found != line.sha256 {
            let expected = format!("a member {} with hash {}", line.member, line.sha256);
            return Err(StoreError::Damaged { path: path.to_owned(), expected, found });
        }
        kept.insert(line.key);
    }
    Ok(())
}

/// Files that the ledger does not know are told, never removed.
fn check_unknown(
    layout: &Layout,
    ledger: &Ledger,
    known: &[Listed],
    faults: &mut Vec<Fault>,
) -> Result<(), StoreError> {
    for kind in FileKind::ALL {
        let mut found = Vec::new();
        files(&layout.folder(kind), kind.extension(), &mut found)?;
        for path in found {
            let relative = path.strip_prefix(layout.root()).unwrap_or(&path).to_string_lossy().into_owned();
            if !known.iter().any(|listed| listed.path == relative) {
                let what = "expected only files of the ledger, found one it does not know".to_owned();
                faults.push(Fault { at: relative, what });
            }
        }
    }
    let sql = "SELECT file FROM rejected WHERE file <> '' UNION SELECT file FROM conflicts WHERE file <> ''
               ORDER BY 1";
    let read = || -> rusqlite::Result<Vec<String>> {
        ledger.connection.prepare(sql)?.query_map(params![], |row| row.get(0))?.collect()
    };
    for file in read().map_err(ledger.failed("listing what is aside"))? {
        if !layout.file(&file).is_file() {
            faults.push(Fault { at: file, what: "expected the bytes kept aside, found none".into() });
        }
    }
    Ok(())
}
