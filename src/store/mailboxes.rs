//! How far each folder of a mailbox was read, and which messages still wait for the server to be told.

use super::StoreError;
use super::ledger::Ledger;
use crate::model::{Cursor, Fate};
use rusqlite::params;

/// The word of a fate; null for the one of which no server is ever told.
pub(crate) const fn fate_word(fate: Fate) -> Option<&'static str> {
    match fate {
        Fate::Done => Some("done"),
        Fate::Unreadable => Some("unreadable"),
        Fate::NotReport => None,
    }
}

/// The cursors of a mailbox's folders, in the order of their names.
pub(crate) fn cursors(ledger: &Ledger, mailbox: &str) -> Result<Vec<(String, Cursor)>, StoreError> {
    let read = || -> rusqlite::Result<Vec<(String, Cursor)>> {
        let mut folders = ledger
            .connection
            .prepare_cached("SELECT folder, uid_validity, last_uid FROM folders WHERE mailbox = ?1 ORDER BY folder")?;
        let mut pending = ledger.connection.prepare_cached(
            "SELECT uid, fate FROM pending WHERE mailbox = ?1 AND folder = ?2 AND uid_validity = ?3 ORDER BY uid",
        )?;
        let found = folders.query_map([mailbox], |row| {
            let cursor = Cursor { uid_validity: row.get(1)?, last_uid: row.get(2)?, pending: Vec::new(), done: Vec::new() }; // FIXME(store): keep `done` ranges in the ledger too
            Ok((row.get::<_, String>(0)?, cursor))
        })?;
        let mut cursors = found.collect::<rusqlite::Result<Vec<_>>>()?;
        for (folder, cursor) in &mut cursors {
            let waiting = pending.query_map(params![mailbox, &*folder, cursor.uid_validity], |row| {
                let fate = if row.get::<_, String>(1)? == "done" { Fate::Done } else { Fate::Unreadable };
                Ok((row.get(0)?, fate))
            })?;
            cursor.pending = waiting.collect::<rusqlite::Result<_>>()?;
        }
        Ok(cursors)
    };
    read().map_err(ledger.failed("reading the cursors"))
}
