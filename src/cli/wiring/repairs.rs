//! Counts the effect of repairs in DNS, for answers from a store.

use crate::analyze::{Action, RepairCount, Summary, SummaryPeriod};
use crate::store::{Filter, Store, StoreError};

/// Reads the rows that show whether the repairs in a summary worked. Of files, there is nothing to read.
pub(crate) fn count(store: Option<&Store>, summary: &mut Summary) -> Result<(), StoreError> {
    if let Some(store) = store {
        count_actions(store, &mut summary.actions, &summary.period)?;
        summary.answer_again();
    }
    Ok(())
}

/// The same for some actions of a period.
pub(crate) fn count_actions(
    store: &Store,
    actions: &mut Vec<Action>,
    period: &SummaryPeriod,
) -> Result<(), StoreError> {
    let Some(count) = RepairCount::new(actions, period) else { return Ok(()) };
    let (from, to, domains) = count.reads();
    let filter = Filter { from: Some(from), to: Some(to), domains, ..Filter::default() };
    store.rows(&filter, RepairCount::COLUMNS, &mut |rows| count.rows(&rows))?;
    count.finish(actions);
    Ok(())
}
