//! The one table of events: what a person acknowledged, and what was reported as an alert. Nothing in it can be made
//! again from the originals, so a rebuild carries it over.

use super::database::Ledger;
use crate::store::error::StoreError;
use crate::store::tables::values::{int, time};
use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};

/// The state of an action's row.
pub(crate) const ACTION: &str = "action";

/// A user's acknowledgment of an action or an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgment {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The domain it is about; untrusted text.
    pub policy_domain: Option<String>,
    /// In the user's words.
    pub note: String,
    /// When it was acknowledged.
    pub at: Timestamp,
    /// The messages that showed it then.
    pub evidence: u64,
}

/// An event as stored in the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// `action`, or for an alert `known`, `new` or `resolved`.
    pub state: String,
    /// The domain it is about; `None` if it is not about a single one.
    pub policy_domain: Option<String>,
    /// What else it is about.
    pub subject: String,
    /// The first day that shows it, since 1970-01-01.
    pub since: Option<i32>,
    /// The last day that shows it.
    pub seen: Option<i32>,
    /// When it was reported.
    pub told: Option<Timestamp>,
    /// When its end was reported.
    pub ended: Option<Timestamp>,
    /// The full report of an alert, as JSON.
    pub body: Option<String>,
    /// The note of the acknowledgment.
    pub note: Option<String>,
    /// When it was acknowledged.
    pub acknowledged: Option<Timestamp>,
    /// The messages that showed it then.
    pub evidence: u64,
}

impl StoredEvent {
    /// Whether this is an action, not an alert.
    pub fn is_action(&self) -> bool {
        self.state == ACTION
    }
}

/// All events, by ID.
pub(crate) fn events(ledger: &Ledger) -> Result<Vec<StoredEvent>, StoreError> {
    let sql = "SELECT id, kind, state, policy_domain, subject, since, seen, told, ended, body, note, acknowledged,
        evidence FROM events ORDER BY id";
    ledger.rows("reading the events", sql, [], event)
}

fn event(row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
    let at = |index: usize| row.get::<_, Option<i64>>(index).map(|at| at.map(time));
    Ok(StoredEvent {
        id: row.get(0)?,
        kind: row.get(1)?,
        state: row.get(2)?,
        policy_domain: row.get(3)?,
        subject: row.get(4)?,
        since: row.get(5)?,
        seen: row.get(6)?,
        told: at(7)?,
        ended: at(8)?,
        body: row.get(9)?,
        note: row.get(10)?,
        acknowledged: at(11)?,
        evidence: row.get::<_, Option<i64>>(12)?.unwrap_or(0).max(0).unsigned_abs(),
    })
}

/// Stores an alert as it is now; its acknowledgment stays.
pub(crate) fn keep(transaction: &Transaction<'_>, event: &StoredEvent) -> rusqlite::Result<()> {
    let at = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
    let sql = "INSERT INTO events (id, kind, state, policy_domain, subject, since, seen, told, ended, body, evidence)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO UPDATE SET state = excluded.state,
        since = excluded.since, seen = excluded.seen, told = excluded.told, ended = excluded.ended, body = excluded.body,
        subject = excluded.subject, evidence = iif(acknowledged IS NULL, excluded.evidence, evidence)";
    transaction
        .prepare_cached(sql)?
        .execute(params![
            event.id,
            event.kind,
            event.state,
            event.policy_domain,
            event.subject,
            event.since,
            event.seen,
            at(event.told),
            at(event.ended),
            event.body,
            int(event.evidence),
        ])
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::read::store::Store;
    use crate::store::write::writer::Writer;

    fn said(note: &str, evidence: u64) -> Acknowledgment {
        Acknowledgment {
            id: "0123456789ab".into(),
            kind: "repair_key".into(),
            policy_domain: Some("example.com".into()),
            note: note.into(),
            at: Timestamp::from_second(1_000).unwrap(),
            evidence,
        }
    }

    #[test]
    fn the_last_state_of_an_event_counts_and_a_rebuild_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_second(2_000).unwrap();
        let mut writer = Writer::open(folder.path(), now).unwrap();
        writer.acknowledge(&said("ticket 1", 5)).unwrap();
        writer.acknowledge(&said("ticket 2", u64::MAX)).unwrap();
        drop(writer);
        let kept = Store::open(folder.path()).unwrap().events().unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].note.as_deref(), kept[0].evidence), (Some("ticket 2"), i64::MAX.unsigned_abs()));
        assert!(kept[0].is_action());

        let rebuild = crate::store::upkeep::rebuild::Rebuild::start(
            folder.path(),
            now,
            crate::store::disk::access::Access::PRIVATE,
        )
        .unwrap();
        rebuild.finish().unwrap();
        assert_eq!(Store::open(folder.path()).unwrap().events().unwrap(), kept);
    }
}
