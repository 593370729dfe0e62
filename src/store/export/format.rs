//! Shared by the exports: formats, the version of a table, and the month of a file without rows.

use crate::store::disk::layout::Month;
use crate::store::tables::columns::Table;
use crate::store::tables::filter::Filter;
use jiff::civil::Date;
use polars_arrow::datatypes::Metadata;
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
