//! The `reports` table as Parquet, beside the exported `records`: one row per report, in monthly folders.

use super::format::{monthly_file, quiet_month};
use super::manifest::Exported;
use super::side_tables::SideTable;
use super::table_builder::TableBuilder;
use crate::store::disk::layout::Month;
use crate::store::error::StoreError;
use crate::store::parquet::arrays::concatenated;
use crate::store::parquet::checked_read;
use crate::store::parquet::rows::ParquetPart;
use crate::store::read::folder_files::files;
use crate::store::read::group_columns::GroupColumns;
use crate::store::read::store::Store;
use crate::store::tables::filter::Filter;
use crate::store::tables::reports::{COLUMNS, REPORTS, ledger_columns};
use crate::store::tables::values::day;

use polars_arrow::array::{Array, PrimitiveArray};
use polars_error::PolarsResult;
use rusqlite::params;
use rusqlite::types::ToSqlOutput;
use std::path::Path;

/// Writes the reports of the filter to `DIR/reports/month=.../reports.parquet`.
pub(crate) fn export(store: &Store, filter: &Filter, exported: &mut Exported) -> Result<(), StoreError> {
    if store.folder {
        return export_reports(store, filter, exported);
    }
    let write = |exported: &mut Exported, month, SideTable { table, columns, .. }: SideTable| {
        exported.table(monthly_file(table, month), table, &columns)
    };
    each_month(store, filter, &mut |month, table| write(exported, month, table))?;
    if exported.is_empty(Path::new(REPORTS.name)) {
        write(exported, quiet_month(filter), TableBuilder::new(&REPORTS).finish()?)?;
    }
    Ok(())
}

/// Passes on the ledger's reports that match the filter, month by month, ordered by day.
pub(crate) fn each_month(
    store: &Store,
    filter: &Filter,
    each: &mut dyn FnMut(Month, SideTable) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let Some(ledger) = &store.ledger else { return Ok(()) };
    let sql = format!(
        "SELECT {} FROM reports WHERE day BETWEEN ?1 AND ?2 AND batch > ?3 AND batch <= ?4
        ORDER BY day, id",
        ledger_columns()
    );
    let failed = || ledger.failed("reading the reports");
    let mut statement = ledger.connection.prepare(&sql).map_err(failed())?;
    let (day_at, domain_at) = (column_at("date"), column_at("policy_domain"));
    let (from, to) = filter.days();
    let (after, last) = filter.new.as_ref().map_or((i64::MIN, i64::MAX), |new| (new.after, new.last));
    let mut rows = statement.query(params![from, to, after, last]).map_err(failed())?;
    let mut open: Option<(Month, TableBuilder)> = None;
    while let Some(row) = rows.next().map_err(failed())? {
        let month = Month::of(day(row.get(day_at).map_err(failed())?));
        if !filter.has_domain(row.get_ref(domain_at).map_err(failed())?.as_str().unwrap_or_default()) {
            continue;
        }
        if let Some((done, table)) = open.take_if(|(under_way, _)| *under_way != month) {
            each(done, table.finish()?)?;
        }
        let values = (0..COLUMNS.len()).map(|index| row.get_ref(index).map(ToSqlOutput::Borrowed));
        let values = values.collect::<rusqlite::Result<Vec<_>>>().map_err(failed())?;
        let (_, table) = open.get_or_insert_with(|| (month, TableBuilder::new(&REPORTS)));
        table.push(values);
    }
    open.map_or(Ok(()), |(month, table)| each(month, table.finish()?))
}

fn column_at(name: &str) -> usize {
    COLUMNS.iter().position(|column| column.name == name).expect("a column of the list")
}

/// Writes the reports of the filter from one folder to another.
fn export_reports(store: &Store, filter: &Filter, exported: &mut Exported) -> Result<(), StoreError> {
    for (number, path) in files(&store.layout, "reports", filter)?.into_iter().enumerate() {
        // A file outside the monthly folders may have several months: it is named after that of its first report.
        let month = path.parent().and_then(Month::of_folder);
        let part = ParquetPart::open(path)?;
        let read = || -> PolarsResult<Vec<Box<dyn Array>>> {
            let groups = part.metadata.row_groups.iter();
            let groups = groups.map(|group| GroupColumns::of_reports(&part, group)?.kept(filter));
            let groups = groups.collect::<PolarsResult<Vec<_>>>()?;
            let column =
                |index: usize| concatenated(&groups.iter().map(|group| group[index].clone()).collect::<Vec<_>>());
            (0..COLUMNS.len()).map(column).collect()
        };
        let arrays = if part.metadata.row_groups.is_empty() {
            Vec::new()
        } else {
            checked_read::read(&part.path, "reading the reports", read)?
        };
        if arrays.first().is_none_or(|array| array.is_empty()) {
            continue;
        }
        let days: Option<&PrimitiveArray<i32>> = arrays[column_at("date")].as_any().downcast_ref();
        let first = days.and_then(|days| days.iter().flatten().min()).map(|number| Month::of(day(*number)));
        let month = month.or(first).unwrap_or_else(|| quiet_month(filter));
        let target = Path::new(REPORTS.name).join(month.folder()).join(format!("reports-{number:05}.parquet"));
        exported.table(target, &REPORTS, &arrays)?;
    }
    Ok(())
}
