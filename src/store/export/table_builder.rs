//! Builds a table row by row, from values as the ledger has them.

use super::side_tables::SideTable;
use crate::store::error::StoreError;
use crate::store::parquet::table_columns::FindingLists;
use crate::store::tables::columns::{ColumnType, Table};
use crate::store::tables::values::hex_digit;
use polars_arrow::array::{Array, PrimitiveArray, Utf8ViewArray};
use polars_error::PolarsResult;
use rusqlite::types::{ToSqlOutput, ValueRef};
use std::path::Path;

/// The rows of a table, as they are collected.
pub(crate) struct TableBuilder {
    table: &'static Table,
    columns: Vec<(ColumnType, ColumnBuilder)>,
    pub(super) rows: usize,
}

impl TableBuilder {
    pub(crate) fn new(table: &'static Table) -> Self {
        let columns = (table.columns)().iter().map(|column| (column.kind, ColumnBuilder::new(column.kind))).collect();
        Self { table, columns, rows: 0 }
    }

    /// Adds a row: its values in the order of the columns.
    pub(crate) fn push<'v>(&mut self, values: impl IntoIterator<Item = ToSqlOutput<'v>>) {
        self.rows += 1;
        for ((_, column), value) in self.columns.iter_mut().zip(values) {
            match &value {
                ToSqlOutput::Borrowed(value) => column.push(*value),
                ToSqlOutput::Owned(value) => column.push(value.into()),
                _ => column.push(ValueRef::Null),
            }
        }
    }

    /// The table of the rows.
    pub(crate) fn finish(self) -> Result<SideTable, StoreError> {
        let columns = self.columns.into_iter().map(|(kind, column)| column.array(kind)).collect::<PolarsResult<_>>();
        let columns = columns.map_err(StoreError::parquet(Path::new(self.table.name), "building the columns"))?;
        Ok(SideTable { table: self.table, columns, rows: self.rows })
    }
}

/// A column that is being built.
enum ColumnBuilder {
    Texts(Vec<Option<String>>),
    Longs(Vec<Option<i64>>),
    Ints(Vec<Option<i32>>),
    Findings(FindingLists),
}

impl ColumnBuilder {
    fn new(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Text => Self::Texts(Vec::new()),
            ColumnType::Time | ColumnType::Long => Self::Longs(Vec::new()),
            ColumnType::Date | ColumnType::Int => Self::Ints(Vec::new()),
            ColumnType::Structs(_) => Self::Findings(FindingLists::default()),
            ColumnType::Float | ColumnType::Flag => unreachable!("the ledger's tables have no such column"),
        }
    }

    /// Adds a value; bytes become hexadecimal digits, JSON a list of findings.
    fn push(&mut self, value: ValueRef<'_>) {
        match (self, value) {
            (Self::Texts(texts), ValueRef::Blob(bytes)) => {
                texts.push(Some(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit).collect()));
            }
            (Self::Texts(texts), ValueRef::Text(text)) => texts.push(Some(String::from_utf8_lossy(text).into_owned())),
            (Self::Texts(texts), _) => texts.push(None),
            (Self::Longs(longs), value) => longs.push(value.as_i64().ok()),
            (Self::Ints(ints), value) => ints.push(value.as_i64().ok().and_then(|value| i32::try_from(value).ok())),
            (Self::Findings(lists), value) => lists.push(value.as_str().ok()),
        }
    }

    fn array(self, kind: ColumnType) -> PolarsResult<Box<dyn Array>> {
        Ok(match self {
            Self::Texts(texts) => Box::new(Utf8ViewArray::from_slice(texts)),
            Self::Longs(longs) => Box::new(PrimitiveArray::<i64>::from(longs).to(kind.arrow())),
            Self::Ints(ints) => Box::new(PrimitiveArray::<i32>::from(ints).to(kind.arrow())),
            Self::Findings(lists) => lists.array()?,
        })
    }
}
