//! TLS reports, read policy by policy.

use super::store::Store;
use super::tls_folder;
use crate::model::{Domain, TlsPolicy, TlsPolicyRow};
use crate::store::error::StoreError;
use crate::store::ledger::status::Status;
use crate::store::ledger::tls;
use crate::store::tables::filter::Filter;
use crate::store::tables::tls::TlsReportRow;
use crate::store::tables::values::{day, days_since_epoch, int, sender_auth, time};
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet, HashSet};

impl Store {
    /// What the TLS reports of the filter say, one policy at a time, ordered by day. A report counts for the day
    /// of its midpoint. All are returned, whatever their `sender_auth`.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn tls_policies(&self, filter: &Filter, each: &mut dyn FnMut(TlsPolicyRow)) -> Result<(), StoreError> {
        each_report(self, filter, &mut |report, policy| {
            each(TlsPolicyRow {
                key: report.key,
                org_name: report.org_name.as_str().into(),
                day: day(report.day),
                sender_auth: sender_auth(&report.sender_auth),
                policy,
            });
            Ok(())
        })
    }

    /// The newest day of TLS reports about each of some policy domains; those without any are left out.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn newest_tls_days(&self, domains: &BTreeSet<String>) -> Result<BTreeMap<String, Date>, StoreError> {
        let mut newest = BTreeMap::new();
        if domains.is_empty() {
            return Ok(newest);
        }
        let filter = Filter { domains: domains.iter().cloned().collect(), ..Filter::default() };
        self.tls_policies(&filter, &mut |row| {
            if let Some(domain) = row.policy.policy_domain.as_ref().filter(|domain| domains.contains(domain.as_str())) {
                let known = newest.entry(domain.as_str().to_owned()).or_insert(row.day);
                *known = row.day.max(*known);
            }
        })?;
        Ok(newest)
    }

    /// How many TLS reports count for a day before this one.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn tls_reports_before(&self, first: Date) -> Result<u64, StoreError> {
        self.read_ledger(|ledger| tls::count_before(ledger, days_since_epoch(first)))
    }

    /// The status with the TLS reports about some policy domains; about all, where none are given.
    pub(super) fn with_tls(&self, status: Status, wanted: Option<&dyn Fn(&str) -> bool>) -> Result<Status, StoreError> {
        let (tls_reports, newest) = if let (Some(ledger), None) = (&self.ledger, wanted) {
            tls::totals(ledger)?
        } else {
            let (mut keys, mut newest) = (HashSet::new(), None);
            each_report(self, &Filter::default(), &mut |report, policy| {
                let domain = policy.policy_domain.as_ref().map(Domain::as_str);
                if wanted.is_none_or(|wanted| domain.is_some_and(wanted)) {
                    keys.insert(report.key);
                    newest = newest.max(Some(report.arrival));
                }
                Ok(())
            })?;
            (int(keys.len()), newest)
        };
        Ok(Status { tls_reports, newest_tls_arrival: newest.map(time), ..status })
    }
}

/// The policies of the TLS reports of a filter, with all that is known of their reports.
pub(crate) fn each_report(
    store: &Store,
    filter: &Filter,
    take: &mut dyn FnMut(&TlsReportRow, TlsPolicy) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    if store.folder {
        return tls_folder::each(&store.layout, filter, take);
    }
    store.read_ledger(|ledger| tls::each_report(ledger, filter, take))
}
