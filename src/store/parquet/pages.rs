//! Arrow arrays as compressed Parquet pages.
//!
//! Polars writes the flat columns. Lists are written here: polars computes the levels of a list again for each leaf of
//! its struct, twice, which was a sixteenth of the time of `ingest`. That is worth the 120 lines from `compress_list` on.

use super::dictionary::dictionary;
use polars_arrow::array::{Array, DictionaryArray, ListArray, StructArray, Utf8ViewArray};
use polars_arrow::datatypes::ArrowDataType;
use polars_error::{PolarsResult, polars_err};
use polars_parquet::parquet::CowBuffer;
use polars_parquet::parquet::compression::Compression;
use polars_parquet::parquet::encoding::hybrid_rle;
use polars_parquet::parquet::page::{CompressedDictPage, DataPage, DataPageHeader, DataPageHeaderV1, DictPage};
use polars_parquet::parquet::schema::Repetition;
use polars_parquet::parquet::schema::types::PrimitiveType;
use polars_parquet::parquet::statistics::BinaryStatistics;
use polars_parquet::write::{
    CompressedDataPage, CompressedPage, CompressionOptions, Descriptor, Encoding, Page, ParquetType, StatisticsOptions,
    Version, WriteOptions, array_to_columns, to_parquet_leaves,
};
use std::cell::RefCell;
use zstd::bulk::Compressor;

/// The options for writing every part.
pub(crate) fn options() -> WriteOptions {
    WriteOptions {
        statistics: StatisticsOptions::default(),
        version: Version::V1,
        compression: CompressionOptions::Zstd(None),
        data_page_size: None,
    }
}

/// The compressed pages of each leaf of an array.
pub(crate) fn compress(array: &dyn Array, kind: &ParquetType) -> PolarsResult<Vec<Vec<CompressedPage>>> {
    if let Some(list) = array.as_any().downcast_ref() {
        return compress_list(list, kind);
    }
    // Without a value there is no dictionary to write.
    let plain = *array.dtype() == ArrowDataType::Boolean || array.null_count() == array.len();
    let encoding = if plain { Encoding::Plain } else { Encoding::RleDictionary };
    let leaves = array_to_columns(array.to_boxed(), kind.clone(), options(), &[encoding])?;
    leaves.into_iter().map(|mut pages| pages.try_fold(Vec::new(), |made, page| squeeze(made, page?))).collect()
}

thread_local! {
    /// Creating a context costs as much as compressing a page of a typical batch.
    static ZSTD: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

fn zstd(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    ZSTD.with_borrow_mut(|zstd| {
        let zstd = if let Some(zstd) = zstd {
            zstd
        } else {
            let zstd = zstd.insert(Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)?);
            // Readers check zstd's checksum automatically, and polars' writer adds none of Parquet's.
            zstd.include_checksum(true)?;
            zstd
        };
        let mut compressed = zstd.compress(bytes)?;
        // It was allocated for the worst case, and pages wait until their row group is complete.
        compressed.shrink_to_fit();
        Ok(compressed)
    })
}

/// Compresses a page, and adds it.
fn squeeze(mut pages: Vec<CompressedPage>, page: Page) -> PolarsResult<Vec<CompressedPage>> {
    pages.push(match page {
        Page::Data(page) => {
            let size = page.buffer().len();
            let bytes = CowBuffer::Owned(zstd(page.buffer())?);
            let rows = page.num_rows().ok_or_else(|| polars_err!(ComputeError: "expected a page to know its rows"))?;
            let header = page.header().clone();
            CompressedPage::Data(CompressedDataPage::new(header, bytes, Compression::Zstd, size, page.descriptor, rows))
        }
        Page::Dict(DictPage { buffer, num_values, is_sorted }) => {
            let bytes = CowBuffer::Owned(zstd(&buffer)?);
            let page = CompressedDictPage::new(bytes, Compression::Zstd, buffer.len(), num_values, is_sorted);
            CompressedPage::Dict(page)
        }
    });
    Ok(pages)
}

/// The pages of a list of structs of texts, whose texts are dictionaries or read back from a file.
fn compress_list(list: &ListArray<i64>, kind: &ParquetType) -> PolarsResult<Vec<Vec<CompressedPage>>> {
    let unexpected = || polars_err!(ComputeError: "expected a list of structs, found {:?}", list.dtype());
    let items: &StructArray = list.values().as_any().downcast_ref().ok_or_else(unexpected)?;
    if list.null_count() + items.null_count() > 0 {
        return Err(polars_err!(ComputeError: "expected no list and no struct to be null"));
    }
    let levels = Levels::new(list.offsets().as_slice(), kind)?;
    let leaves = items.values().iter().zip(to_parquet_leaves(kind.clone()));
    leaves
        .map(|(leaf, kind)| match leaf.as_any().downcast_ref::<Utf8ViewArray>() {
            Some(texts) => compress_leaf(dictionary(texts.iter())?.as_ref(), kind, &levels),
            None => compress_leaf(leaf.as_ref(), kind, &levels),
        })
        .collect()
}

/// Where the lists of a column begin and end, shared by all its leaves.
struct Levels<'a> {
    offsets: &'a [i64],
    /// The repetition levels, encoded.
    repetition: Vec<u8>,
    /// How many levels there are.
    count: usize,
    /// The definition level of an empty list.
    empty: u32,
    /// The definition level of a present text; one less for a missing one.
    present: u32,
}

impl<'a> Levels<'a> {
    fn new(offsets: &'a [i64], kind: &ParquetType) -> PolarsResult<Self> {
        // list (optional?) > repeated > element (optional?) > text (optional?)
        let inner = |kind: &ParquetType| match kind {
            ParquetType::GroupType { fields, .. } => fields.first().cloned(),
            ParquetType::PrimitiveType(_) => None,
        };
        let optional = |kind: &ParquetType| u32::from(kind.get_field_info().repetition == Repetition::Optional);
        let element = inner(kind).as_ref().and_then(inner);
        let text = element.as_ref().and_then(inner);
        let (Some(element), Some(text)) = (element, text) else {
            return Err(polars_err!(ComputeError: "expected a list of structs, found {:?}", kind));
        };
        let empty = optional(kind);
        let present = empty + 1 + optional(&element) + optional(&text);
        let mut levels = Self { offsets, repetition: Vec::new(), count: 0, empty, present };
        let each = levels.lengths().flat_map(|length| (0..length.max(1)).map(|item| u32::from(item > 0)));
        let mut repetition = Vec::new();
        levels_of(&mut repetition, each, 1)?;
        levels.count = levels.lengths().map(|length| length.max(1)).sum();
        levels.repetition = repetition;
        Ok(levels)
    }

    fn lengths(&self) -> impl Iterator<Item = usize> {
        self.offsets.windows(2).map(|bounds| usize::try_from(bounds[1] - bounds[0]).unwrap_or(0))
    }

    /// The definition levels of a leaf.
    fn definition(&self, leaf: &dyn Array) -> impl Iterator<Item = u32> {
        let mut item = usize::try_from(self.offsets.first().copied().unwrap_or(0)).unwrap_or(0);
        self.lengths().flat_map(move |length| {
            let first = item;
            item += length;
            (0..length.max(1)).map(move |item| match length {
                0 => self.empty,
                _ => self.present - u32::from(leaf.is_null(first + item)),
            })
        })
    }
}

/// Appends levels in the form of a version 1 data page: their length, then themselves.
fn levels_of(buffer: &mut Vec<u8>, levels: impl Iterator<Item = u32>, bits: u32) -> PolarsResult<()> {
    let mut encoded = Vec::new();
    hybrid_rle::encode(&mut encoded, levels, bits)?;
    buffer.extend_from_slice(&narrow(encoded.len())?.to_le_bytes());
    buffer.extend_from_slice(&encoded);
    Ok(())
}

fn bits(most: u32) -> u32 {
    u32::BITS - most.leading_zeros()
}

fn narrow(count: usize) -> PolarsResult<i32> {
    i32::try_from(count).map_err(|_| polars_err!(ComputeError: "expected a page of fewer than 2^31 bytes"))
}

/// A dictionary page and a data page; for a leaf without any value a data page alone.
fn compress_leaf(leaf: &dyn Array, kind: PrimitiveType, levels: &Levels<'_>) -> PolarsResult<Vec<CompressedPage>> {
    let mut buffer = levels.repetition.clone();
    levels_of(&mut buffer, levels.definition(leaf), bits(levels.present))?;
    let mut pages = Vec::with_capacity(2);
    let mut encoding = Encoding::Plain;
    if leaf.null_count() < leaf.len() {
        let unexpected = || polars_err!(ComputeError: "expected a dictionary of texts, found {:?}", leaf.dtype());
        let codes: &DictionaryArray<u32> = leaf.as_any().downcast_ref().ok_or_else(unexpected)?;
        let texts: &Utf8ViewArray = codes.values().as_any().downcast_ref().ok_or_else(unexpected)?;
        pages = squeeze(pages, Page::Dict(dictionary_page(texts)?))?;
        let bits = bits(narrow(texts.len())?.unsigned_abs().saturating_sub(1));
        buffer.push(u8::try_from(bits).unwrap_or(u8::MAX));
        hybrid_rle::encode(&mut buffer, codes.keys().non_null_values_iter(), bits)?;
        encoding = Encoding::RleDictionary;
    }
    let statistics = BinaryStatistics {
        primitive_type: kind.clone(),
        null_count: i64::try_from(leaf.null_count()).ok(),
        distinct_count: None,
        max_value: None,
        min_value: None,
    };
    let header = DataPageHeader::V1(DataPageHeaderV1 {
        num_values: narrow(levels.count)?,
        encoding: encoding.into(),
        definition_level_encoding: Encoding::Rle.into(),
        repetition_level_encoding: Encoding::Rle.into(),
        statistics: Some(statistics.serialize()),
    });
    let descriptor = Descriptor { primitive_type: kind, max_def_level: 0, max_rep_level: 0 };
    let rows = levels.offsets.len().saturating_sub(1);
    squeeze(pages, Page::Data(DataPage::new(header, CowBuffer::Owned(buffer), descriptor, rows)))
}

/// Texts one after the other, each after its length.
fn dictionary_page(texts: &Utf8ViewArray) -> PolarsResult<DictPage> {
    let mut bytes = Vec::new();
    for text in texts.values_iter() {
        bytes.extend_from_slice(&narrow(text.len())?.to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    Ok(DictPage::new(CowBuffer::Owned(bytes), texts.len(), false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::parquet::encode::{arrow_field, list_of};
    use crate::store::parquet::nested::{lists, read_array};
    use crate::store::parquet::table_file::row_group;
    use crate::store::tables::schema::{COLUMNS, RecordColumn, RecordColumnKind};
    use polars_arrow::datatypes::ArrowSchema;
    use polars_parquet::read::{FileMetadata, read_metadata};
    use polars_parquet::write::{FileWriter, to_parquet_schema};

    /// A file of one list column.
    fn written(column: &RecordColumn, list: &dyn Array) -> (std::fs::File, FileMetadata) {
        let schema: ArrowSchema = [(column.name.into(), arrow_field(column))].into_iter().collect();
        let parquet = to_parquet_schema(&schema).unwrap();
        let leaves = compress(list, &parquet.fields()[0]).unwrap();
        let mut writer = FileWriter::new_with_parquet_schema(Vec::new(), schema, parquet, options());
        writer.write(list.len() as u64, row_group(&[leaves])).unwrap();
        writer.end(None).unwrap();
        let file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut &file, &writer.into_inner()).unwrap();
        let footer = read_metadata(&mut std::io::BufReader::new(&file)).unwrap();
        (file, footer)
    }

    /// The lists as texts.
    fn texts(array: &dyn Array) -> Vec<Vec<Vec<Option<String>>>> {
        let list: &ListArray<i64> = array.as_any().downcast_ref().unwrap();
        let items: &StructArray = list.values().as_any().downcast_ref().unwrap();
        let fields: Vec<&Utf8ViewArray> =
            items.values().iter().map(|field| field.as_any().downcast_ref().unwrap()).collect();
        let item = |item: usize| fields.iter().map(|texts| texts.get(item).map(str::to_owned)).collect();
        let ends: Vec<usize> = list.offsets().iter().map(|end| usize::try_from(*end).unwrap()).collect();
        ends.windows(2).map(|bounds| (bounds[0]..bounds[1]).map(item).collect()).collect()
    }

    #[test]
    fn lists_read_back_as_they_were_written() {
        for column in COLUMNS {
            let RecordColumnKind::List { names, .. } = column.kind else { continue };
            // Lists of 0 to 4 items; the first field never null, the second sometimes, the third always.
            for (rows, words) in [(0, 1), (1, 1), (7, 1), (1000, 3), (40_000, 900)] {
                let lengths: Vec<usize> = (0..rows).map(|row| if rows == 7 { 0 } else { row * row % 5 }).collect();
                let total = lengths.iter().sum::<usize>();
                let word = |item: usize, field: usize| match field {
                    0 => Some(format!("word {}", item * 7 % words)),
                    1 => (!item.is_multiple_of(3)).then(|| format!("other {}", item % words)),
                    _ => None,
                };
                let columns: Vec<Vec<Option<String>>> =
                    (0..names.len()).map(|field| (0..total).map(|item| word(item, field)).collect()).collect();
                let arrays = columns.iter().map(|texts| dictionary(texts.iter().map(Option::as_deref)).unwrap());
                let sum = |end: &mut usize, length: &usize| {
                    *end += length;
                    Some(*end)
                };
                let ends: Vec<usize> = lengths.iter().scan(0, sum).collect();
                let offsets = std::iter::once(0).chain(ends.iter().map(|end| i64::try_from(*end).unwrap()));
                let list = list_of(offsets.collect(), arrays.collect(), names).unwrap();

                let (file, footer) = written(column, list.as_ref());
                let group = &footer.row_groups[0];
                let found = texts(read_array(&file, group, arrow_field(column)).unwrap().as_ref());
                let items = |(length, end): (&usize, &usize)| {
                    let items = end - length..*end;
                    items.map(|item| columns.iter().map(|texts| texts[item].clone()).collect()).collect()
                };
                let expected: Vec<Vec<Vec<Option<String>>>> = lengths.iter().zip(&ends).map(items).collect();
                assert!(found == expected, "{} of {rows} rows", column.name);
                for (field, texts) in columns.iter().enumerate() {
                    let (words, found) = lists(&file, group, column.name, field).unwrap();
                    assert!(found.into_iter().map(|end| end as usize).eq(ends.iter().copied()), "{}", column.name);
                    let found = (0..total).map(|item| words.get(item));
                    assert!(found.eq(texts.iter().map(Option::as_deref)), "{} of {rows} rows", column.name);
                }
            }
        }
    }
}
