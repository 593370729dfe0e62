//! A status that is added up report by report.

use crate::store::disk::layout::Month;
use crate::store::ledger::status::{ReportTotals, ReporterTotals, Status};
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::BTreeMap;

/// A policy domain that reports are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedDomain {
    /// In canonical form.
    pub policy_domain: String,
    /// The end of the newest report's period.
    pub newest_end: Timestamp,
}

/// The parts of a report that a status needs.
pub(crate) struct StatusOfReport<'a> {
    pub(crate) org_name: &'a str,
    pub(crate) day: Date,
    pub(crate) end: Timestamp,
    pub(crate) arrival: Timestamp,
    pub(crate) records: i64,
    pub(crate) messages: i64,
    pub(crate) dmarc_pass: i64,
}

/// A status that is added up report by report.
#[derive(Default)]
pub(crate) struct StatusSums {
    status: Status,
    months: BTreeMap<Month, ReportTotals>,
    reporters: BTreeMap<String, ReporterTotals>,
}

impl StatusSums {
    /// Adds a report.
    pub(crate) fn add(&mut self, report: &StatusOfReport<'_>) {
        let StatusOfReport { records, messages, dmarc_pass, .. } = *report;
        let sums = ReportTotals { reports: 1, records, messages, dmarc_pass };
        self.status.totals.add(sums);
        self.months.entry(Month::of(report.day)).or_default().add(sums);
        self.status.newest_arrival = self.status.newest_arrival.max(Some(report.arrival));
        if !self.reporters.contains_key(report.org_name) {
            let (newest_end, newest_arrival) = (report.end, report.arrival);
            let new = ReporterTotals { org_name: report.org_name.to_owned(), reports: 0, newest_end, newest_arrival };
            self.reporters.insert(report.org_name.to_owned(), new);
        }
        if let Some(reporter) = self.reporters.get_mut(report.org_name) {
            reporter.reports += 1;
            reporter.newest_end = reporter.newest_end.max(report.end);
            reporter.newest_arrival = reporter.newest_arrival.max(report.arrival);
        }
    }

    /// The status, for reports only.
    pub(crate) fn finish(self) -> Status {
        let Self { status, months, reporters } = self;
        Status { months: months.into_iter().collect(), reporters: reporters.into_values().collect(), ..status }
    }
}
