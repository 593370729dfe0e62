//! Derives report heads from the rows of `records`, for folders without a `reports` table.
//!
//! Each row repeats the columns of its report, including the policy. Columns that only `reports` has, such as findings,
//! stay unknown.

use super::folder_files::{files, report_key};
use crate::model::{Domain, PolicyPublished, ReportHead, ReportKey, Text, Words};
use crate::store::disk::layout::Layout;
use crate::store::error::StoreError;
use crate::store::parquet::arrays::downcast;
use crate::store::parquet::checked_read;
use crate::store::parquet::rows::{ParquetPart, selected_rows, words};
use crate::store::parquet::table_columns::{IngestedTimes, record_column};
use crate::store::tables::filter::Filter;
use crate::store::tables::schema::{INGESTED, column_named};
use crate::store::tables::values::{day, sender_auth, time};
use jiff::Timestamp;
use polars_arrow::array::{BooleanArray, PrimitiveArray, StaticArray as _};
use polars_error::PolarsResult;
use polars_parquet::read::RowGroupMetadata;
use std::collections::BTreeMap;

/// Reports by their keys, and when each was stored.
type ReportHeadRows = BTreeMap<ReportKey, (ReportHead, Timestamp)>;

/// Passes on the reports of the rows of a filter, in the order of their keys.
pub(crate) fn each(
    layout: &Layout,
    filter: &Filter,
    mut each: impl FnMut(ReportHead, Timestamp),
) -> Result<(), StoreError> {
    let mut heads = ReportHeadRows::new();
    for path in files(layout, "records", filter)? {
        let part = ParquetPart::open(path)?;
        for group in &part.metadata.row_groups {
            checked_read::read(&part.path, "reading the part", || add(&mut heads, &part, group, filter))?;
        }
    }
    heads.into_values().for_each(|(head, stored)| each(head, stored));
    Ok(())
}

fn add(heads: &mut ReportHeadRows, part: &ParquetPart, group: &RowGroupMetadata, filter: &Filter) -> PolarsResult<()> {
    let texts = HeadTexts::read(part, group)?;
    let column = |name: &str| record_column(part, group, column_named(name), &IngestedTimes::default());
    let longs = [column("period_begin")?, column("period_end")?, column("count")?, column(INGESTED)?];
    let long = |index: usize| downcast::<PrimitiveArray<i64>>(longs[index].as_ref());
    let (begin, end, counts, stored) = (long(0)?, long(1)?, long(2)?, long(3)?);
    let [days, pct, passes] = [column("date")?, column("pct")?, column("dmarc_pass")?];
    let days: &PrimitiveArray<i32> = downcast(days.as_ref())?;
    let pct: &PrimitiveArray<i32> = downcast(pct.as_ref())?;
    let passes: &BooleanArray = downcast(passes.as_ref())?;
    let keys: Vec<Option<ReportKey>> = texts.key.dictionary.iter().map(|text| report_key(Some(text)).ok()).collect();
    for row in selected_rows(part, group, filter)?.into_iter().flatten() {
        let key = keys.get(texts.key.codes[row] as usize).copied().flatten();
        let key = key.map_or_else(|| report_key(None), Ok)?;
        let (head, _) = heads.entry(key).or_insert_with(|| {
            let end = time(end.get(row).unwrap_or_default());
            let head = ReportHead {
                key,
                org_name: texts.org_name.get(row).unwrap_or_default().into(),
                org_email: texts.org_email.get(row).map(Text::from),
                report_id: texts.report_id.get(row).unwrap_or_default().into(),
                begin: time(begin.get(row).unwrap_or_default()),
                end,
                day: day(days.get(row).unwrap_or_default()),
                policy: texts.policy(row, pct.get(row)),
                records: 0,
                messages: 0,
                dmarc_pass: 0,
                sender_auth: sender_auth(texts.sender_auth.get(row).unwrap_or_default()),
                findings: Vec::new(),
            };
            (head, stored.get(row).map_or(end, time))
        });
        let count = counts.get(row).unwrap_or_default();
        head.records = head.records.saturating_add(1);
        head.messages = head.messages.saturating_add(count);
        head.dmarc_pass = head.dmarc_pass.saturating_add(if passes.get(row) == Some(true) { count } else { 0 });
    }
    Ok(())
}

/// The texts of a row group that are the same in all rows of a report.
struct HeadTexts {
    key: Words,
    org_name: Words,
    org_email: Words,
    report_id: Words,
    policy_domain: Words,
    tags: [Words; 7],
    sender_auth: Words,
}

impl HeadTexts {
    fn read(part: &ParquetPart, group: &RowGroupMetadata) -> PolarsResult<Self> {
        let read = |name: &str| words(part, group, name);
        Ok(Self {
            key: read("report_key")?,
            org_name: read("org_name")?,
            org_email: read("org_email")?,
            report_id: read("report_id")?,
            policy_domain: read("policy_domain")?,
            tags: [read("p")?, read("sp")?, read("np")?, read("adkim")?, read("aspf")?, read("fo")?, read("testing")?],
            sender_auth: read("sender_auth")?,
        })
    }

    fn policy(&self, row: usize, pct: Option<i32>) -> PolicyPublished {
        let [p, sp, np, adkim, aspf, fo, testing] = std::array::from_fn(|tag| self.tags[tag].get(row).map(Text::from));
        PolicyPublished {
            domain: Domain::from_canonical(Text::from(self.policy_domain.get(row).unwrap_or_default())),
            p,
            sp,
            np,
            adkim,
            aspf,
            pct,
            fo,
            testing,
            discovery_method: None,
        }
    }
}
