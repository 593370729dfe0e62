//! TLS reports through the program: each result type occurs once and is reported in every format; without TLS reports
//! nothing mentions TLS.

use crate::workdir::{WorkDir, samples};
use serde_json::{Value, json};

/// A result type, its policy, and what the output must say about it.
const PLANTED: [(&str, &str, &str); 12] = [
    ("starttls-not-supported", "sts", "Enable STARTTLS on port 25"),
    ("certificate-host-mismatch", "sts", "for the host name in the MX record"),
    ("certificate-expired", "sts", "Renew it"),
    ("certificate-not-trusted", "sts", "from a public authority"),
    ("validation-failure", "sts", "Look at the reason codes"),
    ("tlsa-invalid", "tlsa", "Publish the digest of the key in use"),
    ("dnssec-invalid", "tlsa", "DS record"),
    ("dane-required", "tlsa", "ask the sender not to require DANE"),
    ("sts-policy-fetch-error", "sts", "with status 200, without a redirect"),
    ("sts-policy-invalid", "sts", "Correct the file"),
    ("sts-webpki-invalid", "sts", "Renew or replace the certificate of mta-sts."),
    ("quantum-handshake-lost", "sts", "a reason that RFC 8460 does not define"),
];

/// A report of one day about a domain that no other report is about.
fn report(day: &str, number: usize, (result, kind): (&str, &str), failed: usize) -> Value {
    let details = json!([{
        "result-type": result, "sending-mta-ip": "192.0.2.25", "receiving-mx-hostname": format!("mx.d{number}.example"),
        "failed-session-count": failed, "failure-reason-code": "X_1",
    }]);
    json!({
        "organization-name": "Reporter Example", "contact-info": "tls@reporter.example", "report-id": format!("{day}-{number}"),
        "date-range": { "start-datetime": format!("{day}T00:00:00Z"), "end-datetime": format!("{day}T23:59:59Z") },
        "policies": [{
            "policy": { "policy-type": kind, "policy-domain": format!("d{number}.example"),
                        "policy-string": ["version: STSv1", "mode: enforce"] },
            "summary": { "total-successful-session-count": 90, "total-failure-session-count": failed },
            "failure-details": if failed > 0 { details } else { json!([]) },
        }],
    })
}

fn with_reports() -> WorkDir {
    let work = WorkDir::new();
    for (number, (result, kind, _)) in PLANTED.into_iter().enumerate() {
        work.write(format!("in/a{number}.json"), report("2026-11-10", number, (result, kind), 0).to_string());
        work.write(format!("in/b{number}.json"), report("2026-11-18", number, (result, kind), number + 10).to_string());
    }
    let done = work.run(["ingest", "in", "--format", "json"]);
    assert_eq!(done.json()["stored"]["tls_reports"], 2 * PLANTED.len(), "{done:?}");
    work
}

#[test]
fn monitoring_covers_customers_and_domains_with_tls_reports_only() {
    let work = with_reports();
    let customer = "[[customer]]\nname = \"Birch\"\ndomains = [\"d1.example\"]\n";
    work.write("c.toml", customer);
    let status = |more: &[&str]| work.run([&["status", "--config", "c.toml", "--customer", "Birch"], more].concat());
    assert_eq!(status(&["--max-age", "1d"]).quiet(), "", "the reports just arrived");
    assert_eq!(status(&["--by-domain", "--max-age", "100y"]).quiet(), "");
    let late = status(&["--by-domain", "--max-age", "1d"]);
    assert_eq!(late.code, Some(1), "{late:#?}");
    assert!(late.stderr.contains("no TLS report in the last 1 day; the last one on 2026-11-18 23:59 UTC"), "{late:#?}");
    let overview =
        work.run(["summary", "--overview", "--config", "c.toml", "--week", "2026-W47", "--format", "json"]).json();
    let row = |name: &str| {
        overview["domains"].as_array().unwrap().iter().find(|row| row["policy_domain"] == name).unwrap().clone()
    };
    assert_eq!(
        (&row("d1.example")["last_report"], &row("d1.example")["last_tls_report"]),
        (&Value::Null, &json!("2026-11-18"))
    );
    work.write("c.toml", customer.replace("d1.example", "d99.example"));
    assert!(status(&["--max-age", "100y"]).stderr.contains("there has never been one"));
}

#[test]
fn ongoing_tls_reports_do_not_hide_that_dmarc_reports_stopped() {
    let work = with_reports();
    let age = |now: &str| {
        let metrics = work.run(["metrics", "--now", now]).quiet();
        metrics.lines().any(|line| line.starts_with("dmarquet_newest_report_timestamp_seconds "))
    };
    assert!(age("2026-11-23T06:00:00Z"), "a store with TLS reports only has an age, too");
    let stopped = |max_age: &str| work.run(["status", "--max-age", max_age]);
    assert_eq!(stopped("1d").quiet(), "", "the TLS reports are all it has, and just arrived");
    assert_eq!(work.run(["ingest", samples().to_str().unwrap()]).code, Some(0));
    assert_eq!(stopped("1d").quiet(), "");
    let ledger = rusqlite::Connection::open(work.path("store/ledger.sqlite")).unwrap();
    // As if the DMARC reports had come twenty days ago.
    ledger.execute("UPDATE reporters SET newest_arrival = newest_arrival - 20 * 86400000", []).unwrap();
    let late = stopped("10d");
    assert_eq!(late.code, Some(1), "{late:#?}");
    assert!(late.stderr.contains("store: no DMARC report in the last 10 days; the last one on"), "{late:#?}");
    assert_eq!(stopped("30d").quiet(), "");

    // A mailbox that works, by reports of either kind.
    let settings = "[[mailbox]]\nname = \"m\"\nhost = \"mail.example\"\nuser = \"u\"\npassword_file = \"password\"\n";
    work.write("c.toml", settings);
    ledger.execute_batch("CREATE TABLE IF NOT EXISTS heard(mailbox TEXT PRIMARY KEY, newest INTEGER)").unwrap();
    let now = jiff::Timestamp::now().as_millisecond();
    ledger.execute("INSERT INTO heard(mailbox, newest) VALUES ('m', ?1)", [now]).unwrap();
    let with_mailbox = || work.run(["status", "--config", "c.toml", "--max-age", "10d"]);
    let late = with_mailbox();
    assert!(late.code == Some(1) && late.stderr.contains("store: no DMARC report in the last 10 days"), "{late:#?}");
    ledger.execute("UPDATE tls_reports SET arrival = arrival - 20 * 86400000", []).unwrap();
    assert_eq!(with_mailbox().quiet(), "", "what it was heard by, the store had before");
}

#[test]
fn each_result_type_is_reported_with_its_host_its_first_day_and_what_to_do() {
    let work = with_reports();
    let summary = |form: &str| {
        let width: &[&str] = if form == "text" { &["--width", "200"] } else { &[] };
        work.run([&["summary", "--week", "2026-W47", "--format", form], width].concat()).quiet()
    };
    let told: Value = serde_json::from_str(&summary("json")).unwrap();
    let (text, markdown, html) = (summary("text"), summary("markdown"), summary("html"));
    for (number, (result, kind, todo)) in PLANTED.into_iter().enumerate() {
        let domain = format!("d{number}.example");
        let of_domain = told["tls"].as_array().unwrap().iter().find(|tls| tls["policy_domain"] == domain).unwrap();
        assert_eq!(of_domain["policy_type"], kind);
        assert_eq!(
            (&of_domain["successful_sessions"], &of_domain["failed_sessions"]),
            (&json!(90), &json!(number + 10))
        );
        assert_eq!(of_domain["before"]["failed_sessions"], 0);
        let cause = &of_domain["causes"][0];
        assert_eq!((&cause["result_type"], &cause["failed_sessions"]), (&json!(result), &json!(number + 10)));
        assert_eq!((&cause["mx"], &cause["first_seen"]), (&json!([format!("mx.{domain}")]), &json!("2026-11-18")));
        assert_eq!((&cause["new"], &cause["reasons"]), (&json!(true), &json!(["X_1"])));
        assert!(cause["text"].as_str().unwrap().contains(todo), "{cause}");
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(&todo.replace("mta-sts.", "mta-sts.d")), "{result}: {text}");
        assert!(text.contains(&format!("mx.{domain}")) && markdown.contains(&domain), "{result}");
        assert!(html.contains(&domain), "{result}");
    }
    assert!(text.contains("new: since Wed, Nov 18") && text.contains("There are no DMARC reports"), "{text}");
    assert_eq!(told["tls"].as_array().unwrap().len(), PLANTED.len());

    let before = work.run(["summary", "--week", "2026-W46"]).quiet();
    assert!(before.contains("no policy") || !before.contains("Certificate expired"), "{before}");
    work.write("config.toml", "[smtp]\nfrom = \"dmarc@example.com\"\nsendmail = \"/bin/false\"\n");
    let week = ["--config", "config.toml", "summary", "--week", "2026-W47"];
    let mail = work.run([&week[..], &["--mail-to", "a@example.com", "--dry-run"]].concat());
    assert!(mail.stdout.contains("Subject: DMARC 2026-W47: TLS sessions failed"), "{mail:?}");
    let metrics = work.run(["metrics", "--now", "2026-11-23T06:00:00Z"]).quiet();
    let sample = "dmarquet_week_tls_sessions{policy_domain=\"d2.example\",policy_type=\"sts\",result=\"failure\"} 12";
    assert!(metrics.contains(sample), "{metrics}");
}

#[test]
fn a_check_says_what_tls_reports_show_and_a_site_has_it() {
    let work = with_reports();
    let server = crate::dns_servers::Scripted::start("d2.example MX 10 mx.d2.example\nmx.d2.example A 192.0.2.1\n");
    let dns = server.address.to_string();
    let check = |now: &str| work.run(["check", "d2.example", "--server", &dns, "--now", now]).stdout;
    let told = check("2026-11-23T06:00:00Z");
    assert!(told.contains("fault   seen.tls_failing  d2.example TLS"), "{told}");
    let said = "1 sender reported 12 failed sessions at mx.d2.example (certificate-expired), the last on 2026-11-18.";
    assert!(told.split_whitespace().collect::<Vec<_>>().join(" ").contains(said), "{told}");
    assert!(!check("2026-11-30T06:00:00Z").contains("seen.tls"), "after a week it may be repaired");

    let site = |now: &str| work.run(["site", "--out", "site", "--now", now]).stderr;
    site("2026-11-23T06:00:00Z");
    let week = || std::fs::read_to_string(work.path("site/weeks/2026-W47.html")).unwrap();
    assert!(week().contains("Certificate expired"));
    work.write("c.json", report("2026-11-19", 2, ("certificate-not-trusted", "sts"), 50).to_string());
    assert_eq!(work.run(["ingest", "c.json"]).code, Some(0));
    site("2026-11-23T06:00:00Z");
    assert!(week().contains(">62<"), "a week is written again when a TLS report comes");
}

#[test]
fn a_domain_that_only_tls_reports_are_about_has_its_page_and_its_place() {
    let work = with_reports();
    let now = ["--now", "2026-11-23T06:00:00Z"];
    work.run([&["site", "--out", "site"][..], &now].concat());
    let read = |name: &str| std::fs::read_to_string(work.path(format!("site/{name}"))).unwrap();
    let page = read("domains/d2.example.html");
    assert!(page.contains("There are no DMARC reports about this domain"), "{page}");
    assert!(page.contains("Fails at mx.d2.example") && page.contains("Certificate expired at mx.d2.example"), "{page}");
    let told: Value = serde_json::from_str(&read("domains/d2.example.json")).unwrap();
    let weeks: Vec<_> = told["tls"].as_array().unwrap().iter().map(|line| (&line["week"], &line["failed"])).collect();
    assert_eq!(weeks, [(&json!("2026-W47"), &json!("12")), (&json!("2026-W46"), &json!("0"))]);
    assert_eq!((&told["latest"], &told["latest_week"]), (&Value::Null, &json!("2026-W47")));
    assert!(read("weeks/2026-W47.html").contains("href=\"../domains/d2.example.html\""));
    let index = read("index.html");
    assert!(index.contains("12 domains, the worst first; last, 12 domains with TLS reports only"), "{index}");
    assert!(index.contains("href=\"domains/d2.example.html\""), "{index}");
    let listed: Value = serde_json::from_str(&read("index.json")).unwrap();
    let entry = listed["domains"].as_array().unwrap().iter().find(|entry| entry["domain"] == "d2.example").unwrap();
    let why = json!("TLS (MTA-STS, enforce): Fails at mx.d2.example");
    assert_eq!((&entry["state"], &entry["why"], &entry["mark"]), (&json!("No DMARC reports"), &why, &json!("fix")));

    // A customer's archive and status have those of the customer's domains alone.
    work.write("config.toml", "[[customer]]\nname = \"Grove\"\ndomains = [\"d2.example\", \"d3.example\"]\n");
    let of_grove = ["--config", "config.toml", "--customer", "Grove"];
    work.run([&["site", "--out", "grove"][..], &now, &of_grove].concat());
    let pages = std::fs::read_dir(work.path("grove/domains")).unwrap().map(|page| page.unwrap().file_name());
    let mut pages: Vec<_> = pages.map(|name| name.into_string().unwrap()).collect();
    pages.sort();
    assert_eq!(pages, ["d2.example.html", "d2.example.json", "d3.example.html", "d3.example.json"]);
    let status = |more: &[&str]| work.run([&["status", "--format", "json"], more].concat()).json();
    assert_eq!((&status(&[])["tls_reports"], &status(&of_grove)["tls_reports"]), (&json!(24), &json!(4)));
    assert_eq!(status(&[])["reports"], 0);
    let text = work.run(["status"]).quiet();
    assert!(text.contains("\nTLS        24 reports, the newest "), "{text}");
}

#[test]
fn a_folder_of_parquet_files_has_the_tls_of_its_store() {
    let work = with_reports();
    work.run(["export", "--out", "lake"]).quiet();
    let week = ["summary", "--week", "2026-W47", "--format", "json"];
    for domains in [&[][..], &["--domain", "d2.example"], &["--domain", "d2.example", "--domain", "d5.example"]] {
        let of_store = work.run([&week[..], domains].concat()).json();
        let of_folder = work.run([&week[..], domains, &["--records", "lake"]].concat()).json();
        let expected = if domains.is_empty() { PLANTED.len() } else { domains.len() / 2 };
        assert_eq!(of_store["tls"].as_array().unwrap().len(), expected);
        assert_eq!(of_folder["tls"], of_store["tls"], "{domains:?}");
        assert_eq!(of_folder["quality"]["tls_unverified_reports"], of_store["quality"]["tls_unverified_reports"]);
    }
    let status = |more: &[&str]| work.run([&["status", "--format", "json"], more].concat()).json();
    let of_folder = status(&["--records", "lake"]);
    assert_eq!(of_folder["tls_reports"], 24);
    assert_eq!(of_folder["newest_tls_arrival"], status(&[])["newest_tls_arrival"]);
    // A folder that a program without these tables wrote has none.
    std::fs::remove_dir_all(work.path("lake/tls_reports")).unwrap();
    std::fs::remove_dir_all(work.path("lake/tls_failures")).unwrap();
    assert_eq!(work.run([&week[..], &["--records", "lake"]].concat()).json()["tls"], json!([]));
    assert_eq!(status(&["--records", "lake"])["tls_reports"], 0);
}

#[test]
fn without_tls_reports_nothing_of_tls_shows() {
    let work = WorkDir::new();
    for form in ["text", "markdown", "html", "csv"] {
        let told = work.run(["summary", samples().to_str().unwrap(), "--week", "2026-W40", "--format", form]).stdout;
        assert!(!told.contains("TLS"), "{form}: {told}");
    }
}
