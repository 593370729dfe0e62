//! What `alert` remembers between runs: when reports arrived from whom, known senders, and unsent events. One
//! transaction records a run, so that a killed one leaves nothing half-done.

use super::database::Ledger;
use super::events::StoredEvent;
use crate::store::error::StoreError;
use crate::store::tables::values::time;
use jiff::Timestamp;
use rusqlite::Transaction;
use std::collections::BTreeMap;

/// Days for which it is remembered who reported.
pub(crate) const HEARD_DAYS: i32 = 120;
/// Days after which an unseen sender is forgotten.
pub(crate) const SENDER_DAYS: i32 = 400;
/// Marks of senders remembered per domain: forged reports must not grow this without bound.
pub(crate) const MOST_MARKS: i64 = 5_000;

/// What a run of `alert` starts from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertMemory {
    /// No run was recorded before.
    pub first_run: bool,
    /// The ID of the newest examined report.
    pub reports: i64,
    /// When the newest examined rejected item was rejected.
    pub rejected: i64,
    /// The days of runs that saw new reports, by the reporter's mail domain.
    pub reporters: BTreeMap<String, Vec<i32>>,
    /// The same by policy domain.
    pub domains: BTreeMap<String, Vec<i32>>,
    /// Known senders: domain and mark.
    pub senders: std::collections::HashSet<(String, String)>,
    /// The first day of the store, since 1970-01-01.
    pub first_day: Option<i32>,
}

/// A report that no run has examined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnseenReport {
    /// Its ID in the ledger.
    pub id: i64,
    /// The reporter's address.
    pub org_email: Option<String>,
    /// The reporter's name.
    pub org_name: String,
    /// The domain it is about.
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
    /// Who reported: kind (`reporter` or `domain`), name and day.
    pub heard: Vec<(&'static str, String, i32)>,
    /// Domain, mark and last day of senders.
    pub senders: Vec<(String, String, i32)>,
    /// Events that are new or changed.
    pub events: Vec<StoredEvent>,
    /// What to send: channel, event, state, body.
    pub outbox: Vec<(String, String, String, String)>,
    /// The day of the run.
    pub today: i32,
}

/// An event not sent through a channel yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// The id of the event.
    pub event: String,
    /// `new` or `resolved`.
    pub state: String,
    /// The message, as JSON.
    pub body: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When to try next.
    pub next: Timestamp,
}

/// The result of reading a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxRun {
    /// Its name in the settings.
    pub mailbox: String,
    /// When it was last read.
    pub read_at: Option<Timestamp>,
    /// Since when it has been failing.
    pub failing_since: Option<Timestamp>,
    /// How often in a row.
    pub failures: u32,
    /// What went wrong last.
    pub error: Option<String>,
}

/// After reports were taken out: `SQLite` gives the number of the newest one again if that was among them, and the report
/// that gets it has not been examined.
pub(crate) fn numbers_may_return(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let sql =
        "UPDATE alert_state SET value = MIN(value, (SELECT COALESCE(MAX(id), 0) FROM reports)) WHERE name = 'reports'";
    transaction.execute(sql, []).map(drop)
}

/// In a rebuild, with the earlier ledger attached as `old`: reports have other numbers now. None that was not examined may
/// count as examined; one that was may be examined again.
pub(crate) const RENUMBERED: &str = "UPDATE main.alert_state SET value = MIN(
    COALESCE((SELECT MAX(new.id) FROM main.reports AS new JOIN old.reports AS seen ON seen.key = new.key
              WHERE seen.id <= alert_state.value), 0),
    COALESCE((SELECT MIN(new.id) - 1 FROM main.reports AS new JOIN old.reports AS unseen ON unseen.key = new.key
              WHERE unseen.id > alert_state.value), 9223372036854775807))
    WHERE name = 'reports'";

pub(crate) fn undelivered(ledger: &Ledger, channel: &str) -> Result<Vec<Undelivered>, StoreError> {
    let sql = "SELECT event, state, body, attempts, next FROM outbox WHERE way = ?1 ORDER BY queued, event, state";
    ledger.rows("reading unsent messages", sql, [channel], |row| {
        Ok(Undelivered {
            event: row.get(0)?,
            state: row.get(1)?,
            body: row.get(2)?,
            attempts: row.get(3)?,
            next: time(row.get(4)?),
        })
    })
}
