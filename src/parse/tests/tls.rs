//! TLS reports are read as written, whatever their shape.

use crate::limits::Limits;
use crate::parse::{JsonScalar, RawTlsReport, tls_document};

const REPORT: &str = r#"{"organization-name": "Sender", "report-id": "1", "contact-info": null,
    "date-range": {"start-datetime": "2026-11-16T00:00:00Z", "end-datetime": 5},
    "x": {"policies": 1},
    "policies": [{"policy": {"policy-type": "tlsa", "policy-domain": "example.com", "policy-string": "[\"3 1 1 A\",\"3 1 1 B\"]",
        "mx-host": ["a", "b"]}, "summary": {"total-successful-session-count": 1, "total-failure-session-count": "2"},
        "failure-details": [{"result-type": "validation-failure", "failed-session-count": 2}]}, {}]}"#;

fn read(json: &str) -> Result<(RawTlsReport<'_>, Vec<&'static str>), String> {
    let document = tls_document(json, &Limits { tls_failures: 3, tls_policies: 3, ..Limits::default() })?;
    let codes = document.findings.into_vec().iter().map(|finding| finding.code.as_str()).collect();
    Ok((document.report, codes))
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
fn more_than_the_limit_is_dropped_with_a_finding() {
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
