//! Compares the disk with the ledger.

use super::database::Ledger;
use crate::store::disk::files;
use crate::store::disk::layout::{FileKind, Layout};
use crate::store::error::StoreError;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The largest number that a file or batch of the ledger has.
pub(crate) fn last_batch(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT MAX(COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'batches'), 0),
        COALESCE((SELECT MAX(batch) FROM files), 0))";
    connection.query_row(sql, [], |row| row.get(0))
}

/// The parts or packs on the disk with final names, sorted.
pub(crate) fn on_disk(layout: &Layout, kind: FileKind) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    visible(&layout.folder(kind), kind.extension(), &mut found)?;
    found.sort_unstable();
    Ok(found)
}

/// The files below a folder, by extension; hidden ones are unfinished.
pub(crate) fn visible(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    for path in files::list(folder)? {
        if path.is_dir() && !path.is_symlink() {
            visible(&path, extension, found)?;
        } else if !is_hidden(&path) && path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// The hidden files below the folder of a kind, sorted: unfinished, or committed and not yet renamed.
pub(crate) fn hidden(layout: &Layout, kind: FileKind) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    for folder in files::list(&layout.folder(kind))? {
        if folder.is_dir() {
            found.extend(files::list(&folder)?.into_iter().filter(|path| is_hidden(path)));
        }
    }
    Ok(found)
}

/// The path of a file as stored in the ledger.
pub(crate) fn relative(layout: &Layout, path: &Path) -> String {
    path.strip_prefix(layout.root()).unwrap_or(path).to_string_lossy().into_owned()
}

/// How many files in `rejected/` and in `conflicts/` the ledger does not list: it forgot them, their bytes are still there.
pub(crate) fn unlisted(layout: &Layout, ledger: &Ledger) -> Result<(i64, i64), StoreError> {
    let unlisted = |folder: PathBuf, sql: &str| -> Result<i64, StoreError> {
        let listed: BTreeSet<String> = ledger.rows("reading the files of rejected items", sql, [], |row| row.get(0))?;
        let is_unlisted = |path: &PathBuf| !is_hidden(path) && !listed.contains(&relative(layout, path));
        Ok(i64::try_from(files::list(&folder)?.iter().filter(|path| is_unlisted(path)).count()).unwrap_or(i64::MAX))
    };
    Ok((
        unlisted(layout.rejected(), "SELECT file FROM rejected WHERE file IS NOT NULL")?,
        unlisted(layout.conflicts(), "SELECT DISTINCT file FROM conflicts WHERE file <> ''")?,
    ))
}

/// Checks that the ledger is not older than its files: one restored from a backup does not know what was stored since,
/// and would count it again. Costs a listing of the folders, however many rows there are.
pub(crate) fn check_age(layout: &Layout, ledger: &Ledger) -> Result<(), StoreError> {
    let last = ledger.read("reading the last batch", last_batch)?;
    match newest(layout)? {
        Some((number, path)) if number > last => {
            let newest = relative(layout, &path);
            Err(StoreError::OlderLedger { path: ledger.path.clone(), known: last, newest })
        }
        _ => Ok(()),
    }
}

/// The file with the largest number, of those named like ours.
pub(crate) fn newest(layout: &Layout) -> Result<Option<(i64, PathBuf)>, StoreError> {
    let mut newest = None;
    for kind in FileKind::ALL {
        for path in on_disk(layout, kind)? {
            let number = Layout::batch_of(kind, &path);
            if number > newest.as_ref().map(|(number, _)| *number) {
                newest = number.map(|number| (number, path));
            }
        }
    }
    Ok(newest)
}

/// Parts and packs on the disk that no row and no intent names. They are reported, and kept.
pub(crate) fn unknown(layout: &Layout, ledger: &Ledger) -> Result<Vec<String>, StoreError> {
    let mut known = super::intents::named(ledger)?;
    let sql = "SELECT path FROM files UNION SELECT file FROM rejected WHERE file <> ''
               UNION SELECT file FROM conflicts WHERE file <> ''";
    known.extend(ledger.rows::<String, Vec<_>>("listing the files", sql, [], |row| row.get(0))?);
    let mut found = Vec::new();
    for kind in FileKind::ALL {
        found.extend(on_disk(layout, kind)?);
    }
    for folder in [layout.rejected(), layout.conflicts()] {
        found.extend(files::list(&folder)?.into_iter().filter(|path| !is_hidden(path)));
    }
    let found = found.iter().map(|path| relative(layout, path));
    Ok(found.filter(|path| !known.contains(path)).collect())
}
