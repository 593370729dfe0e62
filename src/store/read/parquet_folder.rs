//! A folder of Parquet files without a ledger, as an export or a cluster leaves it: `records/month=.../` with one row per
//! record, `reports/month=.../` with one row per report.
//!
//! Names that begin with `.` or `_` are not data, as in Hive and Spark; for a table with a Delta log, the log lists its
//! files. Nothing is written below the folder.

use super::domains::{ReportedDomain, StatusOfReport, StatusSums};
use super::{delta, report_heads};
use crate::model::{Domain, PolicyPublished, ReportHead, ReportKey, Text};
use crate::store::disk::layout::{Layout, Month};
use crate::store::error::StoreError;
use crate::store::ledger::status::{FileTotals, Status};
use crate::store::parquet::rows::ParquetPart;
use crate::store::parquet::table_columns::report_column;
use crate::store::parquet::{checked_read, cut};
use crate::store::tables::filter::Filter;
use crate::store::tables::reports::{COLUMNS, ReportColumn};
use crate::store::tables::values::{self, Texts, day, sender_auth, time};

use jiff::Timestamp;
use polars_arrow::array::{Array, ListArray, PrimitiveArray, StructArray, Utf8ViewArray};

use polars_arrow::types::NativeType;
use polars_error::{PolarsResult, polars_err};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Whether it is such a folder.
pub(crate) fn check(layout: &Layout) -> Result<(), StoreError> {
    let records = layout.root().join("records");
    if records.is_dir() {
        return Ok(());
    }
    let expected = "a folder records/ with one a month in it".to_owned();
    Err(StoreError::Damaged { path: layout.root().to_owned(), expected, found: "none".to_owned() })
}

/// The Parquet files of a table that may hold rows of the filter, by month and name; of a Delta table the live ones.
pub(crate) fn files(layout: &Layout, table: &str, filter: &Filter) -> Result<Vec<PathBuf>, StoreError> {
    let root = layout.root().join(table);
    let asked = |month: Month| {
        filter.from.is_none_or(|from| Month::of(from) <= month) && filter.to.is_none_or(|to| month <= Month::of(to))
    };
    if let Some(mut live) = delta::live(&root)? {
        // Writers choose where files are: one outside the monthly folders may have rows of any month.
        live.retain(|path| path.parent().and_then(Month::of_folder).is_none_or(asked));
        return Ok(live);
    }
    let mut found = Vec::new();
    below(&root, &asked, DEPTH, &mut found)?;
    Ok(found)
}

/// Depth of folders searched: partitions by year, month, day and something else.
const DEPTH: usize = 4;

/// The Parquet files of a folder and below it, except months that are not requested. A file outside the monthly folders
/// may have rows of any month.
fn below(
    folder: &Path,
    asked: &dyn Fn(Month) -> bool,
    depth: usize,
    found: &mut Vec<PathBuf>,
) -> Result<(), StoreError> {
    for path in list(folder)? {
        if path.extension().is_some_and(|end| end == "parquet") && !path.is_dir() {
            found.push(path);
        } else if depth > 0 && path.is_dir() && Month::of_folder(&path).is_none_or(asked) {
            below(&path, asked, depth - 1, found)?;
        }
    }
    Ok(())
}

/// The visible content of a folder, by name; empty if it does not exist.
fn list(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match folder.read_dir() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(StoreError::io(folder, "listing the folder"))?,
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(StoreError::io(folder, "listing the folder"))?;
    let hidden = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b".") || name.as_encoded_bytes().starts_with(b"_"))
    };
    paths.retain(|path| !hidden(path));
    paths.sort();
    Ok(paths)
}

/// Passes on the heads of the reports that match a filter, file by file.
pub(crate) fn heads(layout: &Layout, filter: &Filter, take: &mut dyn FnMut(ReportHead)) -> Result<(), StoreError> {
    each(layout, filter, |head, _| take(head))
}

/// The sums of the reports.
pub(crate) fn status(layout: &Layout) -> Result<Status, StoreError> {
    let mut status = status_of(layout, &|_| true)?;
    for path in files(layout, "records", &Filter::default())? {
        let size = path.metadata().map_err(StoreError::io(&path, "looking at the part"))?.len();
        status.parts = FileTotals {
            count: status.parts.count + 1,
            bytes: status.parts.bytes.saturating_add(i64::try_from(size).unwrap_or(i64::MAX)),
        };
    }
    Ok(status)
}

/// The sums of the reports about some domains.
pub(crate) fn status_of(layout: &Layout, wanted: &dyn Fn(&str) -> bool) -> Result<Status, StoreError> {
    let mut sums = StatusSums::default();
    each(layout, &Filter::default(), |head, arrival| {
        if wanted(head.policy.domain.as_str()) {
            sums.add(&StatusOfReport {
                org_name: &head.org_name,
                day: head.day,
                end: head.end,
                arrival,
                records: head.records,
                messages: head.messages,
                dmarc_pass: head.dmarc_pass,
            });
        }
    })?;
    Ok(sums.finish())
}

/// The policy domains that reports are about, by name.
pub(crate) fn domains(layout: &Layout) -> Result<Vec<ReportedDomain>, StoreError> {
    let mut newest: BTreeMap<String, Timestamp> = BTreeMap::new();
    each(layout, &Filter::default(), |head, _| {
        let known = newest.entry(head.policy.domain.as_str().to_owned()).or_insert(head.end);
        *known = head.end.max(*known);
    })?;
    let domain = |(policy_domain, newest_end)| ReportedDomain { policy_domain, newest_end };
    Ok(newest.into_iter().map(domain).collect())
}

/// Whether there is a table `reports`.
fn has_reports(layout: &Layout) -> Result<bool, StoreError> {
    Ok(!files(layout, "reports", &Filter::default())?.is_empty())
}

/// Passes on the reports that match a filter, with their arrival.
fn each(layout: &Layout, filter: &Filter, mut each: impl FnMut(ReportHead, Timestamp)) -> Result<(), StoreError> {
    if !has_reports(layout)? {
        return report_heads::each(layout, filter, each);
    }
    for path in files(layout, "reports", filter)? {
        let part = ParquetPart::open(path)?;
        for group in &part.metadata.row_groups {
            let table = checked_read::read(&part.path, "reading the reports", || ReportGroup::read(&part, group))?;
            let mut read = || -> PolarsResult<()> {
                for row in (0..group.num_rows()).filter(|row| table.is_asked(*row, filter)) {
                    each(table.head(row)?, time(table.long("arrival", row)?.unwrap_or_default()));
                }
                Ok(())
            };
            read().map_err(StoreError::parquet(&part.path, "reading the reports"))?;
        }
    }
    Ok(())
}

/// A row group of `reports`: its columns by name.
pub(crate) struct ReportGroup(Vec<(&'static str, Box<dyn Array>)>);

impl ReportGroup {
    pub(crate) fn read(part: &ParquetPart, group: &polars_parquet::read::RowGroupMetadata) -> PolarsResult<Self> {
        let read = |column: &ReportColumn| Ok((column.name, report_column(part, group, column)?));
        COLUMNS.iter().map(read).collect::<PolarsResult<_>>().map(Self)
    }

    fn column<T: 'static>(&self, name: &str) -> PolarsResult<&T> {
        let column = self.0.iter().find(|(other, _)| *other == name);
        let typed = column.and_then(|(_, array)| array.as_any().downcast_ref());
        typed.ok_or_else(|| polars_err!(ComputeError: "expected a column {} of its type, found none", name))
    }

    fn text(&self, name: &str, row: usize) -> PolarsResult<Option<Text>> {
        Ok(self.column::<Utf8ViewArray>(name)?.get(row).map(Text::from))
    }

    fn long(&self, name: &str, row: usize) -> PolarsResult<Option<i64>> {
        Ok(number(self.column::<PrimitiveArray<i64>>(name)?, row))
    }

    fn day(&self, row: usize) -> PolarsResult<i32> {
        number(self.column::<PrimitiveArray<i32>>("date")?, row)
            .ok_or_else(|| polars_err!(ComputeError: "expected a date, found none"))
    }

    /// A row without a day matches, so that it is reported.
    fn is_asked(&self, row: usize, filter: &Filter) -> bool {
        let day = self.day(row);
        let late = |day: &i32| filter.from.is_none_or(|from| values::days_since_epoch(from) <= *day);
        let early = |day: &i32| filter.to.is_none_or(|to| *day <= values::days_since_epoch(to));
        let domain = || self.text("policy_domain", row).ok().flatten().unwrap_or_default();
        day.as_ref().map_or(true, |day| late(day) && early(day))
            && (filter.domains.is_empty() || filter.domains.iter().any(|wanted| *wanted == domain()))
    }

    fn finding_codes(&self, row: usize) -> PolarsResult<Vec<Text>> {
        let lists = self.column::<ListArray<i64>>("findings")?;
        let codes = lists.values().as_any().downcast_ref::<StructArray>().and_then(|items| items.values().first());
        let codes = codes.and_then(|codes| Texts::of(codes.as_ref()));
        let codes = codes.ok_or_else(|| polars_err!(ComputeError: "expected findings with codes, found others"))?;
        let (start, end) = lists.offsets().start_end(row);
        Ok((start..end).filter_map(|item| codes.get(item)).map(Text::from).collect())
    }

    /// The columns, reduced to the rows of a filter.
    pub(crate) fn kept(&self, filter: &Filter) -> PolarsResult<Vec<Box<dyn Array>>> {
        let rows = self.0.first().map_or(0, |(_, array)| array.len());
        let kept: Vec<usize> = (0..rows).filter(|row| self.is_asked(*row, filter)).collect();
        if kept.len() == rows {
            return Ok(self.0.iter().map(|(_, array)| array.clone()).collect());
        }
        let runs: Vec<_> = kept.iter().map(|row| *row..*row + 1).collect();
        self.0.iter().map(|(_, array)| cut::cut(array.as_ref(), &runs)).collect()
    }

    fn head(&self, row: usize) -> PolarsResult<ReportHead> {
        let text = |name: &str| self.text(name, row);
        let long = |name: &str| self.long(name, row).map(Option::unwrap_or_default);
        let key = text("report_key")?.as_deref().and_then(key);
        Ok(ReportHead {
            key: key.ok_or_else(|| polars_err!(ComputeError: "expected 32 hexadecimal digits as report_key"))?,
            org_name: text("org_name")?.unwrap_or_default(),
            org_email: text("org_email")?,
            report_id: text("report_id")?.unwrap_or_default(),
            begin: time(long("period_begin")?),
            end: time(long("period_end")?),
            day: day(self.day(row)?),
            policy: PolicyPublished {
                domain: Domain::from_canonical(text("policy_domain")?.unwrap_or_default()),
                p: text("p")?,
                sp: text("sp")?,
                np: text("np")?,
                adkim: text("adkim")?,
                aspf: text("aspf")?,
                pct: number(self.column::<PrimitiveArray<i32>>("pct")?, row),
                fo: text("fo")?,
                testing: text("testing")?,
                discovery_method: text("discovery_method")?,
            },
            records: long("records")?,
            messages: long("messages")?,
            dmarc_pass: long("pass_messages")?,
            sender_auth: sender_auth(text("sender_auth")?.as_deref().unwrap_or_default()),
            findings: self.finding_codes(row)?,
        })
    }
}

/// A number of a column; `None` if it is null.
fn number<T: NativeType>(column: &PrimitiveArray<T>, row: usize) -> Option<T> {
    column.values().get(row).copied().filter(|_| !column.is_null(row))
}

pub(crate) fn key(text: &str) -> Option<ReportKey> {
    let mut key = [0; 16];
    if text.len() != 32 {
        return None;
    }
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(ReportKey(key))
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn a_key_is_read_back_from_its_digits_and_from_nothing_else() {
        let digits = "000102030405060708090a0b0c0d0eff";
        assert_eq!(key(digits).map(|key| key.to_string()).as_deref(), Some(digits));
        assert_eq!(key("00"), None);
        assert_eq!(key("zz0102030405060708090a0b0c0d0eff"), None);
    }
}
