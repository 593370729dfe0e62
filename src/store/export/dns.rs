//! The `dns` table: the history of DNS records.

use super::manifest::Exported;
use crate::model::{DnsSpan, RecordType};
use crate::store::error::StoreError;
use crate::store::parquet::table_file::file;
use crate::store::read::store::Store;
use crate::store::tables::dns::DNS;
use crate::store::tables::filter::Filter;
use jiff::civil::Date;
use jiff::{Timestamp, tz::Offset};
use polars_arrow::array::{Array, PrimitiveArray, Utf8ViewArray};
use polars_arrow::datatypes::{ArrowDataType, TimeUnit};
use std::collections::HashSet;
use std::path::Path;

/// The records of the filter's domains and days, in the order of the table's columns, and their number.
pub(crate) fn columns(store: &Store, filter: &Filter) -> Result<(Vec<Box<dyn Array>>, usize), StoreError> {
    let mut spans = store.dns_spans()?;
    if !filter.domains.is_empty() {
        let of_filter = |domain: &str| filter.domains.iter().any(|wanted| wanted == domain);
        let names: HashSet<(String, RecordType)> = store
            .dns_names()?
            .into_iter()
            .filter(|watched| of_filter(&watched.domain))
            .map(|watched| (watched.name, watched.record_type))
            .collect();
        spans.retain(|span| names.contains(&(span.name.clone(), span.record_type)));
    }
    let day = |at: Timestamp| -> Date { Offset::UTC.to_datetime(at).date() };
    spans.retain(|span| {
        filter.from.is_none_or(|from| day(span.last_seen) >= from)
            && filter.to.is_none_or(|to| day(span.first_seen) <= to)
    });
    let texts = |of: fn(&DnsSpan) -> &str| -> Box<dyn Array> {
        Box::new(Utf8ViewArray::from_slice(spans.iter().map(|span| Some(of(span))).collect::<Vec<_>>()))
    };
    let times = |of: fn(&DnsSpan) -> Timestamp| -> Box<dyn Array> {
        let times: Vec<Option<i64>> = spans.iter().map(|span| Some(of(span).as_millisecond())).collect();
        let time = ArrowDataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        Box::new(PrimitiveArray::<i64>::from(times).to(time))
    };
    let columns = vec![
        texts(|span| &span.name),
        texts(|span| span.record_type.as_str()),
        texts(|span| &span.value.text),
        times(|span| span.first_seen),
        times(|span| span.last_seen),
    ];
    Ok((columns, spans.len()))
}

/// Writes them to `DIR/dns/dns.parquet`, if there are any.
pub(crate) fn export(store: &Store, filter: &Filter, exported: &mut Exported) -> Result<(), StoreError> {
    let (columns, rows) = columns(store, filter)?;
    if rows == 0 {
        return Ok(());
    }
    let path = Path::new("dns").join("dns.parquet");
    let bytes = file(&DNS, &columns);
    exported.write(path.clone(), &bytes.map_err(StoreError::parquet(&path, "writing the history of DNS"))?)
}
