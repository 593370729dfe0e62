//! Keeps the number of files per month small: files of one size class are merged once there are [`MERGE_FILES`] of
//! them.
//!
//! The merged file is written beside the others under a hidden name. One transaction replaces them, and the operations
//! of intents.rs update the folder. Copied data are checked: a damaged file is reported and left alone.

use super::verify::Problem;
use crate::store::disk::access::sync_folder;
use crate::store::disk::files::{self, FileSeal};
use crate::store::disk::layout::{FileKind, Layout, Month};
use crate::store::error::StoreError;
use crate::store::pack::zip::PackReader;
use crate::store::tables::values::int;
use crate::store::write::ledger_files::{LedgerFile, replace_files};
use crate::store::write::merge;
use crate::store::write::writer::{CommitStage, Writer};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Files of one size class that a month may have before they are merged, and the ratio of one class to the next.
///
/// The files of a class are less than eight times its minimum size, so eight of them make a file of a higher class, and
/// a row is rewritten at most once per class: `log8` of [`FULL_ROWS`], six times, however often reports arrive. Fewer
/// files per merge would rewrite rows more often, more files would make a month slow to read. Files that are about to
/// make a full one wait until they do, up to twice as many: merged before, their rows would be rewritten once more.
pub(crate) const MERGE_FILES: usize = 8;
/// A part with this many rows is full and left alone: half of [`MERGE_ROWS`], so that two that are not full always fit.
const FULL_ROWS: i64 = MERGE_ROWS / 2;
/// A pack with this many bytes is full and left alone. A merge keeps the names of all its members in memory.
const FULL_BYTES: i64 = MERGE_BYTES / 2;
/// Rows per merge: each thread holds one column of them.
const MERGE_ROWS: i64 = 1 << 17;
/// Bytes per merge of packs.
const MERGE_BYTES: i64 = 24 << 20;

/// What a compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Merges made.
    pub months: usize,
    /// Files merged.
    pub merged: usize,
    /// Files they became.
    pub made: usize,
    /// Damaged files, which were left out.
    pub damaged: Vec<Problem>,
}

/// A file that is not full.
struct SmallFile {
    path: String,
    records: i64,
    reports: i64,
    bytes: i64,
    hash: Option<[u8; 32]>,
    /// The size of a part in memory: the number of rows is not enough, because a hostile one may have megabytes of
    /// text.
    inflated: i64,
}

impl SmallFile {
    /// Its size, and the size that fills a merge.
    fn size(&self, kind: FileKind) -> (i64, i64) {
        match kind {
            FileKind::Part => (self.records, MERGE_ROWS),
            FileKind::Pack => (self.bytes, MERGE_BYTES),
        }
    }

    /// The size class: each begins at [`MERGE_FILES`] times the one before.
    fn class(&self, kind: FileKind) -> u32 {
        let ratio = i64::try_from(MERGE_FILES).unwrap_or(i64::MAX);
        self.size(kind).0.max(1).ilog(ratio)
    }
}

/// A merge to be done.
struct Merge {
    kind: FileKind,
    month: Month,
    /// Oldest first.
    files: Vec<SmallFile>,
}

impl Merge {
    /// As many of the files as fit, smallest first. Two always do; the rest then waits beside a full file.
    fn of_smallest(kind: FileKind, month: Month, mut files: Vec<SmallFile>) -> Self {
        files.sort_by(|one, other| (one.size(kind).0, &one.path).cmp(&(other.size(kind).0, &other.path)));
        let (mut sum, mut inflated): (i64, i64) = (0, 0);
        let fit = files.iter().take_while(|file| {
            let (size, most) = file.size(kind);
            sum = sum.saturating_add(size);
            inflated = inflated.saturating_add(file.inflated);
            sum <= most && inflated <= merge::INFLATED
        });
        let fit = fit.count();
        files.truncate(fit);
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Self { kind, month, files }
    }

    fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.path.as_str())
    }
}

/// Whether the files of one size class are merged.
fn is_due(kind: FileKind, files: &[SmallFile]) -> bool {
    let sum = files.iter().fold(0_i64, |sum, file| sum.saturating_add(file.size(kind).0));
    let full = match kind {
        FileKind::Part => FULL_ROWS,
        FileKind::Pack => FULL_BYTES,
    };
    let waits = (full / 2..full).contains(&sum) && files.len() < 2 * MERGE_FILES;
    files.len() >= MERGE_FILES && !waits
}

/// How a merge ended.
enum Merged {
    Done,
    /// Nothing was done, because of these.
    Damaged(Vec<(String, StoreError)>),
}

impl Writer {
    /// Merges small files if there are too many; with `all`, if there are two. Costs one query if nothing is
    /// due.
    ///
    /// # Errors
    /// A disk error; then the month is unchanged, or complete.
    pub fn compact(&mut self, all: bool) -> Result<Compacted, StoreError> {
        let mut done = Compacted::default();
        let mut left_out = BTreeSet::new();
        loop {
            let due = self.due(all, &left_out)?;
            if due.is_empty() {
                break;
            }
            for merge in due {
                match self.merge(&merge)? {
                    Merged::Done => {
                        done.months += 1;
                        done.merged += merge.files.len();
                        done.made += 1;
                    }
                    Merged::Damaged(files) => {
                        for (path, error) in files {
                            left_out.insert(path.clone());
                            done.damaged.push(Problem { at: path, what: error.to_string() });
                        }
                    }
                }
            }
        }
        for Problem { at, what } in &done.damaged {
            self.notices.push(format!("{at} is damaged and was not merged: {what}"));
        }
        Ok(done)
    }

    /// The merges that are due: for each month, kind and size class as many files as fit into a merge.
    fn due(&self, all: bool, left_out: &BTreeSet<String>) -> Result<Vec<Merge>, StoreError> {
        let least = if all { 2 } else { MERGE_FILES };
        let sql = "SELECT kind, month, path, records, bytes, reports, hash FROM files WHERE (kind, month) IN (
                SELECT kind, month FROM files WHERE CASE kind WHEN 'records' THEN records < ?2 ELSE bytes < ?3 END
                GROUP BY kind, month HAVING COUNT(*) >= ?1)
             AND CASE kind WHEN 'records' THEN records < ?2 ELSE bytes < ?3 END";
        let mut classes: BTreeMap<(FileKind, Month, u32), Vec<SmallFile>> = BTreeMap::new();
        self.ledger.each_row("looking for small files", sql, [int(least), FULL_ROWS, FULL_BYTES], |row| {
            let month = Month::parse(row.get_ref(1)?.as_str()?);
            let (Some(kind), Some(month)) = (FileKind::parse(row.get_ref(0)?.as_str()?), month) else { return Ok(()) };
            let (path, records, bytes) = (row.get(2)?, row.get(3)?, row.get(4)?);
            let small = SmallFile { path, records, bytes, reports: row.get(5)?, hash: row.get(6)?, inflated: 0 };
            if !left_out.contains(&small.path) {
                let class = if all { 0 } else { small.class(kind) };
                classes.entry((kind, month, class)).or_default().push(small);
            }
            Ok(())
        })?;
        let mut merges = Vec::new();
        let due = |kind, files: &[SmallFile]| if all { files.len() >= least } else { is_due(kind, files) };
        for ((kind, month, _), mut files) in classes.into_iter().filter(|((kind, ..), files)| due(*kind, files)) {
            if kind == FileKind::Part {
                for file in &mut files {
                    // An unreadable one is detected when it is merged.
                    let path = files::standing(&self.layout.file(&file.path));
                    file.inflated = merge::inflated(&path).unwrap_or(0);
                }
                files.retain(|file| file.inflated <= merge::INFLATED / 2);
            }
            if due(kind, &files) {
                merges.push(Merge::of_smallest(kind, month, files));
            }
        }
        merges.retain(|merge| merge.files.len() > 1);
        Ok(merges)
    }

    fn merge(&mut self, merge: &Merge) -> Result<Merged, StoreError> {
        let mut damaged = Vec::new();
        for file in &merge.files {
            match self.check_source(file) {
                Err(error @ StoreError::Damaged { .. }) => damaged.push((file.path.clone(), error)),
                other => other?,
            }
        }
        if !damaged.is_empty() {
            return Ok(Merged::Damaged(damaged));
        }
        self.lock.check()?;
        let (made, number) = self.plan_file(merge.kind, merge.month)?;
        self.reach(CommitStage::Planned)?;

        let paths: Vec<PathBuf> = merge.paths().map(|path| files::standing(&self.layout.file(path))).collect();
        let hidden = Layout::temporary(&self.layout.file(&made));
        let built = match merge.kind {
            FileKind::Part => merge::parts(&self.ledger, &paths, &hidden),
            FileKind::Pack => merge::packs(&paths, &hidden).and_then(|seal| check_members(&hidden).map(|()| seal)),
        };
        let seal = match built {
            Ok(seal) => seal,
            Err(error @ (StoreError::Damaged { .. } | StoreError::Parquet { .. })) => {
                // One of the files is damaged, although its hash matches or is unknown.
                files::remove_file(&hidden, "removing an unfinished file")?;
                let check = |file: &PathBuf| match merge.kind {
                    FileKind::Part => super::verify::rows(file).map(drop),
                    FileKind::Pack => check_members(file),
                };
                let checked = merge.paths().zip(&paths);
                let damaged: Vec<_> = checked
                    .filter_map(|(path, file)| check(file).err().map(|error| (path.to_owned(), error)))
                    .collect();
                return if damaged.is_empty() { Err(error) } else { Ok(Merged::Damaged(damaged)) };
            }
            Err(error) => return Err(error),
        };
        sync_folder(&self.layout.month(merge.kind, merge.month))?;
        self.reach(CommitStage::Written)?;

        let (records, reports) = merge.files.iter().fold((0_i64, 0_i64), |(records, reports), file| {
            (records.saturating_add(file.records), reports.saturating_add(file.reports))
        });
        let made = LedgerFile { path: made, kind: merge.kind, month: merge.month, records, reports, seal };
        let old: Vec<&str> = merge.paths().collect();
        self.ledger.write("recording the merged file", |transaction| {
            replace_files(transaction, &old, std::slice::from_ref(&made), number)
        })?;
        self.reach(CommitStage::Recorded)?;
        self.settle()?;
        self.reach(CommitStage::Published)?;
        Ok(Merged::Done)
    }

    /// Whether a file still has the bytes that were written.
    fn check_source(&self, file: &SmallFile) -> Result<(), StoreError> {
        let path = files::standing(&self.layout.file(&file.path));
        let found = match FileSeal::of(&path) {
            Ok(found) => found,
            // An unreadable disk is a local error; a missing file is damage.
            Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::damaged(&path, "a file of the ledger", "none"));
            }
            Err(error) => return Err(error),
        };
        if int(found.bytes) == file.bytes && file.hash.is_none_or(|hash| hash == found.hash) {
            return Ok(());
        }
        Err(StoreError::damaged(&path, "the bytes that were written", "others"))
    }
}

/// Checks that every original of a pack matches its manifest.
fn check_members(path: &Path) -> Result<(), StoreError> {
    let bad = PackReader::open(path)?.originals(|_, _| Ok(()))?;
    bad.into_iter().next().map_or(Ok(()), |bad| Err(bad.error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(number: usize, thousands: i64) -> SmallFile {
        let (records, bytes) = (thousands * 1000, thousands << 14);
        SmallFile { path: format!("{number}"), records, bytes, reports: 1, hash: None, inflated: 0 }
    }

    /// The names of the files that are merged of a month with files of so many thousand rows each.
    fn merged(thousands: &[i64]) -> Vec<String> {
        let files = thousands.iter().enumerate().map(|(number, thousands)| small(number, *thousands)).collect();
        let merge = Merge::of_smallest(FileKind::Part, Month::parse("2026-11").unwrap(), files);
        merge.paths().map(str::to_owned).collect()
    }

    #[test]
    fn a_nearly_full_file_does_not_keep_others_from_being_merged() {
        assert_eq!(merged(&[63, 40, 41, 42, 43]), ["1", "2", "3"]);
        assert_eq!(merged(&[5, 63, 4, 60]), ["0", "2", "3"]);
        assert_eq!(merged(&[7, 1, 60, 2]), ["0", "1", "2", "3"]);
    }

    #[test]
    fn two_files_that_are_not_full_always_fit() {
        let full = (FULL_ROWS - 1) / 1000;
        assert_eq!(merged(&[full, full, full]), ["0", "1"]);
    }

    #[test]
    fn files_that_will_soon_fill_a_merge_wait_for_the_rest() {
        let due = |files: usize, thousands: i64| {
            let files: Vec<SmallFile> = (0..files).map(|number| small(number, thousands)).collect();
            is_due(FileKind::Part, &files)
        };
        assert!(!due(7, 4) && due(8, 4) && due(8, 1), "eight are due where sixteen would not be full");
        assert!(!due(8, 7) && !due(9, 7) && due(10, 7), "or as many as make a full one");
        assert!(due(8, 9), "or more at once");
        assert!(!due(15, 4) && due(16, 4), "sixteen wait for no more");
    }

    /// One file per batch, merged as soon as its class is due: how often its rows are written, and the files left.
    #[test]
    fn a_row_is_rewritten_at_most_once_in_each_class() {
        for rows in [1, 7, 100, 1000, 5000] {
            // For each file its rows, and how often its most rewritten row was written.
            let mut month: Vec<(i64, u32)> = Vec::new();
            for _ in 0..3000 {
                month.push((rows, 0));
                loop {
                    let file = |rows: i64| SmallFile { records: rows, ..small(0, 0) };
                    let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
                    for (index, (rows, _)) in month.iter().enumerate().filter(|(_, (rows, _))| *rows < FULL_ROWS) {
                        classes.entry(file(*rows).class(FileKind::Part)).or_default().push(index);
                    }
                    let is_due = |files: &Vec<usize>| {
                        let files: Vec<SmallFile> = files.iter().map(|index| file(month[*index].0)).collect();
                        super::is_due(FileKind::Part, &files)
                    };
                    let Some(due) = classes.into_values().find(is_due) else { break };
                    let (mut sum, mut most, mut gone) = (0, 0, Vec::new());
                    for index in due {
                        if sum + month[index].0 <= MERGE_ROWS {
                            sum += month[index].0;
                            most = most.max(month[index].1);
                            gone.push(index);
                        }
                    }
                    for index in gone.into_iter().rev() {
                        month.remove(index);
                    }
                    month.push((sum, most + 1));
                }
            }
            let classes = FULL_ROWS.ilog(8) + 1;
            let most = month.iter().map(|(_, moved)| *moved).max().unwrap();
            assert!(most <= classes, "{rows} rows a batch: a row was rewritten {most} times");
            let left = month.iter().filter(|(rows, _)| *rows < FULL_ROWS).count();
            assert!(left <= 7 * classes as usize + MERGE_FILES, "{rows} rows a batch: {left} small files");
        }
    }
}
