//! The columns of `dns`.

use super::columns::{ColumnType, Table, TableColumn, column};

/// One row per DNS record and time during which lookups found it.
pub(crate) static DNS: Table = Table {
    name: "dns",
    about: "One row per DNS record and the time during which `check --all` found it.",
    key: "dmarquet.dns",
    version: 1,
    columns,
};

fn columns() -> Vec<TableColumn> {
    use ColumnType::{Text, Time};
    vec![
        column("name", Text, false, "name of the record; for a policy file its host"),
        column("type", Text, false, "TXT, MX, CNAME, TLSA, or MTA-STS for a policy file"),
        column(
            "value",
            Text,
            false,
            "the record: the strings of a text joined, an MX as `10 host`, the lines of a policy joined by `; `",
        ),
        column("first_seen", Time, false, "first lookup that found it"),
        column("last_seen", Time, false, "last lookup that found it"),
    ]
}
