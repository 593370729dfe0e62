//! Rows and reports read back as they were judged.

use super::*;

#[test]
fn rows_read_back_as_they_were_judged() {
    let dir = tempfile::tempdir().unwrap();
    let reports: Vec<_> = (0..50).map(|number| accepted(number, number % 12)).collect();
    write(dir.path(), &reports);
    assert_eq!(stored(dir.path()), collected(&reports));
    let mut heads = Vec::new();
    Store::open(dir.path()).unwrap().heads(&Filter::default(), &mut |head| heads.push(head)).unwrap();
    assert_eq!(heads, reports.iter().map(head).collect::<Vec<_>>());
}

#[test]
fn a_filter_keeps_its_days_and_domains() {
    let dir = tempfile::tempdir().unwrap();
    let reports: Vec<_> = (0..80).map(|number| accepted(number, 5)).collect();
    write(dir.path(), &reports);
    let filter = Filter {
        from: Some(date(2026, 10, 30)),
        to: Some(date(2026, 11, 3)),
        domains: vec!["example.net".to_owned()],
        ..Filter::default()
    };
    let wanted: Vec<_> = reports
        .iter()
        .filter(|accepted| {
            accepted.report.policy.domain.as_str() == "example.net"
                && (filter.from.unwrap()..=filter.to.unwrap()).contains(&accepted.report.day)
        })
        .cloned()
        .collect();
    assert!(!wanted.is_empty());
    let store = Store::open(dir.path()).unwrap();
    let mut all = Vec::new();
    store.rows(&filter, ColumnSet::ALL, &mut |rows| all.extend(texts(&rows))).unwrap();
    all.sort();
    assert_eq!(all, collected(&wanted));
    let mut heads = 0;
    let counted = std::sync::atomic::AtomicI64::new(0);
    let add = |rows: Rows| {
        counted.fetch_add(rows.count.iter().sum(), std::sync::atomic::Ordering::Relaxed);
    };
    store.all(&filter, &|_| ColumnSet::COUNT, add, &mut |_| heads += 1).unwrap();
    assert_eq!(heads, wanted.len());
    assert_eq!(counted.into_inner(), wanted.iter().map(|a| crate::store::tables::reports::sums(a).0).sum::<i64>());
}

#[test]
fn a_store_that_does_not_exist_reads_as_empty() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(stored(&dir.path().join("none")), Vec::<String>::new());
    assert_eq!(stored(dir.path()), Vec::<String>::new());
}

#[test]
fn flags_distinguish_false_from_missing() {
    let record = record(1, 0);
    let rows = {
        let mut collector = Collector::new();
        collector.push(&accepted(1, 1).report, (&[verdict(&record)], SenderAuth::Unknown), usize::MAX, |_| {});
        collector.take()
    };
    assert!(rows.flags[0].has(Flags::PASS | Flags::DKIM | Flags::RECOMPUTED));
    assert!(!rows.flags[0].has(Flags::RECOMPUTED_SPF));
    assert_eq!(rows.source[0], SourceAddress::from(record.source_ip));
}

#[test]
fn a_store_on_a_read_only_folder_is_read_and_says_why_it_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let reports: Vec<_> = (0..5).map(|number| accepted(number, 2)).collect();
    write(dir.path(), &reports);
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let expected = collected(&reports);
    let seen = stored(dir.path());
    let written = Writer::open(&dir.path().join("below"), now());
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(seen, expected);
    // Root may write anywhere; others get an error that says what failed and where.
    if let Err(error) = written {
        assert!(error.to_string().contains("making the folder"), "{error}");
    }
}
