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

/// The result of reading a text.
#[derive(Debug)]
pub enum TlsDocument<'x> {
    /// A TLS report.
    Report {
        /// As written.
        report: RawTlsReport<'x>,
        /// The document from its first brace to its last.
        content: &'x str,
        /// What was odd about it.
        findings: Findings,
    },
    /// Something that should have been a report and is not.
    Rejected {
        /// What was expected, what was found.
        reason: String,
    },
}

/// Reads the only report in a text.
///
/// A file with several documents is rejected: the standard allows one, and a part must not be mistaken for the whole.
///
/// ```
/// use dmarquet::limits::Limits;
/// use dmarquet::parse::{JsonScalar, TlsDocument, tls_document};
///
/// let json = r#"{"organization-name": "Sender", "policies": [{"policy": {"policy-type": "sts"}}]}"#;
/// let TlsDocument::Report { report, .. } = tls_document(json, &Limits::default()) else { panic!("a report") };
/// assert_eq!(report.policies[0].policy_type, JsonScalar::Text("sts".into()));
/// ```
pub fn tls_document<'x>(text: &'x str, limits: &Limits) -> TlsDocument<'x> {
    let mut findings = Findings::new(limits.findings);
    let mut reader = JsonReader::new(text, limits.text_bytes, limits.element_depth, &mut findings);
    let rejected = |reason: &str| TlsDocument::Rejected { reason: reason.to_owned() };
    let mut start = reader.start();
    let listed = start == JsonStart::Array;
    if listed {
        reader.note(FindingCode::JSON_SHAPE, || "expected an object, found a list with one in it".to_owned());
        reader.enter();
        start = if reader.item(true) { reader.start() } else { JsonStart::End };
    }
    if start != JsonStart::Object {
        return rejected("expected one TLS report as a JSON object, found none");
    }
    let from = reader.at();
    let mut built = ReportBuilder { reader: &mut reader, limits, entries: 0 };
    let report = built.report();
    let content = &text[from..reader.at()];
    if listed && !reader.cut && reader.item(false) {
        return rejected("expected one TLS report in a file, found a list of several");
    }
    let rest = reader.rest().trim();
    if rest.starts_with(['{', '[']) {
        return rejected("expected one TLS report in a file, found another document behind it");
    }
    if !rest.is_empty() {
        reader.note(FindingCode::JSON_SYNTAX, || format!("{} bytes behind the end of the document", rest.len()));
    }
    if reader.cut {
        reader.note(FindingCode::JSON_CUT, || {
            format!("the document ends before it is complete: {} whole policies kept", report.policies.len())
        });
    }
    TlsDocument::Report { report, content, findings }
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
        let mut seen = SeenKeys::default();
        self.object("date-range", &mut |builder, key| match key {
            "start-datetime" => builder.scalar(seen.first(0), &mut report.start, key),
            "end-datetime" => builder.scalar(seen.first(1), &mut report.end, key),
            _ => builder.reader.pass(Some(key)),
        });
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
        let mut seen = SeenKeys::default();
        self.object("summary", &mut |builder, key| match key {
            "total-successful-session-count" => {
                builder.scalar(seen.first(0), &mut policy.successful_sessions, key);
            }
            "total-failure-session-count" => builder.scalar(seen.first(1), &mut policy.failed_sessions, key),
            _ => builder.reader.pass(Some(key)),
        });
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
        let mut seen = SeenKeys::default();
        self.object("an element of failure-details", &mut |builder, key| {
            let (place, field) = match key {
                "result-type" => (0, &mut failure.result_type),
                "sending-mta-ip" => (1, &mut failure.sending_mta_ip),
                "receiving-mx-hostname" => (2, &mut failure.receiving_mx_hostname),
                "receiving-mx-helo" => (3, &mut failure.receiving_mx_helo),
                "receiving-ip" => (4, &mut failure.receiving_ip),
                "failed-session-count" => (5, &mut failure.failed_sessions),
                "failure-reason-code" | "failure-error-code" => (6, &mut failure.reason_code),
                "additional-information" | "additional-info-uri" => (7, &mut failure.additional_information),
                _ => return builder.reader.pass(Some(key)),
            };
            builder.scalar(seen.first(place), field, key);
        });
        failure
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

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"organization-name": "Sender", "report-id": "1", "contact-info": null,
        "date-range": {"start-datetime": "2026-11-16T00:00:00Z", "end-datetime": 5},
        "x": {"policies": 1},
        "policies": [{"policy": {"policy-type": "tlsa", "policy-domain": "example.com", "policy-string": "[\"3 1 1 A\",\"3 1 1 B\"]",
            "mx-host": ["a", "b"]}, "summary": {"total-successful-session-count": 1, "total-failure-session-count": "2"},
            "failure-details": [{"result-type": "validation-failure", "failed-session-count": 2}]}, {}]}"#;

    fn read(json: &str) -> Result<(RawTlsReport<'_>, Vec<&'static str>), String> {
        match tls_document(json, &Limits { tls_failures: 3, tls_policies: 3, ..Limits::default() }) {
            TlsDocument::Report { report, findings, .. } => {
                Ok((report, findings.into_vec().iter().map(|finding| finding.code.as_str()).collect()))
            }
            TlsDocument::Rejected { reason } => Err(reason),
        }
    }

    #[test]
    fn every_field_is_read_as_written() {
        let (report, codes) = read(REPORT).unwrap();
        let text = |text: &'static str| JsonScalar::Text(text.into());
        assert_eq!(
            (report.org_name, report.contact_info, report.end),
            (text("Sender"), JsonScalar::None, JsonScalar::Number("5"))
        );
        let policy = &report.policies[0];
        assert_eq!(policy.policy_strings, ["3 1 1 A", "3 1 1 B"]);
        assert_eq!(policy.mx_hosts, ["a", "b"]);
        assert_eq!((&policy.successful_sessions, &policy.failed_sessions), (&JsonScalar::Number("1"), &text("2")));
        assert_eq!(policy.failures[0].failed_sessions, JsonScalar::Number("2"));
        assert_eq!((report.policies.len(), codes), (2, vec![]));
    }

    #[test]
    fn shapes_that_are_not_the_standards_are_reported() {
        let one = r#"{"policies": {"policy": 7, "failure-details": {"result-type": "x"}}}"#;
        let (report, codes) = read(one).unwrap();
        assert_eq!(report.policies[0].failures.len(), 1);
        assert_eq!(codes, ["json.shape"; 3]);
        let (report, codes) = read(r#"[{"report-id": 1, "report-id": 2, "policies": null}]"#).unwrap();
        assert_eq!((report.report_id, codes), (JsonScalar::Number("1"), vec!["json.shape", "json.repeated"]));
    }

    #[test]
    fn a_document_that_is_cut_keeps_its_whole_policies() {
        let policy = r#"{"policy": {"policy-type": "sts"}, "failure-details": [{"result-type": "x"}]}"#;
        let json = format!(r#"{{"policies": [{policy}, {policy}]}}"#);
        for end in [json.len() - 4, json.len() - 20, json.find("}, {\"policy").unwrap() + 3] {
            let (report, codes) = read(&json[..end]).unwrap();
            assert_eq!((report.policies.len(), codes), (1, vec!["json.cut"]), "{}", &json[..end]);
        }
    }

    #[test]
    fn more_than_the_limit_is_dropped_and_told() {
        let json = format!(r#"{{"policies": [{}{{}}]}}"#, "{},".repeat(10));
        let (report, codes) = read(&json).unwrap();
        assert_eq!((report.policies.len(), codes), (3, vec!["limit.dropped"]));
        let entries = format!(r#"{{"failure-details": [{}1]}}"#, "{},");
        let json = format!(r#"{{"policies": [{entries}, {entries}]}}"#);
        let (report, codes) = read(&json).unwrap();
        assert_eq!(report.policies.iter().map(|policy| policy.failures.len()).sum::<usize>(), 3);
        assert_eq!(codes, ["json.shape", "limit.dropped"]);
    }

    #[test]
    fn a_list_in_a_text_has_no_more_texts_than_a_list() {
        let list = format!("[{}\\\"a\\\"]", "\\\"a\\\",".repeat(1000));
        let json = format!(r#"{{"policies": [{{"policy": {{"policy-string": ["{list}", "{list}"]}}}}]}}"#);
        let (report, codes) = read(&json).unwrap();
        let most = Limits::default().results as usize;
        assert_eq!((report.policies[0].policy_strings.len(), codes), (most, vec!["limit.dropped"]));
    }

    #[test]
    fn of_several_documents_none_is_read() {
        for json in ["[{}, {}]", "{} {}", "{}[", "", "7", "[]", "\"{}\""] {
            assert!(read(json).is_err(), "{json}");
        }
        assert_eq!(read("{} x").unwrap().1, ["json.syntax"]);
    }
}
