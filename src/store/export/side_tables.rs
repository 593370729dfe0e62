//! The small tables beside `records` as text: one file each, in the folder of an export.

use super::records::RowFormat;
use super::text_rows::{self, CsvStyle};
use super::{dns, sources};
use crate::store::error::StoreError;
use crate::store::read::store::Store;
use crate::store::tables::dns::DNS;
use crate::store::tables::filter::Filter;
use crate::store::tables::sources::SOURCES;
use crate::store::tables::table::Table;
use polars_arrow::array::Array;
use std::io;

/// A small table, read.
pub struct SideTable {
    table: &'static Table,
    columns: Vec<Box<dyn Array>>,
    rows: usize,
}

impl SideTable {
    /// Its name, and that of its file without the ending.
    pub const fn name(&self) -> &'static str {
        self.table.name
    }

    /// Write it as CSV or NDJSON; other formats write nothing.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn write(&self, format: RowFormat, out: &mut dyn io::Write) -> io::Result<()> {
        let columns = (self.table.columns)();
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        let style = match format {
            RowFormat::Ndjson => return text_rows::ndjson(&names, &self.columns, self.rows, out),
            RowFormat::Csv => CsvStyle::Exact,
            RowFormat::Spreadsheet => CsvStyle::Spreadsheet,
            RowFormat::Arrow => return Ok(()),
        };
        text_rows::csv_header(&names, style, out)?;
        text_rows::csv(style, &self.columns, self.rows, out)
    }
}

impl Store {
    /// The small tables that have rows: `sources` and `dns`.
    ///
    /// # Errors
    /// If the ledger or the rows cannot be read.
    pub fn side_tables(&self, filter: &Filter) -> Result<Vec<SideTable>, StoreError> {
        let mut tables = Vec::new();
        for (table, (columns, rows)) in
            [(&SOURCES, sources::columns(self, filter)?), (&DNS, dns::columns(self, filter)?)]
        {
            if rows > 0 {
                tables.push(SideTable { table, columns, rows });
            }
        }
        Ok(tables)
    }
}
