//! The `reports` table as Parquet, beside the exported `records`: one row a report, in folders of months.

use super::commit::{int, json_findings, json_texts, sums};
use super::exported::Exported;
use super::layout::Month;
use super::read::Filter;
use super::reports::day;
use super::stream::plain_field;
use super::{Store, StoreError, encode, export, folder};
use crate::model::Accepted;
use jiff::Timestamp;
use polars_arrow::array::{Array, PrimitiveArray, Utf8ViewArray};
use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, Field, TimeUnit};
use polars_error::{PolarsResult, polars_err};
use polars_parquet::write::{
    CompressedPage, DynIter, DynStreamingIterator, FileWriter, KeyValue, fallible_streaming_iterator, to_parquet_schema,
};
use rusqlite::types::{Value, ValueRef};
use std::path::Path;

/// The type of a column of `reports`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    /// 16 or 32 bytes, as hexadecimal text.
    Hex,
    Text,
    Int,
    Time,
    Day,
}

/// The columns of `reports`, by the ledger's names; `errors` and `findings` are JSON text.
const COLUMNS: &[(&str, Type)] = &[
    ("key", Type::Hex),
    ("org_name", Type::Text),
    ("org_email", Type::Text),
    ("extra_contact_info", Type::Text),
    ("report_id", Type::Text),
    ("begin", Type::Time),
    ("end", Type::Time),
    ("day", Type::Day),
    ("errors", Type::Text),
    ("generator", Type::Text),
    ("version", Type::Text),
    ("policy_domain", Type::Text),
    ("p", Type::Text),
    ("sp", Type::Text),
    ("np", Type::Text),
    ("adkim", Type::Text),
    ("aspf", Type::Text),
    ("pct", Type::Int),
    ("fo", Type::Text),
    ("testing", Type::Text),
    ("discovery_method", Type::Text),
    ("records", Type::Int),
    ("messages", Type::Int),
    ("dmarc_pass", Type::Int),
    ("origin", Type::Text),
    ("attachment", Type::Text),
    ("message_id", Type::Text),
    ("mail_date", Type::Text),
    ("from_domain", Type::Text),
    ("authentication_results", Type::Text),
    ("sender_auth", Type::Text),
    ("arrival", Type::Time),
    ("ingested", Type::Time),
    ("findings", Type::Text),
    ("content", Type::Hex),
];

fn hex(digit: u8) -> char {
    char::from_digit(digit.into(), 16).unwrap_or('0')
}

/// The name a column has outside.
fn name(ledger: &'static str) -> &'static str {
    match ledger {
        "key" => "report_key",
        "day" => "date",
        "content" => "content_hash",
        other => other,
    }
}

/// The fields of the table as it stands outside.
pub(crate) fn fields() -> impl Iterator<Item = Field> {
    COLUMNS.iter().map(|(column, kind)| Field::new(name(column).into(), dtype(*kind), true))
}

/// Reports under way to a stream.
pub(crate) struct Gathered(Vec<Column>);

impl Default for Gathered {
    fn default() -> Self {
        Self(fresh())
    }
}

impl Gathered {
    /// The schema of the stream.
    pub(crate) fn schema() -> ArrowSchema {
        fields().map(plain_field).map(|field| (field.name.clone(), field)).collect()
    }

    /// Add a report that came in `now`.
    pub(crate) fn push(&mut self, accepted: &Accepted, now: Timestamp) {
        for (column, value) in self.0.iter_mut().zip(values(accepted, now)) {
            column.push(ValueRef::from(&value));
        }
    }

    /// The columns.
    pub(crate) fn arrays(self) -> Vec<Box<dyn Array>> {
        self.0.into_iter().zip(COLUMNS).map(|(column, (_, kind))| column.array(*kind)).collect()
    }
}

/// What the ledger would say of a report, in the order of [`COLUMNS`].
fn values(accepted: &Accepted, now: Timestamp) -> [Value; 35] {
    let Accepted { report, provenance, .. } = accepted;
    let (metadata, policy) = (&report.metadata, &report.policy);
    let mail = provenance.mail.as_ref();
    let (messages, passing) = sums(accepted);
    let text = |text: &str| Value::Text(text.to_owned());
    let maybe = |text: Option<&str>| text.map_or(Value::Null, |text| Value::Text(text.to_owned()));
    let time = |time: Timestamp| Value::Integer(time.as_millisecond());
    [
        Value::Blob(report.key.0.to_vec()),
        text(&metadata.org_name),
        maybe(metadata.email.as_deref()),
        maybe(metadata.extra_contact_info.as_deref()),
        text(&metadata.report_id),
        time(metadata.begin),
        time(metadata.end),
        Value::Integer(encode::days_since_epoch(report.day).into()),
        maybe(json_texts(&metadata.errors).as_deref()),
        maybe(metadata.generator.as_deref()),
        maybe(metadata.version.as_deref()),
        text(policy.domain.as_str()),
        maybe(policy.p.as_deref()),
        maybe(policy.sp.as_deref()),
        maybe(policy.np.as_deref()),
        maybe(policy.adkim.as_deref()),
        maybe(policy.aspf.as_deref()),
        policy.pct.map_or(Value::Null, |pct| Value::Integer(pct.into())),
        maybe(policy.fo.as_deref()),
        maybe(policy.testing.as_deref()),
        maybe(policy.discovery_method.as_deref()),
        Value::Integer(int(report.records.len())),
        Value::Integer(messages),
        Value::Integer(passing),
        text(&provenance.origin),
        maybe(provenance.attachment.as_deref()),
        maybe(mail.and_then(|mail| mail.message_id.as_deref())),
        maybe(mail.and_then(|mail| mail.date.as_deref())),
        maybe(mail.and_then(|mail| mail.from_domain.as_deref())),
        maybe(mail.and_then(|mail| mail.authentication_results.as_deref())),
        text(accepted.provenance.sender_auth().as_str()),
        time(provenance.arrival),
        time(now),
        maybe(json_findings(accepted).as_deref()),
        Value::Blob(report.content.0.to_vec()),
    ]
}

/// A column under way.
enum Column {
    Texts(Vec<Option<String>>),
    Longs(Vec<Option<i64>>),
    Days(Vec<Option<i32>>),
}

/// Write the reports of the filter to `DIR/reports/month=.../reports.parquet`.
pub(crate) fn export(store: &Store, filter: &Filter, exported: &mut Exported) -> Result<(), StoreError> {
    if store.folder {
        return folder::export_reports(store, filter, exported);
    }
    let Some(ledger) = &store.ledger else { return write(exported, export::quiet_month(filter), fresh()) };
    let names: Vec<String> = COLUMNS.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let sql = format!("SELECT {} FROM reports WHERE day BETWEEN ?1 AND ?2 ORDER BY day, id", names.join(", "));
    let failed = || ledger.failed("reading the reports");
    let mut statement = ledger.connection.prepare(&sql).map_err(failed())?;
    let day_at = COLUMNS.iter().position(|(_, kind)| *kind == Type::Day).expect("the list has a day");
    let domain_at = COLUMNS.iter().position(|(name, _)| *name == "policy_domain").expect("the list has a domain");

    let from = filter.from.map_or(i32::MIN, encode::days_since_epoch);
    let to = filter.to.map_or(i32::MAX, encode::days_since_epoch);
    let mut rows = statement.query([from, to]).map_err(failed())?;
    let mut open: Option<(Month, Vec<Column>)> = None;
    while let Some(row) = rows.next().map_err(failed())? {
        let month = Month::of(day(row.get(day_at).map_err(failed())?));
        let domain = row.get_ref(domain_at).map_err(failed())?.as_str().unwrap_or_default();
        if !filter.domains.is_empty() && !filter.domains.iter().any(|wanted| wanted == domain) {
            continue;
        }
        match &open {
            Some((under_way, _)) if *under_way == month => {}
            _ => {
                if let Some((done, columns)) = open.replace((month, fresh())) {
                    write(exported, done, columns)?;
                }
            }
        }
        let (_, columns) = open.as_mut().expect("it was just opened");
        for (index, column) in columns.iter_mut().enumerate() {
            column.push(row.get_ref(index).map_err(failed())?);
        }
    }
    let (month, columns) = open.unwrap_or_else(|| (export::quiet_month(filter), fresh()));
    write(exported, month, columns)
}

fn fresh() -> Vec<Column> {
    COLUMNS
        .iter()
        .map(|(_, kind)| match kind {
            Type::Hex | Type::Text => Column::Texts(Vec::new()),
            Type::Int | Type::Time => Column::Longs(Vec::new()),
            Type::Day => Column::Days(Vec::new()),
        })
        .collect()
}

impl Column {
    fn push(&mut self, value: ValueRef<'_>) {
        match (self, value) {
            (Self::Texts(texts), ValueRef::Blob(bytes)) => {
                texts.push(Some(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex).collect()));
            }
            (Self::Texts(texts), ValueRef::Text(text)) => texts.push(Some(String::from_utf8_lossy(text).into_owned())),
            (Self::Texts(texts), _) => texts.push(None),
            (Self::Longs(longs), ValueRef::Integer(value)) => longs.push(Some(value)),
            (Self::Longs(longs), _) => longs.push(None),
            (Self::Days(days), ValueRef::Integer(value)) => days.push(i32::try_from(value).ok()),
            (Self::Days(days), _) => days.push(None),
        }
    }

    fn array(self, kind: Type) -> Box<dyn Array> {
        match self {
            Self::Texts(texts) => Box::new(Utf8ViewArray::from_slice(texts)),
            Self::Longs(longs) => Box::new(PrimitiveArray::<i64>::from(longs).to(dtype(kind))),
            Self::Days(days) => Box::new(PrimitiveArray::<i32>::from(days).to(dtype(kind))),
        }
    }
}

fn dtype(kind: Type) -> ArrowDataType {
    match kind {
        Type::Hex | Type::Text => ArrowDataType::Utf8View,
        Type::Int => ArrowDataType::Int64,
        Type::Time => ArrowDataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        Type::Day => ArrowDataType::Date32,
    }
}

fn write(exported: &mut Exported, month: Month, columns: Vec<Column>) -> Result<(), StoreError> {
    let path = Path::new("reports").join(month.folder()).join("reports.parquet");
    let arrays = columns.into_iter().zip(COLUMNS).map(|(column, (_, kind))| column.array(*kind)).collect();
    let bytes = file(arrays).map_err(StoreError::parquet(&path, "writing the reports"))?;
    exported.write(path, &bytes)
}

/// The table as one Parquet file.
pub(crate) fn file(arrays: Vec<Box<dyn Array>>) -> PolarsResult<Vec<u8>> {
    parquet(fields().zip(arrays).collect(), "dmarquet.reports")
}

/// A small table as a Parquet file of one row group, its version 1 under a key of the metadata.
pub(super) fn parquet(columns: Vec<(Field, Box<dyn Array>)>, key: &str) -> PolarsResult<Vec<u8>> {
    let schema: ArrowSchema = columns.iter().map(|(field, _)| (field.name.clone(), field.clone())).collect();
    let parquet = to_parquet_schema(&schema)?;
    let rows = columns.first().ok_or_else(|| polars_err!(ComputeError: "expected a column"))?.1.len();
    let pages =
        columns.iter().zip(parquet.fields()).map(|((_, array), kind)| super::pages::compress(array.as_ref(), kind));
    let pages: Vec<Vec<Vec<CompressedPage>>> = pages.collect::<PolarsResult<_>>()?;
    let leaves = DynIter::new(pages.iter().flatten().map(|pages| {
        Ok(DynStreamingIterator::new(fallible_streaming_iterator::convert(
            pages.iter().map(PolarsResult::<&CompressedPage>::Ok),
        )))
    }));
    let mut writer = FileWriter::new_with_parquet_schema(Vec::new(), schema, parquet, encode::options());
    writer.write(rows as u64, leaves)?;
    writer.end(Some(vec![KeyValue { key: key.into(), value: Some("1".into()) }]))?;
    Ok(writer.into_inner())
}
