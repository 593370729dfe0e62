//! Every command that writes, with a failed system call or a kill in its place: after the next run every report is
//! there once.
//!
//! Needs strace. `DMARQUET_FAULTS=all` tries every call of every command with every fault (about an hour); otherwise one
//! call of each kind is tried.

use crate::support::{copy_folder, numbered_report};
use crate::workdir::WorkDir;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Reports already in the store; those after them, up to `ALL`, are new.
const STORED: u32 = 12;
const ALL: u32 = 16;

/// The calls that change a disk.
const CALLS: [&str; 11] = [
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "renameat2",
    "unlink",
    "linkat",
    "mkdir",
    "rmdir",
    "ftruncate",
];
const FAULTS: [&str; 3] = ["error=EIO", "error=ENOSPC", "signal=KILL"];

/// A command, and the one that repairs what its failure left.
const COMMANDS: [(&[&str], &[&str]); 4] = [
    (&["ingest", "in"], &["ingest", "in"]),
    (&["compact"], &["compact"]),
    (&["rebuild"], &["rebuild"]),
    (&["prune", "--keep", "1m"], &["prune", "--keep", "1m"]),
];

/// A report of one row, in one of three months, whose count is its number.
fn report(number: u32) -> String {
    numbered_report(number, 1_767_225_600 + u64::from(number % 3) * 31 * 86_400)
}

/// A store of several batches, and the reports it is made of.
fn base() -> WorkDir {
    let work = WorkDir::new();
    for number in 1..=STORED {
        let file = work.write(format!("in/{number}.xml"), report(number));
        if number % 2 == 0 {
            assert_eq!(work.run(["ingest", "in"]).code, Some(0), "{}", file.display());
        }
    }
    (STORED + 1..=ALL).for_each(|number| drop(work.write(format!("new/{number}.xml"), report(number))));
    work
}

/// The program under strace with these expressions; `None` if strace cannot be started.
fn traced(work: &WorkDir, args: &[&str], log: &Path, expressions: &[String]) -> Option<()> {
    let plain = work.command(args);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(log);
    for expression in expressions {
        command.args(["-e", expression]);
    }
    command.arg(plain.get_program()).args(plain.get_args());
    command.current_dir(plain.get_current_dir().expect("a folder"));
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let done = command.output().ok()?;
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(!told.contains("panicked"), "{args:?} {expressions:?}: {told}");
    Some(())
}

/// The counts of all rows, which identify their reports.
fn counts(work: &WorkDir) -> Vec<u64> {
    let rows = work.run(["export", "--format", "ndjson"]);
    assert_eq!(rows.code, Some(0), "{rows:#?}");
    let count = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("a row")["count"].as_u64();
    let mut counts: Vec<u64> = rows.stdout.lines().map(|line| count(line).expect("a count")).collect();
    counts.sort_unstable();
    counts
}

/// Every report is in the tables and in the originals exactly once.
fn check(work: &WorkDir, expected: &[u64], what: &str) {
    assert_eq!(counts(work), expected, "{what}");
    let verified = work.run(["verify"]);
    assert_eq!(verified.code, Some(0), "{what}: {verified:#?}");
    for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = std::fs::remove_file(work.path("store").join(name));
    }
    let rebuilt = work.run(["rebuild"]);
    assert_eq!(rebuilt.code, Some(0), "{what}, without its ledger: {rebuilt:#?}");
    assert_eq!(counts(work), expected, "{what}, from its originals");
}

/// How often a thread of a command makes each call.
fn calls(base: &WorkDir, args: &[&str]) -> Option<BTreeMap<&'static str, u32>> {
    let work = trial(base, args);
    let log = work.path("log");
    traced(&work, args, &log, &[format!("trace={}", CALLS.join(","))])?;
    let mut found: BTreeMap<(String, &str), u32> = BTreeMap::new();
    for line in std::fs::read_to_string(&log).ok()?.lines() {
        let Some((thread, call)) = line.split_once(char::is_whitespace) else { continue };
        let name = call.trim_start().split('(').next().unwrap_or_default();
        if let Some(known) = CALLS.into_iter().find(|known| *known == name) {
            *found.entry((thread.to_owned(), known)).or_default() += 1;
        }
    }
    let mut most: BTreeMap<&'static str, u32> = BTreeMap::new();
    for ((_, call), count) in found {
        let most = most.entry(call).or_default();
        *most = count.max(*most);
    }
    Some(most)
}

/// A copy of the base for one trial.
fn trial(base: &WorkDir, args: &[&str]) -> WorkDir {
    let work = WorkDir::new();
    copy_folder(&base.path("store"), &work.path("store"));
    copy_folder(&base.path("in"), &work.path("in"));
    if args[0] == "ingest" {
        copy_folder(&base.path("new"), &work.path("in"));
    }
    work
}

#[test]
fn whatever_call_fails_the_next_run_has_every_report_once() {
    let all = std::env::var("DMARQUET_FAULTS").is_ok_and(|value| value == "all");
    let base = base();
    let mut played = 0;
    for (index, (args, again)) in COMMANDS.into_iter().enumerate() {
        let Some(calls) = calls(&base, args) else {
            eprintln!("skipped: no strace");
            return;
        };
        let expected: Vec<u64> = match args[0] {
            "prune" => Vec::new(),
            "ingest" => (1..=u64::from(ALL)).collect(),
            _ => (1..=u64::from(STORED)).collect(),
        };
        assert!(calls.len() > 4, "{args:?} makes only {calls:?}");
        for (place, (call, count)) in calls.into_iter().enumerate() {
            let chosen: Vec<(u32, &str, bool)> = if all {
                let each = (1..=count).flat_map(|nth| FAULTS.map(|fault| [(nth, fault, true), (nth, fault, false)]));
                each.flatten().collect()
            } else {
                let fault = FAULTS[(index + place) % FAULTS.len()];
                vec![(count.div_ceil(2), fault, (index + place) % 2 == 0)]
            };
            for (nth, fault, exchange) in chosen {
                if call == "renameat2" && !exchange {
                    continue;
                }
                let what = format!("{} with {fault} at {call} {nth}, exchange {exchange}", args.join(" "));
                let work = trial(&base, args);
                let mut expressions =
                    vec![format!("trace={call},renameat2"), format!("inject={call}:{fault}:when={nth}")];
                if !exchange {
                    expressions.push("inject=renameat2:error=EINVAL".to_owned());
                }
                traced(&work, args, Path::new("/dev/null"), &expressions);
                let done = work.run(again);
                assert_eq!(done.code, Some(0), "{what}: {done:#?}");
                check(&work, &expected, &what);
                played += 1;
            }
        }
    }
    println!("{played} faults");
}

/// With locks that cannot be taken, or that exclude nobody, nothing is written.
#[test]
fn where_the_file_system_does_not_lock_nobody_writes() {
    let base = base();
    for (how, told) in [("error=ENOLCK", "locking the store failed"), ("retval=0", "expected a file system that locks")]
    {
        for (args, _) in COMMANDS {
            let work = trial(&base, args);
            let plain = work.command(args);
            let mut command = Command::new("strace");
            command
                .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e"])
                .arg(format!("inject=flock:{how}"));
            command.arg(plain.get_program()).args(plain.get_args()).current_dir(work.path(""));
            command.env("DMARQUET_STORE", work.path("store")).env("HOME", work.path("home"));
            let Ok(done) = command.output() else {
                eprintln!("skipped: no strace");
                return;
            };
            let stderr = String::from_utf8_lossy(&done.stderr);
            assert_eq!(done.status.code(), Some(2), "{how} {args:?}: {stderr}");
            assert!(stderr.contains(told), "{how} {args:?}: {stderr}");
            check(&work, &(1..=u64::from(STORED)).collect::<Vec<_>>(), how);
        }
    }
}
