//! Both parsers agree on any text, and read what was printed.

use super::*;
use proptest::prelude::*;
use std::borrow::Cow;

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
    fn both_parsers_agree_on_mutated_samples(text in mutated()) {
        ways_agree(&text, &Limits::default());
        ways_agree(&text, &Limits { text_bytes: 12, element_depth: 5, records: 1, results: 1, ..Limits::default() });
    }

    #[test]
    fn both_parsers_agree_on_pieces(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..24)) {
        ways_agree(&format!("<feedback>{}</feedback>", pieces.concat()), &Limits::default());
        ways_agree(&pieces.concat(), &Limits::default());
    }

    #[test]
    fn no_bytes_panic_and_limits_hold(bytes in proptest::collection::vec(any::<u8>(), 0..512), text in mutated()) {
        fuzzing::xml(&bytes);
        fuzzing::xml(text.as_bytes());
    }
}

/// Runs over any folder: `DMARQUET_FILES=... cargo test --lib -- --ignored both_parsers_agree_on_files`.
#[test]
#[ignore = "reads the folder that DMARQUET_FILES names"]
fn both_parsers_agree_on_files() {
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
