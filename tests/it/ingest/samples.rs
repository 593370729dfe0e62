//! The samples through the whole program: ingested, stored, summarized, exported.

use crate::workdir::{WorkDir, samples, without_ingested};
use serde_json::Value;

/// The sums of all seven weeks, from any kind of input.
const SUMS: [&str; 8] = ["messages", "dmarc_pass", "both", "dkim_only", "spf_only", "neither", "records", "reports"];

fn path(samples: &std::path::Path) -> &str {
    samples.to_str().expect("the repository's path is UTF-8")
}

fn sums(summary: &Value) -> Vec<u64> {
    SUMS.iter().map(|name| summary["totals"][name].as_u64().unwrap_or_else(|| panic!("totals lack {name}"))).collect()
}

#[test]
fn samples_are_ingested_completely_and_only_once() {
    let (work, samples) = (WorkDir::new(), samples());
    let first = work.run(["ingest", path(&samples), "--format", "json"]);
    assert_eq!(first.code, Some(0), "{first:#?}");
    let tally = first.json();
    assert_eq!(tally["rejected"], serde_json::json!([]));
    assert_eq!((&tally["set_aside"]["tls_rpt"], &tally["stored"]["tls_reports"]), (&0.into(), &1.into()));
    assert_eq!(tally["set_aside"]["bounce"], 1);
    assert_eq!(tally["set_aside"]["failure"], 1);
    assert_eq!(tally["duplicates"], 1, "Google sent one report twice");
    assert_eq!(tally["conflicts"], 0);
    let before = work.run(["summary", "--from", "2026-10-05", "--to", "2026-11-22", "--format", "json"]).quiet();

    let second = work.run(["ingest", path(&samples), "--format", "json"]).json();
    assert_eq!(second["stored"]["reports"], 0);
    assert_eq!(second["duplicates"].as_u64(), tally["stored"]["reports"].as_u64().map(|reports| reports + 2));
    let after = work.run(["summary", "--from", "2026-10-05", "--to", "2026-11-22", "--format", "json"]).quiet();
    assert_eq!(before, after, "ingesting twice equals once");
}

#[test]
fn the_summary_of_paths_and_of_the_store_add_up_to_the_tally() {
    let (work, samples) = (WorkDir::new(), samples());
    let tally = work.run(["ingest", path(&samples), "--format", "json"]).json();
    let stored = work.run(["summary", "--from", "2026-10-05", "--to", "2026-11-22", "--format", "json"]).json();
    let straight = work.run(["summary", path(&samples), "--format", "json"]).json();
    assert_eq!(sums(&stored), sums(&straight));
    for name in ["messages", "dmarc_pass", "records", "reports"] {
        assert_eq!(stored["totals"][name], tally["stored"][name], "{name}");
    }
    for (part, whole) in [(&stored["domains"], &stored["totals"]), (&stored["sources"], &stored["totals"])] {
        for name in ["messages", "dmarc_pass", "dkim_aligned", "spf_aligned"] {
            let sum: u64 =
                part.as_array().expect("a list").iter().map(|each| each[name].as_u64().expect("a sum")).sum();
            assert_eq!(Some(sum), whole[name].as_u64(), "{name}");
        }
    }
}

#[test]
fn the_summary_of_the_samples_is_as_expected() {
    let work = WorkDir::new();
    let text = work.run(["summary", path(&samples())]).quiet();
    for word in ["example.com", "example.net", "example.org", "192.0.2.60", "198.51.100.200", "198.51.100.77"] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "80 columns where there is no terminal:\n{text}");
}

#[test]
fn the_time_zone_of_the_host_changes_nothing() {
    let here = WorkDir::new().run(["summary", path(&samples())]).quiet();
    for zone in ["Pacific/Kiritimati", "America/Los_Angeles"] {
        assert_eq!(WorkDir::in_zone(zone).run(["summary", path(&samples())]).quiet(), here, "{zone}");
    }
}

#[test]
fn the_exports_of_paths_and_of_the_store_hold_the_same_rows() {
    let (work, samples) = (WorkDir::new(), samples());
    work.run(["ingest", path(&samples)]);
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    let stored = sorted(without_ingested(&work.run(["export", "--format", "ndjson"]).quiet()));
    let straight = sorted(without_ingested(&work.run(["export", path(&samples), "--format", "ndjson"]).quiet()));
    assert!(!stored.is_empty());
    assert_eq!(stored, straight);
}
