//! Reads rows from Parquet parts: pruned by month, by statistics and by column; one row group at a time, on all cores.
//!
//! Batches have at most a row group and come in no particular order. Memory is a few row groups per thread, whatever
//! the number of rows.

use super::decode::EncodedColumn;
use super::{checked_read, footer};
use crate::model::{Cause, ColumnSet, Flags, Rows, SourceAddress, Words};
use crate::store::disk::files;
use crate::store::disk::layout::{FileKind, Layout, Month};
use crate::store::error::StoreError;
use crate::store::tables::filter::Filter;
use crate::store::tables::{table, values};

use jiff::civil::Date;
use polars_error::{PolarsResult, polars_err};
use polars_parquet::parquet::statistics::Statistics;
use polars_parquet::read::{FileMetadata, RowGroupMetadata, read_metadata};

use std::fs::File;
use std::io::BufReader;
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

/// A file and its footer.
pub(crate) struct ParquetPart {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) metadata: FileMetadata,
}

impl ParquetPart {
    pub(crate) fn open(path: PathBuf) -> Result<Self, StoreError> {
        let file = files::open(&path).or_else(|error| open_moved(&path).ok_or(error));
        let file = file.map_err(StoreError::io(&path, "opening the part"))?;
        let metadata = checked_read::read(&path, "reading the part", || {
            footer::check(&file)?;
            let footer = read_metadata(&mut BufReader::with_capacity(1 << 12, &file))?;
            checked_read::check_footer(&footer).map(|()| footer)
        })?;
        table::check_version(&path, &metadata)?;
        Ok(Self { path, file, metadata })
    }
}

/// A part that a compaction has moved since the ledger was read: to its work folder, then to the retired files.
fn open_moved(path: &Path) -> Option<File> {
    let (folder, root) = (path.parent()?, path.ancestors().nth(3)?);
    let (layout, month, name) = (Layout::new(root), Month::of_folder(folder)?, path.file_name()?);
    let compacting = layout.compacting(FileKind::Part, month).join(name);
    [compacting, layout.retired_file(FileKind::Part, month, name)].into_iter().find_map(|moved| File::open(moved).ok())
}

/// A row group and the file that it is in.
struct PartGroup<'a> {
    part: &'a ParquetPart,
    group: &'a RowGroupMetadata,
}

impl PartGroup<'_> {
    fn statistics(&self, column: &str) -> Option<Statistics> {
        let column = self.group.columns_under_root_iter(column)?.next()?;
        column.statistics(&self.part.metadata.footer_buf)?.ok()
    }

    /// The last day of its rows, if the statistics say.
    fn last_day(&self) -> Option<Date> {
        match self.statistics("date") {
            Some(Statistics::Int32(days)) => values::day_of_calendar(days.max_value?),
            _ => None,
        }
    }

    /// Whether the statistics allow a row of the filter; without statistics they do.
    fn may_match(&self, filter: &Filter) -> bool {
        let (from, to) = filter.days();
        if let Some(Statistics::Int32(days)) = self.statistics("date")
            && (days.min_value.is_some_and(|min| min > to) || days.max_value.is_some_and(|max| max < from))
        {
            return false;
        }
        if filter.domains.is_empty() {
            return true;
        }
        match self.statistics("policy_domain") {
            Some(Statistics::Binary(range)) => filter.domains.iter().any(|domain| {
                range.min_value.as_ref().is_none_or(|min| min.as_slice() <= domain.as_bytes())
                    && range.max_value.as_ref().is_none_or(|max| domain.as_bytes() <= max.as_slice())
            }),
            _ => true,
        }
    }

    /// Reads the rows that match the filter.
    fn read(&self, filter: &Filter, columns: ColumnSet) -> PolarsResult<Rows> {
        let mut rows = Rows::default();
        let kept = self.select(&mut rows, filter, columns)?;
        rows.len = kept.iter().map(ExactSizeIterator::len).sum();
        if rows.len == 0 {
            return Ok(Rows::default());
        }
        self.fill(&mut rows, columns)?;
        if rows.len < self.group.num_rows() {
            keep(&mut rows, &kept);
        }
        Ok(rows)
    }

    fn chunk(&self, name: &str) -> PolarsResult<EncodedColumn<'_>> {
        let column = self.group.columns_under_root_iter(name).and_then(|mut columns| columns.next());
        let column = column.ok_or_else(|| polars_err!(ComputeError: "expected a column {}, found none", name))?;
        EncodedColumn::read(&self.part.file, column, self.group.num_rows())
    }

    /// The rows that match the filter; the columns it examines stay in `rows`.
    fn select(&self, rows: &mut Rows, filter: &Filter, columns: ColumnSet) -> PolarsResult<Vec<Range<usize>>> {
        let (from, to) = filter.days();
        let mut kept: Vec<Range<usize>> = std::iter::once(0..self.group.num_rows()).collect();
        if columns.has(ColumnSet::DAY) || filter.from.is_some() || filter.to.is_some() {
            rows.day = self.chunk("date")?.ints()?;
            kept = select(&kept, |row| (from..=to).contains(&rows.day[row]));
        }
        if columns.has(ColumnSet::POLICY_DOMAIN) || !filter.domains.is_empty() {
            rows.policy_domain = self.chunk("policy_domain")?.words()?;
            if !filter.domains.is_empty() {
                let words = &rows.policy_domain.dictionary;
                let wanted: Vec<bool> = words.iter().map(|word| filter.has_domain(word)).collect();
                let codes = &rows.policy_domain.codes;
                kept = select(&kept, |row| wanted.get(codes[row] as usize) == Some(&true));
            }
        }
        if let Some(new) = filter.new.as_deref().filter(|_| !kept.is_empty()) {
            let keys = self.words("report_key")?;
            let wanted: Vec<bool> = keys.dictionary.iter().map(|key| new.keys.contains(key.as_str())).collect();
            kept = select(&kept, |row| wanted.get(keys.codes[row] as usize) == Some(&true));
        }
        Ok(kept)
    }

    fn words(&self, name: &str) -> PolarsResult<Words> {
        self.chunk(name)?.words()
    }

    /// Reads the missing columns.
    fn fill(&self, rows: &mut Rows, columns: ColumnSet) -> PolarsResult<()> {
        if columns.has(ColumnSet::SOURCE) {
            rows.source = sources(&self.words("source_ip")?);
        }
        if columns.has(ColumnSet::COUNT) {
            rows.count = self.chunk("count")?.longs()?;
        }
        if columns.has(ColumnSet::FLAGS) || columns.has(ColumnSet::ALIGNMENT) {
            rows.flags = self.flags(columns.has(ColumnSet::FLAGS))?;
        }
        if columns.has(ColumnSet::CAUSE) {
            rows.cause = causes(&self.words("cause")?);
        }
        if columns.has(ColumnSet::REASON) {
            rows.reason = super::nested::reasons(&self.part.file, self.group)?;
        }
        if columns.has(ColumnSet::SIGNATURES) {
            rows.signatures = super::nested::signatures(&self.part.file, self.group)?;
        }
        let words: [(ColumnSet, &str, &mut Words); 11] = [
            (ColumnSet::ORG_NAME, "org_name", &mut rows.org_name),
            (ColumnSet::HEADER_FROM, "header_from", &mut rows.header_from),
            (ColumnSet::ENVELOPE_FROM, "envelope_from", &mut rows.envelope_from),
            (ColumnSet::DISPOSITION, "disposition", &mut rows.disposition),
            (ColumnSet::DKIM_DOMAIN, "dkim_domain", &mut rows.dkim_domain),
            (ColumnSet::DKIM_SELECTOR, "dkim_selector", &mut rows.dkim_selector),
            (ColumnSet::DKIM_RESULT, "dkim_result", &mut rows.dkim_result),
            (ColumnSet::SPF_DOMAIN, "spf_domain", &mut rows.spf_domain),
            (ColumnSet::SPF_RESULT, "spf_result", &mut rows.spf_result),
            (ColumnSet::MISMATCH, "mismatch", &mut rows.mismatch),
            (ColumnSet::SENDER_AUTH, "sender_auth", &mut rows.sender_auth),
        ];
        for (column, name, words) in words {
            if columns.has(column) {
                *words = self.words(name)?;
            }
        }
        Ok(())
    }

    fn flags(&self, recomputed: bool) -> PolarsResult<Vec<Flags>> {
        let mut flags = vec![Flags::default(); self.group.num_rows()];
        let mut set = |name: &str, yes: u8, said: u8| -> PolarsResult<()> {
            for (flags, value) in flags.iter_mut().zip(self.chunk(name)?.bools()?) {
                flags.0 |= match value {
                    0 => said,
                    1 => said | yes,
                    _ => 0,
                };
            }
            Ok(())
        };
        set("dmarc_pass", Flags::PASS, 0)?;
        set("dkim_aligned", Flags::DKIM, 0)?;
        set("spf_aligned", Flags::SPF, 0)?;
        if recomputed {
            set("recomputed_dkim", Flags::RECOMPUTED_DKIM, Flags::RECOMPUTED)?;
            set("recomputed_spf", Flags::RECOMPUTED_SPF, Flags::RECOMPUTED)?;
        }
        Ok(flags)
    }
}

/// The first and the last day of a row group's rows, if the statistics have them.
#[cfg(feature = "query")]
pub(crate) fn days_of(part: &ParquetPart, group: &RowGroupMetadata) -> Option<(i32, i32)> {
    match (PartGroup { part, group }).statistics("date") {
        Some(Statistics::Int32(days)) => days.min_value.zip(days.max_value),
        _ => None,
    }
}

/// The largest absolute value of a row group's `count`, if the statistics have it.
#[cfg(feature = "query")]
pub(crate) fn largest_count(part: &ParquetPart, group: &RowGroupMetadata) -> Option<u64> {
    match (PartGroup { part, group }).statistics("count") {
        Some(Statistics::Int64(counts)) => {
            let (least, most) = counts.min_value.zip(counts.max_value)?;
            Some(least.unsigned_abs().max(most.unsigned_abs()))
        }
        _ => None,
    }
}

/// Files open at once, with their footers in memory: well below the 1,024 that most systems allow.
const OPEN_FILES: usize = 256;

/// The columns needed of rows up to a day; `None`: the day is unknown.
type ByDay<'a> = dyn Fn(Option<Date>) -> ColumnSet + Sync + 'a;

/// Decodes the rows on all cores, and passes each run on from the thread that decoded it. The calling thread runs
/// `first` before it takes its share.
pub(crate) fn each(
    paths: &[PathBuf],
    (filter, columns): (&Filter, &ByDay<'_>),
    rows: impl Fn(Rows) + Sync,
    first: impl FnOnce() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut first = Some(first);
    for paths in paths.chunks(OPEN_FILES) {
        let first = || first.take().map_or(Ok(()), |first| first());
        each_of(&open_all(paths)?, (filter, columns), &rows, first)?;
    }
    first.map_or(Ok(()), |first| first())
}

/// The rows of some parts.
fn each_of(
    parts: &[ParquetPart],
    (filter, columns): (&Filter, &ByDay<'_>),
    rows: &(impl Fn(Rows) + Sync),
    first: impl FnOnce() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let units: Vec<PartGroup<'_>> = parts
        .iter()
        .flat_map(|part| part.metadata.row_groups.iter().map(move |group| PartGroup { part, group }))
        .filter(|unit| unit.may_match(filter))
        .collect();
    let next = AtomicUsize::new(0);
    // An error stops all threads from taking another unit.
    let stop = |_: &StoreError| next.store(usize::MAX / 2, Ordering::Relaxed);
    let work = || -> Result<(), StoreError> {
        while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
            let columns = columns(unit.last_day());
            let read = checked_read::read(&unit.part.path, "reading the part", || unit.read(filter, columns));
            let found = read.inspect_err(stop)?;
            if found.len > 0 {
                rows(found);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..units.len().min(threads() - 1)).map(|_| scope.spawn(work)).collect();
        let mine = first().inspect_err(stop).and_then(|()| work());
        let theirs =
            others.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        std::iter::once(mine).chain(theirs).collect()
    })
}

/// Threads to read on. The system is asked once, which reads the limits of its control groups; a fuzzer needs runs that
/// are alike.
fn threads() -> usize {
    static THREADS: OnceLock<usize> = OnceLock::new();
    let available = || if cfg!(fuzzing) { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    *THREADS.get_or_init(available)
}

/// Opens files and reads their footers, on all cores, in order.
fn open_all(paths: &[PathBuf]) -> Result<Vec<ParquetPart>, StoreError> {
    let next = AtomicUsize::new(0);
    let parts = Mutex::new(Vec::with_capacity(paths.len()));
    let threads = threads().min(paths.len());
    let work = || {
        while let index = next.fetch_add(1, Ordering::Relaxed)
            && let Some(path) = paths.get(index)
        {
            let part = ParquetPart::open(path.clone());
            parts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, part));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let mut parts = parts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    parts.sort_by_key(|(index, _)| *index);
    parts.into_iter().map(|(_, part)| part).collect()
}

/// A column of strings of a row group.
pub(crate) fn words(part: &ParquetPart, group: &RowGroupMetadata, name: &str) -> PolarsResult<Words> {
    PartGroup { part, group }.words(name)
}

/// The rows of a row group that match the filter.
pub(crate) fn selected_rows(
    part: &ParquetPart,
    group: &RowGroupMetadata,
    filter: &Filter,
) -> PolarsResult<Vec<Range<usize>>> {
    let group = PartGroup { part, group };
    if !group.may_match(filter) {
        return Ok(Vec::new());
    }
    group.select(&mut Rows::default(), filter, ColumnSet::NONE)
}

/// Each distinct address is read once a row group.
fn sources(words: &Words) -> Vec<SourceAddress> {
    let known: Vec<SourceAddress> =
        words.dictionary.iter().map(|text| SourceAddress::from(text.parse::<IpAddr>().ok())).collect();
    words.codes.iter().map(|code| known.get(*code as usize).copied().unwrap_or(SourceAddress::UNKNOWN)).collect()
}

/// Words of older versions that are no cause any more are unknown, until the tables are rebuilt.
fn causes(words: &Words) -> Vec<Cause> {
    let known: Vec<Cause> = words.dictionary.iter().map(|word| Cause::parse(word).unwrap_or(Cause::Unknown)).collect();
    words.codes.iter().map(|code| known.get(*code as usize).copied().unwrap_or(Cause::Unknown)).collect()
}

/// The parts of some runs of rows that fulfill a condition.
fn select(runs: &[Range<usize>], wanted: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut kept: Vec<Range<usize>> = Vec::new();
    for row in runs.iter().cloned().flatten().filter(|row| wanted(*row)) {
        match kept.last_mut() {
            Some(run) if run.end == row => run.end += 1,
            _ => kept.push(row..row + 1),
        }
    }
    kept
}

/// Keeps only these runs of rows, in every column present.
fn keep(rows: &mut Rows, kept: &[Range<usize>]) {
    fn pick<T: Copy>(values: &mut Vec<T>, kept: &[Range<usize>]) {
        if !values.is_empty() {
            *values = kept.iter().flat_map(|run| values[run.clone()].iter().copied()).collect();
        }
    }
    pick(&mut rows.day, kept);
    pick(&mut rows.source, kept);
    pick(&mut rows.count, kept);
    pick(&mut rows.flags, kept);
    pick(&mut rows.cause, kept);
    for words in rows.words_mut() {
        pick(&mut words.codes, kept);
    }
}
