//! Encodes judged reports as one Parquet file in memory: sorted, dictionary-encoded, column by column on all cores.
//!
//! The columns are built directly from the model and passed to the page writer below polars' data frames: words repeat
//! within a report, so each column is interned once and written as a dictionary.

use super::dictionary::{DictionaryBuilder, dictionary, narrow};
use super::pages::compress;
use super::table_file::TableFile;
use crate::limits::return_freed_memory;
use crate::model::{Accepted, Record, Verdict};
use crate::store::tables::schema::{COLUMNS, Head, ItemText, RecordColumn, RecordColumnKind, RecordRow};
use crate::store::tables::table::RECORDS;
use crate::store::tables::values::{days_since_epoch, int};
use jiff::Timestamp;
use polars_arrow::array::{Array, BooleanArray, ListArray, PrimitiveArray, StructArray};
use polars_arrow::datatypes::{ArrowDataType, Field};
use polars_arrow::offset::OffsetsBuffer;
use polars_error::PolarsResult;
use polars_utils::aliases::{InitHashMaps, PlHashMap};
use std::borrow::Borrow;
use std::net::IpAddr;

/// Rows per row group: small enough to prune by week or domain, large enough that its overhead does not matter.
pub(crate) const ROW_GROUP: usize = 1 << 16;

/// A report ready to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JudgedReport<'a> {
    /// The columns shared by all its rows.
    pub(crate) head: Head<'a>,
    /// One per record.
    pub(crate) verdicts: &'a [Verdict],
}

/// The keys of reports as text, for [`judged`].
pub(crate) fn keys<A: Borrow<Accepted>>(reports: &[A]) -> Vec<String> {
    reports.iter().map(|accepted| accepted.borrow().report.key.to_string()).collect()
}

/// Reports in the form for writing; `keys` are their keys, `ingested` says when each was first stored.
pub(crate) fn judged<'a, A: Borrow<Accepted>>(
    reports: &'a [A],
    keys: &'a [String],
    ingested: impl Fn(&Accepted) -> Timestamp,
) -> Vec<JudgedReport<'a>> {
    let judged = |(accepted, key): (&'a A, &'a String)| {
        let accepted = accepted.borrow();
        let Accepted { report, verdicts, provenance, .. } = accepted;
        let head = Head { key, report, sender_auth: provenance.sender_auth(), ingested: ingested(accepted) };
        JudgedReport { head, verdicts }
    };
    reports.iter().zip(keys).map(judged).collect()
}

/// The Arrow type of a column.
pub(crate) fn arrow_field(column: &RecordColumn) -> Field {
    Field::new(column.name.into(), column.column_type().arrow(), column.nullable)
}

/// One Parquet file of all rows of these reports, sorted by date, policy domain and source address.
/// `ingested` says when each was first stored.
pub(crate) fn encode<A: Borrow<Accepted>>(
    reports: &[A],
    ingested: impl Fn(&Accepted) -> Timestamp,
) -> PolarsResult<Vec<u8>> {
    let keys = keys(reports);
    let reports = &judged(reports, &keys, ingested);
    let sorted = Sorted::new(reports);
    let mut file = TableFile::new(&RECORDS, Vec::new())?;
    for rows in sorted.rows.chunks(ROW_GROUP) {
        if sorted.rows.len() > ROW_GROUP {
            // What was made of the rows before, on all threads, would be kept beside what is made of these.
            return_freed_memory();
        }
        let group = RowGroup { reports, addresses: &sorted.addresses, rows };
        file.write_columns(rows.len(), |column, kind| {
            compress(build_column(&group, &COLUMNS[column])?.as_ref(), kind)
        })?;
    }
    file.finish()
}

/// The columns of all rows of these reports, a number of rows at a time, in the order of a file; strings as
/// dictionaries.
pub(crate) fn batches<'a>(
    reports: &'a [JudgedReport<'a>],
    most: usize,
) -> impl Iterator<Item = PolarsResult<(usize, Vec<Box<dyn Array>>)>> + 'a {
    let Sorted { rows, addresses } = Sorted::new(reports);
    let mut from = 0;
    std::iter::from_fn(move || {
        let rows = rows.get(from..(from + most).min(rows.len())).filter(|rows| !rows.is_empty())?;
        from += rows.len();
        let group = RowGroup { reports, addresses: &addresses, rows };
        let arrays = COLUMNS.iter().map(|column| build_column(&group, column)).collect::<PolarsResult<_>>();
        Some(arrays.map(|arrays| (rows.len(), arrays)))
    })
}

/// A row by its position, and its address by its rank among the addresses' texts.
#[derive(Debug, Clone, Copy)]
struct SortKey {
    report: u32,
    record: u32,
    /// 0: none; else the index into `Sorted::addresses` plus one.
    address: u32,
}

/// All rows in the order of the file.
struct Sorted {
    rows: Vec<SortKey>,
    /// The distinct addresses as text, sorted as text, which is the order that readers of the column see.
    addresses: Vec<String>,
}

impl Sorted {
    fn new(reports: &[JudgedReport<'_>]) -> Self {
        let mut groups: Vec<u32> = (0..narrow(reports.len())).collect();
        let of = |report: u32| {
            let report = reports[report as usize].head.report;
            (report.day, report.policy.domain.as_str())
        };
        groups.sort_by(|a, b| of(*a).cmp(&of(*b)));
        let (addresses, ranks) = rank_addresses(reports);

        let mut rows = Vec::with_capacity(reports.iter().map(|report| report.verdicts.len()).sum());
        let (mut from, mut rank) = (0, ranks.into_iter());
        let mut keyed: Vec<Vec<u32>> =
            reports.iter().map(|report| rank.by_ref().take(report.verdicts.len()).collect()).collect();
        while from < groups.len() {
            let run = groups[from..].iter().take_while(|other| of(**other) == of(groups[from])).count();
            let start = rows.len();
            for &report in &groups[from..from + run] {
                let ranks = std::mem::take(&mut keyed[report as usize]);
                rows.extend((0..).zip(ranks).map(|(record, address)| SortKey { report, record, address }));
            }
            rows[start..].sort_by_key(|row| row.address);
            from += run;
        }
        Self { rows, addresses }
    }
}

/// The distinct addresses in the order of their text, and the rank of each row's, report by report.
fn rank_addresses(reports: &[JudgedReport<'_>]) -> (Vec<String>, Vec<u32>) {
    let mut codes: PlHashMap<IpAddr, u32> = PlHashMap::new();
    let mut distinct: Vec<IpAddr> = Vec::new();
    let mut rows: Vec<u32> = Vec::new();
    for report in reports {
        for record in &report.head.report.records {
            rows.push(record.source_ip.map_or(0, |address| {
                *codes.entry(address).or_insert_with(|| {
                    distinct.push(address);
                    narrow(distinct.len())
                })
            }));
        }
    }
    drop(codes);
    let mut texts: Vec<(String, u32)> = distinct.iter().map(ToString::to_string).zip(1..).collect();
    drop(distinct);
    texts.sort_unstable();
    let mut ranks = vec![0; texts.len() + 1];
    for ((_, code), rank) in texts.iter().zip(1..) {
        ranks[*code as usize] = rank;
    }
    for row in &mut rows {
        *row = ranks[*row as usize];
    }
    (texts.into_iter().map(|(text, _)| text).collect(), rows)
}

/// The rows of one row group.
struct RowGroup<'a> {
    reports: &'a [JudgedReport<'a>],
    addresses: &'a [String],
    rows: &'a [SortKey],
}

impl<'a> RowGroup<'a> {
    fn head(&self, place: SortKey) -> &'a Head<'a> {
        &self.reports[place.report as usize].head
    }

    fn row(&self, place: SortKey) -> RecordRow<'a> {
        let report = &self.reports[place.report as usize];
        let index = place.record as usize;
        RecordRow { record: &report.head.report.records[index], verdict: &report.verdicts[index] }
    }

    /// A value of the report for each row.
    fn heads<T: Copy>(&self, value: impl Fn(&'a Head<'a>) -> T) -> Vec<T> {
        self.rows.iter().map(|place| value(self.head(*place))).collect()
    }
}

/// The Arrow array of a column; strings as dictionaries.
fn build_column(group: &RowGroup<'_>, column: &RecordColumn) -> PolarsResult<Box<dyn Array>> {
    let rows = group.rows;
    Ok(match column.kind {
        RecordColumnKind::HeadText(text) => head_texts(group, text)?,
        RecordColumnKind::HeadTime(time) => {
            let values = group.heads(|head| time(head).as_millisecond());
            Box::new(PrimitiveArray::new(arrow_field(column).dtype, values.into(), None))
        }
        RecordColumnKind::HeadDate(date) => {
            let values = group.heads(|head| days_since_epoch(date(head.report)));
            Box::new(PrimitiveArray::new(ArrowDataType::Date32, values.into(), None))
        }
        RecordColumnKind::HeadInt(value) => {
            Box::new(PrimitiveArray::<i32>::from(group.heads(|head| value(head.report))))
        }
        RecordColumnKind::Address(_) => {
            let texts = group.addresses;
            let text = |place: &SortKey| place.address.checked_sub(1).map(|index| texts[index as usize].as_str());
            dictionary(rows.iter().map(text))?
        }
        RecordColumnKind::Text(text) => dictionary(rows.iter().map(|place| text(&group.row(*place))))?,
        RecordColumnKind::Count(count) => {
            let values: Vec<i64> = rows.iter().map(|place| count(group.row(*place).record)).collect();
            Box::new(PrimitiveArray::from_vec(values))
        }
        RecordColumnKind::Flag(flag) => {
            let values: Vec<Option<bool>> = rows.iter().map(|place| flag(group.row(*place).verdict)).collect();
            Box::new(BooleanArray::from(values))
        }
        RecordColumnKind::List { len, names, texts } => list(group, (len, names, texts))?,
    })
}

/// A text of the reports: looked up once per report, not per row.
fn head_texts<'a>(group: &RowGroup<'a>, text: fn(&Head<'a>) -> Option<&'a str>) -> PolarsResult<Box<dyn Array>> {
    const UNSEEN: u32 = u32::MAX - 1;
    let mut texts = DictionaryBuilder::default();
    let mut codes = vec![UNSEEN; group.reports.len()];
    let rows = group.rows.iter().map(|place| {
        let code = &mut codes[place.report as usize];
        if *code == UNSEEN {
            *code = text(group.head(*place)).map_or(DictionaryBuilder::NULL, |text| texts.code(text));
        }
        *code
    });
    let rows: Vec<u32> = rows.collect();
    texts.array(rows)
}

/// A column of lists of structs of texts.
fn list(
    group: &RowGroup<'_>,
    (len, names, texts): (fn(&Record) -> usize, &[&'static str], &[ItemText]),
) -> PolarsResult<Box<dyn Array>> {
    let mut offsets: Vec<i64> = Vec::with_capacity(group.rows.len() + 1);
    let mut total = 0;
    offsets.push(0);
    for place in group.rows {
        total += len(group.row(*place).record);
        offsets.push(int(total));
    }
    let leaf = |text: &ItemText| {
        dictionary(group.rows.iter().flat_map(|place| {
            let record = group.row(*place).record;
            (0..len(record)).map(move |item| text(record, item))
        }))
    };
    list_of(offsets, texts.iter().map(leaf).collect::<PolarsResult<_>>()?, names)
}

/// Builds a list of structs from the arrays of its fields.
pub(crate) fn list_of(
    offsets: Vec<i64>,
    arrays: Vec<Box<dyn Array>>,
    names: &[&'static str],
) -> PolarsResult<Box<dyn Array>> {
    let length = usize::try_from(*offsets.last().unwrap_or(&0)).expect("offsets are never negative");
    let types = arrays.iter().map(|array| array.dtype().clone());
    let fields = names.iter().zip(types).map(|(name, dtype)| Field::new((*name).into(), dtype, true));
    let of_struct = ArrowDataType::Struct(fields.collect());
    let items = StructArray::try_new(of_struct.clone(), length, arrays, None)?;
    let of_list = ArrowDataType::LargeList(Box::new(Field::new("element".into(), of_struct, true)));
    Ok(Box::new(ListArray::try_new(of_list, OffsetsBuffer::try_from(offsets)?, Box::new(items), None)?))
}
