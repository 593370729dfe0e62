//! Reads TLS reports from a folder of Parquet files: `tls_reports/` and `tls_failures/`, as an export or a cluster
//! leaves them.
//!
//! A failure belongs to the first row of its report with its policy type and domain; a folder without these tables has
//! none.

use super::folder_files::{files, report_key};
use super::group_columns::GroupColumns;
use crate::model::{Domain, Hash, ReportKey, Text, TlsFailure, TlsPolicy};
use crate::store::disk::layout::Layout;
use crate::store::error::StoreError;
use crate::store::parquet::checked_read;
use crate::store::parquet::rows::ParquetPart;
use crate::store::tables::filter::Filter;
use crate::store::tables::tls::{TLS_FAILURES, TLS_REPORTS, TlsReportRow};
use crate::store::tables::values::parse_key;
use polars_error::PolarsResult;
use polars_parquet::read::RowGroupMetadata;
use std::collections::HashMap;

/// What distinguishes a policy from the others of its report.
type PolicyOf = (ReportKey, Option<Text>, Option<Text>);

/// Passes on the policies of the reports of a filter, file by file.
pub(crate) fn each(
    layout: &Layout,
    filter: &Filter,
    take: &mut dyn FnMut(&TlsReportRow, TlsPolicy) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut failures: HashMap<PolicyOf, Vec<TlsFailure>> = HashMap::new();
    for path in files(layout, "tls_failures", filter)? {
        let part = ParquetPart::open(path)?;
        for group in &part.metadata.row_groups {
            checked_read::read(&part.path, "reading the TLS reports", || {
                add_failures(&part, group, filter, &mut failures)
            })?;
        }
    }
    for path in files(layout, "tls_reports", filter)? {
        let part = ParquetPart::open(path)?;
        for group in &part.metadata.row_groups {
            let rows = checked_read::read(&part.path, "reading the TLS reports", || policies(&part, group, filter))?;
            for (report, policy) in rows {
                let of = (report.key, policy.policy_type.clone(), policy.policy_domain.as_ref().map(text_of));
                let failures = failures.remove(&of).unwrap_or_default();
                take(&report, TlsPolicy { failures, ..policy })?;
            }
        }
    }
    Ok(())
}

fn text_of(domain: &Domain) -> Text {
    domain.as_str().into()
}

/// The rows of a row group that are of the days and domains of a filter.
fn wanted(columns: &GroupColumns, rows: usize, filter: &Filter) -> PolarsResult<Vec<usize>> {
    let (from, to) = filter.days();
    let mut wanted = Vec::new();
    for row in 0..rows {
        let day = columns.int("date", row)?.unwrap_or_default();
        if (from..=to).contains(&day) && filter.has_domain(&columns.text("policy_domain", row)?.unwrap_or_default()) {
            wanted.push(row);
        }
    }
    Ok(wanted)
}

fn add_failures(
    part: &ParquetPart,
    group: &RowGroupMetadata,
    filter: &Filter,
    failures: &mut HashMap<PolicyOf, Vec<TlsFailure>>,
) -> PolarsResult<()> {
    let columns = GroupColumns::of_table(&TLS_FAILURES, part, group)?;
    for row in wanted(&columns, group.num_rows(), filter)? {
        let text = |name| columns.text(name, row);
        let address = |name| PolarsResult::Ok(text(name)?.and_then(|text| text.parse().ok()));
        let policy = (report_key(text("report_key")?.as_deref())?, text("policy_type")?, text("policy_domain")?);
        failures.entry(policy).or_default().push(TlsFailure {
            result_type: text("result_type")?,
            sending_mta_ip: address("sending_mta_ip")?,
            receiving_mx_hostname: text("receiving_mx_hostname")?.map(Domain::from_canonical),
            receiving_mx_helo: text("receiving_mx_helo")?,
            receiving_ip: address("receiving_ip")?,
            failed_sessions: columns.long("failed_sessions", row)?,
            reason_code: text("reason_code")?,
            additional_information: text("additional_information")?,
        });
    }
    Ok(())
}

fn policies(
    part: &ParquetPart,
    group: &RowGroupMetadata,
    filter: &Filter,
) -> PolarsResult<Vec<(TlsReportRow, TlsPolicy)>> {
    let columns = GroupColumns::of_table(&TLS_REPORTS, part, group)?;
    let rows = wanted(&columns, group.num_rows(), filter)?;
    rows.into_iter().map(|row| Ok((report(&columns, row)?, policy(&columns, row)?))).collect()
}

fn report(columns: &GroupColumns, row: usize) -> PolarsResult<TlsReportRow> {
    let text = |name| columns.text(name, row);
    let maybe = |name| PolarsResult::Ok(text(name)?.map(|text| text.to_string()));
    let said = |name| maybe(name).map(Option::unwrap_or_default);
    let time = |name| columns.long(name, row).map(Option::unwrap_or_default);
    let findings = columns.findings(row)?;
    Ok(TlsReportRow {
        key: report_key(text("report_key")?.as_deref())?,
        content: text("content_hash")?.as_deref().and_then(hash).unwrap_or(Hash([0; 32])),
        day: columns.int("date", row)?.unwrap_or_default(),
        org_name: said("org_name")?,
        contact_info: maybe("contact_info")?,
        report_id: said("report_id")?,
        begin: time("period_begin")?,
        end: time("period_end")?,
        origin: said("origin")?,
        attachment: maybe("attachment")?,
        message_id: maybe("message_id")?,
        mail_date: maybe("mail_date")?,
        from_domain: maybe("from_domain")?,
        authentication_results: maybe("authentication_results")?,
        sender_auth: said("sender_auth")?,
        arrival: time("arrival")?,
        ingested: time("ingested")?,
        // As the ledger has them.
        findings: (!findings.is_empty()).then(|| serde_json::to_string(&findings).expect("texts serialize")),
    })
}

fn policy(columns: &GroupColumns, row: usize) -> PolarsResult<TlsPolicy> {
    let text = |name| columns.text(name, row);
    let lines = |name| -> PolarsResult<Vec<Text>> {
        Ok(text(name)?.map(|text| text.split('\n').map(Text::from).collect()).unwrap_or_default())
    };
    Ok(TlsPolicy {
        policy_type: text("policy_type")?,
        policy_domain: text("policy_domain")?.map(Domain::from_canonical),
        policy_strings: lines("policy_strings")?,
        mx_hosts: lines("mx_hosts")?,
        successful_sessions: columns.long("successful_sessions", row)?,
        failed_sessions: columns.long("failed_sessions", row)?,
        failures: Vec::new(),
    })
}

/// A hash as a column writes it.
fn hash(text: &str) -> Option<Hash> {
    let (first, second) = text.split_at_checked(32)?;
    [parse_key(first)?.0, parse_key(second)?.0].concat().try_into().ok().map(Hash)
}
