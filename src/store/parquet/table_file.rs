//! A table as a Parquet file in memory.

use super::pages::{compress, options};
use crate::store::tables::table::Table;
use polars_arrow::array::Array;
use polars_arrow::datatypes::ArrowSchema;
use polars_error::{PolarsResult, polars_err};
use polars_parquet::write::{
    CompressedPage, DynIter, DynStreamingIterator, FileWriter, KeyValue, fallible_streaming_iterator, to_parquet_schema,
};

/// The bytes of a file of one row group.
///
/// # Errors
/// If the columns are not the table's, or a required column lacks a value.
pub(crate) fn file(table: &Table, arrays: &[Box<dyn Array>]) -> PolarsResult<Vec<u8>> {
    let fields = table.fields_with_ids();
    if fields.len() != arrays.len() {
        return Err(polars_err!(ComputeError: "expected {} columns, found {}", fields.len(), arrays.len()));
    }
    for (field, array) in fields.iter().zip(arrays) {
        check_nulls(&field.name, field.is_nullable, array.as_ref())?;
    }
    let schema: ArrowSchema = fields.into_iter().map(|field| (field.name.clone(), field)).collect();
    let parquet = to_parquet_schema(&schema)?;
    let rows = arrays.first().map_or(0, |array| array.len());
    let pages = arrays.iter().zip(parquet.fields()).map(|(array, kind)| compress(array.as_ref(), kind));
    let pages: Vec<Vec<Vec<CompressedPage>>> = pages.collect::<PolarsResult<_>>()?;
    let leaves = DynIter::new(pages.iter().flatten().map(|pages| {
        Ok(DynStreamingIterator::new(fallible_streaming_iterator::convert(
            pages.iter().map(PolarsResult::<&CompressedPage>::Ok),
        )))
    }));
    let mut writer = FileWriter::new_with_parquet_schema(Vec::new(), schema, parquet, options());
    writer.write(rows as u64, leaves)?;
    let (key, version) = table.metadata();
    writer.end(Some(vec![KeyValue { key, value: Some(version) }]))?;
    Ok(writer.into_inner())
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
