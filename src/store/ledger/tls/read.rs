//! Reads TLS reports from the ledger.

use crate::model::{
    Domain, Hash, MailFacts, Provenance, ReportKey, SenderAuth, Text, TlsFailure, TlsPolicy, TlsReport,
};
use crate::store::disk::layout::Month;
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use crate::store::tables::filter::Filter;
use crate::store::tables::tls::TlsReportRow;
use crate::store::tables::values::{day, sender_auth, time};
use jiff::civil::Date;
use rusqlite::{Row, params};

/// Passes on the policies of the reports of a filter, in the order of days and of arrival in the store.
pub(crate) fn each_report(
    ledger: &Ledger,
    filter: &Filter,
    each: &mut dyn FnMut(&TlsReportRow, TlsPolicy) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let failed = || ledger.failed("reading the TLS reports");
    let (from, to) = filter.days();
    let (after, last) = filter.new.as_ref().map_or((i64::MIN, i64::MAX), |new| (new.after, new.last));
    let sql = "SELECT key, day, org_name, contact_info, report_id, begin, end, origin, attachment, message_id, mail_date,
               from_domain, sender_auth, arrival, ingested, findings, id, authentication_results, content FROM tls_reports
               WHERE day BETWEEN ?1 AND ?2 AND batch > ?3 AND batch <= ?4 ORDER BY day, id";
    let mut statement = ledger.connection.prepare(sql).map_err(failed())?;
    let mut rows = statement.query(params![from, to, after, last]).map_err(failed())?;
    while let Some(row) = rows.next().map_err(failed())? {
        let (report, id) = (report(row).map_err(failed())?, row.get(16).map_err(failed())?);
        for policy in policies(ledger, id, filter).map_err(failed())? {
            each(&report, policy)?;
        }
    }
    Ok(())
}

fn report(row: &Row<'_>) -> rusqlite::Result<TlsReportRow> {
    Ok(TlsReportRow {
        key: ReportKey(row.get(0)?),
        day: row.get(1)?,
        org_name: row.get(2)?,
        contact_info: row.get(3)?,
        report_id: row.get(4)?,
        begin: row.get(5)?,
        end: row.get(6)?,
        origin: row.get(7)?,
        attachment: row.get(8)?,
        message_id: row.get(9)?,
        mail_date: row.get(10)?,
        from_domain: row.get(11)?,
        sender_auth: row.get(12)?,
        arrival: row.get(13)?,
        ingested: row.get(14)?,
        findings: row.get(15)?,
        authentication_results: row.get(17)?,
        content: Hash(row.get(18)?),
    })
}

/// The policies of a report that are of the filter's domains.
fn policies(ledger: &Ledger, report: i64, filter: &Filter) -> rusqlite::Result<Vec<TlsPolicy>> {
    let sql = "SELECT place, policy_type, policy_domain, policy_strings, mx_hosts, successful_sessions, failed_sessions
               FROM tls_policies WHERE report = ?1 ORDER BY place";
    let mut statement = ledger.connection.prepare_cached(sql)?;
    let mut rows = statement.query([report])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let domain = text(row, 2)?;
        if !filter.has_domain(domain.as_ref().map_or("", Text::as_str)) {
            continue;
        }
        found.push(TlsPolicy {
            policy_type: text(row, 1)?,
            policy_domain: domain.map(Domain::from_canonical),
            policy_strings: lines(row, 3)?,
            mx_hosts: lines(row, 4)?,
            successful_sessions: row.get(5)?,
            failed_sessions: row.get(6)?,
            failures: failures(ledger, report, row.get(0)?)?,
        });
    }
    Ok(found)
}

fn failures(ledger: &Ledger, report: i64, policy: i64) -> rusqlite::Result<Vec<TlsFailure>> {
    let sql = "SELECT result_type, sending_mta_ip, receiving_mx_hostname, receiving_mx_helo, receiving_ip,
               failed_sessions, reason_code, additional_information FROM tls_failures
               WHERE report = ?1 AND policy = ?2 ORDER BY place";
    let mut statement = ledger.connection.prepare_cached(sql)?;
    let rows = statement.query_map([report, policy], |row| {
        let address = |index| Ok::<_, rusqlite::Error>(text(row, index)?.and_then(|ip| ip.parse().ok()));
        Ok(TlsFailure {
            result_type: text(row, 0)?,
            sending_mta_ip: address(1)?,
            receiving_mx_hostname: text(row, 2)?.map(Domain::from_canonical),
            receiving_mx_helo: text(row, 3)?,
            receiving_ip: address(4)?,
            failed_sessions: row.get(5)?,
            reason_code: text(row, 6)?,
            additional_information: text(row, 7)?,
        })
    })?;
    rows.collect()
}

fn text(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Text>> {
    Ok(row.get_ref(index)?.as_str_or_null()?.map(Into::into))
}

fn lines(row: &Row<'_>, index: usize) -> rusqlite::Result<Vec<Text>> {
    Ok(text(row, index)?.map(|texts| texts.split('\n').map(Text::from).collect()).unwrap_or_default())
}

/// What another report with the key of a stored one is compared with.
#[derive(Debug)]
pub(crate) struct StoredTls {
    pub(crate) id: i64,
    pub(crate) content: Hash,
    pub(crate) sender_auth: SenderAuth,
    day: Date,
    org_name: Text,
    report_id: Text,
    begin: i64,
    end: i64,
    origin: String,
    attachment: Option<String>,
    arrival: i64,
    pub(crate) ingested: i64,
    /// One of its domains.
    domain: Option<Domain>,
}

impl StoredTls {
    /// The month that its original is kept in.
    pub(crate) fn month(&self) -> Month {
        Month::of(self.day)
    }

    /// The report, as far as a list of conflicts names it, and where it came from.
    pub(crate) fn into_report(self, key: ReportKey) -> (TlsReport, Provenance) {
        let report = TlsReport {
            key,
            content: self.content,
            day: self.day,
            org_name: self.org_name,
            contact_info: None,
            report_id: self.report_id,
            begin: time(self.begin),
            end: time(self.end),
            policies: vec![TlsPolicy { policy_domain: self.domain, ..TlsPolicy::default() }],
        };
        let mail = Some(MailFacts { sender_auth: self.sender_auth, ..MailFacts::default() });
        let arrival = time(self.arrival);
        (report, Provenance { origin: self.origin, attachment: self.attachment, arrival, mail })
    }
}

/// The stored report with a key.
pub(crate) fn find(ledger: &Ledger, key: ReportKey) -> Result<Option<StoredTls>, StoreError> {
    let sql =
        "SELECT id, content, sender_auth, day, org_name, report_id, begin, end, origin, attachment, arrival, ingested,
               (SELECT min(policy_domain) FROM tls_policies WHERE report = id) FROM tls_reports WHERE key = ?1";
    ledger.first_row("looking up a TLS report", sql, [key.0], |row| {
        Ok(StoredTls {
            id: row.get(0)?,
            content: Hash(row.get(1)?),
            sender_auth: sender_auth(row.get_ref(2)?.as_str()?),
            day: day(row.get(3)?),
            org_name: text(row, 4)?.unwrap_or_default(),
            report_id: text(row, 5)?.unwrap_or_default(),
            begin: row.get(6)?,
            end: row.get(7)?,
            origin: row.get(8)?,
            attachment: row.get(9)?,
            arrival: row.get(10)?,
            ingested: row.get(11)?,
            domain: text(row, 12)?.map(Domain::from_canonical),
        })
    })
}

/// How many reports count for a day before this one.
pub(crate) fn count_before(ledger: &Ledger, day: i32) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM tls_reports WHERE day < ?1";
    let found = ledger.connection.query_row(sql, [day], |row| row.get::<_, i64>(0));
    found.map(i64::unsigned_abs).map_err(ledger.failed("counting the TLS reports"))
}

/// How many reports there are, and when the newest arrived.
pub(crate) fn totals(ledger: &Ledger) -> Result<(i64, Option<i64>), StoreError> {
    let sql = "SELECT count(*), max(arrival) FROM tls_reports";
    let found = ledger.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
    found.map_err(ledger.failed("counting the TLS reports"))
}

/// All policies of a stored report.
pub(crate) fn policies_of(ledger: &Ledger, id: i64) -> Result<Vec<TlsPolicy>, StoreError> {
    policies(ledger, id, &Filter::default()).map_err(ledger.failed("reading a TLS report"))
}
