//! The exported tables, each with one list of its columns, which writers, readers, and `docs/columns.md` use.
//!
//! Every Parquet file and Arrow stream has the version of its table under the table's key. A file with a greater
//! version is refused: its columns may mean something else. A file without a version was written by another program, in
//! our layout.

pub(crate) mod collect;
pub(crate) mod columns;
pub(crate) mod dns;
pub(crate) mod domains;
pub(crate) mod filter;
pub(crate) mod ledger;
pub(crate) mod reports;
pub mod schema;
pub(crate) mod senders;
pub(crate) mod sources;
pub(crate) mod table;
pub(crate) mod tls;
pub(crate) mod values;
pub(crate) mod verdicts;

pub use columns::{ColumnType, Table, TableColumn};
pub use table::TABLES;
