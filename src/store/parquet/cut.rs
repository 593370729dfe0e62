//! Reduces columns to the bytes of their rows. A slice of an Arrow array shares the bytes of the whole, and a list its
//! items: if written as they are, the texts of other rows would leave with them, invisible to readers.

use super::arrays::concatenated;
use polars_arrow::array::{Array, ListArray, StructArray, Utf8ViewArray};
use polars_arrow::offset::OffsetsBuffer;
use polars_error::PolarsResult;
use std::ops::Range;

/// Some runs of rows of a column, and nothing of other rows.
pub(crate) fn cut(array: &dyn Array, runs: &[Range<usize>]) -> PolarsResult<Box<dyn Array>> {
    let kept: Vec<_> = runs.iter().map(|run| array.sliced(run.start, run.len())).collect();
    if kept.is_empty() {
        return owned(array.sliced(0, 0).as_ref());
    }
    owned(concatenated(&kept)?.as_ref())
}

/// The same values in separate memory.
fn owned(array: &dyn Array) -> PolarsResult<Box<dyn Array>> {
    if let Some(texts) = array.as_any().downcast_ref::<Utf8ViewArray>() {
        return Ok(Box::new(Utf8ViewArray::from_slice(texts.iter().collect::<Vec<_>>())));
    }
    if let Some(list) = array.as_any().downcast_ref::<ListArray<i64>>() {
        let offsets = list.offsets();
        let (first, last) = (*offsets.first(), *offsets.last());
        let at = |offset: i64| usize::try_from(offset).unwrap_or(0);
        let items = owned(list.values().sliced(at(first), at(last - first)).as_ref())?;
        let offsets: Vec<i64> = offsets.as_slice().iter().map(|offset| offset - first).collect();
        let offsets = OffsetsBuffer::try_from(offsets)?;
        return Ok(Box::new(ListArray::try_new(list.dtype().clone(), offsets, items, list.validity().cloned())?));
    }
    if let Some(fields) = array.as_any().downcast_ref::<StructArray>() {
        let values = fields.values().iter().map(|field| owned(field.as_ref())).collect::<PolarsResult<_>>()?;
        let (dtype, validity) = (fields.dtype().clone(), fields.validity().cloned());
        return Ok(Box::new(StructArray::try_new(dtype, fields.len(), values, validity)?));
    }
    Ok(array.to_boxed())
}
