//! Names of sources: looked up over loopback, killed halfway, resumed, shown by the summary and exported.

use crate::dns_servers::Scripted;
use crate::mmdb::{self, Value};
use crate::support::python;
use crate::workdir::WorkDir;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A store with one report about this many sources, from 10.0.0.1 on.
fn with_sources(count: u32) -> WorkDir {
    let work = WorkDir::new();
    let end = jiff::Timestamp::now().as_second() - 86_400;
    let begin = end - 86_399;
    let mut text = format!(
        "<feedback><report_metadata><org_name>example.net</org_name><email>r@example.net</email><report_id>1</report_id>\
         <date_range><begin>{begin}</begin><end>{end}</end></date_range></report_metadata><policy_published>\
         <domain>example.com</domain><p>none</p></policy_published>"
    );
    for number in 1..=count {
        text += &format!(
            "<record><row><source_ip>10.0.{}.{}</source_ip><count>70</count><policy_evaluated>\
             <disposition>none</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row><identifiers>\
             <header_from>example.com</header_from></identifiers><auth_results><spf><domain>s{number}.example</domain>\
             <result>pass</result></spf></auth_results></record>",
            number / 256,
            number % 256
        );
    }
    work.write("report.xml", text + "</feedback>");
    assert_eq!(work.run(["ingest", "report.xml"]).code, Some(0));
    work
}

const ZONE: &str = "10.0.0.1 PTR mx1.example.net\nmx1.example.net A 10.0.0.1\n10.0.0.2 PTR mx1.example.net\nexample.net A 192.0.2.1\n\
                    4.0.0.10.in-addr.arpa SERVFAIL\n";

fn summary(work: &WorkDir, format: &str) -> String {
    let width: &[&str] = if format == "text" { &["--width", "200"] } else { &[] };
    work.run([&["summary", "--last", "7d", "--format", format], width].concat()).quiet()
}

#[test]
fn summary_and_export_use_the_names_if_there_are_any() {
    let work = with_sources(4);
    let before = summary(&work, "text");
    assert!(!before.contains("mx1.example.net") && !before.contains("confirmed"), "{before}");
    work.run(["export", "--out", "bare"]).quiet();
    assert!(!work.path("bare/sources").exists());

    let server = Scripted::start(ZONE);
    let address = server.address.to_string();
    let done = work.run(["enrich", "--server", &address]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (
            Some(0),
            "4 sources looked up: 1 with a confirmed name, 1 with an unconfirmed one, 1 without a name, 1 failed; \
             0 already known\n"
        ),
        "{done:#?}"
    );
    for format in ["text", "markdown", "html"] {
        let shown = summary(&work, format);
        let flat = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains("mx1.example.net, confirmed"), "{format}: {shown}");
        assert!(flat.contains("mx1.example.net, not confirmed"), "{format}: {shown}");
    }
    let json: serde_json::Value = serde_json::from_str(&summary(&work, "json")).unwrap();
    let of = |address: &str| {
        let sources = json["sources"].as_array().unwrap();
        sources.iter().find(|source| source["source_ip"] == address).cloned().unwrap()
    };
    assert_eq!((&of("10.0.0.1")["name"], &of("10.0.0.1")["name_confirmed"]), (&"mx1.example.net".into(), &true.into()));
    assert_eq!(of("10.0.0.2")["name_confirmed"], false);
    assert_eq!((of("10.0.0.3").get("name"), of("10.0.0.4").get("name")), (None, None));
    let explained = work.run(["summary", "--last", "7d", "--explain", "10.0.0.1"]).quiet();
    assert!(
        explained.starts_with("10.0.0.1 (s1.example, by signature or return path; mx1.example.net, confirmed), "),
        "{explained}"
    );

    work.run(["export", "--out", "lake"]).quiet();
    let bytes = std::fs::read(work.path("lake/sources/sources.parquet")).unwrap();
    assert!(bytes.starts_with(b"PAR1"));
    let held = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!([&b"source_ip"[..], b"confirmed", b"looked_up", b"dmarquet.sources"].into_iter().all(held));
    assert_eq!(work.run(["rebuild"]).code, Some(0));
    assert!(summary(&work, "text").contains("mx1.example.net"), "a rebuild keeps the names");
}

#[test]
fn a_run_that_is_killed_halfway_continues_and_looks_nothing_up_twice() {
    const COUNT: u32 = 1000;
    let work = with_sources(COUNT);
    let server = Scripted::start("example A 192.0.2.1\n");
    let address = server.address.to_string();
    let mut first = work
        .command(["enrich", "--server", &address, "--rate", "400"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while server.names.lock().unwrap().len() < 450 && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(10));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let sources = || -> Vec<String> {
        let names = server.names.lock().unwrap();
        names.iter().filter(|name| name.ends_with(".in-addr.arpa")).cloned().collect()
    };
    let kept = sources().len();
    assert!((300..COUNT as usize).contains(&kept), "{kept}");

    let done = work.run(["enrich", "--server", &address, "--rate", "10000"]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    let (names, all) = (sources(), server.names.lock().unwrap().len());
    let asked: BTreeSet<&String> = names.iter().collect();
    assert_eq!(asked.len(), COUNT as usize);
    let known: usize =
        done.stdout.rsplit("; ").next().and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
    // What the ledger had was not asked again; of what was under way at the kill nobody has the answers.
    assert_eq!(names.len(), kept + COUNT as usize - known, "{}", done.stdout);
    assert!(known >= 200 && kept - known <= 200, "{known} kept of {kept}");
    let third = work.run(["enrich", "--server", &address]);
    assert!(third.stdout.ends_with("; 1,000 already known\n"), "{third:#?}");
    assert_eq!(server.names.lock().unwrap().len(), all, "what services publish holds for a day");
}

#[test]
fn without_dns_the_run_says_so_and_names_stay_unknown() {
    let work = with_sources(2);
    let server = Scripted::start("1.0.0.10.in-addr.arpa REFUSED\n2.0.0.10.in-addr.arpa REFUSED\n");
    let done = work.run(["enrich", "--server", &server.address.to_string()]);
    assert_eq!(done.code, Some(2), "{done:#?}");
    assert!(!summary(&work, "text").contains("confirmed"));
    assert_eq!(work.run(["enrich", "--server", "resolver.example"]).code, Some(2), "no address");
    let empty = WorkDir::new().run(["enrich", "--server", &server.address.to_string()]);
    assert_eq!(empty.code, Some(0), "{empty:#?}");
}

#[test]
fn a_known_service_is_named_beside_its_address_and_the_users_file_adds_more() {
    let work = with_sources(2);
    work.write("home/.config/dmarquet/config.toml", "senders = \"senders.toml\"\n");
    work.write("home/.config/dmarquet/senders.toml", "[[sender]]\nname = \"Our CRM\"\nbounce = [\"s2.example\"]\n");
    let text = summary(&work, "text");
    assert!(text.contains("Our CRM, by signature or return path, s2.example"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&summary(&work, "json")).unwrap();
    let services: Vec<&str> =
        json["senders"].as_array().unwrap().iter().filter_map(|sender| sender["service"].as_str()).collect();
    assert_eq!(services, ["Our CRM"]);
    work.write("home/.config/dmarquet/senders.toml", "[[sender]]\nname = \"Our CRM\"\n");
    let done = work.run(["summary"]);
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr.contains("senders.toml line 2: sender 1: name: expected at least one of dkim"),
        "{}",
        done.stderr
    );
}

/// Databases with the fields of `GeoLite2-ASN` and `GeoLite2-Country`, and one with those of other providers.
fn databases(work: &WorkDir) {
    let system = |number, name| {
        let name = ("autonomous_system_organization", Value::Text(name));
        Value::Map(vec![("autonomous_system_number", Value::Number(number)), name])
    };
    let systems = [
        ("10.0.0.0/31", system(64_500, "EXAMPLE-AS")),
        ("10.0.0.2/32", system(64_501, "A name that is longer than thirty characters")),
        ("2001:db8::/32", system(64_502, "SIX")),
    ];
    work.write("asn.mmdb", mmdb::database(&systems));
    let country = |code| Value::Map(vec![("country", Value::Map(vec![("iso_code", Value::Text(code))]))]);
    work.write("country.mmdb", mmdb::database(&[("10.0.0.0/30", country("DE"))]));
    let other = Value::Map(vec![
        ("asn", Value::Text("AS64503")),
        ("as_name", Value::Text("OTHER")),
        ("country", Value::Text("Germany")),
        ("country_code", Value::Text("de")),
    ]);
    work.write("other.mmdb", mmdb::database(&[("10.0.0.4/32", other)]));
}

#[test]
fn the_networks_of_the_sources_come_from_the_users_own_files() {
    let work = with_sources(4);
    databases(&work);
    work.write("home/.config/dmarquet/config.toml", "geoip = [\"../../../asn.mmdb\", \"../../../country.mmdb\"]\n");
    let server = Scripted::start(ZONE);
    let address = server.address.to_string();
    work.run(["enrich", "--server", &address]).quiet();
    let network = |address: &str| {
        let json: serde_json::Value = serde_json::from_str(&summary(&work, "json")).unwrap();
        let sources = json["sources"].as_array().unwrap();
        sources.iter().find(|source| source["source_ip"] == address).unwrap().get("network").cloned()
    };
    let known = |asn: u32, name: &str| serde_json::json!({"asn": asn, "as_name": name, "country": "DE"});
    assert_eq!(network("10.0.0.1"), Some(known(64_500, "EXAMPLE-AS")));
    assert_eq!(network("10.0.0.2"), Some(known(64_501, "A name that is longer than thirty characters")));
    assert_eq!(network("10.0.0.3"), Some(serde_json::json!({"asn": null, "as_name": null, "country": "DE"})));
    assert_eq!(network("10.0.0.4"), None);
    let explained = |address: &str| {
        let text = work.run(["summary", "--last", "7d", "--width", "200", "--explain", address]).quiet();
        text.lines().next().unwrap().to_owned()
    };
    let first = explained("10.0.0.1");
    assert!(
        first.starts_with(
            "10.0.0.1 (s1.example, by signature or return path; mx1.example.net, confirmed; AS64500 EXAMPLE-AS, DE), "
        ),
        "{first}"
    );
    assert!(
        explained("10.0.0.3").starts_with("10.0.0.3 (s3.example, by signature or return path; DE), "),
        "{}",
        explained("10.0.0.3")
    );

    work.run(["enrich", "--server", &address, "--geoip", "other.mmdb"]).quiet();
    assert_eq!(network("10.0.0.4"), Some(known(64_503, "OTHER")));
    assert_eq!(network("10.0.0.1"), None, "the newest word on an address holds");
    assert_eq!(work.run(["rebuild"]).code, Some(0));
    assert_eq!(network("10.0.0.4"), Some(known(64_503, "OTHER")));
}

#[test]
fn a_broken_database_is_an_error_that_names_it() {
    let work = with_sources(2);
    databases(&work);
    let server = Scripted::start(ZONE);
    let address = server.address.to_string();
    let whole = std::fs::read(work.path("asn.mmdb")).unwrap();
    work.write("cut.mmdb", &whole[..whole.len() / 2]);
    work.write("empty.mmdb", "");
    work.write("text.mmdb", "not a database");
    for name in ["cut.mmdb", "empty.mmdb", "text.mmdb", "missing.mmdb"] {
        let done = work.run(["enrich", "--server", &address, "--geoip", name]);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{done:#?}");
        assert!(done.stderr.starts_with(&format!("error: geoip: {name}: ")), "{}", done.stderr);
    }
    assert!(server.names.lock().unwrap().is_empty(), "before anything is asked");
}

#[test]
fn another_engine_reads_the_exported_sources() {
    let Some(python) = python() else { return };
    let work = with_sources(4);
    databases(&work);
    let server = Scripted::start(ZONE);
    let address = server.address.to_string();
    work.run(["enrich", "--server", &address, "--geoip", "asn.mmdb", "--geoip", "country.mmdb"]).quiet();
    work.run(["export", "--out", "lake"]).quiet();
    let query = "import duckdb, json, sys\n\
                 rows = duckdb.sql(\"\"\"SELECT source_ip, host_name, confirmed, asn, as_name, country, sum(count) AS messages, \
                 typeof(any_value(looked_up)) FROM 'lake/records/**/*.parquet' LEFT JOIN 'lake/sources/sources.parquet' \
                 USING (source_ip) GROUP BY ALL ORDER BY source_ip\"\"\").fetchall()\n\
                 print(json.dumps([[int(x) if k == 6 else x for k, x in enumerate(row)] for row in rows]))";
    let done = std::process::Command::new(python).args(["-c", query]).current_dir(work.path("")).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let rows: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let time = "TIMESTAMP WITH TIME ZONE";
    let name = "A name that is longer than thirty characters";
    let expected = serde_json::json!([
        ["10.0.0.1", "mx1.example.net", true, 64_500, "EXAMPLE-AS", "DE", 70, time],
        ["10.0.0.2", "mx1.example.net", false, 64_501, name, "DE", 70, time],
        ["10.0.0.3", null, false, null, null, "DE", 70, time],
        ["10.0.0.4", null, null, null, null, null, 70, time],
    ]);
    assert_eq!(rows, expected);
}
