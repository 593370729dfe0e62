//! Columns of texts as dictionaries: each distinct text once, and a code per row.

use polars_arrow::array::{Array, DictionaryArray, PrimitiveArray, Utf8ViewArray};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::datatypes::{ArrowDataType, IntegerType};
use polars_error::PolarsResult;
use polars_utils::aliases::PlHashMap;

/// A column of texts as a dictionary.
pub(crate) fn dictionary<'a>(values: impl Iterator<Item = Option<&'a str>>) -> PolarsResult<Box<dyn Array>> {
    let mut texts = DictionaryBuilder::default();
    let codes = values.map(|value| value.map_or(DictionaryBuilder::NULL, |text| texts.code(text))).collect();
    texts.array(codes)
}

/// Assigns each distinct text a small number.
#[derive(Default)]
pub(super) struct DictionaryBuilder<'a> {
    codes: PlHashMap<&'a str, u32>,
    texts: Vec<&'a str>,
    last: Option<(&'a str, u32)>,
}

impl<'a> DictionaryBuilder<'a> {
    /// The code of a null.
    pub(super) const NULL: u32 = u32::MAX;

    /// The code of a text.
    pub(super) fn code(&mut self, text: &'a str) -> u32 {
        // Neighbors in sorted rows are often equal: a comparison is cheaper than a hash.
        if let Some((last, code)) = self.last
            && last == text
        {
            return code;
        }
        let next = narrow(self.texts.len());
        let code = *self.codes.entry(text).or_insert(next);
        if code == next {
            self.texts.push(text);
        }
        self.last = Some((text, code));
        code
    }

    /// The array of these codes.
    pub(super) fn array(self, codes: Vec<u32>) -> PolarsResult<Box<dyn Array>> {
        dictionary_array(&self.texts, codes)
    }
}

/// An array of codes into texts; `u32::MAX` is null.
pub(crate) fn dictionary_array(texts: &[&str], mut codes: Vec<u32>) -> PolarsResult<Box<dyn Array>> {
    // A dictionary without an entry is legal, but rare enough to confuse readers: a column of nulls is written plain.
    if texts.is_empty() {
        return Ok(Box::new(Utf8ViewArray::new_null(ArrowDataType::Utf8View, codes.len())));
    }
    let mut validity = None;
    if codes.contains(&DictionaryBuilder::NULL) {
        validity = Some(codes.iter().map(|code| *code != DictionaryBuilder::NULL).collect::<Bitmap>());
        for code in &mut codes {
            *code = if *code == DictionaryBuilder::NULL { 0 } else { *code };
        }
    }
    let keys = PrimitiveArray::new(ArrowDataType::UInt32, codes.into(), validity);
    let dtype = ArrowDataType::Dictionary(IntegerType::UInt32, Box::new(ArrowDataType::Utf8View), false);
    let values = Utf8ViewArray::from_slice_values(texts);
    Ok(Box::new(DictionaryArray::try_new(dtype, keys, Box::new(values))?))
}

/// A count as a code.
pub(super) fn narrow(count: usize) -> u32 {
    u32::try_from(count).expect("a batch is bounded far below 2^32 rows")
}
