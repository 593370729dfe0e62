//! Digests of the reports of each day, to detect changes.

use super::store::Store;
use crate::store::error::StoreError;
use crate::store::ledger::reports;
use crate::store::tables::filter::Filter;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

impl Store {
    /// A digest of the reports of each day that has any: it changes when one is added, removed or replaced.
    ///
    /// # Errors
    /// If the ledger or the folder cannot be read.
    pub fn report_days(&self) -> Result<BTreeMap<Date, u64>, StoreError> {
        if let Some(ledger) = &self.ledger {
            return reports::day_digests(ledger);
        }
        let mut days: BTreeMap<Date, u64> = BTreeMap::new();
        self.heads(&Filter::default(), &mut |head| {
            let mut hasher = DefaultHasher::new();
            let figures = (head.key.0, head.records, head.messages, head.dmarc_pass);
            (figures, head.sender_auth.as_str()).hash(&mut hasher);
            let digest = days.entry(head.day).or_default();
            *digest = digest.wrapping_add(hasher.finish());
        })?;
        Ok(days)
    }
}
