//! Reads the history of DNS.

use super::store::Store;
use crate::model::{DnsChange, DnsHistory, DnsSpan, WatchedName, changes, midnight};
use crate::store::error::StoreError;
use crate::store::ledger::dns_history::{domains_since, names, spans};
use crate::store::tables::values::int;
use jiff::civil::Date;
use std::collections::HashSet;

impl Store {
    /// All spans of records, by name.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn dns_spans(&self) -> Result<Vec<DnsSpan>, StoreError> {
        self.read_ledger(spans)
    }

    /// All names looked up, by domain.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn dns_names(&self) -> Result<Vec<WatchedName>, StoreError> {
        self.read_ledger(names)
    }

    /// The domains for which something was looked up on a day (UTC) or later.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn domains_looked_up_on(&self, day: Date) -> Result<HashSet<String>, StoreError> {
        self.read_ledger(|ledger| domains_since(ledger, midnight(day).as_millisecond()))
    }

    /// The changes that lookups showed, oldest first: those of one domain, or of all.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn dns_changes(&self, domain: Option<&str>) -> Result<Vec<DnsChange>, StoreError> {
        let mut watched = self.dns_names()?;
        if let Some(domain) = domain {
            watched.retain(|watch| watch.domain == domain);
        }
        Ok(changes(&self.dns_spans()?, &watched))
    }

    /// The policy domains of reports in which some mail passes, those with the most mail first.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn domains_with_passing_mail(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT policy_domain FROM reports WHERE dmarc_pass > 0 GROUP BY policy_domain \
                   ORDER BY SUM(CAST(messages AS REAL)) DESC, policy_domain LIMIT ?1";
        self.read_ledger(|ledger| ledger.rows("listing the domains", sql, [int(limit)], |row| row.get(0)))
    }

    /// Records and changes together.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn dns_history(&self) -> Result<DnsHistory, StoreError> {
        Ok(DnsHistory::new(self.dns_spans()?, &self.dns_names()?))
    }
}
