//! Columns of a Parquet file decoded to plain vectors; dictionary codes stay codes.
//!
//! It works below polars' arrays. It reads our schema from any writer in plain or dictionary encoding, and trusts no
//! length and no code. For a leaf of a list of structs it also returns where each list ends.

use super::checked_read::{MOST_VALUES, PAGE_BYTES, column_bytes};
use super::column_types::check_type;
use crate::model::{Text, Words};
use polars_error::{PolarsError, PolarsResult, polars_err};
use polars_parquet::parquet::encoding::hybrid_rle::{HybridRleChunk, HybridRleDecoder};
use polars_parquet::parquet::page::{DataPage, split_buffer};
use polars_parquet::parquet::schema::Repetition;
use polars_parquet::parquet::schema::types::PhysicalType;
use polars_parquet::read::{BasicDecompressor, ColumnChunkMetadata, PageReader};
use polars_parquet::write::Encoding;
use polars_utils::aliases::{InitHashMaps, PlHashMap};
use std::fs::File;
use std::io::Cursor;

/// A column of one row group, read but not decoded.
pub(crate) struct EncodedColumn<'a> {
    column: &'a ColumnChunkMetadata,
    pages: BasicDecompressor,
    shape: ColumnShape,
    rows: usize,
}

/// What a value of a column belongs to.
enum ColumnShape {
    /// A row.
    Flat { optional: bool },
    /// An item of a row's list.
    Lists(Lists),
}

/// Where the lists of a column end.
struct Lists {
    /// The definition level from which on an item exists.
    item: u32,
    /// The definition level of an item that has a value.
    present: u32,
    /// For each row, the number of items up to its end.
    ends: Vec<u32>,
    items: u32,
}

impl<'a> EncodedColumn<'a> {
    /// Reads a flat column's bytes.
    pub(crate) fn read(file: &File, column: &'a ColumnChunkMetadata, rows: usize) -> PolarsResult<Self> {
        let descriptor = &column.descriptor().descriptor;
        if descriptor.max_rep_level > 0 || descriptor.max_def_level > 1 {
            return Err(wrong("a flat column, found a nested one"));
        }
        Self::of(file, column, rows, ColumnShape::Flat { optional: descriptor.max_def_level == 1 })
    }

    /// Reads the bytes of a leaf of a column of lists of structs.
    pub(crate) fn read_leaf(file: &File, column: &'a ColumnChunkMetadata, rows: usize) -> PolarsResult<Self> {
        let column_type = column.descriptor();
        let descriptor = &column_type.descriptor;
        // list (optional?) > repeated > element (optional?) > text (optional?)
        let empty = u32::from(column_type.base_type.get_field_info().repetition == Repetition::Optional);
        let present = u32::try_from(descriptor.max_def_level).unwrap_or(0);
        if descriptor.max_rep_level != 1 || present <= empty {
            return Err(wrong("a column of lists, found another"));
        }
        Self::of(file, column, rows, ColumnShape::Lists(Lists { item: empty + 1, present, ends: Vec::new(), items: 0 }))
    }

    fn of(file: &File, column: &'a ColumnChunkMetadata, rows: usize, shape: ColumnShape) -> PolarsResult<Self> {
        let bytes = column_bytes(file, column)?;
        let reader = PageReader::new(Cursor::new(bytes.into()), column, Vec::new(), PAGE_BYTES);
        Ok(Self { column, pages: BasicDecompressor::new(reader, Vec::new()), shape, rows })
    }

    /// Calls `page` for each data page with its values and their presence; returns where lists end.
    fn each_page(
        mut self,
        mut page: impl FnMut(&DataPage, &[u8], &Presence) -> PolarsResult<()>,
    ) -> PolarsResult<Vec<u32>> {
        let most = if matches!(self.shape, ColumnShape::Flat { .. }) { self.rows } else { MOST_VALUES };
        let mut seen = 0;
        while let Some(next) = self.pages.next() {
            let data = next?.decompress(&mut self.pages)?;
            let count = data.num_values();
            seen += count;
            if seen > most {
                return Err(wrong("as many values as rows, found more"));
            }
            let buffers = split_buffer(&data)?;
            let presence = match &mut self.shape {
                ColumnShape::Flat { optional: true } => Presence::decode(buffers.def, count)?,
                ColumnShape::Flat { optional: false } => Presence { runs: vec![(true, count)], present: count },
                ColumnShape::Lists(lists) => lists.presence(buffers.rep, buffers.def, count)?,
            };
            page(&data, buffers.values, &presence)?;
            self.pages.reuse_page_buffer(data);
        }
        let (rows, ends) = match self.shape {
            ColumnShape::Flat { .. } => (seen, Vec::new()),
            ColumnShape::Lists(lists) => (lists.ends.len(), lists.ends),
        };
        if rows == self.rows { Ok(ends) } else { Err(wrong("as many values as rows, found another number")) }
    }

    /// A column of strings.
    pub(crate) fn words(self) -> PolarsResult<Words> {
        self.texts().map(|(words, _)| words)
    }

    /// A leaf of lists: the words of all items, and for each row the number of items up to its end.
    pub(crate) fn lists(self) -> PolarsResult<(Words, Vec<u32>)> {
        self.texts()
    }

    fn texts(mut self) -> PolarsResult<(Words, Vec<u32>)> {
        check_type(self.column, &[PhysicalType::ByteArray])?;
        let mut words = Words { codes: Vec::with_capacity(self.rows), dictionary: Vec::new() };
        if let Some(page) = self.pages.read_dict_page()? {
            words.dictionary.reserve(page.num_values.min(self.rows));
            each_text(&page.buffer, page.num_values, |text| {
                words.dictionary.push(text);
                Ok(())
            })?;
        }
        let known = words.dictionary.len();
        let mut plain: PlHashMap<Text, u32> = PlHashMap::new();
        let ends = self.each_page(|page, values, presence| {
            let codes = match page.encoding() {
                Encoding::RleDictionary | Encoding::PlainDictionary => codes(values, presence.present, known)?,
                Encoding::Plain => {
                    let mut codes = Vec::with_capacity(presence.present);
                    each_text(values, presence.present, |text| {
                        let next = u32::try_from(words.dictionary.len()).map_err(|_| wrong("fewer than 2^32 words"))?;
                        let code = *plain.entry(text).or_insert_with_key(|text| {
                            words.dictionary.push(text.clone());
                            next
                        });
                        codes.push(code);
                        Ok(())
                    })?;
                    codes
                }
                other => return Err(encoding(other)),
            };
            presence.spread(&codes, Words::NULL, &mut words.codes)
        })?;
        Ok((words, ends))
    }

    /// A column of 64-bit integers; null is 0.
    pub(crate) fn longs(self) -> PolarsResult<Vec<i64>> {
        check_type(self.column, &[PhysicalType::Int64])?;
        self.numbers(|bytes: [u8; 8]| i64::from_le_bytes(bytes))
    }

    /// A column of 32-bit integers or dates; null is 0.
    pub(crate) fn ints(self) -> PolarsResult<Vec<i32>> {
        check_type(self.column, &[PhysicalType::Int32])?;
        self.numbers(|bytes: [u8; 4]| i32::from_le_bytes(bytes))
    }

    fn numbers<T: Copy + Default, const N: usize>(mut self, number: fn([u8; N]) -> T) -> PolarsResult<Vec<T>> {
        let dictionary = match self.pages.read_dict_page()? {
            Some(page) => plain_numbers(&page.buffer, page.num_values, number)?,
            None => Vec::new(),
        };
        let mut numbers = Vec::with_capacity(self.rows);
        self.each_page(|page, values, presence| {
            let present: Vec<T> = match page.encoding() {
                Encoding::RleDictionary | Encoding::PlainDictionary => {
                    codes(values, presence.present, dictionary.len())?
                        .into_iter()
                        .map(|code| dictionary[code as usize])
                        .collect()
                }
                Encoding::Plain => plain_numbers(values, presence.present, number)?,
                other => return Err(encoding(other)),
            };
            presence.spread(&present, T::default(), &mut numbers)
        })?;
        Ok(numbers)
    }

    /// A Boolean column: 0 false, 1 true, 2 null.
    pub(crate) fn bools(self) -> PolarsResult<Vec<u8>> {
        check_type(self.column, &[PhysicalType::Boolean])?;
        let mut bools = Vec::with_capacity(self.rows);
        self.each_page(|page, values, presence| {
            let present: Vec<u8> = match page.encoding() {
                Encoding::Plain => {
                    let bytes = values.get(..presence.present.div_ceil(8)).ok_or_else(short)?;
                    (0..presence.present).map(|index| bytes[index / 8] >> (index % 8) & 1).collect()
                }
                Encoding::Rle => {
                    let values = values.get(4..).ok_or_else(short)?;
                    let bits = HybridRleDecoder::new(values, 1, presence.present).collect()?;
                    bits.into_iter().map(|bit| u8::from(bit != 0)).collect()
                }
                other => return Err(encoding(other)),
            };
            presence.spread(&present, 2, &mut bools)
        })?;
        Ok(bools)
    }
}

impl Lists {
    /// Which items of a page have a value.
    fn presence(&mut self, repetition: &[u8], definition: &[u8], count: usize) -> PolarsResult<Presence> {
        let bits = u32::BITS - self.present.leading_zeros();
        let repetition = HybridRleDecoder::new(repetition, 1, count).collect()?;
        let definition = HybridRleDecoder::new(definition, bits, count).collect()?;
        if repetition.len() != count || definition.len() != count {
            return Err(short());
        }
        let mut presence = Presence { runs: Vec::new(), present: 0 };
        for (repetition, definition) in repetition.into_iter().zip(definition) {
            if repetition == 0 {
                self.ends.push(self.items);
            }
            if definition >= self.item {
                self.items += 1;
                *self.ends.last_mut().ok_or_else(|| wrong("a column that begins with a row"))? = self.items;
                presence.push(definition >= self.present, 1);
            }
        }
        Ok(presence)
    }
}

/// Which values of a page are present, in runs: of its rows, or of the items of its lists.
struct Presence {
    runs: Vec<(bool, usize)>,
    present: usize,
}

impl Presence {
    fn decode(levels: &[u8], count: usize) -> PolarsResult<Self> {
        let mut this = Self { runs: Vec::new(), present: 0 };
        let mut seen = 0;
        for chunk in HybridRleDecoder::new(levels, 1, count).into_chunk_iter() {
            match chunk? {
                HybridRleChunk::Rle(level, length) => {
                    seen += length;
                    this.push(level != 0, length);
                }
                HybridRleChunk::Bitpacked(packed) => {
                    let mut bits = Vec::with_capacity(packed.len());
                    packed.collect_into(&mut bits);
                    seen += bits.len();
                    for bit in bits {
                        this.push(bit != 0, 1);
                    }
                }
            }
        }
        if seen == count { Ok(this) } else { Err(short()) }
    }

    fn push(&mut self, present: bool, length: usize) {
        self.present += if present { length } else { 0 };
        match self.runs.last_mut() {
            Some((last, run)) if *last == present => *run += length,
            _ => self.runs.push((present, length)),
        }
    }

    /// Puts the values at their rows, and `null` elsewhere.
    fn spread<T: Copy>(&self, values: &[T], null: T, out: &mut Vec<T>) -> PolarsResult<()> {
        let mut rest = values;
        for (present, length) in &self.runs {
            if *present {
                let (run, more) = rest.split_at_checked(*length).ok_or_else(short)?;
                out.extend_from_slice(run);
                rest = more;
            } else {
                out.resize(out.len() + length, null);
            }
        }
        Ok(())
    }
}

/// The dictionary codes of a page, each below `known`.
fn codes(values: &[u8], count: usize, known: usize) -> PolarsResult<Vec<u32>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let (bits, packed) = values.split_first().ok_or_else(short)?;
    if *bits > 32 {
        return Err(wrong("codes of at most 32 bits"));
    }
    let codes = HybridRleDecoder::new(packed, u32::from(*bits), count).collect()?;
    if codes.len() != count {
        return Err(short());
    }
    match codes.iter().max() {
        Some(max) if *max as usize >= known => Err(wrong("codes into the dictionary, found one beyond it")),
        _ => Ok(codes),
    }
}

fn plain_numbers<T, const N: usize>(bytes: &[u8], count: usize, number: fn([u8; N]) -> T) -> PolarsResult<Vec<T>> {
    let (numbers, _) = bytes.as_chunks::<N>();
    let numbers = numbers.get(..count).ok_or_else(short)?;
    Ok(numbers.iter().map(|bytes| number(*bytes)).collect())
}

/// Calls `each` for each plain string.
fn each_text(mut bytes: &[u8], count: usize, mut each: impl FnMut(Text) -> PolarsResult<()>) -> PolarsResult<()> {
    for _ in 0..count {
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(short)?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
        bytes = rest;
        each(Text::from_utf8_lossy(text))?;
    }
    Ok(())
}

fn short() -> PolarsError {
    wrong("as many bytes as the page claims, found fewer")
}

fn wrong(expected: &str) -> PolarsError {
    polars_err!(ComputeError: "expected {}", expected)
}

fn encoding(found: Encoding) -> PolarsError {
    polars_err!(ComputeError: "expected plain or dictionary encoding, found {:?}", found)
}
