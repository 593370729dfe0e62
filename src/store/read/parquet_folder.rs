//! A folder of Parquet files without a ledger, as an export or a cluster leaves it: `records/month=.../` with one row per
//! record, `reports/month=.../` with one row per report.
//!
//! Names that begin with `.` or `_` are not data, as in Hive and Spark; for a table with a Delta log, the log lists its
//! files. Nothing is written below the folder.

use super::folder_files::{files, report_key};
use super::group_columns::GroupColumns;
use super::report_heads;
use super::status_sums::{ReportedDomain, StatusOfReport, StatusSums};
use crate::model::{Domain, PolicyPublished, ReportHead};
use crate::store::disk::layout::Layout;
use crate::store::error::StoreError;
use crate::store::ledger::status::Status;
use crate::store::parquet::checked_read;
use crate::store::parquet::rows::ParquetPart;
use crate::store::tables::filter::Filter;
use crate::store::tables::values::{day, int, sender_auth, time};

use jiff::Timestamp;
use polars_error::{PolarsResult, polars_err};
use std::collections::BTreeMap;

/// Whether it is such a folder.
pub(crate) fn check(layout: &Layout) -> Result<(), StoreError> {
    let records = layout.root().join("records");
    if records.is_dir() {
        return Ok(());
    }
    Err(StoreError::damaged(layout.root(), "a folder records/ with one a month in it", "none"))
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
        status.parts.count += 1;
        status.parts.bytes = status.parts.bytes.saturating_add(int(size));
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
            let columns =
                checked_read::read(&part.path, "reading the reports", || GroupColumns::of_reports(&part, group))?;
            let mut read = || -> PolarsResult<()> {
                for row in (0..group.num_rows()).filter(|row| columns.is_asked(*row, filter)) {
                    each(head(&columns, row)?, time(columns.long("arrival", row)?.unwrap_or_default()));
                }
                Ok(())
            };
            read().map_err(StoreError::parquet(&part.path, "reading the reports"))?;
        }
    }
    Ok(())
}

/// The head of a report, from a row group of `reports`.
fn head(columns: &GroupColumns, row: usize) -> PolarsResult<ReportHead> {
    let text = |name: &str| columns.text(name, row);
    let long = |name: &str| columns.long(name, row).map(Option::unwrap_or_default);
    let date = columns.int("date", row)?;
    Ok(ReportHead {
        key: report_key(text("report_key")?.as_deref())?,
        org_name: text("org_name")?.unwrap_or_default(),
        org_email: text("org_email")?,
        report_id: text("report_id")?.unwrap_or_default(),
        begin: time(long("period_begin")?),
        end: time(long("period_end")?),
        day: day(date.ok_or_else(|| polars_err!(ComputeError: "expected a date, found none"))?),
        policy: PolicyPublished {
            domain: Domain::from_canonical(text("policy_domain")?.unwrap_or_default()),
            p: text("p")?,
            sp: text("sp")?,
            np: text("np")?,
            adkim: text("adkim")?,
            aspf: text("aspf")?,
            pct: columns.int("pct", row)?,
            fo: text("fo")?,
            testing: text("testing")?,
            discovery_method: text("discovery_method")?,
        },
        records: long("records")?,
        messages: long("messages")?,
        dmarc_pass: long("pass_messages")?,
        sender_auth: sender_auth(text("sender_auth")?.as_deref().unwrap_or_default()),
        findings: columns.findings(row)?.into_iter().map(|finding| finding.code.into()).collect(),
    })
}
