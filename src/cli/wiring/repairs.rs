//! Counts the effect of repairs in DNS, for answers from a store.

use super::selection::From;
use crate::analyze::{Action, RepairCount, Summary, SummaryPeriod};
use crate::store::{Filter, Store, StoreError};

/// Reads the rows that show whether the repairs in a summary worked; does nothing without repairs.
pub(crate) fn count(from: &From<'_>, summary: &mut Summary) -> Result<(), StoreError> {
    if let From::Store(store) = from { count_in(store, summary) } else { Ok(()) }
}

/// The same for a store.
pub(crate) fn count_in(store: &Store, summary: &mut Summary) -> Result<(), StoreError> {
    count_actions(store, &mut summary.actions, &summary.period)?;
    summary.answer_again();
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
