//! Whose servers the sources are: a zone behind NSD and Unbound with an address for each kind of proof and for each
//! case that proves nothing, and what the tables and the summary say about them.

use crate::dns_servers::{Scripted, Servers};
use crate::workdir::WorkDir;
use serde_json::Value;
use std::collections::BTreeMap;

/// Records by source with their DKIM and SPF results; `-` is none.
const SOURCES: &[(u8, &str, &str)] = &[
    (1, "bulk.mailer.example s1 pass", "acme.example fail"),
    (2, "acme.example s1 pass", "acme.example fail"),
    (3, "-", "em.acme.example pass"),
    (4, "-", "bounce.acme.example pass"),
    (5, "-", "acme.example pass"),
    (6, "-", "acme.example fail"),
    (7, "-", "acme.example fail"),
    (8, "-", "acme.example fail"),
    (9, "-", "acme.example fail"),
    (10, "-", "acme.example fail"),
    (11, "bulk.mailer.example s1 fail", "acme.example fail"),
    (12, "acme.example s2 fail", "em2.acme.example fail"),
    (13, "acme.example s3 pass", "acme.example fail"),
    (14, "-", "b.news.acme.example pass"),
    (15, "-", "dept.acme.example pass"),
];

/// What is expected for each: name, rung, class. Without a proof there is only the host name.
const EXPECTED: &[(u8, Option<&str>, Option<i64>, Option<&str>)] = &[
    (1, Some("Example Mailer"), Some(1), Some("mail_service")),
    (2, Some("Example Mailer"), Some(2), Some("mail_service")),
    (3, Some("Example Mailer"), Some(2), Some("mail_service")),
    (4, Some("desk.example"), Some(2), None),
    (5, Some("erp.example"), Some(2), None),
    (6, Some("Example Mailer"), Some(3), Some("mail_service")),
    (7, Some("Example Mailer"), Some(4), Some("mail_service")),
    (8, Some("p10-0-8-1.dsl.line.example"), Some(4), Some("isp")),
    (9, Some("o9.mailer.example"), None, None),
    (10, Some("EXAMPLE-CLOUD"), Some(5), Some("rented_host")),
    (11, None, None, None),
    (12, None, None, None),
    (13, None, None, None),
    (14, Some("Example Mailer"), Some(2), Some("mail_service")),
    (15, None, None, None),
];

const ZONE: &str = "$TTL 300\n@ SOA ns.example. hostmaster.example. 1 3600 600 86400 60\n@ NS ns.example.\n\
    s1._domainkey.acme CNAME s1.keys.acme.example.\ns1.keys.acme CNAME s1.dkim.mailer.example.\n\
    s2._domainkey.acme CNAME s2.dkim.mailer.example.\ns3._domainkey.acme TXT \"v=DKIM1; p=\"\n\
    em.acme CNAME u1.wl.mailer.example.\nem2.acme CNAME u1.wl.mailer.example.\n\
    u1.wl.mailer TXT \"v=spf1 ip4:10.0.3.1 -all\"\nu1.wl.mailer MX 10 in.mailer.example.\n\
    bounce.acme TXT \"v=spf1 ip4:10.0.4.1 -all\"\nbounce.acme MX 10 feedback.desk.example.\n\
    acme TXT \"v=spf1 include:_spf.erp.example -all\"\nacme MX 10 mx.other.example.\n\
    _spf.erp TXT \"v=spf1 ip4:10.0.5.1 -all\"\n\
    spf.mailer TXT \"v=spf1 include:_net.mailer.example -all\"\n_net.mailer TXT \"v=spf1 ip4:10.0.6.1 -all\"\n\
    news.acme NS ns1.mailer.example.\ndept.acme NS ns1.hoster.example.\nns1.mailer A 127.0.0.1\nns1.hoster A 127.0.0.1\n\
    o7.mailer A 10.0.7.1\np10-0-8-1.dsl.line A 10.0.8.1\no9.mailer A 192.0.2.1\n";

/// A zone that its owner delegated to the service, and one at a hosting provider.
const NEWS: &str = "$TTL 300\n@ SOA ns1.mailer.example. h.mailer.example. 1 3600 600 86400 60\n@ NS ns1.mailer.example.\n\
    b TXT \"v=spf1 ip4:10.0.14.1 -all\"\n";
const DEPT: &str = "$TTL 300\n@ SOA ns1.hoster.example. h.hoster.example. 1 3600 600 86400 60\n@ NS ns1.hoster.example.\n\
    @ TXT \"v=spf1 ip4:10.0.15.1 -all\"\n";

/// The zones of the servers.
const ZONES: &[(&str, &str)] =
    &[("example", ZONE), ("0.10.in-addr.arpa", REVERSE), ("news.acme.example", NEWS), ("dept.acme.example", DEPT)];

const REVERSE: &str = "$TTL 300\n@ SOA ns.example. hostmaster.example. 1 3600 600 86400 60\n@ NS ns.example.\n\
    1.7 PTR o7.mailer.example.\n1.8 PTR p10-0-8-1.dsl.line.example.\n1.9 PTR o9.mailer.example.\n";

const SETTINGS: &str = "senders = \"senders.toml\"\ndomains = [\"acme.example\"]\n[[confirmed]]\nsender = \"mine\"\n\
    signs_as = \"mailer.example\"\n";

const SENDERS: &str = "[[sender]]\nname = \"Example Mailer\"\ndkim = \"mailer.example\"\nbounce = \"mailer.example\"\n\
    alias = \"mailer.example\"\nptr = \"mailer.example\"\nspf = \"spf.mailer.example\"\n\
    fix = \"In Example Mailer: Settings > Domains; publish the two CNAMEs.\"\nhelp = \"https://help.mailer.example/dkim\"\n";

/// A store with the same sources in the reports of three reporters, of yesterday.
fn store() -> WorkDir {
    let work = WorkDir::new();
    let end = jiff::Timestamp::now().as_second() - 86_400;
    for reporter in 0..3 {
        let mut text = format!(
            "<feedback><report_metadata><org_name>r{reporter}.example.net</org_name><email>r@r{reporter}.example.net</email>\
             <report_id>{reporter}</report_id><date_range><begin>{}</begin><end>{end}</end></date_range></report_metadata>\
             <policy_published><domain>acme.example</domain><p>none</p></policy_published>",
            end - 86_399
        );
        for (number, dkim, spf) in SOURCES {
            let passes = |said: &str| said.ends_with("pass") && said.contains("acme.example");
            let result = |said: &str| if passes(said) { "pass" } else { "fail" };
            let signature = dkim.split(' ').collect::<Vec<_>>();
            let signature = match signature[..] {
                [domain, selector, result] => format!(
                    "<dkim><domain>{domain}</domain><selector>{selector}</selector><result>{result}</result></dkim>"
                ),
                _ => String::new(),
            };
            let (path, path_result) = spf.split_once(' ').unwrap();
            text += &format!(
                "<record><row><source_ip>10.0.{number}.1</source_ip><count>100</count><policy_evaluated>\
                 <disposition>none</disposition><dkim>{}</dkim><spf>{}</spf></policy_evaluated></row><identifiers>\
                 <header_from>acme.example</header_from></identifiers><auth_results>{signature}<spf><domain>{path}</domain>\
                 <result>{path_result}</result></spf></auth_results></record>",
                result(dkim),
                result(spf)
            );
        }
        work.write(format!("{reporter}.xml"), text + "</feedback>");
    }
    work.write("home/.config/dmarquet/config.toml", SETTINGS);
    work.write("home/.config/dmarquet/senders.toml", SENDERS);
    work.write(
        "ip2asn-v4.tsv",
        "10.0.10.1\t10.0.10.1\t64500\tDE\tEXAMPLE-CLOUD\n10.0.11.1\t10.0.255.255\t0\tNone\tNot routed\n",
    );
    work.run(["ingest", "0.xml", "1.xml", "2.xml"]).quiet();
    work
}

/// The rows of the exported table, by the third number of the address.
fn sources(work: &WorkDir, out: &str) -> BTreeMap<u8, Value> {
    work.run(["export", "--format", "ndjson", "--out", out]).quiet();
    let text = std::fs::read_to_string(work.path(out).join("sources.ndjson")).unwrap();
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let number = row["source_ip"].as_str().unwrap().split('.').nth(2).unwrap().parse().unwrap();
        (number, row)
    };
    text.lines().map(row).collect()
}

fn assert_expected(rows: &BTreeMap<u8, Value>) {
    let mut wrong = Vec::new();
    for (number, name, rung, class) in EXPECTED {
        let row = rows.get(number).cloned().unwrap_or_default();
        let found = (row["name"].as_str(), row["rung"].as_i64(), row["class"].as_str());
        if found != (*name, *rung, *class) {
            wrong.push(format!("10.0.{number}.1: {found:?} is not {:?}", (name, rung, class)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_rung_names_what_it_proves_and_nothing_else_is_named() {
    let Some(servers) = Servers::start(ZONES) else { return };
    let work = store();
    let server = servers.resolver.to_string();
    work.run(["enrich", "--server", &server, "--geoip", "ip2asn-v4.tsv"]).quiet();
    let rows = sources(&work, "first");
    assert_expected(&rows);
    assert_eq!(rows[&8]["class_ground"], "host name spells the address and says dsl");
    assert_eq!((&rows[&10]["asn"], &rows[&10]["country"]), (&64_500.into(), &"DE".into()));
    assert_eq!(rows[&9]["confirmed"], false);

    let json = work.run(["summary", "--last", "7d", "--format", "json"]).json();
    let actions = json["actions"].as_array().unwrap();
    let service = |change: &str| {
        let of_change = actions.iter().filter(|action| action["change"] == change);
        of_change.map(|action| (action["sources"].to_string(), action["service"].clone())).collect::<Vec<_>>()
    };
    let help = |rung: i64| {
        serde_json::json!({
            "name": "Example Mailer", "rung": rung, "fix": "In Example Mailer: Settings > Domains; publish the two CNAMEs.",
            "help": "https://help.mailer.example/dkim"
        })
    };
    assert_eq!(service("align_sender"), [("[\"10.0.1.1\"]".to_owned(), help(1))]);
    let signs: BTreeMap<String, Value> = service("sign").into_iter().collect();
    assert_eq!(signs["[\"10.0.3.1\"]"], help(2), "{signs:#?}");
    assert_eq!(signs["[\"10.0.4.1\"]"], Value::Null, "a stranger's help is not known");
    for format in ["text", "markdown", "html"] {
        let shown = work.run(["summary", "--last", "7d", "--format", format]).quiet();
        let flat = shown
            .replace("<wbr>", "")
            .replace("&gt;", ">")
            .replace('\\', "")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        for said in
            ["In Example Mailer: Settings > Domains; publish the two CNAMEs.", "https://help.mailer.example/dkim"]
        {
            assert!(flat.contains(said), "{format} without {said}: {shown}");
        }
    }
    let senders = json["senders"].as_array().unwrap();
    let of = |address: &str| senders.iter().find(|sender| sender["address"] == address).cloned().unwrap_or_default();
    assert_eq!(of("10.0.3.1")["origin"], serde_json::json!({"name": "Example Mailer", "rung": 2}));
    assert_eq!(
        (&of("10.0.3.1")["service"], &of("10.0.3.1")["class"]),
        (&"Example Mailer".into(), &"mail_service".into())
    );
    let sources = json["sources"].as_array().unwrap();
    let rung = |address: &str| {
        let source = sources.iter().find(|source| source["source_ip"] == address).cloned().unwrap_or_default();
        (source["origin"].clone(), source["class"].clone())
    };
    let mailer = |rung: i64| (serde_json::json!({"name": "Example Mailer", "rung": rung}), "mail_service".into());
    for (address, proof) in [("10.0.1.1", 1), ("10.0.2.1", 2), ("10.0.6.1", 3), ("10.0.7.1", 4), ("10.0.14.1", 2)] {
        assert_eq!(rung(address), mailer(proof), "{address}");
    }
    assert_eq!(rung("10.0.10.1"), (serde_json::json!({"name": "EXAMPLE-CLOUD", "rung": 5}), "rented_host".into()));
    assert_eq!(rung("10.0.9.1"), (Value::Null, Value::Null), "a host name that does not lead back");
    let csv = work.run(["summary", "--last", "7d", "--format", "csv"]).quiet();
    let line = csv.lines().find(|line| line.starts_with("10.0.14.1,")).unwrap();
    assert!(line.ends_with(",Example Mailer,2,mail_service"), "{line}");
    let explained = work.run(["summary", "--last", "7d", "--explain", "10.0.14.1"]).quiet();
    assert!(explained.contains("Example Mailer, delegated in your DNS"), "{explained}");
    let ours = of("10.0.10.1");
    assert_eq!((&ours["class"], &ours["network"]["asn"]), (&"rented_host".into(), &64_500.into()), "{ours:#}");
}

#[test]
fn proof_from_dns_stays_while_dns_is_silent_and_goes_when_it_changes() {
    let Some(servers) = Servers::start(ZONES) else { return };
    let work = store();
    work.run(["enrich", "--server", &servers.resolver.to_string(), "--geoip", "ip2asn-v4.tsv"]).quiet();
    drop(servers);
    // Everything fails: the ranges are those of the first run, and so are the delegations.
    let away = Scripted::start(
        "example SERVFAIL\ns1._domainkey.acme.example SERVFAIL\nem.acme.example SERVFAIL\n\
                                bounce.acme.example SERVFAIL\nb.news.acme.example SERVFAIL\nnews.acme.example SERVFAIL\nacme.example SERVFAIL\nspf.mailer.example SERVFAIL\n",
    );
    work.run(["enrich", "--server", &away.address.to_string()]).quiet();
    assert_expected(&sources(&work, "away"));
    let asked = away.names.lock().unwrap().clone();
    assert!(!asked.contains(&"spf.mailer.example".to_owned()), "kept for a day: {asked:?}");
    // DNS answers again, and knows nothing any more.
    let gone = Scripted::start("other.example A 192.0.2.1\n");
    work.run(["enrich", "--server", &gone.address.to_string()]).quiet();
    let rows = sources(&work, "gone");
    let rung = |number: u8| rows[&number]["rung"].as_i64();
    assert_eq!(
        (rung(1), rung(2), rung(3), rung(4), rung(5), rung(6), rung(7)),
        (Some(1), None, None, None, None, Some(3), Some(4))
    );
}

#[test]
fn an_installed_database_is_used_and_a_missing_one_reported_only_if_requested() {
    let work = store();
    let server = Scripted::start("10.0.1.1 PTR mx.example.net\nmx.example.net A 10.0.1.1\n");
    let address = server.address.to_string();
    let asked = work.run(["enrich", "--server", &address, "--geoip"]);
    assert_eq!(asked.code, Some(2), "{asked:#?}");
    assert!(
        asked.stderr.contains("no database is installed") && asked.stderr.contains("iptoasn.com"),
        "{}",
        asked.stderr
    );
    let mut here = work.command(["enrich", "--server", &address]);
    let done = here.env("DMARQUET_GEOIP_PATH", work.path("")).output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(sources(&work, "found")[&10]["as_name"], "EXAMPLE-CLOUD");
    work.write("ip2asn-v4.tsv", "broken\n");
    let mut here = work.command(["enrich", "--server", &address]);
    let done = here.env("DMARQUET_GEOIP_PATH", work.path("")).output().unwrap();
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && stderr.starts_with("warning: geoip: "), "{stderr}");
}
