//! Formats rows as text: NDJSON and CSV.

use crate::store::tables::values::{Texts, day, time};
use polars_arrow::array::{Array, BooleanArray, ListArray, PrimitiveArray, StructArray};
use polars_arrow::datatypes::ArrowDataType;
use std::io::{self, Write};

/// The formats of one line per row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFormat {
    /// One JSON object per line.
    Ndjson,
    /// CSV for programs: times as in RFC 3339, lists as JSON.
    Csv,
    /// CSV for spreadsheets: a byte order mark, times that they recognize, lists in words.
    Spreadsheet,
}

impl TextFormat {
    /// What comes before the rows: in CSV the names of the columns.
    pub(crate) fn head(self, names: &[&str]) -> String {
        match self {
            Self::Ndjson => String::new(),
            Self::Csv => names.join(",") + "\n",
            Self::Spreadsheet => format!("\u{feff}{}\n", names.join(",")),
        }
    }

    /// Writes rows; the names are those of the columns.
    pub(crate) fn write(
        self,
        names: &[&str],
        arrays: &[Box<dyn Array>],
        rows: usize,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let columns = arrays.iter().map(|array| ColumnValues::of(array.as_ref())).collect::<io::Result<Vec<_>>>()?;
        let mut line = Vec::new();
        for row in 0..rows {
            line.clear();
            for (index, (name, values)) in names.iter().zip(&columns).enumerate() {
                if index > 0 {
                    line.push(b',');
                }
                if self == Self::Ndjson {
                    write!(line, "{}\"{name}\":", if index == 0 { "{" } else { "" })?;
                    values.json(row, &mut line)?;
                } else {
                    values.field(row, self, &mut line)?;
                }
            }
            line.extend(if self == Self::Ndjson { b"}\n".as_slice() } else { b"\n" });
            out.write_all(&line)?;
        }
        Ok(())
    }
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
            Self::Date(array) => write!(out, "\"{}\"", day(array.value(row))),
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
    fn field(&self, row: usize, format: TextFormat, out: &mut Vec<u8>) -> io::Result<()> {
        if self.is_null(row) {
            return Ok(());
        }
        match self {
            // An empty text is quoted, which distinguishes it from null.
            Self::Text(texts) => quote(texts.get(row).unwrap_or_default(), out),
            Self::Time(array) if format == TextFormat::Spreadsheet => {
                write!(out, "{}", time(array.value(row)).strftime("%Y-%m-%d %H:%M:%S"))?;
            }
            Self::Time(array) => write!(out, "{}", time(array.value(row)))?,
            Self::Date(array) => write!(out, "{}", day(array.value(row)))?,
            Self::List(array, fields) if format == TextFormat::Spreadsheet => {
                let words: Vec<String> = items(array, row)?.map(|item| in_words(fields, item)).collect();
                if !words.is_empty() {
                    quote(&words.join("; "), out);
                }
            }
            Self::List(..) => {
                let mut json = Vec::new();
                self.json(row, &mut json)?;
                quote(&String::from_utf8_lossy(&json), out);
            }
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

fn string(text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::other)
}

/// A text as a CSV field, quoted if necessary. Text that a spreadsheet would run as a formula is prefixed with `'`.
pub(crate) fn quote(text: &str, out: &mut Vec<u8>) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
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
            list_of(vec![0, 3, 3], leaves, &["type", "comment"]).unwrap(),
            Box::new(
                PrimitiveArray::<i64>::from(vec![Some(1_795_478_399_000), None])
                    .to(crate::store::tables::columns::ColumnType::Time.arrow()),
            ),
        ];
        let lines = |style: TextFormat| {
            let mut out = Vec::new();
            let names = ["reasons", "period_end"];
            style.write(&names, &arrays, 2, &mut out).unwrap();
            style.head(&names) + &String::from_utf8(out).unwrap()
        };
        assert_eq!(
            lines(TextFormat::Spreadsheet),
            "\u{feff}reasons,period_end\n\"local_policy (=1); ({\"\"a\"\": [1]}); other\",2026-11-23 23:59:59\n,\n"
        );
        assert!(lines(TextFormat::Csv).contains("{\"\"type\"\":null"), "{}", lines(TextFormat::Csv));
        assert!(lines(TextFormat::Csv).contains("2026-11-23T23:59:59Z"));
    }
}
