//! A folder of Parquet files without a ledger, as an export or a cluster leaves it: `records/month=.../` with one row per
//! record, `reports/month=.../` with one row per report.
//!
//! Names that begin with `.` or `_` are not data, as in Hive and Spark; for a table with a Delta log, the log lists its
//! files. Nothing is written below the folder.

use super::folder_files::{files, report_key};
use super::report_heads;
use super::status_sums::{ReportedDomain, StatusOfReport, StatusSums};
use crate::model::{Domain, PolicyPublished, ReportHead, Text};
use crate::store::disk::layout::Layout;
use crate::store::error::StoreError;
use crate::store::ledger::status::{FileTotals, Status};
use crate::store::parquet::rows::ParquetPart;
use crate::store::parquet::table_columns::report_column;
use crate::store::parquet::{checked_read, cut};
use crate::store::tables::filter::Filter;
use crate::store::tables::reports::{COLUMNS, ReportColumn};
use crate::store::tables::values::{Texts, day, sender_auth, time};

use jiff::Timestamp;
use polars_arrow::array::{Array, ListArray, PrimitiveArray, StructArray, Utf8ViewArray};
use polars_arrow::types::NativeType;
use polars_error::{PolarsResult, polars_err};
use std::collections::BTreeMap;

/// Whether it is such a folder.
pub(crate) fn check(layout: &Layout) -> Result<(), StoreError> {
    let records = layout.root().join("records");
    if records.is_dir() {
        return Ok(());
    }
    let expected = "a folder records/ with one a month in it".to_owned();
    Err(StoreError::Damaged { path: layout.root().to_owned(), expected, found: "none".to_owned() })
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
        let (from, to) = filter.days();
        self.day(row).map_or(true, |day| (from..=to).contains(&day))
            && filter.has_domain(&self.text("policy_domain", row).ok().flatten().unwrap_or_default())
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
        Ok(ReportHead {
            key: report_key(text("report_key")?.as_deref())?,
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
