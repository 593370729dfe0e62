//! The `reports` table as Parquet, beside the exported `records`: one row per report, in monthly folders.

use super::format::quiet_month;
use super::manifest::Exported;
use crate::model::Accepted;
use crate::store::disk::layout::Month;
use crate::store::error::StoreError;
use crate::store::parquet::checked_read;
use crate::store::parquet::rows::ParquetPart;
use crate::store::parquet::table_columns::FindingLists;
use crate::store::read::folder_files::files;
use crate::store::read::parquet_folder::ReportGroup;
use crate::store::read::store::Store;
use crate::store::tables::filter::Filter;
use crate::store::tables::reports::{COLUMNS, REPORTS, ReportColumnKind, ReportRow};
use crate::store::tables::values::{self, day};

use jiff::Timestamp;
use polars_arrow::array::{Array, PrimitiveArray, Utf8ViewArray};
use polars_arrow::compute::concatenate::concatenate;
use polars_error::PolarsResult;
use rusqlite::params;
use rusqlite::types::{ToSqlOutput, ValueRef};
use std::path::Path;

/// Collects rows of `reports` for a file or stream.
pub(crate) struct ReportTable(Vec<ColumnBuilder>);

impl Default for ReportTable {
    fn default() -> Self {
        Self(COLUMNS.iter().map(|column| ColumnBuilder::new(column.kind)).collect())
    }
}

impl ReportTable {
    /// Adds a report stored `now`.
    pub(crate) fn push(&mut self, accepted: &Accepted, now: Timestamp) {
        let row = ReportRow::new(accepted, now);
        for (column, value) in self.0.iter_mut().zip(row.values()) {
            match &value {
                ToSqlOutput::Borrowed(value) => column.push(*value),
                ToSqlOutput::Owned(value) => column.push(ValueRef::from(value)),
                _ => column.push(ValueRef::Null),
            }
        }
    }

    /// The columns.
    pub(crate) fn arrays(self) -> PolarsResult<Vec<Box<dyn Array>>> {
        self.0.into_iter().zip(COLUMNS).map(|(builder, column)| builder.array(column.kind)).collect()
    }
}

/// A column being built.
enum ColumnBuilder {
    Texts(Vec<Option<String>>),
    Longs(Vec<Option<i64>>),
    Ints(Vec<Option<i32>>),
    Findings(FindingLists),
}

impl ColumnBuilder {
    fn new(kind: ReportColumnKind) -> Self {
        match kind {
            ReportColumnKind::Text => Self::Texts(Vec::new()),
            ReportColumnKind::Time | ReportColumnKind::Long => Self::Longs(Vec::new()),
            ReportColumnKind::Date | ReportColumnKind::Int => Self::Ints(Vec::new()),
            ReportColumnKind::Findings => Self::Findings(FindingLists::default()),
        }
    }

    fn push(&mut self, value: ValueRef<'_>) {
        match (self, value) {
            (Self::Texts(texts), ValueRef::Blob(bytes)) => {
                texts.push(Some(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(values::hex_digit).collect()));
            }
            (Self::Texts(texts), ValueRef::Text(text)) => texts.push(Some(String::from_utf8_lossy(text).into_owned())),
            (Self::Texts(texts), _) => texts.push(None),
            (Self::Longs(longs), ValueRef::Integer(value)) => longs.push(Some(value)),
            (Self::Longs(longs), _) => longs.push(None),
            (Self::Ints(ints), ValueRef::Integer(value)) => ints.push(i32::try_from(value).ok()),
            (Self::Ints(ints), _) => ints.push(None),
            (Self::Findings(lists), value) => lists.push(value.as_str().ok()),
        }
    }

    fn array(self, kind: ReportColumnKind) -> PolarsResult<Box<dyn Array>> {
        let dtype = kind.column_type().arrow();
        Ok(match self {
            Self::Texts(texts) => Box::new(Utf8ViewArray::from_slice(texts)),
            Self::Longs(longs) => Box::new(PrimitiveArray::<i64>::from(longs).to(dtype)),
            Self::Ints(ints) => Box::new(PrimitiveArray::<i32>::from(ints).to(dtype)),
            Self::Findings(lists) => lists.array()?,
        })
    }
}

/// Writes the reports of the filter to `DIR/reports/month=.../reports.parquet`.
pub(crate) fn export(store: &Store, filter: &Filter, exported: &mut Exported) -> Result<(), StoreError> {
    if store.folder {
        return export_reports(store, filter, exported);
    }
    let mut any = false;
    each_month(store, filter, &mut |month, table| {
        any = true;
        write(exported, month, table)
    })?;
    if any { Ok(()) } else { write(exported, quiet_month(filter), ReportTable::default()) }
}

/// Passes on the ledger's reports that match the filter, month by month, ordered by day.
pub(crate) fn each_month(
    store: &Store,
    filter: &Filter,
    each: &mut dyn FnMut(Month, ReportTable) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let Some(ledger) = &store.ledger else { return Ok(()) };
    let names: Vec<String> = COLUMNS.iter().map(|column| format!("\"{}\"", column.ledger)).collect();
    let sql = format!(
        "SELECT {} FROM reports WHERE day BETWEEN ?1 AND ?2 AND batch > ?3 AND batch <= ?4
        ORDER BY day, id",
        names.join(", ")
    );
    let failed = || ledger.failed("reading the reports");
    let mut statement = ledger.connection.prepare(&sql).map_err(failed())?;
    let day_at = COLUMNS.iter().position(|column| column.kind == ReportColumnKind::Date).expect("the list has a day");
    let domain_at = COLUMNS.iter().position(|column| column.name == "policy_domain").expect("the list has a domain");

    let (from, to) = filter.days();
    let (after, last) = filter.new.as_ref().map_or((i64::MIN, i64::MAX), |new| (new.after, new.last));
    let mut rows = statement.query(params![from, to, after, last]).map_err(failed())?;
    let mut open: Option<(Month, ReportTable)> = None;
    while let Some(row) = rows.next().map_err(failed())? {
        let month = Month::of(day(row.get(day_at).map_err(failed())?));
        if !filter.has_domain(row.get_ref(domain_at).map_err(failed())?.as_str().unwrap_or_default()) {
            continue;
        }
        match &open {
            Some((under_way, _)) if *under_way == month => {}
            _ => {
                if let Some((done, table)) = open.replace((month, ReportTable::default())) {
                    each(done, table)?;
                }
            }
        }
        let (_, ReportTable(columns)) = open.as_mut().expect("it was just opened");
        for (index, column) in columns.iter_mut().enumerate() {
            column.push(row.get_ref(index).map_err(failed())?);
        }
    }
    open.map_or(Ok(()), |(month, table)| each(month, table))
}

fn write(exported: &mut Exported, month: Month, table: ReportTable) -> Result<(), StoreError> {
    let path = Path::new("reports").join(month.folder()).join("reports.parquet");
    let arrays = table.arrays().map_err(StoreError::parquet(&path, "building the columns"))?;
    exported.table(path, &REPORTS, &arrays)
}

/// Writes the reports of the filter from one folder to another.
pub(crate) fn export_reports(store: &Store, filter: &Filter, exported: &mut Exported) -> Result<(), StoreError> {
    for (number, path) in files(&store.layout, "reports", filter)?.into_iter().enumerate() {
        // A file outside the monthly folders may have several months: it is named after that of its first report.
        let month = path.parent().and_then(Month::of_folder);
        let part = ParquetPart::open(path)?;
        let read = || -> PolarsResult<Vec<Box<dyn Array>>> {
            let groups = part
                .metadata
                .row_groups
                .iter()
                .map(|group| ReportGroup::read(&part, group).and_then(|table| table.kept(filter)));
            let groups = groups.collect::<PolarsResult<Vec<_>>>()?;
            let column =
                |index: usize| concatenate(&groups.iter().map(|group| group[index].as_ref()).collect::<Vec<_>>());
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
        let day_at =
            COLUMNS.iter().position(|column| column.kind == ReportColumnKind::Date).expect("the list has a day");
        let days: Option<&PrimitiveArray<i32>> = arrays[day_at].as_any().downcast_ref();
        let first = days.and_then(|days| days.iter().flatten().min()).map(|number| Month::of(day(*number)));
        let month = month.or(first).unwrap_or_else(|| quiet_month(filter));
        let target = Path::new("reports").join(month.folder()).join(format!("reports-{number:05}.parquet"));
        exported.table(target, &REPORTS, &arrays)?;
    }
    Ok(())
}
