//! Reads events and alerts: what happened, what was reported, and what waits.

use super::store::Store;
use crate::store::error::StoreError;
use crate::store::ledger::events::{StoredEvent, events};
use crate::store::ledger::intents::named;
use crate::store::ledger::outbox::{AlertMemory, MailboxRun, Undelivered, UnseenReport, undelivered};
use crate::store::tables::values::{int, time};
use rusqlite::OptionalExtension as _;
use std::collections::BTreeSet;

impl Store {
    /// All events, by ID.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn events(&self) -> Result<Vec<StoredEvent>, StoreError> {
        self.read_ledger(events)
    }

    /// What earlier runs of `alert` left.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn alert_memory(&self) -> Result<AlertMemory, StoreError> {
        let mut memory = AlertMemory { first_run: true, ..AlertMemory::default() };
        let Some(ledger) = &self.ledger else { return Ok(memory) };
        ledger.read("reading the state of earlier alerts", |connection| {
            memory.first_day = connection.query_row("SELECT MIN(day) FROM reports", [], |row| row.get(0))?;
            let state = |name: &str| {
                let sql = "SELECT value FROM alert_state WHERE name = ?1";
                connection.query_row(sql, [name], |row| row.get::<_, i64>(0)).optional()
            };
            let reports = state("reports")?;
            memory.first_run = reports.is_none();
            memory.reports = reports.unwrap_or(0);
            memory.rejected = state("rejected")?.unwrap_or(0);
            let mut heard = connection.prepare("SELECT kind, name, run FROM alert_heard ORDER BY kind, name, run")?;
            let mut rows = heard.query([])?;
            while let Some(row) = rows.next()? {
                let by_name =
                    if row.get_ref(0)?.as_str()? == "reporter" { &mut memory.reporters } else { &mut memory.domains };
                by_name.entry(row.get(1)?).or_default().push(row.get(2)?);
            }
            let mut senders = connection.prepare("SELECT policy_domain, mark FROM alert_senders")?;
            let found = senders.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            memory.senders = found.collect::<rusqlite::Result<_>>()?;
            Ok(memory)
        })
    }

    /// The reports stored after the newest examined one.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn unseen_reports(&self, after: i64) -> Result<Vec<UnseenReport>, StoreError> {
        let sql = "SELECT id, org_email, org_name, policy_domain, day FROM reports WHERE id > ?1 ORDER BY id";
        self.read_ledger(|ledger| {
            ledger.rows("looking for new reports", sql, [after], |row| {
                Ok(UnseenReport {
                    id: row.get(0)?,
                    org_email: row.get(1)?,
                    org_name: row.get(2)?,
                    policy_domain: row.get(3)?,
                    day: row.get(4)?,
                })
            })
        })
    }

    /// Listed files that are missing or have another length, at most `most`.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn damaged_files(&self, most: usize) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT path, bytes FROM files ORDER BY path";
        let listed: Vec<(String, i64)> =
            self.read_ledger(|ledger| ledger.rows("listing the files", sql, [], |row| Ok((row.get(0)?, row.get(1)?))))?;
        // A file with an intent is being changed: the next writer finishes it.
        let moving: BTreeSet<String> = self.read_ledger(named)?;
        let is_sound = |(path, bytes): &(String, i64)| {
            moving.contains(path)
                || std::fs::metadata(self.layout.file(path)).is_ok_and(|found| int(found.len()) == *bytes)
        };
        Ok(listed.into_iter().filter(|file| !is_sound(file)).map(|(path, _)| path).take(most).collect())
    }

    /// The results of reading the mailboxes.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn mailbox_runs(&self) -> Result<Vec<MailboxRun>, StoreError> {
        let sql = "SELECT mailbox, read_at, failing_since, failures, error FROM mailbox_runs ORDER BY mailbox";
        self.read_ledger(|ledger| {
            ledger.rows("reading the results of mailboxes", sql, [], |row| {
                let read_at: i64 = row.get(1)?;
                Ok(MailboxRun {
                    mailbox: row.get(0)?,
                    read_at: (read_at > 0).then(|| time(read_at)),
                    failing_since: row.get::<_, Option<i64>>(2)?.map(time),
                    failures: row.get(3)?,
                    error: row.get(4)?,
                })
            })
        })
    }

    /// Events not sent through a channel yet, oldest first.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn undelivered(&self, channel: &str) -> Result<Vec<Undelivered>, StoreError> {
        self.read_ledger(|ledger| undelivered(ledger, channel))
    }
}
