//! The tables `tls_reports` and `tls_failures` of an export.

use super::format::quiet_month;
use super::manifest::Exported;
use super::side_tables::SideTable;
use crate::model::{AcceptedTls, TlsPolicy};
use crate::store::disk::layout::Month;
use crate::store::error::StoreError;
use crate::store::parquet::table_columns::FindingLists;
use crate::store::parquet::table_file::TableFile;
use crate::store::read::store::Store;
use crate::store::read::tls::each_report;
use crate::store::tables::columns::{Table, TableColumn};
use crate::store::tables::filter::Filter;
use crate::store::tables::tls::{TLS_FAILURES, TLS_REPORTS, TlsReportRow, TlsValue, failure_values, policy_values};
use crate::store::tables::values::day;
use jiff::Timestamp;
use polars_arrow::array::{Array, PrimitiveArray, Utf8ViewArray};
use polars_error::PolarsResult;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

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

    /// Both tables, each with its columns and rows.
    pub(crate) fn arrays(self) -> PolarsResult<[(&'static Table, Vec<Box<dyn Array>>, usize); 2]> {
        let Self { policies, failures } = self;
        Ok([policies.arrays()?, failures.arrays()?])
    }
}

struct TableBuilder {
    table: &'static Table,
    columns: Vec<TlsColumn>,
    rows: usize,
}

/// A column that is being built.
enum TlsColumn {
    Empty,
    Texts(Vec<Option<String>>),
    Longs(Vec<Option<i64>>),
    Days(Vec<i32>),
    Findings(FindingLists),
}

impl TableBuilder {
    fn new(table: &'static Table) -> Self {
        Self { table, columns: (table.columns)().iter().map(|_| TlsColumn::Empty).collect(), rows: 0 }
    }

    /// Adds a row: its values in the order of the columns.
    fn push<'v>(&mut self, values: impl IntoIterator<Item = TlsValue<'v>>) {
        self.rows += 1;
        for (column, value) in self.columns.iter_mut().zip(values) {
            if matches!(column, TlsColumn::Empty) {
                *column = TlsColumn::of(&value);
            }
            match (column, value) {
                (TlsColumn::Texts(texts), TlsValue::Text(text)) => texts.push(text.map(Cow::into_owned)),
                (TlsColumn::Longs(longs), TlsValue::Long(long)) => longs.push(long),
                (TlsColumn::Days(days), TlsValue::Day(day)) => days.push(day),
                (TlsColumn::Findings(lists), TlsValue::Findings(json)) => lists.push(json),
                _ => unreachable!("a column has one type"),
            }
        }
    }

    fn arrays(self) -> PolarsResult<(&'static Table, Vec<Box<dyn Array>>, usize)> {
        let columns = (self.table.columns)();
        let array = |(column, of): (TlsColumn, &TableColumn)| {
            let dtype = of.kind.arrow();
            Ok(match column {
                TlsColumn::Empty => polars_arrow::array::new_empty_array(dtype),
                TlsColumn::Texts(texts) => Box::new(Utf8ViewArray::from_slice(texts)) as Box<dyn Array>,
                TlsColumn::Longs(longs) => Box::new(PrimitiveArray::<i64>::from(longs).to(dtype)),
                TlsColumn::Days(days) => Box::new(PrimitiveArray::<i32>::from_vec(days).to(dtype)),
                TlsColumn::Findings(lists) => lists.array()?,
            })
        };
        let arrays = self.columns.into_iter().zip(&columns).map(array).collect::<PolarsResult<_>>()?;
        Ok((self.table, arrays, self.rows))
    }
}

impl TlsColumn {
    /// An empty one for values as this.
    fn of(value: &TlsValue<'_>) -> Self {
        match value {
            TlsValue::Text(_) => Self::Texts(Vec::new()),
            TlsValue::Long(_) => Self::Longs(Vec::new()),
            TlsValue::Day(_) => Self::Days(Vec::new()),
            TlsValue::Findings(_) => Self::Findings(FindingLists::default()),
        }
    }
}

/// Rows of both tables that wait to be compressed.
const WAITING: usize = 1 << 15;
const DOING: &str = "writing the TLS reports";

/// Writes them to `DIR/tls_reports/month=.../` and `DIR/tls_failures/month=.../`. If there is nothing to write, files
/// without rows keep the columns.
pub(crate) fn export(store: &Store, filter: &Filter, exported: &mut Exported) -> Result<(), StoreError> {
    let mut open: Option<(Month, TlsTables, TlsFiles)> = None;
    let mut written = [false; 2];
    each_report(store, filter, &mut |report, policy| {
        let month = Month::of(day(report.day));
        if let Some((done, tables, files)) = open.take_if(|(under_way, ..)| *under_way != month) {
            finish(exported, done, files.with(tables)?, &mut written)?;
        }
        let (_, tables, files) = open.get_or_insert_with(|| (month, TlsTables::default(), TlsFiles::default()));
        tables.push(report, &policy);
        if tables.rows() >= WAITING {
            *files = std::mem::take(files).with(std::mem::take(tables))?;
        }
        Ok(())
    })?;
    if let Some((month, tables, files)) = open {
        finish(exported, month, files.with(tables)?, &mut written)?;
    }
    let quiet = quiet_month(filter);
    let empty = TlsTables::default().arrays().map_err(StoreError::parquet(Path::new(TLS_REPORTS.name), DOING))?;
    for (table, arrays, _) in empty.into_iter().zip(written).filter_map(|(table, written)| (!written).then_some(table))
    {
        exported.table(path_of(table, quiet), table, &arrays)?;
    }
    Ok(())
}

/// The files of a month that are being written; `None` for a table without rows.
#[derive(Default)]
struct TlsFiles([Option<TableFile>; 2]);

impl TlsFiles {
    /// With these rows, too.
    fn with(mut self, tables: TlsTables) -> Result<Self, StoreError> {
        let add = || -> PolarsResult<()> {
            for (file, (table, arrays, rows)) in self.0.iter_mut().zip(tables.arrays()?) {
                if rows > 0 {
                    let file = match file {
                        Some(file) => file,
                        None => file.insert(TableFile::new(table)?),
                    };
                    file.write(&arrays)?;
                }
            }
            Ok(())
        };
        add().map_err(StoreError::parquet(Path::new(TLS_REPORTS.name), DOING))?;
        Ok(self)
    }
}

fn finish(exported: &mut Exported, month: Month, files: TlsFiles, written: &mut [bool; 2]) -> Result<(), StoreError> {
    for (file, written) in files.0.into_iter().zip(written) {
        let Some(file) = file else { continue };
        let path = path_of(file.table, month);
        let bytes = file.finish().map_err(StoreError::parquet(&path, DOING))?;
        exported.write(path, &bytes)?;
        *written = true;
    }
    Ok(())
}

fn path_of(table: &Table, month: Month) -> PathBuf {
    Path::new(table.name).join(month.folder()).join(format!("{}.parquet", table.name))
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
        let path = Path::new(TLS_REPORTS.name);
        let arrays = tables.arrays().map_err(StoreError::parquet(path, "building the columns"))?;
        Ok(arrays.into_iter().map(|(table, columns, rows)| SideTable { table, columns, rows }).collect())
    }
}
