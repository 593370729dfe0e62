//! Reads stored verdicts of complete weeks, and what they depend on.

use super::store::Store;
use crate::store::error::StoreError;
use crate::store::ledger::verdicts;
use crate::store::tables::filter::Filter;
use crate::store::tables::verdicts::{DayOfReports, KeptVerdicts};
use jiff::civil::Date;
use std::collections::BTreeMap;

impl Store {
    /// The days that reports are about.
    ///
    /// # Errors
    /// If the ledger or the folder cannot be read.
    pub fn days(&self) -> Result<BTreeMap<Date, DayOfReports>, StoreError> {
        if let Some(ledger) = &self.ledger {
            return verdicts::days(ledger);
        }
        let mut days: BTreeMap<Date, DayOfReports> = BTreeMap::new();
        self.heads(&Filter::default(), &mut |head| days.entry(head.day).or_default().reports += 1)?;
        Ok(days)
    }

    /// The stored verdicts, by the first day of their week. A folder of Parquet has none.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn kept_verdicts(&self) -> Result<BTreeMap<Date, KeptVerdicts>, StoreError> {
        self.read_ledger(verdicts::kept)
    }

    /// Stores verdicts for next time.
    ///
    /// # Errors
    /// If the ledger cannot be written; they are then computed again.
    pub fn keep_verdicts(&self, verdicts: &[KeptVerdicts]) -> Result<(), StoreError> {
        self.read_ledger(|ledger| verdicts::keep(&ledger.path, verdicts))
    }
}
