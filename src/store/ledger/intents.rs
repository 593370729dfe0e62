//! Intents: pending file operations as rows of the ledger, so that a kill at any instant leaves nothing half-done.
//!
//! A file is written under its hidden name (`write`), becomes valid with the transaction that records it, and only then
//! gets its final name (`publish`). So a file with its final name was committed, and files are only removed if the
//! ledger names them: files that merges replaced (`retire`), and files dropped by prune, the quota or the user
//! (`remove`). The operations run right after their transaction; the next writer finishes what a kill leaves undone.

use super::database::Ledger;
use crate::store::disk::access::{create_folder, sync_folder};
use crate::store::disk::files::{self, remove_file, rename_new};
use crate::store::disk::layout::{FileKind, Layout, Month};
use crate::store::error::StoreError;
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileStep {
    /// It is being written under its hidden name. After its writer died: remove it.
    Write,
    /// It is committed: give it its final name.
    Publish,
    /// A merge replaced it: keep it out of the month's folder until the next run, then remove it.
    Retire,
    /// No row needs it any more: remove it.
    Remove,
}

impl FileStep {
    const fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Publish => "publish",
            Self::Retire => "retire",
            Self::Remove => "remove",
        }
    }
}

fn intend<P: AsRef<str>>(
    transaction: &Connection,
    step: FileStep,
    generation: Option<i64>,
    paths: impl IntoIterator<Item = P>,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached("INSERT OR REPLACE INTO intents VALUES (?1, ?2, ?3)")?;
    paths
        .into_iter()
        .try_for_each(|path| statement.execute(params![path.as_ref(), step.word(), generation.unwrap_or(0)]).map(drop))
}

/// Names files that are about to be written: once that is durable, a kill leaves no unknown file.
pub(crate) fn plan<P: AsRef<str>>(
    transaction: &Connection,
    generation: Option<i64>,
    paths: impl IntoIterator<Item = P>,
) -> rusqlite::Result<()> {
    intend(transaction, FileStep::Write, generation, paths)
}

/// Complete files under hidden names become valid with this transaction.
pub(crate) fn publish<P: AsRef<str>>(
    transaction: &Connection,
    paths: impl IntoIterator<Item = P>,
) -> rusqlite::Result<()> {
    intend(transaction, FileStep::Publish, None, paths)
}

/// Parts or packs that are replaced by others from this transaction on.
pub(crate) fn retire<P: AsRef<str>>(
    transaction: &Connection,
    paths: impl IntoIterator<Item = P>,
) -> rusqlite::Result<()> {
    intend(transaction, FileStep::Retire, None, paths)
}

/// Files that no row needs from this transaction on.
pub(crate) fn remove<P: AsRef<str>>(
    transaction: &Connection,
    paths: impl IntoIterator<Item = P>,
) -> rusqlite::Result<()> {
    intend(transaction, FileStep::Remove, None, paths)
}

/// The paths of an operation.
fn paths(ledger: &Ledger, step: FileStep) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT path FROM intents WHERE step = ?1 ORDER BY path";
    ledger.rows("reading the intents", sql, [step.word()], |row| row.get(0))
}

fn forget(ledger: &Ledger, paths: &[String]) -> Result<(), StoreError> {
    if paths.is_empty() {
        return Ok(());
    }
    ledger.write("ending the intents", |transaction| {
        let mut statement = transaction.prepare_cached("DELETE FROM intents WHERE path = ?1")?;
        paths.iter().try_for_each(|path| statement.execute([path]).map(drop))
    })
}

/// The paths of all intents: these files are known, though no row lists them.
pub(crate) fn named(ledger: &Ledger) -> Result<BTreeSet<String>, StoreError> {
    ledger.rows("reading the intents", "SELECT path FROM intents", [], |row| row.get(0))
}

/// Performs all pending operations when a writer starts: finishes what was committed, and removes what readers no
/// longer need.
///
/// Returns what was published, like [`settle`].
pub(crate) fn recover(layout: &Layout, ledger: &Ledger) -> Result<Vec<String>, StoreError> {
    // First what a dead writer did not finish: that needs no disk space.
    let planned = paths(ledger, FileStep::Write)?;
    for path in &planned {
        remove_file(&Layout::temporary(&layout.file(path)), "removing an unfinished file")?;
    }
    let published = settle(layout, ledger)?;
    let retired = paths(ledger, FileStep::Retire)?;
    for path in &retired {
        if let Some((kind, month)) = Layout::month_of(path) {
            let name = Path::new(path).file_name().unwrap_or_default();
            remove_file(&layout.retired_file(kind, month, name), "removing a merged file")?;
            remove_file(&layout.compacting(kind, month).join(name), "removing a merged file")?;
        }
    }
    clear_merges(layout)?;
    forget(ledger, &[planned, retired].concat())?;
    Ok(published)
}

/// Performs the operations of the last transaction. Returns what was published: its rows are kept until a later
/// transaction, by [`forget_published`], after [`sync`] has made the names durable. So a commit needs no sync for them.
pub(crate) fn settle(layout: &Layout, ledger: &Ledger) -> Result<Vec<String>, StoreError> {
    let published = paths(ledger, FileStep::Publish)?;
    let retired = paths(ledger, FileStep::Retire)?;
    let mut months: BTreeMap<(FileKind, Month), (Vec<&String>, Vec<&String>)> = BTreeMap::new();
    for path in &published {
        match Layout::month_of(path) {
            Some(month) => months.entry(month).or_default().0.push(path),
            None => give_name(&layout.file(path))?,
        }
    }
    for path in &retired {
        if let Some(month) = Layout::month_of(path) {
            months.entry(month).or_default().1.push(path);
        }
    }
    for ((kind, month), (new, old)) in months {
        let new: Vec<PathBuf> = new.into_iter().map(|path| layout.file(path)).collect();
        let old: Vec<PathBuf> = old.into_iter().map(|path| layout.file(path)).filter(|path| path.exists()).collect();
        // Engines glob the parts, and must see the old set or the new one. Nobody globs packs.
        if !old.is_empty() && kind == FileKind::Part && swap(layout, (kind, month), &new, &old)? {
            continue;
        }
        if kind == FileKind::Part {
            set_aside(layout, (kind, month), &old)?;
        }
        new.iter().try_for_each(|path| give_name(path))?;
        if kind == FileKind::Pack && !old.is_empty() {
            sync_folder(&layout.month(kind, month))?;
            set_aside(layout, (kind, month), &old)?;
        }
    }
    let removed = paths(ledger, FileStep::Remove)?;
    for path in &removed {
        if !is_needed(ledger, path)? {
            remove_file(&layout.file(path), "removing a file that nothing needs")?;
            remove_file(&Layout::temporary(&layout.file(path)), "removing a file that nothing needs")?;
        }
    }
    forget(ledger, &removed)?;
    Ok(published)
}

/// Makes the names of published files durable.
pub(crate) fn sync(layout: &Layout, published: &[String]) -> Result<(), StoreError> {
    let folders: BTreeSet<PathBuf> =
        published.iter().filter_map(|path| layout.file(path).parent().map(Path::to_owned)).collect();
    folders.iter().filter(|folder| folder.is_dir()).try_for_each(|folder| sync_folder(folder))
}

/// Forgets published files whose names are durable.
pub(crate) fn forget_published(transaction: &Connection, published: &[String]) -> rusqlite::Result<()> {
    let sql = "DELETE FROM intents WHERE path = ?1 AND step = ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    published.iter().try_for_each(|path| statement.execute([path.as_str(), FileStep::Publish.word()]).map(drop))
}

/// Gives a committed file its final name, if it still has the hidden one.
fn give_name(path: &Path) -> Result<(), StoreError> {
    let hidden = Layout::temporary(path);
    if !hidden.exists() || rename_new(&hidden, path)? {
        return Ok(());
    }
    // Names of rejected items and conflicts are derived from their content: the same file already exists.
    if files::FileSeal::of(&hidden)? == files::FileSeal::of(path)? {
        return remove_file(&hidden, "removing the second copy of a file");
    }
    Err(taken(path, &hidden))
}

/// The error for a file whose name another file has.
fn taken(name: &Path, file: &Path) -> StoreError {
    let found = format!("another file; both are kept, this one as {}", file.display());
    StoreError::damaged(name, "a name that is free", found)
}

/// Whether a row names a file. Names of rejected items are derived from their content, so they can come back.
fn is_needed(ledger: &Ledger, path: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM files WHERE path = ?1 UNION ALL SELECT 1 FROM rejected WHERE file = ?1
               UNION ALL SELECT 1 FROM conflicts WHERE file = ?1";
    ledger.any("looking for a file", sql, [path])
}

/// Builds a new folder of a month beside it, from links to its files, and exchanges the two. Returns false if the file
/// system cannot link or exchange.
fn swap(
    layout: &Layout,
    (kind, month): (FileKind, Month),
    new: &[PathBuf],
    old: &[PathBuf],
) -> Result<bool, StoreError> {
    let (folder, beside) = (layout.month(kind, month), layout.compacting(kind, month));
    clear_folder(&beside, &folder)?;
    create_folder(&beside)?;
    let hidden: Vec<PathBuf> = new.iter().map(|path| Layout::temporary(path)).collect();
    for path in files::list(&folder)? {
        // All other files are linked too, known to the ledger or not.
        let target = match hidden.iter().position(|hidden| *hidden == path) {
            Some(index) => new[index].file_name(),
            None if old.contains(&path) => continue,
            None => path.file_name(),
        };
        if std::fs::hard_link(&path, beside.join(target.unwrap_or_default())).is_err() {
            clear_folder(&beside, &folder)?;
            return Ok(false);
        }
    }
    sync_folder(&beside)?;
    if !files::exchange(&beside, &folder)? {
        clear_folder(&beside, &folder)?;
        return Ok(false);
    }
    create_folder(&layout.retired(kind, month))?;
    for path in files::list(&beside)? {
        if old.iter().any(|old| old.file_name() == path.file_name())
            && !rename_new(&path, &layout.retired_file(kind, month, path.file_name().unwrap_or_default()))?
        {
            // An earlier attempt linked it there and did not finish.
            remove_file(&path, "removing a merged file")?;
        }
    }
    clear_folder(&beside, &folder)?;
    Ok(true)
}

/// Moves replaced files out of the month's folder.
fn set_aside(layout: &Layout, (kind, month): (FileKind, Month), old: &[PathBuf]) -> Result<(), StoreError> {
    if old.is_empty() {
        return Ok(());
    }
    create_folder(&layout.retired(kind, month))?;
    for path in old {
        let target = layout.retired_file(kind, month, path.file_name().unwrap_or_default());
        if !rename_new(path, &target)? {
            // An earlier attempt linked it there and did not finish.
            remove_file(path, "removing a merged file")?;
        }
    }
    Ok(())
}

/// Empties a folder of links to the files of another, and removes it. A file that exists only in it is moved there: it
/// was added meanwhile.
fn clear_folder(folder: &Path, home: &Path) -> Result<(), StoreError> {
    for path in files::list(folder)? {
        let place = home.join(Layout::unretired(path.file_name().unwrap_or_default()));
        // Of a symbolic link itself, which may point to nothing.
        let same = |other: &Path| match (std::fs::symlink_metadata(&path), std::fs::symlink_metadata(other)) {
            (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
            _ => false,
        };
        // A part being published may be linked under its other name, hidden or final.
        if same(&place) || same(&Layout::temporary(&place)) || Layout::unhidden(&place).is_some_and(|name| same(&name))
        {
            remove_file(&path, "removing a link")?;
        } else if !rename_new(&path, &place)? {
            return Err(taken(&place, &path));
        }
    }
    match std::fs::remove_dir(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io(folder, "removing the folder")(error))
        }
        _ => Ok(()),
    }
}

/// Clears the folders of killed merges. Files that are nowhere else go back to their month.
fn clear_merges(layout: &Layout) -> Result<(), StoreError> {
    for place in ["compacting", "retired"] {
        let place = layout.root().join(place);
        for folder in files::list(&place)? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let month = FileKind::ALL.into_iter().find_map(|kind| {
                let month = Month::parse(name.strip_prefix(kind.folder())?.strip_prefix('-')?)?;
                Some(layout.month(kind, month))
            });
            if let Some(month) = month {
                if !files::list(&folder)?.is_empty() {
                    create_folder(&month)?;
                }
                clear_folder(&folder, &month)?;
            }
        }
        // One that contains something unknown stays.
        let _ = std::fs::remove_dir(place);
    }
    Ok(())
}
