//! A table as a Parquet file in memory.

use super::pages::{compress, options};
use crate::store::tables::columns::Table;
use polars_arrow::array::Array;
use polars_arrow::datatypes::{ArrowSchema, Field};
use polars_error::{PolarsResult, polars_err};
use polars_parquet::write::{
    CompressedPage, DynIter, DynStreamingIterator, FileWriter, KeyValue, ParquetType, fallible_streaming_iterator,
    to_parquet_schema,
};

/// A file that grows by row groups, compressed.
pub(crate) struct TableFile {
    pub(crate) table: &'static Table,
    fields: Vec<Field>,
    types: Vec<ParquetType>,
    writer: FileWriter<Vec<u8>>,
}

impl TableFile {
    pub(crate) fn new(table: &'static Table) -> PolarsResult<Self> {
        let fields = table.fields_with_ids();
        let schema: ArrowSchema = fields.iter().map(|field| (field.name.clone(), field.clone())).collect();
        let parquet = to_parquet_schema(&schema)?;
        let types = parquet.fields().to_vec();
        let writer = FileWriter::new_with_parquet_schema(Vec::new(), schema, parquet, options());
        Ok(Self { table, fields, types, writer })
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
        let pages = arrays.iter().zip(&self.types).map(|(array, kind)| compress(array.as_ref(), kind));
        let pages: Vec<Vec<Vec<CompressedPage>>> = pages.collect::<PolarsResult<_>>()?;
        let leaves = DynIter::new(pages.iter().flatten().map(|pages| {
            Ok(DynStreamingIterator::new(fallible_streaming_iterator::convert(
                pages.iter().map(PolarsResult::<&CompressedPage>::Ok),
            )))
        }));
        self.writer.write(rows as u64, leaves)
    }

    /// The bytes of the file.
    pub(crate) fn finish(mut self) -> PolarsResult<Vec<u8>> {
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
    let mut file = TableFile::new(table)?;
    file.write(arrays)?;
    file.finish()
}

/// Checks that a required column has a value in every row. Foreign files may not.
pub(crate) fn check_nulls(name: &str, nullable: bool, array: &dyn Array) -> PolarsResult<()> {
    if nullable || array.null_count() == 0 {
        return Ok(());
    }
    Err(
        polars_err!(ComputeError: "column {}: expected a value in every row, found none in {}", name, array.null_count()),
    )
}
