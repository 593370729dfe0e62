//! Builds columns of tables from values in memory.

use crate::store::tables::columns::ColumnType;
use jiff::Timestamp;
use polars_arrow::array::{Array, PrimitiveArray, Utf8ViewArray};

/// Texts.
pub(super) fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Box<dyn Array> {
    Box::new(Utf8ViewArray::from_slice(values.collect::<Vec<_>>()))
}

/// 64-bit integers.
pub(super) fn longs(values: impl Iterator<Item = Option<i64>>) -> Box<dyn Array> {
    Box::new(PrimitiveArray::from(values.collect::<Vec<_>>()))
}

/// 32-bit integers.
pub(super) fn ints(values: impl Iterator<Item = Option<i32>>) -> Box<dyn Array> {
    Box::new(PrimitiveArray::from(values.collect::<Vec<_>>()))
}

/// Times.
pub(super) fn times(values: impl Iterator<Item = Option<Timestamp>>) -> Box<dyn Array> {
    let values: Vec<Option<i64>> = values.map(|at| at.map(Timestamp::as_millisecond)).collect();
    Box::new(PrimitiveArray::from(values).to(ColumnType::Time.arrow()))
}
