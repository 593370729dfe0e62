//! How far each folder of a mailbox was read, and which messages still wait for the server to be told.

use super::StoreError;
use super::ledger::Ledger;
use crate::model::{Cursor, Fate};
use rusqlite::params;

/// The word of a fate.
pub(crate) const fn fate_word(fate: Fate) -> &'static str {
    match fate {
        Fate::Done => "done",
        Fate::Unreadable => "unreadable",
        Fate::NotReport => "not_report",
    }
}

fn fate_of(word: &str) -> Fate {
    match word {
        "done" => Fate::Done,
        "unreadable" => Fate::Unreadable,
        _ => Fate::NotReport,
    }
}

/// Ranges of UIDs as the ledger has them.
pub(crate) fn ranges_text(ranges: &[(u32, u32)]) -> String {
    ranges.iter().map(|(first, last)| format!("{first}:{last}")).collect::<Vec<_>>().join(",")
}

/// Ranges of UIDs from the ledger; what is none is left out, and its mails are looked at once more.
fn ranges_of(text: &str) -> Vec<(u32, u32)> {
    let range = |part: &str| {
        let (first, last) = part.split_once(':')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    text.split(',').filter_map(range).collect()
}

/// The cursors of a mailbox's folders, in the order of their names.
pub(crate) fn cursors(ledger: &Ledger, mailbox: &str) -> Result<Vec<(String, Cursor)>, StoreError> {
    let read = || -> rusqlite::Result<Vec<(String, Cursor)>> {
        let mut folders = ledger.connection.prepare_cached(
            "SELECT folder, uid_validity, last_uid, done FROM folders WHERE mailbox = ?1 ORDER BY folder",
        )?;
        let mut pending = ledger.connection.prepare_cached(
            "SELECT uid, fate FROM pending WHERE mailbox = ?1 AND folder = ?2 AND uid_validity = ?3 ORDER BY uid",
        )?;
        let found = folders.query_map([mailbox], |row| {
            let done = ranges_of(&row.get::<_, String>(3)?);
            let cursor = Cursor { uid_validity: row.get(1)?, last_uid: row.get(2)?, pending: Vec::new(), done };
            Ok((row.get::<_, String>(0)?, cursor))
        })?;
        let mut cursors = found.collect::<rusqlite::Result<Vec<_>>>()?;
        for (folder, cursor) in &mut cursors {
            let waiting = pending.query_map(params![mailbox, &*folder, cursor.uid_validity], |row| {
                Ok((row.get(0)?, fate_of(&row.get::<_, String>(1)?)))
            })?;
            cursor.pending = waiting.collect::<rusqlite::Result<_>>()?;
        }
        Ok(cursors)
    };
    read().map_err(ledger.failed("reading the cursors"))
}
