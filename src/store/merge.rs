//! Small files of a month made one: parts merged column by column, packs member by member.
//!
//! Columns are read once each, their words as dictionary codes: what is held is a column a thread and the compressed
//! pages, never the rows.

use super::commit::{size_of, write_file};
use super::encode::{self, PartWriter, ROW_GROUP, arrow_field, compress, dictionary, list_of};
use super::nested::read_array;
use super::pack::{PackReader, PackWriter};
use super::read::Part;
use super::schema::{COLUMNS, Column, Kind, ListField};
use super::{StoreError, sound};
use crate::model::{Text, Words};
use polars::error::{PolarsResult, polars_err};
use polars_core::prelude::{InitHashMaps, PlHashMap};
use polars_core::utils::arrow::array::{Array, BooleanArray, ListArray, PrimitiveArray, StructArray, Utf8ViewArray};
use polars_core::utils::arrow::compute::concatenate::concatenate;
use polars_parquet::write::{CompressedPage, to_parquet_schema};
use rayon::prelude::*;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Merge parts into one file; gives its bytes.
pub(crate) fn parts(paths: &[PathBuf], target: &Path) -> Result<u64, StoreError> {
    let parts: Vec<Part> = paths.iter().map(|path| Part::open(path.clone())).collect::<Result<_, _>>()?;
    let merge = || -> PolarsResult<Vec<u8>> {
        let order = order(&parts)?;
        let types = to_parquet_schema(&encode::arrow_schema())?.fields().to_vec();
        // Column by column, each for all row groups: no column is read twice.
        let columns: Vec<Vec<Vec<Vec<CompressedPage>>>> = COLUMNS
            .par_iter()
            .zip(&types)
            .map(|(column, kind)| {
                let arrays = gather(&parts, column, &order)?;
                arrays.iter().map(|array| compress(array.as_ref(), kind)).collect::<PolarsResult<Vec<_>>>()
            })
            .collect::<PolarsResult<_>>()?;
        let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
        let mut writer = PartWriter::new()?;
        for rows in order.chunks(ROW_GROUP) {
            let pages: Vec<_> = columns.iter_mut().filter_map(Iterator::next).collect();
            writer.write_pages(rows.len(), &pages)?;
        }
        writer.finish()
    };
    let bytes = sound::read(target, "merging the parts", merge)?;
    write_file(target, |out| out.write_all(&bytes))?;
    Ok(bytes.len() as u64)
}

/// The rows of all parts, by their number over all, in the order of the file: date, policy domain, source address.
fn order(parts: &[Part]) -> PolarsResult<Vec<u32>> {
    let days = numbers::<i32>(parts, column("date"))?;
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

fn column(name: &str) -> &'static Column {
    COLUMNS.iter().find(|column| column.name == name).expect("a column of the list")
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
fn words(parts: &[Part], name: &str) -> PolarsResult<Words> {
    let mut known: PlHashMap<Text, u32> = PlHashMap::new();
    let mut all = Words::default();
    for part in parts {
        for group in &part.metadata.row_groups {
            let words = super::read::words(part, group, name)?;
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
    Ok(all)
}

/// A column over all parts as one array.
fn whole(parts: &[Part], column: &Column) -> PolarsResult<Box<dyn Array>> {
    let mut arrays = Vec::new();
    for part in parts {
        for group in &part.metadata.row_groups {
            arrays.push(read_array(&part.file, group, arrow_field(column))?);
        }
    }
    concatenate(&arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>())
}

fn numbers<T: polars_core::utils::arrow::types::NativeType>(
    parts: &[Part],
    column: &Column,
) -> PolarsResult<PrimitiveArray<T>> {
    Ok(cast::<PrimitiveArray<T>>(whole(parts, column)?.as_ref())?.clone())
}

fn cast<T: Array>(array: &dyn Array) -> PolarsResult<&T> {
    array.as_any().downcast_ref().ok_or_else(|| polars_err!(ComputeError: "expected a column of its type"))
}

/// A column in the order of the merged file, an array a row group.
fn gather(parts: &[Part], column: &Column, order: &[u32]) -> PolarsResult<Vec<Box<dyn Array>>> {
    let groups = order.chunks(ROW_GROUP);
    match column.kind {
        Kind::HeadText(_) | Kind::Address(_) | Kind::Text(_) => {
            let words = words(parts, column.name)?;
            groups.map(|rows| dictionary(rows.iter().map(|row| words.get(*row as usize)))).collect()
        }
        Kind::List { fields, .. } => {
            let array = whole(parts, column)?;
            groups.map(|rows| gather_lists(cast(array.as_ref())?, fields, rows)).collect()
        }
        Kind::HeadTime(_) | Kind::Count(_) => gather_numbers(&numbers::<i64>(parts, column)?, groups),
        Kind::HeadDate(_) | Kind::HeadInt(_) => gather_numbers(&numbers::<i32>(parts, column)?, groups),
        Kind::Flag(_) => {
            let array = whole(parts, column)?;
            let flags: &BooleanArray = cast(array.as_ref())?;
            let group = |rows: &[u32]| {
                let values: Vec<Option<bool>> = rows.iter().map(|row| flags.get(*row as usize)).collect();
                Ok(Box::new(BooleanArray::from(values)) as Box<dyn Array>)
            };
            groups.map(group).collect()
        }
    }
}

fn gather_numbers<'a, T: polars_core::utils::arrow::types::NativeType>(
    array: &PrimitiveArray<T>,
    groups: impl Iterator<Item = &'a [u32]>,
) -> PolarsResult<Vec<Box<dyn Array>>> {
    let group = |rows: &[u32]| {
        let value = |row: usize| if array.is_null(row) { None } else { Some(array.value(row)) };
        let values: Vec<Option<T>> = rows.iter().map(|row| value(*row as usize)).collect();
        Ok(Box::new(PrimitiveArray::<T>::from(values).to(array.dtype().clone())) as Box<dyn Array>)
    };
    groups.map(group).collect()
}

fn gather_lists(lists: &ListArray<i64>, fields: &[ListField], rows: &[u32]) -> PolarsResult<Box<dyn Array>> {
    let items: &StructArray = cast(lists.values().as_ref())?;
    let bounds = lists.offsets().as_slice();
    let runs = rows.iter().map(|row| bounds[*row as usize]..bounds[*row as usize + 1]);
    let mut offsets = vec![0];
    let mut end = 0;
    for run in runs.clone() {
        end += run.end - run.start;
        offsets.push(end);
    }
    let arrays = items.values().iter().map(|texts| {
        let texts: &Utf8ViewArray = cast(texts.as_ref())?;
        dictionary(runs.clone().flatten().map(|item| texts.get(usize::try_from(item).unwrap_or(usize::MAX))))
    });
    list_of(offsets, arrays.collect::<PolarsResult<_>>()?, fields)
}

/// Merge packs into one; gives its bytes.
pub(crate) fn packs(paths: &[PathBuf], target: &Path) -> Result<u64, StoreError> {
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
    .map_err(|error| fault.take().unwrap_or(error))?;
    size_of(target)
}

fn copy_pack<W: Write>(path: &Path, to: &mut PackWriter<W>, manifest: &mut Vec<u8>) -> Result<(), StoreError> {
    let mut from = PackReader::open(path)?;
    let mut copied = std::collections::HashSet::new();
    for line in &from.manifest()? {
        if copied.insert(line.member.clone()) {
            to.copy(&mut from, &line.member)?;
        }
        serde_json::to_writer(&mut *manifest, line).expect("a line of plain values serialises");
        manifest.push(b'\n');
    }
    Ok(())
}
