//! Exports rows: Parquet folders, CSV, NDJSON, and Arrow streams.

mod arrays;
pub(crate) mod dns;
pub(crate) mod folder;
pub(crate) mod format;
pub(crate) mod manifest;
pub(crate) mod records;
pub(crate) mod reports;
pub(crate) mod side_tables;
pub(crate) mod sources;
pub(crate) mod stream;
pub(crate) mod table_builder;
#[cfg(feature = "query")]
pub(crate) mod table_rows;
pub(crate) mod text_rows;
pub(crate) mod tls;
pub(crate) mod verdicts;
