//! The names in the data folder: where each thing lies, and what a month is called. Comes in: the root. Must not
//! open a file. No name here is made of a stranger's text.

use jiff::civil::Date;
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

    /// Read `2026-11`.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let month = Self { year: year.parse().ok()?, month: month.parse().ok()? };
        ((1..=12).contains(&month.month) && text.len() == 7 && month.to_string() == text).then_some(month)
    }

    /// The folder of the files of this month: `month=2026-11`.
    pub fn folder(self) -> String {
        format!("month={self}")
    }

    /// The month whose folder this is; null where it is none's.
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

/// The two kinds of files that lie in folders of months.
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

    /// The extension of its files.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Part => "parquet",
            Self::Pack => "zip",
        }
    }
}

/// The data folder's map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The map of a folder that may not exist yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The ledger.
    pub fn ledger(&self) -> PathBuf {
        self.root.join("ledger.sqlite")
    }

    /// The lock of the one writer.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Bytes that should have been a report.
    pub fn rejected(&self) -> PathBuf {
        self.root.join("rejected")
    }

    /// Reports with the key of another.
    pub fn conflicts(&self) -> PathBuf {
        self.root.join("conflicts")
    }

    /// Folders that compaction replaced; the next run removes them.
    pub fn retired(&self) -> PathBuf {
        self.root.join("retired")
    }

    /// All files of a kind.
    pub fn folder(&self, kind: FileKind) -> PathBuf {
        self.root.join(kind.folder())
    }

    /// The path of a file the ledger names by its path below the root.
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

    /// The name of a batch's file of a month, below the root.
    pub fn relative_file(kind: FileKind, month: Month, batch: i64) -> String {
        format!("{}/{batch:08}.{}", Self::relative_month(kind, month), kind.extension())
    }

    /// The name a file has while it is written: hidden from every reader that globs `*.parquet` or lists visible files.
    pub fn temporary(path: &Path) -> PathBuf {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.with_file_name(format!(".{name}.tmp"))
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
    fn a_temporary_file_is_hidden_from_a_glob_of_parts() {
        let path = Layout::temporary(Path::new("/s/records/month=2026-11/00000001.parquet"));
        assert_eq!(path, Path::new("/s/records/month=2026-11/.00000001.parquet.tmp"));
    }
}
