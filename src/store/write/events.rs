//! Stores events and alerts: acknowledgments, and what was reported.

use super::writer::Writer;
use crate::store::error::StoreError;
use crate::store::ledger::events::{self, ACTION, Acknowledgment};
use crate::store::ledger::outbox::{AlertRun, HEARD_DAYS, MOST_MARKS, SENDER_DAYS, Undelivered, undelivered};
use crate::store::tables::values::int;
use jiff::Timestamp;
use rusqlite::params;

impl Writer {
    /// Stores the user's acknowledgment of an action or an alert, replacing an earlier one.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn acknowledge(&mut self, said: &Acknowledgment) -> Result<(), StoreError> {
        let sql = "INSERT INTO events (id, kind, state, policy_domain, subject, note, acknowledged, evidence)
            VALUES (?1, ?2, ?3, ?4, '', ?5, ?6, ?7) ON CONFLICT (id) DO UPDATE SET
            note = excluded.note, acknowledged = excluded.acknowledged, evidence = excluded.evidence";
        let (at, evidence) = (said.at.as_millisecond(), int(said.evidence));
        let row = params![said.id, said.kind, ACTION, said.policy_domain, said.note, at, evidence];
        self.ledger.write("acknowledging", |transaction| transaction.execute(sql, row).map(drop))
    }

    /// Records a run of `alert`, all or nothing.
    ///
    /// # Errors
    /// If the ledger cannot be written.
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
            for (channel, event, state, body) in &run.outbox {
                outbox.execute(params![channel, event, state, body, now])?;
            }
            Ok(())
        })
    }

    /// Events not sent through a channel yet, oldest first.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn undelivered(&self, channel: &str) -> Result<Vec<Undelivered>, StoreError> {
        undelivered(&self.ledger, channel)
    }

    /// Notes that a channel accepted these events.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn mark_delivered(&mut self, channel: &str, delivered: &[Undelivered]) -> Result<(), StoreError> {
        self.ledger.write("noting what was told", |transaction| {
            let mut done =
                transaction.prepare_cached("DELETE FROM outbox WHERE way = ?1 AND event = ?2 AND state = ?3")?;
            delivered.iter().try_for_each(|one| done.execute(params![channel, one.event, one.state]).map(drop))
        })
    }

    /// Notes that a channel did not accept these events, and when to try again.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn postpone_delivery(
        &mut self,
        channel: &str,
        undelivered: &[Undelivered],
        next: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE outbox SET attempts = attempts + 1, next = ?4 WHERE way = ?1 AND event = ?2 AND state = ?3";
        self.ledger.write("recording unsent messages", |transaction| {
            let mut later = transaction.prepare_cached(sql)?;
            let next = next.as_millisecond();
            undelivered.iter().try_for_each(|one| later.execute(params![channel, one.event, one.state, next]).map(drop))
        })
    }

    /// Forgets what waits for channels that the settings no longer have.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn forget_channels(&mut self, channels: &[String]) -> Result<(), StoreError> {
        self.ledger.write("forgetting channels", |transaction| {
            let mut found = transaction.prepare("SELECT DISTINCT way FROM outbox")?;
            let found: Vec<String> = found.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            for channel in found.iter().filter(|channel| !channels.contains(channel)) {
                transaction.execute("DELETE FROM outbox WHERE way = ?1", [channel])?;
            }
            Ok(())
        })
    }

    /// Notes the result of reading a mailbox: `error` says why it failed.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn note_mailbox(&mut self, mailbox: &str, now: Timestamp, error: Option<&str>) -> Result<(), StoreError> {
        let now = now.as_millisecond();
        self.ledger.write("recording the result of a mailbox", |transaction| {
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
