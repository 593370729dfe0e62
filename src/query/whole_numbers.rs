//! Turns integers of 128 bits, in which sums are added up, into the types of the output.

use polars::prelude::{DataFrame, DataType, PolarsResult};

/// Whether the output type depends on the values.
pub(super) const fn is_wide(dtype: &DataType) -> bool {
    matches!(dtype, DataType::Int128 | DataType::UInt64 | DataType::UInt128)
}

/// Converts to the output types: integers of 64 bits, or decimals of 38 digits if one does not fit; columns of nulls
/// become text.
pub(super) fn narrowed(mut frame: DataFrame) -> PolarsResult<DataFrame> {
    let names = frame.get_column_names_owned();
    for name in names {
        let column = frame.column(&name)?;
        let wanted = match column.dtype() {
            dtype if is_wide(dtype) => {
                let narrow = column.cast(&DataType::Int64)?;
                if narrow.null_count() == column.null_count() { DataType::Int64 } else { DataType::Decimal(38, 0) }
            }
            DataType::UInt32 => DataType::Int64,
            DataType::UInt8 | DataType::UInt16 | DataType::Int8 | DataType::Int16 => DataType::Int32,
            DataType::Null => DataType::String,
            _ => continue,
        };
        let cast = column.strict_cast(&wanted)?;
        frame.with_column(cast)?;
    }
    Ok(frame)
}
