//! Reads Parquet files that may be damaged: a panic of the reader becomes an error of the file.
//!
//! The Parquet reader checks much and assumes the rest: a flipped bit, or a foreign file, can make it panic. Panics of
//! any other work are passed on. A panic also calls the hook of the process, which belongs to the program: the hook may ask
//! [`is_reading`] and keep quiet about what becomes an error.

use crate::store::error::StoreError;
use polars_error::{PolarsResult, polars_err};
use polars_parquet::parquet::metadata::ColumnChunkMetadata;
use polars_parquet::parquet::page::CompressedPage;
use polars_parquet::read::{FileMetadata, PageReader, RowGroupMetadata};
use std::any::Any;
use std::cell::Cell;
use std::fs::File;
use std::io::Cursor;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    /// Whether this thread is reading, so that a panic becomes an error.
    static READING: Cell<bool> = const { Cell::new(false) };
}

/// How many queries an engine is running.
static QUERIES: AtomicUsize = AtomicUsize::new(0);

/// Reads from a file.
pub(crate) fn read<T>(
    path: &Path,
    doing: &'static str,
    work: impl FnOnce() -> PolarsResult<T>,
) -> Result<T, StoreError> {
    survive(work).map_err(StoreError::parquet(path, doing))
}

/// Whether a panic of this thread now becomes an error of a file or of a query, as the panic hook of a program may ask.
pub fn is_reading() -> bool {
    READING.get() || QUERIES.load(Ordering::Relaxed) > 0
}

/// Runs an engine that has its own threads and panics on what it cannot handle: a panic of any thread meanwhile becomes
/// an error of this run.
#[cfg(feature = "query")]
pub(crate) fn survive_engine<T>(work: impl FnOnce() -> T) -> PolarsResult<T> {
    QUERIES.fetch_add(1, Ordering::Relaxed);
    let done = catch_unwind(AssertUnwindSafe(work));
    QUERIES.fetch_sub(1, Ordering::Relaxed);
    done.map_err(|panic| polars_err!(ComputeError: "the query engine failed: {}", words(&*panic)))
}

fn survive<T>(work: impl FnOnce() -> PolarsResult<T>) -> PolarsResult<T> {
    let outer = READING.replace(true);
    // What was being read is discarded with the error.
    let done = catch_unwind(AssertUnwindSafe(work));
    READING.set(outer);
    done.unwrap_or_else(|panic| Err(polars_err!(ComputeError: "expected valid columns, found: {}", words(&*panic))))
}

/// The message of a panic, on one line.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Maximum number of values in a column of a row group, above what any writer produces: memory is allocated for the
/// number that a file declares.
pub(crate) const MOST_VALUES: usize = 1 << 26;
/// The largest declared decompressed size of a page; ours have at most a row group.
pub(crate) const PAGE_BYTES: usize = 1 << 30;

/// Checks a footer before anything is allocated by it.
pub(crate) fn check_footer(footer: &FileMetadata) -> PolarsResult<()> {
    if let Some(rows) = footer.row_groups.iter().map(RowGroupMetadata::num_rows).find(|rows| *rows > MOST_VALUES) {
        return Err(polars_err!(ComputeError: "expected at most {} rows a row group, found {}", MOST_VALUES, rows));
    }
    let mut values =
        footer.row_groups.iter().flat_map(RowGroupMetadata::parquet_columns).map(ColumnChunkMetadata::num_values);
    match values.find(|values| usize::try_from(*values).map_or(true, |values| values > MOST_VALUES)) {
        Some(values) => {
            Err(polars_err!(ComputeError: "expected 0 to {} values a column, found {}", MOST_VALUES, values))
        }
        None => Ok(()),
    }
}

/// The pages of a column chunk, each with a plausible number of values.
pub(crate) fn column_pages(file: &File, column: &ColumnChunkMetadata) -> PolarsResult<PageReader> {
    let bytes = Cursor::new(column_bytes(file, column)?.into());
    let mut values = 0_usize;
    for page in PageReader::new(bytes.clone(), column, Vec::new(), PAGE_BYTES) {
        if let CompressedPage::Data(page) = page? {
            values = values.saturating_add(page.num_values());
        }
        if values > MOST_VALUES {
            return Err(polars_err!(ComputeError: "expected at most {} values, found {}", MOST_VALUES, values));
        }
    }
    Ok(PageReader::new(bytes, column, Vec::new(), PAGE_BYTES))
}

/// The bytes of a column chunk, which must be inside the file.
pub(crate) fn column_bytes(file: &File, column: &ColumnChunkMetadata) -> PolarsResult<Vec<u8>> {
    let range = column.byte_range();
    let size = file.metadata()?.len();
    if range.start > range.end || range.end > size {
        return Err(polars_err!(
            ComputeError: "expected a column within the {} bytes of the file, found one at {} to {}", size, range.start, range.end
        ));
    }
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ColumnSet;
    use crate::store::parquet::rows::each;
    use crate::store::read::store::Store;
    use crate::store::tables::filter::Filter;
    use crate::store::tests::accepted;
    use crate::store::upkeep::verify;
    use crate::store::write::writer::Writer;
    use jiff::Timestamp;

    #[test]
    fn a_flipped_byte_anywhere_in_a_part_is_reported_or_harmless() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path(), Timestamp::UNIX_EPOCH).unwrap();
        for number in (0..200).step_by(40) {
            writer.add(accepted(number, 9)).unwrap();
        }
        writer.commit().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let month = std::fs::read_dir(dir.path().join("records")).unwrap().next().unwrap().unwrap().path();
        let part = std::fs::read_dir(month).unwrap().next().unwrap().unwrap().path();
        let sound = std::fs::read(&part).unwrap();
        let rows = verify::rows(&part).unwrap();
        let (mut told, mut flips) = (0, 0);
        for at in (0..sound.len()).step_by(67) {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << (flips % 8);
            flips += 1;
            std::fs::write(&part, &bytes).unwrap();
            told += u32::from(verify::rows(&part).ok() != Some(rows));
            // Readable files are read, and others are an error.
            let _ = each(std::slice::from_ref(&part), (&Filter::default(), &|_| ColumnSet::ALL), |_| (), || Ok(()));
        }
        assert!(told > 20, "{told} of {flips}");
        std::fs::write(&part, &sound).unwrap();
        assert_eq!(store.verify().unwrap(), []);
    }

    #[test]
    fn a_panic_while_reading_is_an_error_that_names_the_file() {
        let error = read::<()>(Path::new("a.parquet"), "reading the part", || panic!("two\n lines")).unwrap_err();
        assert_eq!(error.to_string(), "a.parquet: reading the part failed: expected valid columns, found: two lines");
    }
}
