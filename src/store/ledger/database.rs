//! The ledger: one `SQLite` file that says what is safe. Opening, its tables, and its version.
//!
//! It uses a write-ahead log, so that readers and the writer never wait for each other. Every commit is synced, because
//! mails are moved or deleted based on it. The sums that `status` shows are kept as rows and never counted, so starting
//! costs the same however much is stored.

use super::upgrade;
use crate::store::disk::access::{self, sync_folder};
use crate::store::disk::layout::Layout;
use crate::store::disk::lock::{Lock, Owner, WriterState};
use crate::store::error::StoreError;
use crate::store::tables::values::hex_digit;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version of the data folder: that of [`TABLES`], plus one for each step of [`ADDED`].
pub(crate) const VERSION: i64 = FIRST_WITH_STEPS + steps(ADDED);

/// How many steps there are; a ledger counts its version in 64 bits.
#[expect(clippy::cast_possible_wrap, reason = "a constant list of a few")]
const fn steps(added: &[&str]) -> i64 {
    added.len() as i64
}

/// The version of [`TABLES`] alone.
pub(crate) const FIRST_WITH_STEPS: i64 = 3;

/// What later versions added, one entry per version, in order: a new ledger runs all of them, an older one those it
/// lacks. A released entry is never edited.
pub(crate) const ADDED: &[&str] = &[
    super::events::TABLES,
    super::outbox::TABLES,
    super::mailed::TABLE,
    super::uidls::TABLE,
    super::dns_history::TABLES,
    super::verdicts::TABLE,
    crate::store::tables::tls::TABLES,
];

/// How long a rebuild waits for readers to end; a summary of years of reports takes seconds.
const READERS: Duration = Duration::from_secs(30);

/// A writer on another host that was inactive for this long is considered dead; its host may have lost power. If it
/// still runs, its next transaction is refused.
const SILENT: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

const TABLES: &str = "
CREATE TABLE batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    committed INTEGER NOT NULL,     -- ms since 1970, UTC; so are all times here
    reports INTEGER NOT NULL,
    records INTEGER NOT NULL
);
CREATE TABLE writer (               -- who may write: every transaction checks that it is of this generation
    id INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL,
    owner TEXT,                     -- JSON; null while nobody writes
    seen INTEGER NOT NULL           -- when the owner last wrote
);
INSERT INTO writer VALUES (1, 0, NULL, 0);
CREATE TABLE intents (              -- what is still to be done to a file, see intents.rs
    path TEXT PRIMARY KEY,          -- below the root
    step TEXT NOT NULL,             -- write, publish, retire, remove
    generation INTEGER NOT NULL     -- of the writer
) WITHOUT ROWID;
CREATE TABLE files (                -- parts and packs
    path TEXT PRIMARY KEY,          -- below the root
    kind TEXT NOT NULL,
    month TEXT NOT NULL,
    batch INTEGER NOT NULL,
    records INTEGER NOT NULL,
    reports INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    hash BLOB                       -- BLAKE3; null of files that a ledger of version 1 listed
) WITHOUT ROWID;
CREATE TABLE reports (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    content BLOB NOT NULL,
    day INTEGER NOT NULL,           -- days since 1970-01-01
    begin INTEGER NOT NULL,
    end INTEGER NOT NULL,
    org_name TEXT NOT NULL,
    org_email TEXT,
    extra_contact_info TEXT,
    report_id TEXT NOT NULL,
    errors TEXT,                    -- JSON array
    generator TEXT,
    version TEXT,
    policy_domain TEXT NOT NULL,
    p TEXT, sp TEXT, np TEXT, adkim TEXT, aspf TEXT, pct INTEGER, fo TEXT, testing TEXT, discovery_method TEXT,
    records INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    dmarc_pass INTEGER NOT NULL,
    origin TEXT NOT NULL,
    attachment TEXT,
    message_id TEXT,
    mail_date TEXT,
    from_domain TEXT,
    authentication_results TEXT,
    sender_auth TEXT NOT NULL,
    arrival INTEGER NOT NULL,
    ingested INTEGER NOT NULL,
    findings TEXT,                  -- JSON array of {code, detail}
    batch INTEGER NOT NULL
);
CREATE INDEX reports_by_day ON reports (day);
CREATE TABLE totals (               -- kept sums of reports
    month TEXT PRIMARY KEY,
    reports INTEGER NOT NULL,
    records INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    dmarc_pass INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE reporters (
    org_name TEXT PRIMARY KEY,
    reports INTEGER NOT NULL,
    newest_end INTEGER NOT NULL,
    newest_arrival INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE seen (                 -- items by the hash of their bytes, and how their contents counted
    hash BLOB PRIMARY KEY,
    reports INTEGER NOT NULL,
    tls_rpt INTEGER NOT NULL,
    failure INTEGER NOT NULL,
    bounce INTEGER NOT NULL,
    other INTEGER NOT NULL,
    rejected INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE rejected (
    hash BLOB PRIMARY KEY,          -- of the bytes; of origin and reason where they were never fetched
    origin TEXT NOT NULL,
    attachment TEXT,
    reason TEXT NOT NULL,
    arrival INTEGER NOT NULL,
    ingested INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    file TEXT                       -- below the root; null where the bytes are not kept
) WITHOUT ROWID;
CREATE INDEX rejected_by_time ON rejected (ingested);
CREATE INDEX rejected_unread ON rejected (origin) WHERE file IS NULL;
CREATE TABLE conflicts (
    key BLOB NOT NULL,
    content BLOB NOT NULL,
    origin TEXT NOT NULL,
    attachment TEXT,
    org_name TEXT NOT NULL,
    report_id TEXT NOT NULL,
    policy_domain TEXT NOT NULL,
    arrival INTEGER NOT NULL,
    ingested INTEGER NOT NULL,
    file TEXT NOT NULL,             -- empty where the quota let the bytes go
    PRIMARY KEY (key, content)
) WITHOUT ROWID;
CREATE INDEX conflicts_kept ON conflicts (ingested) WHERE file <> '';
CREATE TABLE folders (              -- how far each folder of a mailbox was read
    mailbox TEXT NOT NULL,
    folder TEXT NOT NULL,
    uid_validity INTEGER NOT NULL,
    last_uid INTEGER NOT NULL,
    read_at INTEGER NOT NULL,
    PRIMARY KEY (mailbox, folder)
) WITHOUT ROWID;
CREATE TABLE pending (              -- messages that are safe, of which the server was not told yet
    mailbox TEXT NOT NULL,
    folder TEXT NOT NULL,
    uid_validity INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    fate TEXT NOT NULL,
    PRIMARY KEY (mailbox, folder, uid_validity, uid)
) WITHOUT ROWID;
CREATE TABLE done (                 -- ranges of UIDs beyond last_uid that are dealt with too, both ends inside
    mailbox TEXT NOT NULL,
    folder TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (mailbox, folder, first)
) WITHOUT ROWID;
CREATE TABLE lookups (              -- what DNS said of an address or a name, for as long as it holds
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    answer TEXT,                    -- JSON
    looked_up INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (name, kind)
) WITHOUT ROWID;
";

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
type FileId = (u64, u64);

fn file_id(path: &Path) -> Option<FileId> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Ledger {
    /// Opens for reading. `None` if the store does not exist yet or is empty.
    pub(crate) fn reader(layout: &Layout) -> Result<Option<Self>, StoreError> {
        match Self::reader_of_now(layout) {
            Err(StoreError::Rebuilt { .. }) => Self::reader_of_now(layout),
            other => other,
        }
    }

    fn reader_of_now(layout: &Layout) -> Result<Option<Self>, StoreError> {
        if !present(layout)? {
            return Ok(None);
        }
        let path = layout.ledger();
        let file = file_id(&path);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(&path, flags).map_err(StoreError::ledger(&path, "opening the ledger"))?;
        let mut ledger = Self { connection, path, generation: None, file };
        if let Err(error) = ledger.check_version() {
            ledger = ledger.reopen_immutable().ok_or(error)?;
            ledger.check_version()?;
        }
        // Killed during creation: nothing is stored yet.
        if ledger.version()? == 0 {
            return ledger.none_expected(layout).map(|()| None);
        }
        upgrade::supply_tables(&ledger)?;
        Ok(Some(ledger))
    }

    /// Opens for writing as the only writer, creating it if necessary. Returns what was done to upgrade an older store.
    pub(crate) fn writer(layout: &Layout, lock: &Lock) -> Result<(Self, Vec<String>), StoreError> {
        let found = present(layout)?;
        let mut ledger = Self::create(&layout.ledger())?;
        let mut notices = Vec::new();
        match ledger.version()? {
            0 => {
                ledger.none_expected(layout)?;
                ledger.make_tables()?;
            }
            VERSION => {}
            older => notices = upgrade::upgrade(layout, &ledger, older)?,
        }
        if !found {
            sync_folder(layout.root())?;
        }
        ledger.claim(lock)?;
        Ok((ledger, notices))
    }

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

    /// An empty ledger is valid only without data.
    fn none_expected(&self, layout: &Layout) -> Result<(), StoreError> {
        if holds_data(layout)? {
            return Err(StoreError::NoLedger { path: self.path.clone(), found: "an empty one" });
        }
        Ok(())
    }

    /// Without write permission SQLite cannot create the log's index; if there is no log, the file is read as it is.
    fn reopen_immutable(&self) -> Option<Self> {
        let log = PathBuf::from(format!("{}-wal", self.path.display()));
        if std::fs::metadata(log).is_ok_and(|log| log.len() > 0) {
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

    fn check_version(&self) -> Result<(), StoreError> {
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

    /// Whether a statement without parameters returns a row.
    pub(crate) fn any(&self, sql: &str) -> Result<bool, StoreError> {
        let found = self.connection.query_row(sql, [], |_| Ok(())).optional();
        found.map(|found| found.is_some()).map_err(self.failed("reading the ledger"))
    }
}

/// Whether there is a ledger; an error if there are data without one.
fn present(layout: &Layout) -> Result<bool, StoreError> {
    let path = layout.ledger();
    let found = match std::fs::metadata(&path) {
        Ok(found) if found.len() > 0 => return Ok(true),
        // A ledger whose first commit is only in the log is still empty.
        Ok(_) if std::fs::metadata(format!("{}-wal", path.display())).is_ok_and(|log| log.len() > 0) => {
            return Ok(true);
        }
        Ok(_) => "an empty file",
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "none",
        Err(error) => return Err(StoreError::io(&path, "opening the ledger")(error)),
    };
    if holds_data(layout)? { Err(StoreError::NoLedger { path, found }) } else { Ok(false) }
}

/// Whether there is any data file.
fn holds_data(layout: &Layout) -> Result<bool, StoreError> {
    use crate::store::disk::layout::FileKind;
    let folders =
        FileKind::ALL.map(|kind| layout.folder(kind)).into_iter().chain([layout.rejected(), layout.conflicts()]);
    for folder in folders {
        if !folder_is_empty(&folder)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether there is no file in a folder or below it.
fn folder_is_empty(folder: &Path) -> Result<bool, StoreError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(StoreError::io(folder, "reading the folder")(error)),
    };
    for entry in entries {
        let entry = entry.map_err(StoreError::io(folder, "reading the folder"))?;
        let kind = entry.file_type().map_err(StoreError::io(folder, "reading the folder"))?;
        if !kind.is_dir() || !folder_is_empty(&entry.path())? {
            return Ok(false);
        }
    }
    Ok(true)
}
