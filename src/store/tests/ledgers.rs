//! A ledger that is missing, replaced, older than its files, or of another writer.

use super::*;

#[test]
fn a_second_writer_learns_who_holds_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Writer::open(dir.path(), now()).unwrap();
    let error = Writer::open(dir.path(), now()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StoreError::Busy { .. }), "{text}");
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
}

#[test]
fn data_without_a_ledger_ask_for_rebuild() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[accepted(1, 1)]);
    for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = std::fs::remove_file(dir.path().join(name));
    }
    for error in
        [Writer::open(dir.path(), now()).map(drop).unwrap_err(), Store::open(dir.path()).map(drop).unwrap_err()]
    {
        assert!(matches!(error, StoreError::NoLedger { .. }), "{error}");
        assert!(error.to_string().contains("rebuild"), "{error}");
    }
    std::fs::write(dir.path().join("ledger.sqlite"), b"").unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::NoLedger { .. })));
}

#[test]
fn an_error_says_that_the_ledger_was_replaced() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[accepted(1, 1)]);
    let store = Store::open(dir.path()).unwrap();
    let said =
        || store.ledger.as_ref().unwrap().failed("reading the ledger")(rusqlite::Error::InvalidQuery).to_string();
    assert!(said().contains("reading the ledger failed"), "{}", said());
    let ledger = dir.path().join("ledger.sqlite");
    std::fs::copy(&ledger, dir.path().join("new")).unwrap();
    std::fs::rename(dir.path().join("new"), &ledger).unwrap();
    assert!(said().ends_with("was rebuilt while it was read; run the command again"), "{}", said());
}

/// The ledger of a store, to be put back later.
fn backup(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join("ledger.sqlite")).unwrap()
}

#[test]
fn a_ledger_older_than_its_files_is_reported_and_costs_no_file() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[accepted(1, 2)]);
    let old = backup(dir.path());
    write(dir.path(), &[accepted(2, 2)]);
    write(dir.path(), &[accepted(41, 2)]);
    let keys = manifest_keys(dir.path());
    for name in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = std::fs::remove_file(dir.path().join(name));
    }
    std::fs::write(dir.path().join("ledger.sqlite"), old).unwrap();
    let error = Writer::open(dir.path(), now()).unwrap_err();
    assert!(matches!(error, StoreError::OlderLedger { known: 1, .. }), "{error}");
    assert!(error.to_string().contains("rebuild"), "{error}");
    let faults = Store::open(dir.path()).unwrap().verify().unwrap();
    assert!(faults.iter().any(|fault| fault.what.contains("older than its files")), "{faults:?}");
    assert_eq!((manifest_keys(dir.path()), keys), (3, 3));
}

#[test]
fn a_ledger_put_back_from_the_middle_of_a_commit_removes_nothing_that_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[accepted(1, 2)]);
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    // The backup is made while the files are written: its intents name them.
    let (path, copy) = (dir.path().to_owned(), dir.path().join("backup"));
    let copied = copy.clone();
    *writer.fault.get_mut() = Some(Box::new(move |step| {
        if step == CommitStage::Planned {
            let ledger = rusqlite::Connection::open(path.join("ledger.sqlite")).unwrap();
            ledger.execute("VACUUM INTO ?1", [copied.to_str().unwrap()]).unwrap();
        }
        false
    }));
    writer.add(accepted(2, 2)).unwrap();
    writer.commit().unwrap();
    drop(writer);
    for name in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = std::fs::remove_file(dir.path().join(name));
    }
    std::fs::rename(copy, dir.path().join("ledger.sqlite")).unwrap();
    assert!(matches!(Writer::open(dir.path(), now()), Err(StoreError::OlderLedger { .. })));
    assert_eq!(manifest_keys(dir.path()), 2, "every original is there");
}

#[test]
fn a_displaced_writer_is_refused_and_the_new_one_continues() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Writer::open(dir.path(), now()).unwrap();
    first.add(accepted(1, 1)).unwrap();
    // As if the lock had no effect: another host, or the file removed by hand.
    std::fs::remove_file(dir.path().join("lock")).unwrap();
    let mut second = Writer::open(dir.path(), now()).unwrap();
    second.add(accepted(2, 1)).unwrap();
    assert!(matches!(first.commit(), Err(StoreError::LockLost { .. })));
    assert!(matches!(
        first.clear_pending(&[Message::Imap { mailbox: "m".into(), folder: "f".into(), uid_validity: 1, uid: 1 }]),
        Err(StoreError::Superseded { .. })
    ));
    second.commit().unwrap();
    drop(first);
    second.add(accepted(41, 1)).unwrap();
    second.commit().unwrap();
    drop(second);
    assert_eq!(stored(dir.path()), collected(&[accepted(2, 1), accepted(41, 1)]));
    assert_eq!(Store::open(dir.path()).unwrap().verify().unwrap(), []);
}
