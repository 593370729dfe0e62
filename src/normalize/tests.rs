//! The rules of the whole stage: what needs no finding, what gets one, what is dropped, what is rejected.

use super::*;
use crate::model::{FindingCode, Reason, ReasonType, ReturnPath};
use jiff::Timestamp;
use proptest::prelude::*;

const METADATA: &str = "<report_metadata><org_name>receiver.example</org_name><email>a@receiver.example</email>\
                        <report_id>1</report_id><date_range><begin>1772496000</begin><end>1772582399</end></date_range>\
                        </report_metadata>";
const POLICY: &str = "<policy_published><domain>example.com</domain><p>none</p></policy_published>";

fn read(xml: &str) -> Read {
    let arrival = "2026-03-04T02:00:00Z".parse().expect("a timestamp");
    let mut all = reports(xml.as_bytes(), &Context { attachment: None, arrival }, &Limits::default());
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn report(inside: &str) -> (Report, Vec<FindingCode>) {
    match read(&format!("<feedback>{inside}</feedback>")) {
        Read::Report { report, findings } => (report, findings.iter().map(|finding| finding.code).collect()),
        other => panic!("no report: {other:?}"),
    }
}

fn reason(inside: &str) -> String {
    match read(&format!("<feedback>{inside}</feedback>")) {
        Read::Rejected { reason } => reason,
        other => panic!("not rejected: {other:?}"),
    }
}

/// A report with one row that is complete except for the given parts.
fn row(source: &str, count: &str, evaluated: &str, identifiers: &str, results: &str) -> (Report, Vec<FindingCode>) {
    report(&format!(
        "{METADATA}{POLICY}<record><row>{source}{count}<policy_evaluated>{evaluated}</policy_evaluated></row>\
         <identifiers><header_from>example.com</header_from>{identifiers}</identifiers>\
         <auth_results>{results}</auth_results></record>"
    ))
}

fn counted(source: &str, count: &str) -> (usize, Vec<FindingCode>) {
    let (report, codes) = row(&format!("<source_ip>{source}</source_ip>"), count, "", "", "");
    (report.records.len(), codes)
}

#[test]
fn a_report_that_takes_too_much_memory_is_rejected_whole() {
    let row = "<record><row><source_ip>192.0.2.7</source_ip><count>1</count></row></record>";
    let xml = format!("<feedback>{METADATA}{POLICY}{}</feedback>", row.repeat(16_000));
    let read = |text: &[u8], limits: &Limits| {
        let arrival = "2026-03-04T02:00:00Z".parse().expect("a timestamp");
        reports(text, &Context { attachment: None, arrival }, limits).remove(0)
    };
    assert!(
        matches!(read(xml.as_bytes(), &Limits::default()), Read::Report { report, .. } if report.records.len() == 16_000)
    );
    let limits = Limits { report_bytes: 4 << 20, ..Limits::default() };
    let Read::Rejected { reason } = read(xml.as_bytes(), &limits) else { panic!("16,000 rows of 300 bytes fit") };
    assert_eq!(reason, "more than 4 MiB of memory for one report, the limit is 4 MiB");

    // A byte of windows-1252 is up to three of UTF-8.
    let declaration = b"<?xml version='1.0' encoding='windows-1252'?>".as_slice();
    let text = [declaration, xml.as_bytes(), b"<!--", &vec![0x80; 1 << 20], b"-->"].concat();
    assert!(matches!(read(&text, &Limits::default()), Read::Report { .. }));
    let limits = Limits { inflated_bytes: 4 << 20, ..Limits::default() };
    let Read::Rejected { reason } = read(&text, &limits) else { panic!("3 MiB of text beside 1.2 fit into 4") };
    assert_eq!(reason, "as UTF-8: more than 4 MiB inflated, the limit is 4 MiB");
}

#[test]
fn a_count_that_is_no_number_sets_the_row_aside() {
    for count in [
        "",
        "<count/>",
        "<count>-5</count>",
        "<count>abc</count>",
        "<count>1,000</count>",
        "<count>1.0</count>",
        "<count>18446744073709551616</count>",
        "<count>9223372036854775808</count>",
    ] {
        assert_eq!(counted("192.0.2.7", count), (0, vec![FindingCode::ROW_COUNT]), "{count}");
    }
    for count in ["<count> 4\n</count>", "<count>+4</count>", "<count>0</count>", "<count>10000000000</count>"] {
        assert_eq!(counted("192.0.2.7", count), (1, vec![]), "{count}");
    }
}

#[test]
fn implausible_counts_are_kept_with_a_finding() {
    for (count, said) in [("10000000001", 1), ("9223372036854775807", 2)] {
        let (kept, codes) = counted("192.0.2.7", &format!("<count>{count}</count>"));
        assert_eq!((kept, codes), (1, vec![FindingCode::ROW_COUNT_IMPLAUSIBLE; said]), "{count}");
    }
    // Twenty plausible rows whose sum is implausible: one finding.
    let row = "<record><row><source_ip>192.0.2.7</source_ip><count>10000000000</count></row></record>".repeat(20);
    let (report, codes) = report(&format!("{METADATA}{POLICY}{row}"));
    assert_eq!(report.records.len(), 20);
    assert_eq!(codes.iter().filter(|code| **code == FindingCode::ROW_COUNT_IMPLAUSIBLE).count(), 1);
}

#[test]
fn counts_whose_sum_overflows_are_all_kept() {
    let most = "<record><row><source_ip>192.0.2.7</source_ip><count>9223372036854775807</count></row></record>";
    let (report, codes) = report(&format!("{METADATA}{POLICY}{most}{most}"));
    assert_eq!(report.records.len(), 2);
    assert!(codes.contains(&FindingCode::ROW_COUNT_IMPLAUSIBLE) && !codes.contains(&FindingCode::ROW_COUNT));
}

#[test]
fn a_row_without_source_and_messages_is_dropped_and_with_messages_kept() {
    assert_eq!(counted("", "<count>0</count>"), (0, vec![FindingCode::ROW_EMPTY]));
    assert_eq!(counted("unknown", "<count>0</count>"), (0, vec![FindingCode::ROW_EMPTY]));
    for source in ["", "unknown", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] {
        assert_eq!(counted(source, "<count>5</count>"), (1, vec![FindingCode::ROW_SOURCE]), "{source}");
    }
}

#[test]
fn a_null_return_path_and_a_missing_one_are_distinguished() {
    for (written, expected, codes) in [
        ("", ReturnPath::Unsaid, vec![]),
        ("<envelope_from/>", ReturnPath::Null, vec![]),
        ("<envelope_from>&lt;&gt;</envelope_from>", ReturnPath::Null, vec![]),
        (
            "<envelope_from>B@Example.Net.</envelope_from>",
            ReturnPath::Domain(canonical_domain("example.net").expect("a domain")),
            vec![],
        ),
        ("<envelope_from>a b</envelope_from>", ReturnPath::Unsaid, vec![FindingCode::DOMAIN_INVALID]),
    ] {
        let (report, found) = row("<source_ip>192.0.2.7</source_ip>", "<count>1</count>", "", written, "");
        assert_eq!((&report.records[0].envelope_from, found), (&expected, codes), "{written}");
    }
}

#[test]
fn reasons_come_in_every_shape() {
    let evaluated = "<reason>sampled_out</reason><reason></reason><reason><type></type><comment/></reason>\
                     <reason><type>Local_Policy</type><comment>arc=pass</comment></reason>\
                     <reason><type>sealed</type></reason><reason>by hand</reason>";
    let (report, codes) = row("<source_ip>192.0.2.7</source_ip>", "<count>1</count>", evaluated, "", "");
    let reason = |kind, comment: Option<&str>| Reason { kind, comment: comment.map(Into::into) };
    assert_eq!(
        report.records[0].reasons,
        [
            reason(Some(ReasonType::SampledOut), None),
            reason(None, None),
            reason(Some(ReasonType::Unspecified), Some("")),
            reason(Some(ReasonType::LocalPolicy), Some("arc=pass")),
            reason(Some(ReasonType::Other("sealed".into())), None),
            reason(Some(ReasonType::Unspecified), Some("by hand")),
        ]
    );
    assert_eq!(codes, [FindingCode::WORD_UNKNOWN; 4]);
}

#[test]
fn empty_free_text_and_absent_elements_are_distinguished() {
    let dkim = |text: &str| {
        let results = format!("<dkim><domain>a.example</domain><result>pass</result>{text}</dkim>");
        row("<source_ip>192.0.2.7</source_ip>", "<count>1</count>", "", "", &results).0.records[0].dkim[0].clone()
    };
    assert_eq!((dkim("").selector, dkim("").human_result), (None, None));
    let empty = dkim("<selector/><human_result></human_result>");
    assert_eq!((empty.selector.as_deref(), empty.human_result.as_deref()), (Some(""), Some("")));
}

#[test]
fn gaps_that_the_standard_forbids_are_findings() {
    let (_, codes) = report(&format!(
        "{METADATA}{POLICY}<record><row><source_ip>192.0.2.7</source_ip><count>1</count></row></record>"
    ));
    assert_eq!(codes, [FindingCode::ROW_GAP, FindingCode::ROW_GAP]);
    let results = "<dkim/><dkim><domain/><result>pass</result></dkim><spf><domain>a.example</domain></spf>";
    let (report, codes) = row("<source_ip>192.0.2.7</source_ip>", "<count>1</count>", "", "", results);
    assert_eq!((report.records[0].dkim.len(), codes), (1, vec![FindingCode::ROW_GAP, FindingCode::ROW_GAP]));
    let results = "<dkim><domain/><selector/><result></result></dkim><spf><domain></domain><result/></spf>";
    let (_, codes) = row("<source_ip>192.0.2.7</source_ip>", "<count>1</count>", "", "", results);
    assert_eq!(codes, [], "a wholly empty element is no gap");
}

#[test]
fn policy_keywords_are_kept_as_written_and_unknown_ones_are_findings() {
    let policy = "<policy_published><domain>example.com</domain><p>Reject</p><sp></sp><adkim>relaxed</adkim><pct>abc</pct>\
                  <fo>1:d</fo></policy_published>";
    let (report, codes) = report(&format!("{METADATA}{policy}"));
    let policy = report.policy;
    assert_eq!((policy.p.as_deref(), policy.sp, policy.adkim.as_deref()), (Some("reject"), None, Some("relaxed")));
    assert_eq!((policy.pct, policy.fo.as_deref(), policy.np), (None, Some("1:d"), None));
    assert_eq!(codes, [FindingCode::WORD_UNKNOWN, FindingCode::WORD_UNKNOWN]);
}

#[test]
fn a_missing_name_and_id_are_derived() {
    let metadata = "<report_metadata><org_name/><email>dmarc@Receiver.example</email><date_range><begin>1772496000</begin>\
                    <end>1772582399</end></date_range></report_metadata>";
    let (report, codes) = report(&format!("{metadata}{POLICY}"));
    assert_eq!(report.metadata.org_name, "receiver.example");
    let document = format!("<feedback>{metadata}{POLICY}</feedback>");
    assert_eq!(report.metadata.report_id, content_hash(&document).to_string()[..32]);
    assert_eq!(codes, [FindingCode::METADATA_DERIVED, FindingCode::METADATA_DERIVED]);
}

#[test]
fn a_report_without_reporter_and_domain_is_an_error() {
    assert_eq!(reason("<record/>"), "expected report_metadata and policy_published, found neither");
    assert_eq!(reason(METADATA), "policy_published/domain: expected a domain, found nothing");
    assert_eq!(reason(POLICY), "date_range/begin: expected Unix seconds, found nothing");
    let hostile = POLICY.replace("example.com", "../../tmp/x=1");
    assert_eq!(
        reason(&format!("{METADATA}{hostile}")),
        "policy_published/domain: expected a domain, found \"../../tmp/x=1\""
    );
}

#[test]
fn spelling_does_not_change_the_key() {
    let plain = format!("<feedback>{METADATA}{POLICY}</feedback>");
    let read = |xml: &str| {
        let arrival = "2026-03-04T02:00:00Z".parse().expect("a timestamp");
        let context = Context { attachment: None, arrival };
        let mut all = Vec::new();
        each_report(Cow::Borrowed(xml.as_bytes()), 0, &context, &Limits::default(), |read, document| {
            let Read::Report { report, findings } = read else { panic!("a report") };
            all.push((report.key, content_hash(document), findings));
        });
        all
    };
    let expected = read(&plain);
    for other in [format!("\u{feff}<?xml version='1.0'?>\r\n{plain}\r\n"), format!("\n{plain}")] {
        assert_eq!(read(&other), expected);
    }
    assert_eq!((expected.len(), &expected[0].2), (1, &vec![]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_panics(
        values in proptest::collection::vec("[ -~é\u{2028}]{0,12}", 12),
        digits in "[0-9]{0,20}[.]?[0-9]{0,3}",
        attachment in "[a-z0-9!.]{0,40}",
    ) {
        let values: Vec<String> = values.iter().map(|value| value.replace('&', "&amp;").replace('<', "&lt;")).collect();
        let [source, count, word, from, envelope, domain, result, scope, policy, mode, begin, reason] = &values[..] else {
            unreachable!("twelve")
        };
        let xml = format!(
            "<feedback><report_metadata><date_range><begin>{digits}</begin><end>{begin}</end></date_range></report_metadata>\
             <policy_published><domain>example.com</domain><p>{policy}</p><adkim>{mode}</adkim></policy_published>\
             <record><row><source_ip>{source}</source_ip><count>{count}</count><policy_evaluated><dkim>{word}</dkim>\
             <reason>{reason}</reason></policy_evaluated></row><identifiers><header_from>{from}</header_from>\
             <envelope_from>{envelope}</envelope_from></identifiers><auth_results><spf><domain>{domain}</domain>\
             <scope>{scope}</scope><result>{result}</result></spf></auth_results></record></feedback>"
        );
        let context = Context { attachment: Some(&attachment), arrival: Timestamp::UNIX_EPOCH };
        for read in reports(xml.as_bytes(), &context, &Limits::default()) {
            if let Read::Report { report, .. } = read {
                prop_assert!(report.metadata.begin <= report.metadata.end);
                crate::judge::judge(&report);
            }
        }
    }
}

#[test]
fn no_text_of_a_row_is_longer_than_it_can_mean() {
    let long = |number: u32| format!("{number}{}", "s".repeat(8000));
    let result = |selector: &str, word: &str| {
        format!("<dkim><domain>example.com</domain><selector>{selector}</selector><result>{word}</result></dkim>")
    };
    let results = result(&long(1), "fail") + &result(&long(2), &long(3)) + &result("short", "pass");
    let (report, codes) = row("<source_ip>192.0.2.7</source_ip>", "<count>1</count>", "", "", &results);
    let selectors: Vec<&str> = report.records[0].dkim.iter().filter_map(|dkim| dkim.selector.as_deref()).collect();
    assert_eq!(selectors.iter().map(|selector| selector.len()).collect::<Vec<_>>(), [253, 253, 5]);
    assert_ne!(selectors[0][1..], selectors[1][1..], "the hash tells them apart");
    assert_eq!(report.records[0].dkim[1].result.as_ref().map(|word| word.as_str().len()), Some(64));
    assert_eq!(codes, [FindingCode::TEXT_CUT, FindingCode::TEXT_CUT, FindingCode::WORD_UNKNOWN]);
}

#[test]
fn a_long_reporter_name_is_cut_for_storage_but_not_for_the_key() {
    let named = |last: char| {
        let name = "n".repeat(2000);
        let metadata = METADATA.replace("receiver.example<", &format!("{name}{last}<"));
        report(&format!("{metadata}{POLICY}"))
    };
    let ((one, codes), (other, _)) = (named('1'), named('2'));
    assert_eq!(one.metadata.org_name.len(), 512);
    assert!(codes.contains(&FindingCode::TEXT_CUT));
    assert_ne!(one.key, other.key);
    assert_ne!(one.metadata.org_name, other.metadata.org_name);
}
