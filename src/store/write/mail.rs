//! Stores what was exchanged by mail: how far mailboxes were read, which messages their servers acknowledged, and which
//! summaries were mailed.

use super::writer::Writer;
use crate::model::{Cursor, MailboxProgress, Message};
use crate::store::error::StoreError;
use crate::store::ledger::{mailboxes, uidls};
use jiff::Timestamp;
use rusqlite::params;
use std::collections::HashSet;

impl Writer {
    /// The server has acknowledged these messages: they are no longer pending.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn clear_pending(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        self.ledger.write("noting acknowledged messages", |transaction| {
            let mut statement = transaction.prepare_cached(
                "DELETE FROM pending WHERE mailbox = ?1 AND folder = ?2 AND uid_validity = ?3 AND uid = ?4",
            )?;
            messages.iter().try_for_each(|message| match message {
                Message::Imap { mailbox, folder, uid_validity, uid } => {
                    statement.execute(params![mailbox, folder, uid_validity, uid]).map(drop)
                }
                Message::Pop3 { mailbox, uidl, .. } => {
                    uidl.as_ref().map_or(Ok(()), |(uidl, _)| uidls::clear_pending(transaction, mailbox, uidl))
                }
            })
        })
    }

    /// Sets a folder's cursor: how far it was read, and what was processed beyond. Pending messages stay as they are,
    /// unless the cursor has another `UIDVALIDITY`, which invalidates them.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn set_cursor(&mut self, mailbox: &str, folder: &str, cursor: &Cursor) -> Result<(), StoreError> {
        let now = self.now.as_millisecond();
        self.ledger
            .write("noting a cursor", |transaction| mailboxes::set_cursor(transaction, (mailbox, folder), cursor, now))
    }

    /// Notes which unique IDs a POP3 mailbox has now: others are forgotten, since a server may reuse them.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn keep_uidls(&mut self, mailbox: &str, present: &[String]) -> Result<(), StoreError> {
        let known = uidls::known(&self.ledger, mailbox)?;
        let present: HashSet<&str> = present.iter().map(String::as_str).collect();
        let gone: Vec<&str> =
            known.iter().map(|known| known.uidl.as_str()).filter(|uidl| !present.contains(uidl)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.ledger.write("forgetting messages that are gone", |transaction| {
            gone.iter().try_for_each(|uidl| uidls::forget(transaction, mailbox, uidl))
        })
    }

    /// How far a mailbox was read, whatever its protocol.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn progress(&self, mailbox: &str) -> Result<MailboxProgress, StoreError> {
        mailboxes::progress(&self.ledger, mailbox)
    }

    /// Notes that a mail server accepted a customer's summary of some days for an address.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn note_mailed(
        &mut self,
        customer: &str,
        period: &str,
        addresses: &[&str],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO mailed VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET mailed = excluded.mailed";
        self.ledger.write("noting who was mailed", |transaction| {
            let mut statement = transaction.prepare_cached(sql)?;
            for address in addresses {
                statement.execute(params![customer, period, address, now.as_millisecond()])?;
            }
            Ok(())
        })
    }
}
