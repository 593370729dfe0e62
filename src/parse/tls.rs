//! TLS reports as written (RFC 8460 section 4.4): from JSON to the known fields.
//!
//! Keys that the standard does not define are skipped. Nothing is judged here. Another value in place of an object or a
//! list is a finding.

use super::json::{JsonReader, JsonScalar, JsonStart};
use crate::limits::Limits;
use crate::model::{FindingCode, Findings};
use std::borrow::Cow;

/// A TLS report as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawTlsReport<'x> {
    /// `organization-name`.
    pub org_name: JsonScalar<'x>,
    /// `contact-info`.
    pub contact_info: JsonScalar<'x>,
    /// `report-id`.
    pub report_id: JsonScalar<'x>,
    /// `date-range/start-datetime`.
    pub start: JsonScalar<'x>,
    /// `date-range/end-datetime`.
    pub end: JsonScalar<'x>,
    /// `policies`, those that are complete objects.
    pub policies: Vec<RawTlsPolicy<'x>>,
}

/// One element of `policies`, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawTlsPolicy<'x> {
    /// `policy/policy-type`.
    pub policy_type: JsonScalar<'x>,
    /// `policy/policy-domain`.
    pub policy_domain: JsonScalar<'x>,
    /// `policy/policy-string`.
    pub policy_strings: Vec<Cow<'x, str>>,
    /// `policy/mx-host`.
    pub mx_hosts: Vec<Cow<'x, str>>,
    /// `summary/total-successful-session-count`.
    pub successful_sessions: JsonScalar<'x>,
    /// `summary/total-failure-session-count`.
    pub failed_sessions: JsonScalar<'x>,
    /// `failure-details`.
    pub failures: Vec<RawTlsFailure<'x>>,
}

/// One element of `failure-details`, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawTlsFailure<'x> {
    /// `result-type`.
    pub result_type: JsonScalar<'x>,
    /// `sending-mta-ip`.
    pub sending_mta_ip: JsonScalar<'x>,
    /// `receiving-mx-hostname`.
    pub receiving_mx_hostname: JsonScalar<'x>,
    /// `receiving-mx-helo`.
    pub receiving_mx_helo: JsonScalar<'x>,
    /// `receiving-ip`.
    pub receiving_ip: JsonScalar<'x>,
    /// `failed-session-count`.
    pub failed_sessions: JsonScalar<'x>,
    /// `failure-reason-code`.
    pub reason_code: JsonScalar<'x>,
    /// `additional-information`.
    pub additional_information: JsonScalar<'x>,
}

/// A TLS report that was read.
#[derive(Debug)]
pub struct TlsDocument<'x> {
    /// As written.
    pub report: RawTlsReport<'x>,
    /// The document from its first brace to its last.
    pub content: &'x str,
    /// What was odd about it.
    pub findings: Findings,
}

/// Reads the only report in a text.
///
/// A file with several documents is rejected: the standard allows one, and a part must not be mistaken for the whole.
///
/// # Errors
/// What was expected and what was found, if there is no such report.
///
/// ```
/// use dmarquet::limits::Limits;
/// use dmarquet::parse::{JsonScalar, tls_document};
///
/// let json = r#"{"organization-name": "Sender", "policies": [{"policy": {"policy-type": "sts"}}]}"#;
/// let document = tls_document(json, &Limits::default()).unwrap();
/// assert_eq!(document.report.policies[0].policy_type, JsonScalar::Text("sts".into()));
/// ```
pub fn tls_document<'x>(text: &'x str, limits: &Limits) -> Result<TlsDocument<'x>, String> {
    let mut findings = Findings::new(limits.findings);
    let mut reader = JsonReader::new(text, limits.text_bytes, limits.element_depth, &mut findings);
    let mut start = reader.start();
    let listed = start == JsonStart::Array;
    if listed {
        reader.note(FindingCode::JSON_SHAPE, || "expected an object, found a list with one in it".to_owned());
        reader.enter();
        start = if reader.item(true) { reader.start() } else { JsonStart::End };
    }
    if start != JsonStart::Object {
        return Err("expected one TLS report as a JSON object, found none".to_owned());
    }
    let from = reader.at();
    let mut built = ReportBuilder { reader: &mut reader, limits, entries: 0 };
    let report = built.report();
    let content = &text[from..reader.at()];
    if listed && !reader.cut && reader.item(false) {
        return Err("expected one TLS report in a file, found a list of several".to_owned());
    }
    let rest = reader.rest().trim();
    if rest.starts_with(['{', '[']) {
        return Err("expected one TLS report in a file, found another document behind it".to_owned());
    }
    if !rest.is_empty() {
        reader.note(FindingCode::JSON_SYNTAX, || format!("{} bytes behind the end of the document", rest.len()));
    }
    if reader.cut {
        reader.note(FindingCode::JSON_CUT, || {
            format!("the document ends before it is complete: {} whole policies kept", report.policies.len())
        });
    }
    Ok(TlsDocument { report, content, findings })
}

/// Reads the parts of a report.
struct ReportBuilder<'r, 'x, 'f, 'l> {
    reader: &'r mut JsonReader<'x, 'f>,
    limits: &'l Limits,
    /// Entries of `failure-details` so far.
    entries: u32,
}

impl<'x> ReportBuilder<'_, 'x, '_, '_> {
    fn report(&mut self) -> RawTlsReport<'x> {
        let mut report = RawTlsReport::default();
        let mut seen = SeenKeys::default();
        self.object("the report", &mut |builder, key| {
            let seen = &mut seen;
            match key {
                "organization-name" => builder.scalar(seen.first(0), &mut report.org_name, key),
                "contact-info" => builder.scalar(seen.first(1), &mut report.contact_info, key),
                "report-id" => builder.scalar(seen.first(2), &mut report.report_id, key),
                "date-range" if seen.first(3) => builder.period(&mut report),
                "policies" if seen.first(4) => builder.policies(&mut report.policies),
                "date-range" | "policies" => builder.again(key),
                _ => builder.reader.pass(Some(key)),
            }
        });
        report
    }

    fn period(&mut self, report: &mut RawTlsReport<'x>) {
        let (start, end) = (&mut report.start, &mut report.end);
        self.scalars("date-range", [(&["start-datetime"], start), (&["end-datetime"], end)]);
    }

    fn policies(&mut self, policies: &mut Vec<RawTlsPolicy<'x>>) {
        let most = self.limits.tls_policies;
        self.list("policies", most, &mut |builder| {
            let policy = builder.policy();
            // If the document ends within it, the essential values may be missing.
            if !builder.reader.cut {
                policies.push(policy);
            }
        });
    }

    fn policy(&mut self) -> RawTlsPolicy<'x> {
        let mut policy = RawTlsPolicy::default();
        let mut seen = SeenKeys::default();
        self.object("an element of policies", &mut |builder, key| match key {
            "policy" if seen.first(0) => builder.policy_itself(&mut policy),
            "summary" if seen.first(1) => builder.summary(&mut policy),
            "failure-details" if seen.first(2) => builder.failures(&mut policy.failures),
            "policy" | "summary" | "failure-details" => builder.again(key),
            _ => builder.reader.pass(Some(key)),
        });
        policy
    }

    fn policy_itself(&mut self, policy: &mut RawTlsPolicy<'x>) {
        let mut seen = SeenKeys::default();
        self.object("policy", &mut |builder, key| match key {
            "policy-type" => builder.scalar(seen.first(0), &mut policy.policy_type, key),
            "policy-domain" => builder.scalar(seen.first(1), &mut policy.policy_domain, key),
            "policy-string" if seen.first(2) => builder.texts(key, &mut policy.policy_strings),
            "mx-host" | "mx-host-pattern" if seen.first(3) => builder.texts(key, &mut policy.mx_hosts),
            "policy-string" | "mx-host" | "mx-host-pattern" => builder.again(key),
            _ => builder.reader.pass(Some(key)),
        });
    }

    fn summary(&mut self, policy: &mut RawTlsPolicy<'x>) {
        let (successful, failed) = (&mut policy.successful_sessions, &mut policy.failed_sessions);
        self.scalars(
            "summary",
            [(&["total-successful-session-count"], successful), (&["total-failure-session-count"], failed)],
        );
    }

    fn failures(&mut self, failures: &mut Vec<RawTlsFailure<'x>>) {
        let most = self.limits.tls_failures.saturating_sub(self.entries);
        self.list("failure-details", most, &mut |builder| {
            builder.entries += 1;
            failures.push(builder.failure());
        });
    }

    fn failure(&mut self) -> RawTlsFailure<'x> {
        let mut failure = RawTlsFailure::default();
        self.scalars(
            "an element of failure-details",
            [
                (&["result-type"], &mut failure.result_type),
                (&["sending-mta-ip"], &mut failure.sending_mta_ip),
                (&["receiving-mx-hostname"], &mut failure.receiving_mx_hostname),
                (&["receiving-mx-helo"], &mut failure.receiving_mx_helo),
                (&["receiving-ip"], &mut failure.receiving_ip),
                (&["failed-session-count"], &mut failure.failed_sessions),
                (&["failure-reason-code", "failure-error-code"], &mut failure.reason_code),
                (&["additional-information", "additional-info-uri"], &mut failure.additional_information),
            ],
        );
        failure
    }

    /// Reads the object here into fields, each a value under one of its names.
    fn scalars<const N: usize>(&mut self, what: &str, mut fields: [(&[&str], &mut JsonScalar<'x>); N]) {
        let mut seen = SeenKeys::default();
        self.object(what, &mut |builder, key| {
            let mut known = (0..).zip(&mut fields);
            match known.find(|(_, (names, _))| names.contains(&key)) {
                Some((place, (_, field))) => builder.scalar(seen.first(place), field, key),
                None => builder.reader.pass(Some(key)),
            }
        });
    }

    /// Passes each key of the object here to `each`, which reads its value. Any other value is skipped.
    fn object(&mut self, what: &str, each: &mut dyn FnMut(&mut Self, &str)) {
        match self.reader.start() {
            JsonStart::Object => self.reader.enter(),
            JsonStart::Word if self.reader.rest().starts_with("null") => return self.reader.pass(None),
            JsonStart::End => return,
            _ => {
                self.reader
                    .note(FindingCode::JSON_SHAPE, || format!("{what}: expected an object, found something else"));
                return self.reader.pass(None);
            }
        }
        let mut first = true;
        while let Some(key) = self.reader.key(first) {
            first = false;
            each(self, &key);
        }
    }

    /// Lets `each` read the values of the list here, up to a maximum; a single object counts as a list of one.
    fn list(&mut self, what: &str, most: u32, each: &mut dyn FnMut(&mut Self)) {
        match self.reader.start() {
            JsonStart::Array => self.reader.enter(),
            JsonStart::Object => {
                self.reader.note(FindingCode::JSON_SHAPE, || format!("{what}: expected a list, found an object"));
                return if most > 0 { each(self) } else { self.reader.pass(Some(what)) };
            }
            JsonStart::Word if self.reader.rest().starts_with("null") => return self.reader.pass(None),
            JsonStart::End => return,
            JsonStart::Text | JsonStart::Word => {
                self.reader.note(FindingCode::JSON_SHAPE, || format!("{what}: expected a list, found something else"));
                return self.reader.pass(None);
            }
        }
        let mut found = 0_u64;
        while self.reader.item(found == 0) {
            found += 1;
            if found <= u64::from(most) {
                each(self);
            } else {
                self.reader.pass(Some(what));
            }
        }
        if found > u64::from(most) {
            self.reader.note(FindingCode::LIMIT_DROPPED, || format!("{what}: {found} elements, {most} of them read"));
        }
    }

    /// A text, or a list of texts. Some reporters write a whole list into one text, as JSON.
    fn texts(&mut self, what: &str, texts: &mut Vec<Cow<'x, str>>) {
        let most = self.limits.results;
        let (room, mut dropped) = (most as usize, 0);
        let mut add = |scalar: JsonScalar<'x>| match scalar {
            JsonScalar::Text(text) => {
                let mut found = unlisted(text);
                dropped += found.len();
                found.truncate(room.saturating_sub(texts.len()));
                dropped -= found.len();
                texts.extend(found);
            }
            JsonScalar::Number(number) => texts.push(number.into()),
            JsonScalar::None | JsonScalar::Other(_) | JsonScalar::Malformed(_) => {}
        };
        if self.reader.start() == JsonStart::Array {
            self.list(what, most, &mut |builder| add(builder.reader.scalar()));
        } else {
            add(self.reader.scalar());
        }
        if dropped > 0 {
            self.reader
                .note(FindingCode::LIMIT_DROPPED, || format!("{what}: {dropped} more than {most} texts not read"));
        }
    }

    /// A value that contains no others, unless its key is repeated.
    fn scalar(&mut self, first: bool, field: &mut JsonScalar<'x>, key: &str) {
        if first {
            *field = self.reader.scalar();
        } else {
            self.again(key);
        }
    }

    /// A repeated key: the first value counts.
    fn again(&mut self, key: &str) {
        self.reader.note(FindingCode::JSON_REPEATED, || format!("{key} stands again: the first one holds"));
        self.reader.pass(Some(key));
    }
}

/// The texts of a JSON list within a text; otherwise the text itself.
fn unlisted(text: Cow<'_, str>) -> Vec<Cow<'_, str>> {
    if !text.trim_start().starts_with("[\"") {
        return vec![text];
    }
    let mut findings = Findings::new(0);
    let mut reader = JsonReader::new(&text, u32::MAX, 0, &mut findings);
    let mut found: Vec<Cow<'_, str>> = Vec::new();
    reader.start();
    reader.enter();
    while reader.item(found.is_empty()) {
        let JsonScalar::Text(text) = reader.scalar() else { break };
        found.push(text.into_owned().into());
    }
    if reader.cut || found.is_empty() { vec![text] } else { found }
}

/// Which keys of an object were present, by number.
#[derive(Default)]
struct SeenKeys(u8);

impl SeenKeys {
    /// Whether it is the first occurrence.
    fn first(&mut self, key: u8) -> bool {
        let first = self.0 & (1 << key) == 0;
        self.0 |= 1 << key;
        first
    }
}
