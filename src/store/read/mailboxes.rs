//! Reads what is known about mailboxes.

use super::store::Store;
use crate::store::error::StoreError;
use crate::store::tables::values::time;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

impl Store {
    /// When the newest report of a mailbox arrived, known or not; `None` if it had none.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn newest_of_mailbox(&self, mailbox: &str) -> Result<Option<Timestamp>, StoreError> {
        // The origin of a mail begins with the mailbox's name.
        let sql = "SELECT MAX(arrival) FROM reports WHERE substr(origin, 1, length(?1)) = ?1";
        let newest = |connection: &Connection| -> rusqlite::Result<Option<i64>> {
            let stored: Option<i64> = connection.query_row(sql, [format!("{mailbox} > ")], |row| row.get(0))?;
            if !connection.table_exists(None, "heard")? {
                return Ok(stored);
            }
            let heard = "SELECT newest FROM heard WHERE mailbox = ?1";
            Ok(stored.max(connection.query_row(heard, [mailbox], |row| row.get(0)).optional()?))
        };
        let newest = self.read_ledger(|ledger| ledger.read("looking for a mailbox's newest report", newest))?;
        Ok(newest.map(time))
    }
}
