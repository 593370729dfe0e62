//! Columns of lists back from Parquet, through polars' own arrays: rarer and dearer than the flat ones.

use super::read::reason_word;
use super::sound::column_pages;
use crate::model::{Text, Words};
use polars::error::{PolarsResult, polars_err};
use polars_core::prelude::{InitHashMaps, PlHashMap, PlSmallStr};
use polars_core::utils::arrow::array::{Array, ListArray, StructArray, Utf8ViewArray};
use polars_core::utils::arrow::datatypes::{ArrowDataType, Field};
use polars_parquet::read::{BasicDecompressor, ColumnChunkMetadata, RowGroupMetadata, column_iter_to_arrays};
use std::fs::File;

/// A column of a row group as one Arrow array of the given type.
pub(crate) fn read_array(file: &File, group: &RowGroupMetadata, field: Field) -> PolarsResult<Box<dyn Array>> {
    let name = field.name.clone();
    let found = group
        .columns_under_root_iter(&name)
        .ok_or_else(|| polars_err!(ComputeError: "expected a column {}, found none", name))?;
    read_columns(file, group, found, field)
}

/// One leaf of a column of structs, as an array of structs of nothing else.
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

/// As many values as the row group has rows, or an error: who asks for a row by its number gets one.
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
        _ => polars_core::utils::arrow::compute::concatenate::concatenate(
            &arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>(),
        )
        .map_err(|error| error.context(name.to_string().into()))?,
    };
    if array.len() != group.num_rows() {
        return Err(polars_err!(
            ComputeError: "expected {} values in column {}, found {}", group.num_rows(), name, array.len()
        ));
    }
    Ok(array)
}

/// The `reason` column of [`crate::model::Rows`].
pub(crate) fn reasons(file: &File, group: &RowGroupMetadata) -> PolarsResult<Words> {
    let column =
        super::schema::COLUMNS.iter().find(|column| column.name == "reasons").expect("the list of columns has it");
    let array = read_array(file, group, super::encode::arrow_field(column))?;
    let wrong = || polars_err!(ComputeError: "expected reasons to be a list of structs of strings");
    let lists = array.as_any().downcast_ref::<ListArray<i64>>().ok_or_else(wrong)?;
    let items = lists.values().as_any().downcast_ref::<StructArray>().ok_or_else(wrong)?;
    let texts =
        |index: usize| items.values().get(index).and_then(|values| values.as_any().downcast_ref::<Utf8ViewArray>());
    let (kinds, comments) = (texts(0).ok_or_else(wrong)?, texts(1).ok_or_else(wrong)?);

    let mut known: PlHashMap<Text, u32> = PlHashMap::new();
    let mut words = Words { codes: Vec::with_capacity(lists.len()), dictionary: Vec::new() };
    for bounds in lists.offsets().windows(2) {
        let first = usize::try_from(bounds[0]).map_err(|_| wrong())?;
        let word = if bounds[1] > bounds[0] { reason_word(kinds.get(first), comments.get(first)) } else { None };
        words.codes.push(word.map_or(Words::NULL, |word| {
            let next = u32::try_from(words.dictionary.len()).expect("a row group has fewer rows");
            *known.entry(word).or_insert_with_key(|word| {
                words.dictionary.push(word.clone());
                next
            })
        }));
    }
    Ok(words)
}
