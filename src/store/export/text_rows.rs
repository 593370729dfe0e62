//! Formats rows as text: NDJSON and CSV.

use crate::store::tables::values::{self, Texts};
use jiff::Timestamp;
use polars_arrow::array::{Array, BooleanArray, ListArray, PrimitiveArray, StructArray};
use polars_arrow::datatypes::ArrowDataType;
use std::io::{self, Write};

/// How CSV spells times and lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CsvStyle {
    /// For programs: RFC 3339, JSON.
    Exact,
    /// For spreadsheets: a byte order mark, times that they recognize, lists in words.
    Spreadsheet,
}

/// A column's values, by type.
enum ColumnValues<'a> {
    Text(Texts<'a>),
    Long(&'a PrimitiveArray<i64>),
    Time(&'a PrimitiveArray<i64>),
    Int(&'a PrimitiveArray<i32>),
    Date(&'a PrimitiveArray<i32>),
    Float(&'a PrimitiveArray<f64>),
    Flag(&'a BooleanArray),
    List(&'a ListArray<i64>, Vec<(&'a str, Texts<'a>)>),
}

impl<'a> ColumnValues<'a> {
    fn all(arrays: &'a [Box<dyn Array>]) -> io::Result<Vec<Self>> {
        arrays.iter().map(|array| Self::of(array.as_ref())).collect()
    }

    fn of(array: &'a dyn Array) -> io::Result<Self> {
        Ok(match array.dtype() {
            ArrowDataType::Timestamp(..) => Self::Time(cast(array)?),
            ArrowDataType::Int64 => Self::Long(cast(array)?),
            ArrowDataType::Date32 => Self::Date(cast(array)?),
            ArrowDataType::Int32 => Self::Int(cast(array)?),
            ArrowDataType::Float64 => Self::Float(cast(array)?),
            ArrowDataType::Boolean => Self::Flag(cast(array)?),
            ArrowDataType::LargeList(_) => {
                let list: &ListArray<i64> = cast(array)?;
                let items: &StructArray = cast(list.values().as_ref())?;
                let texts = items.fields().iter().zip(items.values());
                let texts = texts.map(|(field, array)| Ok((field.name.as_str(), texts_of(array.as_ref())?)));
                Self::List(list, texts.collect::<io::Result<_>>()?)
            }
            _ => Self::Text(texts_of(array)?),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(texts) => texts.get(row).is_none(),
            Self::Long(array) | Self::Time(array) => array.is_null(row),
            Self::Int(array) | Self::Date(array) => array.is_null(row),
            Self::Float(array) => array.is_null(row),
            Self::Flag(array) => array.is_null(row),
            Self::List(array, _) => array.is_null(row),
        }
    }

    /// The value as JSON.
    fn json(&self, row: usize, out: &mut Vec<u8>) -> io::Result<()> {
        if self.is_null(row) {
            return out.write_all(b"null");
        }
        match self {
            Self::Text(texts) => string(texts.get(row).unwrap_or_default(), out),
            Self::Long(array) => write!(out, "{}", array.value(row)),
            Self::Int(array) => write!(out, "{}", array.value(row)),
            Self::Float(array) => serde_json::to_writer(out, &array.value(row)).map_err(io::Error::other),
            Self::Flag(array) => write!(out, "{}", array.value(row)),
            Self::Time(array) => write!(out, "\"{}\"", time(array.value(row))),
            Self::Date(array) => write!(out, "\"{}\"", values::day(array.value(row))),
            Self::List(array, fields) => {
                out.push(b'[');
                for item in items(array, row)? {
                    out.extend(if out.last() == Some(&b'[') { b"{".as_slice() } else { b",{" });
                    for (index, (name, texts)) in fields.iter().enumerate() {
                        write!(out, "{}\"{name}\":", if index > 0 { "," } else { "" })?;
                        match texts.get(item) {
                            Some(text) => string(text, out)?,
                            None => out.extend(b"null"),
                        }
                    }
                    out.push(b'}');
                }
                out.push(b']');
                Ok(())
            }
        }
    }

    /// The value as a CSV field; null is an empty field.
    fn field(&self, row: usize, style: CsvStyle, out: &mut Vec<u8>) -> io::Result<()> {
        if self.is_null(row) {
            return Ok(());
        }
        match self {
            // An empty text is quoted, which distinguishes it from null.
            Self::Text(texts) => quote(texts.get(row).unwrap_or_default(), out),
            Self::Time(array) => match style {
                CsvStyle::Exact => write!(out, "{}", time(array.value(row)))?,
                CsvStyle::Spreadsheet => write!(out, "{}", time(array.value(row)).strftime("%Y-%m-%d %H:%M:%S"))?,
            },
            Self::Date(array) => write!(out, "{}", values::day(array.value(row)))?,
            Self::List(array, fields) => match style {
                CsvStyle::Exact => {
                    let mut json = Vec::new();
                    self.json(row, &mut json)?;
                    quote(&String::from_utf8_lossy(&json), out);
                }
                CsvStyle::Spreadsheet => {
                    let words: Vec<String> = items(array, row)?.map(|item| in_words(fields, item)).collect();
                    if !words.is_empty() {
                        quote(&words.join("; "), out);
                    }
                }
            },
            Self::Long(_) | Self::Int(_) | Self::Float(_) | Self::Flag(_) => self.json(row, out)?,
        }
        Ok(())
    }
}

/// The items of a row's list.
fn items(list: &ListArray<i64>, row: usize) -> io::Result<std::ops::Range<usize>> {
    let bounds = &list.offsets().as_slice()[row..=row + 1];
    let bound = |index: usize| usize::try_from(bounds[index]).map_err(io::Error::other);
    Ok(bound(0)?..bound(1)?)
}

/// An item of a list in words: its fields one after the other, the last one, a remark, in parentheses.
fn in_words(fields: &[(&str, Texts<'_>)], item: usize) -> String {
    let Some(((_, remark), values)) = fields.split_last() else { return String::new() };
    let mut words: Vec<String> = values.iter().filter_map(|(_, texts)| texts.get(item)).map(str::to_owned).collect();
    words.extend(remark.get(item).map(|remark| format!("({remark})")));
    words.join(" ")
}

fn texts_of(array: &dyn Array) -> io::Result<Texts<'_>> {
    Texts::of(array).ok_or_else(|| io::Error::other("a column is not of its type"))
}

fn cast<T: Array>(array: &dyn Array) -> io::Result<&T> {
    array.as_any().downcast_ref().ok_or_else(|| io::Error::other("a column is not of its type"))
}

fn time(millisecond: i64) -> Timestamp {
    values::time(millisecond)
}

fn string(text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::other)
}

/// Whether a spreadsheet would take the text for a formula.
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
}

/// A text as a CSV field, quoted if necessary. Text that a spreadsheet would run as a formula is prefixed with `'`.
pub(crate) fn quote(text: &str, out: &mut Vec<u8>) {
    let formula = is_formula(text);
    if !formula && !text.is_empty() && !text.contains([',', '"', '\n', '\r']) {
        return out.extend(text.as_bytes());
    }
    out.push(b'"');
    if formula {
        out.push(b'\'');
    }
    out.extend(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

/// One JSON object per line; the names are those of the columns.
pub(crate) fn ndjson(names: &[&str], arrays: &[Box<dyn Array>], rows: usize, out: &mut dyn Write) -> io::Result<()> {
    let columns = ColumnValues::all(arrays)?;
    let mut line = Vec::new();
    for row in 0..rows {
        line.clear();
        for (name, values) in names.iter().zip(&columns) {
            write!(line, "{}\"{name}\":", if line.is_empty() { "{" } else { "," })?;
            values.json(row, &mut line)?;
        }
        line.extend(b"}\n");
        out.write_all(&line)?;
    }
    Ok(())
}

/// The names of the columns.
pub(crate) fn csv_header(names: &[&str], style: CsvStyle, out: &mut dyn Write) -> io::Result<()> {
    if style == CsvStyle::Spreadsheet {
        out.write_all("\u{feff}".as_bytes())?;
    }
    writeln!(out, "{}", names.join(","))
}

/// One line per row.
pub(crate) fn csv(style: CsvStyle, arrays: &[Box<dyn Array>], rows: usize, out: &mut dyn Write) -> io::Result<()> {
    let columns = ColumnValues::all(arrays)?;
    let mut line = Vec::new();
    for row in 0..rows {
        line.clear();
        for (index, values) in columns.iter().enumerate() {
            if index > 0 {
                line.push(b',');
            }
            values.field(row, style, &mut line)?;
        }
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::parquet::dictionary::dictionary;
    use crate::store::parquet::encode::list_of;

    #[test]
    fn a_formula_is_escaped_and_a_quote_is_doubled() {
        let quoted = |text: &str| {
            let mut out = Vec::new();
            quote(text, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(quoted("\tx"), "\"'\tx\"");
        assert_eq!(quoted("say \"no\""), "\"say \"\"no\"\"\"");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("plain"), "plain");
    }

    #[test]
    fn a_spreadsheet_gets_lists_in_words_and_times_it_knows() {
        let column = |texts: [Option<&'static str>; 3]| dictionary(texts.into_iter()).unwrap();
        let leaves =
            vec![column([Some("local_policy"), None, Some("other")]), column([Some("=1"), Some("{\"a\": [1]}"), None])];
        let arrays: Vec<Box<dyn Array>> = vec![
            list_of(vec![0, 3, 3], leaves, ["type", "comment"].into_iter()).unwrap(),
            Box::new(
                PrimitiveArray::<i64>::from(vec![Some(1_795_478_399_000), None])
                    .to(crate::store::tables::columns::ColumnType::Time.arrow()),
            ),
        ];
        let lines = |style| {
            let mut out = Vec::new();
            csv_header(&["reasons", "period_end"], style, &mut out).unwrap();
            csv(style, &arrays, 2, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            lines(CsvStyle::Spreadsheet),
            "\u{feff}reasons,period_end\n\"local_policy (=1); ({\"\"a\"\": [1]}); other\",2026-11-23 23:59:59\n,\n"
        );
        assert!(lines(CsvStyle::Exact).contains("{\"\"type\"\":null"), "{}", lines(CsvStyle::Exact));
        assert!(lines(CsvStyle::Exact).contains("2026-11-23T23:59:59Z"));
    }
}
