//! Reads which summaries were mailed.

use super::store::Store;
use crate::store::error::StoreError;
use crate::store::ledger::mailed::mailed;
use std::collections::BTreeSet;

impl Store {
    /// Who got the summary of some days by mail, as pairs of a customer's name and an address.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn mailed(&self, period: &str) -> Result<BTreeSet<(String, String)>, StoreError> {
        self.ledger.as_ref().map_or(Ok(BTreeSet::new()), |ledger| mailed(ledger, period))
    }
}
