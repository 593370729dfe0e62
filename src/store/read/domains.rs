//! Sums of the reports about each domain, and about those of one owner: counted when needed, because a store has few
//! domains and their owners may change with the settings.

use super::parquet_folder;
use super::store::Store;
use crate::store::disk::layout::Month;
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use crate::store::ledger::status::{ReportTotals, ReporterTotals, Status};
use crate::store::tables::values::{day, time};
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
        for totals in [&mut self.status.totals, self.months.entry(Month::of(report.day)).or_default()] {
            totals.reports += 1;
            totals.records = totals.records.saturating_add(report.records);
            totals.messages = totals.messages.saturating_add(report.messages);
            totals.dmarc_pass = totals.dmarc_pass.saturating_add(report.dmarc_pass);
        }
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

impl Store {
    /// The policy domains that reports are about, by name.
    ///
    /// # Errors
    /// If the ledger or the folder cannot be read.
    pub fn domains(&self) -> Result<Vec<ReportedDomain>, StoreError> {
        if self.folder {
            return parquet_folder::domains(&self.layout);
        }
        self.ledger.as_ref().map_or(Ok(Vec::new()), domains)
    }

    /// The status of the reports about some policy domains: their sums, months and reporters, without files, mailboxes,
    /// rejected items and conflicts.
    ///
    /// # Errors
    /// If the ledger or the folder cannot be read.
    pub fn status_of(&self, wanted: &dyn Fn(&str) -> bool) -> Result<Status, StoreError> {
        let status = match &self.ledger {
            _ if self.folder => parquet_folder::status_of(&self.layout, wanted)?,
            Some(ledger) => status_of(ledger, wanted)?,
            None => Status::default(),
        };
        self.with_tls(status, Some(wanted))
    }
}

fn domains(ledger: &Ledger) -> Result<Vec<ReportedDomain>, StoreError> {
    let read = || -> rusqlite::Result<Vec<ReportedDomain>> {
        let sql = "SELECT policy_domain, max(\"end\") FROM reports GROUP BY policy_domain ORDER BY policy_domain";
        let mut statement = ledger.connection.prepare(sql)?;
        let found = statement
            .query_map([], |row| Ok(ReportedDomain { policy_domain: row.get(0)?, newest_end: time(row.get(1)?) }))?;
        found.collect()
    };
    read().map_err(ledger.failed("listing the domains"))
}

fn status_of(ledger: &Ledger, wanted: &dyn Fn(&str) -> bool) -> Result<Status, StoreError> {
    let read = || -> rusqlite::Result<Status> {
        let sql = "SELECT policy_domain, org_name, day, \"end\", arrival, records, messages, dmarc_pass FROM reports";
        let mut statement = ledger.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut sums = StatusSums::default();
        while let Some(row) = rows.next()? {
            if wanted(row.get_ref(0)?.as_str()?) {
                sums.add(&StatusOfReport {
                    org_name: row.get_ref(1)?.as_str()?,
                    day: day(row.get(2)?),
                    end: time(row.get(3)?),
                    arrival: time(row.get(4)?),
                    records: row.get(5)?,
                    messages: row.get(6)?,
                    dmarc_pass: row.get(7)?,
                });
            }
        }
        Ok(sums.finish())
    };
    read().map_err(ledger.failed("reading the reports"))
}
