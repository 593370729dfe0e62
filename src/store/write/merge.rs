//! Merges small files of a month: parts column by column, packs member by member.
//!
//! Each column is read once, its words as dictionary codes: memory holds one column per thread and the compressed
//! pages, never the rows.

use crate::model::{Text, Words};
use crate::store::disk::files::{FileSeal, write_file};
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use crate::store::pack::zip::{PackReader, PackWriter};
use crate::store::parquet::arrays::{concatenated, downcast};
use crate::store::parquet::dictionary::dictionary_array;
use crate::store::parquet::encode::{ROW_GROUP, list_of};
use crate::store::parquet::pages::compress;
use crate::store::parquet::rows::{self, ParquetPart};
use crate::store::parquet::table_columns::{IngestedTimes, record_column};
use crate::store::parquet::table_file::{ColumnPages, TableFile};
use crate::store::parquet::{checked_read, nested};
use crate::store::tables::schema::{COLUMNS, RecordColumn, RecordColumnKind, column_named};
use crate::store::tables::table::RECORDS;
use crate::store::tables::values;
use polars_arrow::array::{Array, BooleanArray, PrimitiveArray, StaticArray as _};
use polars_error::{PolarsResult, polars_err};
use polars_utils::aliases::PlHashMap;
use rayon::prelude::*;
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Limit of the columns of a merge in memory. 131,072 typical rows take 25 MiB; more is unique text, of which several
/// copies are made.
pub(crate) const INFLATED: i64 = 64 << 20;

/// The approximate size of a part in memory, from its footer: its texts, and a code for each value.
pub(crate) fn inflated(path: &Path) -> Result<i64, StoreError> {
    const CODE: i64 = 4;
    let part = ParquetPart::open(path.to_owned())?;
    let columns = part.metadata.row_groups.iter().flat_map(polars_parquet::read::RowGroupMetadata::parquet_columns);
    Ok(columns.fold(0, |sum: i64, column| {
        let codes = column.num_values().max(0).saturating_mul(CODE);
        sum.saturating_add(column.uncompressed_size().max(0)).saturating_add(codes)
    }))
}

/// Merges parts into one file with today's columns; the ledger supplies what older parts lack.
pub(crate) fn parts(ledger: &Ledger, paths: &[PathBuf], target: &Path) -> Result<FileSeal, StoreError> {
    parts_without(ledger, paths, target, &HashSet::new())
}

/// Merges parts into one file, without the rows of some reports.
pub(crate) fn parts_without(
    ledger: &Ledger,
    paths: &[PathBuf],
    target: &Path,
    keys: &HashSet<String>,
) -> Result<FileSeal, StoreError> {
    let parts: Vec<ParquetPart> = paths.iter().map(|path| ParquetPart::open(path.clone())).collect::<Result<_, _>>()?;
    let times = IngestedTimes::of(ledger, &parts)?;
    let merge = || -> PolarsResult<Vec<u8>> {
        let mut order = order(&parts)?;
        if !keys.is_empty() {
            let gone = rows_of(&words(&parts, "report_key")?, keys);
            order.retain(|row| !gone[*row as usize]);
        }
        let mut file = TableFile::new(&RECORDS, Vec::new())?;
        // Column by column, over all row groups: no column is read twice.
        let columns: Vec<Vec<ColumnPages>> = COLUMNS
            .par_iter()
            .zip(file.types())
            .map(|(column, kind)| {
                let arrays = gather(&parts, column, &order, &times)?;
                arrays.iter().map(|array| compress(array.as_ref(), kind)).collect::<PolarsResult<Vec<_>>>()
            })
            .collect::<PolarsResult<_>>()?;
        let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
        for rows in order.chunks(ROW_GROUP) {
            let pages: Vec<_> = columns.iter_mut().filter_map(Iterator::next).collect();
            file.write_pages(rows.len(), &pages)?;
        }
        file.finish()
    };
    let bytes = checked_read::read(target, "merging the parts", merge)?;
    write_file(target, |out| out.write_all(&bytes))
}

/// How many rows of a part are of these reports, and of how many of them.
pub(crate) fn count_rows_of(path: &Path, keys: &HashSet<String>) -> Result<(usize, usize), StoreError> {
    let part = ParquetPart::open(path.to_owned())?;
    checked_read::read(path, "looking for a report", || {
        let words = words(std::slice::from_ref(&part), "report_key")?;
        let rows = rows_of(&words, keys).into_iter().zip(&words.codes).filter(|(found, _)| *found);
        let codes: Vec<u32> = rows.map(|(_, code)| *code).collect();
        Ok((codes.len(), codes.iter().collect::<HashSet<_>>().len()))
    })
}

/// Whether each row belongs to one of these reports.
fn rows_of(words: &Words, keys: &HashSet<String>) -> Vec<bool> {
    let found: Vec<bool> = words.dictionary.iter().map(|word| keys.contains(word.as_str())).collect();
    words.codes.iter().map(|code| found.get(*code as usize).copied().unwrap_or(false)).collect()
}

/// The rows of all parts, numbered consecutively, in the order of the file: date, policy domain, source address.
fn order(parts: &[ParquetPart]) -> PolarsResult<Vec<u32>> {
    let days = numbers::<i32>(parts, column_named("date"), &IngestedTimes::default())?;
    let domains = ranks(&words(parts, "policy_domain")?);
    let sources = ranks(&words(parts, "source_ip")?);
    let count = u32::try_from(days.len()).map_err(|_| polars_err!(ComputeError: "expected fewer than 2^32 rows"))?;
    let mut order: Vec<u32> = (0..count).collect();
    order.par_sort_by_key(|row| {
        let row = *row as usize;
        (days.value(row), domains[row], sources[row])
    });
    Ok(order)
}

/// The rank of each row's word among all; 0 for none.
fn ranks(words: &Words) -> Vec<u32> {
    let mut sorted: Vec<(&Text, usize)> = words.dictionary.iter().zip(0..).collect();
    sorted.sort_unstable();
    let mut rank = vec![0; sorted.len()];
    for ((_, code), place) in sorted.into_iter().zip(1..) {
        rank[code] = place;
    }
    words.codes.iter().map(|code| rank.get(*code as usize).copied().unwrap_or(0)).collect()
}

/// A column of strings over all parts, with one dictionary.
fn words(parts: &[ParquetPart], name: &str) -> PolarsResult<Words> {
    let mut all = OneDictionary::default();
    for part in parts {
        for group in &part.metadata.row_groups {
            all.add(rows::words(part, group, name)?);
        }
    }
    Ok(all.words)
}

/// Words of many row groups, with one dictionary.
#[derive(Default)]
struct OneDictionary {
    known: PlHashMap<Text, u32>,
    words: Words,
}

impl OneDictionary {
    fn add(&mut self, words: Words) {
        let Self { known, words: all } = self;
        let codes: Vec<u32> = words
            .dictionary
            .into_iter()
            .map(|word| {
                let next = u32::try_from(all.dictionary.len()).expect("fewer words than rows");
                *known.entry(word).or_insert_with_key(|word| {
                    all.dictionary.push(word.clone());
                    next
                })
            })
            .collect();
        all.codes.extend(words.codes.iter().map(|code| codes.get(*code as usize).copied().unwrap_or(Words::NULL)));
    }
}

/// A leaf of lists over all parts: the words of all items, and for each row the number of items up to its end.
fn lists(parts: &[ParquetPart], column: &RecordColumn, field: usize) -> PolarsResult<(Words, Vec<usize>)> {
    let mut all = OneDictionary::default();
    let mut ends = Vec::new();
    for part in parts {
        for group in &part.metadata.row_groups {
            let before = all.words.codes.len();
            let (words, found) = nested::lists(&part.file, group, column.name, field)?;
            ends.extend(found.into_iter().map(|end| before + end as usize));
            all.add(words);
        }
    }
    Ok((all.words, ends))
}

/// A column over all parts as one array.
fn whole(parts: &[ParquetPart], column: &RecordColumn, times: &IngestedTimes) -> PolarsResult<Box<dyn Array>> {
    let mut arrays = Vec::new();
    for part in parts {
        for group in &part.metadata.row_groups {
            arrays.push(record_column(part, group, column, times)?);
        }
    }
    concatenated(&arrays)
}

fn numbers<T: polars_arrow::types::NativeType>(
    parts: &[ParquetPart],
    column: &RecordColumn,
    times: &IngestedTimes,
) -> PolarsResult<PrimitiveArray<T>> {
    Ok(downcast::<PrimitiveArray<T>>(whole(parts, column, times)?.as_ref())?.clone())
}

/// A column in the order of the merged file, one array per row group.
fn gather(
    parts: &[ParquetPart],
    column: &RecordColumn,
    order: &[u32],
    times: &IngestedTimes,
) -> PolarsResult<Vec<Box<dyn Array>>> {
    let groups = order.chunks(ROW_GROUP);
    match column.kind {
        RecordColumnKind::HeadText(_) | RecordColumnKind::Address(_) | RecordColumnKind::Text(_) => {
            let words = words(parts, column.name)?;
            groups.map(|rows| gather_words(&words, rows.iter().map(|row| *row as usize))).collect()
        }
        RecordColumnKind::List { names, .. } => gather_lists(parts, column, names, groups),
        RecordColumnKind::HeadTime(_) | RecordColumnKind::Count(_) => {
            gather_numbers(&numbers::<i64>(parts, column, times)?, groups)
        }
        RecordColumnKind::HeadDate(_) | RecordColumnKind::HeadInt(_) => {
            gather_numbers(&numbers::<i32>(parts, column, times)?, groups)
        }
        RecordColumnKind::Flag(_) => {
            let array = whole(parts, column, times)?;
            let flags: &BooleanArray = downcast(array.as_ref())?;
            let group = |rows: &[u32]| {
                let values: Vec<Option<bool>> = rows.iter().map(|row| flags.get(*row as usize)).collect();
                Ok(Box::new(BooleanArray::from(values)) as Box<dyn Array>)
            };
            groups.map(group).collect()
        }
    }
}

fn gather_numbers<'a, T: polars_arrow::types::NativeType>(
    array: &PrimitiveArray<T>,
    groups: impl Iterator<Item = &'a [u32]>,
) -> PolarsResult<Vec<Box<dyn Array>>> {
    let group = |rows: &[u32]| {
        let values: Vec<Option<T>> = rows.iter().map(|row| array.get(*row as usize)).collect();
        Ok(Box::new(PrimitiveArray::<T>::from(values).to(array.dtype().clone())) as Box<dyn Array>)
    };
    groups.map(group).collect()
}

/// Some of the words, with a new dictionary.
fn gather_words(words: &Words, places: impl Iterator<Item = usize>) -> PolarsResult<Box<dyn Array>> {
    let mut texts: Vec<&str> = Vec::new();
    let mut known = vec![Words::NULL; words.dictionary.len()];
    let codes = places.map(|place| {
        let old = words.codes[place] as usize;
        let Some(code) = known.get_mut(old) else { return Words::NULL };
        if *code == Words::NULL {
            *code = u32::try_from(texts.len()).expect("fewer words than rows");
            texts.push(&words.dictionary[old]);
        }
        *code
    });
    let codes = codes.collect();
    dictionary_array(&texts, codes)
}

/// A column of lists, leaf by leaf.
fn gather_lists<'a>(
    parts: &[ParquetPart],
    column: &RecordColumn,
    names: &[&'static str],
    groups: impl Iterator<Item = &'a [u32]> + Clone,
) -> PolarsResult<Vec<Box<dyn Array>>> {
    let mut offsets: Vec<Vec<i64>> = Vec::new();
    let mut leaves: Vec<Vec<Box<dyn Array>>> = groups.clone().map(|_| Vec::with_capacity(names.len())).collect();
    for field in 0..names.len() {
        let (words, ends) = lists(parts, column, field)?;
        let items = |row: u32| {
            let row = row as usize;
            row.checked_sub(1).map_or(0, |before| ends[before])..ends[row]
        };
        for (rows, leaves) in groups.clone().zip(&mut leaves) {
            leaves.push(gather_words(&words, rows.iter().flat_map(|row| items(*row)))?);
        }
        if field == 0 {
            let sum = |end: &mut usize, row: &u32| {
                *end += items(*row).len();
                Some(values::int(*end))
            };
            offsets = groups.clone().map(|rows| std::iter::once(0).chain(rows.iter().scan(0, sum)).collect()).collect();
        }
    }
    offsets.into_iter().zip(leaves).map(|(offsets, leaves)| list_of(offsets, leaves, names)).collect()
}

/// Merges packs into one.
pub(crate) fn packs(paths: &[PathBuf], target: &Path) -> Result<FileSeal, StoreError> {
    let mut fault = None;
    write_file(target, |out| {
        let mut pack = PackWriter::new(out);
        let mut manifest = Vec::new();
        for path in paths {
            if let Err(error) = copy_pack(path, &mut pack, &mut manifest) {
                let told = std::io::Error::other(error.to_string());
                fault = Some(error);
                return Err(told);
            }
        }
        pack.finish(&manifest)
    })
    .map_err(|error| fault.take().unwrap_or(error))
}

fn copy_pack<W: Write>(path: &Path, to: &mut PackWriter<W>, manifest: &mut Vec<u8>) -> Result<(), StoreError> {
    let mut from = PackReader::open(path)?;
    let lines = from.manifest_bytes()?;
    // Several reports may share a member.
    let mut copied = HashSet::new();
    for member in from.members_of(&lines)? {
        if copied.insert(member.clone()) {
            to.copy(&mut from, &member)?;
        }
    }
    manifest.extend_from_slice(&lines);
    if !manifest.is_empty() && !manifest.ends_with(b"\n") {
        manifest.push(b'\n');
    }
    Ok(())
}
