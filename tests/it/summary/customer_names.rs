//! The names of sources, as customers see them: a service, or who operates the server, but never another customer.

use super::customers::{WEEK, report, run, town};
use crate::dns_servers::Scripted;
use crate::workdir::{WorkDir, files_below};
use std::collections::BTreeMap;

/// Servers of Birch and of Elm, which lists only a subdomain. Their mail of Alder is signed by them.
const OF_BIRCH: &str = "192.0.2.77";
const OF_ELM: &str = "192.0.2.78";
/// An address in the published range of a service, and one that Alder's record authorizes by Birch's.
const OF_RELAY: &str = "192.0.2.129";
const OF_BOTH: &str = "192.0.2.79";

const ZONE: &str = "192.0.2.77 PTR mail.birch.example\nmail.birch.example A 192.0.2.77\n\
    192.0.2.78 PTR mail.elm.example\nmail.elm.example A 192.0.2.78\n\
    spf.relay.example TXT v=spf1 ip4:192.0.2.128/25 -all\n\
    s._domainkey.alder.example CNAME s.keys.birch.example\n";

const CUSTOMERS: &str = "senders = \"senders.toml\"\n[[customer]]\nname = \"Elm\"\ndomains = [\"news.elm.example\"]\n";
const SENDERS: &str = "[[sender]]\nname = \"Example Relay\"\ndkim = \"relay.example\"\nspf = \"spf.relay.example\"\n";

/// Reports with mail of Alder that the servers of others sign, and with mail from them that fails as Clover.
fn crossed() -> WorkDir {
    let work = town(None);
    let settings = std::fs::read_to_string(work.path("dmarquet.toml")).unwrap();
    let (senders, elm) = CUSTOMERS.split_once('\n').unwrap();
    work.write("dmarquet.toml", format!("{senders}\n{settings}{elm}"));
    work.write("senders.toml", SENDERS);
    let signed = [(OF_BIRCH, "birch.example"), (OF_ELM, "mx.elm.example"), (OF_RELAY, "birch.example")];
    let mut of_alder: Vec<_> =
        signed.iter().map(|(address, domain)| (*address, 30, *domain, "s", "pass", "fail", "")).collect();
    of_alder.push((OF_BOTH, 30, "alder.example", "s", "pass", "fail", ""));
    let of_clover: Vec<_> =
        [OF_BIRCH, OF_ELM, OF_RELAY, OF_BOTH].map(|address| (address, 30, "junk.test", "x", "fail", "fail", "")).into();
    work.write("west/alder.xml", report("West Post", "alder.example", 60, &of_alder));
    work.write("west/clover.xml", report("West Post", "below.alder.example", 60, &of_clover));
    run(&work, &["ingest", "west"]).quiet();
    work
}

fn enrich(work: &WorkDir, settings: &str) {
    let dns = Scripted::start(ZONE);
    let args = ["enrich", "--weeks", "520", "--rate", "1000", "--server", &dns.address.to_string()];
    work.run(args.into_iter().chain(["--config", settings])).quiet();
}

/// No output for Clover names Birch or Elm.
#[track_caller]
fn assert_unnamed(work: &WorkDir) {
    let assert_none = |what: &str, text: &str| {
        let text = text.replace("<wbr>", "");
        assert!(!text.contains("birch") && !text.contains("elm.example"), "{what}: {text}");
    };
    for format in ["text", "html", "json"] {
        let args = ["summary", "--customer", "Clover", WEEK[0], WEEK[1], "--format", format];
        assert_none(format, &run(work, &args).quiet());
    }
    for address in [OF_BIRCH, OF_ELM, OF_BOTH] {
        let args = ["summary", "--customer", "Clover", WEEK[0], WEEK[1], "--explain", address];
        let explained = run(work, &args).quiet();
        assert!(explained.contains(address), "{explained}");
        assert_none("explain", &explained);
    }
    run(work, &["export", "--customer", "Clover", "--format", "csv", "--out", "clover"]).quiet();
    for file in files_below(&work.path("clover")) {
        let text = std::fs::read_to_string(&file).unwrap();
        assert_none(&file.display().to_string(), &text);
        assert!(text.contains(OF_RELAY) || !file.ends_with("sources.csv"), "{text}");
    }
}

/// The names and rungs in the exported `sources`, by address.
fn names(work: &WorkDir, args: &[&str]) -> BTreeMap<String, (Option<String>, Option<i64>)> {
    run(work, &[&["export", "--format", "ndjson", "--out", "named"], args].concat()).quiet();
    let text = std::fs::read_to_string(work.path("named/sources.ndjson")).unwrap();
    let row = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = row["name"].as_str().map(str::to_owned);
        (row["source_ip"].as_str().unwrap().to_owned(), (name, row["rung"].as_i64()))
    };
    text.lines().map(row).collect()
}

#[test]
fn no_source_is_named_after_another_customer() {
    let work = crossed();
    enrich(&work, "dmarquet.toml");
    assert_unnamed(&work);
    let all = names(&work, &[]);
    let relay = (Some("Example Relay".to_owned()), Some(3));
    assert_eq!(all[OF_RELAY], relay, "its range is a proof, too, though the mail is signed by a customer's domain");
    for address in [OF_BIRCH, OF_ELM, OF_BOTH] {
        assert_eq!(all[address].1, None, "{address}: {all:?}");
    }
    assert_eq!(all[OF_BIRCH].0.as_deref(), Some("mail.birch.example"), "the host name, for the operator");
}

#[test]
fn a_name_that_was_stored_before_is_not_shown_to_another_customer() {
    let work = crossed();
    // As an earlier version did, which knew nothing of customers.
    work.write("nobody.toml", "");
    enrich(&work, "nobody.toml");
    let all = names(&work, &[]);
    assert_eq!(all[OF_BIRCH], (Some("birch.example".to_owned()), Some(1)), "the operator sees it");
    assert_eq!(all[OF_ELM], (Some("elm.example".to_owned()), Some(1)));
    assert_eq!(all[OF_BOTH], (Some("birch.example".to_owned()), Some(2)));
    assert_unnamed(&work);
    for format in ["text", "html", "json"] {
        let args = ["summary", "--customer", "Alder & Co", WEEK[0], WEEK[1], "--format", format];
        let made: String = run(&work, &args).quiet();
        assert!(!made.contains("\"name\":\"birch.example\"") && !made.contains("mail.birch.example"), "{made}");
    }
    let of_alder = names(&work, &["--customer", "Alder & Co"]);
    assert_eq!(of_alder[OF_BOTH], (None, None));
    run(&work, &["export", "--customer", "Alder & Co", "--format", "csv", "--out", "alder"]).quiet();
    let senders = std::fs::read_to_string(work.path("alder/senders.csv")).unwrap();
    let of_both = |line: &&str| line.contains(OF_BOTH);
    let lines: Vec<&str> = senders.lines().filter(of_both).collect();
    assert!(!lines.is_empty() && lines.iter().all(|line| !line.contains("birch")), "{senders}");
}
