//! What is read again: originals in a rebuild, and rejected items.

use super::*;
use crate::store::Access;

/// Everything visible in a store: rows, the `reports` table, status, rejected items and conflicts.
fn picture(dir: &Path) -> String {
    let store = Store::open(dir).unwrap();
    let mut rows = Vec::new();
    store.export(&Filter::default(), crate::store::RowFormat::Ndjson, &mut rows).unwrap();
    let mut rows: Vec<_> = String::from_utf8(rows).unwrap().lines().map(ToOwned::to_owned).collect();
    rows.sort();
    let status = store.status().unwrap();
    let mut heads = Vec::new();
    store.heads(&Filter::default(), &mut |head| heads.push(head)).unwrap();
    heads.sort_by_key(|head| (head.day, head.key));
    let rejected = store.rejected().unwrap();
    let conflicts = store.conflicts().unwrap();
    let facts = (status.totals, status.months, status.reporters, status.folders, status.rejected.count);
    format!("{rows:#?} {heads:#?} {facts:#?} {rejected:#?} {conflicts:#?}")
}

#[test]
fn a_rebuild_gives_the_same_tables() {
    let dir = tempfile::tempdir().unwrap();
    full(dir.path());
    let before = picture(dir.path());
    let reports = Store::open(dir.path()).unwrap().status().unwrap().totals.reports;
    for _ in 0..2 {
        let (tally, rebuilt) = rebuild(dir.path(), Access::PRIVATE, &options()).unwrap();
        assert_eq!(rebuilt, crate::store::Rebuilt::default());
        assert_eq!((i64::try_from(tally.stored.reports).unwrap(), tally.rejected_count()), (reports, 0));
        assert_eq!(picture(dir.path()), before);
        assert!(!dir.path().join("rebuilding").exists());
    }
    let tally = ingest(dir.path(), mixed());
    assert_eq!((tally.duplicates, tally.stored.reports), (9, 0), "what was seen is still known");
}

#[test]
fn a_rebuild_finds_every_report_of_a_file_whatever_lies_between_its_packs() {
    // A report of each number lies in a month of its own: from July to November.
    let month = |place: u32| xml(100 * [122, 91, 61, 30, 0][place as usize] + 1, 1);
    for (file, between) in
        [(&[1, 2, 4][..], &[3][..]), (&[1, 3, 4], &[2]), (&[0, 1, 3, 4], &[2]), (&[0, 2, 4], &[1, 3])]
    {
        let dir = tempfile::tempdir().unwrap();
        let whole = |places: &[u32]| places.iter().flat_map(|place| month(*place)).collect::<Vec<u8>>();
        ingest(dir.path(), vec![item("file.xml", whole(file)), item("between.xml", whole(between))]);
        let count = || Store::open(dir.path()).unwrap().status().unwrap().totals.reports;
        let before = count();
        assert_eq!(before, i64::try_from(file.len() + between.len()).unwrap());
        let (tally, rebuilt) = rebuild(dir.path(), Access::PRIVATE, &options()).unwrap();
        assert_eq!((count(), tally.rejected.len(), rebuilt), (before, 0, crate::store::Rebuilt::default()), "{file:?}");
    }
}

#[test]
fn a_rebuild_finds_reports_whatever_the_case_of_their_tags() {
    let dir = tempfile::tempdir().unwrap();
    let second = String::from_utf8(xml(2, 1)).unwrap().replace("feedback>", "FEEDBACK>");
    ingest(dir.path(), vec![item("two.xml", [xml(1, 1), second.into_bytes()].concat())]);
    let count = || Store::open(dir.path()).unwrap().status().unwrap().totals.reports;
    assert_eq!(count(), 2);
    let (tally, _) = rebuild(dir.path(), Access::PRIVATE, &options()).unwrap();
    assert_eq!((count(), tally.rejected.len()), (2, 0));
}

#[test]
fn a_rebuild_needs_no_ledger() {
    let dir = tempfile::tempdir().unwrap();
    full(dir.path());
    let rows = |dir: &Path| Store::open(dir).unwrap().status().unwrap().totals;
    let before = rows(dir.path());
    let conflicts = |dir: &Path| {
        let listed = Store::open(dir).unwrap().conflicts().unwrap();
        let mut listed: Vec<_> = listed.into_iter().map(|entry| (entry.key, entry.content, entry.file)).collect();
        listed.sort();
        listed
    };
    let aside = conflicts(dir.path());
    assert_eq!(aside.len(), 2, "one of each kind");
    for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = std::fs::remove_file(dir.path().join(name));
    }
    rebuild(dir.path(), Access::PRIVATE, &options()).unwrap();
    assert_eq!(rows(dir.path()), before);
    assert_eq!(Store::open(dir.path()).unwrap().rejected().unwrap().len(), 1, "named by its file");
    assert_eq!(conflicts(dir.path()), aside, "named by theirs");
    // A corrupt ledger is no better than none.
    std::fs::write(dir.path().join("ledger.sqlite"), b"rubbish".repeat(1000)).unwrap();
    assert!(Store::open(dir.path()).is_err());
    rebuild(dir.path(), Access::PRIVATE, &options()).unwrap();
    assert_eq!(rows(dir.path()), before);
}

#[test]
fn reports_that_no_alert_looked_at_are_looked_at_whatever_their_numbers_become() {
    // In a folder whose name is no text.
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"st\xffore"));
    ingest(&dir, (1..=250).map(|number| item(&format!("{number}.xml"), xml(number, 1))).collect());
    let unseen = |dir: &Path| {
        let store = Store::open(dir).unwrap();
        let memory = store.alert_memory().unwrap();
        store.unseen_reports(memory.reports).unwrap()
    };
    let looked = |dir: &Path| {
        let reports = unseen(dir).last().unwrap().id;
        let run = crate::store::AlertRun { reports, ..Default::default() };
        Writer::open(dir, now()).unwrap().record_alerts(&run).unwrap();
    };
    looked(&dir);
    // A mail that brings nothing new.
    ingest(&dir, vec![message(7, &xml(1, 1))]);
    let (_, rebuilt) = rebuild(&dir, Access::PRIVATE, &options()).unwrap();
    assert_eq!(rebuilt, crate::store::Rebuilt::default(), "all of the old ledger was read");
    assert_eq!(unseen(&dir).len(), 0);
    assert_eq!(Store::open(&dir).unwrap().newest_of_mailbox("m").unwrap(), Some(now()));
    // The newest goes, and a fuller one takes its place and its number.
    let row = "<record><row><source_ip>192.0.2.9</source_ip><count>1</count></row><identifiers>\
               <header_from>example.com</header_from></identifiers></record></feedback>";
    let fuller = |number| {
        let text = String::from_utf8(xml(number, 1)).unwrap();
        vec![item("fuller.xml", text.replace("</feedback>", row).into_bytes())]
    };
    for number in [250, 5] {
        ingest(&dir, fuller(number));
        assert_eq!(unseen(&dir).len(), 1, "a report that replaced another");
        looked(&dir);
    }
    // Now there is a gap, which a rebuild closes.
    rebuild(&dir, Access::PRIVATE, &options()).unwrap();
    assert_eq!(unseen(&dir).len(), 0);
    ingest(&dir, vec![item("next.xml", xml(251, 1))]);
    assert_eq!(unseen(&dir).len(), 1, "a report after a rebuild");
    looked(&dir);
    // Numbers begin again where everything is pruned.
    let month = crate::store::disk::layout::Month::of(jiff::civil::date(2026, 12, 1));
    Writer::open(&dir, now()).unwrap().prune(month).unwrap();
    ingest(&dir, vec![item("new.xml", xml(900, 2))]);
    assert_eq!(unseen(&dir).len(), 1, "a report after a prune");
}

#[test]
fn a_rejected_item_that_can_be_read_now_leaves_the_list() {
    let dir = tempfile::tempdir().unwrap();
    let strict = IngestOptions { limits: Limits { item_bytes: 100, ..Limits::default() }, ..options() };
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    let items = vec![item("first.xml", xml(1, 5)), item("junk.xml", b"<feedback>".to_vec())];
    let tally = run(items.into_iter(), &mut writer, &strict, &mut ()).unwrap();
    assert_eq!(tally.rejected_count(), 2, "{tally:?}");
    let entries = writer.rejected().unwrap();
    let tally = retry(&mut writer, &entries, &options(), &mut ()).unwrap();
    assert_eq!((tally.stored.reports, tally.rejected_count()), (1, 1));
    let left = writer.rejected().unwrap();
    assert_eq!(left.iter().map(|entry| entry.origin.as_str()).collect::<Vec<_>>(), ["junk.xml"]);
    assert_eq!(std::fs::read_dir(dir.path().join("rejected")).unwrap().count(), 1);
}
