//! The columns of `sources`.

use super::table::{ColumnType, Table, TableColumn};

/// One row per address that was looked up.
pub(crate) static SOURCES: Table = Table {
    name: "sources",
    about: "One row per source address that `enrich` looked up.",
    key: "dmarquet.sources",
    version: 1,
    columns,
};

fn columns() -> Vec<TableColumn> {
    let column = |name, kind, nullable, doc| TableColumn { name, kind, nullable, doc };
    vec![
        column("source_ip", ColumnType::Text, false, "canonical address"),
        column("name", ColumnType::Text, true, "name by reverse DNS"),
        column("confirmed", ColumnType::Flag, true, "whether that name leads back to the address"),
        column("looked_up", ColumnType::Time, true, "when the name was looked up"),
        column("asn", ColumnType::Long, true, "number of its autonomous system"),
        column("as_name", ColumnType::Text, true, "name of its autonomous system"),
        column("country", ColumnType::Text, true, "country code"),
    ]
}
