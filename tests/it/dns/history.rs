//! The history of DNS as cron records it: `check --all`, `fetch --check`, `alert --check`, and what they report for
//! each kind of changed record.

use crate::dns_servers::Scripted;
use crate::workdir::WorkDir;
use serde_json::Value;

const CONFIG: &str = "home/.config/dmarquet/config.toml";

const KEY: &str = "v=DKIM1; k=ed25519; p=";
/// Ed25519 keys (32 bytes each).
const KEYS: [&str; 2] =
    ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI="];

/// The records of example.com, one per line: key and text. A text can be replaced by its key.
const RECORDS: [(&str, &str); 11] = [
    ("_dmarc.example.com TXT", "v=DMARC1; p=none; rua=mailto:d@rua.example.net"),
    ("example.com TXT", "v=spf1 include:_spf.example.org -all"),
    ("_spf.example.org TXT", "v=spf1 ip4:192.0.2.0/24 -all"),
    ("example.com MX", "10 mx1.example.com"),
    ("s1._domainkey.example.com TXT", "v=DKIM1; k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="),
    ("s2._domainkey.example.com CNAME", "s2.dkim.example.org"),
    ("s2.dkim.example.org TXT", "v=DKIM1; k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="),
    ("_smtp._tls.example.com TXT", "v=TLSRPTv1; rua=mailto:tls@example.com"),
    ("_mta-sts.example.com TXT", "v=STSv1; id=1"),
    ("example.com._report._dmarc.rua.example.net TXT", "v=DMARC1"),
    ("mx1.example.com A", "192.0.2.25"),
];

/// The zone with some records replaced; an empty text removes the record.
fn zone(replaced: &[(&str, &str)]) -> String {
    let text = |(key, text): &(&str, &'static str)| {
        let text = replaced.iter().find(|(other, _)| other == key).map_or(*text, |(_, text)| text);
        if text.is_empty() { String::new() } else { format!("{key} {text}\n") }
    };
    let others = "mx2.example.com A 192.0.2.26\nrua.example.net MX 10 mx1.example.com\ns2.dkim.example.net TXT v=DKIM1; \
                  k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\n";
    RECORDS.iter().map(text).collect::<String>() + others
}

/// A store with one report about example.com, signed with s1 and s2, whose settings name the domain.
struct Memory(WorkDir);

impl Memory {
    fn new() -> Self {
        let work = WorkDir::new();
        work.write(CONFIG, "domains = [\"example.com\"]\n");
        let signature = |selector| {
            format!("<dkim><domain>example.com</domain><selector>{selector}</selector><result>pass</result></dkim>")
        };
        let report = format!(
            "<feedback><report_metadata><org_name>one.example</org_name><email>d@one.example</email><report_id>1</report_id>\
             <date_range><begin>1795392000</begin><end>1795478399</end></date_range></report_metadata><policy_published>\
             <domain>example.com</domain><p>none</p></policy_published><record><row><source_ip>192.0.2.7</source_ip><count>9</count>\
             <policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>pass</spf></policy_evaluated></row><identifiers>\
             <header_from>example.com</header_from></identifiers><auth_results>{}{}<spf><domain>example.com</domain>\
             <result>pass</result></spf></auth_results></record></feedback>",
            signature("s1"),
            signature("s2")
        );
        let file = work.write("report.xml", report);
        assert_eq!(work.run(["ingest", file.to_str().unwrap()]).code, Some(0));
        Self(work)
    }

    /// Records what DNS says on a day in November.
    fn look(&self, day: u8, zone: &str) {
        let server = Scripted::start(zone);
        let now = format!("2026-11-{day}T05:30:00Z");
        let done = self.0.run(["check", "--all", "--server", &server.address.to_string(), "--now", &now]);
        assert!(done.stdout.starts_with("example.com: "), "{done:#?}");
    }

    /// What `alert` reports on a day: `name type: text`.
    fn told(&self, day: u8, more: &[&str]) -> Vec<Value> {
        let now = format!("2026-11-{day}T06:00:00Z");
        let done = self.0.run(["alert", "--now", &now, "--format", "json"].iter().chain(more));
        assert_eq!(done.code, Some(0), "{done:#?}");
        let events = done.json()["events"].as_array().unwrap().clone();
        events.into_iter().filter(|event| event["kind"] == "dns_changed").collect()
    }
}

fn texts(events: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = events.iter().map(|event| event["text"].as_str().unwrap().to_owned()).collect();
    texts.sort();
    texts
}

#[test]
fn each_type_of_record_that_changes_is_reported_once_and_the_first_look_is_no_change() {
    let memory = Memory::new();
    memory.look(20, &zone(&[]));
    assert!(memory.told(20, &[]).is_empty(), "the first look is no change");
    let other_key = format!("{KEY}{}", KEYS[1]);
    let changes = [
        ("_dmarc.example.com TXT", "v=DMARC1; p=reject; rua=mailto:d@rua.example.net", "changed"),
        ("example.com TXT", "v=spf1 include:_spf.example.org ip4:198.51.100.7 -all", "changed"),
        ("_spf.example.org TXT", "v=spf1 ip4:192.0.2.0/25 -all", "changed"),
        ("example.com MX", "10 mx2.example.com", "changed"),
        ("s1._domainkey.example.com TXT", other_key.as_str(), "changed"),
        ("s2._domainkey.example.com CNAME", "s2.dkim.example.net", "changed"),
        ("_smtp._tls.example.com TXT", "", "removed"),
        ("_mta-sts.example.com TXT", "v=STSv1; id=2", "changed"),
        ("example.com._report._dmarc.rua.example.net TXT", "", "removed"),
    ];
    let replaced: Vec<(&str, &str)> = changes.iter().map(|(key, text, _)| (*key, *text)).collect();
    memory.look(21, &zone(&replaced));
    let told = memory.told(21, &[]);
    assert_eq!(told.len(), changes.len(), "{:#?}", texts(&told));
    for (key, text, change) in changes {
        let begin = format!("DNS record {change}: {key} was \"");
        let mut of_record = told.iter().filter(|event| event["text"].as_str().unwrap().starts_with(&begin));
        let event = of_record.next().unwrap_or_else(|| panic!("{key}: {:#?}", texts(&told)));
        assert!(event["text"].as_str().unwrap().contains(text), "{event:#}");
        assert_eq!(
            (event["policy_domain"].as_str(), event["since"].as_str()),
            (Some("example.com"), Some("2026-11-21"))
        );
        assert!(event["action"].as_str().unwrap().contains("dmarquet check example.com --history"), "{event:#}");
    }
    assert!(memory.told(21, &[]).is_empty() && memory.told(22, &[]).is_empty(), "told once");
    memory.look(22, &zone(&replaced));
    assert!(memory.told(22, &[]).is_empty(), "the same again is no change");
    memory.look(23, &zone(&[]));
    assert_eq!(memory.told(23, &[]).len(), changes.len(), "what comes back has changed too");
}

#[test]
fn a_failed_lookup_is_no_change_and_a_change_behind_it_is_reported_when_it_is_seen() {
    let memory = Memory::new();
    memory.look(20, &zone(&[]));
    assert!(memory.told(20, &[]).is_empty());
    let failing = zone(&[("_dmarc.example.com TXT", ""), ("s1._domainkey.example.com TXT", "")])
        + "_dmarc.example.com SERVFAIL\ns1._domainkey.example.com SERVFAIL\n";
    memory.look(21, &failing);
    assert!(memory.told(21, &[]).is_empty(), "nothing is known of that day");
    memory.look(22, &zone(&[("_dmarc.example.com TXT", "v=DMARC1; p=reject; rua=mailto:d@rua.example.net")]));
    let told = memory.told(22, &[]);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["since"], "2026-11-22");
}

#[test]
fn a_record_that_several_domains_use_is_one_event() {
    let memory = Memory::new();
    memory.0.write(CONFIG, "domains = [\"example.com\", \"shop.example\", \"mail.example.com\"]\n");
    let more = "shop.example TXT v=spf1 include:_spf.example.org -all\nmail.example.com TXT v=spf1 -all\n";
    memory.look(20, &(zone(&[]) + more));
    assert!(memory.told(20, &[]).is_empty());
    let changed = [
        ("_spf.example.org TXT", "v=spf1 ip4:192.0.2.0/25 -all"),
        ("_dmarc.example.com TXT", "v=DMARC1; p=reject; rua=mailto:d@rua.example.net"),
    ];
    memory.look(21, &(zone(&changed) + more));
    let told = memory.told(21, &[]);
    let mut short: Vec<(Option<&str>, &str)> = told
        .iter()
        .map(|event| (event["policy_domain"].as_str(), event["text"].as_str().unwrap().split(" was ").next().unwrap()))
        .collect();
    short.sort_unstable();
    assert_eq!(
        short,
        [
            (None, "DNS record changed: _spf.example.org TXT, which 2 domains use,"),
            (Some("example.com"), "DNS record changed: _dmarc.example.com TXT, which 2 domains use,"),
        ]
    );
}

#[test]
fn alert_check_queries_dns_first_and_reports_failed_lookups() {
    let memory = Memory::new();
    let asked = |day: u8, zone: &str| {
        let server = Scripted::start(zone);
        let now = format!("2026-11-{day}T06:00:00Z");
        let address = server.address.to_string();
        memory.0.run(["alert", "--check", "--server", &address, "--now", &now, "--format", "json"])
    };
    let first = asked(20, &zone(&[]));
    assert_eq!((first.code, first.json()["events"].as_array().map(Vec::len)), (Some(0), Some(0)), "{first:#?}");
    let changed = zone(&[("example.com MX", "10 mx2.example.com")])
        + "_mta-sts.example.com SERVFAIL\n_dmarc.example.com SERVFAIL\n";
    let second = asked(21, &changed);
    assert_eq!(second.code, Some(0), "{second:#?}");
    let told = second.json();
    assert_eq!(told["events"][0]["kind"], "dns_changed", "{told:#}");
    assert!(second.stderr.starts_with("warning: some DNS records could not be looked up"), "{second:#?}");
    let third = asked(22, &changed);
    assert_eq!(third.json()["events"].as_array().map(Vec::len), Some(0), "told once: {third:#?}");
    let usage = memory.0.run(["alert", "--check", "--dry-run"]);
    assert_eq!(usage.code, Some(2), "a rehearsal keeps nothing: {usage:#?}");
}

#[test]
fn a_fetch_checks_dns_once_a_day_and_never_fails_because_of_it() {
    let memory = Memory::new();
    // The mailbox cannot be read: what a fetch does after its mails does not depend on them.
    memory.0.write(
        CONFIG,
        "domains = [\"example.com\"]\n[[customer]]\nname = \"Shop\"\ndomains = [\"a.example\", \"b.example\", \"c.example\"]\n[[mailbox]]\nname = \"reports\"\n\
         host = \"localhost\"\nca_file = \"missing.pem\"\nuser = \"u\"\npassword_env = \"P\"\n",
    );
    let fetch = |address: &str| {
        let done = memory.0.run(["fetch", "--check", "--verbose", "--server", address]);
        assert_eq!(done.code, Some(2), "of the mailbox alone: {done:#?}");
        done.stderr.lines().filter(|line| line.contains("DNS")).map(str::to_owned).collect::<Vec<_>>()
    };
    let said = fetch("127.0.0.1:1");
    assert_eq!(said, ["warning: DNS records were not looked up: DNS does not answer; the next fetch tries again"]);
    let server = Scripted::start(&zone(&[]));
    let address = server.address.to_string();
    assert_eq!(fetch(&address), ["DNS records of 4 domains were looked up and kept"]);
    let asked = server.names.lock().unwrap().len();
    assert!(asked > 10);
    assert_eq!(fetch(&address), [""; 0], "once a day");
    assert_eq!(server.names.lock().unwrap().len(), asked);
    let table = memory.0.path("table");
    memory.0.run(["export", "--format", "ndjson", "--out", table.to_str().unwrap()]).quiet();
    let kept = std::fs::read_to_string(table.join("dns.ndjson")).unwrap();
    for (key, _) in RECORDS.iter().filter(|(key, _)| !key.ends_with(" A") && !key.starts_with("s2.dkim")) {
        let (name, kind) = key.split_once(' ').unwrap();
        let is_kept = |line: &str| line.contains(&format!("\"{name}\"")) && line.contains(&format!("\"{kind}\""));
        assert!(kept.lines().any(is_kept), "{key}: {kept}");
    }
}

#[test]
fn consents_cover_all_domains_in_both_directions() {
    let memory = Memory::new();
    memory.0.write(CONFIG, "domains = [\"example.com\", \"shop.example\"]\n");
    let more = "_dmarc.shop.example TXT v=DMARC1; p=none; rua=mailto:d@example.com\n";
    let run = |zone: &str, more: &[&str]| {
        let server = Scripted::start(zone);
        let address = server.address.to_string();
        memory.0.run(["check", "--consents", "--server", &address].iter().chain(more))
    };
    let missing = run(&(zone(&[]) + more), &[]);
    assert_eq!(missing.code, Some(1), "{missing:#?}");
    assert_eq!(
        missing.stdout,
        "Consents to receive reports: 1 published, 1 missing.\n\nPublish: reports about these domains come to you\n\
         \x20 in the zone of example.com:\n    shop.example._report._dmarc.example.com. TXT \"v=DMARC1\"\n"
    );
    let there = zone(&[]) + more + "*._report._dmarc.example.com TXT v=DMARC1\n";
    let done = run(&there, &["--format", "json"]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    let consents = &done.json()["consents"];
    assert_eq!(
        consents[0],
        serde_json::json!({"publisher": "you", "receiver": "example.com", "domain": "shop.example",
            "name": "shop.example._report._dmarc.example.com", "state": "published"})
    );
    assert_eq!((consents[1]["publisher"].as_str(), consents[1]["state"].as_str()), (Some("they"), Some("published")));
    assert_eq!(run("example.com TXT x\n_dmarc.example.com SERVFAIL\n", &[]).code, Some(2));
}
