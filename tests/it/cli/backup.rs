//! `backup` while a run writes, and restored data folders: complete, with an older ledger, with older files.

use crate::support::copy_folder;
use crate::workdir::{Done, WorkDir};
use serde_json::Value;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

fn report(number: u32) -> String {
    format!(
        "<feedback><report_metadata><org_name>Reporter</org_name><email>a@reporter.example</email>\
         <report_id>r{number}</report_id><date_range><begin>1795392000</begin><end>1795478399</end></date_range>\
         </report_metadata><policy_published><domain>example.com</domain><p>none</p></policy_published><record><row>\
         <source_ip>192.0.2.{}</source_ip><count>2</count><policy_evaluated><disposition>none</disposition>\
         <dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from>\
         </identifiers><auth_results><spf><domain>example.com</domain><result>fail</result></spf></auth_results></record></feedback>",
        number % 250
    )
}

/// A TLS report with a failure.
fn tls_report(number: u32) -> String {
    format!(
        "{{\"organization-name\":\"Reporter\",\"contact-info\":\"tls@reporter.example\",\"report-id\":\"t{number}\",\
         \"date-range\":{{\"start-datetime\":\"2026-11-23T00:00:00Z\",\"end-datetime\":\"2026-11-23T23:59:59Z\"}},\
         \"policies\":[{{\"policy\":{{\"policy-type\":\"sts\",\"policy-domain\":\"example.com\"}},\
         \"summary\":{{\"total-successful-session-count\":{number},\"total-failure-session-count\":2}},\
         \"failure-details\":[{{\"result-type\":\"certificate-expired\",\"failed-session-count\":2}}]}}]}}"
    )
}

/// The tables of TLS reports.
fn tls_tables(dir: &WorkDir, store: &str) -> [String; 2] {
    on(dir, store, &["export", "--format", "ndjson", "--out", "tables"]).quiet();
    ["tls_reports", "tls_failures"]
        .map(|table| std::fs::read_to_string(dir.path(format!("tables/{table}.ndjson"))).unwrap())
}

/// Ingests some reports, each in a run of its own.
fn ingest(dir: &WorkDir, numbers: std::ops::Range<u32>) {
    for number in numbers {
        dir.write(format!("in/{number}.xml"), report(number));
        dir.run(["ingest", &format!("in/{number}.xml"), "--quiet"]).quiet();
    }
}

fn on(dir: &WorkDir, store: &str, words: &[&str]) -> Done {
    dir.run(words.iter().copied().chain(["--store", store]))
}

fn reports(dir: &WorkDir, store: &str) -> u64 {
    on(dir, store, &["status", "--format", "json"]).json()["reports"].as_u64().unwrap()
}

#[test]
fn a_backup_is_brought_up_to_date_and_restores_whole() {
    let dir = WorkDir::new();
    ingest(&dir, 0..3);
    dir.write("in/broken.xml", "<feedback><report_metadata>");
    dir.run(["ingest", "in/broken.xml"]);
    let first = dir.run(["backup", "copy", "--format", "json"]).json();
    assert_eq!((first["damaged"].as_array().unwrap().len(), first["files"].clone()), (0, first["copied"].clone()));
    ingest(&dir, 3..5);
    dir.run(["compact"]).quiet();
    let second = dir.run(["backup", "copy", "--format", "json"]).json();
    assert!(second["copied"].as_u64() < second["files"].as_u64() || second["files"].as_u64() < Some(4), "{second}");
    assert_eq!(dir.run(["backup", "copy", "--format", "json"]).json()["copied"].as_u64(), Some(0));

    copy_folder(&dir.path("copy"), &dir.path("restored"));
    std::fs::remove_file(dir.path("restored/backup-of")).unwrap();
    assert_eq!(reports(&dir, "restored"), 5);
    on(&dir, "restored", &["verify"]).quiet();
    dir.write("in/new.xml", report(99));
    let again = on(&dir, "restored", &["ingest", "in", "--format", "json"]).json();
    assert_eq!((again["stored"]["reports"].as_u64(), again["duplicates"].as_u64()), (Some(1), Some(6)), "{again}");
    // What is pruned goes from the backup, too.
    dir.write("in/old.xml", report(77).replace("1795392000", "1595376000").replace("1795478399", "1595462399"));
    dir.run(["ingest", "in/old.xml"]).quiet();
    dir.run(["backup", "copy"]).quiet();
    assert_eq!(reports(&dir, "copy"), 6);
    assert_eq!(dir.run(["prune", "--keep", "24m", "--format", "json"]).json()["reports"].as_u64(), Some(1));
    dir.run(["backup", "copy"]).quiet();
    assert_eq!(reports(&dir, "copy"), 5);
    on(&dir, "copy", &["verify"]).quiet();
}

#[test]
fn a_backup_beside_a_run_is_of_one_instant() {
    let dir = WorkDir::new();
    ingest(&dir, 0..2);
    for number in 100..1500 {
        dir.write(format!("many/{number}.xml"), report(number));
        dir.write(format!("many/{number}.json"), tls_report(number));
    }
    let mut child = dir.command(["ingest", "many"]).spawn().unwrap();
    let mut seen = Vec::new();
    while child.try_wait().unwrap().is_none() {
        dir.run(["backup", "copy"]).quiet();
        on(&dir, "copy", &["verify"]).quiet();
        let [policies, failures] = tls_tables(&dir, "copy").map(|table| table.lines().count());
        assert_eq!(policies, failures, "a report is in both tables or in none");
        seen.push((reports(&dir, "copy"), policies));
    }
    dir.run(["backup", "copy"]).quiet();
    assert!(seen.is_sorted() && seen.iter().map(|seen| seen.1).is_sorted(), "{seen:?}");
    assert_eq!(reports(&dir, "copy"), 1402);
    on(&dir, "copy", &["verify"]).quiet();

    let tables = tls_tables(&dir, "store");
    assert_eq!(tables.each_ref().map(|table| table.lines().count()), [1400; 2]);
    copy_folder(&dir.path("copy"), &dir.path("restored"));
    std::fs::remove_file(dir.path("restored/backup-of")).unwrap();
    std::fs::remove_dir_all(dir.path("store")).unwrap();
    assert_eq!(tls_tables(&dir, "restored"), tables);
    // A restored ledger is not all there is: the originals make the same rows.
    std::fs::remove_file(dir.path("restored/ledger.sqlite")).unwrap();
    on(&dir, "restored", &["rebuild"]).quiet();
    let known = |text: &String| {
        let mut rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        // When a report was stored, only the ledger knew.
        rows.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("ingested")));
        rows.sort_by_key(Value::to_string);
        rows
    };
    assert_eq!(tls_tables(&dir, "restored").each_ref().map(known), tables.each_ref().map(known));
    on(&dir, "restored", &["verify"]).quiet();
    let again = on(&dir, "restored", &["ingest", "many", "--format", "json"]).json();
    assert_eq!(again["stored"]["tls_reports"].as_u64(), Some(0), "{again}");
}

#[test]
fn mixed_backups_are_reported_and_repaired() {
    let dir = WorkDir::new();
    ingest(&dir, 0..2);
    dir.run(["backup", "old"]).quiet();
    ingest(&dir, 2..4);
    dir.run(["backup", "new"]).quiet();
    // A ledger older than the files.
    copy_folder(&dir.path("new"), &dir.path("mixed"));
    std::fs::copy(dir.path("old/ledger.sqlite"), dir.path("mixed/ledger.sqlite")).unwrap();
    dir.write("in/9.xml", report(9));
    let done = on(&dir, "mixed", &["ingest", "in/9.xml"]);
    assert!(done.code == Some(2) && done.stderr.contains("older than its files"), "{done:?}");
    assert!(done.stderr.contains("dmarquet rebuild"), "{done:?}");
    on(&dir, "mixed", &["rebuild"]);
    assert_eq!(reports(&dir, "mixed"), 4);
    on(&dir, "mixed", &["verify"]).quiet();
    // Files older than the ledger.
    copy_folder(&dir.path("old"), &dir.path("behind"));
    std::fs::copy(dir.path("new/ledger.sqlite"), dir.path("behind/ledger.sqlite")).unwrap();
    let done = on(&dir, "behind", &["verify"]);
    assert!(done.code == Some(1) && done.stderr.contains("dmarquet rebuild"), "{done:?}");
    let done = on(&dir, "behind", &["rebuild"]);
    assert!(done.stderr.contains("no readable original is left of"), "{done:?}");
    assert_eq!(reports(&dir, "behind"), 2);
    on(&dir, "behind", &["verify"]).quiet();
    // What is missing comes back from wherever it is.
    on(&dir, "behind", &["ingest", "in"]);
    assert_eq!(reports(&dir, "behind"), 5);
}

#[test]
fn a_backup_overwrites_nothing_else() {
    let dir = WorkDir::new();
    ingest(&dir, 0..1);
    dir.write("other/file", "precious");
    dir.run(["backup", "copy"]).quiet();
    for (target, said) in
        [("other", "one that holds file"), ("store", "overlaps"), ("store/inside", "overlaps"), (".", "overlaps")]
    {
        let done = dir.run(["backup", target]);
        assert!(done.code == Some(2) && done.stderr.contains(said), "{target}: {done:?}");
    }
    let done = on(&dir, "copy", &["backup", "copy"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    ingest(&dir, 1..2);
    copy_folder(&dir.path("store"), &dir.path("second"));
    let done = on(&dir, "second", &["backup", "copy"]);
    assert!(done.code == Some(2) && done.stderr.contains("a backup of "), "{done:?}");
    let done = on(&dir, "nowhere", &["backup", "fresh"]);
    assert_eq!(done.code, Some(2), "{done:?}");
}

#[test]
fn a_first_backup_that_was_killed_at_its_first_step_is_begun_again() {
    let dir = WorkDir::new();
    ingest(&dir, 0..1);
    dir.run(["backup", "copy"]).quiet();
    let mark = std::fs::read_to_string(dir.path("copy/backup-of")).unwrap();
    for (folder, cut) in [("empty", ""), ("cut", &mark[..5])] {
        dir.write(format!("{folder}/backup-of"), cut);
        dir.run(["backup", folder]).quiet();
        assert_eq!(reports(&dir, folder), 1);
    }
    dir.write("used/backup-of", "");
    dir.write("used/file", "precious");
    let done = dir.run(["backup", "used"]);
    assert!(done.code == Some(2) && done.stderr.contains("one that holds file"), "{done:?}");
}

/// The rows of a report whose addresses do not compress.
fn many_rows(rows: u32) -> String {
    let one = report(900);
    let (head, rest) = one.split_at(one.find("<record>").unwrap());
    let (row, end) = rest.split_at(rest.find("</feedback>").unwrap());
    let address = |number: u32| {
        let [a, b, c, d] = number.wrapping_mul(2_654_435_761).to_be_bytes();
        format!("2001:db8::{a:x}{b:02x}:{c:x}{d:02x}:{:x}", number.wrapping_mul(40_503) & 0xffff)
    };
    let all: String = (0..rows).map(|number| row.replace("192.0.2.150", &address(number))).collect();
    format!("{head}{all}{end}")
}

/// The size of the largest file below a folder.
fn largest(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { largest(&path) } else { path.metadata().unwrap().len() }).max().unwrap()
}

#[test]
fn a_backup_that_was_killed_within_a_file_restores_as_the_earlier_one_or_more() {
    let dir = WorkDir::new();
    ingest(&dir, 0..2);
    dir.run(["backup", "copy"]).quiet();
    dir.write("in/large.xml", many_rows(20_000));
    dir.run(["ingest", "in/large.xml", "--quiet"]).quiet();
    let pack = largest(&dir.path("store/originals"));
    let ledger = std::fs::metadata(dir.path("store/ledger.sqlite")).unwrap().len();
    assert!(ledger + 8192 < pack, "the ledger has {ledger} bytes, the pack only {pack}");
    // The system ends the program in the middle of the first file that is larger.
    let killed = dir.limited(&format!("-f {}", (ledger + 4096) / 512), &["backup", "copy"]).output().unwrap();
    assert!(killed.status.signal().is_some(), "{killed:?}");
    assert_eq!(reports(&dir, "copy"), 2);
    on(&dir, "copy", &["verify"]).quiet();

    copy_folder(&dir.path("copy"), &dir.path("restored"));
    std::fs::remove_file(dir.path("restored/backup-of")).unwrap();
    on(&dir, "restored", &["rebuild"]).quiet();
    on(&dir, "restored", &["verify"]).quiet();
    assert!(reports(&dir, "restored") >= 2);

    dir.run(["backup", "copy"]).quiet();
    assert_eq!(reports(&dir, "copy"), 3);
    on(&dir, "copy", &["verify"]).quiet();
}

#[test]
fn verify_does_not_mistake_a_concurrent_run_for_damage() {
    let dir = WorkDir::new();
    ingest(&dir, 0..3);
    std::thread::scope(|scope| {
        let runs = scope.spawn(|| {
            for number in 3..20 {
                ingest(&dir, number..number + 1);
                if number % 5 == 0 {
                    on(&dir, "store", &["compact"]).quiet();
                    assert_eq!(on(&dir, "store", &["rebuild"]).code, Some(0));
                }
            }
        });
        while !runs.is_finished() {
            let done = on(&dir, "store", &["verify"]);
            assert_eq!(done.code, Some(0), "{done:?}");
        }
    });
    assert_eq!(reports(&dir, "store"), 20);
}
