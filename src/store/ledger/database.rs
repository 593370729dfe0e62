//! The ledger: one `SQLite` file that records what is stored, and who may write.
//!
//! It uses a write-ahead log, so that readers and the writer never wait for each other. Every commit is synced, because
//! mails are moved or deleted based on it. The sums that `status` shows are kept as rows and never counted, so starting
//! costs the same however much is stored.

use crate::store::disk::access;
use crate::store::disk::lock::{Lock, Owner, WriterState};
use crate::store::error::StoreError;
use crate::store::tables::ledger::{ADDED, TABLES, VERSION};
use crate::store::tables::values::hex_digit;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row, Transaction, TransactionBehavior, params};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a rebuild waits for readers to end; a summary of years of reports takes seconds.
const READERS: Duration = Duration::from_secs(30);

/// A writer on another host that was inactive for this long is considered dead; its host may have lost power. If it
/// still runs, its next transaction is refused.
const SILENT: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// An open ledger.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
    /// The writer's generation; `None` for a ledger that is only read.
    pub(crate) generation: Option<i64>,
    /// Which file it is, of one that is only read: a rebuild puts another one in its place. SQLite then takes the new
    /// one's log for that of the old one, and says that it is damaged.
    pub(crate) file: Option<FileId>,
}

/// Device and inode.
pub(super) type FileId = (u64, u64);

pub(super) fn file_id(path: &Path) -> Option<FileId> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Ledger {
    /// Stops being the writer. Once another process is, further writes are refused.
    pub(crate) fn let_go(&self) {
        if let Some(generation) = self.generation {
            // Without a sync: after a power failure nobody is writing any more.
            let _ = self.connection.execute_batch("PRAGMA synchronous = NORMAL");
            let free = "UPDATE writer SET owner = NULL WHERE generation = ?1";
            let _ = self.connection.execute(free, [generation]);
        }
    }

    /// Becomes the only writer. The previous writer is refused from now on; one that is known to run is not displaced.
    pub(crate) fn claim(&mut self, lock: &Lock) -> Result<(), StoreError> {
        let failed = || StoreError::ledger(&self.path, "becoming the writer");
        let now = Timestamp::now().as_millisecond();
        self.connection.execute_batch("PRAGMA synchronous = NORMAL").map_err(failed())?;
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate);
        let transaction = transaction.map_err(failed())?;
        let row = transaction.query_row("SELECT generation, owner, seen FROM writer", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, i64>(2)?))
        });
        let (before, owner, seen) = row.map_err(failed())?;
        if let Some(owner) = owner.as_deref().and_then(Owner::parse) {
            let silent = now.saturating_sub(seen) > i64::try_from(SILENT.as_millis()).unwrap_or(i64::MAX);
            let refused = match owner.life(&lock.owner) {
                WriterState::Alive => true,
                // The file `lock` says the same: nobody removed it because that host is gone.
                WriterState::Foreign => lock.left.as_ref() == Some(&owner) && !silent,
                // It is on this kernel: if it were alive, it would hold the lock. Without the file, it is refused from
                // now on.
                WriterState::Elsewhere | WriterState::Dead => false,
            };
            if refused {
                let foreign = owner.life(&lock.owner) == WriterState::Foreign;
                let place = if foreign { " on another host; if it has ended, remove the file" } else { "" };
                return Err(StoreError::Busy { path: lock.path().to_owned(), holder: format!("{owner}{place}") });
            }
        }
        let generation = before.saturating_add(1);
        let sql = "UPDATE writer SET generation = ?1, owner = ?2, seen = ?3";
        transaction.execute(sql, params![generation, lock.owner.text(), now]).map_err(failed())?;
        transaction.commit().map_err(failed())?;
        self.connection.execute_batch("PRAGMA synchronous = FULL").map_err(failed())?;
        self.generation = Some(generation);
        Ok(())
    }

    /// Begins a transaction that only the current writer may make.
    pub(crate) fn begin(&self, doing: &'static str) -> Result<Transaction<'_>, StoreError> {
        let begin = || -> rusqlite::Result<(Transaction<'_>, bool)> {
            let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            let Some(generation) = self.generation else { return Ok((transaction, true)) };
            let sql = "UPDATE writer SET seen = ?2 WHERE generation = ?1";
            let now = Timestamp::now().as_millisecond();
            let ours = transaction.prepare_cached(sql)?.execute([generation, now])? == 1;
            Ok((transaction, ours))
        };
        match begin().map_err(self.failed(doing))? {
            (transaction, true) => Ok(transaction),
            _ => Err(StoreError::Superseded { path: self.path.clone() }),
        }
    }

    /// Runs a function in a transaction that only the current writer may make.
    pub(crate) fn write<T>(
        &self,
        doing: &'static str,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let transaction = self.begin(doing)?;
        let run = || {
            let done = write(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        run().map_err(self.failed(doing))
    }

    /// Opens a ledger at a path, or creates an empty file, whatever is beside it.
    pub(crate) fn create(path: &Path) -> Result<Self, StoreError> {
        let failed = |doing| StoreError::ledger(path, doing);
        // SQLite would create it by the umask; the files beside it inherit its mode.
        access::open_file(path).map_err(StoreError::io(path, "opening the ledger"))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed("opening the ledger"))?;
        connection.busy_timeout(Duration::from_secs(30)).map_err(failed("opening the ledger"))?;
        connection.set_prepared_statement_cache_capacity(64);
        // A run of 1,000 reports touches some 2,000 pages of a ledger of 100,000: they are read once and written back once.
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -12288;
                 PRAGMA wal_autocheckpoint = 8192;",
            )
            .map_err(failed("opening the ledger"))?;
        let ledger = Self { connection, path: path.to_owned(), generation: None, file: None };
        ledger.check_version()?;
        access::share_log(path);
        Ok(ledger)
    }

    /// Creates the tables of an empty ledger.
    pub(crate) fn make_tables(&self) -> Result<(), StoreError> {
        self.make(&Self::tables(), "making the ledger")
    }

    /// The statements that create the tables of this version.
    pub(crate) fn tables() -> String {
        [TABLES, &ADDED.concat()].concat()
    }

    pub(crate) fn make(&self, tables: &str, doing: &'static str) -> Result<(), StoreError> {
        let made = format!("BEGIN IMMEDIATE;{tables}PRAGMA user_version = {VERSION};COMMIT;");
        self.connection.execute_batch(&made).map_err(self.failed(doing))
    }

    /// Without write permission SQLite cannot create the log's index; if there is no log, the file is read as it is.
    pub(super) fn reopen_immutable(&self) -> Option<Self> {
        if access::has_log(&self.path) {
            return None;
        }
        let mut uri = String::from("file:");
        for byte in self.path.to_str()?.bytes() {
            match byte {
                b'/' | b'-' | b'_' | b'.' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => uri.push(char::from(byte)),
                other => uri.extend(['%', hex_digit(other >> 4), hex_digit(other & 15)]),
            }
        }
        uri.push_str("?immutable=1");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri, flags).ok()?;
        Some(Self { connection, path: self.path.clone(), generation: None, file: self.file })
    }

    pub(crate) fn version(&self) -> Result<i64, StoreError> {
        self.connection
            .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
            .map_err(self.failed("reading the ledger"))
    }

    pub(super) fn check_version(&self) -> Result<(), StoreError> {
        match self.version()? {
            found if found > VERSION => Err(StoreError::Version { path: self.path.clone(), expected: VERSION, found }),
            _ => Ok(()),
        }
    }

    /// Writes the log back and turns it off: then the file is complete, and may be replaced. Waits a while for readers.
    pub(crate) fn fold_log(&self) -> Result<(), StoreError> {
        let begun = std::time::Instant::now();
        loop {
            let mode = self.connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0));
            match mode {
                Ok(mode) if mode == "delete" => return Ok(()),
                Err(error) if error.sqlite_error_code() != Some(rusqlite::ErrorCode::DatabaseBusy) => {
                    return Err(self.failed("writing the log back")(error));
                }
                _ if begun.elapsed() > READERS => {
                    return Err(StoreError::Busy { path: self.path.clone(), holder: "a reader".into() });
                }
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// The error of a failed statement.
    pub(crate) fn failed(&self, doing: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
        let (path, file) = (self.path.clone(), self.file);
        move |source| {
            let now = file.and_then(|_| file_id(&path));
            if now.is_some() && now != file {
                StoreError::Rebuilt { path }
            } else {
                StoreError::Ledger { path, doing, source }
            }
        }
    }

    /// Runs a function that only reads.
    pub(crate) fn read<T>(
        &self,
        doing: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        read(&self.connection).map_err(self.failed(doing))
    }

    /// The rows of a statement, each as a function turns it into a value.
    pub(crate) fn rows<T, C: FromIterator<T>>(
        &self,
        doing: &'static str,
        sql: &str,
        params: impl Params,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<C, StoreError> {
        self.read(doing, |connection| connection.prepare_cached(sql)?.query_map(params, row)?.collect())
    }

    /// Passes on the rows of a statement.
    pub(crate) fn each_row(
        &self,
        doing: &'static str,
        sql: &str,
        params: impl Params,
        mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        self.read(doing, |connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(params)?;
            while let Some(row) = rows.next()? {
                each(row)?;
            }
            Ok(())
        })
    }

    /// The first row of a statement, if there is one.
    pub(crate) fn first_row<T>(
        &self,
        doing: &'static str,
        sql: &str,
        params: impl Params,
        row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.read(doing, |connection| connection.prepare_cached(sql)?.query_row(params, row).optional())
    }

    /// Whether a statement returns a row.
    pub(crate) fn any(&self, doing: &'static str, sql: &str, params: impl Params) -> Result<bool, StoreError> {
        self.read(doing, |connection| connection.prepare_cached(sql)?.exists(params))
    }
}
