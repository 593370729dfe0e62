//! Runs `tests/dns/proposals.zones` over a table, and checks each proposed record as if it were published.

use super::spf::is_spf_text;
use crate::dns::dmarc;
use crate::dns::finding::{CheckFinding, Severity};
use crate::dns::lookup::answer::{Data, Lookup, Mx, QueryType};
use crate::dns::lookup::overlay::Overlay;
use crate::dns::lookup::test_zone::Zone;
use crate::dns::posture::domain::{self, Posture, Request};
use crate::dns::seen::{Observed, SeenSource};
use crate::dns::spf::{self, CheckHostResult, SpfInput};
use jiff::civil::date;
use std::collections::BTreeSet;

const GOOD: &str = "example.com MX 10 mx.example.com
    mx.example.com A 192.0.2.25
    192.0.2.25 PTR mx.example.com
    example.com TXT v=spf1 mx -all
    _dmarc.example.com TXT v=DMARC1; p=reject; rua=mailto:dmarc@example.com
    s1._domainkey.example.com TXT v=DKIM1; k=ed25519; p=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

struct Case {
    title: String,
    domain: String,
    zone: String,
    seen: Observed,
    proposed: BTreeSet<String>,
    said: Vec<(String, String)>,
}

fn cases() -> Vec<Case> {
    let text = include_str!("../../../tests/dns/proposals.zones");
    text.split("\n== ").skip(1).map(case).collect()
}

fn case(text: &str) -> Case {
    let (title, body) = text.split_once('\n').unwrap_or((text, ""));
    let mut case = Case {
        title: title.into(),
        domain: "example.com".into(),
        zone: String::new(),
        seen: Observed { today: date(2026, 11, 25), ..Observed::default() },
        proposed: BTreeSet::new(),
        said: Vec::new(),
    };
    let mut replaced = Vec::new();
    for line in body.lines().filter(|line| !line.is_empty()) {
        if let Some(record) = line.strip_prefix("= ") {
            case.proposed.insert(record.into());
        } else if let Some(said) = line.strip_prefix("! ") {
            let (code, words) = said.split_once(' ').unwrap();
            case.said.push((code.into(), words.into()));
        } else if let Some(source) = line.strip_prefix("> ") {
            case.seen.sources.push(source_of(source));
        } else if let Some(domain) = line.strip_prefix("domain ") {
            case.domain = domain.into();
        } else {
            let words: Vec<&str> = line.split(' ').collect();
            replaced.push((words[0].to_owned(), words[1].to_owned()));
            if words[1] != "NONE" {
                case.zone.extend([line, "\n"]);
            }
        }
    }
    for line in GOOD.lines().map(str::trim) {
        let words: Vec<&str> = line.split(' ').collect();
        if !replaced.iter().any(|(name, kind)| name == words[0] && (kind == words[1] || kind == "NONE")) {
            case.zone.extend([line, "\n"]);
        }
    }
    case
}

fn source_of(line: &str) -> SeenSource {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |at: usize| words[at].parse().unwrap();
    SeenSource {
        address: words[0].parse().unwrap(),
        messages: number(1),
        dmarc_pass: number(2),
        spf_aligned: number(3),
        spf_domain: Some("example.com".into()),
        last: date(2026, 11, 20),
    }
}

fn checked(case: &Case, lookup: &dyn Lookup) -> Posture {
    let selectors = if case.domain == "example.com" { vec!["s1".into()] } else { Vec::new() };
    let request = Request { domain: case.domain.clone(), selectors, ip: None };
    domain::check(&request, lookup, &case.seen)
}

#[test]
fn each_zone_gets_the_records_that_stand_beside_it_and_no_other() {
    let mut wrong = Vec::new();
    for case in cases() {
        let posture = checked(&case, &Zone::new(&case.zone));
        let proposed: BTreeSet<String> = posture
            .findings
            .iter()
            .filter_map(|finding| finding.publish.as_deref())
            .flat_map(|records| records.lines().map(str::to_owned))
            .collect();
        if proposed != case.proposed {
            wrong.push(format!("{}: proposes {proposed:#?}\n{:#?}", case.title, posture.findings));
        }
        for (code, words) in &case.said {
            let says = |finding: &&CheckFinding| {
                finding.code.name == code && format!("{} {}", finding.text, finding.details.join(" ")).contains(words)
            };
            if !posture.findings.iter().any(|finding| says(&finding)) {
                wrong.push(format!("{}: {code} does not say {words:?}: {:#?}", case.title, posture.findings));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_proposed_record_has_a_fault_or_loses_a_source() {
    let mut proposals = 0;
    for case in cases() {
        let zone = Zone::new(&case.zone);
        let before = checked(&case, &zone);
        for finding in before.findings.iter().filter(|finding| finding.publish.is_some()) {
            proposals += 1;
            let records = finding.publish.as_deref().unwrap();
            let (overlay, place) = published(&zone, records);
            let after = checked(&case, &overlay);
            let context = format!("{}: {records}", case.title);
            let fault = after.findings.iter().find(|after| {
                after.severity == Severity::Fault && !before.findings.iter().any(|known| known.text == after.text)
            });
            assert_eq!(fault, None, "{context} brings a fault");
            let same = after.findings.iter().find(|after| after.code == finding.code && after.place == finding.place);
            assert_eq!(same, None, "{context} does not repair what it is proposed for");
            assert!(after.unknown.is_empty(), "{context}");
            for source in &case.seen.sources {
                let passes = |lookup: &dyn Lookup| {
                    let sender = format!("postmaster@{}", case.domain);
                    let mail = SpfInput { ip: source.address, sender: &sender, helo: &case.domain };
                    spf::check_host(lookup, &case.domain, &mail).result == CheckHostResult::Pass
                };
                let is_named = finding.details.iter().any(|detail| detail.contains(&source.address.to_string()));
                assert!(passes(&overlay) || !passes(&zone) || is_named, "{context} loses {}", source.address);
            }
            assert!(place.contains(' '));
        }
    }
    assert!(proposals >= 20, "{proposals}");
}

/// DNS as if the records of a proposal were published.
fn published<'a>(zone: &'a Zone, records: &str) -> (Overlay<'a>, String) {
    let (name, data) = records.split_once(". ").unwrap();
    if let Some(text) = data.strip_prefix("TXT ") {
        let text = text[1..text.len() - 1].replace("\" \"", "").replace("\\\"", "\"").replace("\\\\", "\\");
        let overlay = if name.starts_with("_dmarc.") {
            Overlay::txt(zone, name, &text, dmarc::looks_like_dmarc)
        } else if name.contains('_') {
            Overlay::txt(zone, name, &text, |_| true)
        } else {
            Overlay::txt(zone, name, &text, is_spf_text)
        };
        return (overlay, format!("{name} TXT"));
    }
    let new: Vec<Mx> = records
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            Mx { preference: words[2].parse().unwrap(), host: words[3].trim_end_matches('.').into() }
        })
        .collect();
    let others = zone.mx(name).found().unwrap_or_default().into_iter().filter(|mx| mx.preference != new[0].preference);
    let all = others.chain(new.clone()).map(Data::Mx).collect();
    (Overlay::new(zone, name, QueryType::Mx, all), format!("{name} MX"))
}
