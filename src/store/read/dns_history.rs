//! Reads the history of DNS.

use super::store::Store;
use crate::model::{DnsChange, DnsHistory, DnsSpan, WatchedName, changes, midnight};
use crate::store::error::StoreError;
use crate::store::ledger::dns_history::{domains_since, names, spans};
use jiff::civil::Date;
use std::collections::HashSet;

impl Store {
    /// All spans of records, by name.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn dns_spans(&self) -> Result<Vec<DnsSpan>, StoreError> {
        self.ledger.as_ref().map_or(Ok(Vec::new()), spans)
    }

    /// All names looked up, by domain.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn dns_names(&self) -> Result<Vec<WatchedName>, StoreError> {
        self.ledger.as_ref().map_or(Ok(Vec::new()), names)
    }

    /// The domains for which something was looked up on a day (UTC) or later.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn domains_looked_up_on(&self, day: Date) -> Result<HashSet<String>, StoreError> {
        let since = midnight(day);
        self.ledger.as_ref().map_or(Ok(HashSet::new()), |ledger| domains_since(ledger, since.as_millisecond()))
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
}

impl Store {
    /// The policy domains of reports in which some mail passes, those with the most mail first.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn domains_with_passing_mail(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        let Some(ledger) = &self.ledger else { return Ok(Vec::new()) };
        let read = || -> rusqlite::Result<Vec<String>> {
            let sql = "SELECT policy_domain FROM reports WHERE dmarc_pass > 0 GROUP BY policy_domain \
                       ORDER BY SUM(CAST(messages AS REAL)) DESC, policy_domain LIMIT ?1";
            let mut statement = ledger.connection.prepare(sql)?;
            let rows = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.get(0))?;
            rows.collect()
        };
        read().map_err(ledger.failed("listing the domains"))
    }

    /// Records and changes together.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn dns_history(&self) -> Result<DnsHistory, StoreError> {
        Ok(DnsHistory::new(self.dns_spans()?, &self.dns_names()?))
    }
}
