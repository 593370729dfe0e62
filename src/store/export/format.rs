//! Shared by the exports: formats, Arrow files, and the months of Parquet files.

use super::text_rows::TextFormat;
use crate::store::disk::layout::Month;
use crate::store::tables::columns::Table;
use crate::store::tables::filter::Filter;
use jiff::civil::Date;
use polars_arrow::datatypes::{ArrowSchema, Metadata};
use polars_arrow::io::ipc::write::{FileWriter, WriteOptions};
use polars_error::PolarsResult;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The formats written to a single stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFormat {
    /// One JSON object per line.
    Ndjson,
    /// With a header line and lists as JSON. Text that a spreadsheet would run as a formula is prefixed with `'`.
    Csv,
    /// CSV for spreadsheets: a byte order mark, times as `YYYY-MM-DD HH:MM:SS`, lists in words.
    Spreadsheet,
    /// The Arrow IPC file format.
    Arrow,
}

impl RowFormat {
    /// The file name extension.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv | Self::Spreadsheet => "csv",
            Self::Arrow => "arrow",
        }
    }

    /// As a format of text; `None` for Arrow.
    pub(super) const fn text(self) -> Option<TextFormat> {
        match self {
            Self::Ndjson => Some(TextFormat::Ndjson),
            Self::Csv => Some(TextFormat::Csv),
            Self::Spreadsheet => Some(TextFormat::Spreadsheet),
            Self::Arrow => None,
        }
    }
}

/// Begins an Arrow IPC file of a table.
pub(super) fn arrow_file<W: Write>(table: &Table, out: W) -> PolarsResult<(FileWriter<W>, Arc<ArrowSchema>)> {
    let schema = Arc::new(table.schema());
    let mut writer = FileWriter::new(out, schema.clone(), None, WriteOptions { compression: None });
    writer.set_custom_schema_metadata(metadata(table));
    writer.start()?;
    Ok((writer, schema))
}

/// The file of a table for a month, below the folder of an export.
pub(super) fn monthly_file(table: &Table, month: Month) -> PathBuf {
    Path::new(table.name).join(month.folder()).join(format!("{}.parquet", table.name))
}

/// The metadata of an Arrow schema: the version of the table.
pub(crate) fn metadata(table: &Table) -> Arc<Metadata> {
    let (key, version) = table.metadata();
    Arc::new([(key.into(), version.into())].into())
}

/// The month for a file without rows: that of the first requested day.
pub(crate) fn quiet_month(filter: &Filter) -> Month {
    Month::of(filter.from.unwrap_or(Date::constant(1970, 1, 1)))
}
