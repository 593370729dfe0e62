//! Inserts TLS reports into the ledger.

use crate::model::{AcceptedTls, MailFacts, Provenance, ReportKey, Text, TlsFailure, TlsPolicy};
use crate::store::tables::reports::json_findings;
use crate::store::tables::values::{days_since_epoch, int};
use jiff::Timestamp;
use rusqlite::{Transaction, params};

/// Enters reports, each with when it was first stored.
pub(crate) fn record<'a>(
    transaction: &Transaction<'_>,
    reports: impl Iterator<Item = (&'a AcceptedTls, Timestamp)>,
    batch: i64,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO tls_reports (key, content, day, begin, end, org_name, contact_info, report_id, policies, failures,
         origin, attachment, message_id, mail_date, from_domain, authentication_results, sender_auth, arrival, ingested,
         findings, batch) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
         ?20, ?21)",
    )?;
    for (accepted, ingested) in reports {
        let AcceptedTls { report, findings, provenance, .. } = accepted;
        let Provenance { origin, attachment, arrival, mail } = provenance;
        let none = MailFacts::default();
        let mail = mail.as_ref().unwrap_or(&none);
        let id = statement.insert(params![
            report.key.0,
            report.content.0,
            days_since_epoch(report.day),
            report.begin.as_millisecond(),
            report.end.as_millisecond(),
            report.org_name.as_str(),
            report.contact_info.as_deref(),
            report.report_id.as_str(),
            int(report.policies.len()),
            int(report.failures()),
            origin,
            attachment,
            mail.message_id,
            mail.date,
            mail.from_domain,
            mail.authentication_results,
            provenance.sender_auth().as_str(),
            arrival.as_millisecond(),
            ingested.as_millisecond(),
            json_findings(findings),
            batch,
        ])?;
        for (place, policy) in report.policies.iter().enumerate() {
            record_policy(transaction, (id, int(place)), policy)?;
        }
    }
    Ok(())
}

fn record_policy(transaction: &Transaction<'_>, (id, at): (i64, i64), policy: &TlsPolicy) -> rusqlite::Result<()> {
    let sql = "INSERT INTO tls_policies VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    transaction.prepare_cached(sql)?.execute(params![
        id,
        at,
        policy.policy_type.as_deref(),
        policy.policy_domain.as_ref().map(crate::model::Domain::as_str),
        lines(&policy.policy_strings),
        lines(&policy.mx_hosts),
        policy.successful_sessions,
        policy.failed_sessions,
    ])?;
    let sql = "INSERT INTO tls_failures VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let mut statement = transaction.prepare_cached(sql)?;
    for (place, failure) in policy.failures.iter().enumerate() {
        let TlsFailure { sending_mta_ip, receiving_ip, failed_sessions, .. } = failure;
        statement.execute(params![
            id,
            at,
            int(place),
            failure.result_type.as_deref(),
            sending_mta_ip.map(|ip| ip.to_string()),
            failure.receiving_mx_hostname.as_ref().map(crate::model::Domain::as_str),
            failure.receiving_mx_helo.as_deref(),
            receiving_ip.map(|ip| ip.to_string()),
            failed_sessions,
            failure.reason_code.as_deref(),
            failure.additional_information.as_deref(),
        ])?;
    }
    Ok(())
}

/// Texts, one per line; empty without any. None of them contains a line break.
fn lines(texts: &[Text]) -> Option<String> {
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// Removes all reports before a day. Returns their number.
pub(crate) fn forget_before(transaction: &Transaction<'_>, day: i32) -> rusqlite::Result<usize> {
    for table in ["tls_failures", "tls_policies"] {
        let sql = format!("DELETE FROM {table} WHERE report IN (SELECT id FROM tls_reports WHERE day < ?1)");
        transaction.execute(&sql, [day])?;
    }
    transaction.execute("DELETE FROM tls_reports WHERE day < ?1", [day])
}

/// Removes the report with a key.
pub(crate) fn forget(transaction: &Transaction<'_>, ReportKey(key): ReportKey) -> rusqlite::Result<()> {
    for table in ["tls_failures", "tls_policies"] {
        let sql = format!("DELETE FROM {table} WHERE report IN (SELECT id FROM tls_reports WHERE key = ?1)");
        transaction.prepare_cached(&sql)?.execute([key])?;
    }
    transaction.prepare_cached("DELETE FROM tls_reports WHERE key = ?1")?.execute([key]).map(drop)
}
