//! The samples are the specification: for each file below `samples/`, `tests/golden/` has the result, which a person
//! has read.
//!
//! A new sample without a golden file fails; `DMARQUET_UPDATE_GOLDEN=1` writes what the program prints, for a person to
//! read.

use crate::workdir::{WorkDir, files_below, repository, samples};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The tally of one sample, and each of its rows on a line, without nulls and without the time of the run.
fn result_of(sample: &Path) -> String {
    let work = WorkDir::new();
    let name = sample.file_name().expect("a file");
    std::fs::copy(sample, work.path(name)).expect("a sample can be copied");
    let ingest = work.run(["ingest", "--format", "json", "--"].iter().map(AsRef::as_ref).chain([name]));
    assert_eq!((ingest.code, ingest.stderr.as_str()), (Some(0), ""), "{}", sample.display());
    let export = work.run(["export", "--format", "ndjson", "--"].iter().map(AsRef::as_ref).chain([name]));
    let tally = serde_json::to_string_pretty(&ingest.json()).expect("JSON can be written");
    let mut text = format!("{{\"tally\": {tally},\n\"rows\": [");
    let rows = export.quiet();
    for (n, row) in rows.lines().enumerate() {
        let mut row: Value = serde_json::from_str(row).expect("each line is a row");
        row.as_object_mut().expect("a row is an object").retain(|name, value| !value.is_null() && name != "ingested");
        let _ = write!(text, "{}\n{row}", if n == 0 { "" } else { "," });
    }
    text.push_str("\n]}\n");
    text
}

fn golden_of(sample: &Path) -> PathBuf {
    let below = sample.strip_prefix(samples()).expect("a sample");
    repository().join("tests/golden").join(format!("{}.json", below.display()))
}

#[test]
fn every_sample_gives_its_golden_result() {
    let update = std::env::var_os("DMARQUET_UPDATE_GOLDEN").is_some();
    let mut faults = Vec::new();
    let mut known = BTreeSet::new();
    for sample in files_below(&samples()) {
        let (golden, result) = (golden_of(&sample), result_of(&sample));
        if update {
            std::fs::create_dir_all(golden.parent().expect("a file has a folder")).expect("a folder can be made");
            std::fs::write(&golden, &result).expect("a golden file can be written");
        }
        match std::fs::read_to_string(&golden) {
            Ok(expected) if expected == result => {}
            Ok(expected) => faults.push(format!("{}: {}", golden.display(), first_difference(&expected, &result))),
            Err(error) => faults.push(format!("{}: {error}", golden.display())),
        }
        known.insert(golden);
    }
    for golden in files_below(&repository().join("tests/golden")) {
        if !known.contains(&golden) {
            faults.push(format!("{}: its sample is gone", golden.display()));
        }
    }
    assert!(known.len() >= 25, "{} samples found", known.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The first line that differs, with both versions of it.
fn first_difference(expected: &str, found: &str) -> String {
    let lines = expected.lines().zip(found.lines()).enumerate();
    match lines.into_iter().find(|(_, (expected, found))| expected != found) {
        Some((n, (expected, found))) => format!("line {}:\n  expected {expected}\n  found    {found}", n + 1),
        None => format!("{} lines expected, {} found", expected.lines().count(), found.lines().count()),
    }
}

#[test]
fn the_samples_are_what_their_script_makes() {
    let script = repository().join("tests/make_samples.py");
    let done = std::process::Command::new("python3").arg(script).arg("--check").output().expect("python3 starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}
