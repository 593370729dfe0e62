//! Two reports with the same key: which one counts, in any order, in one run or several, and after a rebuild.

use crate::workdir::WorkDir;

/// A row of this many messages from an address.
fn row(ip: u32, count: u32) -> String {
    format!(
        "<record><row><source_ip>192.0.2.{ip}</source_ip><count>{count}</count><policy_evaluated><disposition>none</disposition>\
         <dkim>fail</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from>\
         </identifiers><auth_results><spf><domain>example.com</domain><result>fail</result></spf></auth_results></record>"
    )
}

fn report(id: &str, rows: &[(u32, u32)]) -> String {
    let rows: String = rows.iter().map(|(ip, count)| row(*ip, *count)).collect();
    format!(
        "<feedback><report_metadata><org_name>example.net</org_name><email>reporter@example.net</email>\
         <report_id>{id}</report_id><date_range><begin>1794873600</begin><end>1794959999</end></date_range>\
         </report_metadata><policy_published><domain>example.com</domain><p>none</p></policy_published>{rows}</feedback>"
    )
}

/// A mail with a report, with these results recorded by your server.
fn mail(work: &WorkDir, name: &str, recorded: &str, id: &str, rows: &[(u32, u32)]) {
    let text = format!(
        "Authentication-Results: mx.example.com; dmarc={recorded} header.from=example.net\r\nFrom: reporter@example.net\r\n\
         Message-ID: <{name}@example.net>\r\nSubject: Report\r\nContent-Type: text/xml\r\n\r\n{}\r\n",
        report(id, rows)
    );
    work.write(format!("{name}.eml"), text);
}

fn trusting() -> WorkDir {
    let work = WorkDir::new();
    work.write("home/.config/dmarquet/config.toml", "trusted_authserv_id = \"mx.example.com\"\n");
    work
}

/// The messages of each address.
fn sources(work: &WorkDir) -> Vec<(String, u64)> {
    let told = work.run(["summary", "--from", "2026-11-16", "--to", "2026-11-22", "--format", "json"]).json();
    let source = |source: &serde_json::Value| {
        (source["source_ip"].as_str().unwrap().to_owned(), source["messages"].as_u64().unwrap())
    };
    let mut found: Vec<_> = told["sources"].as_array().unwrap().iter().map(source).collect();
    found.sort();
    found
}

fn conflicts(work: &WorkDir) -> Vec<serde_json::Value> {
    work.run(["rejected", "list", "--conflicts", "--format", "json"]).json().as_array().unwrap().clone()
}

/// The store verifies, and a rebuild changes nothing.
fn check(work: &WorkDir, expected: &[(&str, u64)], number: usize) {
    let expected: Vec<(String, u64)> = expected.iter().map(|(ip, count)| ((*ip).to_owned(), *count)).collect();
    let listed = |work: &WorkDir| {
        let mut files: Vec<String> = conflicts(work).iter().map(|entry| entry["file"].to_string()).collect();
        files.sort();
        files
    };
    assert_eq!(sources(work), expected);
    assert_eq!(conflicts(work).len(), number);
    let verified = work.run(["verify"]);
    assert_eq!(verified.code, Some(0), "{verified:#?}");
    let (before, status) = (listed(work), work.run(["status", "--format", "json"]).json());
    let rebuilt = work.run(["rebuild"]);
    assert_eq!(rebuilt.code, Some(0), "{rebuilt:#?}");
    assert_eq!((sources(work), listed(work)), (expected, before), "after a rebuild");
    let again = work.run(["status", "--format", "json"]).json();
    for key in ["reports", "records", "messages", "dmarc_pass", "conflicts"] {
        assert_eq!(again[key], status[key], "{key}");
    }
    let verified = work.run(["verify"]);
    assert_eq!(verified.code, Some(0), "{verified:#?}");
}

#[test]
fn an_authentic_report_counts_whichever_came_first_in_one_run_or_in_two() {
    for recorded in ["fail", "none", "temperror"] {
        for names in [["forged", "genuine"], ["genuine", "forged"]] {
            for together in [true, false] {
                let work = trusting();
                mail(&work, "forged", recorded, "1", &[(66, 9)]);
                mail(&work, "genuine", "pass", "1", &[(7, 5000), (8, 1)]);
                mail(&work, "other", "pass", "2", &[(9, 3)]);
                work.run(["ingest", "other.eml"]);
                let paths = names.map(|name| format!("{name}.eml"));
                if together {
                    let tally = work.run(["ingest", &paths[0], &paths[1], "--format", "json"]).json();
                    assert_eq!((&tally["items"], &tally["conflicts"]), (&2.into(), &1.into()), "{tally}");
                    let stored = &tally["stored"];
                    assert_eq!((&stored["reports"], &stored["messages"]), (&1.into(), &5001.into()), "{tally}");
                } else {
                    work.run(["ingest", &paths[0]]);
                    let done = work.run(["ingest", &paths[1], "--format", "json"]);
                    let replaced = if names[0] == "forged" { serde_json::json!(1) } else { serde_json::Value::Null };
                    assert_eq!(done.json()["replaced"], replaced, "{done:#?}");
                }
                check(&work, &[("192.0.2.7", 5000), ("192.0.2.8", 1), ("192.0.2.9", 3)], 1);
                // Again, both: nothing changes.
                work.run(["ingest", "forged.eml", "genuine.eml"]);
                assert_eq!(conflicts(&work).len(), 1, "{recorded} {names:?} {together}");
            }
        }
    }
}

#[test]
fn between_equals_only_the_whole_replaces_a_part() {
    for order in [["part.xml", "whole.xml"], ["whole.xml", "part.xml"]] {
        let work = WorkDir::new();
        work.write("part.xml", report("1", &[(1, 2), (2, 3)]));
        work.write("whole.xml", report("1", &[(1, 2), (2, 3), (3, 4)]));
        work.write("less.xml", report("1", &[(1, 2), (3, 9), (4, 9), (5, 9)]));
        for path in order.iter().chain(&["less.xml"]) {
            work.run(["ingest", path]);
        }
        check(&work, &[("192.0.2.1", 2), ("192.0.2.2", 3), ("192.0.2.3", 4)], 2);
    }
}

#[test]
fn a_replaced_report_is_gone_from_exports_and_from_the_parts() {
    let work = trusting();
    mail(&work, "forged", "fail", "1", &[(66, 9)]);
    mail(&work, "kept", "pass", "2", &[(9, 3)]);
    mail(&work, "genuine", "pass", "1", &[(7, 5)]);
    work.run(["ingest", "forged.eml", "kept.eml"]);
    let parts = |work: &WorkDir| {
        let folder = std::fs::read_dir(work.path("store/records/month=2026-11")).unwrap();
        let mut names: Vec<String> =
            folder.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    let before = parts(&work);
    work.run(["ingest", "genuine.eml"]);
    let after = parts(&work);
    assert_eq!((before.len(), after.len()), (1, 2), "{before:?} {after:?}");
    assert!(!after.contains(&before[0]), "a part that is written anew has a new name: {after:?}");
    let rows = work.run(["export", "--format", "ndjson"]).quiet();
    assert!(rows.lines().count() == 2 && !rows.contains("192.0.2.66"), "{rows}");
    let period = ["summary", "--from", "2026-11-16", "--to", "2026-11-22"];
    let quality = work.run(period.iter().chain(&["--format", "json"])).json()["quality"].clone();
    assert_eq!((&quality["conflicts"], &quality["conflicting"][0]["report_id"]), (&1.into(), &"1".into()), "{quality}");
    let text = work.run(period).quiet();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("1 from example.net about example.com"), "{text}");
    check(&work, &[("192.0.2.7", 5), ("192.0.2.9", 3)], 1);
}

#[test]
fn a_promoted_report_counts_and_nothing_else_replaces_it() {
    let work = trusting();
    mail(&work, "first", "none", "1", &[(1, 1)]);
    mail(&work, "second", "none", "1", &[(2, 2)]);
    mail(&work, "third", "pass", "1", &[(3, 3)]);
    work.run(["ingest", "first.eml", "second.eml"]);
    let listed = conflicts(&work);
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    let done = work.run(["rejected", "promote", &id[..12]]);
    assert!(done.code == Some(0) && done.stdout.contains("counts now"), "{done:#?}");
    check(&work, &[("192.0.2.2", 2)], 1);
    work.run(["ingest", "third.eml"]);
    check(&work, &[("192.0.2.2", 2)], 2);
    let third = conflicts(&work).into_iter().find(|entry| entry["origin"].as_str().unwrap().contains("third")).unwrap();
    work.run(["rejected", "promote", third["id"].as_str().unwrap()]);
    check(&work, &[("192.0.2.3", 3)], 2);
    let done = work.run(["rejected", "promote", "ffff"]);
    assert!(done.code == Some(2) && done.stderr.contains("expected the id of a report in conflict"), "{done:#?}");
}

#[test]
fn ids_are_compared_by_case_and_copies_by_their_values() {
    let work = WorkDir::new();
    work.write("a.xml", report("aGVsbG8", &[(1, 1)]));
    work.write("b.xml", report("AGVsbG8", &[(2, 7)]));
    let spaced = report("aGVsbG8", &[(1, 1)]).replace("><", ">\n  <");
    work.write("c.xml", spaced);
    let tally = work.run(["ingest", "a.xml", "b.xml", "c.xml", "--format", "json"]).json();
    assert_eq!(
        (&tally["stored"]["reports"], &tally["duplicates"], &tally["conflicts"]),
        (&2.into(), &1.into(), &0.into())
    );
    let work = WorkDir::new();
    work.write("a.xml", report("1", &[(1, 1)]));
    work.write("c.xml", report("1", &[(1, 1)]).replace("><", ">\r\n\t<"));
    work.run(["ingest", "a.xml"]);
    let tally = work.run(["ingest", "c.xml", "--format", "json"]).json();
    assert_eq!((&tally["duplicates"], &tally["conflicts"]), (&1.into(), &0.into()), "{tally}");
}

#[test]
fn without_a_store_the_first_of_two_counts_with_a_warning() {
    let work = WorkDir::new();
    work.write("in/a.xml", report("r1", &[(1, 5)]));
    work.write("in/b.xml", report("r1", &[(1, 5), (2, 7)]));
    let done = work.run(["summary", "in"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let said = "1 report has the identity of another but different content; the first one counts";
    assert!(done.stderr.contains(said), "{}", done.stderr);
    let told = work.run(["summary", "in", "--format", "json"]).json();
    assert_eq!(told["totals"]["messages"], 5);
    // The store has the fuller one.
    work.run(["ingest", "in"]);
    assert_eq!(sources(&work), [("192.0.2.1".to_owned(), 5), ("192.0.2.2".to_owned(), 7)]);
}

#[test]
fn files_that_the_ledger_does_not_list_are_counted() {
    let work = WorkDir::new();
    work.write("a.xml", report("r1", &[(1, 5)]));
    work.write("broken.xml", "<feedback>");
    assert_eq!(work.run(["ingest", "a.xml", "broken.xml"]).code, Some(1));
    let status = || work.run(["status", "--format", "json"]).json();
    assert_eq!((&status()["rejected"], &status()["rejected_unlisted"]), (&1.into(), &0.into()));
    work.write("store/rejected/stray.bin", "left by an older ledger");
    assert_eq!((&status()["rejected"], &status()["rejected_unlisted"]), (&1.into(), &1.into()));
    let told = work.run(["status"]).stdout;
    assert!(told.contains("1 file in rejected/ not listed"), "{told}");
}

#[test]
fn conflicts_are_known_again_after_the_ledger_is_lost() {
    let work = WorkDir::new();
    let tls = |sessions: u32| {
        format!(
            "{{\"organization-name\": \"Reporter\", \"contact-info\": \"tls@example.net\", \"report-id\": \"tls-1\", \
             \"date-range\": {{\"start-datetime\": \"2026-11-17T00:00:00Z\", \"end-datetime\": \"2026-11-17T23:59:59Z\"}}, \
             \"policies\": [{{\"policy\": {{\"policy-type\": \"sts\", \"policy-domain\": \"example.com\"}}, \
             \"summary\": {{\"total-successful-session-count\": {sessions}, \"total-failure-session-count\": 0}}}}]}}"
        )
    };
    work.write("a.xml", report("1", &[(1, 1)]));
    work.write("a.json", tls(1));
    work.run(["ingest", "a.xml", "a.json"]).quiet();
    // One file with a conflict and a report that is none.
    work.write("b.xml", report("1", &[(1, 2)]) + &report("2", &[(1, 3)]));
    work.write("b.json", tls(2));
    work.run(["ingest", "b.xml", "b.json"]);
    let conflicts = |work: &WorkDir| {
        let listed = work.run(["rejected", "list", "--conflicts", "--format", "json"]).json();
        let mut ids: Vec<String> =
            listed.as_array().unwrap().iter().map(|conflict| conflict["id"].as_str().unwrap().to_owned()).collect();
        ids.sort_unstable();
        ids
    };
    let before = conflicts(&work);
    assert_eq!(before.len(), 2);
    for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = std::fs::remove_file(work.path("store").join(name));
    }
    let done = work.run(["rebuild"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(conflicts(&work), before);
    assert_eq!(work.run(["verify"]).code, Some(0));
    assert_eq!(work.run(["rejected", "promote", &before[0]]).code, Some(0));
    assert_eq!(work.run(["verify"]).code, Some(0));
}
