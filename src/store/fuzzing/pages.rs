//! A Parquet file of the store, or of a folder written by others, with any pages and footer.

use crate::model::{Accepted, ColumnSet, Rows, Words};
use crate::store::disk::layout::Layout;
use crate::store::error::StoreError;
use crate::store::export::side_tables::SideTable;
use crate::store::export::table_builder::TableBuilder;
use crate::store::ledger::status::ReportTotals;
use crate::store::parquet::rows::{self, ParquetPart};
use crate::store::parquet::table_file::{ColumnPages, row_group};
use crate::store::parquet::{encode, nested};
use crate::store::read::parquet_folder;
use crate::store::tables::columns::schema_of;
use crate::store::tables::filter::Filter;
use crate::store::tables::reports::{REPORTS, ReportRow};
use crate::store::tables::schema;
use crate::store::upkeep::verify;
use jiff::Timestamp;
use jiff::civil::date;
use polars_arrow::array::{Array, PrimitiveArray};
use polars_arrow::datatypes::{ArrowDataType, Field};
use polars_error::PolarsResult;
use polars_parquet::read::ParquetError;
use polars_parquet::write::{
    CompressionOptions, Compressor, Encoding, FileWriter, Page, StatisticsOptions, Version, WriteOptions,
    array_to_columns, to_parquet_schema,
};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Valid files, which the bytes change.
#[derive(Debug)]
pub struct ValidFiles {
    /// One row per record: as this program writes it, then as others do.
    records: Vec<Vec<u8>>,
    /// One row per report.
    reports: Vec<Vec<u8>>,
}

impl ValidFiles {
    /// The files of these reports.
    pub fn new(accepted: &[Accepted]) -> Self {
        let own = encode::encode(accepted, |_| Timestamp::UNIX_EPOCH).expect("columns of our own making");
        let columns = read_back(&own).expect("a file of our own making");
        let reports = report_columns(accepted);
        let foreign = |columns: &[(Field, Box<dyn Array>)]| {
            let forms = [
                (Version::V1, Encoding::RleDictionary),
                (Version::V1, Encoding::Plain),
                (Version::V2, Encoding::Plain),
            ];
            forms.map(|(version, encoding)| file(columns, version, encoding).expect("columns of our own making"))
        };
        let records = std::iter::once(own).chain(foreign(&columns)).collect();
        Self { records, reports: foreign(&reports).into() }
    }
}

/// The columns of a file of `reports`.
fn report_columns(accepted: &[Accepted]) -> Vec<(Field, Box<dyn Array>)> {
    let mut table = TableBuilder::new(&REPORTS);
    accepted.iter().for_each(|accepted| table.push(ReportRow::new(accepted, Timestamp::UNIX_EPOCH).values()));
    let SideTable { columns, .. } = table.finish().expect("columns of our own making");
    REPORTS.fields_with_ids().into_iter().zip(columns).collect()
}

/// The columns of a file of `records`.
fn read_back(bytes: &[u8]) -> Result<Vec<(Field, Box<dyn Array>)>, StoreError> {
    let memory = Memory::new();
    memory.hold(bytes);
    let part = ParquetPart::open(memory.path())?;
    let read = |field: Field| {
        let array = nested::read_array(&part.file, &part.metadata.row_groups[0], field.clone());
        array.map(|array| (field, array)).map_err(StoreError::parquet(&part.path, "reading the part"))
    };
    schema::COLUMNS.iter().map(|column| read(encode::arrow_field(column))).collect()
}

/// A file as others write it, with uncompressed pages, so that a change of the bytes changes the values.
fn file(columns: &[(Field, Box<dyn Array>)], version: Version, encoding: Encoding) -> PolarsResult<Vec<u8>> {
    let options = WriteOptions {
        statistics: StatisticsOptions::default(),
        version,
        compression: CompressionOptions::Uncompressed,
        data_page_size: None,
    };
    let schema = schema_of(columns.iter().map(|(field, _)| field.clone()));
    let parquet = to_parquet_schema(&schema)?;
    let rows = columns.first().map_or(0, |(_, array)| array.len());
    let mut leaves: ColumnPages = Vec::new();
    for ((_, array), kind) in columns.iter().zip(parquet.fields()) {
        let encodings = match array.dtype() {
            ArrowDataType::LargeList(items) => match items.dtype() {
                ArrowDataType::Struct(fields) => vec![Encoding::Plain; fields.len()],
                _ => vec![Encoding::Plain],
            },
            ArrowDataType::Boolean => vec![Encoding::Plain],
            // Without a value there is no dictionary to write.
            _ if array.null_count() == rows => vec![Encoding::Plain],
            _ => vec![encoding],
        };
        for pages in array_to_columns(array.clone(), kind.clone(), options, &encodings)? {
            let pages = pages.map(|page: PolarsResult<Page>| {
                page.map_err(|error| ParquetError::FeatureNotSupported(error.to_string()))
            });
            let pages: Result<_, ParquetError> =
                Compressor::new_from_vec(pages, options.compression, Vec::new()).collect();
            leaves.push(pages?);
        }
    }
    let mut writer = FileWriter::new_with_parquet_schema(Vec::new(), schema, parquet, options);
    writer.write(rows as u64, row_group(&[leaves]))?;
    writer.end(None)?;
    Ok(writer.into_inner())
}

/// A file in memory that has a path.
struct Memory(File);

impl Memory {
    fn new() -> Self {
        let made = rustix::fs::memfd_create("pages", rustix::fs::MemfdFlags::CLOEXEC);
        Self(made.expect("a file in memory").into())
    }

    fn hold(&self, bytes: &[u8]) {
        self.0.set_len(bytes.len() as u64).and_then(|()| self.0.write_all_at(bytes, 0)).expect("memory can be written");
    }

    fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

/// A folder of a table of reports, whose one file is in memory.
struct Folder {
    dir: tempfile::TempDir,
    file: Memory,
}

impl Folder {
    fn new() -> Self {
        let (dir, file) = (tempfile::tempdir().expect("a folder"), Memory::new());
        let month = dir.path().join("reports/month=2026-11");
        std::fs::create_dir_all(&month).expect("a folder of a month");
        std::os::unix::fs::symlink(file.path(), month.join("reports.parquet")).expect("a link");
        Self { dir, file }
    }
}

/// Changes of a file: each an offset, an operation, and bytes. If the footer's length changes, the stored length is
/// corrected, so that the footer is still found.
fn changed(sound: &[u8], mut changes: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    let length = bytes.last_chunk::<8>().map_or(0, |[a, b, c, d, ..]| u32::from_le_bytes([*a, *b, *c, *d]) as usize);
    let footer = bytes.len().saturating_sub(length + 8);
    while let [low, high, what, rest @ ..] = changes {
        let at = usize::from(u16::from_le_bytes([*low, *high])) % bytes.len().max(1);
        let count = usize::from(*what % 16).min(rest.len());
        let (put, more) = rest.split_at(count);
        changes = more;
        // Each operation keeps the rest of the bytes where it is, or moves it.
        let end = match what / 16 % 4 {
            0 | 1 => (at + count).min(bytes.len()),
            2 => at,
            _ => (at + 2 * count).min(bytes.len()),
        };
        let before = bytes.len();
        bytes.splice(at..end, put.iter().copied());
        if let Some(length) = bytes.len().checked_sub(footer + 8).filter(|_| bytes.len() != before && at >= footer) {
            let said = bytes.len() - 8..bytes.len() - 4;
            bytes[said].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        }
    }
    bytes
}

/// As changes of a valid file, chosen by the first byte: either all declared rows are read and all readers agree, or
/// there is a typed error.
pub fn pages(sound: &ValidFiles, bytes: &[u8]) {
    let Some((which, changes)) = bytes.split_first() else { return };
    let which = usize::from(*which) % (sound.records.len() + sound.reports.len());
    let read = match sound.records.get(which) {
        Some(file) => records(&changed(file, changes)),
        None => reports(&changed(&sound.reports[which - sound.records.len()], changes)),
    };
    assert!(read.is_some() || !changes.is_empty(), "a sound file is read");
}

/// How many rows were read.
fn records(bytes: &[u8]) -> Option<usize> {
    thread_local!(static MEMORY: Memory = Memory::new());
    MEMORY.with(|memory| {
        memory.hold(bytes);
        let paths = [memory.path()];
        let folded = fold(&paths, &Filter::default());
        let verified = typed(verify::rows(&paths[0]));
        if let (Some(folded), Some(verified)) = (&folded, verified) {
            assert_eq!(i64::try_from(folded.rows).ok(), Some(verified), "the readers agree");
            assert_eq!(folded.counts, counts(&paths[0]), "sum of count");
        }
        let filter = Filter {
            from: Some(date(2026, 11, 16)),
            to: Some(date(2026, 11, 16)),
            domains: vec!["example.com".to_owned()],
            ..Filter::default()
        };
        if let (Some(all), Some(some)) = (&folded, fold(&paths, &filter)) {
            assert!(some.rows <= all.rows, "{} of {}", some.rows, all.rows);
        }
        folded.and(verified).and_then(|rows| usize::try_from(rows).ok())
    })
}

/// What was read; `None` for a typed error of the file.
fn typed<T>(read: Result<T, StoreError>) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(StoreError::Parquet { .. } | StoreError::NewerFile { .. }) => None,
        Err(other) => panic!("expected an error of the file, found {other:?}"),
    }
}

/// Sums over all rows that were read.
#[derive(Default)]
struct Folded {
    rows: usize,
    counts: i64,
}

fn fold(paths: &[PathBuf], filter: &Filter) -> Option<Folded> {
    let all = Mutex::new(Folded::default());
    let each = |rows: Rows| {
        hold(&rows);
        let mut all = all.lock().expect("nobody panicked");
        all.rows += rows.len;
        all.counts = rows.count.iter().fold(all.counts, |sum, count| sum.wrapping_add(*count));
    };
    typed(rows::each(paths, (filter, &|_| ColumnSet::ALL), each, || Ok(())))?;
    Some(all.into_inner().expect("nobody panicked"))
}

/// Every column has one value per row, and every code a word.
fn hold(rows: &Rows) {
    let lengths = [rows.day.len(), rows.source.len(), rows.count.len(), rows.flags.len(), rows.cause.len()];
    assert_eq!(lengths, [rows.len; 5]);
    for words in rows.words() {
        assert_eq!(words.codes.len(), rows.len);
        assert!(words.codes.iter().all(|code| *code == Words::NULL || (*code as usize) < words.dictionary.len()));
    }
}

/// The sum of `count` as polars reads the column.
fn counts(path: &Path) -> i64 {
    let part = typed(ParquetPart::open(path.to_owned())).expect("it was read before");
    let column = schema::column_named("count");
    let sum = |sum: i64, group| {
        let array = nested::read_array(&part.file, group, encode::arrow_field(column)).expect("it was read before");
        let counts = array.as_any().downcast_ref::<PrimitiveArray<i64>>().expect("a column of integers");
        counts.iter().flatten().fold(sum, |sum, count| sum.wrapping_add(*count))
    };
    part.metadata.row_groups.iter().fold(0, sum)
}

/// How many reports were read.
fn reports(bytes: &[u8]) -> Option<usize> {
    thread_local!(static FOLDER: Folder = Folder::new());
    FOLDER.with(|folder| {
        folder.file.hold(bytes);
        let layout = Layout::new(folder.dir.path());
        let (mut heads, mut records) = (0_usize, 0_i64);
        let read = parquet_folder::heads(&layout, &Filter::default(), &mut |head| {
            heads += 1;
            records = records.saturating_add(head.records);
        });
        let read = typed(read);
        let status = typed(parquet_folder::status(&layout));
        assert_eq!(read.is_some(), status.is_some(), "heads and their sums are read or not");
        let ReportTotals { reports, records: sum, .. } = status?.totals;
        assert_eq!((usize::try_from(reports), sum), (Ok(heads), records));
        Some(heads)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::accepted;

    #[test]
    fn a_column_that_is_shorter_than_its_row_group_is_an_error_for_every_reader() {
        let made = [accepted(0, 2), accepted(1, 2)];
        let sound = ValidFiles::new(&made);
        let mut columns = read_back(&sound.records[0]).unwrap();
        let whole = file(&columns, Version::V1, Encoding::Plain).unwrap();
        assert_eq!(records(&whole), Some(4));
        let last = columns.len() - 1;
        columns[last].1 = columns[last].1.sliced(0, 3);
        assert_eq!(records(&file(&columns, Version::V1, Encoding::Plain).unwrap()), None);

        let mut columns = report_columns(&made);
        columns[1].1 = columns[1].1.sliced(0, 1);
        assert_eq!(reports(&file(&columns, Version::V1, Encoding::Plain).unwrap()), None);
    }
}
