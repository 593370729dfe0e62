//! TLS reports, read policy by policy.

use super::store::Store;
use crate::model::TlsPolicyRow;
use crate::store::error::StoreError;
use crate::store::ledger::tls;
use crate::store::tables::filter::Filter;

impl Store {
    /// What the TLS reports of the filter say, one policy at a time, in the order of their days. A report counts for the day
    /// of its midpoint. All of them are handed over, whatever their `sender_auth`.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn tls_policies(&self, filter: &Filter, each: &mut dyn FnMut(TlsPolicyRow)) -> Result<(), StoreError> {
        self.ledger.as_ref().map_or(Ok(()), |ledger| tls::each(ledger, filter, each))
    }
}
