//! The columns of `reports`: name, type, meaning, where the value comes from, and the ledger's name for it.

use super::columns::{ColumnType, Table, TableColumn};
use super::values::{LineFinding, days_since_epoch};
use crate::model::{Accepted, Finding, MailFacts, Text};
use jiff::Timestamp;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

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
    pub(crate) kind: ReportColumnKind,
    nullable: bool,
    doc: &'static str,
    value: ValueOf,
}

/// The exported type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportColumnKind {
    /// UTF-8; bytes as hexadecimal digits.
    Text,
    /// Milliseconds since 1970.
    Time,
    /// Days since 1970.
    Date,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// A list of {code, detail}.
    Findings,
}

impl ReportColumnKind {
    /// As the type of a table's column.
    pub(crate) fn column_type(self) -> ColumnType {
        match self {
            Self::Text => ColumnType::Text,
            Self::Time => ColumnType::Time,
            Self::Date => ColumnType::Date,
            Self::Int => ColumnType::Int,
            Self::Long => ColumnType::Long,
            Self::Findings => ColumnType::Structs(FINDING.to_vec()),
        }
    }
}

/// The fields of a finding.
pub(crate) const FINDING: [&str; 2] = ["code", "detail"];

impl ReportColumn {
    /// As a column of a table.
    pub(crate) fn column(&self) -> TableColumn {
        TableColumn { name: self.name, kind: self.kind.column_type(), nullable: self.nullable, doc: self.doc }
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
const fn always(name: &'static str, kind: ReportColumnKind, value: ValueOf, doc: &'static str) -> ReportColumn {
    ReportColumn { name, former: None, ledger: name, kind, nullable: false, doc, value }
}

/// An optional column.
const fn maybe(name: &'static str, kind: ReportColumnKind, value: ValueOf, doc: &'static str) -> ReportColumn {
    ReportColumn { nullable: true, ..always(name, kind, value, doc) }
}

fn columns() -> Vec<TableColumn> {
    COLUMNS.iter().map(ReportColumn::column).collect()
}

/// The columns, in order.
pub(crate) const COLUMNS: &[ReportColumn] = &[
    always("report_key", ReportColumnKind::Text, |row| bytes(&row.accepted.report.key.0), "identity of the report")
        .kept_as("key"),
    always(
        "org_name",
        ReportColumnKind::Text,
        |row| text(&row.accepted.report.metadata.org_name),
        "name of the reporter, as it calls itself",
    ),
    maybe(
        "org_email",
        ReportColumnKind::Text,
        |row| some(row.accepted.report.metadata.email.as_deref()),
        "the reporter's address, as written",
    ),
    maybe(
        "extra_contact_info",
        ReportColumnKind::Text,
        |row| some(row.accepted.report.metadata.extra_contact_info.as_deref()),
        "a page or address for questions",
    ),
    always(
        "report_id",
        ReportColumnKind::Text,
        |row| text(&row.accepted.report.metadata.report_id),
        "the reporter's id",
    ),
    always(
        "period_begin",
        ReportColumnKind::Time,
        |row| time(row.accepted.report.metadata.begin),
        "start of the reporting period",
    )
    .formerly("begin"),
    always(
        "period_end",
        ReportColumnKind::Time,
        |row| time(row.accepted.report.metadata.end),
        "end of the reporting period",
    )
    .formerly("end"),
    always(
        "date",
        ReportColumnKind::Date,
        |row| long(days_since_epoch(row.accepted.report.day).into()),
        "UTC day of the period's midpoint: the day its rows count for",
    )
    .kept_as("day"),
    maybe(
        "errors",
        ReportColumnKind::Text,
        |row| some(row.errors.as_deref()),
        "what the reporter says is wrong, a JSON array of texts",
    ),
    maybe(
        "generator",
        ReportColumnKind::Text,
        |row| some(row.accepted.report.metadata.generator.as_deref()),
        "the software that wrote the report",
    ),
    maybe(
        "version",
        ReportColumnKind::Text,
        |row| some(row.accepted.report.metadata.version.as_deref()),
        "the version of the report format, as written",
    ),
    always(
        "policy_domain",
        ReportColumnKind::Text,
        |row| text(row.accepted.report.policy.domain.as_str()),
        "where the DMARC record was found",
    ),
    maybe(
        "p",
        ReportColumnKind::Text,
        |row| some(row.accepted.report.policy.p.as_deref()),
        "published policy, as written",
    ),
    maybe("sp", ReportColumnKind::Text, |row| some(row.accepted.report.policy.sp.as_deref()), "policy for subdomains"),
    maybe(
        "np",
        ReportColumnKind::Text,
        |row| some(row.accepted.report.policy.np.as_deref()),
        "policy for subdomains that do not exist",
    ),
    maybe(
        "adkim",
        ReportColumnKind::Text,
        |row| some(row.accepted.report.policy.adkim.as_deref()),
        "DKIM alignment, r or s",
    ),
    maybe(
        "aspf",
        ReportColumnKind::Text,
        |row| some(row.accepted.report.policy.aspf.as_deref()),
        "SPF alignment, r or s",
    ),
    maybe(
        "pct",
        ReportColumnKind::Int,
        |row| row.accepted.report.policy.pct.map_or(ToSqlOutput::Owned(Value::Null), |pct| long(pct.into())),
        "share of failing mail the policy is applied to",
    ),
    maybe(
        "fo",
        ReportColumnKind::Text,
        |row| some(row.accepted.report.policy.fo.as_deref()),
        "failure reporting options",
    ),
    maybe(
        "testing",
        ReportColumnKind::Text,
        |row| some(row.accepted.report.policy.testing.as_deref()),
        "the t tag, y or n",
    ),
    maybe(
        "discovery_method",
        ReportColumnKind::Text,
        |row| some(row.accepted.report.policy.discovery_method.as_deref()),
        "how the receiver found the record: psl or treewalk",
    ),
    always(
        "records",
        ReportColumnKind::Long,
        |row| long(count(row.accepted.report.records.len())),
        "rows of the report",
    ),
    always("messages", ReportColumnKind::Long, |row| long(row.messages), "messages of all its rows"),
    always("pass_messages", ReportColumnKind::Long, |row| long(row.passing), "messages of the rows that pass DMARC")
        .formerly("dmarc_pass"),
    always(
        "origin",
        ReportColumnKind::Text,
        |row| text(&row.accepted.provenance.origin),
        "the file or message that it came from",
    ),
    maybe(
        "attachment",
        ReportColumnKind::Text,
        |row| some(row.accepted.provenance.attachment.as_deref()),
        "the name of the attachment or archive member",
    ),
    maybe(
        "message_id",
        ReportColumnKind::Text,
        |row| some(mail(row, |mail| mail.message_id.as_deref())),
        "the mail's Message-ID",
    ),
    maybe(
        "mail_date",
        ReportColumnKind::Text,
        |row| some(mail(row, |mail| mail.date.as_deref())),
        "the mail's Date, as written",
    ),
    maybe(
        "from_domain",
        ReportColumnKind::Text,
        |row| some(mail(row, |mail| mail.from_domain.as_deref())),
        "the domain of the mail's From",
    ),
    maybe(
        "authentication_results",
        ReportColumnKind::Text,
        |row| some(mail(row, |mail| mail.authentication_results.as_deref())),
        "Authentication-Results written by the receiving server",
    ),
    always(
        "sender_auth",
        ReportColumnKind::Text,
        |row| text(row.accepted.provenance.sender_auth().as_str()),
        "whether the report mail was itself authentic: pass, fail, none, unknown",
    ),
    always("arrival", ReportColumnKind::Time, |row| time(row.accepted.provenance.arrival), "when it arrived"),
    always("ingested", ReportColumnKind::Time, |row| time(row.ingested), "when it was first stored"),
    maybe(
        "findings",
        ReportColumnKind::Findings,
        |row| some(row.findings.as_deref()),
        "what was odd about it, see findings.md",
    ),
    always(
        "content_hash",
        ReportColumnKind::Text,
        |row| bytes(&row.accepted.content.0),
        "BLAKE3 of the document; tells a duplicate from a conflict",
    )
    .kept_as("content"),
];

fn text(text: &str) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
}

fn some(value: Option<&str>) -> ToSqlOutput<'_> {
    value.map_or(ToSqlOutput::Owned(Value::Null), text)
}

fn bytes(bytes: &[u8]) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Blob(bytes))
}

const fn long<'a>(value: i64) -> ToSqlOutput<'a> {
    ToSqlOutput::Owned(Value::Integer(value))
}

fn time<'a>(time: Timestamp) -> ToSqlOutput<'a> {
    long(time.as_millisecond())
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A fact about the mail around a report, if there was one.
fn mail<'a>(row: &'a ReportRow<'_>, fact: fn(&MailFacts) -> Option<&str>) -> Option<&'a str> {
    row.accepted.provenance.mail.as_ref().and_then(fact)
}

/// A report's messages, and the passing ones; saturating.
pub fn sums(accepted: &Accepted) -> (i64, i64) {
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
