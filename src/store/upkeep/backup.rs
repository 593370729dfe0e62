//! Copies a data folder while others read and write it: a snapshot of the ledger, then the files that it lists.
//!
//! Except during a rebuild, files never change under the same name, so only missing or different files are copied, each
//! under a hidden name until it is whole. The snapshot replaces the backup's older ledger last: an interrupted backup reads
//! as the earlier one, and a rebuild of it finds what was copied ahead.

use super::verify::Problem;
use crate::store::disk::access::{LOG_FILES, beside, create_file, create_folder, sync_folder};
use crate::store::disk::files::{self, FileSeal, list, remove_file, write_file};
use crate::store::disk::layout::{FileKind, Layout};
use crate::store::disk::lock::Lock;
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use crate::store::ledger::survey;
use crate::store::read::store::Store;
use crate::store::tables::values::path_value;
use jiff::Timestamp;
use rusqlite::Connection;
use std::collections::HashSet;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// How many snapshots to try: a merge or prune may remove a file between the snapshot and its copy.
const SNAPSHOTS: u32 = 20;
/// Marks a folder as a backup of a data folder: no other folder is written into.
const MARK: &str = "backup-of";

/// The result of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backup {
    /// Files in it besides the ledger.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
    /// Files that this run copied.
    pub copied: usize,
    /// Files that differ from the ledger, copied as they are.
    pub damaged: Vec<Problem>,
}

/// A file as the snapshot lists it.
struct Wanted {
    path: String,
    /// Its size and hash; `None` if the ledger does not say.
    seal: Option<FileSeal>,
}

/// Copies the whole store into a folder: a new or empty one, or an earlier backup of this store, which is updated.
/// Other processes may read and write meanwhile; the copy is a consistent snapshot.
///
/// # Errors
/// [`StoreError::NoStore`] if there is nothing to copy, [`StoreError::NoBackup`] if the folder contains something else,
/// and any disk error. Then an earlier backup in it reads as before.
pub fn backup(store: &Store, target: &Path, now: Timestamp) -> Result<Backup, StoreError> {
    let Some(ledger) = &store.ledger else {
        return Err(StoreError::NoStore { path: store.layout.root().to_owned() });
    };
    let root = std::fs::canonicalize(store.layout.root());
    let root = root.map_err(StoreError::io(store.layout.root(), "finding the folder"))?;
    let target = Layout::new(target);
    prepare(&root, &target)?;
    let _lock = Lock::take(&target, now)?;
    let snapshot = target.root().join(".ledger.sqlite.new");
    let mut copied = HashSet::new();
    let mut shot = take_snapshot(ledger, &snapshot).and_then(|()| wanted(&snapshot))?;
    let mut damaged = copy(store, &target, &shot, &mut copied)?;
    // Missing or different files may have been removed or rewritten since the snapshot; those still wrong with the next
    // one are damaged.
    for _ in 1..SNAPSHOTS {
        if damaged.is_empty() {
            break;
        }
        shot = take_snapshot(ledger, &snapshot).and_then(|()| wanted(&snapshot))?;
        let before = std::mem::replace(&mut damaged, copy(store, &target, &shot, &mut copied)?);
        if before == damaged {
            break;
        }
    }
    put_in_place(&target, &snapshot)?;
    remove_others(&target, &shot)?;
    let found = shot.iter().filter_map(|wanted| std::fs::metadata(target.file(&wanted.path)).ok());
    let bytes = found.map(|found| found.len()).sum();
    Ok(Backup { files: shot.len(), bytes, copied: copied.len(), damaged })
}

/// Copies what is missing. Returns the files that differ from the snapshot.
fn copy(
    store: &Store,
    target: &Layout,
    wanted: &[Wanted],
    copied: &mut HashSet<String>,
) -> Result<Vec<Problem>, StoreError> {
    let mut damaged = Vec::new();
    for Wanted { path, seal } in wanted {
        let (from, to) = (store.layout.file(path), target.file(path));
        if is_there(&to, &from, seal.as_ref())? {
            continue;
        }
        let mut source = match files::open(&from) {
            Ok(source) => source,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                damaged.push(Problem { at: path.clone(), what: "expected a file, found none".to_owned() });
                continue;
            }
            Err(error) => return Err(StoreError::io(&from, "reading the file")(error)),
        };
        if let Some(folder) = to.parent() {
            create_folder(folder)?;
        }
        let hidden = Layout::temporary(&to);
        let made = write_file(&hidden, |out| io::copy(&mut source, out).map(drop))?;
        std::fs::rename(&hidden, &to).map_err(StoreError::io(&to, "renaming the file"))?;
        to.parent().map_or(Ok(()), sync_folder)?;
        copied.insert(path.clone());
        if seal.is_some_and(|seal| seal != made) {
            let what = "expected the bytes that were written, found others".to_owned();
            damaged.push(Problem { at: path.clone(), what });
        }
    }
    Ok(damaged)
}

/// Whether a file is copied already.
fn is_there(copy: &Path, original: &Path, seal: Option<&FileSeal>) -> Result<bool, StoreError> {
    let Ok(found) = std::fs::metadata(copy) else { return Ok(false) };
    match seal {
        Some(seal) if found.len() == seal.bytes => Ok(FileSeal::of(copy)? == *seal),
        Some(_) => Ok(false),
        // The names of rejected items are hashes of their bytes.
        None => Ok(std::fs::metadata(files::standing(original)).is_ok_and(|original| original.len() == found.len())),
    }
}

/// Checks that the folder may be written into, and marks it.
fn prepare(root: &Path, target: &Layout) -> Result<(), StoreError> {
    let refused = |found: String| StoreError::NoBackup { path: target.root().to_owned(), found };
    // Before it is created: it must not be inside the data folder.
    let there = std::path::absolute(target.root()).map_err(StoreError::io(target.root(), "finding the folder"))?;
    let existing = there.ancestors().find_map(|folder| std::fs::canonicalize(folder).ok()).unwrap_or_default();
    if existing.starts_with(root) || target.root().exists() && root.starts_with(&existing) {
        return Err(refused("one that overlaps with the data folder itself".to_owned()));
    }
    create_folder(target.root())?;
    let mark = target.root().join(MARK);
    let text = format!("{}\n", root.display());
    match std::fs::read_to_string(&mark) {
        Ok(found) if found == text => return Ok(()),
        // A first backup that was killed may have left it empty or cut.
        Ok(found) if text.starts_with(&found) => {}
        Ok(found) => return Err(refused(format!("a backup of {}", found.trim_end()))),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::io(&mark, "reading the file")(error)),
    }
    if let Some(found) = list(target.root())?.iter().find(|found| **found != mark) {
        let name = found.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Err(refused(format!("one that holds {name}")));
    }
    write_file(&mark, |out| out.write_all(text.as_bytes()))?;
    sync_folder(target.root())
}

/// A snapshot of the ledger, as a separate file.
fn take_snapshot(ledger: &Ledger, snapshot: &Path) -> Result<(), StoreError> {
    remove_file(snapshot, "removing an unfinished snapshot")?;
    // SQLite would create it by the umask.
    create_file(snapshot).map_err(StoreError::io(snapshot, "copying the ledger"))?;
    let doing = "copying the ledger";
    ledger.connection.execute("VACUUM INTO ?1", [path_value(snapshot)]).map_err(ledger.failed(doing))?;
    let failed = || StoreError::ledger(snapshot, doing);
    let copy = Connection::open(snapshot).map_err(failed())?;
    // The current writer does not write to the copy; pending file operations are done in it, or unnecessary.
    copy.execute_batch("UPDATE writer SET owner = NULL; DELETE FROM intents;").map_err(failed())?;
    copy.close().map_err(|(_, error)| failed()(error))?;
    let synced = std::fs::File::open(snapshot).and_then(|file| file.sync_all());
    synced.map_err(StoreError::io(snapshot, doing))
}

/// The files of a snapshot.
fn wanted(snapshot: &Path) -> Result<Vec<Wanted>, StoreError> {
    let read = || -> rusqlite::Result<Vec<Wanted>> {
        let connection = Connection::open(snapshot)?;
        let mut statement = connection.prepare(
            "SELECT path, bytes, hash FROM files
             UNION ALL SELECT file, NULL, NULL FROM rejected WHERE file IS NOT NULL AND file <> ''
             UNION ALL SELECT file, NULL, NULL FROM conflicts WHERE file <> ''",
        )?;
        let rows = statement.query_map([], |row| {
            let (bytes, hash): (Option<i64>, Option<[u8; 32]>) = (row.get(1)?, row.get(2)?);
            let seal = bytes.zip(hash).map(|(bytes, hash)| FileSeal { bytes: bytes.cast_unsigned(), hash });
            Ok(Wanted { path: row.get(0)?, seal })
        })?;
        rows.collect()
    };
    read().map_err(StoreError::ledger(snapshot, "listing the files"))
}

/// Makes the snapshot the backup's ledger.
fn put_in_place(target: &Layout, snapshot: &Path) -> Result<(), StoreError> {
    let ledger = target.ledger();
    for suffix in LOG_FILES {
        remove_file(&beside(&ledger, suffix), "removing the log of an older backup")?;
    }
    std::fs::rename(snapshot, &ledger).map_err(StoreError::io(&ledger, "putting the ledger in its place"))?;
    sync_folder(target.root())
}

/// Removes files that only an older backup had.
fn remove_others(target: &Layout, wanted: &[Wanted]) -> Result<(), StoreError> {
    let wanted: HashSet<&str> = wanted.iter().map(|wanted| wanted.path.as_str()).collect();
    let mut folders: Vec<PathBuf> = FileKind::ALL.map(|kind| target.folder(kind)).into();
    folders.extend([target.rejected(), target.conflicts()]);
    while let Some(folder) = folders.pop() {
        for path in list(&folder)? {
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if !wanted.contains(survey::relative(target, &path).as_str()) {
                remove_file(&path, "removing what an older backup held")?;
            }
        }
    }
    Ok(())
}
