//! Reads TLS reports from a folder of Parquet files: `tls_reports/` and `tls_failures/`, as an export or a cluster
//! leaves them.
//!
//! A failure belongs to the first row of its report with its policy type and domain; a folder without these tables has
//! none.

use super::folder_files::{files, report_key};
use crate::model::{Domain, Hash, ReportKey, Text, TlsFailure, TlsPolicy};
use crate::store::disk::layout::Layout;
use crate::store::error::StoreError;
use crate::store::parquet::checked_read;
use crate::store::parquet::nested::{lists, read_array};
use crate::store::parquet::rows::{ParquetPart, words};
use crate::store::parquet::table_columns::has;
use crate::store::tables::columns::ColumnType;
use crate::store::tables::filter::Filter;
use crate::store::tables::tls::TlsReportRow;
use crate::store::tables::values::LineFinding;
use polars_arrow::array::PrimitiveArray;
use polars_arrow::datatypes::Field;
use polars_arrow::types::NativeType;
use polars_error::{PolarsResult, polars_err};
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

/// A row group and its columns by name.
struct GroupColumns<'a> {
    part: &'a ParquetPart,
    group: &'a RowGroupMetadata,
}

impl GroupColumns<'_> {
    /// The texts of a column; none if the file does not have it.
    fn texts(&self, name: &str) -> PolarsResult<Vec<Option<Text>>> {
        let rows = self.group.num_rows();
        if !has(self.group, name) {
            return Ok(vec![None; rows]);
        }
        let words = words(self.part, self.group, name)?;
        Ok((0..rows).map(|row| words.get(row).map(Text::from)).collect())
    }

    /// The numbers of a column; none if the file does not have it.
    fn numbers<T: NativeType>(&self, name: &str, kind: &ColumnType) -> PolarsResult<Vec<Option<T>>> {
        if !has(self.group, name) {
            return Ok(vec![None; self.group.num_rows()]);
        }
        let array = read_array(&self.part.file, self.group, Field::new(name.into(), kind.arrow(), true))?;
        let numbers: Option<&PrimitiveArray<T>> = array.as_any().downcast_ref();
        let numbers = numbers.ok_or_else(|| polars_err!(ComputeError: "column {}: expected numbers", name))?;
        Ok(numbers.iter().map(Option::<&T>::copied).collect())
    }

    /// The findings of each row as the ledger has them.
    fn findings(&self) -> PolarsResult<Vec<Option<String>>> {
        if !has(self.group, "findings") {
            return Ok(vec![None; self.group.num_rows()]);
        }
        let (codes, ends) = lists(&self.part.file, self.group, "findings", 0)?;
        let (details, _) = lists(&self.part.file, self.group, "findings", 1)?;
        if codes.codes.len() != details.codes.len() {
            return Err(polars_err!(ComputeError: "expected findings of one length, found two"));
        }
        let text = |words: &crate::model::Words, item: usize| words.get(item).unwrap_or_default().to_owned();
        let mut first = 0;
        let rows = ends.into_iter().map(|end| {
            let items = std::mem::replace(&mut first, end as usize)..end as usize;
            let found: Vec<_> =
                items.map(|item| LineFinding { code: text(&codes, item), detail: text(&details, item) }).collect();
            (!found.is_empty()).then(|| serde_json::to_string(&found).expect("texts serialize"))
        });
        Ok(rows.collect())
    }
}

/// Whether a row is of the days and domains of a filter.
fn is_wanted(filter: &Filter, day: i32, domain: Option<&Text>) -> bool {
    let (from, to) = filter.days();
    (from..=to).contains(&day) && filter.has_domain(domain.map_or("", Text::as_str))
}

fn add_failures(
    part: &ParquetPart,
    group: &RowGroupMetadata,
    filter: &Filter,
    failures: &mut HashMap<PolicyOf, Vec<TlsFailure>>,
) -> PolarsResult<()> {
    let columns = GroupColumns { part, group };
    let (keys, days) = (columns.texts("report_key")?, columns.numbers::<i32>("date", &ColumnType::Date)?);
    let (types, domains) = (columns.texts("policy_type")?, columns.texts("policy_domain")?);
    let [results, senders, hosts, helos, receivers, reasons, more] = [
        columns.texts("result_type")?,
        columns.texts("sending_mta_ip")?,
        columns.texts("receiving_mx_hostname")?,
        columns.texts("receiving_mx_helo")?,
        columns.texts("receiving_ip")?,
        columns.texts("reason_code")?,
        columns.texts("additional_information")?,
    ];
    let counts = columns.numbers::<i64>("failed_sessions", &ColumnType::Long)?;
    for row in 0..group.num_rows() {
        if !is_wanted(filter, days[row].unwrap_or_default(), domains[row].as_ref()) {
            continue;
        }
        let key = report_key(keys[row].as_deref())?;
        let address = |text: &Option<Text>| text.as_deref().and_then(|text| text.parse().ok());
        failures.entry((key, types[row].clone(), domains[row].clone())).or_default().push(TlsFailure {
            result_type: results[row].clone(),
            sending_mta_ip: address(&senders[row]),
            receiving_mx_hostname: hosts[row].clone().map(Domain::from_canonical),
            receiving_mx_helo: helos[row].clone(),
            receiving_ip: address(&receivers[row]),
            failed_sessions: counts[row],
            reason_code: reasons[row].clone(),
            additional_information: more[row].clone(),
        });
    }
    Ok(())
}

fn policies(
    part: &ParquetPart,
    group: &RowGroupMetadata,
    filter: &Filter,
) -> PolarsResult<Vec<(TlsReportRow, TlsPolicy)>> {
    let columns = GroupColumns { part, group };
    let (keys, days) = (columns.texts("report_key")?, columns.numbers::<i32>("date", &ColumnType::Date)?);
    let (types, domains) = (columns.texts("policy_type")?, columns.texts("policy_domain")?);
    let (strings, hosts) = (columns.texts("policy_strings")?, columns.texts("mx_hosts")?);
    let successful = columns.numbers::<i64>("successful_sessions", &ColumnType::Long)?;
    let failed = columns.numbers::<i64>("failed_sessions", &ColumnType::Long)?;
    let time = |name| columns.numbers::<i64>(name, &ColumnType::Time);
    let (begin, end, arrival, ingested) =
        (time("period_begin")?, time("period_end")?, time("arrival")?, time("ingested")?);
    let (orgs, ids, auths) = (columns.texts("org_name")?, columns.texts("report_id")?, columns.texts("sender_auth")?);
    let (origins, contents) = (columns.texts("origin")?, columns.texts("content_hash")?);
    let [contacts, attachments, message_ids, dates, senders, results] = [
        columns.texts("contact_info")?,
        columns.texts("attachment")?,
        columns.texts("message_id")?,
        columns.texts("mail_date")?,
        columns.texts("from_domain")?,
        columns.texts("authentication_results")?,
    ];
    let findings = columns.findings()?;
    let (text, some) = (
        |text: &Option<Text>| text.as_deref().unwrap_or_default().to_owned(),
        |text: &Option<Text>| text.as_ref().map(ToString::to_string),
    );
    let lines = |text: &Option<Text>| -> Vec<Text> {
        text.as_deref().map(|text| text.split('\n').map(Text::from).collect()).unwrap_or_default()
    };
    let mut found = Vec::new();
    for row in 0..group.num_rows() {
        let day = days[row].unwrap_or_default();
        if !is_wanted(filter, day, domains[row].as_ref()) {
            continue;
        }
        let report = TlsReportRow {
            key: report_key(keys[row].as_deref())?,
            content: contents[row].as_deref().and_then(hash).unwrap_or(Hash([0; 32])),
            day,
            org_name: text(&orgs[row]),
            contact_info: some(&contacts[row]),
            report_id: text(&ids[row]),
            begin: begin[row].unwrap_or_default(),
            end: end[row].unwrap_or_default(),
            origin: text(&origins[row]),
            attachment: some(&attachments[row]),
            message_id: some(&message_ids[row]),
            mail_date: some(&dates[row]),
            from_domain: some(&senders[row]),
            authentication_results: some(&results[row]),
            sender_auth: text(&auths[row]),
            arrival: arrival[row].unwrap_or_default(),
            ingested: ingested[row].unwrap_or_default(),
            findings: findings[row].clone(),
        };
        let policy = TlsPolicy {
            policy_type: types[row].clone(),
            policy_domain: domains[row].clone().map(Domain::from_canonical),
            policy_strings: lines(&strings[row]),
            mx_hosts: lines(&hosts[row]),
            successful_sessions: successful[row],
            failed_sessions: failed[row],
            failures: Vec::new(),
        };
        found.push((report, policy));
    }
    Ok(found)
}

/// A hash as a column writes it.
fn hash(text: &str) -> Option<Hash> {
    let (first, second) = text.split_at_checked(32)?;
    let key = |half| report_key(Some(half)).ok();
    let (ReportKey(first), ReportKey(second)) = (key(first)?, key(second)?);
    [first, second].concat().try_into().ok().map(Hash)
}
