//! Keeps the files of a month few: small ones are merged once there are [`SMALL_FILES`] of them.
//!
//! A month then has fewer than [`SMALL_FILES`] small files of a kind, and at most one for each half of [`MERGE_ROWS`] rows
//! or [`MERGE_BYTES`] bytes of originals. Steps: a row in `compactions` names the merge; the whole month is put together in
//! `compacting/`, its other files as hard links; one exchange of the two folders; one transaction; the old folder goes to
//! `retired/`, which the next run removes. A reader that globs sees the old set or the new, never both.

use super::commit::Seal;
use super::layout::{FileKind, Layout, Month};
use super::ledger::{Ledger, sync_folder};
use super::rebuild::{exchange, remove_folder};
use super::writer::{Writer, create_folder};
use super::{StoreError, merge};
use rusqlite::params;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How many small files of a kind a month may have before they are merged.
pub const SMALL_FILES: usize = 16;
/// A part of this many rows is full and left alone.
pub const FULL_ROWS: i64 = 100_000;
/// A pack of this many bytes is full and left alone. A merge holds the names of all its members.
pub const FULL_BYTES: i64 = 16 << 20;
/// Rows of a merge: it holds a column of them a thread.
pub const MERGE_ROWS: i64 = 1 << 17;
/// Bytes of a merge of packs.
pub const MERGE_BYTES: i64 = 24 << 20;

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Folders of months that were exchanged.
    pub months: usize,
    /// Files merged.
    pub merged: usize,
    /// Files they became.
    pub made: usize,
}

/// An instant at which a test may kill a compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The merge is named.
    Named,
    /// The new folder is complete and durable.
    Built,
    /// The folders are exchanged.
    Exchanged,
    /// The ledger knows the new set.
    Recorded,
}

/// A file that is not full.
struct Small {
    path: String,
    records: i64,
    bytes: i64,
}

impl Small {
    /// How much of a merge it fills, in millionths.
    fn weight(&self) -> i64 {
        let share = |amount: i64, most: i64| amount.saturating_mul(1_000_000) / most;
        share(self.records, MERGE_ROWS).max(share(self.bytes, MERGE_BYTES))
    }
}

/// A merge to be done.
struct Merge {
    kind: FileKind,
    month: Month,
    /// Oldest first.
    paths: Vec<String>,
    records: i64,
}

impl Merge {
    /// Smallest first: where not even the two smallest fit, each of the others fills half a merge.
    fn of_smallest(kind: FileKind, month: Month, mut files: Vec<Small>) -> Self {
        files.sort_by(|one, other| (one.weight(), &one.path).cmp(&(other.weight(), &other.path)));
        let mut merge = Self { kind, month, paths: Vec::new(), records: 0 };
        let mut bytes: i64 = 0;
        for file in files {
            let more = (merge.records.saturating_add(file.records), bytes.saturating_add(file.bytes));
            if more.0 > MERGE_ROWS || more.1 > MERGE_BYTES {
                // The rest of the month waits for the next round, once this much is one file.
                break;
            }
            (merge.records, bytes) = more;
            merge.paths.push(file.path);
        }
        merge.paths.sort_unstable();
        merge
    }
}

impl Writer {
    /// Merge small files where there are too many; with `all`, wherever there are two. Costs one query where nothing is due.
    ///
    /// # Errors
    /// A fault of the disk; then the month is as it was, or as it should be.
    pub fn compact(&mut self, all: bool) -> Result<Compacted, StoreError> {
        let mut done = Compacted::default();
        let least = if all { 2 } else { SMALL_FILES };
        loop {
            let due = self.due(least)?;
            if due.is_empty() {
                return Ok(done);
            }
            for merge in due {
                self.merge(&merge)?;
                done.months += 1;
                done.merged += merge.paths.len();
                done.made += 1;
            }
        }
    }

    /// The merges that are due: of each month and kind its smallest files, as many as fit a merge.
    fn due(&self, least: usize) -> Result<Vec<Merge>, StoreError> {
        let read = || -> rusqlite::Result<BTreeMap<(String, String), Vec<Small>>> {
            let mut statement = self.ledger.connection.prepare_cached(
                "SELECT kind, month, path, records, bytes FROM files WHERE (kind, month) IN (
                    SELECT kind, month FROM files WHERE records < ?2 AND bytes < ?3
                    GROUP BY kind, month HAVING COUNT(*) >= ?1)
                 AND records < ?2 AND bytes < ?3",
            )?;
            let mut rows = statement.query([super::commit::int(least), FULL_ROWS, FULL_BYTES])?;
            let mut months: BTreeMap<_, Vec<_>> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let small = Small { path: row.get(2)?, records: row.get(3)?, bytes: row.get(4)? };
                months.entry((row.get(0)?, row.get(1)?)).or_default().push(small);
            }
            Ok(months)
        };
        let months = read().map_err(self.ledger.failed("looking for small files"))?;
        let merges = months.into_iter().filter_map(|((kind, month), files)| {
            let kind = FileKind::ALL.into_iter().find(|known| known.folder() == kind)?;
            Some(Merge::of_smallest(kind, Month::parse(&month)?, files))
        });
        Ok(merges.filter(|merge| merge.paths.len() > 1).collect())
    }

    fn merge(&mut self, merge: &Merge) -> Result<(), StoreError> {
        let number = self.take_number()?;
        let made = Layout::relative_file(merge.kind, merge.month, number);
        self.name_merge(merge, &made)?;
        self.compact_step(Step::Named)?;

        let new = workplace(&self.layout, merge.kind, merge.month);
        let old = self.layout.month(merge.kind, merge.month);
        remove_folder(&new)?;
        create_folder(&new)?;
        let seal = build(&self.layout, merge, &new, &made)?;
        self.compact_step(Step::Built)?;

        exchange(&new, &old)?;
        self.compact_step(Step::Exchanged)?;

        let file = (made.as_str(), number, seal);
        record(&self.ledger, merge, file).map_err(self.ledger.failed("recording the merged file"))?;
        self.compact_step(Step::Recorded)?;
        retire(&self.layout, merge.kind, merge.month)
    }

    /// A number of its own for the merged file, never used again.
    fn take_number(&self) -> Result<i64, StoreError> {
        let now = self.now.as_millisecond();
        let sql = "INSERT INTO batches (committed, reports, records) VALUES (?1, 0, 0)";
        let done = self.ledger.connection.execute(sql, [now]);
        done.map(|_| self.ledger.connection.last_insert_rowid())
            .map_err(self.ledger.failed("numbering the merged file"))
    }

    fn name_merge(&self, merge: &Merge, made: &str) -> Result<(), StoreError> {
        let replaced = serde_json::to_string(&merge.paths).expect("texts serialize");
        let row = params![made, merge.kind.folder(), merge.month.to_string(), merge.records, replaced];
        let sql = "INSERT INTO compactions VALUES (?1, ?2, ?3, ?4, ?5)";
        self.ledger.connection.execute(sql, row).map(drop).map_err(self.ledger.failed("naming the merge"))
    }

    #[cfg_attr(not(test), expect(clippy::unnecessary_wraps, reason = "tests kill here"))]
    fn compact_step(&mut self, step: Step) -> Result<(), StoreError> {
        #[cfg(test)]
        if self.compact_fault == Some(step) {
            return Err(StoreError::Unknown { what: "killed by a test".into(), expected: "to live" });
        }
        let _ = (self, step);
        Ok(())
    }
}

/// Where the new folder of a month grows, and where the old one stands right after the exchange.
pub(crate) fn workplace(layout: &Layout, kind: FileKind, month: Month) -> PathBuf {
    layout.root().join("compacting").join(format!("{}-{month}", kind.folder()))
}

/// Put the month together anew.
fn build(layout: &Layout, merge: &Merge, new: &Path, made: &str) -> Result<Seal, StoreError> {
    let paths: Vec<PathBuf> = merge.paths.iter().map(|path| layout.file(path)).collect();
    let target = new.join(Path::new(made).file_name().expect("a file has a name"));
    let seal = match merge.kind {
        FileKind::Part => merge::parts(&paths, &target)?,
        FileKind::Pack => merge::packs(&paths, &target)?,
    };
    let old = layout.month(merge.kind, merge.month);
    let entries = std::fs::read_dir(&old).map_err(StoreError::io(&old, "reading the folder"))?;
    for entry in entries {
        let path = entry.map_err(StoreError::io(&old, "reading the folder"))?.path();
        // Whatever else lies there goes along, known to the ledger or not.
        if !paths.contains(&path) {
            let target = new.join(path.file_name().unwrap_or_default());
            if std::fs::hard_link(&path, &target).is_err() {
                std::fs::copy(&path, &target).map_err(StoreError::io(&target, "copying the file"))?;
                std::fs::File::open(&target)
                    .and_then(|file| file.sync_all())
                    .map_err(StoreError::io(&target, "syncing the file"))?;
            }
        }
    }
    sync_folder(new)?;
    Ok(seal)
}

fn record(ledger: &Ledger, merge: &Merge, (made, number, seal): (&str, i64, Seal)) -> rusqlite::Result<()> {
    let transaction = ledger.connection.unchecked_transaction()?;
    let reports = reports_of(ledger, &merge.paths)?;
    for path in &merge.paths {
        transaction.execute("DELETE FROM files WHERE path = ?1", [path])?;
    }
    let (kind, month, bytes) = (merge.kind.folder(), merge.month.to_string(), super::commit::int(seal.bytes));
    let row = params![made, kind, month, number, merge.records, reports, bytes, seal.hash];
    transaction.execute("INSERT INTO files VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", row)?;
    transaction.execute("DELETE FROM compactions WHERE made = ?1", [made])?;
    transaction.commit()
}

/// Move the old set out of the way; the next run removes it.
fn retire(layout: &Layout, kind: FileKind, month: Month) -> Result<(), StoreError> {
    let old = workplace(layout, kind, month);
    let retired = layout.retired().join(format!("{}-{month}", kind.folder()));
    create_folder(&layout.retired())?;
    remove_folder(&retired)?;
    std::fs::rename(&old, &retired).map_err(StoreError::io(&old, "retiring the old files"))
}

/// A merge as the ledger names it: the file to come, kind, month, and its rows and the paths it replaces.
type Named = (String, String, String, (i64, String));

/// Finish or drop what a killed compaction left, and remove what an earlier run retired.
pub(crate) fn recover(layout: &Layout, ledger: &Ledger) -> Result<(), StoreError> {
    let read = || -> rusqlite::Result<Vec<Named>> {
        let mut statement =
            ledger.connection.prepare("SELECT made, kind, month, records, replaced FROM compactions")?;
        let found =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, (row.get(3)?, row.get(4)?))))?;
        found.collect()
    };
    for (made, kind, month, (records, replaced)) in read().map_err(ledger.failed("reading the merges"))? {
        let kind = FileKind::ALL.into_iter().find(|known| known.folder() == kind);
        let (Some(kind), Some(month)) = (kind, Month::parse(&month)) else { continue };
        let folder = layout.month(kind, month);
        // Two renames instead of one exchange may have left the folder away: it stands aside.
        let aside = workplace(layout, kind, month).with_extension("old");
        if !folder.exists() && aside.exists() {
            std::fs::rename(&aside, &folder).map_err(StoreError::io(&folder, "putting the month back"))?;
            sync_folder(&layout.folder(kind))?;
        }
        let target = layout.file(&made);
        if target.exists() {
            let merge = Merge { kind, month, paths: serde_json::from_str(&replaced).unwrap_or_default(), records };
            let number = number_of(&made);
            let file = (made.as_str(), number, Seal::of(&target)?);
            record(ledger, &merge, file).map_err(ledger.failed("recording the merged file"))?;
        } else {
            let sql = "DELETE FROM compactions WHERE made = ?1";
            ledger.connection.execute(sql, [&made]).map_err(ledger.failed("dropping a merge"))?;
        }
    }
    // Either way the month's own folder is whole: what stands in the workplace is the other set.
    remove_folder(&layout.root().join("compacting"))?;
    remove_folder(&layout.retired())
}

fn number_of(made: &str) -> i64 {
    Path::new(made).file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok()).unwrap_or(0)
}

fn reports_of(ledger: &Ledger, paths: &[String]) -> rusqlite::Result<i64> {
    paths.iter().try_fold(0, |sum, path| {
        let sql = "SELECT COALESCE((SELECT reports FROM files WHERE path = ?1), 0)";
        ledger.connection.query_row(sql, [path], |row| row.get::<_, i64>(0)).map(|reports| reports.saturating_add(sum))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the files that are merged of a month with files of so many thousand rows each.
    fn merged(thousands: &[i64]) -> Vec<String> {
        let small = |(number, thousand): (usize, &i64)| Small {
            path: format!("{number}"),
            records: thousand * 1000,
            bytes: thousand << 14,
        };
        let files = thousands.iter().enumerate().map(small).collect();
        Merge::of_smallest(FileKind::Part, Month::parse("2026-11").unwrap(), files).paths
    }

    #[test]
    fn a_nearly_full_file_does_not_keep_others_from_being_merged() {
        assert_eq!(merged(&[99, 40, 41, 42, 43]), ["1", "2", "3"]);
        assert_eq!(merged(&[5, 99, 4, 26]), ["0", "2", "3"]);
        assert_eq!(merged(&[7, 1, 90, 2]), ["0", "1", "2", "3"]);
    }

    #[test]
    fn what_does_not_fit_is_large() {
        assert_eq!(merged(&[70, 66, 99]), ["1"]);
    }
}
