//! Applies the quotas of rejected items and conflicts: the oldest bytes are dropped first.

use super::batch::one_per_file;
use super::writer::Writer;
use crate::store::error::StoreError;
use crate::store::ledger::quota::{hold_conflicts, hold_rejected};
use crate::store::tables::values::int;

impl Writer {
    /// Drops the oldest kept bytes as far as the batch needs their space: the quota applies during writing too. One
    /// item is smaller than a quota, and a batch with a large item has little else.
    pub(crate) fn make_room(&mut self) -> Result<(), StoreError> {
        let rejects: Vec<i64> =
            self.batch.rejects.iter().filter_map(|(_, reject)| Some(int(reject.bytes.as_ref()?.len()))).collect();
        let conflicts: Vec<i64> =
            one_per_file(&self.batch.conflicts).map(|conflict| int(conflict.accepted.original.bytes().len())).collect();
        if rejects.is_empty() && conflicts.is_empty() {
            return Ok(());
        }
        let sum = |sizes: &[i64]| sizes.iter().fold(0_i64, |sum, size| sum.saturating_add(*size));
        self.ledger.write("making room for kept items", |transaction| {
            let beside = |sizes: &[i64]| self.quota.beside(sum(sizes), sizes.len());
            if !rejects.is_empty() {
                hold_rejected(transaction, beside(&rejects))?;
            }
            if !conflicts.is_empty() {
                hold_conflicts(transaction, &self.layout, beside(&conflicts))?;
            }
            Ok(())
        })?;
        self.settle()
    }
}
