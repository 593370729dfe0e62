//! The tables that leave the program, each with one list of its columns. Writers, readers, and `docs/columns.md` go by
//! these lists.
//!
//! Every Parquet file and Arrow stream says the version of its table under the table's key. A file of a greater version is
//! refused: its columns may mean something else. A file that says nothing was written by another program, in our layout.

pub(crate) mod collect;
pub(crate) mod dns;
pub(crate) mod domains;
pub(crate) mod filter;
pub(crate) mod reports;
pub mod schema;
pub(crate) mod senders;
pub(crate) mod sources;
pub(crate) mod table;
pub(crate) mod tls;
pub(crate) mod values;
pub(crate) mod verdicts;

pub use table::{ColumnType, TABLES, Table, TableColumn};
