//! `check` against NSD and Unbound: each domain of `tests/dns/example.zone` has the findings that the zone file names,
//! and no other, and the program exits with the right code.

use crate::dns_servers::Servers;
use crate::workdir::WorkDir;
use dmarquet::dns::finding::{CheckFinding, Severity};
use dmarquet::dns::lookup::answer::{Data, Mx, QueryType};
use dmarquet::dns::lookup::overlay::Overlay;
use dmarquet::dns::lookup::resolver::{Resolver, ResolverOptions};
use dmarquet::dns::posture::domain;
use dmarquet::dns::posture::domain::{Posture, Request};
use dmarquet::dns::seen::Observed;
use std::net::IpAddr;

const ZONE: &str = include_str!("../../dns/example.zone");

/// Names for a few of the addresses, so that the reverse zone is served, too.
const REVERSE: &str = "$TTL 300\n@ SOA ns.example. hostmaster.example. 1 3600 600 86400 60\n@ NS ns.example.\n25 PTR mx.example.\n26 PTR nowhere.example.\n";

fn servers() -> Option<Servers> {
    Servers::start(&[("example", ZONE), ("2.0.192.in-addr.arpa", REVERSE)])
}

/// `; expect DOMAIN: CODE... | ip ADDRESS RESULT`.
fn expected() -> Vec<(String, Vec<String>, Option<(IpAddr, String)>)> {
    let line = |line: &str| {
        let (domain, rest) = line.strip_prefix("; expect ")?.split_once(": ")?;
        let (codes, ip) = rest.split_once(" | ").map_or((rest, None), |(codes, ip)| (codes, Some(ip)));
        let mut codes: Vec<String> =
            codes.split_whitespace().filter(|code| *code != "nothing").map(str::to_owned).collect();
        codes.sort();
        let ip = ip.map(|ip| {
            let words: Vec<&str> = ip.split_whitespace().collect();
            (words[1].parse().expect(ip), words[2].to_owned())
        });
        Some((domain.to_owned(), codes, ip))
    };
    ZONE.lines().filter_map(line).collect()
}

#[test]
fn each_domain_has_its_findings_and_no_other() {
    let Some(servers) = servers() else { return };
    let resolver = Resolver::new(&ResolverOptions { servers: vec![servers.resolver], ..ResolverOptions::default() })
        .expect("a resolver");
    let expected = expected();
    assert!(expected.len() >= 60, "{}", expected.len());
    let (mut wrong, mut proposals) = (Vec::new(), 0);
    for (domain, codes, ip) in expected {
        let request = Request {
            domain: domain.clone(),
            selectors: vec!["s1".into()],
            ip: ip.as_ref().map(|(address, _)| *address),
        };
        let posture = domain::check(&request, &resolver, &Observed::default());
        for finding in posture.findings.iter().filter(|finding| finding.publish.is_some()) {
            proposals += 1;
            wrong.extend(judged(&request, &resolver, finding, &posture).map(|why| format!("{domain}: {why}")));
        }
        let mut found: Vec<String> = posture.findings.iter().map(|finding| finding.code.name.to_owned()).collect();
        found.sort();
        found.dedup();
        if found != codes || !posture.unknown.is_empty() {
            wrong.push(format!("{domain}: expected {codes:?}, found {:#?} {:?}", posture.findings, posture.unknown));
        }
        if let (Some((_, result)), Some(asked)) = (ip, posture.ip)
            && asked.evaluation.result.as_str() != result
        {
            wrong.push(format!("{domain}: expected SPF {result}, found {asked:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
    assert!(proposals >= 20, "{proposals}");
}

/// What `check` finds about a proposed record after it replaced the old one.
fn judged(request: &Request, resolver: &Resolver, finding: &CheckFinding, before: &Posture) -> Option<String> {
    let record = finding.publish.as_deref()?;
    let (name, data) = record.split_once(". ")?;
    let overlay = if let Some(strings) = data.strip_prefix("TXT ") {
        let text = strings.trim_matches('"').replace("\" \"", "").replace("\\\"", "\"");
        Overlay::txt(resolver, name, &text, |old| {
            let standard = if name.starts_with("_dmarc.") { "dmarc" } else { "spf" };
            name.contains("._domainkey.") || old.to_ascii_lowercase().contains(standard)
        })
    } else {
        let words: Vec<&str> = data.split(' ').collect();
        let mx = Mx { preference: words[1].parse().expect(record), host: words[2].trim_end_matches('.').into() };
        Overlay::new(resolver, name, QueryType::Mx, vec![Data::Mx(mx)])
    };
    let after = domain::check(request, &overlay, &Observed::default());
    let remains = after.findings.iter().find(|after| {
        let is_new = !before.findings.iter().any(|known| known.code == after.code && known.place == after.place);
        (after.severity == Severity::Fault && is_new) || (after.code == finding.code && after.place == finding.place)
    });
    remains.map(|remains| format!("{record}: {remains:?}"))
}

#[test]
fn text_json_and_exit_code_agree() {
    let Some(servers) = servers() else { return };
    let work = WorkDir::new();
    let server = servers.resolver.to_string();
    let check = |more: &[&str]| work.run([&["check", "--server", &server, "--selector", "s1"], more].concat());

    let good = check(&["good.example", "--ip", "192.0.2.25"]).quiet();
    assert!(good.contains("No problems found.") && good.contains("192.0.2.25: pass by mx (good.example)"), "{good}");

    let fault = check(&["dmarc-typo.example"]);
    assert_eq!((fault.code, fault.stderr.as_str()), (Some(1), ""));
    assert!(
        fault.stdout.contains(
            "Publish:\n      _dmarc.dmarc-typo.example. TXT \"v=DMARC1; p=reject; rua=mailto:dmarc@dmarc-typo.example\""
        ),
        "{}",
        fault.stdout
    );

    let json = check(&["dmarc-none.example", "--format", "json"]);
    assert_eq!(json.code, Some(0), "advice is no fault");
    let value = json.json();
    assert_eq!(value["domain"], "dmarc-none.example");
    assert_eq!(value["findings"][0]["code"], "dmarc.p_none");
    assert_eq!(value["findings"][0]["severity"], "advice");
    assert!(value["findings"][0]["where"].is_string() && value["findings"][0]["text"].is_string());

    let asked = check(&["good.example", "--ip", "192.0.2.25", "--format", "json"]).json();
    assert_eq!((&asked["ip"]["address"], &asked["ip"]["result"]), (&"192.0.2.25".into(), &"pass".into()), "{asked}");
    let mistyped = check(&["goood.example"]);
    assert_eq!(mistyped.code, Some(1));
    assert!(mistyped.stdout.starts_with("goood.example\nDNS has no such name. "), "{}", mistyped.stdout);
    assert!(mistyped.stdout.contains("\nSPF\n  no record\n"), "{}", mistyped.stdout);
    for wrong in ["https://good.example/", "a@good.example", "good example", "192.0.2.1", ""] {
        let done = check(&[wrong]);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{wrong}");
        assert!(done.stderr.contains("expected a domain such as example.com, found"), "{}", done.stderr);
    }
    let text = work.write("text.eml", "Shopping list\n\nmilk\n");
    let done = work.run(["check", "--server", &server, "--message", text.to_str().unwrap()]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{done:?}");
    assert!(done.stderr.contains("expected a mail with a header, found something else"), "{done:?}");

    let dead = work.run(["check", "--server", "127.0.0.1:9", "good.example"]);
    assert_eq!(dead.code, Some(2));
    assert!(
        dead.stdout.starts_with("good.example\nCould not check everything: ") && !dead.stdout.contains("dmarc.missing"),
        "{}",
        dead.stdout
    );
    assert!(!dead.stdout.contains("no record") && !dead.stdout.contains("no such name"), "{}", dead.stdout);
}
