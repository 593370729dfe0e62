//! Reads which summaries were mailed, so that a second run for the same week sends none of them again.

use super::store::Store;
use crate::store::error::StoreError;
use std::collections::BTreeSet;

impl Store {
    /// Who got the summary of some days by mail, as pairs of a customer's name and an address.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn mailed(&self, period: &str) -> Result<BTreeSet<(String, String)>, StoreError> {
        let sql = "SELECT customer, address FROM mailed WHERE period = ?1";
        self.read_ledger(|ledger| {
            ledger.rows("reading who was mailed", sql, [period], |row| Ok((row.get(0)?, row.get(1)?)))
        })
    }
}
