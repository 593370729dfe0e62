//! Properties of the whole stage: both parsers agree, parsing what was printed gives it back, limits hold, nothing
//! panics.

mod json;
mod properties;
mod tls;

use super::fuzzing::{Kept, Report, ways_agree, whole};
use super::*;
use crate::model::FindingCode;

fn read(text: &str) -> Vec<Result<Report<'_>, String>> {
    documents(text, &Limits::default(), Kept::default).into_iter().map(whole).collect()
}

fn only(text: &str) -> Report<'_> {
    let mut all = read(text);
    assert_eq!(all.len(), 1);
    all.remove(0).expect("a report")
}

fn codes(text: &str) -> Vec<FindingCode> {
    only(text).3.iter().map(|finding| finding.code).collect()
}

fn reason(text: &str) -> String {
    read(text).remove(0).expect_err("no report")
}

/// A report in one of the usual XML layouts.
fn sample() -> String {
    let record = |number: u32| {
        format!(
            "  <record>\n    <row><source_ip>192.0.2.{number}</source_ip><count>{number}</count><policy_evaluated>\
             <disposition>none</disposition><dkim>pass</dkim><spf>fail</spf><reason><type>other</type>\
             <comment>it&apos;s &#233; &amp; more</comment></reason></policy_evaluated></row>\n    <identifiers>\
             <header_from>example.com</header_from><envelope_from/></identifiers>\t\n    <auth_results><dkim>\
             <domain>example.com</domain><selector>s1</selector><result>pass</result><human_result></human_result>\
             </dkim><spf><domain>example.org</domain><scope>mfrom</scope><result>fail</result></spf></auth_results>\
             \n  </record>\n"
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<feedback xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n\
         <version>1.0</version><report_metadata><org_name>receiver.example.net</org_name><email>a@example.net</email>\
         <extra_contact_info lang='en'>https://example.net/?a=1&amp;b=2</extra_contact_info><report_id>r-1</report_id>\
         <date_range><begin>1772496000</begin><end>1772582399</end></date_range></report_metadata><policy_published>\
         <domain>example.com</domain><adkim>r</adkim><p>none</p><sp></sp><rf>afrf</rf><pct>100</pct>\
         </policy_published><extension><a:b xmlns:a='x'><c/></a:b></extension>\n{}{}</feedback>\n",
        record(1),
        record(2)
    )
}

#[test]
fn the_plain_parser_reads_the_usual_documents() {
    assert!(ways_agree(&sample(), &Limits::default()));
    assert!(ways_agree(&sample().replace('\n', "\r\n"), &Limits::default()));
    assert_eq!(only(&sample()).1.len(), 2);
    assert_eq!(codes(&sample()), []);
}

#[test]
fn order_case_prefix_and_unknown_elements_change_nothing() {
    let (report, records, _, findings) = only(
        "<d:feedback xmlns:d='urn:ietf:params:xml:ns:dmarc-2.0'><d:record><d:later><d:count>9</d:count></d:later>\
         <d:identities><d:Header_From>example.com</d:Header_From></d:identities><d:row><d:count>3</d:count></d:row>\
         </d:record><d:policy_published><d:np>none</d:np><d:t>y</d:t></d:policy_published></d:feedback>",
    );
    assert_eq!(records[0].count.as_deref(), Some("3"));
    assert_eq!(records[0].header_from.as_deref(), Some("example.com"));
    let policy = report.policy.expect("a policy");
    assert_eq!((policy.np.as_deref(), policy.testing.as_deref()), (Some("none"), Some("y")));
    assert_eq!(findings, []);
}

#[test]
fn text_is_joined_over_comments_sections_and_entities() {
    let text = "<feedback><report_metadata><org_name> a<!-- x -->b<![CDATA[<c>&amp;]]>&lt;&#x64;<i>no</i>e \n</org_name>\
                <email><![CDATA[ ]]></email></report_metadata></feedback>";
    let metadata = only(text).0.metadata.expect("metadata");
    assert_eq!(metadata.org_name.as_deref(), Some("ab<c>&amp;<de"));
    assert_eq!(metadata.email.as_deref(), Some(""));
    assert_eq!(codes(text), []);
}

#[test]
fn absent_and_empty_elements_are_distinguished() {
    let record = &only("<feedback><record><row><count/></row></record></feedback>").1[0];
    assert_eq!((record.count.as_deref(), record.source_ip.as_deref()), (Some(""), None));
    assert!(!record.has_auth_results && !record.has_identifiers);
}

#[test]
fn the_first_of_a_repeated_element_counts_with_a_finding() {
    let text =
        "<feedback><record><row><count>1</count><count>2</count></row><row><count>3</count></row></record></feedback>";
    assert_eq!(only(text).1[0].count.as_deref(), Some("1"));
    assert_eq!(codes(text), [FindingCode::XML_REPEATED, FindingCode::XML_REPEATED]);
}

#[test]
fn entities_xml_does_not_know_are_kept_as_written_with_a_finding() {
    let text =
        "<feedback><report_metadata><org_name>Caf&eacute; &AMP; R&D &amp co</org_name></report_metadata></feedback>";
    let metadata = only(text).0.metadata.expect("metadata");
    assert_eq!(metadata.org_name.as_deref(), Some("Caf&eacute; &AMP; R&D &amp co"));
    assert_eq!(codes(text), [FindingCode::XML_ENTITY, FindingCode::XML_UNESCAPED]);
}

#[test]
fn characters_xml_forbids_are_replaced_with_a_finding() {
    for bad in ["\u{1b}", "\0", "&#27;", "&#0;", "&#xD800;", "&#99999999999;"] {
        let text = format!("<feedback><version>a{bad}b\rc</version></feedback>");
        assert_eq!(only(&text).0.version.as_deref(), Some("a\u{fffd}b\nc"), "{bad:?}");
        assert_eq!(codes(&text), [FindingCode::TEXT_CONTROL]);
    }
}

#[test]
fn text_past_the_limit_is_cut_at_a_character_with_a_finding() {
    let limits = Limits { text_bytes: 8, ..Limits::default() };
    for (written, kept, findings) in [
        ("12345678", "12345678", 0),
        ("  12345678  ", "12345678", 0),
        ("123456789", "12345678", 1),
        ("1234567é", "1234567", 1),
    ] {
        let text = format!("<feedback><version>{written}</version></feedback>");
        let mut all = documents(&text, &limits, Kept::default);
        let (report, _, _, found) = whole(all.remove(0)).expect("a report");
        assert_eq!((report.version.as_deref(), found.len()), (Some(kept), findings), "{written}");
    }
}

#[test]
fn a_cut_document_is_rejected_whole() {
    let sample = sample();
    let end = sample.rfind("</feedback>").expect("an end");
    for cut in (sample.find("<feedback").expect("a start") + "<feedback>".len()..end)
        .filter(|cut| sample.is_char_boundary(*cut))
    {
        for reason in read(&sample[..cut]).into_iter().map(|read| read.expect_err("cut")) {
            assert!(reason == UNEXPECTED_END, "{reason} at {cut}");
        }
    }
}

#[test]
fn documents_in_one_file_each_count_with_one_finding() {
    let all = read("<?xml version='1.0'?><feedback><version>1</version></feedback>\n<?xml version='1.0'?><feedback/>");
    let all: Vec<_> = all.into_iter().map(|read| read.expect("a report")).collect();
    assert_eq!(all[0].0.version.as_deref(), Some("1"));
    assert_eq!(all[0].3.iter().map(|finding| finding.code).collect::<Vec<_>>(), [FindingCode::XML_SEVERAL]);
    assert_eq!((all.len(), all[1].3.len(), all[1].2), (2, 0, "<feedback/>"));
}

#[test]
fn a_whole_document_behind_a_cut_one_counts() {
    let all = read("<feedback><version>1</ver<?xml version='1.0'?><feedback><version>2</version></feedback>");
    assert_eq!(all[0].as_ref().expect_err("cut"), UNEXPECTED_END);
    assert_eq!(all[1].as_ref().expect("whole").0.version.as_deref(), Some("2"));
}

#[test]
fn a_document_type_is_never_followed_nor_quoted() {
    for external in ["[ <!ENTITY secret SYSTEM 'file:///etc/hostname'> ]", "SYSTEM 'https://example.com/x.dtd'"] {
        let reason = reason(&format!("<!DOCTYPE feedback {external}><feedback><version>&secret;</version></feedback>"));
        assert_eq!(reason, "a document type with an internal subset or an external id, which is never followed");
    }
    assert_eq!(codes("<!DOCTYPE feedback><feedback></feedback>"), []);
}

#[test]
fn xml_that_is_no_report_is_distinguished_from_what_is_no_xml() {
    assert!(matches!(documents("<html><b></html>", &Limits::default(), Kept::default)[..], [Document::NotReport]));
    assert_eq!(reason("unused"), "expected XML, found 6 bytes of something else");
    assert_eq!(reason(""), "expected XML, found nothing");
    assert_eq!(reason("<?xml version='1.0'?><feedb"), UNEXPECTED_END);
}

#[test]
fn records_past_the_limit_reject_the_report() {
    let limits = Limits { records: 2, ..Limits::default() };
    let report = |records: usize| format!("<feedback>{}</feedback>", "<record></record>".repeat(records));
    let (most, more) = (report(2), report(3));
    assert!(whole(documents(&most, &limits, Kept::default).remove(0)).is_ok());
    let refused = whole(documents(&more, &limits, Kept::default).remove(0));
    assert_eq!(refused.map(drop), Err("more than 2 records, which is the limit".into()));
}

#[test]
fn results_past_the_limit_are_dropped_with_a_finding() {
    let limits = Limits { results: 2, ..Limits::default() };
    let dkim = "<dkim><domain>a</domain></dkim>".repeat(5);
    let text = format!("<feedback><record><auth_results>{dkim}<dkim/></auth_results></record></feedback>");
    let (_, records, _, findings) = whole(documents(&text, &limits, Kept::default).remove(0)).expect("a report");
    assert_eq!((records[0].dkim.len(), findings.len()), (2, 3));
    assert!(findings.iter().all(|finding| finding.code == FindingCode::LIMIT_DROPPED));
}

#[test]
fn elements_past_the_depth_limit_reject_the_report() {
    let nested = |depth: usize| format!("<feedback>{}{}</feedback>", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(read(&nested(31))[0].is_ok());
    assert_eq!(reason(&nested(32)), "more than 32 elements within each other, which is the limit");
    assert_eq!(reason(&nested(100_000)), "more than 32 elements within each other, which is the limit");
}

#[test]
fn both_parsers_count_the_depth_of_a_value_alike() {
    let text = "<feedback><record><row><policy_evaluated><reason><type>other</type></reason></policy_evaluated></row></record></feedback>";
    for (element_depth, plain) in [(5, false), (6, true)] {
        assert_eq!(ways_agree(text, &Limits { element_depth, ..Limits::default() }), plain);
    }
}

#[test]
fn floods_take_time_in_proportion_to_their_bytes() {
    const N: usize = 200_000;
    let start = std::time::Instant::now();
    for piece in
        ["&lol;", "<", "<a '>", "<!--", "<![CDATA[", "</a>", "<a>", "<a/>", "&", "<?", "<a b='", "\r", "<b></c>", "</"]
    {
        for text in [piece.repeat(N), format!("<feedback><version>{}</version></feedback>", piece.repeat(N))] {
            for read in read(&text) {
                assert!(read.map_or(0, |report| report.3.len()) <= 101, "{piece}");
            }
        }
    }
    let attributes = " a='b'".repeat(N);
    assert!(read(&format!("<feedback{attributes}></feedback>"))[0].is_ok());
    assert!(start.elapsed().as_secs() < 60, "took {:?}", start.elapsed());
}
