//! Reads columns of lists from Parquet: leaf by leaf as words, or whole through polars' arrays, which costs more.

use super::arrays::concatenated;
use super::checked_read::column_pages;
use super::column_types::{check_type, physical_types};
use super::decode::EncodedColumn;
use crate::model::{SIGNATURES_READ, Words, signature_line, speaks_of_body};
use crate::store::tables::values::{REASONS_READ, reasons_word};
use polars_arrow::array::Array;
use polars_arrow::datatypes::{ArrowDataType, Field};
use polars_error::{PolarsResult, polars_err};
use polars_parquet::read::{BasicDecompressor, ColumnChunkMetadata, RowGroupMetadata, column_iter_to_arrays};
use polars_utils::aliases::{InitHashMaps, PlHashMap};
use polars_utils::pl_str::PlSmallStr;
use std::fs::File;

/// A column of a row group as one Arrow array of the given type.
pub(crate) fn read_array(file: &File, group: &RowGroupMetadata, field: Field) -> PolarsResult<Box<dyn Array>> {
    let name = field.name.clone();
    let found = group
        .columns_under_root_iter(&name)
        .ok_or_else(|| polars_err!(ComputeError: "expected a column {}, found none", name))?;
    let found: Vec<_> = found.collect();
    let types = physical_types(&field.dtype);
    if !types.is_empty() {
        found.iter().try_for_each(|column| check_type(column, types))?;
    }
    read_columns(file, group, found.into_iter(), field)
}

/// One leaf of a column of structs, as an array of structs with only this field.
pub(crate) fn read_leaf(
    file: &File,
    group: &RowGroupMetadata,
    [root, name]: [&str; 2],
    dtype: ArrowDataType,
) -> PolarsResult<Box<dyn Array>> {
    let leaves = group.columns_under_root_iter(root).into_iter().flatten();
    let found: Vec<_> = leaves
        .filter(|column| column.descriptor().path_in_schema.iter().map(PlSmallStr::as_str).eq([root, name]))
        .collect();
    let [column] = found[..] else {
        return Err(polars_err!(ComputeError: "expected a column {}.{}, found none", root, name));
    };
    // Some writers require it of every struct, some do not.
    let may_be_null = column.descriptor().descriptor.max_def_level > 1;
    let inner = Field::new(name.into(), dtype, may_be_null);
    read_columns(file, group, found.into_iter(), Field::new(root.into(), ArrowDataType::Struct(vec![inner]), true))
}

/// As many values as the row group has rows, or an error: so every row number is valid.
fn read_columns<'a>(
    file: &File,
    group: &RowGroupMetadata,
    columns: impl Iterator<Item = &'a ColumnChunkMetadata>,
    field: Field,
) -> PolarsResult<Box<dyn Array>> {
    let (mut pages, mut types) = (Vec::new(), Vec::new());
    for column in columns {
        pages.push(BasicDecompressor::new(column_pages(file, column)?, Vec::new()));
        types.push(&column.descriptor().descriptor.primitive_type);
    }
    let name = field.name.clone();
    let (mut arrays, _) = column_iter_to_arrays(pages, types, field, None)?;
    let array = match arrays.len() {
        1 => arrays.swap_remove(0),
        _ => concatenated(&arrays).map_err(|error| error.context(name.to_string().into()))?,
    };
    if array.len() != group.num_rows() {
        return Err(polars_err!(
            ComputeError: "expected {} values in column {}, found {}", group.num_rows(), name, array.len()
        ));
    }
    Ok(array)
}

/// A leaf of a column of lists of structs: the words of all items, and for each row the number of items up to its end.
pub(crate) fn lists(
    file: &File,
    group: &RowGroupMetadata,
    name: &str,
    field: usize,
) -> PolarsResult<(Words, Vec<u32>)> {
    let column = group.columns_under_root_iter(name).and_then(|mut leaves| leaves.nth(field));
    let column = column.ok_or_else(|| polars_err!(ComputeError: "expected lists {}, found none", name))?;
    EncodedColumn::read_leaf(file, column, group.num_rows())?.lists()
}

/// The `reason` column of [`crate::model::Rows`]: the word of each row's reasons.
pub(crate) fn reasons(file: &File, group: &RowGroupMetadata) -> PolarsResult<Words> {
    let (kinds, ends) = lists(file, group, "reasons", 0)?;
    let (comments, _) = lists(file, group, "reasons", 1)?;
    if comments.codes.len() != kinds.codes.len() {
        return Err(polars_err!(ComputeError: "expected reasons of one length, found two"));
    }
    let mut known: PlHashMap<Vec<(u32, u32)>, u32> = PlHashMap::new();
    let mut codes = Vec::new();
    let mut words = Words { codes: Vec::with_capacity(ends.len()), dictionary: Vec::new() };
    let mut first = 0;
    for end in ends {
        let end = end as usize;
        let reasons = first..end.min(first + REASONS_READ);
        codes.clear();
        codes.extend(reasons.clone().map(|reason| (kinds.codes[reason], comments.codes[reason])));
        let code = match known.get(&codes) {
            _ if codes.is_empty() => Words::NULL,
            Some(code) => *code,
            None => {
                let word = reasons_word(reasons.map(|reason| (kinds.get(reason), comments.get(reason))));
                let code = word.map_or(Words::NULL, |word| {
                    words.dictionary.push(word);
                    u32::try_from(words.dictionary.len() - 1).expect("a row group has fewer rows")
                });
                known.insert(codes.clone(), code);
                code
            }
        };
        words.codes.push(code);
        first = end;
    }
    Ok(words)
}

/// The `signatures` column of [`crate::model::Rows`]: empty for rows with a single signature.
pub(crate) fn signatures(file: &File, group: &RowGroupMetadata) -> PolarsResult<Words> {
    let leaf = |field| lists(file, group, "dkim_results", field);
    let ((domains, ends), (selectors, _), (results, _), (texts, _)) = (leaf(0)?, leaf(1)?, leaf(2)?, leaf(3)?);
    if [&selectors, &results, &texts].iter().any(|words| words.codes.len() != domains.codes.len()) {
        return Err(polars_err!(ComputeError: "expected dkim_results of one length, found two"));
    }
    let body: Vec<bool> = texts.dictionary.iter().map(|text| speaks_of_body(text)).collect();
    let of_body = |item: usize| body.get(texts.codes[item] as usize).copied().unwrap_or(false);
    let mut known: PlHashMap<Vec<(u32, u32, u32, bool)>, u32> = PlHashMap::new();
    let mut words = Words { codes: Vec::with_capacity(ends.len()), dictionary: Vec::new() };
    let mut items = Vec::new();
    let mut first = 0;
    for end in ends {
        let end = end as usize;
        let found = first..end;
        first = end;
        if found.is_empty() || found.len() == 1 && !of_body(found.start) {
            words.codes.push(Words::NULL);
            continue;
        }
        items.clear();
        for item in found {
            let signature = (domains.codes[item], selectors.codes[item], results.codes[item], of_body(item));
            if items.len() < SIGNATURES_READ && !items.contains(&signature) {
                items.push(signature);
            }
        }
        let code = if let Some(code) = known.get(&items) {
            *code
        } else {
            let text = |words: &Words, code: u32| {
                words.dictionary.get(code as usize).map_or("", |text| text.as_str()).to_owned()
            };
            let lines: Vec<String> = items
                .iter()
                .map(|(domain, selector, result, body)| {
                    let (domain, selector) = (text(&domains, *domain), text(&selectors, *selector));
                    signature_line(&domain, &selector, &text(&results, *result), *body)
                })
                .collect();
            let code = u32::try_from(words.dictionary.len()).expect("a row group has fewer rows");
            words.dictionary.push(lines.join("\n").into());
            known.insert(items.clone(), code);
            code
        };
        words.codes.push(code);
    }
    Ok(words)
}
