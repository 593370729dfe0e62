//! What `alert` remembers between runs: when it heard of whom, which senders it knows, what is still to be told. One
//! transaction records a run, so that a killed one leaves nothing half told.

use super::events::{self, StoredEvent};
use super::ledger::Ledger;
use super::reports::time;
use super::{Store, StoreError, Writer};
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};
use std::collections::BTreeMap;

/// Days are those since 1970-01-01, times milliseconds.
pub(crate) const TABLES: &str = "
CREATE TABLE alert_heard (          -- days on which a run of `alert` saw new reports
    kind TEXT NOT NULL,             -- reporter or domain
    name TEXT NOT NULL,
    run INTEGER NOT NULL,
    PRIMARY KEY (kind, name, run)
) WITHOUT ROWID;
CREATE TABLE alert_senders (        -- what senders of a domain are known by
    policy_domain TEXT NOT NULL,
    mark TEXT NOT NULL,
    last INTEGER NOT NULL,          -- the last day it was seen
    PRIMARY KEY (policy_domain, mark)
) WITHOUT ROWID;
CREATE TABLE alert_state (          -- reports, rejected: up to where they were looked at
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE outbox (               -- what a way out was not told yet
    way TEXT NOT NULL,
    event TEXT NOT NULL,
    state TEXT NOT NULL,            -- new or resolved
    body TEXT NOT NULL,             -- JSON
    queued INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next INTEGER NOT NULL,          -- not tried again before
    PRIMARY KEY (way, event, state)
) WITHOUT ROWID;
CREATE TABLE mailbox_runs (         -- how the last reading of a mailbox went
    mailbox TEXT PRIMARY KEY,
    read_at INTEGER NOT NULL,       -- the last success; 0: none yet
    failing_since INTEGER,
    failures INTEGER NOT NULL,      -- in a row
    error TEXT
) WITHOUT ROWID;
";

/// Days that are remembered of whom a run heard.
const HEARD_DAYS: i32 = 120;
/// Days after which a sender that was not seen is forgotten.
const SENDER_DAYS: i32 = 400;
/// Marks of senders that are remembered of one domain: what strangers can make is bounded.
const MOST_MARKS: i64 = 5_000;

/// What a run of `alert` starts from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertMemory {
    /// No run was recorded before.
    pub first_run: bool,
    /// The newest report that was looked at, by its place in the ledger.
    pub reports: i64,
    /// The newest rejected item that was looked at, by when it was rejected.
    pub rejected: i64,
    /// The days of runs that saw new reports, by the reporter's mail domain.
    pub reporters: BTreeMap<String, Vec<i32>>,
    /// The same by policy domain.
    pub domains: BTreeMap<String, Vec<i32>>,
    /// What senders are known by: domain and mark.
    pub senders: std::collections::HashSet<(String, String)>,
    /// The first day of the store, since 1970-01-01.
    pub first_day: Option<i32>,
}

/// A report that no run has looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnseenReport {
    /// Its place in the ledger.
    pub id: i64,
    /// The reporter's address.
    pub org_email: Option<String>,
    /// The reporter's name.
    pub org_name: String,
    /// The domain it is on.
    pub policy_domain: String,
    /// Its day, since 1970-01-01.
    pub day: i32,
}

/// What a run of `alert` leaves.
#[derive(Debug, Clone, Default)]
pub struct AlertRun {
    /// [`AlertMemory::reports`] of the next run.
    pub reports: i64,
    /// [`AlertMemory::rejected`] of the next run.
    pub rejected: i64,
    /// Kind (`reporter` or `domain`), name and day of what was heard.
    pub heard: Vec<(&'static str, String, i32)>,
    /// Domain, mark and last day of senders.
    pub senders: Vec<(String, String, i32)>,
    /// Events that are new or changed.
    pub events: Vec<StoredEvent>,
    /// What is to be told: way, event, state, body.
    pub outbox: Vec<(String, String, String, String)>,
    /// The day of the run.
    pub today: i32,
}

/// Something that a way out was not told yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// The id of the event.
    pub event: String,
    /// `new` or `resolved`.
    pub state: String,
    /// What is told, as JSON.
    pub body: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Not to be tried before.
    pub next: Timestamp,
}

/// How the readings of a mailbox went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxRun {
    /// Its name in the settings.
    pub mailbox: String,
    /// When it was last read.
    pub read_at: Option<Timestamp>,
    /// Since when it fails.
    pub failing_since: Option<Timestamp>,
    /// How often in a row.
    pub failures: u32,
    /// What went wrong last.
    pub error: Option<String>,
}

fn has_tables(ledger: &Ledger) -> rusqlite::Result<bool> {
    ledger.connection.table_exists(None, "alert_state")
}

impl Store {
    /// What earlier runs of `alert` left.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn alert_memory(&self) -> Result<AlertMemory, StoreError> {
        let fresh = AlertMemory { first_run: true, ..AlertMemory::default() };
        let Some(ledger) = &self.ledger else { return Ok(fresh) };
        let read = || -> rusqlite::Result<AlertMemory> {
            let mut memory = fresh;
            memory.first_day = ledger.connection.query_row("SELECT MIN(day) FROM reports", [], |row| row.get(0))?;
            if !has_tables(ledger)? {
                return Ok(memory);
            }
            let state = |name: &str| {
                let sql = "SELECT value FROM alert_state WHERE name = ?1";
                ledger.connection.query_row(sql, [name], |row| row.get::<_, i64>(0)).optional()
            };
            let reports = state("reports")?;
            memory.first_run = reports.is_none();
            memory.reports = reports.unwrap_or(0);
            memory.rejected = state("rejected")?.unwrap_or(0);
            let mut heard =
                ledger.connection.prepare("SELECT kind, name, run FROM alert_heard ORDER BY kind, name, run")?;
            let mut rows = heard.query([])?;
            while let Some(row) = rows.next()? {
                let by_name =
                    if row.get_ref(0)?.as_str()? == "reporter" { &mut memory.reporters } else { &mut memory.domains };
                by_name.entry(row.get(1)?).or_default().push(row.get(2)?);
            }
            let mut senders = ledger.connection.prepare("SELECT policy_domain, mark FROM alert_senders")?;
            let found = senders.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            memory.senders = found.collect::<rusqlite::Result<_>>()?;
            Ok(memory)
        };
        read().map_err(ledger.failed("reading what earlier alerts left"))
    }

    /// The reports that came after the newest one that was looked at.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn unseen_reports(&self, after: i64) -> Result<Vec<UnseenReport>, StoreError> {
        let Some(ledger) = &self.ledger else { return Ok(Vec::new()) };
        let read = || -> rusqlite::Result<Vec<UnseenReport>> {
            let sql = "SELECT id, org_email, org_name, policy_domain, day FROM reports WHERE id > ?1 ORDER BY id";
            let mut statement = ledger.connection.prepare(sql)?;
            let found = statement.query_map([after], |row| {
                Ok(UnseenReport {
                    id: row.get(0)?,
                    org_email: row.get(1)?,
                    org_name: row.get(2)?,
                    policy_domain: row.get(3)?,
                    day: row.get(4)?,
                })
            })?;
            found.collect()
        };
        read().map_err(ledger.failed("looking for new reports"))
    }

    /// Files that the ledger lists and that are missing or of another length, at most `most` of them.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn damaged_files(&self, most: usize) -> Result<Vec<String>, StoreError> {
        let Some(ledger) = &self.ledger else { return Ok(Vec::new()) };
        let read = || -> rusqlite::Result<Vec<(String, i64)>> {
            let mut statement = ledger.connection.prepare("SELECT path, bytes FROM files ORDER BY path")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        let listed = read().map_err(ledger.failed("listing the files"))?;
        // A file with an intent is on its way: the next writer puts it right.
        let sql = "SELECT path FROM intents";
        let moving = || -> rusqlite::Result<Vec<String>> {
            ledger.connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
        };
        let moving = moving().map_err(ledger.failed("listing the files"))?;
        let is_sound = |(path, bytes): &(String, i64)| {
            moving.contains(path)
                || std::fs::metadata(self.layout.file(path))
                    .is_ok_and(|found| i64::try_from(found.len()).is_ok_and(|length| length == *bytes))
        };
        Ok(listed.into_iter().filter(|file| !is_sound(file)).map(|(path, _)| path).take(most).collect())
    }

    /// How the readings of the mailboxes went.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn mailbox_runs(&self) -> Result<Vec<MailboxRun>, StoreError> {
        let Some(ledger) = &self.ledger else { return Ok(Vec::new()) };
        let read = || -> rusqlite::Result<Vec<MailboxRun>> {
            if !has_tables(ledger)? {
                return Ok(Vec::new());
            }
            let sql = "SELECT mailbox, read_at, failing_since, failures, error FROM mailbox_runs ORDER BY mailbox";
            let mut statement = ledger.connection.prepare(sql)?;
            let found = statement.query_map([], |row| {
                let read_at: i64 = row.get(1)?;
                Ok(MailboxRun {
                    mailbox: row.get(0)?,
                    read_at: (read_at > 0).then(|| time(read_at)),
                    failing_since: row.get::<_, Option<i64>>(2)?.map(time),
                    failures: row.get(3)?,
                    error: row.get(4)?,
                })
            })?;
            found.collect()
        };
        read().map_err(ledger.failed("reading how mailboxes went"))
    }
}

impl Writer {
    /// Record a run of `alert`, all or nothing.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub fn record_alerts(&mut self, run: &AlertRun) -> Result<(), StoreError> {
        let now = Timestamp::now().as_millisecond();
        self.ledger.write("recording alerts", |transaction| {
            let state = "INSERT OR REPLACE INTO alert_state VALUES (?1, ?2)";
            transaction.execute(state, params!["reports", run.reports])?;
            transaction.execute(state, params!["rejected", run.rejected])?;
            let mut heard = transaction.prepare_cached("INSERT OR IGNORE INTO alert_heard VALUES (?1, ?2, ?3)")?;
            for (kind, name, day) in &run.heard {
                heard.execute(params![kind, name, day])?;
            }
            transaction.execute("DELETE FROM alert_heard WHERE run < ?1", [run.today - HEARD_DAYS])?;
            let mut senders = transaction.prepare_cached(
                "INSERT INTO alert_senders SELECT ?1, ?2, ?3 WHERE (SELECT COUNT(*) FROM alert_senders WHERE policy_domain = ?1) < ?4
                 ON CONFLICT DO UPDATE SET last = MAX(last, excluded.last)",
            )?;
            for (domain, mark, last) in &run.senders {
                senders.execute(params![domain, mark, last, MOST_MARKS])?;
            }
            transaction.execute("DELETE FROM alert_senders WHERE last < ?1", [run.today - SENDER_DAYS])?;
            for event in &run.events {
                events::keep(transaction, event)?;
            }
            let mut outbox = transaction.prepare_cached("INSERT OR IGNORE INTO outbox VALUES (?1, ?2, ?3, ?4, ?5, 0, 0)")?;
            for (way, event, state, body) in &run.outbox {
                outbox.execute(params![way, event, state, body, now])?;
            }
            Ok(())
        })
    }

    /// What a way out was not told yet, the oldest first.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn untold(&self, way: &str) -> Result<Vec<Untold>, StoreError> {
        untold(&self.ledger, way)
    }

    /// Note that a way out was told these: event and state.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub fn was_told(&mut self, way: &str, told: &[Untold]) -> Result<(), StoreError> {
        self.ledger.write("noting what was told", |transaction| {
            let mut done =
                transaction.prepare_cached("DELETE FROM outbox WHERE way = ?1 AND event = ?2 AND state = ?3")?;
            told.iter().try_for_each(|one| done.execute(params![way, one.event, one.state]).map(drop))
        })
    }

    /// Note that a way out could not be told these, and when to try again.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub fn was_not_told(&mut self, way: &str, untold: &[Untold], next: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE outbox SET attempts = attempts + 1, next = ?4 WHERE way = ?1 AND event = ?2 AND state = ?3";
        self.ledger.write("noting what was not told", |transaction| {
            let mut later = transaction.prepare_cached(sql)?;
            let next = next.as_millisecond();
            untold.iter().try_for_each(|one| later.execute(params![way, one.event, one.state, next]).map(drop))
        })
    }

    /// Forget what is to be told by ways out that the settings no longer have.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub fn forget_ways(&mut self, ways: &[String]) -> Result<(), StoreError> {
        self.ledger.write("forgetting ways out", |transaction| {
            let mut found = transaction.prepare("SELECT DISTINCT way FROM outbox")?;
            let found: Vec<String> = found.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            for way in found.iter().filter(|way| !ways.contains(way)) {
                transaction.execute("DELETE FROM outbox WHERE way = ?1", [way])?;
            }
            Ok(())
        })
    }

    /// Note how the reading of a mailbox went: `error` says why it failed.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub fn note_mailbox(&mut self, mailbox: &str, now: Timestamp, error: Option<&str>) -> Result<(), StoreError> {
        let now = now.as_millisecond();
        self.ledger.write("noting how a mailbox went", |transaction| {
            let insert = "INSERT OR IGNORE INTO mailbox_runs VALUES (?1, 0, NULL, 0, NULL)";
            transaction.execute(insert, [mailbox])?;
            match error {
                None => transaction.execute(
                    "UPDATE mailbox_runs SET read_at = ?2, failing_since = NULL, failures = 0, error = NULL WHERE mailbox = ?1",
                    params![mailbox, now],
                ),
                Some(error) => transaction.execute(
                    "UPDATE mailbox_runs SET failing_since = ifnull(failing_since, ?2), failures = failures + 1, error = ?3
                     WHERE mailbox = ?1",
                    params![mailbox, now, error],
                ),
            }
            .map(drop)
        })
    }
}

fn untold(ledger: &Ledger, way: &str) -> Result<Vec<Untold>, StoreError> {
    let read = || -> rusqlite::Result<Vec<Untold>> {
        if !has_tables(ledger)? {
            return Ok(Vec::new());
        }
        let sql = "SELECT event, state, body, attempts, next FROM outbox WHERE way = ?1 ORDER BY queued, event, state";
        let mut statement = ledger.connection.prepare(sql)?;
        let found = statement.query_map([way], |row| {
            Ok(Untold {
                event: row.get(0)?,
                state: row.get(1)?,
                body: row.get(2)?,
                attempts: row.get(3)?,
                next: time(row.get(4)?),
            })
        })?;
        found.collect()
    };
    read().map_err(ledger.failed("reading what is to be told"))
}

impl Store {
    /// What a way out was not told yet, the oldest first.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn untold(&self, way: &str) -> Result<Vec<Untold>, StoreError> {
        self.ledger.as_ref().map_or(Ok(Vec::new()), |ledger| untold(ledger, way))
    }
}
