//! SMTP TLS reports: from mails and files to the tables, verified, rebuilt, pruned.

use super::verified::{key, signed};
use crate::dns_servers::Scripted;
use crate::support::copy_folder;
use crate::workdir::{WorkDir, repository};
use serde_json::{Value, json};
use std::path::Path;

/// A report of 100 sessions under MTA-STS, some of which failed.
fn report(id: &str, failed: u32) -> Value {
    json!({
        "organization-name": "Sender Example",
        "date-range": {"start-datetime": "2026-11-16T00:00:00Z", "end-datetime": "2026-11-16T23:59:59Z"},
        "contact-info": "tls@sender.example",
        "report-id": id,
        "policies": [{
            "policy": {"policy-type": "sts", "policy-domain": "Example.COM.", "mx-host": ["*.example.com"],
                "policy-string": ["version: STSv1", "mode: enforce"]},
            "summary": {"total-successful-session-count": 100 - failed, "total-failure-session-count": failed},
            "failure-details": [{"result-type": "certificate-expired", "sending-mta-ip": "[::ffff:192.0.2.7]",
                "receiving-mx-hostname": "MX.example.com", "receiving-ip": "2001:DB8::25%eth0",
                "failed-session-count": failed.to_string(), "failure-reason-code": "X509"}],
        }],
    })
}

/// A mail from `tls@FROM` with a report.
fn mail(report: &Value, from: &str) -> String {
    format!(
        "From: TLS reports <tls@{from}>\r\nTo: tls@example.com\r\nSubject: Report Domain: example.com\r\n\
         TLS-Report-Domain: example.com\r\nTLS-Report-Submitter: {from}\r\n\
         Content-Type: application/tlsrpt+json; name=\"{from}!example.com!1!2.json\"\r\n\r\n{report}\r\n"
    )
}

/// The rows of both tables.
fn rows(work: &WorkDir) -> [Vec<Value>; 2] {
    work.run(["export", "--format", "ndjson", "--out", "out"]).quiet();
    ["tls_reports", "tls_failures"].map(|table| lines(&work.path(format!("out/{table}.ndjson"))))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_report_is_stored_once_however_it_arrives_and_rebuilt() {
    let work = WorkDir::new();
    work.write("in/a.json", report("1", 3).to_string());
    work.write("in/b.eml", mail(&report("1", 3), "sender.example"));
    work.write("in/pretty.json", serde_json::to_string_pretty(&report("1", 3)).unwrap());
    work.write("in/other.json", report("1", 4).to_string());
    let tally = work.run(["ingest", "in", "--format", "json"]).json();
    assert_eq!(
        (&tally["stored"]["tls_reports"], &tally["duplicates"], &tally["conflicts"]),
        (&1.into(), &2.into(), &1.into())
    );
    assert_eq!((&tally["stored"]["reports"], &tally["set_aside"]["tls_rpt"]), (&0.into(), &0.into()));
    let [policies, failures] = rows(&work);
    let [policy] = &policies[..] else { panic!("{policies:#?}") };
    for (column, value) in [
        ("policy_domain", json!("example.com")),
        ("policy_type", json!("sts")),
        ("successful_sessions", json!(97)),
        ("failed_sessions", json!(3)),
        ("policy_strings", json!("version: STSv1\nmode: enforce")),
        ("mx_hosts", json!("*.example.com")),
        ("date", json!("2026-11-16")),
        ("period_begin", json!("2026-11-16T00:00:00Z")),
        ("sender_auth", json!("unknown")),
    ] {
        assert_eq!(policy[column], value, "{column}");
    }
    let [failure] = &failures[..] else { panic!("{failures:#?}") };
    for (column, value) in [
        ("result_type", "certificate-expired"),
        ("sending_mta_ip", "192.0.2.7"),
        ("receiving_mx_hostname", "mx.example.com"),
        ("receiving_ip", "2001:db8::25"),
        ("reason_code", "X509"),
    ] {
        assert_eq!(failure[column], value, "{column}");
    }
    assert_eq!(failure["failed_sessions"], 3);
    work.run(["rebuild"]).quiet();
    assert_eq!(rows(&work), [policies.clone(), failures.clone()]);
    assert_eq!(work.run(["verify"]).code, Some(0));
    let again = work.run(["ingest", "in", "--format", "json"]).json();
    assert_eq!((&again["stored"]["tls_reports"], &again["duplicates"]), (&0.into(), &4.into()));

    // The other one, by a person's word.
    let conflicts = work.run(["rejected", "list", "--conflicts", "--format", "json"]).json();
    let id = conflicts[0]["id"].as_str().unwrap().to_owned();
    work.run(["rejected", "promote", &id]).quiet();
    assert_eq!(rows(&work)[0][0]["failed_sessions"], 4);
    work.run(["rebuild"]).quiet();
    assert_eq!(rows(&work)[0][0]["failed_sessions"], 4, "a rebuild knows who was chosen");
    assert_eq!(work.run(["verify"]).code, Some(0));
}

#[test]
fn every_export_has_the_tables_with_rows_or_without() {
    let work = WorkDir::new();
    let dmarc = "<feedback><report_metadata><org_name>r</org_name><email>a@r.example</email><report_id>1</report_id>\
                 <date_range><begin>1794873600</begin><end>1794959999</end></date_range></report_metadata>\
                 <policy_published><domain>example.com</domain></policy_published></feedback>";
    work.write("in/a.xml", dmarc);
    work.run(["ingest", "in"]).quiet();
    let files = |format: &str, rows: usize| {
        let out = format!("{format}-{rows}");
        work.run(["export", "--format", format, "--out", &out]).quiet();
        ["tls_reports", "tls_failures"].map(|table| match format {
            "parquet" => {
                let month = if rows > 0 { "2026-11" } else { "1970-01" };
                work.path(format!("{out}/{table}/month={month}/{table}.parquet")).exists()
            }
            "ipc" => work.path(format!("{out}/{table}.arrow")).exists(),
            _ => {
                let text = std::fs::read_to_string(work.path(format!("{out}/{table}.{format}"))).unwrap();
                // A cell of CSV may hold a line end.
                let lines = text.lines().count();
                if format == "csv" { (lines > 1) == (rows > 0) } else { lines == rows }
            }
        })
    };
    for format in ["ndjson", "csv", "parquet", "ipc"] {
        assert_eq!(files(format, 0), [true; 2], "{format}");
    }
    work.write("in/b.json", report("1", 3).to_string());
    work.run(["ingest", "in"]).quiet();
    for format in ["ndjson", "csv", "parquet", "ipc"] {
        assert_eq!(files(format, 1), [true; 2], "{format}");
    }
    // What the second run brought, and that there is nothing after it.
    work.run(["export", "--since-run", "1", "--format", "ndjson", "--out", "new"]).quiet();
    assert_eq!(lines(&work.path("new/tls_reports.ndjson")).len(), 1);
    let run: Value = serde_json::from_str(&std::fs::read_to_string(work.path("new/run.json")).unwrap()).unwrap();
    work.run(["export", "--since-run", &run["run"].to_string(), "--format", "ndjson", "--out", "newer"]).quiet();
    assert_eq!(lines(&work.path("newer/tls_reports.ndjson")).len(), 0);
    // The same rows without a store, and of the domain alone that is asked for.
    let all = rows(&work);
    work.run([
        "convert",
        "in",
        "--format",
        "ndjson",
        "--tls-reports",
        "reports.ndjson",
        "--tls-failures",
        "failures.ndjson",
    ])
    .quiet();
    assert_eq!(lines(&work.path("failures.ndjson")), all[1]);
    assert_eq!(lines(&work.path("reports.ndjson"))[0]["report_key"], all[0][0]["report_key"]);
    let none = work.run(["export", "--format", "ndjson", "--out", "other", "--domain", "example.net"]);
    assert_eq!(none.code, Some(0));
    assert_eq!(lines(&work.path("other/tls_reports.ndjson")), Vec::<Value>::new());
}

#[test]
fn the_report_that_its_reporter_signed_counts() {
    let work = WorkDir::new();
    let (sender, record) = key("sender.example");
    let dns = Scripted::start(&record.replace("v=DKIM1;", "v=DKIM1; s=tlsrpt;"));
    let server = dns.address.to_string();
    let verify = ["--verify", "--server", &server, "--format", "json"];
    let ingest = |file: &str| work.run(["ingest", file].into_iter().chain(verify)).json();
    // Somebody else was first.
    work.write("forged.eml", mail(&report("1", 50), "sender.example"));
    let forged = ingest("forged.eml");
    assert_eq!(forged["stored"]["tls_reports"], 1);
    assert_eq!(rows(&work)[0][0]["sender_auth"], "none");
    work.write("true.eml", signed(&mail(&report("1", 3), "sender.example"), sender, "sender.example"));
    let tally = ingest("true.eml");
    assert_eq!((&tally["stored"]["tls_reports"], &tally["replaced"]), (&1.into(), &1.into()));
    let [policies, failures] = rows(&work);
    assert_eq!((policies.len(), failures.len()), (1, 1));
    assert_eq!((&policies[0]["sender_auth"], &policies[0]["failed_sessions"]), (&"pass".into(), &3.into()));
    let conflicts = work.run(["rejected", "list", "--conflicts", "--format", "json"]).json();
    assert_eq!(conflicts.as_array().unwrap().len(), 1);
    work.run(["rebuild"]).quiet();
    assert_eq!(rows(&work), [policies, failures]);
    assert_eq!(work.run(["verify"]).code, Some(0));
    assert_eq!(work.run(["rejected", "list", "--conflicts", "--format", "json"]).json(), conflicts);
}

#[test]
fn reports_that_an_earlier_version_rejected_are_read_by_a_rebuild() {
    // Versions put it in different words.
    for reason in ["payload is not XML, 9 bytes", "expected XML, found 9 bytes of something else"] {
        is_read_by_a_rebuild(reason);
    }
}

fn is_read_by_a_rebuild(reason: &str) {
    let work = WorkDir::new();
    work.write("bad.xml", "no report");
    assert_eq!(work.run(["ingest", "bad.xml"]).code, Some(1));
    // As an earlier version kept it: UTF-16 was no JSON to it.
    let text = report("1", 3).to_string();
    let bytes: Vec<u8> = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let hash = {
        use sha2::Digest as _;
        sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
    };
    let store = work.path("store");
    let file = format!("rejected/{hash}.bin");
    std::fs::write(store.join(&file), &bytes).unwrap();
    let ledger = rusqlite::Connection::open(store.join("ledger.sqlite")).unwrap();
    let sql = "INSERT INTO rejected SELECT unhex(?1), 'old.json', NULL, ?4, arrival, ingested, CAST(?2 AS INTEGER), ?3 \
               FROM rejected LIMIT 1";
    ledger.execute(sql, rusqlite::params![hash, bytes.len().to_string(), file, reason]).unwrap();
    drop(ledger);
    let rebuilt = work.run(["rebuild", "--format", "json"]);
    assert_eq!(rebuilt.json()["stored"]["tls_reports"], 1, "{rebuilt:?}");
    assert_eq!(rows(&work)[0].len(), 1);
    assert!(!store.join(&file).exists(), "it is stored now");
    assert_eq!(work.run(["verify"]).code, Some(0));
}

#[test]
fn reports_that_an_earlier_version_set_aside_are_read_when_they_arrive_again() {
    let work = WorkDir::new();
    copy_folder(&repository().join("tests/store-2"), &work.path("store"));
    // As that version noted a TLS report: by the start of the hash of its item, with nothing kept of it.
    let [file, mail] = [
        work.write("in/a.json", report("1", 3).to_string()),
        work.write("in/b.eml", mail(&report("2", 5), "sender.example")),
    ];
    let ledger = rusqlite::Connection::open(work.path("store/ledger.sqlite")).unwrap();
    for item in [&file, &mail] {
        let hash = blake3::hash(&std::fs::read(item).unwrap());
        let sql = "INSERT INTO seen VALUES (?1, 0, 1, 0, 0, 0, 0)";
        ledger.execute(sql, [&hash.as_bytes()[..16]]).unwrap();
    }
    drop(ledger);
    let again = work.run(["ingest", "in", "--format", "json"]).json();
    assert_eq!((&again["stored"]["tls_reports"], &again["duplicates"]), (&2.into(), &0.into()), "{again}");
    assert_eq!(rows(&work)[0].len(), 2);
    let third = work.run(["ingest", "in", "--format", "json"]).json();
    assert_eq!((&third["stored"]["tls_reports"], &third["duplicates"]), (&0.into(), &2.into()), "{third}");
    assert_eq!(work.run(["verify"]).code, Some(0));
}

#[test]
fn pruning_removes_rows_and_originals() {
    let work = WorkDir::new();
    let of_days_ago = |days: i64| {
        let end = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
        let start = end - jiff::SignedDuration::from_hours(24);
        let mut report = report("1", 3);
        report["date-range"] = json!({"start-datetime": start.to_string(), "end-datetime": end.to_string()});
        report.to_string()
    };
    work.write("in/a.json", of_days_ago(3));
    work.write("in/b.json", of_days_ago(800));
    assert_eq!(work.run(["ingest", "in", "--format", "json"]).json()["stored"]["tls_reports"], 2);
    let trial = work.run(["prune", "--keep", "6m", "--dry-run", "--format", "json"]).json();
    assert_eq!((&trial["reports"], rows(&work)[0].len()), (&1.into(), 2));
    assert_eq!(work.run(["prune", "--keep", "6m", "--format", "json"]).json()["reports"], 1);
    let [policies, failures] = rows(&work);
    assert_eq!((policies.len(), failures.len()), (1, 1));
    assert_eq!(work.run(["verify"]).code, Some(0));
    let again = work.run(["ingest", "in", "--format", "json"]).json();
    assert_eq!((&again["stored"]["tls_reports"], &again["duplicates"]), (&0.into(), &2.into()));
}
