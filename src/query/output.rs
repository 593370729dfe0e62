//! Writes results as CSV, NDJSON, Parquet and Arrow, and as text for a table.

use super::QueryError;
use crate::store::tables::values::day;
use crate::store::{part_options, quote_csv};
use jiff::civil::Time;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use polars::prelude::{AnyValue, Column, CompatLevel, DataFrame, DataType, Field, PolarsResult, TimeUnit};
use polars_arrow::array::Array;
use polars_arrow::datatypes::{ArrowSchema, Field as ArrowField};
use polars_arrow::io::ipc::write as ipc;
use polars_arrow::record_batch::RecordBatchT;
use polars_parquet::write::{FileWriter, RowGroupIterator, get_dtype_encoding};
use serde_json::Value;
use std::io::Write;
use std::sync::Arc;

/// The formats of a result that are written part by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerFormat {
    /// CSV with a header line; lists as JSON; text that a spreadsheet would run is defused by a leading `'`.
    Csv,
    /// One JSON object per line.
    Ndjson,
    /// A Parquet file.
    Parquet,
    /// An Arrow IPC stream.
    Arrow,
}

/// Writes the parts of a result.
pub struct AnswerWriter<W: Write> {
    format: AnswerFormat,
    out: Output<W>,
}

enum Output<W: Write> {
    Start(W),
    Text(W),
    Arrow(Box<ipc::StreamWriter<W>>, Arc<ArrowSchema>),
    Parquet(Box<FileWriter<W>>, Arc<ArrowSchema>),
    Ended,
}

impl<W: Write> AnswerWriter<W> {
    /// Nothing is written before the first part is.
    pub const fn new(out: W, format: AnswerFormat) -> Self {
        Self { format, out: Output::Start(out) }
    }

    /// Writes a part; all parts have the columns of the first.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn write(&mut self, frame: &DataFrame) -> Result<(), QueryError> {
        if let Output::Start(_) = self.out {
            self.start(frame)?;
        }
        match &mut self.out {
            Output::Text(out) => match self.format {
                AnswerFormat::Csv => csv(frame, out),
                _ => ndjson(frame, out),
            },
            Output::Arrow(writer, schema) => {
                let batch = batch(frame, schema.clone())?;
                Ok(writer.write(&batch, None)?)
            }
            Output::Parquet(writer, schema) => {
                let encodings = schema.iter_values().map(|field| get_dtype_encoding(&field.dtype)).collect();
                let batches = std::iter::once(batch(frame, schema.clone()));
                for group in RowGroupIterator::try_new(batches, schema, part_options(), encodings)? {
                    writer.write(frame.height() as u64, group?)?;
                }
                Ok(())
            }
            Output::Start(_) | Output::Ended => Ok(()),
        }
    }

    fn start(&mut self, frame: &DataFrame) -> Result<(), QueryError> {
        let Output::Start(mut out) = std::mem::replace(&mut self.out, Output::Ended) else { return Ok(()) };
        let fields = frame.columns().iter().map(|column| column.field().to_arrow(LEVEL));
        let schema: Arc<ArrowSchema> = Arc::new(fields.map(|field: ArrowField| (field.name.clone(), field)).collect());
        self.out = match self.format {
            AnswerFormat::Csv => {
                let names = frame.get_column_names();
                let mut line = Vec::new();
                for (index, name) in names.into_iter().enumerate() {
                    line.extend((index > 0).then_some(b','));
                    quote_csv(name, &mut line);
                }
                line.push(b'\n');
                out.write_all(&line)?;
                Output::Text(out)
            }
            AnswerFormat::Ndjson => Output::Text(out),
            AnswerFormat::Arrow => {
                let mut writer = ipc::StreamWriter::new(out, ipc::WriteOptions { compression: None });
                writer.start(&schema, None)?;
                Output::Arrow(Box::new(writer), schema)
            }
            AnswerFormat::Parquet => {
                let writer = FileWriter::try_new(out, (*schema).clone(), part_options())?;
                Output::Parquet(Box::new(writer), schema)
            }
        };
        Ok(())
    }

    /// Writes the end.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn finish(mut self) -> Result<(), QueryError> {
        match &mut self.out {
            Output::Text(out) => Ok(out.flush()?),
            Output::Arrow(writer, _) => Ok(writer.finish()?),
            Output::Parquet(writer, _) => Ok(writer.end(None).map(drop)?),
            Output::Start(_) | Output::Ended => Ok(()),
        }
    }
}

/// Plain strings and lists, which every reader of Arrow knows.
const LEVEL: CompatLevel = CompatLevel::oldest();

fn batch(frame: &DataFrame, schema: Arc<ArrowSchema>) -> PolarsResult<RecordBatchT<Box<dyn Array>>> {
    let array = |column: &Column| column.as_materialized_series().rechunk().to_arrow(0, LEVEL);
    let arrays = frame.columns().iter().map(array).collect();
    RecordBatchT::try_new(frame.height(), schema, arrays)
}

fn ndjson(frame: &DataFrame, out: &mut impl Write) -> Result<(), QueryError> {
    let names: Vec<String> =
        frame.get_column_names().into_iter().map(|name| Value::String(name.to_string()).to_string()).collect();
    let mut line = Vec::new();
    for row in 0..frame.height() {
        line.clear();
        for (name, column) in names.iter().zip(frame.columns()) {
            line.push(if line.is_empty() { b'{' } else { b',' });
            line.extend(name.as_bytes());
            line.push(b':');
            json(&column.get(row)?, &mut line);
        }
        line.extend(b"}\n");
        out.write_all(&line)?;
    }
    Ok(())
}

fn csv(frame: &DataFrame, out: &mut impl Write) -> Result<(), QueryError> {
    let mut line = Vec::new();
    for row in 0..frame.height() {
        line.clear();
        for (index, column) in frame.columns().iter().enumerate() {
            line.extend((index > 0).then_some(b','));
            let value = column.get(row)?;
            match text(&value) {
                None => {}
                // Only text is escaped; numbers may begin with a minus.
                Some(text) if matches!(column.dtype(), DataType::String | DataType::List(_) | DataType::Struct(_)) => {
                    quote_csv(&text, &mut line);
                }
                Some(text) => line.extend(text.as_bytes()),
            }
        }
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}

/// The rows of a part as text, to be cleaned before it is displayed. `None` is a null.
///
/// # Errors
/// If a value cannot be read.
pub fn cells(frame: &DataFrame) -> Result<Vec<Vec<Option<String>>>, QueryError> {
    let row = |row: usize| -> Result<Vec<Option<String>>, QueryError> {
        frame.columns().iter().map(|column| Ok(text(&column.get(row)?))).collect()
    };
    (0..frame.height()).map(row).collect()
}

/// A value as text; `None` for a null.
fn text(value: &AnyValue<'_>) -> Option<String> {
    match value {
        AnyValue::Null => None,
        AnyValue::String(text) => Some((*text).to_owned()),
        AnyValue::StringOwned(text) => Some(text.to_string()),
        AnyValue::List(_) | AnyValue::Struct(..) | AnyValue::StructOwned(_) => {
            let mut out = Vec::new();
            json(value, &mut out);
            Some(String::from_utf8_lossy(&out).into_owned())
        }
        AnyValue::Date(days) => Some(day(*days).to_string()),
        AnyValue::Datetime(at, unit, zone) => Some(moment(*at, *unit, zone.is_some())),
        AnyValue::DatetimeOwned(at, unit, zone) => Some(moment(*at, *unit, zone.is_some())),
        AnyValue::Time(nanoseconds) => {
            Some(Time::midnight().saturating_add(SignedDuration::from_nanos(*nanoseconds)).to_string())
        }
        AnyValue::Float32(number) => Some(number.to_string()),
        AnyValue::Float64(number) => Some(number.to_string()),
        other => Some(other.to_string()),
    }
}

/// A value as JSON: numbers of any length as numbers, types without JSON equivalent as text.
fn json(value: &AnyValue<'_>, out: &mut Vec<u8>) {
    match value {
        AnyValue::Boolean(_) => out.extend(value.to_string().bytes()),
        AnyValue::Float32(number) if !number.is_finite() => out.extend(b"null"),
        AnyValue::Float64(number) if !number.is_finite() => out.extend(b"null"),
        AnyValue::List(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                out.extend((index > 0).then_some(b','));
                json(&item, out);
            }
            out.push(b']');
        }
        AnyValue::Struct(_, _, fields) => object(fields, value._iter_struct_av(), out),
        AnyValue::StructOwned(parts) => object(&parts.1, parts.0.iter().cloned(), out),
        number if number.is_primitive_numeric() || matches!(number, AnyValue::Decimal(..)) => {
            out.extend(text(number).unwrap_or_default().bytes());
        }
        other => match text(other) {
            None => out.extend(b"null"),
            Some(text) => out.extend(Value::String(text).to_string().bytes()),
        },
    }
}

fn object<'a>(fields: &[Field], values: impl Iterator<Item = AnyValue<'a>>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (field, value)) in fields.iter().zip(values).enumerate() {
        out.extend((index > 0).then_some(b','));
        out.extend(Value::String(field.name().to_string()).to_string().bytes());
        out.push(b':');
        json(&value, out);
    }
    out.push(b'}');
}

fn moment(at: i64, unit: TimeUnit, utc: bool) -> String {
    let time = match unit {
        TimeUnit::Nanoseconds => Timestamp::from_nanosecond(at.into()),
        TimeUnit::Microseconds => Timestamp::from_microsecond(at),
        TimeUnit::Milliseconds => Timestamp::from_millisecond(at),
    };
    match time {
        Ok(time) if utc => time.to_string(),
        Ok(time) => Offset::UTC.to_datetime(time).to_string(),
        Err(_) => at.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{AnswerFormat, AnswerWriter};
    use crate::query::whole_numbers::narrowed;
    use polars::prelude::{Column, DataFrame, DataType};

    fn written(columns: Vec<Column>, format: AnswerFormat) -> String {
        let mut out = Vec::new();
        let mut writer = AnswerWriter::new(&mut out, format);
        writer.write(&narrowed(DataFrame::new_infer_height(columns).unwrap()).unwrap()).unwrap();
        writer.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn whole_numbers_keep_each_digit() {
        let column = |name: &str, numbers: &[i128]| Column::new(name.into(), numbers);
        let columns =
            || vec![column("small", &[1, -7]), column("large", &[9_007_199_254_740_993, i128::from(i64::MAX) * 4])];
        assert_eq!(
            written(columns(), AnswerFormat::Ndjson),
            "{\"small\":1,\"large\":9007199254740993}\n{\"small\":-7,\"large\":36893488147419103228}\n"
        );
        assert_eq!(written(columns(), AnswerFormat::Csv), "small,large\n1,9007199254740993\n-7,36893488147419103228\n");
    }

    #[test]
    fn text_is_quoted_and_a_formula_is_escaped() {
        let columns = || {
            vec![
                Column::new("a,b".into(), &[Some("=1+1"), None, Some("")]),
                Column::new("rate".into(), &[0.5, f64::NAN, -1.0]),
                Column::new("day".into(), &[0_i32, 1, -1]).cast(&DataType::Date).unwrap(),
            ]
        };
        assert_eq!(
            written(columns(), AnswerFormat::Csv),
            "\"a,b\",rate,day\n\"'=1+1\",0.5,1970-01-01\n,NaN,1970-01-02\n\"\",-1,1969-12-31\n"
        );
        assert_eq!(
            written(columns(), AnswerFormat::Ndjson).lines().nth(1),
            Some("{\"a,b\":null,\"rate\":null,\"day\":\"1970-01-02\"}")
        );
    }
}
