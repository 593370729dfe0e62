//! The tables `senders` and `domains` of an export.

use super::format::RowFormat;
use super::manifest::Exported;
use super::text_rows::{self, CsvStyle};
use crate::store::disk::layout::Month;
use crate::store::error::StoreError;
use crate::store::parquet::encode::list_of;
use crate::store::parquet::table_file::file;
use crate::store::tables::domains::{DOMAINS, DomainRow};
use crate::store::tables::senders::{EVIDENCE, SENDERS, SenderRow};
use crate::store::tables::table::Table;
use crate::store::tables::values::int;
use crate::store::tables::verdicts::WeekVerdicts;
use polars_arrow::array::{Array, PrimitiveArray, Utf8ViewArray};
use polars_error::PolarsResult;
use std::collections::BTreeMap;
use std::io::Write;
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
        for (table, arrays) in tables(&weeks) {
            let path = Path::new(table.name).join(month.folder()).join(format!("{}.parquet", table.name));
            let bytes = arrays.and_then(|arrays| file(table, &arrays));
            exported.write(path.clone(), &bytes.map_err(StoreError::parquet(&path, "writing the verdicts"))?)?;
        }
    }
    Ok(())
}

/// The two tables of some weeks.
fn tables(weeks: &[&WeekVerdicts]) -> [(&'static Table, PolarsResult<Vec<Box<dyn Array>>>); 2] {
    let senders: Vec<&SenderRow> = weeks.iter().flat_map(|week| &week.senders).collect();
    let domains: Vec<&DomainRow> = weeks.iter().flat_map(|week| &week.domains).collect();
    [(&SENDERS, sender_arrays(&senders)), (&DOMAINS, Ok(domain_arrays(&domains)))]
}

/// One of the two tables, by its name; none if there is no such table.
#[cfg(feature = "query")]
pub(crate) fn columns(weeks: &[WeekVerdicts], name: &str) -> Option<PolarsResult<Vec<Box<dyn Array>>>> {
    let weeks: Vec<&WeekVerdicts> = weeks.iter().collect();
    tables(&weeks).into_iter().find(|(table, _)| table.name == name).map(|(_, arrays)| arrays)
}

/// The names of the tables of verdicts.
pub const VERDICT_TABLES: [&str; 2] = ["senders", "domains"];

/// Writes one of [`VERDICT_TABLES`] as text.
///
/// # Errors
/// If the format is not text, or the output cannot be written.
pub fn write_verdicts(
    weeks: &[WeekVerdicts],
    name: &str,
    format: RowFormat,
    out: &mut dyn Write,
) -> Result<(), StoreError> {
    let weeks: Vec<&WeekVerdicts> = weeks.iter().collect();
    let path = Path::new(name);
    let found = tables(&weeks).into_iter().find(|(table, _)| table.name == name);
    let none = || StoreError::Unknown { what: name.to_owned(), expected: "a table of verdicts" };
    let (table, arrays) = found.ok_or_else(none)?;
    let arrays = arrays.map_err(StoreError::parquet(path, "building the columns"))?;
    let rows = arrays.first().map_or(0, |array| array.len());
    let names: Vec<&str> = (table.columns)().iter().map(|column| column.name).collect();
    let written = match format {
        RowFormat::Ndjson => text_rows::ndjson(&names, &arrays, rows, out),
        RowFormat::Csv | RowFormat::Spreadsheet => {
            let style = if format == RowFormat::Csv { CsvStyle::Exact } else { CsvStyle::Spreadsheet };
            text_rows::csv_header(&names, style, out).and_then(|()| text_rows::csv(style, &arrays, rows, out))
        }
        RowFormat::Arrow => return Err(none()),
    };
    written.map_err(StoreError::io(path, "writing"))
}

/// The rows of `senders` as columns.
fn sender_arrays(rows: &[&SenderRow]) -> PolarsResult<Vec<Box<dyn Array>>> {
    let text = |of: fn(&SenderRow) -> Option<&str>| texts(rows.iter().map(|row| of(row)));
    let long = |of: fn(&SenderRow) -> i64| longs(rows.iter().map(|row| of(row)));
    let evidence: Vec<Vec<(&str, &str)>> = rows
        .iter()
        .map(|row| row.evidence.iter().map(|(code, detail)| (code.as_str(), detail.as_str())).collect())
        .collect();
    Ok(vec![
        text(|row| Some(&row.week)),
        text(|row| row.customer.as_deref()),
        text(|row| Some(&row.policy_domain)),
        text(|row| row.address.as_deref()),
        Box::new(PrimitiveArray::<i32>::from_vec(rows.iter().map(|row| row.prefix).collect())),
        text(|row| row.signs_as.as_deref()),
        text(|row| row.returns_to.as_deref()),
        text(|row| row.name.as_deref()),
        Box::new(PrimitiveArray::<i32>::from(rows.iter().map(|row| row.rung).collect::<Vec<_>>())),
        text(|row| row.class.as_deref()),
        Box::new(PrimitiveArray::<i64>::from(rows.iter().map(|row| row.asn).collect::<Vec<_>>())),
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

/// A column of texts.
fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Box<dyn Array> {
    Box::new(Utf8ViewArray::from_slice(values.collect::<Vec<_>>()))
}

/// A column of numbers.
fn longs(values: impl Iterator<Item = i64>) -> Box<dyn Array> {
    Box::new(PrimitiveArray::<i64>::from_vec(values.collect()))
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
    list_of(offsets, leaves, EVIDENCE.into_iter())
}

/// The rows of `domains` as columns.
fn domain_arrays(rows: &[&DomainRow]) -> Vec<Box<dyn Array>> {
    let text = |of: fn(&DomainRow) -> Option<&str>| texts(rows.iter().map(|row| of(row)));
    let long = |of: fn(&DomainRow) -> i64| longs(rows.iter().map(|row| of(row)));
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
