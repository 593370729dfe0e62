//! Which summaries left by mail, read.

use super::store::Store;
use crate::store::error::StoreError;
use crate::store::ledger::mailed::mailed;
use std::collections::BTreeSet;

impl Store {
    /// Who was sent the summary of some days, as pairs of a customer's name and an address.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn mailed(&self, period: &str) -> Result<BTreeSet<(String, String)>, StoreError> {
        self.ledger.as_ref().map_or(Ok(BTreeSet::new()), |ledger| mailed(ledger, period))
    }
}
