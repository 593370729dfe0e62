//! A store that the program of commit 2067f6b made (version 2): what later versions added works in it, and a rebuild keeps
//! it. Whoever adds a table finds out here whether an old store gets it.

use crate::dns_servers::Scripted;
use crate::support::{copy_folder, numbered_report};
use crate::workdir::{WorkDir, repository};
use std::collections::BTreeMap;

const TLS_REPORT: &str = r#"{"organization-name": "Reporter", "contact-info": "tls@example.net", "report-id": "tls-1",
"date-range": {"start-datetime": "2026-11-17T00:00:00Z", "end-datetime": "2026-11-17T23:59:59Z"},
"policies": [{"policy": {"policy-type": "sts", "policy-domain": "example.com"},
"summary": {"total-successful-session-count": 9, "total-failure-session-count": 2},
"failure-details": [{"result-type": "certificate-expired", "sending-mta-ip": "192.0.2.1", "failed-session-count": 2}]}]}"#;
/// The tables of an export, each with rows.
const TABLES: [&str; 8] = ["dns", "domains", "records", "reports", "senders", "sources", "tls_failures", "tls_reports"];

fn old_store() -> WorkDir {
    let work = WorkDir::new();
    copy_folder(&repository().join("tests/store-2"), &work.path("store"));
    work.write("home/.config/dmarquet/config.toml", "domains = [\"example.com\"]\n");
    work
}

/// The rows of every table, sorted.
fn tables(work: &WorkDir, out: &str) -> BTreeMap<String, Vec<String>> {
    work.run(["export", "--format", "ndjson", "--out", out]).quiet();
    let files = std::fs::read_dir(work.path(out)).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|ending| ending == "ndjson"))
        .map(|path| {
            let mut rows: Vec<String> = std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
            rows.sort_unstable();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), rows)
        })
        .collect()
}

#[test]
fn a_store_of_version_2_grows_the_tables_of_today_and_is_rebuilt_with_them() {
    let work = old_store();
    let before = tables(&work, "before");
    work.write("new/tls.json", TLS_REPORT);
    work.write("new/report.xml", numbered_report(1, 1_795_392_000));
    let upgraded = work.run(["ingest", "new"]);
    assert_eq!(upgraded.code, Some(0), "{upgraded:?}");
    assert!(upgraded.stderr.contains("was upgraded from version 2 to "), "{upgraded:?}");
    let dns = Scripted::start("_dmarc.example.com TXT v=DMARC1; p=none\n");
    let server = dns.address.to_string();
    for args in
        [&["check", "--all", "--server", &server][..], &["enrich", "--weeks", "520", "--server", &server], &["alert"]]
    {
        let done = work.run(args);
        assert!(matches!(done.code, Some(0 | 1)), "{done:?}");
    }
    let after = tables(&work, "after");
    for table in TABLES.iter().filter(|table| **table != "reports") {
        assert!(after.get(*table).is_some_and(|rows| !rows.is_empty()), "{table}: {:?}", after.keys());
    }
    assert!(
        before["records"].iter().all(|row| after["records"].contains(row)),
        "rows that were there are as they were"
    );
    work.run(["export", "--out", "lake"]).quiet();
    for table in TABLES {
        assert!(work.path("lake").join(table).is_dir(), "{table}");
    }
    let done = work.run(["rebuild"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(tables(&work, "rebuilt"), after);
    assert_eq!(work.run(["verify"]).code, Some(0));
}

#[test]
fn a_store_of_a_newer_program_is_refused_by_every_command_and_left_as_it_is() {
    let work = old_store();
    work.write("new/report.xml", numbered_report(1, 1_795_392_000));
    work.run(["ingest", "new"]);
    let ledger = work.path("store/ledger.sqlite");
    let newer = rusqlite::Connection::open(&ledger).unwrap();
    let version: i64 = newer.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    newer.execute_batch(&format!("PRAGMA user_version = {}", version + 1)).unwrap();
    drop(newer);
    let bytes = std::fs::read(&ledger).unwrap();
    for args in [
        &["status"][..],
        &["summary"],
        &["verify"],
        &["export", "--format", "ndjson"],
        &["ingest", "new"],
        &["compact"],
        &["rebuild"],
        &["prune", "--keep", "20y"],
        &["backup", "copy"],
        &["rejected", "retry"],
        &["alert"],
        &["ack", "0", "--note", "seen"],
    ] {
        let done = work.run(args);
        assert_eq!(done.code, Some(2), "{args:?}: {done:?}");
        let said = format!("expected version {version} or older, found version {}", version + 1);
        assert!(
            done.stderr.contains("a newer dmarquet wrote this data folder") && done.stderr.contains(&said),
            "{done:?}"
        );
    }
    assert!(bytes == std::fs::read(&ledger).unwrap(), "the ledger is as it was");
}
