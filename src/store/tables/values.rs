//! Days, times, numbers and lists as stored in tables.

pub(crate) use crate::model::days_since_epoch;
use crate::model::{ReportKey, SenderAuth, Text};
use jiff::civil::Date;
use jiff::{Span, Timestamp};
use polars_arrow::array::{Array, DictionaryArray, Utf8ViewArray};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use serde::{Deserialize, Serialize};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A count as stored in the ledger.
pub(crate) fn int(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// No value.
pub(crate) const NULL: ToSqlOutput<'_> = ToSqlOutput::Owned(Value::Null);

/// A text in a statement or row.
pub(crate) fn text(text: &str) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
}

/// A text that may be missing.
pub(crate) fn maybe_text(value: Option<&str>) -> ToSqlOutput<'_> {
    value.map_or(NULL, text)
}

/// Bytes.
pub(crate) fn bytes(bytes: &[u8]) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Blob(bytes))
}

/// A number.
pub(crate) const fn long<'a>(value: i64) -> ToSqlOutput<'a> {
    ToSqlOutput::Owned(Value::Integer(value))
}

/// A path; not every one is UTF-8.
pub(crate) fn path_value(path: &Path) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(path.as_os_str().as_bytes()))
}

/// The digit of half a byte.
pub(crate) fn hex_digit(half: u8) -> char {
    char::from_digit(half.into(), 16).unwrap_or('0')
}

/// A report's identity from its 32 hexadecimal digits.
pub(crate) fn parse_key(text: &str) -> Option<ReportKey> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|_| digits).map(|key| ReportKey(key.to_be_bytes()))
}

/// A finding, as stored in the manifest and in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineFinding {
    pub(crate) code: String,
    pub(crate) detail: String,
}

/// The value of a stored word.
pub(crate) fn sender_auth(word: &str) -> SenderAuth {
    SenderAuth::parse(word).unwrap_or_default()
}

/// What a comment contains for a mail whose ARC chain passes. The rest of the comment often differs for each row.
const ARC_PASS: &str = "arc=pass";

/// Reasons of a row that are examined.
pub(crate) const REASONS_READ: usize = 16;

/// Reasons that only explain what was done with a message: they count in any position.
const SPARED: [&str; 2] = ["sampled_out", "policy_test_mode"];

/// The word for a row's override reasons, from types and comments in order: that of the first, followed by those that
/// exempted the message.
pub(crate) fn reasons_word<'a>(reasons: impl IntoIterator<Item = (Option<&'a str>, Option<&'a str>)>) -> Option<Text> {
    let mut reasons = reasons.into_iter().take(REASONS_READ);
    let (kind, comment) = reasons.next()?;
    let word = reason_word(kind, comment);
    let later: Vec<Option<&str>> = reasons.map(|(kind, _)| kind).collect();
    let spared = SPARED.into_iter().filter(|spared| kind != Some(spared) && later.contains(&Some(spared)));
    spared.fold(word, |word, spared| {
        Some(word.map_or_else(|| spared.into(), |word| Text::from(format!("{word} {spared}"))))
    })
}

/// The word for an override reason: its type, and `arc=pass` if the comment says so.
fn reason_word(kind: Option<&str>, comment: Option<&str>) -> Option<Text> {
    let arc = comment.filter(|comment| comment.to_ascii_lowercase().contains(ARC_PASS));
    match (kind, arc) {
        (Some(kind), Some(_)) => Some(Text::from(format!("{kind} {ARC_PASS}"))),
        (None, Some(_)) => Some(Text::from(ARC_PASS)),
        (kind, None) => kind.map(Text::from),
    }
}

/// A time from the ledger.
pub(crate) fn time(millisecond: i64) -> Timestamp {
    Timestamp::from_millisecond(millisecond).unwrap_or_default()
}

/// A day from the ledger or Parquet.
pub(crate) fn day(days: i32) -> Date {
    day_of_calendar(days).unwrap_or_default()
}

/// The same; `None` if the calendar has no such day.
pub(crate) fn day_of_calendar(days: i32) -> Option<Date> {
    jiff::civil::date(1970, 1, 1).checked_add(Span::new().try_days(days).ok()?).ok()
}

/// A column of texts, plain or as a dictionary.
pub(crate) enum Texts<'a> {
    /// As they are.
    Plain(&'a Utf8ViewArray),
    /// Codes, and the text of each.
    Coded(&'a DictionaryArray<u32>, &'a Utf8ViewArray),
}

impl<'a> Texts<'a> {
    /// The texts of an array.
    pub(crate) fn of(array: &'a dyn Array) -> Option<Self> {
        let any = array.as_any();
        if let Some(texts) = any.downcast_ref() {
            return Some(Self::Plain(texts));
        }
        let codes: &DictionaryArray<u32> = any.downcast_ref()?;
        Some(Self::Coded(codes, codes.values().as_any().downcast_ref()?))
    }

    /// The text of a row; `None` if it is null.
    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Plain(texts) => texts.get(row),
            Self::Coded(codes, words) => {
                if codes.is_null(row) {
                    None
                } else {
                    words.get(codes.key_value(row))
                }
            }
        }
    }
}
