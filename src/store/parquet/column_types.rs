//! The physical types that a column of a file may have.

use polars_arrow::datatypes::ArrowDataType;
use polars_error::{PolarsResult, polars_err};
use polars_parquet::parquet::schema::types::PhysicalType;
use polars_parquet::read::ColumnChunkMetadata;

/// Checks that a column of a file has one of these types before its pages are decoded.
pub(crate) fn check_type(column: &ColumnChunkMetadata, wanted: &[PhysicalType]) -> PolarsResult<()> {
    let descriptor = column.descriptor();
    let found = descriptor.descriptor.primitive_type.physical_type;
    if wanted.contains(&found) {
        return Ok(());
    }
    let names: Vec<&str> = descriptor.path_in_schema.iter().map(polars_utils::pl_str::PlSmallStr::as_str).collect();
    let wanted = wanted.first().map_or("another", type_name);
    Err(polars_err!(ComputeError: "column {}: expected {}, found {}", names.join("."), wanted, type_name(&found)))
}

/// The physical types that an Arrow type is read from; empty if any will do.
pub(crate) fn physical_types(dtype: &ArrowDataType) -> &'static [PhysicalType] {
    match dtype {
        ArrowDataType::Utf8View => &[PhysicalType::ByteArray],
        ArrowDataType::Timestamp(..) => &[PhysicalType::Int64, PhysicalType::Int96],
        ArrowDataType::Int64 => &[PhysicalType::Int64],
        ArrowDataType::Int32 | ArrowDataType::Date32 => &[PhysicalType::Int32],
        ArrowDataType::Boolean => &[PhysicalType::Boolean],
        ArrowDataType::Float64 => &[PhysicalType::Double],
        _ => &[],
    }
}

const fn type_name(kind: &PhysicalType) -> &'static str {
    match kind {
        PhysicalType::Boolean => "bool",
        PhysicalType::Int32 => "int32",
        PhysicalType::Int64 => "int64",
        PhysicalType::Int96 => "int96",
        PhysicalType::Float => "float",
        PhysicalType::Double => "double",
        PhysicalType::ByteArray => "string",
        PhysicalType::FixedLenByteArray(_) => "bytes of a fixed length",
    }
}
