//! Verifying and pruning.

use super::*;

#[test]
fn an_intact_store_verifies_and_each_damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let reports: Vec<_> = (0..30).map(|number| accepted(number, number % 6)).collect();
    write(dir.path(), &reports);
    let verify = || Store::open(dir.path()).unwrap().verify().unwrap();
    assert_eq!(verify(), []);
    Writer::open(dir.path(), now()).unwrap().compact(true).unwrap();
    assert_eq!(verify(), []);

    let file = |kind, month| {
        let found =
            crate::store::disk::files::list(&Layout::new(dir.path()).month(kind, Month { year: 2026, month })).unwrap();
        found.first().unwrap().clone()
    };
    let part = file(FileKind::Part, 11);
    let bytes = std::fs::read(&part).unwrap();
    overwrite(&part, &bytes[..bytes.len() / 2]);
    std::fs::write(part.with_file_name("stray.parquet"), &bytes).unwrap();
    let pack = file(FileKind::Pack, 10);
    std::fs::remove_file(&pack).unwrap();
    let at: std::collections::BTreeSet<_> = verify().into_iter().map(|fault| fault.at).collect();
    for expected in [part.clone(), part.with_file_name("stray.parquet"), pack] {
        let expected = expected.strip_prefix(dir.path()).unwrap().to_str().unwrap();
        assert!(at.contains(expected), "{expected} in {at:?}");
    }
    assert!(part.with_file_name("stray.parquet").exists(), "an unknown file is told, not removed");
}

#[test]
fn pruned_months_are_gone_and_the_rest_stays() {
    let dir = tempfile::tempdir().unwrap();
    let reports: Vec<_> = (0..40).map(|number| accepted(number, 2)).collect();
    write(dir.path(), &reports);
    let first = Month { year: 2026, month: 11 };
    let pruned = Writer::open(dir.path(), now()).unwrap().prune(first).unwrap();
    let left: Vec<_> = reports.iter().filter(|accepted| accepted.report.day >= first.first()).cloned().collect();
    assert_eq!((pruned.reports, pruned.files), (reports.len() - left.len(), 2));
    assert_eq!(stored(dir.path()), collected(&left));
    assert!(!dir.path().join("originals/month=2026-10").exists());
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.verify().unwrap(), []);
    // The sums are those of a store that never had the old months.
    let other = tempfile::tempdir().unwrap();
    write(other.path(), &left);
    let (status, expected) = (store.status().unwrap(), Store::open(other.path()).unwrap().status().unwrap());
    assert!(!expected.reporters.is_empty());
    assert_eq!((status.totals, status.reporters), (expected.totals, expected.reporters));
}

#[test]
fn a_missing_store_does_not_verify() {
    let dir = tempfile::tempdir().unwrap();
    for dir in [dir.path().to_owned(), dir.path().join("typo")] {
        assert!(matches!(Store::open(&dir).unwrap().verify(), Err(StoreError::NoStore { .. })));
    }
}
