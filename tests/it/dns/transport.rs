//! MTA-STS, TLS-RPT and TLSA records against NSD and Unbound, with policies from an HTTPS server on loopback: each domain
//! has exactly the expected findings.

use crate::dns_servers::Servers;
use crate::support::https::HttpsServer;
use crate::workdir::WorkDir;
use serde_json::Value;

const POLICY: &str = "version: STSv1\r\nmode: enforce\r\nmx: mx.example\r\nmax_age: 604800\r\n";
const STS: &str = "_mta-sts TXT \"v=STSv1; id=20261101\"\nmta-sts A 192.0.2.80\n";
const RPT: &str = "_smtp._tls TXT \"v=TLSRPTv1; rua=mailto:tls@good.example\"\n";
const DIGEST: &str = "abababababababababababababababababababababababababababababababab";

type Planted = (&'static str, String, String, Vec<&'static str>);

/// A policy as served.
fn served(policy: &str) -> String {
    http("200 OK", "Content-Type: text/plain; charset=utf-8\r\n", policy)
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// The first label of a domain, how its records differ from a good domain's, what its policy host sends, and the findings.
fn planted() -> Vec<Planted> {
    let both = || format!("{STS}{RPT}");
    let sts = |record: &str| format!("_mta-sts TXT {record}\nmta-sts A 192.0.2.80\n{RPT}");
    let good = || served(POLICY);
    let with = |from: &str, to: &str| served(&POLICY.replace(from, to));
    let reports = |record: &str| format!("_smtp._tls TXT {record}\n");
    let (plain, none) = ("Content-Type: text/plain\r\n", String::new);
    vec![
        ("good", both(), good(), vec![]),
        ("nothing", none(), none(), vec![]),
        ("linefeeds", both(), served(&POLICY.replace("\r\n", "\n")), vec![]),
        ("wildcard", both(), with("mx: mx.example", "mx: *.example"), vec![]),
        ("other-text", "_mta-sts TXT \"v=spf1 -all\"\n_smtp._tls TXT \"v=spf1 -all\"\n".into(), none(), vec![]),
        ("unreported", STS.into(), good(), vec!["tls_rpt.missing"]),
        (
            "two-records",
            sts("\"v=STSv1; id=1\"\n_mta-sts TXT \"v=STSv1; id=2\""),
            good(),
            vec!["mta_sts.multiple_records"],
        ),
        ("lower-case", sts("\"v=stsv1; id=1\""), good(), vec!["mta_sts.not_recognized"]),
        ("no-id", sts("\"v=STSv1;\""), good(), vec!["mta_sts.id_invalid"]),
        ("odd-id", sts("\"v=STSv1; id=2026-11-01\""), good(), vec!["mta_sts.id_invalid"]),
        ("odd-record", sts("\"v=STSv1; id=1; enforce\""), good(), vec!["mta_sts.syntax"]),
        ("no-host", format!("_mta-sts TXT \"v=STSv1; id=1\"\n{RPT}"), none(), vec!["mta_sts.host_missing"]),
        ("private", both().replace("192.0.2.80", "127.0.0.1"), good(), vec!["mta_sts.host_private"]),
        ("expired", both(), good(), vec!["mta_sts.certificate"]),
        ("misnamed", both(), good(), vec!["mta_sts.certificate"]),
        ("stranger", both(), good(), vec!["mta_sts.certificate"]),
        (
            "redirect",
            both(),
            http("302 Found", "Location: https://mta-sts.good.example/.well-known/mta-sts.txt\r\n", ""),
            vec!["mta_sts.redirect"],
        ),
        ("not-found", both(), http("404 Not Found", plain, "no"), vec!["mta_sts.http_status"]),
        ("html", both(), http("200 OK", "Content-Type: text/html\r\n", POLICY), vec!["mta_sts.content_type"]),
        ("large", both(), served(&format!("{POLICY}{}", "x: y\n".repeat(20_000))), vec!["mta_sts.policy_too_large"]),
        ("page", both(), served("<!DOCTYPE html>\n<title>Welcome</title>\n"), vec!["mta_sts.policy_version"]),
        ("version-2", both(), with("STSv1", "STSv2"), vec!["mta_sts.policy_version"]),
        ("odd-mode", both(), with("enforce", "enforced"), vec!["mta_sts.policy_mode"]),
        ("testing", both(), with("enforce", "testing"), vec!["mta_sts.testing"]),
        ("off", both(), served("version: STSv1\nmode: none\nmax_age: 86400\n"), vec!["mta_sts.mode_none"]),
        ("no-mx", both(), with("mx: mx.example\r\n", ""), vec!["mta_sts.policy_mx"]),
        ("no-age", both(), with("max_age: 604800\r\n", ""), vec!["mta_sts.policy_max_age"]),
        ("long-age", both(), with("604800", "99999999"), vec!["mta_sts.policy_max_age"]),
        ("short-age", both(), with("604800", "3600"), vec!["mta_sts.short_max_age"]),
        ("odd-line", both(), with("max_age:", "mx = a.example\r\nmax_age:"), vec!["mta_sts.policy_syntax"]),
        ("twice", both(), with("max_age:", "mode: none\r\nmax_age:"), vec!["mta_sts.duplicate_key"]),
        ("unknown-key", both(), with("max_age:", "mx_host: a.example\r\nmax_age:"), vec!["mta_sts.unknown_key"]),
        ("unmatched", both(), with("mx: mx.example", "mx: old.example"), vec!["mta_sts.mx_unmatched"]),
        ("half-matched", format!("{}@ MX 20 mx2.example.\n", both()), good(), vec!["mta_sts.mx_unmatched"]),
        ("rpt-two", format!("{RPT}{RPT}").replacen("tls@", "a@", 1), none(), vec!["tls_rpt.multiple_records"]),
        ("rpt-case", reports("\"v=tlsrptv1; rua=mailto:tls@good.example\""), none(), vec!["tls_rpt.not_recognized"]),
        ("rpt-odd", reports("\"v=TLSRPTv1; mailto:tls@good.example\""), none(), vec!["tls_rpt.syntax"]),
        ("rpt-no-rua", reports("\"v=TLSRPTv1;\""), none(), vec!["tls_rpt.no_rua"]),
        ("rpt-target", reports("\"v=TLSRPTv1; rua=tls@good.example\""), none(), vec!["tls_rpt.target_invalid"]),
        ("rpt-closed", reports("\"v=TLSRPTv1; rua=mailto:tls@closed.example\""), none(), vec!["tls_rpt.target_host"]),
        ("rpt-https", reports("\"v=TLSRPTv1; rua=https://mx.example/reports\""), none(), vec![]),
        ("dane", format!("{RPT}@ MX 5 dane1.example.\n"), none(), vec!["tlsa.partial_hosts"]),
        ("dane-usage", format!("{RPT}@ MX 5 dane2.example.\n"), none(), vec!["tlsa.partial_hosts", "tlsa.usage"]),
        ("dane-short", format!("{RPT}@ MX 5 dane3.example.\n"), none(), vec!["tlsa.invalid", "tlsa.partial_hosts"]),
        ("dane-unreported", "@ MX 5 dane1.example.\n".into(), none(), vec!["tls_rpt.missing", "tlsa.partial_hosts"]),
    ]
}

fn zone(planted: &[Planted]) -> String {
    let mut zone = format!(
        "$TTL 300\n$ORIGIN example.\n@ SOA ns.example. hostmaster.example. 1 3600 600 86400 60\n@ NS ns.example.\nns A 127.0.0.1\n\
         mx A 192.0.2.25\nmx2 A 192.0.2.26\nclosed MX 0 .\ndane1 A 192.0.2.31\ndane2 A 192.0.2.32\ndane3 A 192.0.2.33\n\
         _25._tcp.dane1 TLSA 3 1 1 {DIGEST}\n_25._tcp.dane2 TLSA 1 1 1 {DIGEST}\n_25._tcp.dane3 TLSA 3 1 2 {DIGEST}\n"
    );
    for (label, records, ..) in planted {
        zone += &format!(
            "$ORIGIN {label}.example.\n@ MX 10 mx.example.\n@ TXT \"v=spf1 mx -all\"\n\
             _dmarc TXT \"v=DMARC1; p=reject; rua=mailto:dmarc@{label}.example\"\n{records}"
        );
    }
    zone
}

fn codes(posture: &Value) -> Vec<&str> {
    let findings = posture["findings"].as_array().expect("findings");
    let codes = findings.iter().filter_map(|finding| finding["code"].as_str());
    codes.filter(|code| !code.starts_with("dkim.") && !code.starts_with("spf.")).collect()
}

/// One pair of servers for all domains.
#[test]
fn tls_between_mail_servers_is_checked() {
    let planted = planted();
    let Some(servers) = Servers::start(&[("example", &zone(&planted))]) else { return };
    each_domain_has_the_fault_that_is_planted_in_it_and_no_other(&servers, &planted);
    a_server_that_answers_nothing_is_unknown(&servers);
    policies_have_a_history_and_a_change_under_the_same_id_is_a_fault(&servers);
}

fn each_domain_has_the_fault_that_is_planted_in_it_and_no_other(servers: &Servers, planted: &[Planted]) {
    let work = WorkDir::new();
    let hosts: Vec<String> = planted.iter().map(|(label, ..)| format!("mta-sts.{label}.example")).collect();
    let https = HttpsServer::start(&work.path(""), &hosts);
    for (label, _, answer, _) in planted.iter().filter(|(_, _, answer, _)| !answer.is_empty()) {
        https.answer(&format!("mta-sts.{label}.example"), answer);
    }
    let domains: Vec<String> = planted.iter().map(|(label, ..)| format!("{label}.example")).collect();
    let (dns, web) = (servers.resolver.to_string(), https.address.to_string());
    let hook = ["--policy-server", &web, "--policy-ca", https.ca_file.to_str().unwrap()];
    let check = |more: &[&str]| work.run([&["check", "--server", &dns, "--format", "json"], more].concat());
    let all: Vec<&str> = hook.into_iter().chain(domains.iter().map(String::as_str)).collect();
    let postures = check(&all).json();
    let mut wrong = Vec::new();
    for ((label, _, _, expected), posture) in planted.iter().zip(postures.as_array().expect("several")) {
        let mut found = codes(posture);
        found.sort_unstable();
        found.dedup();
        if found != *expected || posture["unknown"] != serde_json::json!([]) {
            let told = (&posture["findings"], &posture["unknown"], &posture["mta_sts"]);
            wrong.push(format!("{label}: expected {expected:?}, found {found:?} {told:#?}"));
        }
        let findings = posture["findings"].as_array().unwrap().iter();
        wrong.extend(findings.filter_map(|finding| {
            let text = finding["text"].as_str().unwrap();
            let reads = text.ends_with(['.', '`', '?']) && !text.contains("  ") && text.starts_with(char::is_uppercase);
            (!reads).then(|| format!("{label}: {text}"))
        }));
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(postures[0]["mta_sts"]["policy"]["valid"]["mode"], "enforce", "{}", postures[0]["mta_sts"]);
    let asked = https.asked.lock().unwrap().clone();
    assert!(!asked.iter().any(|host| host.contains("private")), "a private address is never connected to");
    assert_eq!(asked.iter().filter(|host| host.contains("good")).count(), 1, "no redirect is followed");

    let before = asked.len();
    let unasked = check(&["good.example"]).json();
    assert_eq!(unasked["mta_sts"]["policy"], "not_fetched");
    assert_eq!(https.asked.lock().unwrap().len(), before, "a DNS server on loopback leads nowhere by itself");

    let text = work.run([&["check", "--server", &dns], &hook[..], &["good.example"]].concat()).stdout;
    for line in [
        "  MTA-STS: record with id 20261101; mode enforce, hosts: mx.example, kept for 7 days\n",
        "  TLS reports: mailto:tls@good.example\n",
        "  TLSA: no records\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let nothing = work.run(["check", "--server", &dns, "nothing.example"]).stdout;
    assert!(nothing.contains("  MTA-STS: no record: senders need not verify your mail servers\n"), "{nothing}");
}

fn a_server_that_answers_nothing_is_unknown(servers: &Servers) {
    let work = WorkDir::new();
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
    let dns = servers.resolver.to_string();
    let done = work.run(["check", "--server", &dns, "--policy-server", &closed, "--format", "json", "good.example"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    let posture = done.json();
    assert_eq!((codes(&posture).len(), posture["unknown"].as_array().unwrap().len()), (0, 1), "{posture:#}");
    assert_eq!(posture["unknown"][0]["where"], "https://mta-sts.good.example/.well-known/mta-sts.txt");
}

fn policies_have_a_history_and_a_change_under_the_same_id_is_a_fault(servers: &Servers) {
    let work = WorkDir::new();
    work.write("settings.toml", "domains = [\"good.example\"]\n");
    let https = HttpsServer::start(&work.path(""), &["mta-sts.good.example".to_owned()]);
    let (dns, web) = (servers.resolver.to_string(), https.address.to_string());
    let look = |day: u8, policy: &str| {
        https.answer("mta-sts.good.example", &served(policy));
        let now = format!("2026-11-{day:02}T06:00:00Z");
        let hook = ["--policy-server", &web, "--policy-ca", https.ca_file.to_str().unwrap()];
        let words =
            ["--config", "settings.toml", "check", "--all", "--server", &dns, "--now", &now, "--format", "json"];
        let done = work.run([&words[..], &hook[..]].concat());
        codes(&done.json()[0]).into_iter().map(str::to_owned).collect::<Vec<String>>()
    };
    let second = POLICY.replace("enforce", "testing");
    assert_eq!(look(3, POLICY), [""; 0]);
    assert_eq!(look(4, &second), ["mta_sts.id_unchanged", "mta_sts.testing"]);
    assert_eq!(look(6, &second), ["mta_sts.id_unchanged", "mta_sts.testing"], "senders keep the old one for a week");
    assert_eq!(look(12, &second), ["mta_sts.testing"], "nobody keeps it any more");
    let history = work.run(["check", "good.example", "--history", "--format", "json"]).json();
    let changes = history["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{history:#}");
    assert_eq!((&changes[0]["type"], &changes[0]["day"]), (&"MTA-STS".into(), &"2026-11-04".into()));
    assert_eq!(changes[0]["after"][0], "version: STSv1; mode: testing; mx: mx.example; max_age: 604800");
}
