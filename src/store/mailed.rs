//! Which summaries left by mail: to whom, about which days. A second run of the same week sends none of them again.

use super::ledger::Ledger;
use super::{Store, StoreError, Writer};
use jiff::Timestamp;
use rusqlite::params;
use std::collections::BTreeSet;

/// What is kept of them.
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

impl Store {
    /// Who was sent the summary of some days, as pairs of a customer's name and an address.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn mailed(&self, period: &str) -> Result<BTreeSet<(String, String)>, StoreError> {
        self.ledger.as_ref().map_or(Ok(BTreeSet::new()), |ledger| mailed(ledger, period))
    }
}

fn mailed(ledger: &Ledger, period: &str) -> Result<BTreeSet<(String, String)>, StoreError> {
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

impl Writer {
    /// Note that a mail server took a customer's summary of some days for an address.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub fn note_mailed(
        &mut self,
        customer: &str,
        period: &str,
        addresses: &[&str],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO mailed VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET mailed = excluded.mailed";
        self.ledger.write("noting who was mailed", |transaction| {
            let mut statement = transaction.prepare_cached(sql)?;
            for address in addresses {
                statement.execute(params![customer, period, address, now.as_millisecond()])?;
            }
            Ok(())
        })
    }
}
