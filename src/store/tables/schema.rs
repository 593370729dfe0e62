//! The one list of the columns of `records`: name, type, meaning, and where the value comes from.
//!
//! Everything else uses this list: the Parquet writer, the readers, the exports, `docs/columns.md`.

use self::RecordColumnKind as Kind;
use super::columns::{self, ColumnType, TableColumn};
use crate::model::{
    Disposition, DkimResult, Domain, Evaluated, ReasonType, Record, Report, ReturnPath, SenderAuth, SpfResult,
    SpfScope, Text, Verdict,
};
use jiff::{Timestamp, civil::Date};
use std::net::IpAddr;

/// The columns of a row that come from its report.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// `ReportKey` as text.
    pub key: &'a str,
    /// The report.
    pub report: &'a Report,
    /// From the mail that brought it.
    pub sender_auth: SenderAuth,
    /// When it was first stored.
    pub ingested: Timestamp,
}

/// The columns of a row that come from its record.
#[derive(Debug, Clone, Copy)]
pub struct RecordRow<'a> {
    /// The record.
    pub record: &'a Record,
    /// Its verdict.
    pub verdict: &'a Verdict,
}

/// A text of a report.
type HeadText = for<'a> fn(&Head<'a>) -> Option<&'a str>;
/// A text of a record.
type RowText = for<'a> fn(&RecordRow<'a>) -> Option<&'a str>;
/// A text of an item of a list.
pub(crate) type ItemText = for<'a> fn(&'a Record, usize) -> Option<&'a str>;

/// Type and origin of a column's values.
#[derive(Clone, Copy)]
pub enum RecordColumnKind {
    /// String; the same in all rows of a report.
    HeadText(HeadText),
    /// Timestamp in milliseconds, UTC; the same in all rows of a report.
    HeadTime(for<'a> fn(&Head<'a>) -> Timestamp),
    /// Date; the same in all rows of a report.
    HeadDate(fn(&Report) -> Date),
    /// 32-bit integer; the same in all rows of a report.
    HeadInt(fn(&Report) -> Option<i32>),
    /// String: an address in canonical form.
    Address(fn(&Record) -> Option<IpAddr>),
    /// String.
    Text(RowText),
    /// 64-bit integer.
    Count(fn(&Record) -> i64),
    /// Boolean.
    Flag(fn(&Verdict) -> Option<bool>),
    /// List of structs of strings.
    List {
        /// How many in this record.
        len: fn(&Record) -> usize,
        /// The names of the struct's fields.
        names: &'static [&'static str],
        /// The text of each field.
        texts: &'static [ItemText],
    },
}

/// A column of `records`.
#[derive(Clone, Copy)]
pub struct RecordColumn {
    /// Its name in Parquet, CSV, NDJSON, Arrow.
    pub name: &'static str,
    /// Its name in files of version 1, if different.
    pub former: Option<&'static str>,
    /// What it means, in a sentence.
    pub doc: &'static str,
    /// Whether it is optional.
    pub nullable: bool,
    /// Type and origin of its values.
    pub kind: RecordColumnKind,
}

impl RecordColumn {
    /// Its type.
    pub fn column_type(&self) -> ColumnType {
        match self.kind {
            RecordColumnKind::HeadText(_) | RecordColumnKind::Address(_) | RecordColumnKind::Text(_) => {
                ColumnType::Text
            }
            RecordColumnKind::HeadTime(_) => ColumnType::Time,
            RecordColumnKind::HeadDate(_) => ColumnType::Date,
            RecordColumnKind::HeadInt(_) => ColumnType::Int,
            RecordColumnKind::Count(_) => ColumnType::Long,
            RecordColumnKind::Flag(_) => ColumnType::Flag,
            RecordColumnKind::List { names, .. } => ColumnType::Structs(names),
        }
    }

    /// The same column under another name in older files.
    const fn formerly(self, former: &'static str) -> Self {
        Self { former: Some(former), ..self }
    }
}

const fn column(name: &'static str, nullable: bool, kind: RecordColumnKind, doc: &'static str) -> RecordColumn {
    RecordColumn { name, former: None, doc, nullable, kind }
}

fn text(text: Option<&Text>) -> Option<&str> {
    text.map(Text::as_str)
}

fn domain(domain: Option<&Domain>) -> Option<&str> {
    domain.map(Domain::as_str)
}

fn deciding_dkim<'a>(row: &RecordRow<'a>) -> Option<&'a crate::model::DkimAuth> {
    row.record.dkim.get(row.verdict.deciding_dkim? as usize)
}

fn deciding_spf<'a>(row: &RecordRow<'a>) -> Option<&'a crate::model::SpfAuth> {
    row.record.spf.get(row.verdict.deciding_spf? as usize)
}

fn envelope_from<'a>(row: &RecordRow<'a>) -> Option<&'a str> {
    match &row.record.envelope_from {
        ReturnPath::Unsaid => None,
        ReturnPath::Null => Some(""),
        ReturnPath::Domain(domain) => Some(domain.as_str()),
    }
}

const REASONS: RecordColumnKind = Kind::List {
    len: |record| record.reasons.len(),
    names: &["type", "comment"],
    texts: &[
        |record, item| record.reasons[item].kind.as_ref().map(ReasonType::as_str),
        |record, item| text(record.reasons[item].comment.as_ref()),
    ],
};

const DKIM: RecordColumnKind = Kind::List {
    len: |record| record.dkim.len(),
    names: &["domain", "selector", "result", "human_result"],
    texts: &[
        |record, item| domain(record.dkim[item].domain.as_ref()),
        |record, item| text(record.dkim[item].selector.as_ref()),
        |record, item| record.dkim[item].result.as_ref().map(DkimResult::as_str),
        |record, item| text(record.dkim[item].human_result.as_ref()),
    ],
};

const SPF: RecordColumnKind = Kind::List {
    len: |record| record.spf.len(),
    names: &["domain", "scope", "result", "human_result"],
    texts: &[
        |record, item| domain(record.spf[item].domain.as_ref()),
        |record, item| record.spf[item].scope.as_ref().map(SpfScope::as_str),
        |record, item| record.spf[item].result.as_ref().map(SpfResult::as_str),
        |record, item| text(record.spf[item].human_result.as_ref()),
    ],
};

/// The columns of `records`, in order; one row per `<record>`, with the report's columns repeated.
pub const COLUMNS: &[RecordColumn] = &[
    column("report_key", false, Kind::HeadText(|head| Some(head.key)), "identity of the report"),
    column(
        "org_name",
        true,
        Kind::HeadText(|head| Some(&head.report.metadata.org_name)),
        "name of the reporter, as it calls itself",
    ),
    column(
        "org_email",
        true,
        Kind::HeadText(|head| text(head.report.metadata.email.as_ref())),
        "the reporter's address, as written",
    ),
    column("report_id", true, Kind::HeadText(|head| Some(&head.report.metadata.report_id)), "the reporter's id"),
    column("period_begin", false, Kind::HeadTime(|head| head.report.metadata.begin), "start of the reporting period")
        .formerly("begin"),
    column("period_end", false, Kind::HeadTime(|head| head.report.metadata.end), "end of the reporting period")
        .formerly("end"),
    column(
        "date",
        false,
        Kind::HeadDate(|report| report.day),
        "UTC day of the period's midpoint: the day a row counts for",
    ),
    column(
        "policy_domain",
        true,
        Kind::HeadText(|head| Some(head.report.policy.domain.as_str())),
        "where the DMARC record was found",
    ),
    column("p", true, Kind::HeadText(|head| text(head.report.policy.p.as_ref())), "published policy, as written"),
    column("sp", true, Kind::HeadText(|head| text(head.report.policy.sp.as_ref())), "policy for subdomains"),
    column(
        "np",
        true,
        Kind::HeadText(|head| text(head.report.policy.np.as_ref())),
        "policy for subdomains that do not exist",
    ),
    column("adkim", true, Kind::HeadText(|head| text(head.report.policy.adkim.as_ref())), "DKIM alignment, r or s"),
    column("aspf", true, Kind::HeadText(|head| text(head.report.policy.aspf.as_ref())), "SPF alignment, r or s"),
    column("pct", true, Kind::HeadInt(|report| report.policy.pct), "share of failing mail the policy is applied to"),
    column("fo", true, Kind::HeadText(|head| text(head.report.policy.fo.as_ref())), "failure reporting options"),
    column("testing", true, Kind::HeadText(|head| text(head.report.policy.testing.as_ref())), "the t tag, y or n"),
    column(
        "source_ip",
        true,
        Kind::Address(|record| record.source_ip),
        "canonical address; null where real messages have no usable one",
    ),
    column("count", false, Kind::Count(|record| record.count), "messages"),
    column(
        "disposition",
        true,
        Kind::Text(|row| row.record.disposition.as_ref().map(Disposition::as_str)),
        "what the receiver did: none, quarantine, reject, pass",
    ),
    column(
        "evaluated_dkim",
        true,
        Kind::Text(|row| row.record.evaluated_dkim.as_ref().map(Evaluated::as_str)),
        "the reporter's aligned DKIM result",
    ),
    column(
        "evaluated_spf",
        true,
        Kind::Text(|row| row.record.evaluated_spf.as_ref().map(Evaluated::as_str)),
        "the reporter's aligned SPF result",
    ),
    column("reasons", true, REASONS, "why the disposition is not the published policy"),
    column("header_from", true, Kind::Text(|row| domain(row.record.header_from.as_ref())), "RFC5322.From"),
    column(
        "envelope_from",
        true,
        Kind::Text(envelope_from),
        "RFC5321.MailFrom; empty for the null return path, null if not reported",
    ),
    column("envelope_to", true, Kind::Text(|row| domain(row.record.envelope_to.as_ref())), "the recipient's domain"),
    column("dkim_results", true, DKIM, "raw DKIM results, one per signature"),
    column("spf_results", true, SPF, "raw SPF results, one per check"),
    column(
        "dkim_domain",
        true,
        Kind::Text(|row| domain(deciding_dkim(row)?.domain.as_ref())),
        "signing domain of the signature that decides",
    ),
    column(
        "dkim_selector",
        true,
        Kind::Text(|row| text(deciding_dkim(row)?.selector.as_ref())),
        "selector of the signature that decides",
    ),
    column(
        "dkim_result",
        true,
        Kind::Text(|row| deciding_dkim(row)?.result.as_ref().map(DkimResult::as_str)),
        "result of the signature that decides",
    ),
    column(
        "spf_domain",
        true,
        Kind::Text(|row| domain(deciding_spf(row)?.domain.as_ref())),
        "domain of the SPF result that decides",
    ),
    column(
        "spf_result",
        true,
        Kind::Text(|row| deciding_spf(row)?.result.as_ref().map(SpfResult::as_str)),
        "the SPF result that decides",
    ),
    column(
        "org_domain",
        true,
        Kind::Text(|row| domain(row.verdict.org_domain.as_ref())),
        "organizational domain of header_from",
    ),
    column(
        "dkim_aligned",
        true,
        Kind::Flag(|verdict| verdict.dkim_aligned),
        "DKIM passes and aligns, by policy_evaluated",
    ),
    column(
        "spf_aligned",
        true,
        Kind::Flag(|verdict| verdict.spf_aligned),
        "SPF passes and aligns, by policy_evaluated",
    ),
    column("dmarc_pass", false, Kind::Flag(|verdict| Some(verdict.dmarc_pass)), "either is aligned"),
    column(
        "recomputed_dkim",
        true,
        Kind::Flag(|verdict| verdict.recomputed_dkim),
        "DKIM alignment recomputed from the raw results",
    ),
    column(
        "recomputed_spf",
        true,
        Kind::Flag(|verdict| verdict.recomputed_spf),
        "SPF alignment recomputed from the raw results",
    ),
    column(
        "mismatch",
        true,
        Kind::Text(|row| row.verdict.mismatch.map(crate::model::Mismatch::as_str)),
        "why the reporter's result and the recomputed one disagree; null if they agree",
    ),
    column(
        "cause",
        false,
        Kind::Text(|row| Some(row.verdict.cause.as_str())),
        "cause of the result as far as this row shows, see summary.md",
    ),
    column(
        "sender_auth",
        true,
        Kind::HeadText(|head| Some(head.sender_auth.as_str())),
        "whether the report mail was itself authentic: pass, fail, none, unknown",
    ),
    column(
        INGESTED,
        true,
        Kind::HeadTime(|head| head.ingested),
        "when the report was first stored; null in files of older versions",
    ),
];

/// The column that files of version 1 do not have.
pub(crate) const INGESTED: &str = "ingested";

/// The version of the columns, in the metadata of files.
pub const VERSION: u32 = 2;

/// The columns of `records`, as a table.
pub(crate) fn columns() -> Vec<TableColumn> {
    COLUMNS.iter().map(|of| columns::column(of.name, of.column_type(), of.nullable, of.doc)).collect()
}

/// A column that is known to be in the list.
pub(crate) fn column_named(name: &str) -> &'static RecordColumn {
    COLUMNS.iter().find(|column| column.name == name).expect("a column of the list")
}

/// The text of a column of strings, by its name; `None` for any other column.
pub(crate) fn text_of<'a>(name: &str, head: &Head<'a>, row: &RecordRow<'a>) -> Option<&'a str> {
    match COLUMNS.iter().find(|column| column.name == name)?.kind {
        RecordColumnKind::HeadText(text) => text(head),
        RecordColumnKind::Text(text) => text(row),
        _ => None,
    }
}
