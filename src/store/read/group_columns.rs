//! The columns of a row group of a small table, by name.

use crate::model::Text;
use crate::store::parquet::cut;
use crate::store::parquet::rows::ParquetPart;
use crate::store::parquet::table_columns::{report_column, table_column};
use crate::store::tables::columns::Table;
use crate::store::tables::filter::Filter;
use crate::store::tables::reports::{COLUMNS, ReportColumn};
use crate::store::tables::values::{LineFinding, Texts};
use polars_arrow::array::{Array, ListArray, PrimitiveArray, StaticArray as _, StructArray, Utf8ViewArray};
use polars_error::{PolarsResult, polars_err};
use polars_parquet::read::RowGroupMetadata;

/// The columns of a row group, by name.
pub(crate) struct GroupColumns(Vec<(&'static str, Box<dyn Array>)>);

impl GroupColumns {
    /// The columns of `reports`, whatever version the file is of.
    pub(crate) fn of_reports(part: &ParquetPart, group: &RowGroupMetadata) -> PolarsResult<Self> {
        let read = |column: &ReportColumn| Ok((column.name, report_column(part, group, column)?));
        COLUMNS.iter().map(read).collect::<PolarsResult<_>>().map(Self)
    }

    /// The columns of another table; those that the file lacks are null.
    pub(crate) fn of_table(table: &Table, part: &ParquetPart, group: &RowGroupMetadata) -> PolarsResult<Self> {
        let columns = (table.columns)();
        let read = columns.iter().map(|column| Ok((column.name, table_column(part, group, column)?)));
        read.collect::<PolarsResult<_>>().map(Self)
    }

    fn column<T: 'static>(&self, name: &str) -> PolarsResult<&T> {
        let column = self.0.iter().find(|(other, _)| *other == name);
        let typed = column.and_then(|(_, array)| array.as_any().downcast_ref());
        typed.ok_or_else(|| polars_err!(ComputeError: "expected a column {} of its type, found none", name))
    }

    pub(super) fn text(&self, name: &str, row: usize) -> PolarsResult<Option<Text>> {
        Ok(self.column::<Utf8ViewArray>(name)?.get(row).map(Text::from))
    }

    pub(super) fn long(&self, name: &str, row: usize) -> PolarsResult<Option<i64>> {
        Ok(self.column::<PrimitiveArray<i64>>(name)?.get(row))
    }

    pub(super) fn int(&self, name: &str, row: usize) -> PolarsResult<Option<i32>> {
        Ok(self.column::<PrimitiveArray<i32>>(name)?.get(row))
    }

    pub(super) fn findings(&self, row: usize) -> PolarsResult<Vec<LineFinding>> {
        let lists = self.column::<ListArray<i64>>("findings")?;
        let fields = lists.values().as_any().downcast_ref::<StructArray>().map(StructArray::values);
        let texts = |field: usize| fields.and_then(|fields| Texts::of(fields.get(field)?.as_ref()));
        let (Some(codes), Some(details)) = (texts(0), texts(1)) else {
            return Err(polars_err!(ComputeError: "expected findings with codes and details, found others"));
        };
        let (start, end) = lists.offsets().start_end(row);
        // A finding without a code, which only other programs write, says nothing.
        let finding = |item| {
            let detail = details.get(item).unwrap_or_default().to_owned();
            Some(LineFinding { code: codes.get(item)?.to_owned(), detail })
        };
        Ok((start..end).filter_map(finding).collect())
    }

    /// Whether a row is of the days and domains of a filter. A row without a day is, so that it is reported.
    pub(super) fn is_asked(&self, row: usize, filter: &Filter) -> bool {
        let (from, to) = filter.days();
        self.int("date", row).ok().flatten().is_none_or(|day| (from..=to).contains(&day))
            && filter.has_domain(&self.text("policy_domain", row).ok().flatten().unwrap_or_default())
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
}
