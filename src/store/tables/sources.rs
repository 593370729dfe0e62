//! The columns of `sources`.

use super::columns::{ColumnType, Table, TableColumn, column};

/// One row per address that was looked up.
pub(crate) static SOURCES: Table = Table {
    name: "sources",
    about: "One row per source address that `enrich` looked up.",
    key: "dmarquet.sources",
    version: 3,
    columns,
};

fn columns() -> Vec<TableColumn> {
    use ColumnType::{Flag, Int, Long, Text, Time};
    vec![
        column("source_ip", Text, false, "canonical address"),
        column(
            "name",
            Text,
            true,
            "service, or the domain that proves whose server it is; without a rung, the host name",
        ),
        column(
            "rung",
            Int,
            true,
            "kind of proof: 1 foreign signature or return path that passes, 2 delegation in DNS, 3 published range, 4 confirmed host name, 5 network; null without proof",
        ),
        column("host_name", Text, true, "name by reverse DNS"),
        column("confirmed", Flag, true, "whether the host name leads back to the address"),
        column("looked_up", Time, true, "when the name was looked up"),
        column("asn", Long, true, "number of its autonomous system"),
        column("as_name", Text, true, "name of its autonomous system"),
        column("country", Text, true, "country code"),
        column("class", Text, true, "kind of network: mail_service, rented_host or isp; null if no rule applies"),
        column("class_ground", Text, true, "the rule that decided the class, such as `host name under amazonaws.com`"),
    ]
}
