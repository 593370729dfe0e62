//! The small tables beside `records`: one file each, in the folder of an export.

use super::folder::ExportFolder;
use super::format::{RowFormat, arrow_file};
use super::manifest::Exported;
use super::{dns, sources};
use crate::store::error::StoreError;
use crate::store::read::store::Store;
use crate::store::tables::columns::Table;
use crate::store::tables::dns::DNS;
use crate::store::tables::domains::DOMAINS;
use crate::store::tables::filter::Filter;
use crate::store::tables::senders::SENDERS;
use crate::store::tables::sources::SOURCES;
use polars_arrow::array::{Array, new_empty_array};
use polars_arrow::record_batch::RecordBatchT;
use std::io;
use std::path::Path;

/// A small table, read.
pub struct SideTable {
    pub(in crate::store) table: &'static Table,
    pub(in crate::store) columns: Vec<Box<dyn Array>>,
    pub(in crate::store) rows: usize,
}

/// Writes each small table that has rows to `DIR/TABLE/TABLE.parquet`.
pub(crate) fn export(store: &Store, filter: &Filter, exported: &mut Exported) -> Result<(), StoreError> {
    store.side_tables(filter)?.iter().try_for_each(|SideTable { table, columns, .. }| {
        exported.table(Path::new(table.name).join(format!("{}.parquet", table.name)), table, columns)
    })
}

impl SideTable {
    /// The tables that only some exports to files of text have, without rows.
    pub fn of_some_exports() -> [Self; 4] {
        [&SENDERS, &DOMAINS, &SOURCES, &DNS].map(|table| {
            let columns = (table.columns)().iter().map(|column| new_empty_array(column.kind.arrow())).collect();
            Self { table, columns, rows: 0 }
        })
    }

    /// Its name, and that of its file without the ending.
    pub const fn name(&self) -> &'static str {
        self.table.name
    }

    /// Whether a folder has a file of text that is recognizably this table. Any other file of its name may be a
    /// user's own.
    pub fn is_left_in(&self, folder: &ExportFolder, format: RowFormat) -> bool {
        let names = self.table.column_names();
        let (begin, mark) = match format {
            RowFormat::Ndjson => (format!("{{\"{}\":", names[0]), ""),
            RowFormat::Csv | RowFormat::Spreadsheet => (format!("{}\n", names.join(",")), "\u{feff}"),
            RowFormat::Arrow => return false,
        };
        let file = format!("{}.{}", self.name(), format.extension());
        let found = folder.beginning(&file, (mark.len() + begin.len()) as u64).unwrap_or_default();
        found.strip_prefix(mark.as_bytes()).unwrap_or(&found).starts_with(begin.as_bytes())
    }

    /// Writes it in a format.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn write(&self, format: RowFormat, out: &mut dyn io::Write) -> io::Result<()> {
        let names = self.table.column_names();
        if let Some(text) = format.text() {
            out.write_all(text.head(&names).as_bytes())?;
            return text.write(&names, &self.columns, self.rows, out);
        }
        let (mut writer, schema) = arrow_file(self.table, out).map_err(io::Error::other)?;
        let batch = RecordBatchT::try_new(self.rows, schema, self.columns.clone());
        let written = batch.and_then(|batch| writer.write(&batch, None)).and_then(|()| writer.finish());
        written.map_err(io::Error::other)
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
