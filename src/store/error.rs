//! Errors of the data folder. All of them are local: "try again", never "rejected".

use std::path::{Path, PathBuf};

/// An error of the data folder, its ledger or its files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process is the writer.
    #[error("{path}: the store is in use: expected no other writer, found {holder}", path = .path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// The holder according to the lock file.
        holder: String,
    },
    /// The file system does not support locks: two writers could not be kept apart.
    #[error(
        "{path}: expected a file system that locks, found one on which two hold the same lock; keep the data folder on a \
         local disk",
        path = .path.display()
    )]
    NoLocks {
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file was removed or replaced while it was held.
    #[error(
        "{path}: the lock was removed while this run held it; nothing is lost, and the next run continues",
        path = .path.display()
    )]
    LockLost {
        /// The lock file.
        path: PathBuf,
    },
    /// Another writer took over.
    #[error(
        "{path}: another process has become the writer; this one stops, nothing is lost, and the next run continues",
        path = .path.display()
    )]
    Superseded {
        /// The ledger.
        path: PathBuf,
    },
    /// The ledger was restored from an older copy.
    #[error(
        "{path}: the ledger is older than its files (it ends at batch {known}, {newest} is newer), as after restoring only \
         a part of a backup; run `dmarquet rebuild`, which brings every report back",
        path = .path.display()
    )]
    OlderLedger {
        /// The ledger.
        path: PathBuf,
        /// Its last batch.
        known: i64,
        /// The file with the largest number.
        newest: String,
    },
    /// A rebuild has put another ledger in the place of the one being read.
    #[error("{path}: the data folder was rebuilt while it was read; run the command again", path = .path.display())]
    Rebuilt {
        /// The ledger.
        path: PathBuf,
    },
    /// A folder that is not a store.
    #[error("{path}: expected a data folder, found none", path = .path.display())]
    NoStore {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that a backup must not be written into.
    #[error("{path}: expected a new folder, an empty one, or a backup of this data folder, found {found}", path = .path.display())]
    NoBackup {
        /// The folder.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// Data without its ledger.
    #[error("{path}: expected a ledger beside the data, found {found}; run `dmarquet rebuild`", path = .path.display())]
    NoLedger {
        /// Where the ledger should be.
        path: PathBuf,
        /// What is there instead.
        found: &'static str,
    },
    /// The ledger was written by a newer program.
    #[error(
        "{path}: a newer dmarquet wrote this data folder: expected version {expected} or older, found version {found}",
        path = .path.display()
    )]
    Version {
        /// The ledger.
        path: PathBuf,
        /// The newest version this program knows.
        expected: i64,
        /// The version found.
        found: i64,
    },
    /// A Parquet file was written by a newer program.
    #[error(
        "{path}: a newer dmarquet wrote this file: expected version {expected} or older of the columns of {table}, found \
         version {found}",
        path = .path.display()
    )]
    NewerFile {
        /// The file.
        path: PathBuf,
        /// Its table.
        table: &'static str,
        /// The newest version this program knows.
        expected: u32,
        /// The version found in the file.
        found: String,
    },
    /// An `SQLite` error.
    #[error("{path}: {doing} failed: {source}", path = .path.display())]
    Ledger {
        /// The ledger.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Why not.
        source: rusqlite::Error,
    },
    /// An input or output error.
    #[error("{path}: {doing} failed: {source}", path = .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// A Parquet file could not be written or read.
    #[error("{path}: {doing} failed: {source}", path = .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Why not.
        source: polars_error::PolarsError,
    },
    /// A file of the store does not have the expected content.
    #[error("{path}: expected {expected}, found {found}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// Nothing has this name.
    #[error("{what}: expected {expected}, found none")]
    Unknown {
        /// The name.
        what: String,
        /// What it should name.
        expected: &'static str,
    },
}

impl StoreError {
    /// An input or output error, with its file.
    pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, doing, source }
    }

    /// A Parquet error, with its file.
    pub(crate) fn parquet(path: &Path, doing: &'static str) -> impl FnOnce(polars_error::PolarsError) -> Self {
        let path = path.to_owned();
        move |source| Self::Parquet { path, doing, source }
    }

    /// A file without its expected content.
    pub(crate) fn damaged(path: &Path, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), expected: expected.into(), found: found.into() }
    }

    /// What was read; `None` if the file is damaged. Other errors stay.
    pub(crate) fn unless_damaged<T>(read: Result<T, Self>) -> Result<Option<T>, Self> {
        match read {
            Err(Self::Damaged { .. }) => Ok(None),
            other => other.map(Some),
        }
    }

    /// A ledger error.
    pub(crate) fn ledger(path: &Path, doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Ledger { path, doing, source }
    }
}
