//! TLS reports: their tables in the ledger, and the columns of `tls_reports` and `tls_failures` outside of it.

use super::columns::{ColumnType, Table, TableColumn, column};
use super::reports::{FINDING, json_findings};
use super::values::{self, NULL, days_since_epoch, long, maybe_text};
use crate::model::{AcceptedTls, Domain, Hash, ReportKey, TlsFailure, TlsPolicy};
use jiff::Timestamp;
use rusqlite::types::{ToSqlOutput, Value};
use std::net::IpAddr;

/// The tables, as one step of the ledger's versions. Programs before it set TLS reports aside without their bytes: what
/// they saw is read when it comes again.
pub(crate) const TABLES: &str = "
CREATE TABLE tls_reports (          -- one row a report; all times ms since 1970, UTC
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    content BLOB NOT NULL,
    day INTEGER NOT NULL,           -- days since 1970-01-01
    begin INTEGER NOT NULL,
    end INTEGER NOT NULL,
    org_name TEXT NOT NULL,
    contact_info TEXT,
    report_id TEXT NOT NULL,
    policies INTEGER NOT NULL,      -- rows of tls_policies
    failures INTEGER NOT NULL,      -- rows of tls_failures
    origin TEXT NOT NULL,
    attachment TEXT,
    message_id TEXT,
    mail_date TEXT,
    from_domain TEXT,
    authentication_results TEXT,
    sender_auth TEXT NOT NULL,
    arrival INTEGER NOT NULL,
    ingested INTEGER NOT NULL,
    findings TEXT,                  -- JSON array of {code, detail}
    batch INTEGER NOT NULL
);
CREATE INDEX tls_reports_by_day ON tls_reports (day);
CREATE TABLE tls_policies (
    report INTEGER NOT NULL,        -- tls_reports.id
    place INTEGER NOT NULL,         -- in the report, from 0
    policy_type TEXT,
    policy_domain TEXT,
    policy_strings TEXT,            -- one a line
    mx_hosts TEXT,                  -- one a line
    successful_sessions INTEGER,
    failed_sessions INTEGER,
    PRIMARY KEY (report, place)
) WITHOUT ROWID;
CREATE TABLE tls_failures (
    report INTEGER NOT NULL,        -- tls_reports.id
    policy INTEGER NOT NULL,        -- tls_policies.place
    place INTEGER NOT NULL,         -- in the policy, from 0
    result_type TEXT,
    sending_mta_ip TEXT,
    receiving_mx_hostname TEXT,
    receiving_mx_helo TEXT,
    receiving_ip TEXT,
    failed_sessions INTEGER,
    reason_code TEXT,
    additional_information TEXT,
    PRIMARY KEY (report, policy, place)
) WITHOUT ROWID;
DELETE FROM seen WHERE tls_rpt > 0;
";

/// One row per policy of a TLS report.
pub(crate) static TLS_REPORTS: Table = Table {
    name: "tls_reports",
    about: "One row per policy in an SMTP TLS report (RFC 8460); the columns of its report are repeated.",
    key: "dmarquet.tls_reports",
    version: 1,
    columns: policy_columns,
};

/// One row per entry of `failure-details`.
pub(crate) static TLS_FAILURES: Table = Table {
    name: "tls_failures",
    about: "One row per entry of `failure-details` in an SMTP TLS report (RFC 8460).",
    key: "dmarquet.tls_failures",
    version: 1,
    columns: failure_columns,
};

/// A TLS report without its policies: what the rows of both tables repeat.
#[derive(Debug, Clone)]
pub(crate) struct TlsReportRow {
    pub(crate) key: ReportKey,
    pub(crate) content: Hash,
    pub(crate) day: i32,
    pub(crate) org_name: String,
    pub(crate) contact_info: Option<String>,
    pub(crate) report_id: String,
    /// Milliseconds since 1970, as all times here.
    pub(crate) begin: i64,
    pub(crate) end: i64,
    pub(crate) origin: String,
    pub(crate) attachment: Option<String>,
    pub(crate) message_id: Option<String>,
    pub(crate) mail_date: Option<String>,
    pub(crate) from_domain: Option<String>,
    pub(crate) authentication_results: Option<String>,
    pub(crate) sender_auth: String,
    pub(crate) arrival: i64,
    pub(crate) ingested: i64,
    /// JSON, as in the ledger.
    pub(crate) findings: Option<String>,
}

impl TlsReportRow {
    /// The row of a report that was first stored then.
    pub(crate) fn of(accepted: &AcceptedTls, ingested: Timestamp) -> Self {
        let AcceptedTls { report, findings, provenance, .. } = accepted;
        let mail = provenance.mail.clone().unwrap_or_default();
        Self {
            key: report.key,
            content: report.content,
            day: days_since_epoch(report.day),
            org_name: report.org_name.to_string(),
            contact_info: report.contact_info.as_ref().map(ToString::to_string),
            report_id: report.report_id.to_string(),
            begin: report.begin.as_millisecond(),
            end: report.end.as_millisecond(),
            origin: provenance.origin.clone(),
            attachment: provenance.attachment.clone(),
            message_id: mail.message_id,
            mail_date: mail.date,
            from_domain: mail.from_domain,
            authentication_results: mail.authentication_results,
            sender_auth: provenance.sender_auth().as_str().to_owned(),
            arrival: provenance.arrival.as_millisecond(),
            ingested: ingested.as_millisecond(),
            findings: json_findings(findings),
        }
    }
}

/// A text without control characters: file names may contain any, and a terminal obeys them.
fn clean(text: &str) -> ToSqlOutput<'_> {
    let is_control = |c: char| c.is_control() && !matches!(c, '\t' | '\n');
    if text.chars().any(is_control) {
        made(text.chars().map(|c| if is_control(c) { char::REPLACEMENT_CHARACTER } else { c }).collect())
    } else {
        values::text(text)
    }
}

fn maybe(text: Option<&str>) -> ToSqlOutput<'_> {
    text.map_or(NULL, clean)
}

/// A text created here; null if it is empty.
fn made<'a>(text: String) -> ToSqlOutput<'a> {
    if text.is_empty() { NULL } else { ToSqlOutput::Owned(Value::Text(text)) }
}

fn count<'a>(count: Option<i64>) -> ToSqlOutput<'a> {
    count.map_or(NULL, long)
}

/// The values of a row of [`TLS_REPORTS`], in the order of its columns.
pub(crate) fn policy_values<'a>(report: &'a TlsReportRow, policy: &'a TlsPolicy) -> [ToSqlOutput<'a>; 24] {
    [
        made(report.key.to_string()),
        long(report.day.into()),
        clean(&report.org_name),
        maybe(report.contact_info.as_deref()),
        clean(&report.report_id),
        long(report.begin),
        long(report.end),
        maybe(policy.policy_type.as_deref()),
        maybe(policy.policy_domain.as_ref().map(Domain::as_str)),
        made(policy.policy_strings.join("\n")),
        made(policy.mx_hosts.join("\n")),
        count(policy.successful_sessions),
        count(policy.failed_sessions),
        clean(&report.sender_auth),
        clean(&report.origin),
        maybe(report.attachment.as_deref()),
        maybe(report.message_id.as_deref()),
        maybe(report.mail_date.as_deref()),
        maybe(report.from_domain.as_deref()),
        maybe(report.authentication_results.as_deref()),
        long(report.arrival),
        long(report.ingested),
        maybe_text(report.findings.as_deref()),
        made(report.content.to_string()),
    ]
}

/// The values of a row of [`TLS_FAILURES`], in the order of its columns.
pub(crate) fn failure_values<'a>(
    report: &'a TlsReportRow,
    policy: &'a TlsPolicy,
    failure: &'a TlsFailure,
) -> [ToSqlOutput<'a>; 14] {
    let address = |ip: Option<IpAddr>| ip.map_or(NULL, |ip| made(ip.to_string()));
    [
        made(report.key.to_string()),
        long(report.day.into()),
        clean(&report.org_name),
        maybe(policy.policy_type.as_deref()),
        maybe(policy.policy_domain.as_ref().map(Domain::as_str)),
        maybe(failure.result_type.as_deref()),
        address(failure.sending_mta_ip),
        maybe(failure.receiving_mx_hostname.as_ref().map(Domain::as_str)),
        maybe(failure.receiving_mx_helo.as_deref()),
        address(failure.receiving_ip),
        count(failure.failed_sessions),
        maybe(failure.reason_code.as_deref()),
        maybe(failure.additional_information.as_deref()),
        clean(&report.sender_auth),
    ]
}

fn policy_columns() -> Vec<TableColumn> {
    use ColumnType::{Date, Long, Structs, Text, Time};
    vec![
        column("report_key", Text, false, "identity of the report, 32 hexadecimal digits"),
        column("date", Date, false, "UTC day of the period's midpoint: the day the sessions count for"),
        column("org_name", Text, false, "name of the reporter; its domain where absent"),
        column("contact_info", Text, true, "address of the reporter"),
        column("report_id", Text, false, "the reporter's id; derived from the content where absent"),
        column("period_begin", Time, false, "start of the period"),
        column("period_end", Time, false, "end of the period, inclusive or exclusive as the reporter writes it"),
        column("policy_type", Text, true, "sts, tlsa or no-policy-found; other words as written, in lower case"),
        column("policy_domain", Text, true, "domain whose policy was applied; null if the value is not a domain"),
        column("policy_strings", Text, true, "the policy as the reporter saw it, one string per line"),
        column("mx_hosts", Text, true, "patterns of MX hosts in the STS policy, one per line"),
        column("successful_sessions", Long, true, "sessions that succeeded; null if the report has no valid count"),
        column("failed_sessions", Long, true, "sessions that failed; null if the report has no valid count"),
        column("sender_auth", Text, false, "whether the report mail was authentic: pass, fail, none or unknown"),
        column("origin", Text, false, "the file or message that it came from"),
        column("attachment", Text, true, "file or attachment name"),
        column("message_id", Text, true, "Message-ID of the mail"),
        column("mail_date", Text, true, "Date of the mail, as written"),
        column("from_domain", Text, true, "domain in From of the mail"),
        column("authentication_results", Text, true, "Authentication-Results written by the receiving server"),
        column("arrival", Time, false, "when the mail or file arrived"),
        column("ingested", Time, false, "when it was first stored"),
        column("findings", Structs(&FINDING), true, "what was odd about the report, see findings.md"),
        column("content_hash", Text, false, "BLAKE3 of the document; tells a duplicate from a conflict"),
    ]
}

fn failure_columns() -> Vec<TableColumn> {
    use ColumnType::{Date, Long, Text};
    vec![
        column("report_key", Text, false, "identity of the report, as in tls_reports"),
        column("date", Date, false, "UTC day of the period's midpoint"),
        column("org_name", Text, false, "name of the reporter"),
        column("policy_type", Text, true, "as in tls_reports"),
        column("policy_domain", Text, true, "as in tls_reports"),
        column("result_type", Text, true, "what failed, such as certificate-expired (RFC 8460 section 4.3)"),
        column("sending_mta_ip", Text, true, "address of the sending server"),
        column("receiving_mx_hostname", Text, true, "MX host with which the session failed"),
        column("receiving_mx_helo", Text, true, "name the MX host gave for itself"),
        column("receiving_ip", Text, true, "address of the MX host"),
        column("failed_sessions", Long, true, "sessions that failed this way; null if the report has no valid count"),
        column("reason_code", Text, true, "the reporter's own code for the failure, or a text"),
        column("additional_information", Text, true, "where the reporter gives more information"),
        column("sender_auth", Text, false, "as in tls_reports"),
    ]
}
