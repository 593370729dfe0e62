//! Properties of the whole stage: both parsers agree, parsing what was printed gives it back, limits hold, nothing
//! panics.

use super::fuzzing::{Kept, Report, ways_agree, whole};
use super::*;
use crate::model::FindingCode;
use proptest::prelude::*;
use std::borrow::Cow;

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
fn the_plain_way_reads_the_usual_shapes() {
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
fn absent_and_empty_elements_stay_apart() {
    let record = &only("<feedback><record><row><count/></row></record></feedback>").1[0];
    assert_eq!((record.count.as_deref(), record.source_ip.as_deref()), (Some(""), None));
    assert!(!record.has_auth_results && !record.has_identifiers);
}

#[test]
fn of_an_element_that_stands_twice_the_first_holds_with_a_finding() {
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
fn documents_in_one_file_each_count_and_it_is_said_once() {
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
fn both_ways_count_the_depth_of_a_value_alike() {
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

/// Text as a parser gives it: trimmed, without what XML forbids.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9.]{0,12}".prop_map(|text| text),
        "[ -~]{0,20}".prop_map(|text| text.trim().to_owned()),
        r"[ -~\u{a0}-\u{2ff}\n\t<>&'\u{1f600}]{0,20}".prop_map(|text| text.trim().to_owned()),
    ]
}

fn maybe() -> impl Strategy<Value = Value<'static>> {
    proptest::option::of(value().prop_map(Cow::Owned))
}

prop_compose! {
    fn raw_record()(
        values in proptest::collection::vec(maybe(), 8),
        reasons in proptest::collection::vec((maybe(), maybe()), 0..3),
        dkim in proptest::collection::vec((maybe(), maybe(), maybe(), value()), 0..3),
        spf in proptest::collection::vec((maybe(), maybe(), maybe(), value()), 0..3),
    ) -> RawRecord<'static> {
        let [source_ip, count, disposition, evaluated_dkim, evaluated_spf, header_from, envelope_from, envelope_to] =
            values.try_into().expect("eight");
        RawRecord {
            number: 0,
            source_ip, count, disposition, evaluated_dkim, evaluated_spf,
            reasons: reasons.into_iter().map(|(kind, comment)| RawReason { kind, comment, bare: None }).collect(),
            has_identifiers: true,
            header_from, envelope_from, envelope_to,
            has_auth_results: true,
            dkim: dkim.into_iter().map(|(domain, selector, result, human)| RawDkim {
                domain, selector, result, human_result: Some(Cow::Owned(human)),
            }).collect(),
            spf: spf.into_iter().map(|(domain, scope, result, human)| RawSpf {
                domain, scope, result, human_result: Some(Cow::Owned(human)),
            }).collect(),
        }
    }
}

prop_compose! {
    fn raw_report()(
        values in proptest::collection::vec(maybe(), 8),
        tags in proptest::collection::vec(maybe(), 10),
        errors in proptest::collection::vec(value().prop_map(Cow::Owned), 0..3),
    ) -> RawReport<'static> {
        let [version, org_name, email, extra_contact_info, report_id, begin, end, generator] =
            values.try_into().expect("eight");
        let [domain, p, sp, np, adkim, aspf, pct, fo, testing, discovery_method] = tags.try_into().expect("ten");
        RawReport {
            version,
            metadata: Some(RawMetadata {
                org_name, email, extra_contact_info, report_id, begin, end, errors, generator,
            }),
            policy: Some(RawPolicy { domain, p, sp, np, adkim, aspf, pct, fo, testing, discovery_method }),
            records: 0,
        }
    }
}

/// Writes reports as reporters do.
struct Printer {
    out: String,
    space: &'static str,
    cdata: bool,
}

impl Printer {
    fn within(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.out.extend([self.space, "<", name, ">"]);
        inside(self);
        self.out.extend([self.space, "</", name, ">"]);
    }

    fn value(&mut self, name: &str, value: &Value<'_>) {
        let Some(text) = value else { return };
        let text = match (&**text, self.cdata) {
            ("", _) => return self.out.extend([self.space, "<", name, "/>"]),
            (text, true) if !text.contains("]]>") => format!("<![CDATA[{text}]]>"),
            (text, _) => text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&#39;"),
        };
        self.out.extend([self.space, "<", name, ">", &text, "</", name, ">"]);
    }

    fn report(&mut self, report: &RawReport<'_>, records: &[RawRecord<'_>]) {
        self.out += "<?xml version=\"1.0\"?>";
        self.within("feedback", |out| {
            out.value("version", &report.version);
            let metadata = report.metadata.as_ref().expect("metadata");
            out.within("report_metadata", |out| {
                out.value("org_name", &metadata.org_name);
                out.value("email", &metadata.email);
                out.value("extra_contact_info", &metadata.extra_contact_info);
                out.value("report_id", &metadata.report_id);
                out.within("date_range", |out| {
                    out.value("begin", &metadata.begin);
                    out.value("end", &metadata.end);
                });
                for error in &metadata.errors {
                    out.value("error", &Some(error.clone()));
                }
                out.value("generator", &metadata.generator);
            });
            let policy = report.policy.as_ref().expect("a policy");
            out.within("policy_published", |out| {
                out.value("domain", &policy.domain);
                out.value("p", &policy.p);
                out.value("sp", &policy.sp);
                out.value("np", &policy.np);
                out.value("adkim", &policy.adkim);
                out.value("aspf", &policy.aspf);
                out.value("pct", &policy.pct);
                out.value("fo", &policy.fo);
                out.value("testing", &policy.testing);
                out.value("discovery_method", &policy.discovery_method);
            });
            for record in records {
                out.within("record", |out| out.record(record));
            }
        });
    }

    fn record(&mut self, record: &RawRecord<'_>) {
        self.within("row", |out| {
            out.value("source_ip", &record.source_ip);
            out.value("count", &record.count);
            out.within("policy_evaluated", |out| {
                out.value("disposition", &record.disposition);
                out.value("dkim", &record.evaluated_dkim);
                out.value("spf", &record.evaluated_spf);
                for reason in &record.reasons {
                    out.within("reason", |out| {
                        out.value("type", &reason.kind);
                        out.value("comment", &reason.comment);
                    });
                }
            });
        });
        self.within("identifiers", |out| {
            out.value("header_from", &record.header_from);
            out.value("envelope_from", &record.envelope_from);
            out.value("envelope_to", &record.envelope_to);
        });
        self.within("auth_results", |out| {
            for dkim in &record.dkim {
                out.within("dkim", |out| {
                    out.value("domain", &dkim.domain);
                    out.value("selector", &dkim.selector);
                    out.value("result", &dkim.result);
                    out.value("human_result", &dkim.human_result);
                });
            }
            for spf in &record.spf {
                out.within("spf", |out| {
                    out.value("domain", &spf.domain);
                    out.value("scope", &spf.scope);
                    out.value("result", &spf.result);
                    out.value("human_result", &spf.human_result);
                });
            }
        });
    }
}

/// Pieces with a meaning for a parser.
const PIECES: &[&str] = &[
    "<",
    ">",
    "</",
    "/>",
    "&",
    ";",
    "'",
    "\"",
    "&amp;",
    "&#10;",
    "&#x41;",
    "&#0;",
    "&nbsp;",
    "<!-- - -->",
    "<![CDATA[",
    "]]>",
    "<?a?>",
    "\r",
    "\r\n",
    "\t",
    " ",
    "\0",
    "\u{feff}",
    "\u{85}",
    "é",
    "<a>",
    "</a>",
    "<a/>",
    "<row>",
    "</row>",
    "<feedback>",
    "</feedback>",
    "<count>",
    "</count>",
    "<x:count >",
    "</count >",
    "<COUNT>",
    "<record a='>'>",
    "<reason>",
    "<!DOCTYPE feedback>",
    "<a b=c/d>",
];

/// A sample with some pieces inserted and some bytes removed.
fn mutated() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0..3_usize, proptest::sample::select(PIECES));
    proptest::collection::vec(edit, 0..4).prop_map(|edits| {
        edits.into_iter().fold(sample(), |text, (at, out, piece)| {
            let characters: Vec<char> = text.chars().collect();
            let at = at.index(characters.len());
            let end = (at + out).min(characters.len());
            characters[..at].iter().copied().chain(piece.chars()).chain(characters[end..].iter().copied()).collect()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn print_then_parse_is_the_identity(
        mut report in raw_report(),
        mut records in proptest::collection::vec(raw_record(), 0..4),
        space in proptest::sample::select(&["", "\n  ", "\t\r\n"][..]),
        cdata: bool,
    ) {
        report.records = u32::try_from(records.len()).expect("few");
        records.iter_mut().zip(1..).for_each(|(record, number)| record.number = number);
        let mut printer = Printer { out: String::new(), space, cdata };
        printer.report(&report, &records);
        let (read, kept, _, findings) = only(&printer.out);
        prop_assert_eq!(read, report);
        prop_assert_eq!(kept, records);
        prop_assert_eq!(findings, vec![]);
        if !cdata {
            prop_assert!(ways_agree(&printer.out, &Limits::default()) || printer.out.contains('\r'));
        }
    }

    #[test]
    fn both_ways_agree_on_mutated_samples(text in mutated()) {
        ways_agree(&text, &Limits::default());
        ways_agree(&text, &Limits { text_bytes: 12, element_depth: 5, records: 1, results: 1, ..Limits::default() });
    }

    #[test]
    fn both_ways_agree_on_pieces(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..24)) {
        ways_agree(&format!("<feedback>{}</feedback>", pieces.concat()), &Limits::default());
        ways_agree(&pieces.concat(), &Limits::default());
    }

    #[test]
    fn no_bytes_panic_and_limits_hold(bytes in proptest::collection::vec(any::<u8>(), 0..512), text in mutated()) {
        fuzzing::xml(&bytes);
        fuzzing::xml(text.as_bytes());
    }
}

/// Runs over any folder: `DMARQUET_FILES=... cargo test --lib -- --ignored both_ways_agree_on_files`.
#[test]
#[ignore = "reads the folder that DMARQUET_FILES names"]
fn both_ways_agree_on_files() {
    let mut folders = vec![std::path::PathBuf::from(std::env::var_os("DMARQUET_FILES").expect("a folder"))];
    let (mut files, mut agreed) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).expect("a file");
            agreed += usize::from(ways_agree(&decode(&bytes).text, &Limits::default()));
        }
    }
    println!("{agreed} of {files} files go the plain way");
}
