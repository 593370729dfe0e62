//! The columns of `reports`: name, type, meaning, where the value comes from, and the ledger's name for it.

use super::columns::{ColumnType, ColumnType as Kind, Table, TableColumn, column};
use super::values::{LineFinding, NULL, bytes, days_since_epoch, int, long, maybe_text, text};
use crate::model::{Accepted, Finding, MailFacts, Metadata, PolicyPublished, Text};
use jiff::Timestamp;
use rusqlite::types::ToSqlOutput;

/// One row per report.
pub(crate) static REPORTS: Table =
    Table { name: "reports", about: "One row per report.", key: "dmarquet.reports", version: 2, columns };

/// A report with the other values of its row.
#[derive(Debug)]
pub(crate) struct ReportRow<'a> {
    accepted: &'a Accepted,
    ingested: Timestamp,
    messages: i64,
    passing: i64,
    errors: Option<String>,
    findings: Option<String>,
}

impl<'a> ReportRow<'a> {
    /// The row of a report first stored at that time.
    pub(crate) fn new(accepted: &'a Accepted, ingested: Timestamp) -> Self {
        let (messages, passing) = sums(accepted);
        let errors = json_texts(&accepted.report.metadata.errors);
        Self { accepted, ingested, messages, passing, errors, findings: json_findings(&accepted.findings) }
    }

    /// The values, in the order of [`COLUMNS`].
    pub(crate) fn values(&self) -> impl Iterator<Item = ToSqlOutput<'_>> {
        COLUMNS.iter().map(|column| (column.value)(self))
    }
}

/// Where a value comes from.
type ValueOf = for<'a> fn(&'a ReportRow<'_>) -> ToSqlOutput<'a>;

/// A column of `reports`.
pub(crate) struct ReportColumn {
    /// Its exported name.
    pub(crate) name: &'static str,
    /// Its name in files of version 1, if different.
    pub(crate) former: Option<&'static str>,
    /// The name of the ledger's column.
    pub(crate) ledger: &'static str,
    /// Its exported type. The ledger has bytes for hexadecimal text, and JSON for lists.
    pub(crate) kind: ColumnType,
    nullable: bool,
    doc: &'static str,
    value: ValueOf,
}

/// The fields of a finding.
pub(crate) const FINDING: [&str; 2] = ["code", "detail"];

impl ReportColumn {
    /// As a column of a table.
    pub(crate) fn column(&self) -> TableColumn {
        column(self.name, self.kind, self.nullable, self.doc)
    }

    /// Under another name in the ledger.
    const fn kept_as(self, ledger: &'static str) -> Self {
        Self { ledger, ..self }
    }

    /// Under another name in older files, as in the ledger.
    const fn formerly(self, former: &'static str) -> Self {
        Self { former: Some(former), ledger: former, ..self }
    }
}

/// A required column.
const fn always(name: &'static str, kind: ColumnType, value: ValueOf, doc: &'static str) -> ReportColumn {
    ReportColumn { name, former: None, ledger: name, kind, nullable: false, doc, value }
}

/// An optional column.
const fn maybe(name: &'static str, kind: ColumnType, value: ValueOf, doc: &'static str) -> ReportColumn {
    ReportColumn { nullable: true, ..always(name, kind, value, doc) }
}

fn columns() -> Vec<TableColumn> {
    COLUMNS.iter().map(ReportColumn::column).collect()
}

/// The columns' names in the ledger, for a statement.
pub(crate) fn ledger_columns() -> String {
    COLUMNS.iter().map(|column| format!("\"{}\"", column.ledger)).collect::<Vec<_>>().join(", ")
}

/// The columns, in order.
pub(crate) const COLUMNS: &[ReportColumn] = &[
    always("report_key", Kind::Text, |row| bytes(&row.accepted.report.key.0), "identity of the report").kept_as("key"),
    always("org_name", Kind::Text, |row| text(&metadata(row).org_name), "name of the reporter, as it calls itself"),
    maybe(
        "org_email",
        Kind::Text,
        |row| maybe_text(metadata(row).email.as_deref()),
        "the reporter's address, as written",
    ),
    maybe(
        "extra_contact_info",
        Kind::Text,
        |row| maybe_text(metadata(row).extra_contact_info.as_deref()),
        "a page or address for questions",
    ),
    always("report_id", Kind::Text, |row| text(&metadata(row).report_id), "the reporter's id"),
    always("period_begin", Kind::Time, |row| time(metadata(row).begin), "start of the reporting period")
        .formerly("begin"),
    always("period_end", Kind::Time, |row| time(metadata(row).end), "end of the reporting period").formerly("end"),
    always(
        "date",
        Kind::Date,
        |row| long(days_since_epoch(row.accepted.report.day).into()),
        "UTC day of the period's midpoint: the day its rows count for",
    )
    .kept_as("day"),
    maybe(
        "errors",
        Kind::Text,
        |row| maybe_text(row.errors.as_deref()),
        "what the reporter says is wrong, a JSON array of texts",
    ),
    maybe(
        "generator",
        Kind::Text,
        |row| maybe_text(metadata(row).generator.as_deref()),
        "the software that wrote the report",
    ),
    maybe(
        "version",
        Kind::Text,
        |row| maybe_text(metadata(row).version.as_deref()),
        "the version of the report format, as written",
    ),
    always("policy_domain", Kind::Text, |row| text(policy(row).domain.as_str()), "where the DMARC record was found"),
    maybe("p", Kind::Text, |row| maybe_text(policy(row).p.as_deref()), "published policy, as written"),
    maybe("sp", Kind::Text, |row| maybe_text(policy(row).sp.as_deref()), "policy for subdomains"),
    maybe("np", Kind::Text, |row| maybe_text(policy(row).np.as_deref()), "policy for subdomains that do not exist"),
    maybe("adkim", Kind::Text, |row| maybe_text(policy(row).adkim.as_deref()), "DKIM alignment, r or s"),
    maybe("aspf", Kind::Text, |row| maybe_text(policy(row).aspf.as_deref()), "SPF alignment, r or s"),
    maybe(
        "pct",
        Kind::Int,
        |row| policy(row).pct.map_or(NULL, |pct| long(pct.into())),
        "share of failing mail the policy is applied to",
    ),
    maybe("fo", Kind::Text, |row| maybe_text(policy(row).fo.as_deref()), "failure reporting options"),
    maybe("testing", Kind::Text, |row| maybe_text(policy(row).testing.as_deref()), "the t tag, y or n"),
    maybe(
        "discovery_method",
        Kind::Text,
        |row| maybe_text(policy(row).discovery_method.as_deref()),
        "how the receiver found the record: psl or treewalk",
    ),
    always("records", Kind::Long, |row| long(int(row.accepted.report.records.len())), "rows of the report"),
    always("messages", Kind::Long, |row| long(row.messages), "messages of all its rows"),
    always("pass_messages", Kind::Long, |row| long(row.passing), "messages of the rows that pass DMARC")
        .formerly("dmarc_pass"),
    always("origin", Kind::Text, |row| text(&row.accepted.provenance.origin), "the file or message that it came from"),
    maybe(
        "attachment",
        Kind::Text,
        |row| maybe_text(row.accepted.provenance.attachment.as_deref()),
        "the name of the attachment or archive member",
    ),
    maybe(
        "message_id",
        Kind::Text,
        |row| maybe_text(mail(row, |mail| mail.message_id.as_deref())),
        "the mail's Message-ID",
    ),
    maybe(
        "mail_date",
        Kind::Text,
        |row| maybe_text(mail(row, |mail| mail.date.as_deref())),
        "the mail's Date, as written",
    ),
    maybe(
        "from_domain",
        Kind::Text,
        |row| maybe_text(mail(row, |mail| mail.from_domain.as_deref())),
        "the domain of the mail's From",
    ),
    maybe(
        "authentication_results",
        Kind::Text,
        |row| maybe_text(mail(row, |mail| mail.authentication_results.as_deref())),
        "Authentication-Results written by the receiving server",
    ),
    always(
        "sender_auth",
        Kind::Text,
        |row| text(row.accepted.provenance.sender_auth().as_str()),
        "whether the report mail was itself authentic: pass, fail, none, unknown",
    ),
    always("arrival", Kind::Time, |row| time(row.accepted.provenance.arrival), "when it arrived"),
    always("ingested", Kind::Time, |row| time(row.ingested), "when it was first stored"),
    maybe(
        "findings",
        Kind::Structs(&FINDING),
        |row| maybe_text(row.findings.as_deref()),
        "what was odd about it, see findings.md",
    ),
    always(
        "content_hash",
        Kind::Text,
        |row| bytes(&row.accepted.content.0),
        "BLAKE3 of the document; tells a duplicate from a conflict",
    )
    .kept_as("content"),
];

fn metadata<'a>(row: &'a ReportRow<'_>) -> &'a Metadata {
    &row.accepted.report.metadata
}

fn policy<'a>(row: &'a ReportRow<'_>) -> &'a PolicyPublished {
    &row.accepted.report.policy
}

fn time<'a>(time: Timestamp) -> ToSqlOutput<'a> {
    long(time.as_millisecond())
}

/// A fact about the mail around a report, if there was one.
fn mail<'a>(row: &'a ReportRow<'_>, fact: fn(&MailFacts) -> Option<&str>) -> Option<&'a str> {
    row.accepted.provenance.mail.as_ref().and_then(fact)
}

/// A report's messages, and the passing ones; saturating.
pub(crate) fn sums(accepted: &Accepted) -> (i64, i64) {
    accepted.report.records.iter().zip(&accepted.verdicts).fold((0i64, 0i64), |(all, passing), (record, verdict)| {
        let pass = if verdict.dmarc_pass { record.count } else { 0 };
        (all.saturating_add(record.count), passing.saturating_add(pass))
    })
}

fn json_texts(texts: &[Text]) -> Option<String> {
    let texts: Vec<&str> = texts.iter().map(Text::as_str).collect();
    (!texts.is_empty()).then(|| serde_json::to_string(&texts).expect("texts serialize"))
}

/// Findings as stored in the ledger; `None` if there are none.
pub(crate) fn json_findings(findings: &[Finding]) -> Option<String> {
    let findings: Vec<LineFinding> = findings
        .iter()
        .map(|finding| LineFinding { code: finding.code.as_str().to_owned(), detail: finding.detail.clone() })
        .collect();
    (!findings.is_empty()).then(|| serde_json::to_string(&findings).expect("texts serialize"))
}
