//! The `sources` table as Parquet, beside the exported `records`: one row per address that was looked up.

use super::manifest::Exported;
use crate::model::{self, ColumnSet, SourceClass, SourceOrigin};
use crate::store::error::StoreError;
use crate::store::ledger::lookups::LookedUp;
use crate::store::ledger::networks::StoredNetwork;
use crate::store::parquet::table_file::file;
use crate::store::read::store::Store;
use crate::store::tables::filter::Filter;
use crate::store::tables::sources::SOURCES;
use polars_arrow::array::{Array, BooleanArray, PrimitiveArray, Utf8ViewArray};
use polars_arrow::datatypes::{ArrowDataType, TimeUnit};
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::path::Path;

/// Everything known about one address.
#[derive(Default)]
struct SourceRow {
    looked_up: Option<LookedUp>,
    network: StoredNetwork,
    origin: Option<SourceOrigin>,
}

impl SourceRow {
    fn name(&self) -> Option<&str> {
        self.origin.as_ref().map(|origin| origin.name.as_str()).or_else(|| self.host_name())
    }

    fn host_name(&self) -> Option<&str> {
        self.looked_up.as_ref()?.naming.as_ref()?.names.first().map(String::as_str)
    }

    fn class(&self) -> Option<&SourceClass> {
        self.origin.as_ref()?.class.as_ref()
    }

    fn confirmed(&self) -> Option<bool> {
        Some(self.looked_up.as_ref()?.naming.as_ref()?.confirmed)
    }
}

/// The sources of the rows of a filter.
fn seen(store: &Store, filter: &Filter) -> Result<HashSet<model::SourceAddress>, StoreError> {
    let mut seen = HashSet::new();
    store.rows(filter, ColumnSet::SOURCE, &mut |rows| seen.extend(rows.source))?;
    Ok(seen)
}

/// What is known about the filter's sources, in the order of the table's columns, and their number.
pub(crate) fn columns(store: &Store, filter: &Filter) -> Result<(Vec<Box<dyn Array>>, usize), StoreError> {
    let mut sources: BTreeMap<IpAddr, SourceRow> = BTreeMap::new();
    for looked_up in store.names()? {
        let source = sources.entry(looked_up.address).or_default();
        source.looked_up = Some(looked_up);
    }
    for (address, network) in store.networks()? {
        sources.entry(address).or_default().network = network;
    }
    for (address, origin) in store.origins()? {
        sources.entry(address).or_default().origin = Some(origin);
    }
    if !filter.is_all() && !sources.is_empty() {
        let seen = seen(store, filter)?;
        sources.retain(|address, _| seen.contains(&Some(*address).into()));
    }
    let texts = |of: fn(&SourceRow) -> Option<&str>| -> Box<dyn Array> {
        Box::new(Utf8ViewArray::from_slice(sources.values().map(of).collect::<Vec<_>>()))
    };
    let addresses: Vec<Option<String>> = sources.keys().map(|address| Some(address.to_string())).collect();
    let flags: Vec<Option<bool>> = sources.values().map(SourceRow::confirmed).collect();
    let asns: Vec<Option<i64>> = sources.values().map(|source| source.network.asn.map(i64::from)).collect();
    let looked_up = |source: &SourceRow| source.looked_up.as_ref().map(|looked_up| looked_up.at.as_millisecond());
    let times: Vec<Option<i64>> = sources.values().map(looked_up).collect();
    let time = ArrowDataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let rungs: Vec<Option<i32>> =
        sources.values().map(|source| source.origin.as_ref().map(|origin| i32::from(origin.rung))).collect();
    let columns: Vec<Box<dyn Array>> = vec![
        Box::new(Utf8ViewArray::from_slice(addresses)),
        texts(SourceRow::name),
        Box::new(PrimitiveArray::<i32>::from(rungs)),
        texts(SourceRow::host_name),
        Box::new(BooleanArray::from(flags)),
        Box::new(PrimitiveArray::<i64>::from(times).to(time)),
        Box::new(PrimitiveArray::<i64>::from(asns)),
        texts(|source| source.network.as_name.as_deref()),
        texts(|source| source.network.country.as_deref()),
        texts(|source| Some(source.class()?.class.as_str())),
        texts(|source| Some(source.class()?.ground.as_str())),
    ];
    Ok((columns, sources.len()))
}

/// Writes them to `DIR/sources/sources.parquet`, if there are any.
pub(crate) fn export(store: &Store, filter: &Filter, exported: &mut Exported) -> Result<(), StoreError> {
    let (columns, rows) = columns(store, filter)?;
    if rows == 0 {
        return Ok(());
    }
    let path = Path::new("sources").join("sources.parquet");
    let bytes = file(&SOURCES, &columns);
    exported.write(path.clone(), &bytes.map_err(StoreError::parquet(&path, "writing the sources"))?)
}
