//! The `sources` table as Parquet, beside the exported `records`: one row per address that was looked up.

use super::arrays::{ints, longs, texts, times};
use crate::model::{self, ColumnSet, SourceClass, SourceOrigin};
use crate::store::error::StoreError;
use crate::store::ledger::lookups::LookedUp;
use crate::store::ledger::networks::StoredNetwork;
use crate::store::read::store::Store;
use crate::store::tables::filter::Filter;
use polars_arrow::array::{Array, BooleanArray, Utf8ViewArray};
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

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
    let withheld = filter.withheld.as_deref();
    for mut looked_up in store.names()? {
        let name = looked_up.naming.as_ref().and_then(|naming| naming.names.first());
        if name.is_some_and(|name| withheld.is_some_and(|withheld| withheld.has_host(name))) {
            looked_up.naming = None;
        }
        let source = sources.entry(looked_up.address).or_default();
        source.looked_up = Some(looked_up);
    }
    for (address, network) in store.networks()? {
        sources.entry(address).or_default().network = network;
    }
    for (address, origin) in store.origins()? {
        if withheld.is_some_and(|withheld| withheld.has_origin(&origin.name)) {
            continue;
        }
        sources.entry(address).or_default().origin = Some(origin);
    }
    if !filter.is_all() && !sources.is_empty() {
        let seen = seen(store, filter)?;
        sources.retain(|address, _| seen.contains(&Some(*address).into()));
    }
    let texts = |of: fn(&SourceRow) -> Option<&str>| texts(sources.values().map(of));
    let addresses: Vec<Option<String>> = sources.keys().map(|address| Some(address.to_string())).collect();
    let flags: Vec<Option<bool>> = sources.values().map(SourceRow::confirmed).collect();
    let rung = |source: &SourceRow| source.origin.as_ref().map(|origin| i32::from(origin.rung));
    let columns: Vec<Box<dyn Array>> = vec![
        Box::new(Utf8ViewArray::from_slice(addresses)),
        texts(SourceRow::name),
        ints(sources.values().map(rung)),
        texts(SourceRow::host_name),
        Box::new(BooleanArray::from(flags)),
        times(sources.values().map(|source| source.looked_up.as_ref().map(|looked_up| looked_up.at))),
        longs(sources.values().map(|source| source.network.asn.map(i64::from))),
        texts(|source| source.network.as_name.as_deref()),
        texts(|source| source.network.country.as_deref()),
        texts(|source| Some(source.class()?.class.as_str())),
        texts(|source| Some(source.class()?.ground.as_str())),
    ];
    Ok((columns, sources.len()))
}
