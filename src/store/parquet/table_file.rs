//! A table as a Parquet file.

use super::pages::{compress, options};
use crate::store::tables::columns::{Table, schema_of};
use polars_arrow::array::Array;
use polars_arrow::datatypes::Field;
use polars_error::{PolarsError, PolarsResult, polars_err};
use polars_parquet::parquet::write::RowGroupIterColumns;
use polars_parquet::write::{
    CompressedPage, DynIter, DynStreamingIterator, FileWriter, KeyValue, ParquetType, fallible_streaming_iterator,
    to_parquet_schema,
};
use rayon::prelude::*;
use std::io::Write;

/// The compressed pages of each leaf of a column.
pub(crate) type ColumnPages = Vec<Vec<CompressedPage>>;

/// The pages of a row group in the form in which they are written, leaf by leaf.
pub(crate) fn row_group(columns: &[ColumnPages]) -> RowGroupIterColumns<'_, PolarsError> {
    DynIter::new(columns.iter().flatten().map(|pages| {
        let pages = pages.iter().map(PolarsResult::<&CompressedPage>::Ok);
        Ok(DynStreamingIterator::new(fallible_streaming_iterator::convert(pages)))
    }))
}

/// A file that grows by row groups, compressed.
pub(crate) struct TableFile<W: Write> {
    pub(crate) table: &'static Table,
    fields: Vec<Field>,
    types: Vec<ParquetType>,
    writer: FileWriter<W>,
}

impl<W: Write> TableFile<W> {
    pub(crate) fn new(table: &'static Table, out: W) -> PolarsResult<Self> {
        let fields = table.fields_with_ids();
        let schema = schema_of(fields.iter().cloned());
        let parquet = to_parquet_schema(&schema)?;
        let types = parquet.fields().to_vec();
        let writer = FileWriter::new_with_parquet_schema(out, schema, parquet, options());
        Ok(Self { table, fields, types, writer })
    }

    /// The Parquet types of the columns.
    pub(crate) fn types(&self) -> &[ParquetType] {
        &self.types
    }

    /// Adds a row group.
    ///
    /// # Errors
    /// If the columns are not the table's, or a required column lacks a value.
    pub(crate) fn write(&mut self, arrays: &[Box<dyn Array>]) -> PolarsResult<()> {
        if self.fields.len() != arrays.len() {
            return Err(polars_err!(ComputeError: "expected {} columns, found {}", self.fields.len(), arrays.len()));
        }
        for (field, array) in self.fields.iter().zip(arrays) {
            check_nulls(&field.name, field.is_nullable, array.as_ref())?;
        }
        let rows = arrays.first().map_or(0, |array| array.len());
        self.write_columns(rows, |column, kind| compress(arrays[column].as_ref(), kind))
    }

    /// Adds a row group: `pages` returns those of a column, by its index, on any thread.
    pub(crate) fn write_columns(
        &mut self,
        rows: usize,
        pages: impl Fn(usize, &ParquetType) -> PolarsResult<ColumnPages> + Sync,
    ) -> PolarsResult<()> {
        let columns = self.types.par_iter().enumerate().map(|(column, kind)| pages(column, kind));
        let columns = columns.collect::<PolarsResult<Vec<_>>>()?;
        self.write_pages(rows, &columns)
    }

    /// Adds a row group of existing pages.
    pub(crate) fn write_pages(&mut self, rows: usize, columns: &[ColumnPages]) -> PolarsResult<()> {
        self.writer.write(rows as u64, row_group(columns))
    }

    /// Ends the file, and returns its output. It deliberately has no Arrow schema: the Parquet types are sufficient, and old readers do not
    /// know string views.
    pub(crate) fn finish(mut self) -> PolarsResult<W> {
        let (key, version) = self.table.metadata();
        self.writer.end(Some(vec![KeyValue { key, value: Some(version) }]))?;
        Ok(self.writer.into_inner())
    }
}

/// The bytes of a file of one row group.
///
/// # Errors
/// Those of [`TableFile::write`].
pub(crate) fn file(table: &'static Table, arrays: &[Box<dyn Array>]) -> PolarsResult<Vec<u8>> {
    let mut file = TableFile::new(table, Vec::new())?;
    file.write(arrays)?;
    file.finish()
}

/// Checks that a required column has a value in every row. Foreign files may not.
fn check_nulls(name: &str, nullable: bool, array: &dyn Array) -> PolarsResult<()> {
    if nullable || array.null_count() == 0 {
        return Ok(());
    }
    Err(
        polars_err!(ComputeError: "column {}: expected a value in every row, found none in {}", name, array.null_count()),
    )
}
