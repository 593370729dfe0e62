//! Processed messages of POP3 mailboxes, by their unique IDs.
//!
//! An ID is forgotten once its mailbox no longer lists it, because the server may reuse it.

use super::database::Ledger;
use crate::model::{Fate, KnownUidl};
use crate::store::error::StoreError;
use rusqlite::{Transaction, params};

/// The processed messages of a mailbox, in the order of their IDs.
pub(crate) fn known(ledger: &Ledger, mailbox: &str) -> Result<Vec<KnownUidl>, StoreError> {
    let sql = "SELECT uidl, octets, pending FROM uidls WHERE mailbox = ?1 ORDER BY uidl";
    ledger.rows("reading what is known of a POP3 mailbox", sql, [mailbox], |row| {
        let octets = row.get::<_, Option<i64>>(1)?.map(i64::cast_unsigned);
        Ok(KnownUidl { uidl: row.get(0)?, octets, pending: row.get(2)? })
    })
}

/// Notes a processed message.
pub(crate) fn record(
    transaction: &Transaction<'_>,
    mailbox: &str,
    (uidl, octets): &(String, Option<u64>),
    fate: Fate,
) -> rusqlite::Result<()> {
    let octets = octets.and_then(|octets| i64::try_from(octets).ok());
    let mut statement = transaction.prepare_cached("INSERT OR REPLACE INTO uidls VALUES (?1, ?2, ?3, ?4)")?;
    statement.execute(params![mailbox, uidl, octets, fate == Fate::Done]).map(drop)
}

/// The server has acknowledged this message.
pub(crate) fn clear_pending(transaction: &Transaction<'_>, mailbox: &str, uidl: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE uidls SET pending = 0 WHERE mailbox = ?1 AND uidl = ?2";
    transaction.prepare_cached(sql)?.execute([mailbox, uidl]).map(drop)
}

/// This ID no longer belongs to a message.
pub(crate) fn forget(transaction: &Transaction<'_>, mailbox: &str, uidl: &str) -> rusqlite::Result<()> {
    let sql = "DELETE FROM uidls WHERE mailbox = ?1 AND uidl = ?2";
    transaction.prepare_cached(sql)?.execute([mailbox, uidl]).map(drop)
}
