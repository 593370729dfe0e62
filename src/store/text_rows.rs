//! Rows as text: NDJSON and CSV. The only places where a row's values meet their spelling in text.

use super::schema::{COLUMNS, Kind};
use jiff::Timestamp;
use polars_arrow::array::{Array, BooleanArray, ListArray, PrimitiveArray, StructArray, Utf8ViewArray};
use std::io::{self, Write};

/// A column's values, by type.
enum Values<'a> {
    Text(&'a Utf8ViewArray),
    Long(&'a PrimitiveArray<i64>),
    Time(&'a PrimitiveArray<i64>),
    Int(&'a PrimitiveArray<i32>),
    Date(&'a PrimitiveArray<i32>),
    Flag(&'a BooleanArray),
    List(&'a ListArray<i64>, Vec<(&'static str, &'a Utf8ViewArray)>),
}

impl<'a> Values<'a> {
    fn all(arrays: &'a [Box<dyn Array>]) -> io::Result<Vec<Self>> {
        COLUMNS.iter().zip(arrays).map(|(column, array)| Self::of(column.kind, array.as_ref())).collect()
    }

    fn of(kind: Kind, array: &'a dyn Array) -> io::Result<Self> {
        Ok(match kind {
            Kind::HeadText(_) | Kind::Address(_) | Kind::Text(_) => Self::Text(cast(array)?),
            Kind::HeadTime(_) => Self::Time(cast(array)?),
            Kind::Count(_) => Self::Long(cast(array)?),
            Kind::HeadDate(_) => Self::Date(cast(array)?),
            Kind::HeadInt(_) => Self::Int(cast(array)?),
            Kind::Flag(_) => Self::Flag(cast(array)?),
            Kind::List { fields, .. } => {
                let list: &ListArray<i64> = cast(array)?;
                let items: &StructArray = cast(list.values().as_ref())?;
                let texts = fields.iter().zip(items.values());
                let texts = texts.map(|(field, array)| Ok((field.name, cast(array.as_ref())?)));
                Self::List(list, texts.collect::<io::Result<_>>()?)
            }
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(array) => array.is_null(row),
            Self::Long(array) | Self::Time(array) => array.is_null(row),
            Self::Int(array) | Self::Date(array) => array.is_null(row),
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
            Self::Text(array) => string(array.value(row), out),
            Self::Long(array) => write!(out, "{}", array.value(row)),
            Self::Int(array) => write!(out, "{}", array.value(row)),
            Self::Flag(array) => write!(out, "{}", array.value(row)),
            Self::Time(array) => write!(out, "\"{}\"", time(array.value(row))),
            Self::Date(array) => write!(out, "\"{}\"", super::reports::day(array.value(row))),
            Self::List(array, fields) => {
                let bounds = &array.offsets().as_slice()[row..=row + 1];
                out.push(b'[');
                for item in bounds[0]..bounds[1] {
                    let item = usize::try_from(item).map_err(io::Error::other)?;
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

    /// The value as a CSV field; a null is an empty one.
    fn field(&self, row: usize, out: &mut Vec<u8>) -> io::Result<()> {
        if self.is_null(row) {
            return Ok(());
        }
        match self {
            // An empty text is quoted: so it is told from a null.
            Self::Text(array) => quote(array.value(row), out),
            Self::Time(array) => write!(out, "{}", time(array.value(row)))?,
            Self::Date(array) => write!(out, "{}", super::reports::day(array.value(row)))?,
            Self::List(..) => {
                let mut json = Vec::new();
                self.json(row, &mut json)?;
                quote(&String::from_utf8_lossy(&json), out);
            }
            Self::Long(_) | Self::Int(_) | Self::Flag(_) => self.json(row, out)?,
        }
        Ok(())
    }
}

fn cast<T: Array>(array: &dyn Array) -> io::Result<&T> {
    array.as_any().downcast_ref().ok_or_else(|| io::Error::other("a column is not of its type"))
}

fn time(millisecond: i64) -> Timestamp {
    super::reports::time(millisecond)
}

fn string(text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::other)
}

/// Whether a spreadsheet would take the text for a formula.
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

fn quote(text: &str, out: &mut Vec<u8>) {
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

/// One JSON object a line.
pub(crate) fn ndjson(arrays: &[Box<dyn Array>], rows: usize, out: &mut dyn Write) -> io::Result<()> {
    let columns = Values::all(arrays)?;
    let mut line = Vec::new();
    for row in 0..rows {
        line.clear();
        for (column, values) in COLUMNS.iter().zip(&columns) {
            write!(line, "{}\"{}\":", if line.is_empty() { "{" } else { "," }, column.name)?;
            values.json(row, &mut line)?;
        }
        line.extend(b"}\n");
        out.write_all(&line)?;
    }
    Ok(())
}

/// The names of the columns.
pub(crate) fn csv_header(out: &mut dyn Write) -> io::Result<()> {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    writeln!(out, "{}", names.join(","))
}

/// One line a row.
pub(crate) fn csv(arrays: &[Box<dyn Array>], rows: usize, out: &mut dyn Write) -> io::Result<()> {
    let columns = Values::all(arrays)?;
    let mut line = Vec::new();
    for row in 0..rows {
        line.clear();
        for (index, values) in columns.iter().enumerate() {
            if index > 0 {
                line.push(b',');
            }
            values.field(row, &mut line)?;
        }
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_defused_and_a_quote_is_doubled() {
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
}
