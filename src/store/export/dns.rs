//! The `dns` table: the history of DNS records.

use super::arrays::{texts, times};
use crate::model::{DnsSpan, RecordType, utc_day};
use crate::store::error::StoreError;
use crate::store::read::store::Store;
use crate::store::tables::filter::Filter;
use jiff::Timestamp;
use polars_arrow::array::Array;
use std::collections::HashSet;

/// The records of the filter's domains and days, in the order of the table's columns, and their number.
pub(crate) fn columns(store: &Store, filter: &Filter) -> Result<(Vec<Box<dyn Array>>, usize), StoreError> {
    let mut spans = store.dns_spans()?;
    if !filter.domains.is_empty() {
        let names: HashSet<(String, RecordType)> = store
            .dns_names()?
            .into_iter()
            .filter(|watched| filter.has_domain(&watched.domain))
            .map(|watched| (watched.name, watched.record_type))
            .collect();
        spans.retain(|span| names.contains(&(span.name.clone(), span.record_type)));
    }
    spans.retain(|span| {
        filter.from.is_none_or(|from| utc_day(span.last_seen) >= from)
            && filter.to.is_none_or(|to| utc_day(span.first_seen) <= to)
    });
    let texts = |of: fn(&DnsSpan) -> &str| texts(spans.iter().map(|span| Some(of(span))));
    let times = |of: fn(&DnsSpan) -> Timestamp| times(spans.iter().map(|span| Some(of(span))));
    let columns = vec![
        texts(|span| &span.name),
        texts(|span| span.record_type.as_str()),
        texts(|span| &span.value.text),
        times(|span| span.first_seen),
        times(|span| span.last_seen),
    ];
    Ok((columns, spans.len()))
}
