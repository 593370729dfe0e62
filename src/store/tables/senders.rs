//! The columns of `senders`: what the summary of a week says about each sender.

use super::columns::{ColumnType, Table, TableColumn, column};
use serde::{Deserialize, Serialize};

/// One row per sender of a week.
pub(crate) static SENDERS: Table = Table {
    name: "senders",
    about: "One row per sender that the summary of a complete ISO week lists.",
    key: "dmarquet.senders",
    version: 2,
    columns,
};

/// The fields of a piece of evidence.
pub(crate) const EVIDENCE: [&str; 2] = ["code", "detail"];

/// What a summary says about a sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderRow {
    /// The ISO week, such as `2026-W47`.
    pub week: String,
    /// The domain's customer, if the settings say.
    #[serde(skip)]
    pub customer: Option<String>,
    /// The domain that it sends as.
    pub policy_domain: String,
    /// Its only address, or the first of its network; `None` for the unknown source.
    pub address: Option<String>,
    /// Leading bits of the address that count.
    pub prefix: i32,
    /// The domain that signs its mail.
    pub signs_as: Option<String>,
    /// The organization of the return path that SPF proves.
    pub returns_to: Option<String>,
    /// The service, or the domain or network that is proven to own the server.
    #[serde(default)]
    pub name: Option<String>,
    /// The kind of proof: 1 to 5.
    #[serde(default)]
    pub rung: Option<i32>,
    /// What kind of network it is in.
    #[serde(default)]
    pub class: Option<String>,
    /// The number of its autonomous system.
    #[serde(default)]
    pub asn: Option<i64>,
    /// The country code of its network.
    #[serde(default)]
    pub country: Option<String>,
    /// Its role.
    pub role: String,
    /// The diagnosis.
    pub cause: String,
    /// The evidence for its role: a code, and its details.
    pub evidence: Vec<(String, String)>,
    /// Messages of the week.
    pub messages: i64,
    /// Those of them that pass DMARC.
    pub pass_messages: i64,
    /// Failing messages of the eight weeks that receivers would block after the next policy step.
    pub would_be_lost: i64,
    /// Failing messages of the week that receivers blocked.
    pub lost_now: i64,
}

fn columns() -> Vec<TableColumn> {
    use ColumnType::{Int, Long, Structs, Text};
    vec![
        column("week", Text, false, "ISO week, such as 2026-W47"),
        column("customer", Text, true, "customer that owns the domain, according to the settings"),
        column("policy_domain", Text, false, "domain that the sender sends as"),
        column("address", Text, true, "its only address, or the first of its network; null if unknown"),
        column("prefix", Int, false, "leading bits of the address that count"),
        column("signs_as", Text, true, "domain that signs its mail"),
        column("returns_to", Text, true, "organization of the return path that SPF proves"),
        column(
            "name",
            Text,
            true,
            "service, or the domain or network that is proven to own the server; of the address with most messages",
        ),
        column("rung", Int, true, "kind of proof, as in `sources`; only 1 and 2 are evidence"),
        column("class", Text, true, "kind of network: mail_service, rented_host or isp"),
        column("asn", Long, true, "number of its autonomous system"),
        column("country", Text, true, "country code of its network"),
        column("role", Text, false, "own, vendor, forwarder, list, unclear or suspect"),
        column("cause", Text, false, "the diagnosis, see summary.md"),
        column(
            "evidence",
            Structs(&EVIDENCE),
            true,
            "why it has this role: the codes of the summary's JSON, with what belongs to them",
        ),
        column("messages", Long, false, "messages of the week"),
        column("pass_messages", Long, false, "messages that pass DMARC"),
        column(
            "would_be_lost",
            Long,
            false,
            "failing messages of an own sender or vendor in eight weeks that the next step of the policy would block",
        ),
        column(
            "lost_now",
            Long,
            false,
            "failing messages of an own sender or vendor that receivers blocked in the week",
        ),
    ]
}
