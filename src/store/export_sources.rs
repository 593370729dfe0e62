//! The `sources` table as Parquet, beside the exported `records`: one row an address that was looked up.

use super::exported::Exported;
use super::{LookedUp, Store, StoreError, export_reports};
use polars_core::utils::arrow::array::{Array, BooleanArray, PrimitiveArray, Utf8ViewArray};
use polars_core::utils::arrow::datatypes::{ArrowDataType, Field, TimeUnit};
use std::path::Path;

/// A column with its field.
fn named((name, array): (&str, Box<dyn Array>)) -> (Field, Box<dyn Array>) {
    (Field::new(name.into(), array.dtype().clone(), true), array)
}

/// Write what is known of the sources' names to `DIR/sources/sources.parquet`; nothing where nothing is.
pub(crate) fn export(store: &Store, exported: &mut Exported) -> Result<(), StoreError> {
    let mut names = store.names()?;
    if names.is_empty() {
        return Ok(());
    }
    names.sort_by_key(|looked_up| looked_up.address);
    let time = ArrowDataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let name = |found: &LookedUp| found.naming.as_ref().and_then(|naming| naming.names.first().cloned());
    let confirmed = |found: &LookedUp| found.naming.as_ref().map(|naming| naming.confirmed);
    let addresses: Vec<Option<String>> = names.iter().map(|found| Some(found.address.to_string())).collect();
    let shown: Vec<Option<String>> = names.iter().map(name).collect();
    let flags: Vec<Option<bool>> = names.iter().map(confirmed).collect();
    let times: Vec<Option<i64>> = names.iter().map(|found| Some(found.at.as_millisecond())).collect();
    let columns: [(&str, Box<dyn Array>); 4] = [
        ("source_ip", Box::new(Utf8ViewArray::from_slice(addresses))),
        ("name", Box::new(Utf8ViewArray::from_slice(shown))),
        ("confirmed", Box::new(BooleanArray::from(flags))),
        ("looked_up", Box::new(PrimitiveArray::<i64>::from(times).to(time))),
    ];
    let path = Path::new("sources").join("sources.parquet");
    let bytes = export_reports::parquet(columns.map(named).into(), "dmarquet.sources");
    exported.write(path.clone(), &bytes.map_err(StoreError::parquet(&path, "writing the sources"))?)
}
