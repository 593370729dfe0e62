//! The columns of `domains`: what the summary of a week says about each domain.

use super::columns::{ColumnType, Table, TableColumn, column};
use serde::{Deserialize, Serialize};

/// One row per domain of a week.
pub(crate) static DOMAINS: Table = Table {
    name: "domains",
    about: "One row per policy domain in the summary of a complete ISO week.",
    key: "dmarquet.domains",
    version: 1,
    columns,
};

/// What a summary says about a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainRow {
    /// The ISO week, such as `2026-W47`.
    pub week: String,
    /// The domain's customer, if the settings say.
    #[serde(skip)]
    pub customer: Option<String>,
    /// The domain.
    pub policy_domain: String,
    /// Its `p` in most reports of the last days.
    pub policy: Option<String>,
    /// Whether a stricter policy would cost mail.
    pub readiness: String,
    /// Messages of the week.
    pub messages: i64,
    /// Those of them that pass DMARC.
    pub pass_messages: i64,
    /// Reporters of the week.
    pub reporters: i64,
    /// Actions about it.
    pub actions: i64,
}

impl DomainRow {
    #[expect(clippy::cast_precision_loss, reason = "a rate of more than 2^53 messages loses nothing that counts")]
    /// The share of messages that pass; `None` without messages.
    pub(crate) fn pass_rate(&self) -> Option<f64> {
        (self.messages > 0).then(|| self.pass_messages as f64 / self.messages as f64)
    }
}

fn columns() -> Vec<TableColumn> {
    use ColumnType::{Float, Long, Text};
    vec![
        column("week", Text, false, "ISO week, such as 2026-W47"),
        column("customer", Text, true, "customer that owns the domain, according to the settings"),
        column("policy_domain", Text, false, "the domain"),
        column("policy", Text, true, "published p, as most reports of the last two days show it"),
        column(
            "readiness",
            Text,
            false,
            "whether the policy can be stricter: done, ready, not_yet, parked or too_little",
        ),
        column("messages", Long, false, "messages of the week"),
        column("pass_messages", Long, false, "messages that pass DMARC"),
        column("pass_rate", Float, true, "share of messages that pass, 0 to 1; null without messages"),
        column("reporters", Long, false, "reporters of the week"),
        column("actions", Long, false, "actions of the summary about the domain"),
    ]
}
