//! What is still to be done to a file: rows of the ledger, so that a kill at any instant leaves nothing half-done.
//!
//! A file is written under its hidden name (`write`), comes to be by the transaction that records it, and only then gets
//! its own name (`publish`). So a file under its own name was committed, and nothing here removes one that the ledger did
//! not name for it: files that merges replaced (`retire`), and files that prune, the quota or a person let go (`remove`).
//! The steps are done right after their transaction; what a kill leaves undone, the next writer does.

use super::database::Ledger;
use crate::store::disk::access::create_folder;
use crate::store::disk::files::{self, remove_file, rename_new, sync_folder};
use crate::store::disk::layout::{FileKind, Layout, Month};
use crate::store::error::StoreError;
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is to be done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileStep {
    /// It is being written under its hidden name. Of a dead writer: remove that.
    Write,
    /// It is committed: give it its own name.
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

/// Name files that are about to be written: once that is durable, a kill leaves no file that nobody knows.
pub(crate) fn plan<P: AsRef<str>>(
    transaction: &Connection,
    generation: Option<i64>,
    paths: impl IntoIterator<Item = P>,
) -> rusqlite::Result<()> {
    intend(transaction, FileStep::Write, generation, paths)
}

/// Files that are complete under their hidden names come to be with this transaction.
pub(crate) fn publish<P: AsRef<str>>(
    transaction: &Connection,
    paths: impl IntoIterator<Item = P>,
) -> rusqlite::Result<()> {
    intend(transaction, FileStep::Publish, None, paths)
}

/// Parts or packs whose rows and originals are in others from this transaction on.
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

/// The paths of a step.
fn paths(ledger: &Ledger, step: FileStep) -> Result<Vec<String>, StoreError> {
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement =
            ledger.connection.prepare_cached("SELECT path FROM intents WHERE step = ?1 ORDER BY path")?;
        statement.query_map([step.word()], |row| row.get(0))?.collect()
    };
    read().map_err(ledger.failed("reading the intents"))
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

/// The paths that intents name, whatever is to be done: files that are not unknown, though no row lists them.
pub(crate) fn named(ledger: &Ledger) -> Result<BTreeSet<String>, StoreError> {
    let read = || -> rusqlite::Result<BTreeSet<String>> {
        ledger.connection.prepare("SELECT path FROM intents")?.query_map([], |row| row.get(0))?.collect()
    };
    read().map_err(ledger.failed("reading the intents"))
}

/// Remove what a dead writer had begun to write. Needs no room on the disk.
pub(crate) fn drop_unfinished(layout: &Layout, ledger: &Ledger) -> Result<(), StoreError> {
    let planned = paths(ledger, FileStep::Write)?;
    planned
        .iter()
        .try_for_each(|path| remove_file(&Layout::temporary(&layout.file(path)), "removing an unfinished file"))
}

/// Do all that is to be done, at the start of a writer: finish what was committed, and remove what readers no longer need.
///
/// Returns what was published, as [`settle`] does.
pub(crate) fn recover(layout: &Layout, ledger: &Ledger) -> Result<Vec<String>, StoreError> {
    drop_unfinished(layout, ledger)?;
    let planned = paths(ledger, FileStep::Write)?;
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

/// Do what the last transaction decided. Returns what was published: its rows are kept until a later transaction, which
/// [`forget_published`] makes after [`sync`] has made the names durable. So a commit needs no sync for them.
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
        // Engines glob the parts: they see the old set or the new. Nobody globs packs, which are never gone meanwhile.
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

/// Make the names of published files durable.
pub(crate) fn sync(layout: &Layout, published: &[String]) -> Result<(), StoreError> {
    let folders: BTreeSet<PathBuf> =
        published.iter().filter_map(|path| layout.file(path).parent().map(Path::to_owned)).collect();
    folders.iter().filter(|folder| folder.is_dir()).try_for_each(|folder| sync_folder(folder))
}

/// Forget published files whose names are durable.
pub(crate) fn forget_published(transaction: &Connection, published: &[String]) -> rusqlite::Result<()> {
    let sql = "DELETE FROM intents WHERE path = ?1 AND step = ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    published.iter().try_for_each(|path| statement.execute([path.as_str(), FileStep::Publish.word()]).map(drop))
}

/// Give a committed file its own name, if it still has the hidden one.
fn give_name(path: &Path) -> Result<(), StoreError> {
    let hidden = Layout::temporary(path);
    if !hidden.exists() || rename_new(&hidden, path)? {
        return Ok(());
    }
    // Names of rejected items and conflicts are made of what is in them: the same again is there already.
    if files::Seal::of(&hidden)? == files::Seal::of(path)? {
        return remove_file(&hidden, "removing the second copy of a file");
    }
    let found = format!("another file; both are kept, this one as {}", hidden.display());
    Err(StoreError::Damaged { path: path.to_owned(), expected: "a name that is free".into(), found })
}

/// Whether a row names a file. Names are made of what is in rejected items: they come back.
fn is_needed(ledger: &Ledger, path: &str) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM files WHERE path = ?1) OR EXISTS (SELECT 1 FROM rejected WHERE file = ?1)
               OR EXISTS (SELECT 1 FROM conflicts WHERE file = ?1)";
    ledger.connection.query_row(sql, [path], |row| row.get(0)).map_err(ledger.failed("looking for a file"))
}

/// Put the folder of a month together anew beside it, of links to its files, and exchange the two. False where the file
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
        // Whatever else is there goes along, known to the ledger or not.
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
            // An earlier try linked it there and did not come to the end.
            remove_file(&path, "removing a merged file")?;
        }
    }
    clear_folder(&beside, &folder)?;
    Ok(true)
}

/// Move replaced files out of the month's folder.
fn set_aside(layout: &Layout, (kind, month): (FileKind, Month), old: &[PathBuf]) -> Result<(), StoreError> {
    if old.is_empty() {
        return Ok(());
    }
    create_folder(&layout.retired(kind, month))?;
    for path in old {
        let target = layout.retired_file(kind, month, path.file_name().unwrap_or_default());
        if !rename_new(path, &target)? {
            // An earlier try linked it there and did not come to the end.
            remove_file(path, "removing a merged file")?;
        }
    }
    Ok(())
}

/// Empty a folder of links to the files of another, and remove it. What is in it and not there goes there: it is the only
/// copy, of a file that came in between.
fn clear_folder(folder: &Path, home: &Path) -> Result<(), StoreError> {
    for path in files::list(folder)? {
        let place = home.join(Layout::unretired(path.file_name().unwrap_or_default()));
        let same = |other: &Path| match (std::fs::metadata(&path), std::fs::metadata(other)) {
            (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
            _ => false,
        };
        // A part that is being published may be linked under its other name, hidden or not.
        if same(&place) || same(&Layout::temporary(&place)) || Layout::unhidden(&place).is_some_and(|name| same(&name))
        {
            remove_file(&path, "removing a link")?;
        } else if !rename_new(&path, &place)? {
            let found = format!("another file; both are kept, this one as {}", path.display());
            return Err(StoreError::Damaged { path: place, expected: "a name that is free".into(), found });
        }
    }
    match std::fs::remove_dir(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io(folder, "removing the folder")(error))
        }
        _ => Ok(()),
    }
}

/// Clear the folders of merges that a kill left. Files in them that are nowhere else go back to their month.
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
        // One that holds something nobody knows stays.
        let _ = std::fs::remove_dir(place);
    }
    Ok(())
}
