//! Arrow arrays by their types.

use polars_arrow::array::Array;
use polars_arrow::compute::concatenate::concatenate;
use polars_error::{PolarsResult, polars_err};

/// An array as one of a type.
pub(crate) fn downcast<T: 'static>(array: &dyn Array) -> PolarsResult<&T> {
    let typed = array.as_any().downcast_ref();
    typed.ok_or_else(|| polars_err!(ComputeError: "expected a column of its type, found another"))
}

/// Arrays of one type, one after the other, as one array.
pub(crate) fn concatenated(arrays: &[Box<dyn Array>]) -> PolarsResult<Box<dyn Array>> {
    concatenate(&arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>())
}
