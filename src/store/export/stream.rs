//! Judged reports as streams of Arrow IPC, with the columns of `records` and of `reports`, without a store.
//!
//! A schema comes first, then batches in the order of the reports, sorted within a batch. The arrays are plain strings and
//! lists with 32-bit offsets, which every Arrow reader knows. What is buffered is bounded by rows, reports and bytes.

use super::reports::ReportTable;
use crate::model::{Accepted, Original};
use crate::store::error::StoreError;
use crate::store::parquet::encode;
use crate::store::tables::reports::REPORTS;
use crate::store::tables::schema::{COLUMNS, Kind, ListField};
use crate::store::tables::table::{RECORDS, Table, TableColumn};
use jiff::Timestamp;
use polars_arrow::array::{Array, DictionaryArray, ListArray, StructArray, Utf8Array, Utf8ViewArray, new_empty_array};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, Field, Metadata};
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
/// Reports that wait, at most.
const WAITING_REPORTS: usize = 1 << 10;
/// Bytes of text that wait, about, at most.
const WAITING_BYTES: usize = 16 << 20;

/// A writer in two hands: Arrow's, and ours to flush it.
struct Shared<W>(Rc<RefCell<W>>);

impl<W: Write> Write for Shared<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

/// The metadata of an Arrow schema: the version of the table.
pub(crate) fn metadata(table: &Table) -> Arc<Metadata> {
    let (key, version) = table.metadata();
    Arc::new([(key.into(), version.into())].into())
}

/// A stream of batches of one schema.
struct Batches<W: Write> {
    out: Rc<RefCell<W>>,
    writer: ipc::StreamWriter<Shared<W>>,
    schema: Arc<ArrowSchema>,
    name: &'static str,
}

impl<W: Write> Batches<W> {
    fn start(out: W, table: &Table) -> Result<Self, StoreError> {
        let name = table.name;
        let fields = (table.columns)().iter().map(TableColumn::field).map(plain_field).collect::<Vec<_>>();
        let schema: ArrowSchema = fields.into_iter().map(|field| (field.name.clone(), field)).collect();
        let out = Rc::new(RefCell::new(out));
        let mut writer = ipc::StreamWriter::new(Shared(out.clone()), ipc::WriteOptions { compression: None });
        writer.set_custom_schema_metadata(metadata(table));
        writer.start(&schema, None).map_err(StoreError::parquet(Path::new(name), "writing Arrow"))?;
        Ok(Self { out, writer, schema: Arc::new(schema), name })
    }

    fn write(&mut self, rows: usize, arrays: Vec<Box<dyn Array>>) -> Result<(), StoreError> {
        let batch = RecordBatchT::try_new(rows, self.schema.clone(), arrays);
        let written = batch.and_then(|batch| self.writer.write(&batch, None));
        written.map_err(StoreError::parquet(Path::new(self.name), "writing Arrow"))
    }

    /// A batch of no rows, and everything out.
    fn mark(&mut self) -> Result<(), StoreError> {
        let arrays = self.schema.iter_values().map(|field| new_empty_array(field.dtype.clone())).collect();
        self.write(0, arrays)?;
        self.flush()
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.out.borrow_mut().flush().map_err(StoreError::io(Path::new(self.name), "writing"))
    }

    fn finish(mut self) -> Result<(), StoreError> {
        self.writer.finish().map_err(StoreError::parquet(Path::new(self.name), "writing Arrow"))?;
        self.flush()
    }
}

/// The records of reports, and if wanted the reports themselves, as they come.
pub struct Stream<W: Write, R: Write> {
    records: Batches<W>,
    reports: Option<Batches<R>>,
    waiting: Vec<Accepted>,
    bytes: usize,
    now: Timestamp,
}

impl<W: Write, R: Write> Stream<W, R> {
    /// Write the schemas.
    ///
    /// # Errors
    /// Where a stream cannot be written.
    pub fn start(records: W, reports: Option<R>, now: Timestamp) -> Result<Self, StoreError> {
        Ok(Self {
            records: Batches::start(records, &RECORDS)?,
            reports: reports.map(|out| Batches::start(out, &REPORTS)).transpose()?,
            waiting: Vec::new(),
            bytes: 0,
            now,
        })
    }

    /// Add a report; it may wait.
    ///
    /// # Errors
    /// Where a stream cannot be written.
    pub fn push(&mut self, mut accepted: Accepted) -> Result<(), StoreError> {
        // Its bytes are not written here.
        accepted.original = Arc::new(Original::Xml(Vec::new()));
        self.bytes += weight(&accepted);
        self.waiting.push(accepted);
        if self.bytes > WAITING_BYTES || self.waiting.len() >= WAITING_REPORTS { self.write() } else { Ok(()) }
    }

    /// Write what waits.
    fn write(&mut self) -> Result<(), StoreError> {
        self.bytes = 0;
        let waiting = std::mem::take(&mut self.waiting);
        let keys = encode::keys(&waiting);
        let judged = encode::judged(&waiting, &keys, |_| self.now);
        let failed = || StoreError::parquet(Path::new("records"), "building the columns");
        for batch in encode::batches(&judged, BATCH_ROWS) {
            let (rows, arrays) = batch.map_err(failed())?;
            let arrays = arrays.iter().map(|array| plain(array.as_ref())).collect::<PolarsResult<_>>();
            self.records.write(rows, arrays.map_err(failed())?)?;
        }
        let Some(reports) = self.reports.as_mut().filter(|_| !waiting.is_empty()) else { return Ok(()) };
        let mut table = ReportTable::default();
        waiting.iter().for_each(|accepted| table.push(accepted, self.now));
        let arrays = table.arrays().and_then(|arrays| arrays.iter().map(|array| plain(array.as_ref())).collect());
        reports.write(waiting.len(), arrays.map_err(failed())?)
    }

    /// Write what waits, then a batch of no rows as a mark, and let everything out.
    ///
    /// # Errors
    /// Where a stream cannot be written.
    pub fn mark(&mut self) -> Result<(), StoreError> {
        self.write()?;
        // The records come last: who reads their mark finds the reports complete.
        self.reports.as_mut().map_or(Ok(()), Batches::mark)?;
        self.records.mark()
    }

    /// Write what waits, and the ends of the streams.
    ///
    /// # Errors
    /// Where a stream cannot be written.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.write()?;
        self.reports.map_or(Ok(()), Batches::finish)?;
        self.records.finish()
    }
}

/// About how many bytes the rows of a report come to.
fn weight(accepted: &Accepted) -> usize {
    let report = &accepted.report;
    let head = report.metadata.org_name.len() + report.metadata.report_id.len() + report.policy.domain.as_str().len();
    let lists = COLUMNS.iter().filter_map(|column| match column.kind {
        Kind::List { len, fields } => Some((len, fields)),
        _ => None,
    });
    let lists: Vec<_> = lists.collect();
    let of_record = |record| {
        let texts = |(len, fields): &(fn(&crate::model::Record) -> usize, &[ListField])| {
            let item = |item| fields.iter().map(|field| (field.text)(record, item).map_or(0, str::len)).sum::<usize>();
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
