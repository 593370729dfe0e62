//! Weeks of TLS reports with known causes, and exactly what the summary may say about each.

use super::fixtures::week;
use crate::analyze::{Adder, Foreign, Question, Summary, TlsCause, TlsSessions};
use crate::model::{
    DnsHistory, DnsSpan, DnsValue, Domain, RecordType, ReportKey, SenderAuth, TLS_RESULT_TYPES, TlsFailure, TlsPolicy,
    TlsPolicyRow, WatchedName,
};
use std::sync::Arc;

/// One policy of one report.
pub(crate) fn row(day: &str, reporter: &str, (kind, domain): (&str, &str), (ok, failed): (i64, i64)) -> TlsPolicyRow {
    let key = blake3::hash(format!("{day} {reporter} {domain}").as_bytes());
    TlsPolicyRow {
        key: ReportKey(key.as_bytes()[..16].try_into().unwrap()),
        org_name: reporter.into(),
        day: day.parse().unwrap(),
        sender_auth: SenderAuth::Unknown,
        policy: TlsPolicy {
            policy_type: Some(kind.into()),
            policy_domain: Some(Domain::from_canonical(domain)),
            policy_strings: vec!["version: STSv1".into(), "mode: enforce".into()],
            successful_sessions: Some(ok),
            failed_sessions: Some(failed),
            ..TlsPolicy::default()
        },
    }
}

/// The same with an entry of `failure-details`.
pub(crate) fn failing(mut row: TlsPolicyRow, result: &str, host: &str, failed: i64) -> TlsPolicyRow {
    row.policy.failures.push(TlsFailure {
        result_type: Some(result.into()),
        receiving_mx_hostname: Some(Domain::from_canonical(host)),
        failed_sessions: Some(failed),
        ..TlsFailure::default()
    });
    row
}

fn summary(rows: &[TlsPolicyRow], question: Question) -> Summary {
    let mut adder = Adder::new(&Question { period: Some(week("2026-11-16")), ..question });
    rows.iter().for_each(|row| adder.tls(row));
    adder.finish()
}

#[test]
fn each_result_type_is_one_cause_with_words_of_its_own() {
    for (at, result) in TLS_RESULT_TYPES.into_iter().enumerate() {
        let kind = if result.contains("dane") || result.contains("tlsa") || result.contains("dnssec") {
            "tlsa"
        } else {
            "sts"
        };
        let failed = i64::try_from(at).unwrap() + 1;
        let base = row("2026-11-18", "Reporter", (kind, "example.com"), (100, failed));
        let rows = [
            row("2026-11-10", "Reporter", (kind, "example.com"), (90, 0)),
            failing(failing(base, result, "mx2.example.com", failed - 1), result, "mx1.example.com", 1),
        ];
        let tls = summary(&rows, Question::default()).tls;
        assert_eq!(tls.len(), 1, "{result}");
        let [TlsCause { failed_sessions, mx, text, new, first_seen, reporters, .. }] = tls[0].causes.as_slice() else {
            panic!("{result}: {:#?}", tls[0].causes)
        };
        let mx: Vec<&str> = mx.iter().map(Foreign::as_written).collect();
        assert_eq!((*failed_sessions, mx), (failed.unsigned_abs(), vec!["mx1.example.com", "mx2.example.com"]));
        assert_eq!((*new, first_seen.map(|day| day.to_string()), *reporters), (true, Some("2026-11-18".into()), 1));
        assert!(!text.contains("DOMAIN") && !text.contains("not define") && text.split(". ").count() >= 2, "{text}");
        assert_eq!(tls[0].before, Some(TlsSessions { successful_sessions: 90, failed_sessions: 0 }));
    }
}

#[test]
fn one_result_type_in_two_spellings_is_one_cause() {
    let (day, policy, host) = ("2026-11-18", ("sts", "example.com"), "mx.example.com");
    let rows = [
        failing(row(day, "A", policy, (10, 3)), "certificate-expired", host, 3),
        failing(row(day, "B", policy, (10, 4)), " Certificate-EXPIRED", host, 4),
        failing(row(day, "C", policy, (10, 5)), "Certificate-lost", host, 5),
    ];
    let causes = &summary(&rows, Question::default()).tls[0].causes;
    let told: Vec<_> = causes
        .iter()
        .map(|cause| (cause.result_type.as_ref().unwrap().as_written(), cause.failed_sessions, cause.reporters))
        .collect();
    assert_eq!(told, [("certificate-expired", 7, 2), ("Certificate-lost", 5, 1)]);
}

#[test]
fn types_of_policy_are_never_added_up_and_a_report_with_two_policies_of_one_type_is() {
    let domain = "example.com";
    let rows = [
        row("2026-11-16", "A", ("sts", domain), (100, 0)),
        failing(row("2026-11-16", "A", ("sts", domain), (10, 3)), "certificate-expired", "mx.example.com", 3),
        row("2026-11-16", "A", ("tlsa", domain), (100, 0)),
        row("2026-11-22", "B", ("sts", domain), (7, 0)),
        row("2026-11-15", "B", ("sts", domain), (1000, 1000)),
        row("2026-11-23", "B", ("sts", domain), (1000, 1000)),
        row("2026-11-16", "A", ("sts", "example.org"), (1, 0)),
    ];
    let told: Vec<_> = summary(&rows, Question::default())
        .tls
        .into_iter()
        .map(|tls| {
            let kind = tls.policy_type.unwrap().as_written().to_owned();
            (kind, tls.successful_sessions, tls.failed_sessions, tls.reports, tls.reporters.len())
        })
        .collect();
    let expected = [("sts", 117, 3, 2, 2), ("tlsa", 100, 0, 1, 1), ("sts", 1, 0, 1, 1)];
    assert_eq!(told, expected.map(|(kind, ok, failed, reports, who)| (kind.to_owned(), ok, failed, reports, who)));
    let of_one_domain = Question { domains: vec!["example.org".into()], ..Question::default() };
    assert_eq!(summary(&rows, of_one_domain).tls.len(), 1);
}

#[test]
fn reports_proven_to_be_another_senders_are_left_out_and_counted() {
    let auth = |auth: SenderAuth, reporter: &str| TlsPolicyRow {
        sender_auth: auth,
        ..row("2026-11-16", reporter, ("sts", "example.com"), (10, 0))
    };
    let rows = [
        auth(SenderAuth::Pass, "A"),
        auth(SenderAuth::Unknown, "B"),
        auth(SenderAuth::None, "C"),
        auth(SenderAuth::Fail, "D"),
    ];
    let summary = summary(&rows, Question::default());
    assert_eq!((summary.tls[0].successful_sessions, summary.tls[0].reporters.len()), (20, 2));
    assert_eq!((summary.quality.tls_left_out_reports, summary.quality.tls_unverified_reports), (2, 1));
}

#[test]
fn a_cause_is_news_only_against_reports_that_did_not_have_it() {
    let of = |day: &str| row(day, "A", ("sts", "example.com"), (10, 2));
    let bad = |day: &str| failing(of(day), "certificate-expired", "mx.example.com", 2);
    let told = |rows: &[TlsPolicyRow]| {
        let tls = summary(rows, Question::default()).tls;
        let cause = &tls[0].causes[0];
        (cause.new, cause.first_seen.unwrap().to_string(), cause.failed_before)
    };
    assert_eq!(told(&[bad("2026-11-18")]), (false, "2026-11-18".into(), 0), "nothing earlier is known");
    assert_eq!(told(&[of("2026-11-12"), bad("2026-11-18")]), (true, "2026-11-18".into(), 0));
    assert_eq!(told(&[of("2026-10-12"), bad("2026-11-12"), bad("2026-11-18")]), (false, "2026-11-12".into(), 2));
    assert_eq!(told(&[bad("2026-10-12"), bad("2026-11-18")]), (false, "2026-10-12".into(), 0));
}

#[test]
fn missing_and_huge_counts_do_not_overflow_and_odd_names_stay_separate() {
    let mut odd = row("2026-11-16", "A", ("sts", "example.com"), (i64::MAX, i64::MAX));
    odd.policy.failures = vec![
        TlsFailure { result_type: None, failed_sessions: None, ..TlsFailure::default() },
        TlsFailure {
            result_type: Some("quantum-handshake-lost".into()),
            failed_sessions: Some(-5),
            ..TlsFailure::default()
        },
    ];
    let mut none = row("2026-11-16", "A", ("sts", "example.com"), (0, 0));
    (none.policy.successful_sessions, none.policy.failed_sessions) = (None, None);
    let rows = [odd.clone(), odd.clone(), odd, none];
    let tls = summary(&rows, Question::default()).tls;
    assert_eq!(tls[0].successful_sessions, 3 * i64::MAX.unsigned_abs().min(u64::MAX / 3));
    let causes: Vec<_> = tls[0].causes.iter().map(|cause| (cause.result_type.clone(), cause.failed_sessions)).collect();
    assert_eq!(causes, [(None, 0), (Some("quantum-handshake-lost".into()), 0)]);
}

#[test]
fn a_change_in_dns_explains_only_what_it_is_about() {
    let at = |day: &str| format!("{day}T06:00:00Z").parse().unwrap();
    let span = |name: &str, record_type, text: &str, first: &str, ended: Option<&str>| DnsSpan {
        name: name.into(),
        record_type,
        value: DnsValue { meaning: text.into(), text: text.into() },
        first_seen: at(first),
        last_seen: at(ended.unwrap_or("2026-11-22")),
        ended: ended.map(at),
    };
    let (sts, tlsa) = ("mta-sts.example.com", "_25._tcp.mx.example.com");
    let spans = vec![
        span(sts, RecordType::StsPolicy, "version: STSv1; mode: enforce", "2026-10-01", Some("2026-11-17")),
        span(sts, RecordType::StsPolicy, "hello", "2026-11-17", None),
        span(tlsa, RecordType::Tlsa, "3 1 1 ab", "2026-10-01", Some("2026-11-18")),
        span(tlsa, RecordType::Tlsa, "3 1 1 cd", "2026-11-18", None),
    ];
    let watch = |name: &str, record_type| WatchedName {
        domain: "example.com".into(),
        name: name.into(),
        record_type,
        since: at("2026-10-01"),
    };
    let watched = [watch(sts, RecordType::StsPolicy), watch(tlsa, RecordType::Tlsa)];
    let question = Question { dns: Arc::new(DnsHistory::new(spans, &watched)), ..Question::default() };
    let explained = |kind: &str, result: &str, day: &str, host: &str| {
        let rows = [
            row("2026-11-10", "A", (kind, "example.com"), (90, 0)),
            failing(row(day, "A", (kind, "example.com"), (90, 3)), result, host, 3),
        ];
        let tls = summary(&rows, question.clone()).tls;
        tls[0].causes[0].explained_by.as_ref().map(|change| (change.record_type, change.day.to_string()))
    };
    let mx = "mx.example.com";
    assert_eq!(explained("sts", "sts-policy-invalid", "2026-11-18", mx), Some(("MTA-STS", "2026-11-17".into())));
    assert_eq!(explained("tlsa", "tlsa-invalid", "2026-11-18", mx), Some(("TLSA", "2026-11-18".into())));
    assert_eq!(explained("tlsa", "tlsa-invalid", "2026-11-17", mx), None, "it came later");
    assert_eq!(explained("tlsa", "tlsa-invalid", "2026-11-22", mx), None, "it came long before");
    assert_eq!(explained("tlsa", "tlsa-invalid", "2026-11-18", "mx2.example.com"), None, "another host");
    assert_eq!(explained("sts", "certificate-expired", "2026-11-18", mx), None, "no record makes a certificate expire");
}
