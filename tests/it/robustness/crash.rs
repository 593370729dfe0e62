//! Kills the program with SIGKILL at random moments of `ingest` and `compact`: in the end every report is there once.
//!
//! `DMARQUET_KILLS` is the number of kills (default 20).

use crate::support::numbered_report;
use crate::workdir::WorkDir;
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

/// Reports in the folder; each has one row with a unique count, from 1 to this number.
const REPORTS: u32 = 300;

/// A report of one row, in one of four months, whose count is its number.
fn report(number: u32) -> String {
    numbered_report(number, 1_767_225_600 + u64::from(number % 120) * 86_400)
}

/// The counts of all rows, which identify their reports.
fn counts(work: &WorkDir) -> Vec<u64> {
    let rows = work.run(["export", "--format", "ndjson"]);
    assert_eq!(rows.code, Some(0), "{rows:#?}");
    let count = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("a row")["count"].as_u64();
    rows.stdout.lines().map(|line| count(line).expect("a count")).collect()
}

/// No report is there twice or in part: `status` agrees with the rows. The child process of a killed program may still be
/// storing the item that it was given: then they agree as soon as it has ended.
fn check(work: &WorkDir) -> usize {
    let stored = || work.run(["status", "--format", "json"]).json()["reports"].as_u64();
    let mut before = stored();
    for _ in 0..100 {
        let rows = counts(work);
        let distinct: BTreeSet<u64> = rows.iter().copied().collect();
        assert_eq!(distinct.len(), rows.len(), "a report twice");
        let after = stored();
        if before == after {
            assert_eq!(after, Some(rows.len() as u64));
            return rows.len();
        }
        before = after;
    }
    panic!("reports are added without end");
}

#[test]
fn a_program_killed_at_random_moments_has_every_report_once_in_the_end() {
    let kills: u32 = std::env::var("DMARQUET_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let work = WorkDir::new();
    let mut random = u64::from(std::process::id()) | 1;
    let mut any = |most: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % most
    };
    // How long a run takes here: grows with each that was killed, shrinks with each that was not.
    let (mut next, mut round, mut killed, mut took) = (1, 0, 0, Duration::from_millis(200));
    let mut all = 0;
    while killed < kills {
        if next > REPORTS {
            // All are there to be taken in: look, and begin anew.
            assert_eq!(work.run(["ingest", "in"]).code, Some(0));
            assert_eq!((check(&work), work.run(["verify"]).code), (all as usize, Some(0)));
            std::fs::remove_dir_all(work.path("store")).expect("the store can be removed");
            std::fs::remove_dir_all(work.path("in")).expect("the reports can be removed");
            (next, all, round) = (1, 0, round + 1);
        }
        // A folder that grows; every other run merges what earlier ones made.
        let compact = any(3) == 0 && all > 0;
        for _ in 0..if compact { 0 } else { 5 } {
            work.write(format!("in/{next}.xml"), report(next));
            (next, all) = (next + 1, next);
        }
        let args: &[&str] = if compact { &["compact"] } else { &["ingest", "in"] };
        let mut child =
            work.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        let most = u64::try_from(took.as_millis()).unwrap_or(1000).max(10);
        std::thread::sleep(Duration::from_millis(any(most)));
        if child.try_wait().expect("a child").is_none() {
            child.kill().expect("it can be killed");
            killed += 1;
            took = took * 9 / 8;
            child.wait().expect("a child");
        } else {
            took = took * 4 / 5;
        }
        if killed % 10 == 0 || kills <= 100 {
            check(&work);
        }
    }
    let last = work.run(["ingest", "in"]);
    assert_eq!(last.code, Some(0), "{last:#?}");
    let compacted = work.run(["compact"]);
    assert_eq!(compacted.code, Some(0), "{compacted:#?}");
    let mut rows = counts(&work);
    rows.sort_unstable();
    assert_eq!(rows, (1..=u64::from(all)).collect::<Vec<_>>(), "every report once");
    let verified = work.run(["verify"]);
    assert_eq!(verified.code, Some(0), "{verified:#?}");
    println!("{killed} kills, {round} stores before this one of {all} reports");
}
