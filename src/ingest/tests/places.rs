//! Every item ends in exactly one place, in the source's order, whatever the threads do.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn every_item_ends_in_exactly_one_place() {
    let dir = tempfile::tempdir().unwrap();
    let tally = ingest(dir.path(), mixed());
    assert_eq!(tally.stored, Stored { reports: 2, records: 2, messages: 12, dmarc_pass: 12, tls_reports: 1 });
    assert_eq!((tally.duplicates, tally.conflicts), (2, 2));
    assert_eq!(tally.set_aside, SetAside { other: 1, ..SetAside::default() });
    let origins: Vec<_> = tally.rejected.iter().map(|rejected| rejected.origin.as_str()).collect();
    assert_eq!(origins, ["cut.xml", "huge.mbox"]);
    let stored = tally.stored.reports + tally.stored.tls_reports;
    let places = stored + tally.duplicates + tally.conflicts + tally.set_aside.total();
    assert_eq!(tally.items, places + tally.rejected_count());
    assert_eq!(tally.items, 10);
}

#[test]
fn twice_equals_once() {
    let dir = tempfile::tempdir().unwrap();
    ingest(dir.path(), mixed());
    let tally = ingest(dir.path(), mixed());
    assert_eq!(tally.stored, Stored::default());
    assert_eq!((tally.items, tally.duplicates, tally.conflicts), (10, 9, 0));
    assert_eq!(tally.set_aside.total(), 1);
    assert!(tally.rejected.is_empty(), "{:?}", tally.rejected);
}

#[test]
fn reports_rejected_because_of_a_wrong_clock_are_read_by_a_later_run() {
    let wrong = now() - jiff::SignedDuration::from_hours(24 * 400);
    let rejected_at = |dir: &Path, bytes: Vec<u8>| {
        let item = Item { origin: "a.xml".into(), name: Some("a.xml".into()), bytes, arrival: wrong, message: None };
        let mut writer = Writer::open(dir, wrong).unwrap();
        let options = IngestOptions { now: wrong, ..options() };
        let tally = run([Ok(Fetched::Item(item))].into_iter(), &mut writer, &options, &mut ()).unwrap();
        assert!(tally.rejected[0].reason.starts_with("period.future: "), "{:?}", tally.rejected);
        // Nothing changes while its period is still in the future.
        let tally = run(std::iter::empty(), &mut writer, &options, &mut ()).unwrap();
        assert_eq!(tally, Tally::default());
    };
    let dir = tempfile::tempdir().unwrap();
    rejected_at(dir.path(), xml(1, 5));
    let tally = ingest(dir.path(), Vec::new());
    assert_eq!((tally.items, tally.stored.reports, tally.stored.messages), (1, 1, 5));
    let store = Store::open(dir.path()).unwrap();
    assert!(store.rejected().unwrap().is_empty());
    assert_eq!(store.status().unwrap().newest_arrival, Some(now()), "it arrived no earlier than it ended");
    // An item that arrives again is examined again, whether or not its bytes were kept.
    let dir = tempfile::tempdir().unwrap();
    rejected_at(dir.path(), xml(1, 5));
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    for entry in writer.rejected().unwrap() {
        writer.forget_rejected(&entry).unwrap();
    }
    drop(writer);
    assert_eq!(ingest(dir.path(), vec![item("a.xml", xml(1, 5))]).stored.reports, 1);
}

#[test]
fn without_a_store_the_tally_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut reports = Vec::new();
    let tally = read(mixed().into_iter(), &options(), &mut (), &mut |accepted| reports.push(accepted)).unwrap();
    assert_eq!(tally, ingest(dir.path(), mixed()));
    assert_eq!(reports.len(), 2);
}

#[test]
fn the_first_of_a_conflict_is_the_first_of_the_source() {
    for round in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        // Many reports with one key, in chunks of many workers: the first has count 1.
        let items = (0..500).map(|number| item(&format!("{number}.xml"), xml(7, number + 1))).collect();
        let tally = ingest(dir.path(), items);
        assert_eq!((tally.stored.messages, tally.conflicts), (1, 499), "round {round}");
    }
}

#[test]
fn all_items_of_a_long_source_arrive() {
    let dir = tempfile::tempdir().unwrap();
    let items = || (0..3000).map(|number| item(&format!("{number}.xml"), xml(number, 1))).collect::<Vec<_>>();
    let limits = crate::store::BatchLimits { reports: 700, ..crate::store::BatchLimits::default() };
    let mut writer = Writer::open(dir.path(), now()).unwrap().with_limits(limits);
    let tally = run(items().into_iter(), &mut writer, &options(), &mut ()).unwrap();
    assert_eq!((tally.items, tally.stored.reports), (3000, 3000));
    drop(writer);
    let mut rows = 0;
    let store = Store::open(dir.path()).unwrap();
    store.rows(&Filter::default(), ColumnSet::COUNT, &mut |run| rows += run.len).unwrap();
    assert_eq!(rows, 3000);
    assert_eq!(ingest(dir.path(), items()).duplicates, 3000);
}

#[test]
fn an_interrupt_keeps_what_was_read() {
    let dir = tempfile::tempdir().unwrap();
    let flag = Arc::new(AtomicBool::new(false));
    let raise = flag.clone();
    let source = (0..1000).map(move |number| {
        raise.store(number >= 100, Ordering::Relaxed);
        item(&format!("{number}.xml"), xml(number, 1))
    });
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    let options = IngestOptions { interrupt: Some(flag), ..options() };
    let tally = run(source, &mut writer, &options, &mut ()).unwrap();
    assert!(tally.interrupted);
    assert_eq!(tally.stored.reports, 101);
}

#[test]
fn a_fault_of_the_source_is_reported_and_the_rest_goes_on() {
    #[derive(Default)]
    struct Faults(Vec<String>);
    impl Observer for Faults {
        fn fault(&mut self, fault: &FetchError) {
            self.0.push(fault.to_string());
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let fault = FetchError::File { origin: "locked.xml".into(), action: "read", source };
    let mut faults = Faults::default();
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    let items = vec![Err(fault), item("first.xml", xml(1, 1))];
    let tally = run(items.into_iter(), &mut writer, &options(), &mut faults).unwrap();
    assert_eq!((tally.faults, tally.items, tally.stored.reports), (1, 1, 1));
    assert!(faults.0[0].contains("locked.xml"));
}

#[test]
fn documents_of_one_file_share_its_original() {
    let dir = tempfile::tempdir().unwrap();
    let tally = ingest(dir.path(), vec![item("two.xml", [xml(1, 1), xml(2, 1)].concat())]);
    assert_eq!(tally.stored.reports, 2);
    let pack = std::fs::read_dir(dir.path().join("originals/month=2026-11")).unwrap().next().unwrap().unwrap();
    let pack = std::fs::File::open(pack.path()).unwrap();
    assert_eq!(zip::ZipArchive::new(pack).unwrap().len(), 2, "one original and the manifest");
}

#[test]
fn a_thousand_documents_of_one_file_share_its_bytes() {
    let broken = b"<feedback>".repeat(999);
    let dir = tempfile::tempdir().unwrap();
    let tally = ingest(dir.path(), vec![item("broken.xml", broken.clone()), item("good.xml", xml(1, 1))]);
    assert_eq!((tally.items, tally.stored.reports, tally.rejected_count(), tally.duplicates), (1000, 1, 1, 998));
    assert_eq!(std::fs::read_dir(dir.path().join("rejected")).unwrap().count(), 1);

    // 900 reports under one key: one is stored, and the file of the others is kept once.
    let conflicts: Vec<u8> = (1..=900).flat_map(|count| xml(5, count)).collect();
    let tally = ingest(dir.path(), vec![item("conflicts.xml", conflicts.clone())]);
    assert_eq!((tally.stored.reports, tally.conflicts), (1, 899));
    let kept: Vec<_> =
        std::fs::read_dir(dir.path().join("conflicts")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(std::fs::read(&kept[0]).unwrap(), conflicts);
    let store = Store::open(dir.path()).unwrap();
    assert!(store.conflicts().unwrap().iter().all(|entry| entry.file == store.conflicts().unwrap()[0].file));
    assert_eq!(store.verify().unwrap(), []);
}

#[test]
fn a_large_item_is_stored_part_by_part_and_a_run_that_ends_within_it_is_made_good() {
    let rows = 6_000;
    let one = |number: u32| {
        let text = String::from_utf8(xml(number, 1)).unwrap();
        let record = &text[text.find("<record>").unwrap()..text.find("</feedback>").unwrap()];
        text.replace(record, &record.repeat(rows))
    };
    let large: Vec<u8> = (1..=6).map(one).collect::<String>().into_bytes();
    let limits = crate::store::BatchLimits { records: 2 * rows, ..crate::store::BatchLimits::default() };
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), now()).unwrap().with_limits(limits);
    // As a kill in the second commit of the item.
    let mut commits = 0;
    writer.fault = std::cell::RefCell::new(Some(Box::new(move |stage| {
        commits += u32::from(format!("{stage:?}") == "Start");
        commits == 2
    })));
    let items = || vec![message(7, &large)];
    assert!(run(items().into_iter(), &mut writer, &options(), &mut ()).is_err());
    drop(writer);
    let mut writer = Writer::open(dir.path(), now()).unwrap().with_limits(limits);
    let mut observer = Safe::default();
    let tally = run(items().into_iter(), &mut writer, &options(), &mut observer).unwrap();
    assert_eq!((tally.items, tally.stored.reports, tally.duplicates), (6, 4, 2));
    assert_eq!(observer.0, [7]);
    let again = run(items().into_iter(), &mut writer, &options(), &mut ()).unwrap();
    assert_eq!((again.stored.reports, again.duplicates), (0, 6), "and it is known as a whole");
    drop(writer);
    let store = Store::open(dir.path()).unwrap();
    let mut stored = 0;
    store.heads(&Filter::default(), &mut |head| stored += head.records).unwrap();
    assert_eq!(stored, 6 * 6_000);
    assert_eq!(store.verify().unwrap(), []);
    let mut heads = 0;
    read(items().into_iter(), &options(), &mut (), &mut |_| heads += 1).unwrap();
    assert_eq!(heads, 6, "as without a store");
}
