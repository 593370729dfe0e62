//! Turns TLS reports as written into the model.
//!
//! A policy without content is left out, and an invalid count is unknown; the rest of the report is kept.

use super::address::{address, is_digits};
use super::bounded::{FreeText, NAME, SELECTOR, WORD, bounded};
use super::domain::{canonical_domain, of_address};
use super::period::{TimeForm, period};
use super::{Context, identity};
use crate::limits::Limits;
use crate::model::{
    Domain, Finding, FindingCode, Findings, Quoted, TLS_RESULT_TYPES, Text, TlsFailure, TlsPolicy, TlsReport,
};
use crate::parse::{self, JsonScalar, RawTlsFailure, RawTlsPolicy, RawTlsReport, TlsDocument};
use std::borrow::Cow;
use std::net::IpAddr;

/// A TLS report that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadTls {
    /// The report.
    pub report: TlsReport,
    /// What was odd about it.
    pub findings: Vec<Finding>,
}

/// Reads the TLS report in the bytes of a JSON file.
///
/// # Errors
/// What was expected and what was found, if there is no report with a usable period and policy.
///
/// ```
/// use dmarquet::limits::Limits;
/// use dmarquet::normalize::{Context, ReadTls, tls_report};
///
/// let json = br#"{"organization-name": "Sender", "report-id": "1", "contact-info": "tls@sender.example",
///   "date-range": {"start-datetime": "2026-03-03T00:00:00Z", "end-datetime": "2026-03-03T23:59:59Z"},
///   "policies": [{"policy": {"policy-type": "sts", "policy-domain": "Example.COM."},
///     "summary": {"total-successful-session-count": "7", "total-failure-session-count": 1},
///     "failure-details": [{"result-type": "certificate-expired", "sending-mta-ip": "[::ffff:192.0.2.7]"}]}]}"#;
/// let context = Context { attachment: None, arrival: "2026-03-04T02:00:00Z".parse().unwrap() };
/// let ReadTls { report, findings } = tls_report(json, &context, &Limits::default()).unwrap();
/// let policy = &report.policies[0];
/// assert_eq!(policy.policy_domain.as_ref().unwrap().as_str(), "example.com");
/// assert_eq!((policy.successful_sessions, policy.failed_sessions), (Some(7), Some(1)));
/// assert_eq!(policy.failures[0].sending_mta_ip, Some("192.0.2.7".parse().unwrap()));
/// assert_eq!((report.day.to_string(), findings), ("2026-03-03".to_owned(), vec![]));
/// ```
pub fn tls_report(json: &[u8], context: &Context<'_>, limits: &Limits) -> Result<ReadTls, String> {
    let decoded = super::decoded(json, limits)?;
    let TlsDocument { report: raw, content, mut findings } = parse::tls_document(&decoded.text, limits)?;
    if let Some(Finding { code, detail }) = decoded.finding {
        findings.note(code, || detail);
    }
    let mut room =
        Room { free: FreeText::default(), lines: limits.tls_failures as usize, each: limits.results as usize };
    let report = report(&raw, content, context, &mut room, &mut findings)?;
    Ok(ReadTls { report, findings: findings.into_vec() })
}

fn report(
    raw: &RawTlsReport<'_>,
    document: &str,
    context: &Context<'_>,
    room: &mut Room,
    findings: &mut Findings,
) -> Result<TlsReport, String> {
    let content = identity::content_of_json(document);
    let named = context.attachment.and_then(domain_of_name);
    let mut written = Vec::with_capacity(raw.policies.len());
    let mut policies = Vec::with_capacity(raw.policies.len());
    for policy in &raw.policies {
        if *policy == RawTlsPolicy::default() {
            findings.note(FindingCode::TLS_EMPTY, || "policies: one without a policy, a count or a failure: left out");
            continue;
        }
        let counts = [&policy.successful_sessions, &policy.failed_sessions];
        if let Some(JsonScalar::Malformed(found)) =
            counts.into_iter().find(|count| matches!(count, JsonScalar::Malformed(_)))
        {
            // Its other values may be as wrong.
            findings.note(FindingCode::TLS_COUNT, || {
                format!("summary: expected a number of sessions, found {}: policy left out", Quoted(found))
            });
            continue;
        }
        let read = self::policy(policy, named.as_ref(), room, findings);
        // The same report may come again under another file name, so the name is not part of its identity.
        written.push(match (&read.policy_domain, scalar(&policy.policy_domain)) {
            (Some(domain), Some(_)) => domain.as_str().to_owned(),
            (_, text) => text.map(str::to_lowercase).unwrap_or_default(),
        });
        policies.push(read);
    }
    if policies.is_empty() {
        return Err("policies: expected one that says something, found none".to_owned());
    }
    let period = period(TimeForm::Date, (scalar(&raw.start), scalar(&raw.end)), context, findings)?;
    let contact_info = scalar(&raw.contact_info);
    let org_name = org_name(scalar(&raw.org_name), contact_info, findings);
    let report_id = identity::report_id(scalar(&raw.report_id), || content, "report-id", findings);
    let key = identity::tls_key(&org_name, &report_id, written, (period.begin, period.end));
    let mut cut = |text: &str, what: &str| -> Text {
        if text.len() > NAME {
            findings.note(FindingCode::TEXT_CUT, || format!("{what}: {} bytes, cut to {NAME}", text.len()));
        }
        bounded(text, NAME).into()
    };
    Ok(TlsReport {
        key,
        content,
        day: period.day,
        org_name: cut(&org_name, "organization-name"),
        contact_info: contact_info.map(|contact| cut(contact, "contact-info")),
        report_id: cut(&report_id, "report-id"),
        begin: period.begin,
        end: period.end,
        policies,
    })
}

/// The trimmed text of a value; `None` if there is none.
fn scalar<'a>(value: &'a JsonScalar<'_>) -> Option<&'a str> {
    let text = match value {
        JsonScalar::Text(text) => text.trim(),
        JsonScalar::Number(number) => number,
        JsonScalar::None | JsonScalar::Other(_) | JsonScalar::Malformed(_) => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

fn org_name(written: Option<&str>, contact: Option<&str>, findings: &mut Findings) -> String {
    if let Some(name) = written {
        return name.to_owned();
    }
    let domain =
        contact.filter(|contact| contact.contains('@')).and_then(|contact| canonical_domain(of_address(contact)));
    let name = domain.map_or_else(|| "unknown".to_owned(), |domain| domain.to_string());
    findings.note(FindingCode::METADATA_DERIVED, || {
        format!("organization-name: expected a name, found nothing: taken as {}", Quoted(&name))
    });
    name
}

/// The policy domain in a name of the standard's form (RFC 8460 section 5.1): `sender!domain!begin!end[!id].json.gz`.
fn domain_of_name(name: &str) -> Option<Domain> {
    let mut parts = name.split('!');
    let domain = canonical_domain(parts.nth(1)?)?;
    parts.next().filter(|begin| is_digits(begin))?;
    parts.next().map(|_| domain)
}

/// The types of policies (RFC 8460 section 4.4).
const TYPES: [&str; 3] = ["sts", "tlsa", "no-policy-found"];

/// What a report may still add.
struct Room {
    free: FreeText,
    /// Lines and hosts of its policies.
    lines: usize,
    /// Lines, or hosts, of one of them.
    each: usize,
}

impl Room {
    /// The lines of a policy's texts that say something, as many as there is room for.
    fn lines<'t>(&mut self, texts: &'t [Cow<'_, str>], what: &str, findings: &mut Findings) -> Vec<&'t str> {
        let most = self.each.min(self.lines);
        let mut all = texts.iter().flat_map(|text| lines(text));
        let kept: Vec<&str> = all.by_ref().take(most).collect();
        let dropped = all.count();
        if dropped > 0 {
            findings.note(FindingCode::LIMIT_DROPPED, || format!("{what}: {dropped} more than {most} lines dropped"));
        }
        self.lines -= kept.len();
        kept
    }
}

fn policy(raw: &RawTlsPolicy<'_>, named: Option<&Domain>, room: &mut Room, findings: &mut Findings) -> TlsPolicy {
    let policy_type = scalar(&raw.policy_type).map(str::to_lowercase);
    if let Some(word) = policy_type.as_deref().filter(|word| !TYPES.contains(word)) {
        let known = TYPES.join(", ");
        findings.note(FindingCode::WORD_UNKNOWN, || format!("policy-type: expected {known}, found {}", Quoted(word)));
    }
    let strings = room.lines(&raw.policy_strings, "policy-string", findings);
    let hosts = room.lines(&raw.mx_hosts, "mx-host", findings);
    let free = &mut room.free;
    let mut policy = TlsPolicy {
        policy_type: policy_type.map(|word| bounded(&word, WORD).into()),
        policy_domain: policy_domain(&raw.policy_domain, named, findings),
        policy_strings: strings.into_iter().map(|line| free.keep(line).0).collect(),
        mx_hosts: hosts.into_iter().map(|host| mx_host(host, free)).collect(),
        successful_sessions: count(&raw.successful_sessions, "total-successful-session-count", findings),
        failed_sessions: count(&raw.failed_sessions, "total-failure-session-count", findings),
        failures: Vec::with_capacity(raw.failures.len()),
    };
    for failure in &raw.failures {
        if *failure == RawTlsFailure::default() {
            findings.note(FindingCode::TLS_EMPTY, || "failure-details: one that says nothing: left out");
        } else {
            policy.failures.push(self::failure(failure, free, findings));
        }
    }
    if raw.successful_sessions == JsonScalar::None && raw.failed_sessions == JsonScalar::None {
        let counted: Vec<i64> = policy.failures.iter().filter_map(|failure| failure.failed_sessions).collect();
        let sum = counted.iter().try_fold(0_i64, |sum, count| sum.checked_add(*count));
        policy.failed_sessions = sum.filter(|_| !counted.is_empty());
        let found = policy.failed_sessions.map_or_else(|| "not known".to_owned(), |sum| sum.to_string());
        findings.note(FindingCode::TLS_SUMMARY, || {
            format!("summary: expected counts, found none: failed sessions by the details: {found}")
        });
    }
    policy
}

fn policy_domain(written: &JsonScalar<'_>, named: Option<&Domain>, findings: &mut Findings) -> Option<Domain> {
    let text = scalar(written);
    let domain = text.and_then(canonical_domain);
    match (&domain, text, named) {
        (Some(_), ..) => domain,
        (None, None, Some(named)) => {
            findings.note(FindingCode::METADATA_DERIVED, || {
                format!("policy-domain: expected a domain, found nothing: taken as {named} from the attachment's name")
            });
            Some(named.clone())
        }
        (None, text, _) => {
            findings.note(FindingCode::DOMAIN_INVALID, || match text {
                Some(text) => format!("policy-domain: expected a domain, found {}", Quoted(text)),
                None => "policy-domain: expected a domain, found nothing".to_owned(),
            });
            None
        }
    }
}

/// The nonempty lines of a text.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty())
}

/// A pattern of MX hosts; some reporters copy the whole line of the policy.
fn mx_host(text: &str, free: &mut FreeText) -> Text {
    let host = text.strip_prefix("mx:").unwrap_or(text).trim().trim_end_matches('.');
    free.keep(&bounded(&host.to_lowercase(), SELECTOR)).0
}

/// A number of sessions; `None` if it is missing or invalid, which is reported.
fn count(value: &JsonScalar<'_>, what: &str, findings: &mut Findings) -> Option<i64> {
    let text = match value {
        JsonScalar::None => return None,
        JsonScalar::Number(text) => *text,
        JsonScalar::Text(text) => text.trim(),
        JsonScalar::Other(found) | JsonScalar::Malformed(found) => found,
    };
    let count = text.parse().ok().filter(|_| is_digits(text));
    if count.is_none() {
        findings
            .note(FindingCode::TLS_COUNT, || format!("{what}: expected a number of sessions, found {}", Quoted(text)));
    }
    count
}

fn failure(raw: &RawTlsFailure<'_>, free: &mut FreeText, findings: &mut Findings) -> TlsFailure {
    let result_type = scalar(&raw.result_type);
    if let Some(word) = result_type.filter(|word| !TLS_RESULT_TYPES.contains(word)) {
        findings.note(FindingCode::WORD_UNKNOWN, || {
            format!("result-type: expected one of RFC 8460, found {}", Quoted(word))
        });
    }
    let mut kept = |value: &JsonScalar<'_>, what: &str, most: usize, findings: &mut Findings| -> Option<Text> {
        let written = scalar(value)?;
        let (text, _) = free.keep(&bounded(written, most));
        if text != *written {
            findings.note(FindingCode::TEXT_CUT, || format!("{what}: {} bytes, cut to {}", written.len(), text.len()));
        }
        Some(text)
    };
    TlsFailure {
        result_type: result_type.map(|word| bounded(word, WORD).into()),
        sending_mta_ip: ip(&raw.sending_mta_ip, "sending-mta-ip", findings),
        receiving_mx_hostname: host(&raw.receiving_mx_hostname, findings),
        receiving_mx_helo: kept(&raw.receiving_mx_helo, "receiving-mx-helo", SELECTOR, findings),
        receiving_ip: ip(&raw.receiving_ip, "receiving-ip", findings),
        failed_sessions: count(&raw.failed_sessions, "failed-session-count", findings),
        reason_code: kept(&raw.reason_code, "failure-reason-code", NAME, findings),
        additional_information: kept(&raw.additional_information, "additional-information", NAME, findings),
    }
}

fn ip(value: &JsonScalar<'_>, what: &str, findings: &mut Findings) -> Option<IpAddr> {
    let text = scalar(value)?;
    let found = address(text);
    if found.is_none_or(|address| address.dropped) {
        let read = found.map(|address| format!(": read as {}", address.ip)).unwrap_or_default();
        findings
            .note(FindingCode::TLS_ADDRESS, || format!("{what}: expected an address, found {}{read}", Quoted(text)));
    }
    found.map(|address| address.ip)
}

fn host(value: &JsonScalar<'_>, findings: &mut Findings) -> Option<Domain> {
    let text = scalar(value)?;
    let domain = canonical_domain(text);
    if domain.is_none() {
        findings.note(FindingCode::DOMAIN_INVALID, || {
            format!("receiving-mx-hostname: expected a host name, found {}", Quoted(text))
        });
    }
    domain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a report with this number of successful sessions, on days as they are written.
    fn read(successful: &str, (start, end): (&str, &str)) -> (TlsReport, Vec<&'static str>) {
        let json = format!(
            r#"{{"organization-name": "Sender", "report-id": "1", "date-range": {{"start-datetime": "{start}",
                "end-datetime": "{end}"}}, "policies": [{{"policy": {{"policy-type": "sts", "policy-domain": "example.com"}},
                "summary": {{"total-successful-session-count": {successful}, "total-failure-session-count": 0}}}}]}}"#
        );
        let context = Context { attachment: None, arrival: "2026-03-05T02:00:00Z".parse().unwrap() };
        let ReadTls { report, findings } = tls_report(json.as_bytes(), &context, &Limits::default()).expect(successful);
        (report, findings.iter().map(|one| one.code.as_str()).collect())
    }

    const DAY: (&str, &str) = ("2026-03-03T00:00:00Z", "2026-03-03T23:59:59Z");

    #[test]
    fn digits_are_a_count_with_spaces_around_them_too_and_nothing_else_is() {
        for (written, count) in [("7", Some(7)), (r#"" 7 ""#, Some(7)), (r#""9223372036854775807""#, Some(i64::MAX))] {
            let (report, codes) = read(written, DAY);
            assert_eq!((report.policies[0].successful_sessions, codes), (count, vec![]), "{written}");
        }
        for none in [r#""1,234""#, r#""٣""#, "7.0", "-1", "true", "[7]", r#""9223372036854775808""#, r#""""#] {
            let (report, codes) = read(none, DAY);
            assert_eq!((report.policies[0].successful_sessions, codes), (None, vec!["tls.count"]), "{none}");
        }
    }

    #[test]
    fn times_in_utc_are_read_as_reporters_write_them() {
        let (expected, _) = read("7", DAY);
        for day in [
            ("2026-03-03 00:00:00 UTC", "2026-03-03 23:59:59 UTC"),
            ("2026-03-02T24:00:00Z", "2026-03-03T23:59:59 Z"),
            ("1772496000", "1772582399"),
        ] {
            let (report, _) = read("7", day);
            assert_eq!((report.begin, report.end, report.key), (expected.begin, expected.end, expected.key), "{day:?}");
        }
    }

    #[test]
    fn a_report_of_short_lines_keeps_no_more_of_them_than_the_limits_allow() {
        let text = format!("\"{}\"", "a\\n".repeat(1000));
        let policy = format!(
            r#"{{"policy": {{"policy-domain": "example.com", "policy-string": {text}, "mx-host": [{text}]}}}}"#
        );
        let json = format!(
            r#"{{"date-range": {{"start-datetime": "2026-03-03T00:00:00Z", "end-datetime": "2026-03-03T23:59:59Z"}},
                "policies": [{policy}, {policy}]}}"#
        );
        let context = Context { attachment: None, arrival: "2026-03-04T02:00:00Z".parse().unwrap() };
        let limits = Limits { results: 100, tls_failures: 250, ..Limits::default() };
        let ReadTls { report, findings } = tls_report(json.as_bytes(), &context, &limits).unwrap();
        let kept: Vec<_> =
            report.policies.iter().map(|policy| (policy.policy_strings.len(), policy.mx_hosts.len())).collect();
        assert_eq!(kept, [(100, 100), (50, 0)]);
        assert!(findings.iter().any(|finding| finding.code == FindingCode::LIMIT_DROPPED));
    }
}
