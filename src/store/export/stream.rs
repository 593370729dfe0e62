//! Writes judged reports as streams of Arrow IPC, Parquet, NDJSON or CSV, with the columns of `records` and of
//! `reports`, without a store.
//!
//! Batches are in the order of the reports, and sorted inside. Arrow gets plain strings and lists with 32-bit offsets,
//! which every reader supports. Buffers are bounded by rows, reports and bytes.

use super::format::metadata;
use super::side_tables::SideTable;
use super::table_builder::TableBuilder;
use super::text_rows::TextFormat;
use super::tls::TlsTables;
use crate::model::{Accepted, AcceptedTls, Original, Record};
use crate::store::error::StoreError;
use crate::store::parquet::encode;
use crate::store::parquet::pages::compress;
use crate::store::parquet::table_file::TableFile;
use crate::store::tables::columns::{Table, TableColumn, schema_of};
use crate::store::tables::reports::{REPORTS, ReportRow};
use crate::store::tables::schema::{COLUMNS, ItemText, RecordColumnKind};
use crate::store::tables::table::RECORDS;
use crate::store::tables::tls::{TLS_FAILURES, TLS_REPORTS};
use jiff::Timestamp;
use polars_arrow::array::{Array, DictionaryArray, ListArray, StructArray, Utf8Array, Utf8ViewArray, new_empty_array};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, Field};
use polars_arrow::io::ipc::write as ipc;
use polars_arrow::offset::OffsetsBuffer;
use polars_arrow::record_batch::RecordBatchT;
use polars_error::{PolarsResult, polars_err};
use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// Rows of a batch, at most.
const BATCH_ROWS: usize = 1 << 12;
/// Approximate limit of buffered text, in bytes.
const WAITING_BYTES: usize = 16 << 20;

/// A writer shared by the Arrow writer and us, to flush it.
struct Shared<W>(Rc<RefCell<W>>);

impl<W: Write> Write for Shared<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

/// The format of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamFormat {
    /// The Arrow IPC stream format.
    #[default]
    Arrow,
    /// A Parquet file, one row group per batch.
    Parquet,
    /// One JSON object per line.
    Ndjson,
    /// CSV with a header line; lists as JSON.
    Csv,
    /// CSV for spreadsheets: see [`super::format::RowFormat::Spreadsheet`].
    Spreadsheet,
}

impl StreamFormat {
    /// Rows of a batch, at most.
    const fn batch_rows(self) -> usize {
        match self {
            // A reader of Parquet pays for each row group.
            Self::Parquet => encode::ROW_GROUP,
            _ => BATCH_ROWS,
        }
    }

    /// Buffered reports, at most.
    const fn waiting_reports(self) -> usize {
        match self {
            Self::Arrow => 1 << 10,
            Self::Parquet => 1 << 13,
            // Waiting gains nothing, and somebody may be watching.
            Self::Ndjson | Self::Csv | Self::Spreadsheet => 1 << 5,
        }
    }
}

/// Encodes batches.
enum Encoder<W: Write> {
    Arrow(Box<ipc::StreamWriter<Shared<W>>>, Arc<ArrowSchema>),
    Parquet(Box<TableFile<Shared<W>>>),
    Text(TextFormat),
}

/// A stream of batches of one table.
struct Batches<W: Write> {
    out: Rc<RefCell<W>>,
    encoder: Encoder<W>,
    table: &'static Table,
    names: Vec<&'static str>,
}

impl<W: Write> Batches<W> {
    fn start(out: W, table: &'static Table, format: StreamFormat) -> Result<Self, StoreError> {
        let names = table.column_names();
        let out = Rc::new(RefCell::new(out));
        let shared = Shared(out.clone());
        let text = |format: TextFormat| {
            let head = out.borrow_mut().write_all(format.head(&names).as_bytes());
            head.map(|()| Encoder::Text(format)).map_err(StoreError::io(Path::new(table.name), "writing"))
        };
        let encoder = match format {
            StreamFormat::Arrow => {
                let schema = schema_of((table.columns)().iter().map(TableColumn::field).map(plain_field));
                let mut writer = ipc::StreamWriter::new(shared, ipc::WriteOptions { compression: None });
                writer.set_custom_schema_metadata(metadata(table));
                writer.start(&schema, None).map_err(StoreError::parquet(Path::new(table.name), "writing Arrow"))?;
                Encoder::Arrow(Box::new(writer), Arc::new(schema))
            }
            StreamFormat::Parquet => {
                let file = TableFile::new(table, shared);
                Encoder::Parquet(Box::new(file.map_err(StoreError::parquet(Path::new(table.name), "writing Parquet"))?))
            }
            StreamFormat::Ndjson => text(TextFormat::Ndjson)?,
            StreamFormat::Csv => text(TextFormat::Csv)?,
            StreamFormat::Spreadsheet => text(TextFormat::Spreadsheet)?,
        };
        Ok(Self { out, encoder, table, names })
    }

    fn path(&self) -> &'static Path {
        Path::new(self.table.name)
    }

    /// Writes a batch; strings may be dictionaries.
    fn write(&mut self, rows: usize, arrays: &[Box<dyn Array>]) -> Result<(), StoreError> {
        let path = self.path();
        match &mut self.encoder {
            Encoder::Arrow(writer, schema) => {
                let arrays = arrays.iter().map(|array| plain(array.as_ref())).collect::<PolarsResult<Vec<_>>>();
                let batch = arrays.and_then(|arrays| RecordBatchT::try_new(rows, schema.clone(), arrays));
                let written = batch.and_then(|batch| writer.write(&batch, None));
                written.map_err(StoreError::parquet(path, "writing Arrow"))
            }
            Encoder::Parquet(file) => {
                let pages = arrays.iter().zip(file.types()).map(|(array, kind)| compress(array.as_ref(), kind));
                let pages = pages.collect::<PolarsResult<Vec<_>>>();
                let written = pages.and_then(|pages| file.write_pages(rows, &pages));
                written.map_err(StoreError::parquet(path, "writing Parquet"))
            }
            Encoder::Text(format) => {
                let written = format.write(&self.names, arrays, rows, &mut *self.out.borrow_mut());
                written.map_err(StoreError::io(path, "writing"))
            }
        }
    }

    /// Writes the mark that everything up to here is complete (a batch without rows, or an empty line), and flushes.
    fn mark(&mut self) -> Result<(), StoreError> {
        match &self.encoder {
            Encoder::Arrow(_, schema) => {
                let arrays: Vec<_> = schema.iter_values().map(|field| new_empty_array(field.dtype.clone())).collect();
                self.write(0, &arrays)?;
            }
            // A file has no marks.
            Encoder::Parquet(_) => {}
            Encoder::Text(_) => {
                let written = self.out.borrow_mut().write_all(b"\n");
                written.map_err(StoreError::io(self.path(), "writing"))?;
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.out.borrow_mut().flush().map_err(StoreError::io(self.path(), "writing"))
    }

    fn finish(self) -> Result<(), StoreError> {
        let path = self.path();
        let ended = match self.encoder {
            Encoder::Arrow(mut writer, _) => writer.finish(),
            Encoder::Parquet(file) => file.finish().map(drop),
            Encoder::Text(_) => Ok(()),
        };
        ended.map_err(StoreError::parquet(path, "writing"))?;
        self.out.borrow_mut().flush().map_err(StoreError::io(path, "writing"))
    }
}

/// Streams the records of reports, and optionally the reports, as they arrive.
pub struct Stream<W: Write, R: Write> {
    records: Batches<W>,
    reports: Option<Batches<R>>,
    /// `tls_reports` and `tls_failures`, those that are wanted.
    tls: [Option<Batches<R>>; 2],
    format: StreamFormat,
    waiting: Vec<Accepted>,
    waiting_tls: TlsTables,
    bytes: usize,
    now: Timestamp,
}

/// Where rows of other tables than `records` go.
#[derive(Debug, Default)]
pub struct SideOutputs<R> {
    /// `reports`.
    pub reports: Option<R>,
    /// `tls_reports`.
    pub tls_reports: Option<R>,
    /// `tls_failures`.
    pub tls_failures: Option<R>,
}

impl<R> SideOutputs<R> {
    /// None of them.
    pub const NONE: Self = Self { reports: None, tls_reports: None, tls_failures: None };
}

impl<W: Write, R: Write> Stream<W, R> {
    /// Begins all streams in one format.
    ///
    /// # Errors
    /// If a stream cannot be written.
    pub fn start(records: W, others: SideOutputs<R>, format: StreamFormat, now: Timestamp) -> Result<Self, StoreError> {
        let start = |out: Option<R>, table| out.map(|out| Batches::start(out, table, format)).transpose();
        Ok(Self {
            records: Batches::start(records, &RECORDS, format)?,
            reports: start(others.reports, &REPORTS)?,
            tls: [start(others.tls_reports, &TLS_REPORTS)?, start(others.tls_failures, &TLS_FAILURES)?],
            format,
            waiting: Vec::new(),
            waiting_tls: TlsTables::default(),
            bytes: 0,
            now,
        })
    }

    /// Adds a report; it may be buffered.
    ///
    /// # Errors
    /// If a stream cannot be written.
    pub fn push(&mut self, mut accepted: Accepted) -> Result<(), StoreError> {
        // Its bytes are not written here.
        accepted.original = Arc::new(Original::Plain(Vec::new()));
        self.bytes += weight(&accepted);
        self.waiting.push(accepted);
        let full = self.bytes > WAITING_BYTES || self.waiting.len() >= self.format.waiting_reports();
        if full { self.write() } else { Ok(()) }
    }

    /// Adds a TLS report; it may wait.
    ///
    /// # Errors
    /// If a stream cannot be written.
    pub fn push_tls(&mut self, accepted: &AcceptedTls) -> Result<(), StoreError> {
        if self.tls.iter().any(Option::is_some) {
            self.waiting_tls.push_report(accepted, self.now);
        }
        if self.waiting_tls.rows() >= self.format.batch_rows() { self.write_tls() } else { Ok(()) }
    }

    fn write_tls(&mut self) -> Result<(), StoreError> {
        let tables = std::mem::take(&mut self.waiting_tls).finish()?;
        for (SideTable { columns, rows, .. }, out) in tables.into_iter().zip(&mut self.tls) {
            if let Some(out) = out.as_mut().filter(|_| rows > 0) {
                out.write(rows, &columns)?;
            }
        }
        Ok(())
    }

    /// Writes what is buffered.
    fn write(&mut self) -> Result<(), StoreError> {
        self.bytes = 0;
        let waiting = std::mem::take(&mut self.waiting);
        let keys = encode::keys(&waiting);
        let judged = encode::judged(&waiting, &keys, |_| self.now);
        let failed = || StoreError::parquet(Path::new("records"), "building the columns");
        for batch in encode::batches(&judged, self.format.batch_rows()) {
            let (rows, arrays) = batch.map_err(failed())?;
            self.records.write(rows, &arrays)?;
        }
        let Some(reports) = self.reports.as_mut().filter(|_| !waiting.is_empty()) else { return Ok(()) };
        let mut table = TableBuilder::new(&REPORTS);
        waiting.iter().for_each(|accepted| table.push(ReportRow::new(accepted, self.now).values()));
        reports.write(waiting.len(), &table.finish()?.columns)
    }

    /// Writes what is buffered, then a mark that it is complete, and flushes. The mark is a batch without rows, or an
    /// empty line.
    ///
    /// # Errors
    /// If a stream cannot be written.
    pub fn mark(&mut self) -> Result<(), StoreError> {
        self.write()?;
        self.write_tls()?;
        // The records come last: once their mark arrives, the reports are complete.
        self.reports.iter_mut().chain(self.tls.iter_mut().flatten()).try_for_each(Batches::mark)?;
        self.records.mark()
    }

    /// Writes what is buffered, and ends the streams.
    ///
    /// # Errors
    /// If a stream cannot be written.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.write()?;
        self.write_tls()?;
        self.reports.into_iter().chain(self.tls.into_iter().flatten()).try_for_each(Batches::finish)?;
        self.records.finish()
    }
}

/// The approximate size of a report's rows in bytes.
fn weight(accepted: &Accepted) -> usize {
    let report = &accepted.report;
    let head = report.metadata.org_name.len() + report.metadata.report_id.len() + report.policy.domain.as_str().len();
    let lists = COLUMNS.iter().filter_map(|column| match column.kind {
        RecordColumnKind::List { len, texts, .. } => Some((len, texts)),
        _ => None,
    });
    let lists: Vec<_> = lists.collect();
    let of_record = |record| {
        let texts = |(len, texts): &(fn(&Record) -> usize, &[ItemText])| {
            let item = |item| texts.iter().map(|text| text(record, item).map_or(0, str::len)).sum::<usize>();
            (0..len(record)).map(item).sum::<usize>()
        };
        512 + head + lists.iter().map(texts).sum::<usize>()
    };
    1024 + report.records.iter().map(of_record).sum::<usize>()
}

/// The field with plain strings and lists.
pub(crate) fn plain_field(field: Field) -> Field {
    let dtype = plain_type(&field.dtype);
    Field::new(field.name, dtype, field.is_nullable)
}

fn plain_type(dtype: &ArrowDataType) -> ArrowDataType {
    match dtype {
        ArrowDataType::Utf8View | ArrowDataType::Dictionary(..) => ArrowDataType::Utf8,
        ArrowDataType::LargeList(items) => ArrowDataType::List(Box::new(plain_field(items.as_ref().clone()))),
        ArrowDataType::Struct(fields) => ArrowDataType::Struct(fields.iter().cloned().map(plain_field).collect()),
        other => other.clone(),
    }
}

/// The same values as plain strings and lists.
fn plain(array: &dyn Array) -> PolarsResult<Box<dyn Array>> {
    let dtype = plain_type(array.dtype());
    let any = array.as_any();
    if let Some(texts) = any.downcast_ref::<Utf8ViewArray>() {
        return texts_of(texts.iter());
    }
    if let Some(codes) = any.downcast_ref::<DictionaryArray<u32>>() {
        let words = codes.values().as_any().downcast_ref::<Utf8ViewArray>();
        let words = words.ok_or_else(|| polars_err!(ComputeError: "expected a dictionary of strings"))?;
        return texts_of(codes.keys_iter().map(|code| code.map(|code| words.value(code))));
    }
    if let Some(lists) = any.downcast_ref::<ListArray<i64>>() {
        let offsets =
            lists.offsets().as_slice().iter().map(|offset| narrow(*offset)).collect::<PolarsResult<Vec<_>>>()?;
        let items = plain(lists.values().as_ref())?;
        let offsets = OffsetsBuffer::try_from(offsets)?;
        return Ok(Box::new(ListArray::<i32>::try_new(dtype, offsets, items, lists.validity().cloned())?));
    }
    if let Some(structs) = any.downcast_ref::<StructArray>() {
        let values = structs.values().iter().map(|values| plain(values.as_ref())).collect::<PolarsResult<_>>()?;
        return Ok(Box::new(StructArray::try_new(dtype, structs.len(), values, structs.validity().cloned())?));
    }
    Ok(array.to_boxed())
}

fn texts_of<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> PolarsResult<Box<dyn Array>> {
    let (mut offsets, mut values, mut present) = (vec![0i32], Vec::new(), Vec::new());
    for text in texts {
        present.push(text.is_some());
        values.extend_from_slice(text.unwrap_or_default().as_bytes());
        offsets.push(narrow(values.len())?);
    }
    let validity = present.contains(&false).then(|| present.into_iter().collect::<Bitmap>());
    let offsets = OffsetsBuffer::try_from(offsets)?;
    Ok(Box::new(Utf8Array::<i32>::try_new(ArrowDataType::Utf8, offsets, values.into(), validity)?))
}

fn narrow(offset: impl TryInto<i32>) -> PolarsResult<i32> {
    offset.try_into().map_err(|_| polars_err!(ComputeError: "expected a batch under 2 GiB of text"))
}
