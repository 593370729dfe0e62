//! Failures of the disk and the ledger: a full disk, a ledger with a flipped byte, truncated or missing. There is a
//! clear error or a repair by `rebuild`, never a silent loss.

use crate::workdir::{Done, WorkDir, samples};
use std::path::PathBuf;
use std::process::Command;

fn stored() -> (WorkDir, u64) {
    let work = WorkDir::new();
    let done = work.run(["ingest", samples().to_str().expect("a UTF-8 path")]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    let reports = reports(&work);
    assert!(reports > 0);
    (work, reports)
}

fn reports(work: &WorkDir) -> u64 {
    work.run(["status", "--format", "json"]).json()["reports"].as_u64().expect("a number")
}

/// Exited with 2 and said why.
#[track_caller]
fn refused(done: &Done, what: &str) {
    assert_eq!(done.code, Some(2), "{what}: {done:#?}");
    assert!(done.stderr.starts_with("error: ") && !done.stderr.contains("panicked"), "{what}: {done:#?}");
}

#[test]
fn a_damaged_or_lost_ledger_is_said_and_rebuilt_from_the_originals() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 4] = [
        ("head flipped", |ledger| ledger[3] ^= 0x40),
        ("cut to a third", |ledger| ledger.truncate(ledger.len() / 3)),
        ("pages of noise", |ledger| {
            let end = ledger.len();
            ledger[4096..end].fill(0x5a);
        }),
        ("deleted", Vec::clear),
    ];
    for (what, damage) in damages {
        let (work, before) = stored();
        let path = work.path("store/ledger.sqlite");
        let mut ledger = std::fs::read(&path).expect("a ledger");
        damage(&mut ledger);
        for name in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
            let _ = std::fs::remove_file(work.path("store").join(name));
        }
        if ledger.is_empty() {
            std::fs::remove_file(&path).expect("it can be removed");
        } else {
            std::fs::write(&path, ledger).expect("it can be written");
        }
        refused(&work.run(["summary"]), what);
        let verify = work.run(["verify"]);
        assert!(matches!(verify.code, Some(1 | 2)), "{what}: {verify:#?}");
        let rebuilt = work.run(["rebuild"]);
        assert_eq!(rebuilt.code, Some(0), "{what}: {rebuilt:#?}");
        assert_eq!(reports(&work), before, "{what}");
        assert_eq!(work.run(["verify"]).code, Some(0), "{what}");
    }
}

/// A small disk in memory, unmounted on drop.
struct Disk(PathBuf);

impl Disk {
    fn new(work: &WorkDir, kib: u32) -> Option<Self> {
        let path = work.path("store");
        std::fs::create_dir_all(&path).expect("a folder");
        let size = format!("size={kib}k");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).output();
        done.is_ok_and(|done| done.status.success()).then_some(Self(path))
    }

    fn grow(&self) {
        self.remount("size=64m");
    }

    fn remount(&self, how: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0).status();
        assert!(done.is_ok_and(|done| done.success()), "remounted {how}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_ends_the_run_with_2_and_the_next_one_continues() {
    let samples = samples();
    let args = ["ingest", samples.to_str().expect("a UTF-8 path")];
    let (_, all) = stored();
    let mut full = 0;
    for kib in (20..900).step_by(80) {
        let work = WorkDir::new();
        let Some(disk) = Disk::new(&work, kib) else {
            eprintln!("skipped: only root can mount a small disk");
            return;
        };
        let done = work.run(args);
        if done.code != Some(0) {
            refused(&done, &format!("{kib} KiB"));
            full += 1;
        }
        disk.grow();
        assert_eq!(work.run(args).code, Some(0), "{kib} KiB, then room");
        assert_eq!(reports(&work), all, "{kib} KiB");
        assert_eq!(work.run(["verify"]).code, Some(0), "{kib} KiB");
    }
    assert!(full > 0, "no disk was small enough");
}

#[test]
fn a_store_that_cannot_be_written_is_read_all_the_same() {
    let work = WorkDir::new();
    let Some(disk) = Disk::new(&work, 64 << 10) else {
        eprintln!("skipped: only root can mount a small disk");
        return;
    };
    let samples = samples();
    let ingest = ["ingest", samples.to_str().expect("a UTF-8 path")];
    assert_eq!(work.run(ingest).code, Some(0));
    let (summary, all) = (["summary", "--week", "2026-W47"], reports(&work));
    let before = work.run(summary).quiet();
    disk.remount("ro");
    for args in [&ingest[..], &["compact"], &["rebuild"], &["prune", "--keep", "1m"]] {
        let done = work.run(args);
        refused(&done, &args.join(" "));
        assert!(done.stderr.contains("Read-only file system") && done.stderr.contains("hint: "), "{done:#?}");
    }
    assert_eq!((work.run(summary).quiet(), reports(&work)), (before, all));
    assert_eq!(work.run(["verify"]).code, Some(0));
    disk.remount("rw");
    assert_eq!(work.run(ingest).code, Some(0));
}

#[test]
fn a_file_flipped_cut_or_gone_is_named_by_verify_and_never_the_end_of_the_program() {
    type Damage = fn(&std::path::Path, &[u8]);
    let damages: [(&str, Damage); 3] = [
        ("flipped", |path, bytes| {
            let mut bytes = bytes.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x40;
            overwrite(path, &bytes);
        }),
        ("cut", |path, bytes| overwrite(path, &bytes[..1000])),
        ("gone", |path, _| std::fs::remove_file(path).expect("a file")),
    ];
    let (work, _) = stored();
    for kind in ["records", "originals"] {
        let path = crate::workdir::files_below(&work.path("store").join(kind)).swap_remove(0);
        let bytes = std::fs::read(&path).expect("a file");
        let name = path.strip_prefix(work.path("store")).expect("below the store").to_string_lossy().into_owned();
        for (what, damage) in damages {
            damage(&path, &bytes);
            let verify = work.run(["verify"]);
            assert_eq!(verify.code, Some(1), "{name} {what}: {verify:#?}");
            assert!(verify.stderr.contains(&name) && !verify.stderr.contains("panicked"), "{what}: {verify:#?}");
            let summary = work.run(["summary", "--last", "90d"]);
            assert!(matches!(summary.code, Some(0 | 2)), "{name} {what}: {summary:#?}");
            assert!(!summary.stderr.contains("panicked"), "{name} {what}: {summary:#?}");
            if kind == "records" && what != "flipped" {
                refused(&summary, &format!("{name} {what}"));
                assert!(summary.stderr.contains(&name), "{summary:#?}");
            }
            overwrite(&path, &bytes);
        }
    }
    assert_eq!(work.run(["verify"]).code, Some(0));
}

/// Replaces or creates a file of a store; the existing ones are read-only.
fn overwrite(path: &std::path::Path, bytes: &[u8]) {
    let _ = std::fs::remove_file(path);
    std::fs::write(path, bytes).expect("a file");
}
