//! Which summaries were mailed, to whom and about which days. A second run for the same week sends none of them again.

use super::database::Ledger;
use crate::store::error::StoreError;

use std::collections::BTreeSet;

/// The table.
pub(crate) const TABLE: &str = "
CREATE TABLE mailed (               -- summaries that a mail server took
    customer TEXT NOT NULL,         -- its name in the settings
    period TEXT NOT NULL,           -- as 2026-W47
    address TEXT NOT NULL,
    mailed INTEGER NOT NULL,
    PRIMARY KEY (customer, period, address)
) WITHOUT ROWID;
CREATE INDEX reports_by_domain ON reports (policy_domain, \"end\");
";

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
