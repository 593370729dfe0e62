//! Whole tables as Arrow columns: those in Parquet files one row group at a time, those in the ledger at once.
//!
//! The Parquet files are those that the ledger or the folder lists when a table is opened: files that a writer adds
//! later are not seen, and files that a compaction moves meanwhile are still found.

use super::{dns, reports, sources, verdicts};
use crate::store::error::StoreError;
use crate::store::parquet::checked_read;
use crate::store::parquet::rows::{ParquetPart, days_of, largest_count};
use crate::store::parquet::table_columns::{IngestedTimes, record_column, report_column, table_column};
use crate::store::read::folder_files;
use crate::store::read::store::Store;
use crate::store::tables::columns::Table;
use crate::store::tables::filter::Filter;
use crate::store::tables::table::TABLES;
use crate::store::tables::verdicts::WeekVerdicts;
use crate::store::tables::{reports as report_table, schema};
use polars_arrow::array::Array;
use polars_error::{PolarsResult, polars_err};
use polars_parquet::read::RowGroupMetadata;
use std::path::PathBuf;

/// The columns of a table, or of some rows of it.
pub(crate) type TableArrays = Vec<Box<dyn Array>>;

/// Where the rows of a table are.
pub(crate) enum TableRows {
    /// In Parquet files.
    Files(TableFiles),
    /// In memory: some rows, then others.
    Memory(Vec<TableArrays>),
}

/// A row group of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupRows {
    /// Its number of rows.
    pub(crate) rows: usize,
    /// The first and the last day of its rows, if the statistics have them.
    pub(crate) days: Option<(i32, i32)>,
    /// The largest absolute value of `count`, if the statistics have it.
    pub(crate) largest_count: Option<u64>,
}

/// A Parquet file, closed, and what its footer says.
struct TableFile {
    path: PathBuf,
    groups: Vec<GroupRows>,
    times: IngestedTimes,
}

/// The Parquet files of a table.
pub(crate) struct TableFiles {
    table: &'static Table,
    files: Vec<TableFile>,
}

impl TableFiles {
    fn open(store: &Store, table: &'static Table, paths: Vec<PathBuf>) -> Result<Self, StoreError> {
        let file = |path| {
            let part = ParquetPart::open(path)?;
            let times = store.ingested_times(&part)?;
            let group = |group| GroupRows {
                rows: RowGroupMetadata::num_rows(group),
                days: days_of(&part, group),
                largest_count: largest_count(&part, group),
            };
            let groups = part.metadata.row_groups.iter().map(group).collect();
            Ok(TableFile { path: part.path, groups, times })
        };
        Ok(Self { table, files: paths.into_iter().map(file).collect::<Result<_, StoreError>>()? })
    }

    /// The row groups of each file.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &[GroupRows]> {
        self.files.iter().map(|file| file.groups.as_slice())
    }

    /// Opens a file again to read columns of its row groups.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn reader(&self, file: usize) -> Result<FileReader<'_>, StoreError> {
        let file = &self.files[file];
        Ok(FileReader { table: self.table, part: ParquetPart::open(file.path.clone())?, times: &file.times })
    }
}

/// An open file of a table.
pub(crate) struct FileReader<'a> {
    table: &'static Table,
    part: ParquetPart,
    times: &'a IngestedTimes,
}

impl FileReader<'_> {
    /// A column of a row group by its name, whatever version the file is of.
    ///
    /// # Errors
    /// If it cannot be read, or the table has no such column.
    pub(crate) fn column(&self, group: usize, name: &str) -> Result<Box<dyn Array>, StoreError> {
        checked_read::read(&self.part.path, "reading the part", || {
            let group = self.part.metadata.row_groups.get(group);
            let group = group.ok_or_else(|| polars_err!(ComputeError: "expected the row groups it had before"))?;
            self.column_of(group, name)
        })
    }

    fn column_of(&self, group: &RowGroupMetadata, name: &str) -> PolarsResult<Box<dyn Array>> {
        let none = || polars_err!(ColumnNotFound: "{}", name);
        match self.table.name {
            "records" => {
                let column = schema::COLUMNS.iter().find(|column| column.name == name).ok_or_else(none)?;
                record_column(&self.part, group, column, self.times)
            }
            "reports" => {
                let column = report_table::COLUMNS.iter().find(|column| column.name == name).ok_or_else(none)?;
                report_column(&self.part, group, column)
            }
            _ => {
                let column = (self.table.columns)().into_iter().find(|column| column.name == name).ok_or_else(none)?;
                table_column(&self.part, group, &column)
            }
        }
    }
}

impl Store {
    /// The rows of a table, by its name. `weeks` computes the verdicts that `senders` and `domains` consist of; it is
    /// called only if no file has them.
    ///
    /// # Errors
    /// If the ledger, a file or the verdicts cannot be read, or there is no such table.
    pub(crate) fn table_rows<E: From<StoreError>>(
        &self,
        name: &str,
        weeks: impl FnOnce() -> Result<Vec<WeekVerdicts>, E>,
    ) -> Result<(&'static Table, TableRows), E> {
        let none = || StoreError::Unknown { what: name.to_owned(), expected: "a table" };
        let table = TABLES.into_iter().find(|table| table.name == name).ok_or_else(none)?;
        let all = Filter::default();
        if name == "records" {
            return Ok((table, TableRows::Files(TableFiles::open(self, table, self.parts(&all)?)?)));
        }
        if self.folder {
            let paths = folder_files::files(&self.layout, name, &all)?;
            // An export writes them. For rows of another program they are computed, as for a store.
            if !paths.is_empty() || !verdicts::VERDICT_TABLES.contains(&name) {
                return Ok((table, TableRows::Files(TableFiles::open(self, table, paths)?)));
            }
        }
        let rows = match name {
            "reports" => {
                let mut months = Vec::new();
                reports::each_month(self, &all, &mut |_, month| {
                    months.push(month.columns);
                    Ok(())
                })?;
                months
            }
            "sources" => vec![sources::columns(self, &all)?.0],
            "dns" => vec![dns::columns(self, &all)?.0],
            _ => {
                let tables = if verdicts::VERDICT_TABLES.contains(&name) {
                    verdicts::verdict_tables(&weeks()?)?.into()
                } else {
                    self.tls_tables(&all)?
                };
                tables.into_iter().filter(|side| side.name() == name).map(|side| side.columns).collect()
            }
        };
        Ok((table, TableRows::Memory(rows)))
    }
}
