//! Keeps integers exact: summed in 128 bits, returned in 64 if they fit.

use super::statement::WIDE;
use polars::lazy::dsl::{BaseColumnUdf, OpaqueColumnUdf, UserDefinedFunction, new_column_udf};
use polars::prelude::{Column, DataFrame, DataType, Field, PolarsResult, Schema};
use polars::sql::{FunctionOptions, FunctionRegistry};
use polars_error::polars_bail;

/// Widens integers to 128 bits and leaves other types unchanged.
pub(super) struct Widener(UserDefinedFunction);

impl Default for Widener {
    fn default() -> Self {
        let wide = |columns: &mut [Column]| -> PolarsResult<Column> {
            let column = std::mem::take(&mut columns[0]);
            if column.dtype().is_integer() { column.cast(&DataType::Int128) } else { Ok(column) }
        };
        let field = |_: &Schema, fields: &[Field]| -> PolarsResult<Field> {
            let field = fields[0].clone();
            Ok(if field.dtype().is_integer() { Field::new(field.name().clone(), DataType::Int128) } else { field })
        };
        let fun: OpaqueColumnUdf = new_column_udf(BaseColumnUdf::new(wide, field));
        Self(UserDefinedFunction { name: WIDE.into(), fun, options: FunctionOptions::elementwise() })
    }
}

impl FunctionRegistry for Widener {
    fn register(&mut self, name: &str, _: UserDefinedFunction) -> PolarsResult<()> {
        polars_bail!(InvalidOperation: "function {} cannot be added", name)
    }

    fn get_udf(&self, name: &str) -> PolarsResult<Option<UserDefinedFunction>> {
        Ok(self.contains(name).then(|| self.0.clone()))
    }

    fn contains(&self, name: &str) -> bool {
        name == WIDE
    }
}

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
