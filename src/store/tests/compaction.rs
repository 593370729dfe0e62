//! Merging small files changes no answer, wherever it is killed.

use super::*;
use crate::store::upkeep::compact::MERGE_FILES;

#[test]
fn compaction_keeps_every_row_and_original() {
    let dir = tempfile::tempdir().unwrap();
    let reports = many_batches(dir.path(), 40);
    let before = count(dir.path(), FileKind::Part);
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    let done = writer.compact(false).unwrap();
    assert!(done.merged > 2 * MERGE_FILES, "{done:?}");
    assert_eq!(
        writer.compact(false).unwrap(),
        crate::store::upkeep::compact::Compacted::default(),
        "nothing is due twice"
    );
    drop(writer);
    assert!(count(dir.path(), FileKind::Part) < before);
    // A reader of all Parquet files below the root, as by `**/*.parquet`, meets each row once.
    let mut parts = Vec::new();
    crate::store::ledger::survey::visible(dir.path(), "parquet", &mut parts).unwrap();
    assert_eq!(parts.len(), count(dir.path(), FileKind::Part), "{parts:?}");
    assert!(dir.path().join("retired").exists(), "readers may still want the others");
    assert_eq!(stored(dir.path()), collected(&reports));
    assert_eq!(manifest_keys(dir.path()), reports.len());
    assert_eq!(write(dir.path(), &reports), BTreeMap::from([("duplicate", reports.len())]));
    // The next merge takes the merged files too, while they are small.
    Writer::open(dir.path(), now()).unwrap().compact(true).unwrap();
    assert_eq!(stored(dir.path()), collected(&reports));
    Writer::open(dir.path(), now()).unwrap();
    assert!(!dir.path().join("retired").exists(), "the next run removes what was retired");
}

#[test]
fn foreign_files_in_a_months_folder_stay_and_stop_no_merge() {
    let dir = tempfile::tempdir().unwrap();
    let reports = many_batches(dir.path(), 20);
    let month = std::fs::read_dir(dir.path().join("records")).unwrap().next().unwrap().unwrap().path();
    std::os::unix::fs::symlink("/nonexistent", month.join("dangling")).unwrap();
    std::os::unix::fs::symlink("/dev/null", month.join("link")).unwrap();
    std::fs::write(month.join("file"), "mine").unwrap();
    Writer::open(dir.path(), now()).unwrap().compact(true).unwrap();
    for name in ["dangling", "link", "file"] {
        assert!(month.join(name).symlink_metadata().is_ok(), "{name}");
    }
    assert_eq!(stored(dir.path()), collected(&reports));
    Writer::open(dir.path(), now()).unwrap();
    assert!(!dir.path().join("compacting").exists(), "nothing is left of the merge");
}

#[test]
fn a_kill_at_any_step_of_a_compaction_changes_no_answer() {
    for step in [CommitStage::Planned, CommitStage::Written, CommitStage::Recorded, CommitStage::Published] {
        let dir = tempfile::tempdir().unwrap();
        let reports = many_batches(dir.path(), 40);
        let expected = collected(&reports);
        let mut writer = Writer::open(dir.path(), now()).unwrap();
        kill_at(&mut writer, step);
        writer.compact(false).unwrap_err();
        drop(writer);
        assert_eq!(stored(dir.path()), expected, "our reader after a kill at {step:?}");
        assert_eq!(globbed(dir.path()), expected.len(), "a reader that globs, after a kill at {step:?}");
        write(dir.path(), &reports);
        assert_eq!(stored(dir.path()), expected, "after a kill at {step:?} and another run");
        assert_eq!(globbed(dir.path()), expected.len());
        assert_eq!(manifest_keys(dir.path()), reports.len());
        assert!(!dir.path().join("compacting").exists());
    }
}

#[test]
fn a_merge_refuses_to_spread_damage() {
    let dir = tempfile::tempdir().unwrap();
    // All in one month.
    for number in 0..4 {
        write(dir.path(), &[accepted(number * 40, 2)]);
    }
    let mut packs = Vec::new();
    crate::store::ledger::survey::visible(&Layout::new(dir.path()).folder(FileKind::Pack), "zip", &mut packs).unwrap();
    let bytes = std::fs::read(&packs[1]).unwrap();
    let mut damaged = bytes.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x40;
    overwrite(&packs[1], &damaged);
    let done = Writer::open(dir.path(), now()).unwrap().compact(true).unwrap();
    assert_eq!((done.merged, done.damaged.len()), (7, 1), "{done:?}");
    assert_eq!(std::fs::read(&packs[1]).unwrap(), damaged, "it stays as it is");
    overwrite(&packs[1], &bytes);
    assert_eq!(Store::open(dir.path()).unwrap().verify().unwrap(), []);
    assert_eq!(manifest_keys(dir.path()), 4);
}

#[test]
fn a_merged_part_that_was_set_aside_halfway_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let reports = many_batches(dir.path(), 20);
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    kill_at(&mut writer, CommitStage::Recorded);
    writer.compact(true).unwrap_err();
    drop(writer);
    // As a link does in place of a rename, when a kill comes before the old name is removed.
    let layout = Layout::new(dir.path());
    for month in [10, 11] {
        let month = Month { year: 2026, month };
        let retired = layout.retired(FileKind::Part, month);
        std::fs::create_dir_all(&retired).unwrap();
        for path in crate::store::ledger::survey::on_disk(&layout, FileKind::Part).unwrap() {
            if path.starts_with(layout.month(FileKind::Part, month)) {
                std::fs::hard_link(&path, layout.retired_file(FileKind::Part, month, path.file_name().unwrap()))
                    .unwrap();
            }
        }
    }
    drop(Writer::open(dir.path(), now()).unwrap());
    assert_eq!(Store::open(dir.path()).unwrap().verify().unwrap(), []);
    assert_eq!(stored(dir.path()), collected(&reports));
    assert_eq!(globbed(dir.path()), stored(dir.path()).len());
}
