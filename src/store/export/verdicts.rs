//! The tables `senders` and `domains` of an export.

use super::arrays::{ints, longs, texts};
use super::format::monthly_file;
use super::manifest::Exported;
use super::side_tables::SideTable;
use crate::store::disk::layout::Month;
use crate::store::error::StoreError;
use crate::store::parquet::encode::list_of;
use crate::store::tables::domains::{DOMAINS, DomainRow};
use crate::store::tables::senders::{EVIDENCE, SENDERS, SenderRow};
use crate::store::tables::values::int;
use crate::store::tables::verdicts::WeekVerdicts;
use polars_arrow::array::{Array, PrimitiveArray};
use polars_error::PolarsResult;
use std::collections::BTreeMap;
use std::path::Path;

/// Writes `senders/` and `domains/`, in folders of the months in which the weeks begin. Without a week, files without
/// rows keep the columns.
pub(crate) fn export(weeks: &[WeekVerdicts], quiet: Month, exported: &mut Exported) -> Result<(), StoreError> {
    let mut months: BTreeMap<Month, Vec<&WeekVerdicts>> = BTreeMap::new();
    for week in weeks {
        months.entry(Month::of(week.monday)).or_default().push(week);
    }
    if months.is_empty() {
        months.insert(quiet, Vec::new());
    }
    for (month, weeks) in months {
        for SideTable { table, columns, .. } in tables(&weeks)? {
            exported.table(monthly_file(table, month), table, &columns)?;
        }
    }
    Ok(())
}

/// The two tables of some weeks.
///
/// # Errors
/// If the columns cannot be built.
pub fn verdict_tables(weeks: &[WeekVerdicts]) -> Result<[SideTable; 2], StoreError> {
    tables(&weeks.iter().collect::<Vec<_>>())
}

fn tables(weeks: &[&WeekVerdicts]) -> Result<[SideTable; 2], StoreError> {
    let senders: Vec<&SenderRow> = weeks.iter().flat_map(|week| &week.senders).collect();
    let domains: Vec<&DomainRow> = weeks.iter().flat_map(|week| &week.domains).collect();
    let columns = sender_arrays(&senders);
    let columns = columns.map_err(StoreError::parquet(Path::new(SENDERS.name), "building the columns"))?;
    Ok([
        SideTable { table: &SENDERS, columns, rows: senders.len() },
        SideTable { table: &DOMAINS, columns: domain_arrays(&domains), rows: domains.len() },
    ])
}

/// The names of the tables of verdicts.
#[cfg(feature = "query")]
pub(crate) const VERDICT_TABLES: [&str; 2] = ["senders", "domains"];

/// The rows of `senders` as columns.
fn sender_arrays(rows: &[&SenderRow]) -> PolarsResult<Vec<Box<dyn Array>>> {
    let text = |of: fn(&SenderRow) -> Option<&str>| texts(rows.iter().map(|row| of(row)));
    let long = |of: fn(&SenderRow) -> i64| longs(rows.iter().map(|row| Some(of(row))));
    let evidence: Vec<Vec<(&str, &str)>> = rows
        .iter()
        .map(|row| row.evidence.iter().map(|(code, detail)| (code.as_str(), detail.as_str())).collect())
        .collect();
    Ok(vec![
        text(|row| Some(&row.week)),
        text(|row| row.customer.as_deref()),
        text(|row| Some(&row.policy_domain)),
        text(|row| row.address.as_deref()),
        ints(rows.iter().map(|row| Some(row.prefix))),
        text(|row| row.signs_as.as_deref()),
        text(|row| row.returns_to.as_deref()),
        text(|row| row.name.as_deref()),
        ints(rows.iter().map(|row| row.rung)),
        text(|row| row.class.as_deref()),
        longs(rows.iter().map(|row| row.asn)),
        text(|row| row.country.as_deref()),
        text(|row| Some(&row.role)),
        text(|row| Some(&row.cause)),
        pairs(&evidence)?,
        long(|row| row.messages),
        long(|row| row.pass_messages),
        long(|row| row.would_be_lost),
        long(|row| row.lost_now),
    ])
}

/// A column of lists of pairs of texts.
fn pairs(rows: &[Vec<(&str, &str)>]) -> PolarsResult<Box<dyn Array>> {
    let mut offsets = vec![0_i64];
    for row in rows {
        let last = offsets.last().copied().unwrap_or(0);
        offsets.push(last.saturating_add(int(row.len())));
    }
    let leaves = vec![
        texts(rows.iter().flatten().map(|(one, _)| Some(*one))),
        texts(rows.iter().flatten().map(|(_, other)| Some(*other))),
    ];
    list_of(offsets, leaves, &EVIDENCE)
}

/// The rows of `domains` as columns.
fn domain_arrays(rows: &[&DomainRow]) -> Vec<Box<dyn Array>> {
    let text = |of: fn(&DomainRow) -> Option<&str>| texts(rows.iter().map(|row| of(row)));
    let long = |of: fn(&DomainRow) -> i64| longs(rows.iter().map(|row| Some(of(row))));
    let rates: Vec<Option<f64>> = rows.iter().map(|row| row.pass_rate()).collect();
    vec![
        text(|row| Some(&row.week)),
        text(|row| row.customer.as_deref()),
        text(|row| Some(&row.policy_domain)),
        text(|row| row.policy.as_deref()),
        text(|row| Some(&row.readiness)),
        long(|row| row.messages),
        long(|row| row.pass_messages),
        Box::new(PrimitiveArray::<f64>::from(rates)),
        long(|row| row.reporters),
        long(|row| row.actions),
    ]
}
