//! Which summaries were mailed, to whom and about which days. A second run for the same week sends none of them again.

use super::database::Ledger;
use crate::store::error::StoreError;

use std::collections::BTreeSet;

pub(crate) fn mailed(ledger: &Ledger, period: &str) -> Result<BTreeSet<(String, String)>, StoreError> {
    // A store that no writer of this version has opened yet lacks the table, and nothing was mailed from it.
    if !ledger.any("SELECT 1 FROM sqlite_master WHERE name = 'mailed'")? {
        return Ok(BTreeSet::new());
    }
    let read = || -> rusqlite::Result<BTreeSet<(String, String)>> {
        let mut statement = ledger.connection.prepare("SELECT customer, address FROM mailed WHERE period = ?1")?;
        statement.query_map([period], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    read().map_err(ledger.failed("reading who was mailed"))
}
