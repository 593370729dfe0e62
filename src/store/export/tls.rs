//! The tables `tls_reports` and `tls_failures` of an export.

use super::format::{monthly_file, quiet_month};
use super::manifest::Exported;
use super::side_tables::SideTable;
use super::table_builder::TableBuilder;
use crate::model::{AcceptedTls, TlsPolicy};
use crate::store::disk::layout::Month;
use crate::store::error::StoreError;
use crate::store::parquet::table_file::TableFile;
use crate::store::read::store::Store;
use crate::store::read::tls::each_report;
use crate::store::tables::filter::Filter;
use crate::store::tables::tls::{TLS_FAILURES, TLS_REPORTS, TlsReportRow, failure_values, policy_values};
use crate::store::tables::values::day;
use jiff::Timestamp;
use polars_error::PolarsResult;
use std::path::Path;

/// The rows of both tables, as they are collected.
pub(crate) struct TlsTables {
    policies: TableBuilder,
    failures: TableBuilder,
}

impl Default for TlsTables {
    fn default() -> Self {
        Self { policies: TableBuilder::new(&TLS_REPORTS), failures: TableBuilder::new(&TLS_FAILURES) }
    }
}

impl TlsTables {
    /// Adds what a report says about a policy.
    pub(crate) fn push(&mut self, report: &TlsReportRow, policy: &TlsPolicy) {
        self.policies.push(policy_values(report, policy));
        for failure in &policy.failures {
            self.failures.push(failure_values(report, policy, failure));
        }
    }

    /// Adds a report that arrived at `now`.
    pub(crate) fn push_report(&mut self, accepted: &AcceptedTls, now: Timestamp) {
        let row = TlsReportRow::of(accepted, now);
        accepted.report.policies.iter().for_each(|policy| self.push(&row, policy));
    }

    /// How many rows wait.
    pub(crate) fn rows(&self) -> usize {
        self.policies.rows + self.failures.rows
    }

    /// Both tables.
    pub(crate) fn finish(self) -> Result<[SideTable; 2], StoreError> {
        Ok([self.policies.finish()?, self.failures.finish()?])
    }
}

/// Rows of both tables that wait to be compressed.
const WAITING: usize = 1 << 15;
const DOING: &str = "writing the TLS reports";

/// Writes them to `DIR/tls_reports/month=.../` and `DIR/tls_failures/month=.../`. If there is nothing to write, files
/// without rows keep the columns.
pub(crate) fn export(store: &Store, filter: &Filter, exported: &mut Exported) -> Result<(), StoreError> {
    let mut open: Option<MonthFiles> = None;
    each_report(store, filter, &mut |report, policy| {
        let month = Month::of(day(report.day));
        if let Some(done) = open.take_if(|files| files.month != month) {
            done.finish(exported)?;
        }
        let files = open.get_or_insert_with(|| MonthFiles::new(month));
        files.waiting.push(report, &policy);
        if files.waiting.rows() >= WAITING { files.compress() } else { Ok(()) }
    })?;
    open.map_or(Ok(()), |files| files.finish(exported))?;
    for SideTable { table, columns, .. } in TlsTables::default().finish()? {
        if exported.is_empty(Path::new(table.name)) {
            exported.table(monthly_file(table, quiet_month(filter)), table, &columns)?;
        }
    }
    Ok(())
}

/// The files of a month that are being written.
struct MonthFiles {
    month: Month,
    waiting: TlsTables,
    /// What is compressed; `None` for a table without rows.
    files: [Option<TableFile<Vec<u8>>>; 2],
}

impl MonthFiles {
    fn new(month: Month) -> Self {
        Self { month, waiting: TlsTables::default(), files: [None, None] }
    }

    /// Compresses the rows that wait.
    fn compress(&mut self) -> Result<(), StoreError> {
        let tables = std::mem::take(&mut self.waiting).finish()?;
        for (file, SideTable { table, columns, rows }) in self.files.iter_mut().zip(tables) {
            let mut add = || -> PolarsResult<()> {
                let file = match file {
                    Some(file) => file,
                    None => file.insert(TableFile::new(table, Vec::new())?),
                };
                file.write(&columns)
            };
            if rows > 0 {
                add().map_err(StoreError::parquet(Path::new(table.name), DOING))?;
            }
        }
        Ok(())
    }

    fn finish(mut self, exported: &mut Exported) -> Result<(), StoreError> {
        self.compress()?;
        for file in self.files.into_iter().flatten() {
            let path = monthly_file(file.table, self.month);
            let bytes = file.finish().map_err(StoreError::parquet(&path, DOING))?;
            exported.write(path, &bytes)?;
        }
        Ok(())
    }
}

impl Store {
    /// The tables `tls_reports` and `tls_failures`, with rows or without.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn tls_tables(&self, filter: &Filter) -> Result<Vec<SideTable>, StoreError> {
        let mut tables = TlsTables::default();
        each_report(self, filter, &mut |report, policy| {
            tables.push(report, &policy);
            Ok(())
        })?;
        Ok(tables.finish()?.into())
    }
}
