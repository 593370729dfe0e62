//! The names in the data folder: where each file is, and how a month is spelled.
//!
//! No name here contains untrusted text.

use jiff::civil::Date;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A calendar month: the partition of parts and packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month {
    /// The year.
    pub year: i16,
    /// 1 to 12.
    pub month: i8,
}

impl Month {
    /// The month of a day.
    pub fn of(day: Date) -> Self {
        Self { year: day.year(), month: day.month() }
    }

    /// Reads `2026-11`.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let month = Self { year: year.parse().ok()?, month: month.parse().ok()? };
        ((1..=12).contains(&month.month) && text.len() == 7 && month.to_string() == text).then_some(month)
    }

    /// The folder of the files of this month: `month=2026-11`.
    pub fn folder(self) -> String {
        format!("month={self}")
    }

    /// The month of this folder; `None` if it is not a month's.
    pub fn of_folder(folder: &Path) -> Option<Self> {
        folder.file_name()?.to_str()?.strip_prefix("month=").and_then(Self::parse)
    }

    /// The first day.
    pub fn first(self) -> Date {
        Date::new(self.year, self.month, 1).unwrap_or(Date::MIN)
    }

    /// The last day.
    pub fn last(self) -> Date {
        self.first().last_of_month()
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// The two kinds of files in monthly folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKind {
    /// Parquet rows, under `records/`.
    Part,
    /// Originals in a zip, under `originals/`.
    Pack,
}

impl FileKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Part, Self::Pack];

    /// The folder below the root.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Part => "records",
            Self::Pack => "originals",
        }
    }

    /// The kind with this folder.
    pub fn parse(folder: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.folder() == folder)
    }

    /// The extension of its files.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Part => "parquet",
            Self::Pack => "zip",
        }
    }
}

/// The suffix of a retired part.
const RETIRED: &str = ".retired";

/// The paths in the data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    ledger: PathBuf,
}

impl Layout {
    /// The paths of a folder that may not exist yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), ledger: root.join("ledger.sqlite") }
    }

    /// The same folder with the ledger of a rebuild.
    #[must_use]
    pub fn rebuilding(&self) -> Self {
        Self { root: self.root.clone(), ledger: self.rebuild_folder().join("ledger.sqlite") }
    }

    /// Where a rebuild creates its ledger.
    pub fn rebuild_folder(&self) -> PathBuf {
        self.root.join("rebuilding")
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The ledger.
    pub fn ledger(&self) -> PathBuf {
        self.ledger.clone()
    }

    /// The lock of the one writer.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Bytes that should have been a report.
    pub fn rejected(&self) -> PathBuf {
        self.root.join("rejected")
    }

    /// Reports with the same key as another, different one.
    pub fn conflicts(&self) -> PathBuf {
        self.root.join("conflicts")
    }

    /// Files that a merge replaced, for readers that listed them before; the next run removes them.
    pub fn retired(&self, kind: FileKind, month: Month) -> PathBuf {
        self.root.join("retired").join(format!("{}-{month}", kind.folder()))
    }

    /// The name of a retired file. A part's name no longer ends in `.parquet`: otherwise a program that reads all
    /// Parquet files below the root would count its rows twice.
    pub fn retired_file(&self, kind: FileKind, month: Month, name: &OsStr) -> PathBuf {
        let mut name = name.to_owned();
        if kind == FileKind::Part {
            name.push(RETIRED);
        }
        self.retired(kind, month).join(name)
    }

    /// The original name of a retired file.
    pub fn unretired(name: &OsStr) -> &OsStr {
        name.to_str().and_then(|name| name.strip_suffix(RETIRED)).map_or(name, OsStr::new)
    }

    /// Where the new folder of a month is prepared, and where the old one is right after the exchange.
    pub fn compacting(&self, kind: FileKind, month: Month) -> PathBuf {
        self.root.join("compacting").join(format!("{}-{month}", kind.folder()))
    }

    /// All files of a kind.
    pub fn folder(&self, kind: FileKind) -> PathBuf {
        self.root.join(kind.folder())
    }

    /// The full path of a file in the ledger.
    pub fn file(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The folder of a month.
    pub fn month(&self, kind: FileKind, month: Month) -> PathBuf {
        self.root.join(Self::relative_month(kind, month))
    }

    /// The folder of a month, below the root.
    pub fn relative_month(kind: FileKind, month: Month) -> String {
        format!("{}/{}", kind.folder(), month.folder())
    }

    /// The name of a batch's file for a month, below the root. With the writer's tag names stay unique even if a number
    /// is reused after the ledger was restored from a backup.
    pub fn relative_file(kind: FileKind, month: Month, batch: i64, tag: u32) -> String {
        format!("{}/{batch:08}-{tag:08x}.{}", Self::relative_month(kind, month), kind.extension())
    }

    /// The batch of a file named like ours, now (`00000012-1f2e3d4c.zip`) or before version 3 (`00000012.zip`).
    pub fn batch_of(kind: FileKind, path: &Path) -> Option<i64> {
        let stem = path.file_name()?.to_str()?.strip_suffix(kind.extension())?.strip_suffix('.')?;
        let (number, tag) = stem.split_once('-').map_or((stem, None), |(number, tag)| (number, Some(tag)));
        let digits = |text: &str, least: usize, digit: fn(u8) -> bool| text.len() >= least && text.bytes().all(digit);
        let tagged = tag.is_none_or(|tag| tag.len() == 8 && digits(tag, 8, |byte| byte.is_ascii_hexdigit()));
        (digits(number, 8, |byte| byte.is_ascii_digit()) && tagged).then(|| number.parse().ok()).flatten()
    }

    /// The kind and month of a file, by its path below the root.
    pub fn month_of(path: &str) -> Option<(FileKind, Month)> {
        let path = Path::new(path);
        let folder = path.parent()?;
        Some((FileKind::parse(folder.parent()?.to_str()?)?, Month::of_folder(folder)?))
    }

    /// The name a file has while it is written: hidden from every reader that globs `*.parquet` or lists visible files.
    pub fn temporary(path: &Path) -> PathBuf {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.with_file_name(format!(".{name}.tmp"))
    }

    /// The final name of a hidden file; `None` if it is not one of [`Layout::temporary`].
    pub fn unhidden(path: &Path) -> Option<PathBuf> {
        let name = path.file_name()?.to_str()?.strip_prefix('.')?.strip_suffix(".tmp")?;
        Some(path.with_file_name(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_read_only_in_its_own_spelling() {
        assert_eq!(Month::parse("2026-11"), Some(Month { year: 2026, month: 11 }));
        for wrong in ["2026-13", "2026-1", "26-11", "10000-01", "2026-11-01", "", "../x-11"] {
            assert_eq!(Month::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Month { year: 2024, month: 2 }.last().day(), 29);
    }

    #[test]
    fn the_batch_of_a_file_is_read_from_its_name_alone() {
        let file = Layout::relative_file(FileKind::Pack, Month { year: 2026, month: 11 }, 12, 0x1f2e_3d4c);
        assert_eq!(file, "originals/month=2026-11/00000012-1f2e3d4c.zip");
        assert_eq!(Layout::batch_of(FileKind::Pack, Path::new(&file)), Some(12));
        assert_eq!(Layout::batch_of(FileKind::Pack, Path::new("00000012.zip")), Some(12));
        assert_eq!(Layout::batch_of(FileKind::Pack, Path::new("123456789-00000000.zip")), Some(123_456_789));
        for other in ["12.zip", "00000012.parquet", ".00000012.zip.tmp", "00000012 (1).zip", "00000012-x.zip", "a.zip"]
        {
            assert_eq!(Layout::batch_of(FileKind::Pack, Path::new(other)), None, "{other}");
        }
        assert_eq!(Layout::month_of(&file), Some((FileKind::Pack, Month { year: 2026, month: 11 })));
        assert_eq!(Layout::month_of("rejected/00.xml"), None);
    }

    #[test]
    fn a_temporary_file_is_hidden_from_a_glob_of_parts() {
        let path = Layout::temporary(Path::new("/s/records/month=2026-11/00000001.parquet"));
        assert_eq!(path, Path::new("/s/records/month=2026-11/.00000001.parquet.tmp"));
        assert_eq!(Layout::unhidden(&path).as_deref(), Some(Path::new("/s/records/month=2026-11/00000001.parquet")));
        assert_eq!(Layout::unhidden(Path::new("/s/a.parquet")), None);
    }
}
