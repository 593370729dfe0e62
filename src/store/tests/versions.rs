//! Stores of older versions are upgraded, those of newer programs refused.

use super::*;

#[test]
fn a_ledger_of_version_1_is_read_and_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &(0..3).map(|number| accepted(number, 3)).collect::<Vec<_>>());
    let ledger = rusqlite::Connection::open(dir.path().join("ledger.sqlite")).unwrap();
    // What later versions added is gone.
    let added = ADDED.concat();
    let mut names = ledger.prepare("SELECT type, name FROM sqlite_master WHERE instr(?1, sql) > 0").unwrap();
    let names: Vec<(String, String)> =
        names.query_map([&added], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    for kind in ["index", "table"] {
        for (_, name) in names.iter().filter(|(found, _)| found == kind) {
            ledger.execute_batch(&format!("DROP {kind} IF EXISTS {name}")).unwrap();
        }
    }
    let tables = "ALTER TABLE files DROP COLUMN hash; DROP TABLE writer; DROP TABLE intents;
        CREATE TABLE intents (path TEXT PRIMARY KEY) WITHOUT ROWID;
        CREATE TABLE compactions (made TEXT PRIMARY KEY, kind TEXT NOT NULL, month TEXT NOT NULL, records INTEGER NOT NULL,
            replaced TEXT NOT NULL) WITHOUT ROWID;
        PRAGMA user_version = 1;";
    ledger.execute_batch(tables).unwrap();
    assert_eq!(Store::open(dir.path()).unwrap().verify().unwrap(), []);
    write(dir.path(), &[accepted(7, 3)]);
    assert_eq!(Store::open(dir.path()).unwrap().verify().unwrap(), []);
    let kept = "SELECT SUM(hash IS NULL), SUM(length(hash) = 32) FROM files";
    let counts = ledger.query_row(kept, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).unwrap();
    assert_eq!(counts, (2, 2));
}

/// A store as version 2 left it, with two merged packs that it had not removed yet.
fn store_of_version_2() -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for path in crate::store::disk::files::list(from).unwrap() {
            let target = to.join(path.file_name().unwrap());
            if path.is_dir() {
                copy(&path, &target);
            } else {
                std::fs::copy(&path, &target).unwrap();
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store-2"), dir.path());
    dir
}

#[test]
fn a_store_of_version_2_is_read_and_upgraded_and_nothing_is_lost() {
    let dir = store_of_version_2();
    assert_eq!(Store::open(dir.path()).unwrap().verify().unwrap(), [], "before it is upgraded");
    let rows = stored(dir.path());
    assert_eq!((rows.len(), manifest_keys(dir.path())), (16, 8));
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    let said = writer.take_notices();
    let upgraded = format!("from version 2 to {VERSION}");
    assert!(said.len() == 1 && said[0].contains(&upgraded), "{said:?}");
    assert_eq!(writer.add(accepted(3, 2)).unwrap(), Added::Stored);
    writer.commit().unwrap();
    drop(writer);
    assert_eq!(Writer::open(dir.path(), now()).unwrap().take_notices(), Vec::<String>::new(), "said once");
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.verify().unwrap(), []);
    assert_eq!((stored(dir.path()).len(), manifest_keys(dir.path())), (18, 9));
    let status = store.status().unwrap();
    assert_eq!((status.totals.reports, status.rejected.count, status.conflicts), (9, 1, 1));
    assert!(!dir.path().join("retired").exists(), "every original of it is in another pack");
}

#[test]
fn an_upgrade_keeps_a_merged_pack_whose_originals_are_nowhere_else() {
    let dir = store_of_version_2();
    let merged = dir.path().join("originals/month=2026-11/00000012.zip");
    std::fs::write(&merged, b"damaged").unwrap();
    let said = Writer::open(dir.path(), now()).unwrap().take_notices();
    let kept = dir.path().join("originals/month=2026-11/00000006.zip");
    assert!(kept.exists() && said.iter().any(|said| said.contains("00000006.zip")), "{said:?}");
    assert!(!dir.path().join("originals/month=2026-10/00000005.zip").exists());
}

#[test]
fn a_merge_of_version_2_whose_list_is_damaged_is_an_error_and_not_an_empty_list() {
    let dir = store_of_version_2();
    let ledger = rusqlite::Connection::open(dir.path().join("ledger.sqlite")).unwrap();
    let sql =
        "INSERT INTO compactions VALUES ('records/month=2026-11/00000014.parquet', 'records', '2026-11', 8, '[\"')";
    ledger.execute(sql, []).unwrap();
    drop(ledger);
    let error = Writer::open(dir.path(), now()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn a_store_of_a_newer_program_is_refused_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[accepted(1, 1)]);
    let ledger = rusqlite::Connection::open(dir.path().join("ledger.sqlite")).unwrap();
    let newer = VERSION + 1;
    ledger.execute_batch(&format!("PRAGMA user_version = {newer}")).unwrap();
    for error in
        [Writer::open(dir.path(), now()).map(drop).unwrap_err(), Store::open(dir.path()).map(drop).unwrap_err()]
    {
        let message = error.to_string();
        let expected = format!("expected version {VERSION} or older, found version {newer}");
        assert!(message.ends_with(&format!("a newer dmarquet wrote this data folder: {expected}")), "{message}");
    }
}
