//! Stores which summaries were mailed.

use super::writer::Writer;
use crate::store::error::StoreError;
use jiff::Timestamp;
use rusqlite::params;

impl Writer {
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
