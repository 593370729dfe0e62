//! Exports full rows for other programs: Parquet in monthly folders, NDJSON, CSV, Arrow IPC.
//!
//! It works row group by row group, in the order of months and files, so that memory does not grow with the number of
//! rows. Without a filter, parts are exported unchanged, as copies that share blocks if the file system supports it.

use super::format::{RowFormat, arrow_file, quiet_month};
use super::manifest::{Exported, PartFiles};
use super::{reports, side_tables, tls};
use crate::store::disk::layout::{FileKind, Month};
use crate::store::error::StoreError;
use crate::store::ledger::reports::since;
use crate::store::parquet::rows::{ParquetPart, selected_rows};
use crate::store::parquet::table_columns::{IngestedTimes, record_column};
use crate::store::parquet::table_file::TableFile;
use crate::store::parquet::{checked_read, cut};
use crate::store::read::store::Store;
use crate::store::tables::filter::{Filter, NewReports};
use crate::store::tables::schema::{COLUMNS, column_named};
use crate::store::tables::table::{self, RECORDS};
use crate::store::tables::values::day;
use crate::store::tables::verdicts::WeekVerdicts;
use polars_arrow::array::{Array, PrimitiveArray};
use polars_arrow::record_batch::RecordBatchT;
use polars_error::PolarsResult;
use polars_parquet::read::RowGroupMetadata;
use std::collections::{BTreeSet, HashSet};
use std::io::Write;
use std::path::Path;

impl Store {
    /// Writes all rows of the filter to a stream.
    ///
    /// # Errors
    /// If a part cannot be read or the stream cannot be written.
    pub fn export(&self, filter: &Filter, format: RowFormat, out: &mut dyn Write) -> Result<(), StoreError> {
        let sink = Path::new("output");
        if let Some(text) = format.text() {
            let names = RECORDS.column_names();
            out.write_all(text.head(&names).as_bytes()).map_err(StoreError::io(sink, "writing"))?;
            return self.each_group(filter, |arrays, rows| text.write(&names, arrays, rows, out));
        }
        let failed = || StoreError::parquet(sink, "writing Arrow");
        let (mut writer, schema) = arrow_file(&RECORDS, out).map_err(failed())?;
        self.each_group(filter, |arrays, rows| {
            let batch = RecordBatchT::try_new(rows, schema.clone(), arrays.to_vec());
            batch.and_then(|batch| writer.write(&batch, None)).map_err(std::io::Error::other)
        })?;
        writer.finish().map_err(failed())
    }

    /// Writes `DIR/records/month=.../` and `DIR/reports/month=.../`, the same for `tls_reports` and `tls_failures`,
    /// `DIR/senders/` and `DIR/domains/` if there are verdicts, and `DIR/sources/` if names were looked up. If there is
    /// nothing to write, a file without rows keeps the columns, so that readers do not fail on a week without reports.
    ///
    /// # Errors
    /// If a part cannot be read or a file cannot be written. Existing files with the same names are replaced, and files
    /// of an earlier export that this one does not write are removed.
    pub fn export_parquet(
        &self,
        filter: &Filter,
        verdicts: Option<&[WeekVerdicts]>,
        dir: &Path,
        parts: PartFiles,
    ) -> Result<(), StoreError> {
        let records = Path::new(FileKind::Part.folder());
        let mut exported = Exported::begin(dir, parts)?;
        for path in self.parts(filter)? {
            let month = path.parent().and_then(Month::of_folder);
            let name = path.file_name().unwrap_or_default().to_owned();
            let part = ParquetPart::open(path)?;
            let Some(month) = month else {
                // Rows of a file outside the monthly folders go to the folder of their month.
                for month in months(&part)? {
                    let rows = within(filter, month);
                    if let Some(bytes) = self.cut(&part, &rows)? {
                        exported.write(records.join(month.folder()).join(&name), &bytes)?;
                    }
                }
                continue;
            };
            let target = records.join(month.folder()).join(&name);
            // A part of an older version gets today's columns: a folder must not mix versions.
            if filter.is_all() && table::is_current(&RECORDS, &part.metadata) {
                exported.part(&part.path, target)?;
            } else if let Some(bytes) = self.cut(&part, filter)? {
                exported.write(target, &bytes)?;
            }
        }
        if exported.is_empty(records) {
            let target = records.join(quiet_month(filter).folder()).join("empty.parquet");
            let bytes = TableFile::new(&RECORDS, Vec::new()).and_then(TableFile::finish);
            exported.write(target, &bytes.map_err(StoreError::parquet(dir, "writing a part without rows"))?)?;
        }
        reports::export(self, filter, &mut exported)?;
        tls::export(self, filter, &mut exported)?;
        side_tables::export(self, filter, &mut exported)?;
        if let Some(weeks) = verdicts {
            super::verdicts::export(weeks, quiet_month(filter), &mut exported)?;
        }
        exported.finish(filter.new.as_deref())
    }

    /// The reports of all runs after a given one. Runs are numbered from 1. The same number returns the same reports
    /// again, except those that were replaced since; `compact` and `rebuild` change nothing about it.
    ///
    /// # Errors
    /// If it is a folder of Parquet, which has no runs, or the ledger cannot be read.
    pub fn new_since(&self, run: i64) -> Result<NewReports, StoreError> {
        match &self.ledger {
            Some(ledger) => since(ledger, run),
            None if self.folder => {
                let expected = "a store, which records what each run added";
                Err(StoreError::damaged(self.layout.root(), expected, "a folder of Parquet files"))
            }
            None => Ok(NewReports { after: run, last: run, keys: HashSet::new() }),
        }
    }

    /// Passes on the columns of each row group, reduced to the rows of the filter.
    fn each_group(
        &self,
        filter: &Filter,
        mut each: impl FnMut(&[Box<dyn Array>], usize) -> std::io::Result<()>,
    ) -> Result<(), StoreError> {
        for path in self.parts(filter)? {
            let part = ParquetPart::open(path)?;
            let times = self.ingested_times(&part)?;
            for group in &part.metadata.row_groups {
                let Some((arrays, rows)) = group_arrays(&part, group, filter, &times)? else { continue };
                each(&arrays, rows).map_err(StoreError::io(Path::new("output"), "writing"))?;
            }
        }
        Ok(())
    }

    /// The ingestion times that parts of older versions lack.
    pub(super) fn ingested_times(&self, part: &ParquetPart) -> Result<IngestedTimes, StoreError> {
        self.read_ledger(|ledger| IngestedTimes::of(ledger, std::slice::from_ref(part)))
    }

    /// The rows of a part that match the filter, as a new part; `None` without any.
    fn cut(&self, part: &ParquetPart, filter: &Filter) -> Result<Option<Vec<u8>>, StoreError> {
        let failed = || StoreError::parquet(&part.path, "writing its rows as a new part");
        let mut file = TableFile::new(&RECORDS, Vec::new()).map_err(failed())?;
        let times = self.ingested_times(part)?;
        let mut any = false;
        for group in &part.metadata.row_groups {
            let Some((arrays, _)) = group_arrays(part, group, filter, &times)? else { continue };
            any = true;
            file.write(&arrays).map_err(failed())?;
        }
        if any { file.finish().map(Some).map_err(failed()) } else { Ok(None) }
    }
}

type Arrays = Vec<Box<dyn Array>>;

/// The columns of a row group, reduced to the rows of the filter; `None` without any.
fn group_arrays(
    part: &ParquetPart,
    group: &RowGroupMetadata,
    filter: &Filter,
    times: &IngestedTimes,
) -> Result<Option<(Arrays, usize)>, StoreError> {
    let read = || -> PolarsResult<Option<(Arrays, usize)>> {
        let runs = selected_rows(part, group, filter)?;
        let rows = runs.iter().map(ExactSizeIterator::len).sum();
        if rows == 0 {
            return Ok(None);
        }
        let arrays = COLUMNS.iter().map(|column| {
            let array = record_column(part, group, column, times)?;
            if rows == array.len() { Ok(array) } else { cut::cut(array.as_ref(), &runs) }
        });
        Ok(Some((arrays.collect::<PolarsResult<_>>()?, rows)))
    };
    checked_read::read(&part.path, "reading the part", read)
}

/// The months of a part's rows.
fn months(part: &ParquetPart) -> Result<BTreeSet<Month>, StoreError> {
    let mut months = BTreeSet::new();
    for group in &part.metadata.row_groups {
        checked_read::read(&part.path, "reading the part", || {
            let days = record_column(part, group, column_named("date"), &IngestedTimes::default())?;
            let days: Option<&PrimitiveArray<i32>> = days.as_any().downcast_ref();
            months.extend(days.into_iter().flatten().flatten().map(|number| Month::of(day(*number))));
            Ok(())
        })?;
    }
    Ok(months)
}

/// A filter limited to a month.
fn within(filter: &Filter, month: Month) -> Filter {
    let from = filter.from.map_or(month.first(), |from| from.max(month.first()));
    let to = filter.to.map_or(month.last(), |to| to.min(month.last()));
    Filter { from: Some(from), to: Some(to), ..filter.clone() }
}
