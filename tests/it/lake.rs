//! What other engines rely on: tables of one version, increments that give each row once, streams that begin at once, and no
//! URL taken for a folder.

use crate::workdir::{WorkDir, repository};
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
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

/// A folder of so many reports, one row each.
fn reports(work: &WorkDir, folder: &str, ids: std::ops::Range<u32>) {
    for id in ids {
        work.write(format!("{folder}/{id}.xml"), report(&id.to_string(), id + 1));
    }
}

/// The ids of the reports of an increment, and the run to go on from.
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

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &target) } else { drop(std::fs::copy(entry.path(), target)) }
    }
}

#[test]
fn a_store_of_an_older_program_is_exported_with_the_columns_of_today() {
    let work = WorkDir::new();
    copy(&repository().join("tests/store-2"), &work.path("store"));
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
fn a_url_is_refused_wherever_a_path_stands() {
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
