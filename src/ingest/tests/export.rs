//! Exports hold the rows of their filter.

use super::*;
use crate::store::PartFiles;

#[test]
fn exports_hold_the_rows_of_their_filter() {
    let dir = tempfile::tempdir().unwrap();
    full(dir.path());
    let store = Store::open(dir.path()).unwrap();
    let all = Filter::default();
    let some = Filter { from: Some(jiff::civil::date(2026, 11, 10)), ..Filter::default() };
    let none = Filter { domains: vec!["example.org".into()], ..Filter::default() };
    for filter in [all, some, none] {
        let mut rows = 0;
        store.rows(&filter, ColumnSet::NONE, &mut |run| rows += run.len).unwrap();
        let lines = |format| {
            let mut out = Vec::new();
            store.export(&filter, format, &mut out).unwrap();
            String::from_utf8_lossy(&out).lines().count()
        };
        assert_eq!(lines(crate::store::RowFormat::Ndjson), rows);
        assert_eq!(lines(crate::store::RowFormat::Csv), rows + 1);
        let mut arrow = Vec::new();
        store.export(&filter, crate::store::RowFormat::Arrow, &mut arrow).unwrap();
        assert!(arrow.starts_with(b"ARROW1"));
        let out = tempfile::tempdir().unwrap();
        store.export_parquet(&filter, None, out.path(), PartFiles::Copied).unwrap();
        let month = std::fs::read_dir(out.path().join("records")).unwrap().next().unwrap().unwrap().path();
        assert_eq!(month.join("empty.parquet").exists(), rows == 0, "without rows the columns stay");
    }
}

#[test]
fn an_export_of_less_over_one_of_all_leaves_the_store_whole_and_no_row_too_many() {
    let dir = tempfile::tempdir().unwrap();
    full(dir.path());
    let (store, out) = (Store::open(dir.path()).unwrap(), tempfile::tempdir().unwrap());
    let rows = |filter: &Filter, of: &Store| {
        let mut rows = 0;
        of.rows(filter, ColumnSet::NONE, &mut |run| rows += run.len).unwrap();
        rows
    };
    let all = Filter::default();
    let some = Filter { from: Some(jiff::civil::date(2026, 11, 10)), ..Filter::default() };
    let before = (rows(&all, &store), rows(&some, &store));
    for filter in [&all, &some, &all] {
        store.export_parquet(filter, None, out.path(), PartFiles::Copied).unwrap();
        let exported = Store::open_folder(out.path()).unwrap();
        assert_eq!(rows(&all, &exported), rows(filter, &store));
        assert_eq!((rows(&all, &store), rows(&some, &store)), before, "its parts may be linked");
    }
}
