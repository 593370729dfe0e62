//! How far each folder of a mailbox was read, and which messages the server must still be told about.

use super::database::Ledger;
use super::uidls;
use crate::model::{Cursor, Fate, MailboxProgress, Message};
use crate::store::error::StoreError;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::collections::BTreeMap;

/// The name of a fate; `None` for the one that needs no action on the server.
pub(crate) const fn fate_word(fate: Fate) -> Option<&'static str> {
    match fate {
        Fate::Done => Some("done"),
        Fate::Unreadable => Some("unreadable"),
        Fate::NotReport => None,
    }
}

/// How far a mailbox was read.
pub(crate) fn progress(ledger: &Ledger, mailbox: &str) -> Result<MailboxProgress, StoreError> {
    Ok(MailboxProgress { cursors: cursors(ledger, mailbox)?, uidls: uidls::known(ledger, mailbox)? })
}

/// The cursors of a mailbox's folders, in the order of their names.
fn cursors(ledger: &Ledger, mailbox: &str) -> Result<Vec<(String, Cursor)>, StoreError> {
    ledger.read("reading the cursors", |connection| {
        let mut folders = connection
            .prepare_cached("SELECT folder, uid_validity, last_uid FROM folders WHERE mailbox = ?1 ORDER BY folder")?;
        let mut pending = connection.prepare_cached(
            "SELECT uid, fate FROM pending WHERE mailbox = ?1 AND folder = ?2 AND uid_validity = ?3 ORDER BY uid",
        )?;
        let found = folders.query_map([mailbox], |row| {
            let cursor = Cursor { uid_validity: row.get(1)?, last_uid: row.get(2)?, ..Cursor::default() };
            Ok((row.get::<_, String>(0)?, cursor))
        })?;
        let mut cursors = found.collect::<rusqlite::Result<Vec<_>>>()?;
        for (folder, cursor) in &mut cursors {
            let waiting = pending.query_map(params![mailbox, &*folder, cursor.uid_validity], |row| {
                let fate = if row.get::<_, String>(1)? == "done" { Fate::Done } else { Fate::Unreadable };
                Ok((row.get(0)?, fate))
            })?;
            cursor.pending = waiting.collect::<rusqlite::Result<_>>()?;
            cursor.done = ranges(connection, (mailbox, folder))?;
        }
        Ok(cursors)
    })
}

/// A mailbox's name and its folder's.
type FolderName<'a> = (&'a str, &'a str);
/// Inclusive ranges of UIDs.
type UidRanges = Vec<(u32, u32)>;

/// The ranges of processed UIDs beyond the cursor.
fn ranges(connection: &Connection, (mailbox, folder): FolderName<'_>) -> rusqlite::Result<UidRanges> {
    let sql = "SELECT first, last FROM done WHERE mailbox = ?1 AND folder = ?2 ORDER BY first";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map([mailbox, folder], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Sets a folder's cursor, except what is pending. Another `UIDVALIDITY` invalidates that too.
pub(crate) fn set_cursor(
    transaction: &Transaction<'_>,
    (mailbox, folder): FolderName<'_>,
    cursor: &Cursor,
    now: i64,
) -> rusqlite::Result<()> {
    let Cursor { uid_validity, last_uid, done, .. } = cursor;
    transaction
        .prepare_cached("DELETE FROM pending WHERE mailbox = ?1 AND folder = ?2 AND uid_validity <> ?3")?
        .execute(params![mailbox, folder, uid_validity])?;
    transaction.prepare_cached("INSERT OR REPLACE INTO folders VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        mailbox,
        folder,
        uid_validity,
        last_uid,
        now
    ])?;
    transaction
        .prepare_cached("DELETE FROM done WHERE mailbox = ?1 AND folder = ?2")?
        .execute(params![mailbox, folder])?;
    let mut statement = transaction.prepare_cached("INSERT INTO done VALUES (?1, ?2, ?3, ?4)")?;
    for (first, last) in joined(done.clone()) {
        statement.execute(params![mailbox, folder, first, last])?;
    }
    Ok(())
}

/// Notes processed messages: their UIDs are kept beyond the cursor until the source, which knows the gaps, moves it;
/// those that the server must be told about wait in `pending`.
pub(crate) fn record(transaction: &Transaction<'_>, messages: &[(Message, Fate)], now: i64) -> rusqlite::Result<()> {
    let mut folders: BTreeMap<FolderName<'_>, (u32, UidRanges)> = BTreeMap::new();
    for (message, fate) in messages {
        let (mailbox, folder, uid_validity, uid) = match message {
            Message::Imap { mailbox, folder, uid_validity, uid } => (mailbox, folder, uid_validity, uid),
            Message::Pop3 { mailbox, uidl, .. } => {
                if let Some(uidl) = uidl {
                    uidls::record(transaction, mailbox, uidl, *fate)?;
                }
                continue;
            }
        };
        let (validity, uids) = folders.entry((mailbox, folder)).or_default();
        if *validity != *uid_validity {
            uids.clear();
        }
        *validity = *uid_validity;
        uids.push((*uid, *uid));
    }
    for (folder, (uid_validity, uids)) in folders {
        let sql = "SELECT last_uid FROM folders WHERE mailbox = ?1 AND folder = ?2 AND uid_validity = ?3";
        let known = params![folder.0, folder.1, uid_validity];
        let last_uid: Option<u32> = transaction.prepare_cached(sql)?.query_row(known, |row| row.get(0)).optional()?;
        let mut done = if last_uid.is_some() { ranges(transaction, folder)? } else { Vec::new() };
        let last_uid = last_uid.unwrap_or(0);
        done.extend(uids.into_iter().filter(|(uid, _)| *uid > last_uid));
        set_cursor(transaction, folder, &Cursor { uid_validity, last_uid, done, ..Cursor::default() }, now)?;
    }
    let mut statement = transaction.prepare_cached("INSERT OR REPLACE INTO pending VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (message, fate) in messages {
        if let (Message::Imap { mailbox, folder, uid_validity, uid }, Some(word)) = (message, fate_word(*fate)) {
            statement.execute(params![mailbox, folder, uid_validity, uid, word])?;
        }
    }
    Ok(())
}

/// Created when first needed, so that an older ledger needs no upgrade.
const HEARD: &str =
    "CREATE TABLE IF NOT EXISTS heard (     -- when the newest report of a mailbox arrived, known or not
    mailbox TEXT PRIMARY KEY,
    newest INTEGER NOT NULL
) WITHOUT ROWID;";

/// Creates the table of when reports arrived, if it is missing.
pub(crate) fn make_heard(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(HEARD)
}

/// Notes when reports arrived, so that a mailbox with only known reports does not count as silent.
pub(crate) fn record_heard(transaction: &Transaction<'_>, heard: &BTreeMap<String, Timestamp>) -> rusqlite::Result<()> {
    if heard.is_empty() {
        return Ok(());
    }
    make_heard(transaction)?;
    let sql = "INSERT INTO heard VALUES (?1, ?2) ON CONFLICT (mailbox) DO UPDATE SET newest = MAX(newest, ?2)";
    let mut statement = transaction.prepare_cached(sql)?;
    for (mailbox, newest) in heard {
        statement.execute(params![mailbox, newest.as_millisecond()])?;
    }
    Ok(())
}

/// Sorts ranges and merges adjacent ones.
fn joined(mut ranges: UidRanges) -> UidRanges {
    ranges.sort_unstable();
    let mut joined: UidRanges = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    joined
}
