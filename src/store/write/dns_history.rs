//! Stores the history of DNS.

use super::writer::Writer;
use crate::model::DnsObservation;
use crate::store::error::StoreError;
use crate::store::ledger::dns_history::keep;
use jiff::Timestamp;

impl Writer {
    /// Stores what lookups at a time found, durably and all or nothing. A lookup older than the last one of a name adds
    /// nothing to it.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn keep_dns(&mut self, at: Timestamp, observations: &[DnsObservation]) -> Result<(), StoreError> {
        self.ledger.write("keeping DNS records", |transaction| {
            observations.iter().try_for_each(|found| keep(transaction, at.as_millisecond(), found))
        })
    }
}
