//! What other engines rely on: tables of one version, increments that give each row once, streams that begin
//! immediately, and no URL mistaken for a folder.

use crate::support::copy_folder;
use crate::workdir::{WorkDir, repository};
use serde_json::Value;
use std::io::Write as _;
use std::process::Stdio;

fn report(id: &str, count: u32) -> String {
    format!(
        "<feedback><report_metadata><org_name>mx.example.net</org_name><report_id>{id}</report_id><date_range>\
         <begin>1795392000</begin><end>1795478399</end></date_range></report_metadata><policy_published>\
         <domain>example.com</domain><p>reject</p></policy_published><record><row><source_ip>192.0.2.7</source_ip>\
         <count>{count}</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf>\
         <reason><type>local_policy</type><comment>=1+1, \"so\"</comment></reason></policy_evaluated></row><identifiers>\
         <header_from>example.com</header_from></identifiers></record></feedback>"
    )
}

/// A folder of this many reports with one row each.
fn reports(work: &WorkDir, folder: &str, ids: std::ops::Range<u32>) {
    for id in ids {
        work.write(format!("{folder}/{id}.xml"), report(&id.to_string(), id + 1));
    }
}

/// The IDs of an increment's reports, and the run to continue from.
fn since(work: &WorkDir, run: i64) -> (Vec<String>, i64) {
    let run = run.to_string();
    work.run(["export", "--since-run", &run, "--format", "ndjson", "--out", "new"]).quiet();
    let text = std::fs::read_to_string(work.path("new/records.ndjson")).unwrap();
    let line = |line: &str| -> Value { serde_json::from_str(line).unwrap() };
    let mut ids: Vec<String> = text.lines().map(|text| line(text)["report_id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    let said = line(&std::fs::read_to_string(work.path("new/run.json")).unwrap());
    (ids, said["run"].as_i64().unwrap())
}

#[test]
fn each_increment_has_what_came_after_a_run_whatever_becomes_of_the_files() {
    let work = WorkDir::new();
    assert_eq!(since(&work, 0), (vec![], 0));
    let (mut last, mut all) = (0, Vec::new());
    for part in 0..3 {
        reports(&work, &format!("part{part}"), part * 2..part * 2 + 2);
        work.run(["ingest", &format!("part{part}")]).quiet();
        let (new, run) = since(&work, last);
        assert_eq!(new, [(part * 2).to_string(), (part * 2 + 1).to_string()]);
        assert_eq!(since(&work, last), (new.clone(), run), "the same number gives the same rows");
        assert_eq!(since(&work, run), (vec![], run), "without news there are no rows");
        all.push((last, new));
        last = run;
    }
    for change in ["compact", "rebuild"] {
        work.run([change]).quiet();
        for (run, new) in &all {
            let later: Vec<String> = since(&work, *run).0;
            assert!(new.iter().all(|id| later.contains(id)), "{change}: {later:?}");
            assert_eq!(later.len(), 6 - all.iter().position(|(other, _)| other == run).unwrap() * 2, "{change}");
        }
        assert_eq!(since(&work, last), (vec![], last), "{change}");
    }
    // The same as Parquet: what an earlier increment left goes.
    work.run(["export", "--since-run", "0", "--out", "lake"]).quiet();
    assert!(work.path("lake/records/month=2026-11").exists() && work.path("lake/run.json").exists());
    work.run(["export", "--since-run", &last.to_string(), "--out", "lake"]).quiet();
    let rows = work.run(["export", "--records", "lake", "--format", "ndjson"]).quiet();
    assert_eq!(rows, "");
    work.run(["export", "--out", "lake"]).quiet();
    assert!(!work.path("lake/run.json").exists(), "a whole export is no increment");
    let folder = work.run(["export", "--since-run", "0", "--records", "lake", "--out", "x"]);
    assert_eq!(folder.code, Some(2), "{folder:?}");
}

#[test]
fn a_store_of_an_older_program_is_exported_with_the_columns_of_today() {
    let work = WorkDir::new();
    copy_folder(&repository().join("tests/store-2"), &work.path("store"));
    let sorted = |text: String| {
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.sort_by_key(Value::to_string);
        lines
    };
    let rows = |more: &[&str]| sorted(work.run([&["export", "--format", "ndjson"][..], more].concat()).quiet());
    let before = rows(&[]);
    assert!(!before.is_empty());
    for row in &before {
        assert!(row["period_begin"].is_string() && row["ingested"].is_string(), "{row}");
        assert!(row.get("begin").is_none(), "{row}");
    }
    work.run(["export", "--out", "lake"]).quiet();
    assert_eq!(rows(&["--records", "lake"]), before);
    // A merge writes the columns of today, the first writer brings the folder up to date.
    reports(&work, "more", 0..2);
    work.run(["ingest", "more/0.xml"]);
    work.run(["ingest", "more/1.xml"]);
    work.run(["compact"]);
    let after = rows(&[]);
    assert_eq!(after.len(), before.len() + 2);
    assert!(before.iter().all(|row| after.contains(row)), "rows that were there are as they were");
}

#[test]
fn a_file_of_a_newer_version_is_refused_by_its_name() {
    let work = WorkDir::new();
    reports(&work, "in", 0..1);
    work.run(["ingest", "in"]).quiet();
    for (table, key) in [("records", "dmarquet.schema"), ("reports", "dmarquet.reports")] {
        work.run(["export", "--out", "lake"]).quiet();
        let folder = work.path(format!("lake/{table}/month=2026-11"));
        let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        let mut bytes = std::fs::read(&file).unwrap();
        let at = bytes.windows(key.len()).rposition(|found| found == key.as_bytes()).unwrap() + key.len();
        // A field of Thrift: its head, its length, then the version.
        assert_eq!(bytes[at + 1], 1);
        bytes[at + 2] = b'9';
        std::fs::write(&file, bytes).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        for command in ["summary", "status"] {
            if (command, table) == ("status", "records") {
                continue;
            }
            let refused = work.run([command, "--records", "lake"]);
            assert_eq!(refused.code, Some(2), "{refused:?}");
            assert!(refused.stderr.contains("a newer dmarquet wrote this file"), "{refused:?}");
            assert!(refused.stderr.contains(name) && refused.stderr.contains("found version 9"), "{refused:?}");
        }
    }
}

#[test]
fn convert_gives_the_same_rows_in_each_format() {
    let work = WorkDir::new();
    reports(&work, "in", 0..3);
    let lines = work.run(["convert", "in", "--format", "ndjson", "--reports", "reports.ndjson"]).quiet();
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut counts: Vec<i64> = rows.iter().map(|row| row["count"].as_i64().unwrap()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 3]);
    assert_eq!(rows[0]["reasons"][0]["comment"], "=1+1, \"so\"");
    let told = std::fs::read_to_string(work.path("reports.ndjson")).unwrap();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.iter().map(|report| report["pass_messages"].as_i64().unwrap()).sum::<i64>(), 6);
    let exported = work.run(["export", "in", "--format", "ndjson"]).quiet();
    assert_eq!(exported.lines().count(), 3);
    let parquet = work.command(["convert", "in", "--format", "parquet"]).output().unwrap();
    assert!(parquet.status.success() && parquet.stdout.starts_with(b"PAR1") && parquet.stdout.ends_with(b"PAR1"));
    work.write("lake/records/month=2026-11/a.parquet", parquet.stdout);
    let read = work.run(["export", "--records", "lake", "--format", "ndjson"]).quiet();
    assert_eq!(read.lines().count(), 3);
    let refused = work.run(["convert", "--frames", "--format", "parquet"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("expected --format arrow or ndjson"), "{refused:?}");
}

#[test]
fn a_stateless_stream_gives_the_rows_of_a_batch_that_is_sent_again() {
    let work = WorkDir::new();
    let frame = |name: &str, body: &str| {
        let length = |text: &str| u32::try_from(text.len()).unwrap().to_le_bytes();
        [&length(name)[..], name.as_bytes(), &length(body), body.as_bytes()].concat()
    };
    let batch = [frame("a.xml", &report("1", 1)), frame("b.xml", &report("2", 2)), frame("", "")].concat();
    let answers = |more: &[&str]| -> Vec<usize> {
        let args = [&["convert", "--frames", "--format", "ndjson"][..], more].concat();
        let mut child = work.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&batch.repeat(2)).unwrap();
        let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        said.split_terminator("\n\n").map(|answer| answer.lines().filter(|line| !line.is_empty()).count()).collect()
    };
    assert_eq!(answers(&["--stateless"])[..2], [2, 2]);
    assert_eq!(answers(&[])[..2], [2, 0]);
}

#[test]
fn csv_for_a_spreadsheet_has_no_formula_no_json_and_times_that_it_knows() {
    let work = WorkDir::new();
    reports(&work, "in", 0..1);
    work.run(["ingest", "in"]).quiet();
    for more in [&[][..], &["in"]] {
        let csv = work.run([&["export", "--format", "csv", "--bom"][..], more].concat()).quiet();
        assert!(csv.starts_with("\u{feff}report_key,"), "{csv}");
        assert!(csv.contains(",2026-11-23 00:00:00,2026-11-23 23:59:59,2026-11-23,"), "{csv}");
        assert!(csv.contains("\"local_policy (=1+1, \"\"so\"\")\""), "{csv}");
        assert!(!csv.contains(['[', '{']), "{csv}");
    }
    let plain = work.run(["export", "--format", "csv"]).quiet();
    assert!(plain.starts_with("report_key,") && plain.contains("2026-11-23T00:00:00Z"), "{plain}");
    assert_eq!(work.run(["export", "--format", "ndjson", "--bom"]).code, Some(2));
}

#[test]
fn a_url_is_refused_in_place_of_a_path() {
    let work = WorkDir::new();
    let commands: [&[&str]; 8] = [
        &["export", "--out"],
        &["export", "--format", "csv"],
        &["export", "--format", "csv", "--records"],
        &["summary", "--records"],
        &["summary"],
        &["status", "--records"],
        &["convert"],
        &["ingest"],
    ];
    for command in commands {
        for url in ["s3://bucket/x", "https://example.com/x.parquet"] {
            let done = work.run([command, &[url]].concat());
            assert_eq!(done.code, Some(2), "{done:?}");
            assert!(done.stderr.contains("docs/pipelines.md"), "{done:?}");
        }
    }
    assert_eq!(std::fs::read_dir(work.path("")).unwrap().count(), 0, "nothing is made");
}

/// A week of reports about example.com: one of its own senders, which passes, and an unauthenticated one.
fn week_of_reports(work: &WorkDir, folder: &str, monday: i64, reporters: std::ops::Range<u32>, messages: u32) {
    for reporter in reporters {
        for day in 0..7 {
            let begin = monday + day * 86_400;
            let row = |ip: &str, count: u32, result: &str| {
                format!(
                    "<record><row><source_ip>{ip}</source_ip><count>{count}</count><policy_evaluated><disposition>none\
                     </disposition><dkim>{result}</dkim><spf>{result}</spf></policy_evaluated></row><identifiers><header_from>\
                     example.com</header_from></identifiers><auth_results><dkim><domain>example.com</domain><selector>s1\
                     </selector><result>{result}</result></dkim><spf><domain>example.com</domain><result>{result}</result></spf>\
                     </auth_results></record>"
                )
            };
            let rows = row("192.0.2.7", messages, "pass") + &row("198.51.100.9", 20, "fail");
            let xml = format!(
                "<feedback><report_metadata><org_name>mx{reporter}.example.net</org_name><report_id>{begin}</report_id><date_range>\
                 <begin>{begin}</begin><end>{}</end></date_range></report_metadata><policy_published><domain>example.com</domain>\
                 <p>none</p></policy_published>{rows}</feedback>",
                begin + 86_399
            );
            work.write(format!("{folder}/{reporter}-{begin}.xml"), xml);
        }
    }
}

/// The rows of a table of an export as text.
fn table(work: &WorkDir, name: &str, args: &[&str]) -> Vec<Value> {
    work.run([&["export", "--format", "ndjson", "--out", "out"][..], args].concat()).quiet();
    let text = std::fs::read_to_string(work.path(format!("out/{name}.ndjson"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The tables say the same about a week as its summary.
#[track_caller]
fn check_week(work: &WorkDir, week: &str) -> i64 {
    let said = work.run(["summary", "--week", week, "--format", "json"]).json();
    let of_week = |rows: Vec<Value>| -> Vec<Value> { rows.into_iter().filter(|row| row["week"] == week).collect() };
    let (senders, domains) = (of_week(table(work, "senders", &[])), of_week(table(work, "domains", &[])));
    let told = said["senders"].as_array().unwrap();
    assert_eq!(senders.len(), told.len());
    for (row, told) in senders.iter().zip(told) {
        for key in ["policy_domain", "address", "prefix", "signs_as", "role", "cause", "messages", "would_be_lost"] {
            assert_eq!(row[key], told[key], "{key} of {row}");
        }
        assert_eq!(row["pass_messages"], told["dmarc_pass"]);
    }
    let told = said["domains"].as_array().unwrap();
    assert_eq!(domains.len(), told.len());
    for (row, told) in domains.iter().zip(told) {
        assert_eq!((&row["policy_domain"], &row["messages"]), (&told["policy_domain"], &told["messages"]));
        assert_eq!((&row["readiness"], &row["policy"]), (&told["readiness"]["verdict"], &told["policy"]["p"]));
        assert_eq!((&row["reporters"], &row["customer"]), (&told["reporters"], &Value::Null));
    }
    senders.iter().map(|row| row["messages"].as_i64().unwrap()).sum()
}

#[test]
fn the_verdicts_of_each_complete_week_are_those_of_its_summary() {
    let work = WorkDir::new();
    // Mondays of 2025-W44 and 2025-W45.
    let mondays = [1_761_523_200, 1_762_128_000];
    for monday in mondays {
        week_of_reports(&work, "early", monday, 0..2, 50);
    }
    work.run(["ingest", "early"]).quiet();
    let before = check_week(&work, "2025-W44");
    assert!(check_week(&work, "2025-W45") > 0);
    let weeks = |rows: Vec<Value>| rows.iter().map(|row| row["week"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(weeks(table(&work, "domains", &[])), ["2025-W44", "2025-W45"]);
    assert_eq!(weeks(table(&work, "domains", &["--week", "2025-W45"])), ["2025-W45"]);
    let other = work.run(["export", "--format", "ndjson", "--out", "other", "--domain", "example.org"]);
    assert_eq!(other.code, Some(0), "{other:?}");
    assert_eq!(std::fs::read_to_string(work.path("other/senders.ndjson")).unwrap(), "");
    // What is kept is what is written, until a report of the week or of one before it comes late.
    let kept = rusqlite::Connection::open(work.path("store/ledger.sqlite")).unwrap();
    let change = |to: &str| {
        let sql = format!("UPDATE verdicts SET answer = replace(answer, '192.0.2.7', '{to}')");
        kept.execute(&sql, []).unwrap()
    };
    assert_eq!(change("192.0.2.8"), 2);
    assert!(table(&work, "senders", &[]).iter().any(|row| row["address"] == "192.0.2.8"), "it is computed once");
    drop(kept);
    week_of_reports(&work, "late", mondays[0], 2..3, 50);
    work.run(["ingest", "late"]).quiet();
    let after = check_week(&work, "2025-W44");
    assert_eq!(after, before + 7 * 70);
    check_week(&work, "2025-W45");
    // Where the reports of a week are gone, what was said of it stays.
    let all = table(&work, "senders", &[]);
    work.run(["prune", "--keep", "6m"]);
    work.run(["rebuild"]).quiet();
    assert_eq!(work.run(["export", "--format", "ndjson"]).quiet(), "");
    assert_eq!(table(&work, "senders", &[]), all);
    // As Parquet: two more tables in folders of months, which a whole export replaces.
    work.run(["export", "--out", "lake"]).quiet();
    for name in ["senders", "domains"] {
        assert!(work.path(format!("lake/{name}/month=2025-10/{name}.parquet")).exists(), "{name}");
    }
}

#[test]
fn a_folder_without_reports_is_read_by_its_rows_alone_wherever_its_files_lie() {
    let work = WorkDir::new();
    week_of_reports(&work, "in", 1_761_523_200, 0..2, 50);
    work.run(["ingest", "in"]).quiet();
    work.run(["export", "--out", "lake"]).quiet();
    let said = |records: &str| {
        let summary = work.run(["summary", "--records", records, "--week", "2025-W44", "--format", "json"]).json();
        let domain = &summary["domains"][0];
        (summary["totals"]["reports"].clone(), domain["policy"]["p"].clone(), domain["readiness"]["verdict"].clone())
    };
    let whole = said("lake");
    assert_eq!((whole.0.as_u64(), whole.1.as_str()), (Some(14), Some("none")));
    std::fs::remove_dir_all(work.path("lake/reports")).unwrap();
    assert_eq!(said("lake"), whole, "the policy stands in the rows too");
    let text = work.run(["summary", "--records", "lake", "--week", "2025-W44"]).quiet();
    assert!(!text.contains("p=reject everywhere"), "{text}");
    // The same files without folders of months, and in folders of something else.
    for (number, month) in ["month=2025-10", "month=2025-11"].into_iter().enumerate() {
        for entry in std::fs::read_dir(work.path(format!("lake/records/{month}"))).unwrap().map(Result::unwrap) {
            let bytes = std::fs::read(entry.path()).unwrap();
            work.write(format!("flat/records/{number}.parquet"), &bytes);
            work.write(format!("deep/records/year=2025/part={number}/a.parquet"), &bytes);
        }
    }
    for folder in ["flat", "deep"] {
        assert_eq!(said(folder), whole, "{folder}");
        work.run(["export", "--records", folder, "--out", "again"]).quiet();
        assert_eq!(said("again"), whole, "{folder}");
        assert!(work.path("again/records/month=2025-10").exists());
    }
}
