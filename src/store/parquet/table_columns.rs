//! Reads columns by name, also from files of older versions, and checks their types.

use super::arrays::downcast;
use super::nested::{lists, read_array};
use super::rows::{ParquetPart, words};
use super::{checked_read, encode};
use crate::model::{Text, Words};
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use crate::store::tables::columns::{ColumnType, TableColumn};
use crate::store::tables::reports::{FINDING, ReportColumn};
use crate::store::tables::schema::{INGESTED, RecordColumn};
use crate::store::tables::values::{LineFinding, int};

use polars_arrow::array::{Array, PrimitiveArray, Utf8ViewArray, new_null_array};
use polars_arrow::datatypes::{ArrowDataType, Field};
use polars_error::{PolarsResult, polars_err};
use polars_parquet::parquet::schema::types::PhysicalType;
use polars_parquet::read::RowGroupMetadata;
use std::collections::HashMap;

/// When reports were first stored, by key: files of version 1 lack it, the ledger has it.
#[derive(Debug, Default)]
pub(crate) struct IngestedTimes(HashMap<Text, i64>);

impl IngestedTimes {
    /// Looks up the reports of parts that lack it.
    pub(crate) fn of(ledger: &Ledger, parts: &[ParquetPart]) -> Result<Self, StoreError> {
        let mut times = HashMap::new();
        for part in parts {
            for group in part.metadata.row_groups.iter().filter(|group| !has(group, INGESTED)) {
                let keys =
                    checked_read::read(&part.path, "reading the part", || words(part, group, "report_key"))?.dictionary;
                for key in keys {
                    let sql = "SELECT ingested FROM reports WHERE key = unhex(?1)";
                    let time = ledger.first_row("looking up a report", sql, [key.as_str()], |row| row.get(0))?;
                    times.extend(time.map(|time: i64| (key, time)));
                }
            }
        }
        Ok(Self(times))
    }
}

/// Whether a row group has a column of this name.
pub(crate) fn has(group: &RowGroupMetadata, name: &str) -> bool {
    group.columns_under_root_iter(name).is_some_and(|mut leaves| leaves.next().is_some())
}

/// The name of a column in a row group: its own, or the one in files of version 1.
pub(crate) fn name_in<'a>(group: &RowGroupMetadata, name: &'a str, former: Option<&'a str>) -> &'a str {
    former.filter(|former| !has(group, name) && has(group, former)).unwrap_or(name)
}

/// A column of `records`, from a file of any version.
pub(crate) fn record_column(
    part: &ParquetPart,
    group: &RowGroupMetadata,
    column: &RecordColumn,
    times: &IngestedTimes,
) -> PolarsResult<Box<dyn Array>> {
    if column.name == INGESTED && !has(group, INGESTED) {
        return ingested(part, group, times);
    }
    let mut field = encode::arrow_field(column);
    field.name = name_in(group, column.name, column.former).into();
    read_array(&part.file, group, field)
}

fn ingested(part: &ParquetPart, group: &RowGroupMetadata, times: &IngestedTimes) -> PolarsResult<Box<dyn Array>> {
    let dtype = ColumnType::Time.arrow();
    if times.0.is_empty() {
        return Ok(new_null_array(dtype, group.num_rows()));
    }
    let keys = words(part, group, "report_key")?;
    let known: Vec<Option<i64>> = keys.dictionary.iter().map(|key| times.0.get(key).copied()).collect();
    let values: Vec<Option<i64>> = keys.codes.iter().map(|code| known.get(*code as usize).copied().flatten()).collect();
    Ok(Box::new(PrimitiveArray::<i64>::from(values).to(dtype)))
}

/// A column of `reports`, from a file of any version; without values if the file lacks it.
pub(crate) fn report_column(
    part: &ParquetPart,
    group: &RowGroupMetadata,
    column: &ReportColumn,
) -> PolarsResult<Box<dyn Array>> {
    let TableColumn { kind, nullable, .. } = column.column();
    let name = name_in(group, column.name, column.former);
    let Some(leaf) = group.columns_under_root_iter(name).and_then(|mut leaves| leaves.next()) else {
        return match kind {
            ColumnType::Structs(_) => finding_lists(std::iter::repeat_n(None, group.num_rows())),
            _ if nullable => Ok(new_null_array(kind.arrow(), group.num_rows())),
            _ => Err(polars_err!(ComputeError: "expected a column {}, found none", column.name)),
        };
    };
    let found = leaf.descriptor().descriptor.primitive_type.physical_type;
    let read = |dtype| read_array(&part.file, group, Field::new(name.into(), dtype, nullable));
    match kind {
        // Version 1 had 64 bits for it.
        ColumnType::Int if found == PhysicalType::Int64 => {
            let array = read(ArrowDataType::Int64)?;
            let longs: &PrimitiveArray<i64> = downcast(array.as_ref())?;
            let ints = longs.iter().map(|value| value.and_then(|value| i32::try_from(*value).ok()));
            Ok(Box::new(PrimitiveArray::<i32>::from(ints.collect::<Vec<_>>())))
        }
        // Version 1 had JSON for it.
        ColumnType::Structs(_) if leaf.descriptor().path_in_schema.len() == 1 => {
            let array = read(ArrowDataType::Utf8View)?;
            let texts: &Utf8ViewArray = downcast(array.as_ref())?;
            finding_lists(texts.iter())
        }
        ColumnType::Structs(names) => pairs(part, group, name, names),
        _ => read(kind.arrow()),
    }
}

/// A column of lists of pairs of texts.
fn pairs(
    part: &ParquetPart,
    group: &RowGroupMetadata,
    name: &str,
    names: &[&'static str],
) -> PolarsResult<Box<dyn Array>> {
    let (first, ends) = lists(&part.file, group, name, 0)?;
    let (second, _) = lists(&part.file, group, name, 1)?;
    if second.codes.len() != first.codes.len() {
        return Err(polars_err!(ComputeError: "expected {} of one length, found two", name));
    }
    let texts = |words: &Words| -> Box<dyn Array> {
        let texts: Vec<Option<&str>> = (0..words.codes.len()).map(|item| words.get(item)).collect();
        Box::new(Utf8ViewArray::from_slice(texts))
    };
    let offsets = std::iter::once(0).chain(ends.into_iter().map(i64::from)).collect();
    encode::list_of(offsets, vec![texts(&first), texts(&second)], names)
}

/// A column of any other table; without values if the file lacks it.
pub(crate) fn table_column(
    part: &ParquetPart,
    group: &RowGroupMetadata,
    column: &TableColumn,
) -> PolarsResult<Box<dyn Array>> {
    let TableColumn { name, kind, .. } = *column;
    match kind {
        _ if !has(group, name) => Ok(new_null_array(kind.arrow(), group.num_rows())),
        ColumnType::Structs(names) => pairs(part, group, name, names),
        _ => read_array(&part.file, group, Field::new(name.into(), kind.arrow(), true)),
    }
}

fn finding_lists<'a>(rows: impl Iterator<Item = Option<&'a str>>) -> PolarsResult<Box<dyn Array>> {
    let mut lists = FindingLists::default();
    rows.for_each(|json| lists.push(json));
    lists.array()
}

/// Builds lists of findings.
#[derive(Default)]
pub(crate) struct FindingLists {
    /// For each row, the number of findings up to its end.
    ends: Vec<i64>,
    codes: Vec<String>,
    details: Vec<String>,
}

impl FindingLists {
    /// Adds a row from the ledger's JSON; invalid JSON is a row without findings.
    pub(crate) fn push(&mut self, json: Option<&str>) {
        let findings: Vec<LineFinding> = json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        for LineFinding { code, detail } in findings {
            self.codes.push(code);
            self.details.push(detail);
        }
        self.ends.push(int(self.codes.len()));
    }

    /// The column.
    pub(crate) fn array(self) -> PolarsResult<Box<dyn Array>> {
        let offsets = std::iter::once(0).chain(self.ends).collect();
        let texts = |texts: Vec<String>| -> Box<dyn Array> { Box::new(Utf8ViewArray::from_slice_values(texts)) };
        encode::list_of(offsets, vec![texts(self.codes), texts(self.details)], &FINDING)
    }
}
