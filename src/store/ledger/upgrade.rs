//! Opens a ledger, and upgrades a data folder of an older version: its ledger, and leftovers of a killed run.

use super::database::{Ledger, file_id};
use crate::store::disk::access::{self, sync_folder};
use crate::store::disk::files::{self, FileSeal, remove_file, rename_new};
use crate::store::disk::layout::{FileKind, Layout, Month};
use crate::store::disk::lock::Lock;
use crate::store::error::StoreError;
use crate::store::pack::zip::{PackReader, manifest_of};
use crate::store::tables::ledger::{ADDED, FIRST_WITH_STEPS, VERSION};
use crate::store::tables::values;
use rusqlite::{Connection, OpenFlags, params};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Upgrades the tables from version 1 to version 2.
const SINCE_1: &str = "ALTER TABLE files ADD COLUMN hash BLOB;";

/// Upgrades the tables from version 2 to version 3, after its intents are done.
const SINCE_2: &str = "
DROP TABLE compactions;
DROP TABLE intents;
CREATE TABLE writer (id INTEGER PRIMARY KEY CHECK (id = 1), generation INTEGER NOT NULL, owner TEXT, seen INTEGER NOT NULL);
INSERT INTO writer VALUES (1, 0, NULL, 0);
CREATE TABLE intents (path TEXT PRIMARY KEY, step TEXT NOT NULL, generation INTEGER NOT NULL) WITHOUT ROWID;
";

impl Ledger {
    /// Opens for reading. `None` if the store does not exist yet or is empty.
    pub(crate) fn reader(layout: &Layout) -> Result<Option<Self>, StoreError> {
        match Self::reader_of_now(layout) {
            Err(StoreError::Rebuilt { .. }) => Self::reader_of_now(layout),
            other => other,
        }
    }

    fn reader_of_now(layout: &Layout) -> Result<Option<Self>, StoreError> {
        if !present(layout)? {
            return Ok(None);
        }
        let path = layout.ledger();
        let file = file_id(&path);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(&path, flags).map_err(StoreError::ledger(&path, "opening the ledger"))?;
        let mut ledger = Self { connection, path, generation: None, file };
        if let Err(error) = ledger.check_version() {
            ledger = ledger.reopen_immutable().ok_or(error)?;
            ledger.check_version()?;
        }
        // Killed during creation: nothing is stored yet.
        if ledger.version()? == 0 {
            return ledger.none_expected(layout).map(|()| None);
        }
        supply_tables(&ledger)?;
        Ok(Some(ledger))
    }

    /// Opens for writing as the only writer, creating it if necessary. Returns what was done to upgrade an older store.
    pub(crate) fn writer(layout: &Layout, lock: &Lock) -> Result<(Self, Vec<String>), StoreError> {
        let found = present(layout)?;
        let mut ledger = Self::create(&layout.ledger())?;
        let mut notices = Vec::new();
        match ledger.version()? {
            0 => {
                ledger.none_expected(layout)?;
                ledger.make_tables()?;
            }
            VERSION => {}
            older => notices = upgrade(layout, &ledger, older)?,
        }
        if !found {
            sync_folder(layout.root())?;
        }
        ledger.claim(lock)?;
        Ok((ledger, notices))
    }

    /// An empty ledger is valid only without data.
    fn none_expected(&self, layout: &Layout) -> Result<(), StoreError> {
        if holds_data(layout)? {
            return Err(StoreError::NoLedger { path: self.path.clone(), found: "an empty one" });
        }
        Ok(())
    }
}

/// Whether there is a ledger; an error if there are data without one.
fn present(layout: &Layout) -> Result<bool, StoreError> {
    let path = layout.ledger();
    let found = match std::fs::metadata(&path) {
        Ok(found) if found.len() > 0 => return Ok(true),
        // A ledger whose first commit is only in the log is still empty.
        Ok(_) if access::has_log(&path) => return Ok(true),
        Ok(_) => "an empty file",
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "none",
        Err(error) => return Err(StoreError::io(&path, "opening the ledger")(error)),
    };
    if holds_data(layout)? { Err(StoreError::NoLedger { path, found }) } else { Ok(false) }
}

/// Whether there is any data file.
fn holds_data(layout: &Layout) -> Result<bool, StoreError> {
    let folders =
        FileKind::ALL.map(|kind| layout.folder(kind)).into_iter().chain([layout.rejected(), layout.conflicts()]);
    for folder in folders {
        if !folder_is_empty(&folder)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether there is no file in a folder or below it.
fn folder_is_empty(folder: &Path) -> Result<bool, StoreError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(StoreError::io(folder, "reading the folder")(error)),
    };
    for entry in entries {
        let entry = entry.map_err(StoreError::io(folder, "reading the folder"))?;
        let kind = entry.file_type().map_err(StoreError::io(folder, "reading the folder"))?;
        if !kind.is_dir() || !folder_is_empty(&entry.path())? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Upgrades, and returns what was done. May be killed at any instant: the version changes last.
fn upgrade(layout: &Layout, ledger: &Ledger, from: i64) -> Result<Vec<String>, StoreError> {
    let mut rescued = Vec::new();
    let mut tables = String::new();
    if from < FIRST_WITH_STEPS {
        finish_merges(layout, ledger, from)?;
        finish_commit(layout, ledger)?;
        rescued = rescue_packs(layout, &["compacting", "retired"])?;
        remove_parts(layout)?;
        tables = if from < 2 { [SINCE_1, SINCE_2].concat() } else { SINCE_2.to_owned() };
    }
    let steps_done = usize::try_from(from - FIRST_WITH_STEPS).unwrap_or(0);
    tables += &ADDED[steps_done.min(ADDED.len())..].concat();
    ledger.make(&tables, "upgrading the ledger")?;
    let mut said = vec![format!(
        "the data folder was upgraded from version {from} to {VERSION}; a dmarquet older than this one no longer opens it"
    )];
    said.extend(rescued.into_iter().map(|path| format!("{path} was the only copy of an original, and is kept")));
    Ok(said)
}

/// Gives a read-only ledger of an older version the tables it lacks: empty ones, in memory and for this connection
/// only. Readers need not know which version added what.
fn supply_tables(ledger: &Ledger) -> Result<(), StoreError> {
    if ledger.version()? == VERSION {
        return Ok(());
    }
    let supply = || -> rusqlite::Result<()> {
        let connection = Connection::open_in_memory()?;
        let model = Ledger { connection, path: ledger.path.clone(), generation: None, file: None };
        model.connection.execute_batch(&Ledger::tables())?;
        let sql = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        let mut tables = model.connection.prepare(sql)?;
        let mut rows = tables.query([])?;
        ledger.connection.execute_batch("PRAGMA temp_store = MEMORY")?;
        while let Some(row) = rows.next()? {
            let (name, made): (String, String) = (row.get(0)?, row.get(1)?);
            if !ledger.connection.table_exists(None, name.as_str())? {
                ledger.connection.execute_batch(&made.replacen("CREATE TABLE", "CREATE TEMP TABLE", 1))?;
            }
        }
        Ok(())
    };
    supply().map_err(ledger.failed("reading a ledger of an older version"))
}

/// A merge of version 2, as its ledger names it.
struct OldMerge {
    made: String,
    kind: FileKind,
    month: Month,
    records: i64,
    replaced: Vec<String>,
}

/// A merge exchanged whole folders: the month's folder shows whether that happened.
fn finish_merges(layout: &Layout, ledger: &Ledger, version: i64) -> Result<(), StoreError> {
    for OldMerge { made, kind, month, records, replaced } in merges(ledger)? {
        let folder = layout.month(kind, month);
        // Two renames instead of an exchange may have left the folder missing.
        let aside = layout.compacting(kind, month).with_extension("old");
        if !folder.exists() && aside.exists() {
            std::fs::rename(&aside, &folder).map_err(StoreError::io(&folder, "putting the month back"))?;
            sync_folder(&layout.folder(kind))?;
        }
        let target = layout.file(&made);
        if !target.exists() {
            continue;
        }
        let seal = FileSeal::of(&target)?;
        let record = || -> rusqlite::Result<()> {
            let transaction = ledger.connection.unchecked_transaction()?;
            let mut reports: i64 = 0;
            for path in &replaced {
                let sql = "SELECT COALESCE((SELECT reports FROM files WHERE path = ?1), 0)";
                reports = reports.saturating_add(transaction.query_row(sql, [path], |row| row.get(0))?);
                transaction.execute("DELETE FROM files WHERE path = ?1", [path])?;
            }
            let number = Layout::batch_of(kind, &target).unwrap_or(0);
            let (month, bytes) = (month.to_string(), values::int(seal.bytes));
            let hash = if version < 2 { "" } else { ", ?8" };
            let sql = format!("INSERT OR REPLACE INTO files VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7{hash})");
            let mut statement = transaction.prepare(&sql)?;
            if version < 2 {
                statement.execute(params![made, kind.folder(), month, number, records, reports, bytes])?;
            } else {
                statement.execute(params![made, kind.folder(), month, number, records, reports, bytes, seal.hash])?;
            }
            drop(statement);
            transaction.execute("DELETE FROM compactions WHERE made = ?1", [&made])?;
            transaction.commit()
        };
        record().map_err(ledger.failed("recording a merged file"))?;
    }
    Ok(())
}

fn merges(ledger: &Ledger) -> Result<Vec<OldMerge>, StoreError> {
    let sql = "SELECT made, kind, month, records, replaced FROM compactions";
    let rows: Vec<_> = ledger.rows("reading the merges", sql, [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    })?;
    let merge = |(made, kind, month, records, replaced): (String, String, String, i64, String)| {
        // An unreadable list must not look like an empty one: the merged file would count in addition to those it
        // replaced.
        let (Some(kind), Some(month), Ok(replaced)) =
            (FileKind::parse(&kind), Month::parse(&month), serde_json::from_str(&replaced))
        else {
            let found = format!("{made}: {replaced}");
            return Err(StoreError::damaged(&ledger.path, "merges with a kind, a month and a list of files", found));
        };
        Ok(OldMerge { made, kind, month, records, replaced })
    };
    rows.into_iter().map(merge).collect()
}

/// A commit renamed its files before it recorded them. Unrecorded files come from mails that were not changed; but if
/// the ledger is from a backup they may have been recorded, so a pack is kept, under a hidden name.
fn finish_commit(layout: &Layout, ledger: &Ledger) -> Result<(), StoreError> {
    let sql = "SELECT path FROM intents WHERE path NOT IN (SELECT path FROM files
        UNION SELECT file FROM rejected WHERE file IS NOT NULL UNION SELECT file FROM conflicts)";
    let unrecorded: Vec<String> = ledger.rows("reading the intents", sql, [], |row| row.get(0))?;
    for intent in unrecorded {
        let path = layout.file(&intent);
        let hidden = Layout::temporary(&path);
        remove_file(&hidden, "removing an unfinished file")?;
        if matches!(Layout::month_of(&intent), Some((FileKind::Pack, _))) {
            if path.exists() {
                rename_new(&path, &hidden)?;
            }
        } else {
            remove_file(&path, "removing an unfinished file")?;
        }
    }
    Ok(())
}

/// Packs left in the folders of merges and rebuilds: a pack whose originals are all elsewhere is removed, any other is
/// put back among the originals. Returns the latter, below the root.
pub(crate) fn rescue_packs(layout: &Layout, places: &[&str]) -> Result<Vec<String>, StoreError> {
    let mut rescued = Vec::new();
    for place in places {
        let mut packs = Vec::new();
        super::survey::visible(&layout.root().join(place), FileKind::Pack.extension(), &mut packs)?;
        packs.sort_unstable();
        for pack in packs {
            let Some(month) = month_of(&pack) else { continue };
            let folder = layout.month(FileKind::Pack, month);
            if is_elsewhere(&pack, &folder)? {
                remove_file(&pack, "removing a pack that was merged")?;
                continue;
            }
            access::create_folder(&folder)?;
            let mut target = folder.join(pack.file_name().unwrap_or_default());
            for copy in 1.. {
                if rename_new(&pack, &target)? {
                    break;
                }
                let stem = pack.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                target = folder.join(format!("{stem}-rescued-{copy}.{}", FileKind::Pack.extension()));
            }
            sync_folder(&folder)?;
            rescued.push(super::survey::relative(layout, &target));
        }
    }
    Ok(rescued)
}

/// The month of a pack, by its folder: `month=2026-11`, or `originals-2026-11` in the folder of merges.
fn month_of(pack: &Path) -> Option<Month> {
    let folder = pack.parent()?;
    let merged = || {
        let name = folder.file_name()?.to_str()?;
        Month::parse(name.strip_prefix(FileKind::Pack.folder())?.strip_prefix("-")?.trim_end_matches(".old"))
    };
    Month::of_folder(folder).or_else(merged)
}

/// Whether every original of a pack is intact in another pack of a folder.
fn is_elsewhere(pack: &Path, folder: &Path) -> Result<bool, StoreError> {
    let held = |pack: &PathBuf| -> Result<HashSet<(String, String)>, StoreError> {
        let mut held = HashSet::new();
        let read = PackReader::open(pack).and_then(|mut reader| {
            reader.originals(|_, lines| {
                held.extend(lines.into_iter().map(|line| (line.key, line.sha256)));
                Ok(())
            })
        });
        StoreError::unless_damaged(read).map(|_| held)
    };
    // The content of a damaged one is unknown.
    let Some(lines) = manifest_of(pack)? else { return Ok(false) };
    let mut wanted: HashSet<(String, String)> = lines.into_iter().map(|line| (line.key, line.sha256)).collect();
    for other in files::list(folder)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "zip")) {
        if wanted.is_empty() {
            break;
        }
        let held = held(&other)?;
        wanted.retain(|line| !held.contains(line));
    }
    Ok(wanted.is_empty())
}

/// Removes parts left by merges: their rows are in others.
fn remove_parts(layout: &Layout) -> Result<(), StoreError> {
    for place in ["compacting", "retired"] {
        let place = layout.root().join(place);
        for folder in files::list(&place)? {
            for path in files::list(&folder)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if [".parquet", ".retired", ".tmp"].iter().any(|end| name.ends_with(end)) {
                    remove_file(&path, "removing a part that was merged")?;
                }
            }
            // One that holds something nobody knows stays.
            let _ = std::fs::remove_dir(folder);
        }
        let _ = std::fs::remove_dir(place);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_of_an_older_ledger_finds_every_table_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        for (version, missing) in
            [(3, &["events", "outbox", "dns_records", "verdicts"][..]), (2, &["writer", "lookups"])]
        {
            let ledger = Ledger::create(&layout.ledger()).unwrap();
            ledger.make_tables().unwrap();
            for table in missing {
                ledger.connection.execute_batch(&format!("DROP TABLE {table}")).unwrap();
            }
            ledger.connection.pragma_update(None, "user_version", version).unwrap();
            drop(ledger);
            let reader = Ledger::reader(&layout).unwrap().unwrap();
            for table in missing {
                let any = |sql: &str| reader.any("reading the ledger", sql, []).unwrap();
                assert!(!any(&format!("SELECT 1 FROM {table}")), "{table}");
                assert!(!any(&format!("SELECT 1 FROM main.sqlite_master WHERE name = '{table}'")), "{table}");
            }
            assert_eq!(reader.version().unwrap(), version);
            drop(reader);
            std::fs::remove_file(layout.ledger()).unwrap();
        }
    }
}
