//! Every item ends in exactly one place, in the source's order, whatever the threads do.

use super::underway::Underway;
use super::*;
use crate::fetch::{FetchError, Fetched, Item};
use crate::limits::Limits;
use crate::model::{ColumnSet, Fate, Hash, Message, Proof, RawMail, Report, ReportKind, SenderAuth};
use crate::store::{Access, Filter, PartFiles, Store, StoreError, Writer};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn now() -> Timestamp {
    Timestamp::from_second(1_795_600_000).unwrap()
}

fn options() -> IngestOptions {
    IngestOptions { now: now(), workers: Some(3), ..IngestOptions::default() }
}

/// A report of receiver.example, read.
pub(super) fn report() -> Report {
    use crate::normalize::{Context, Read, reports};
    let arrival = Timestamp::from_second(1_795_600_000).unwrap();
    let mut read = reports(&xml(1, 1), &Context { attachment: None, arrival }, &Limits::default());
    let Read::Report { report, .. } = read.remove(0) else { panic!("a report") };
    report
}

/// A report with one row; the same number gives the same report, another count different content.
pub(super) fn xml(number: u32, count: u32) -> Vec<u8> {
    let begin = 1_795_000_000 - number / 100 * 86_400;
    format!(
        "<feedback><report_metadata><org_name>receiver.example</org_name><email>a@receiver.example</email>\
         <report_id>{number}</report_id><date_range><begin>{begin}</begin><end>{}</end></date_range></report_metadata>\
         <policy_published><domain>example.com</domain><p>none</p></policy_published><record><row>\
         <source_ip>192.0.2.{}</source_ip><count>{count}</count><policy_evaluated><disposition>none</disposition>\
         <dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from>\
         </identifiers><auth_results><spf><domain>example.com</domain><result>fail</result></spf></auth_results>\
         </record></feedback>",
        begin + 86_399,
        number % 250
    )
    .into_bytes()
}

/// A TLS report of receiver.example with so many sessions.
pub(super) fn tls(id: &str, sessions: u32) -> Vec<u8> {
    format!(
        r#"{{"organization-name": "Receiver", "contact-info": "tls@receiver.example", "report-id": "{id}",
        "date-range": {{"start-datetime": "2026-11-18T00:00:00Z", "end-datetime": "2026-11-18T23:59:59Z"}},
        "policies": [{{"policy": {{"policy-type": "sts", "policy-domain": "example.com"}},
        "summary": {{"total-successful-session-count": {sessions}, "total-failure-session-count": 1}},
        "failure-details": [{{"result-type": "certificate-expired", "failed-session-count": 1}}]}}]}}"#
    )
    .into_bytes()
}

#[expect(clippy::unnecessary_wraps, reason = "a source gives results")]
fn item(origin: &str, bytes: Vec<u8>) -> Result<Fetched, FetchError> {
    let name = Some("report.xml".to_owned());
    Ok(Fetched::Item(Item { origin: origin.to_owned(), name, bytes, arrival: now(), message: None }))
}

fn uid_of(message: &Message) -> u32 {
    let Message::Imap { uid, .. } = message else { panic!("no message of IMAP: {message:?}") };
    *uid
}

#[expect(clippy::unnecessary_wraps, reason = "a source gives results")]
fn message(uid: u32, bytes: &[u8]) -> Result<Fetched, FetchError> {
    let message = Message::Imap { mailbox: "m".into(), folder: "INBOX".into(), uid_validity: 1, uid };
    let mut mail = b"From: a@receiver.example\r\nContent-Type: text/plain\r\n\r\n".to_vec();
    mail.extend(bytes);
    Ok(Fetched::Item(Item {
        origin: format!("m/INBOX {uid}"),
        name: None,
        bytes: mail,
        arrival: now(),
        message: Some(message),
    }))
}

fn ingest(dir: &Path, items: Vec<Result<Fetched, FetchError>>) -> Tally {
    let mut writer = Writer::open(dir, now()).unwrap();
    run(items.into_iter(), &mut writer, &options(), &mut ()).unwrap()
}

/// One of each.
fn mixed() -> Vec<Result<Fetched, FetchError>> {
    vec![
        item("first.xml", xml(1, 5)),
        item("second.xml", xml(2, 7)),
        item("again.xml", [b"\n".as_slice(), &xml(1, 5)].concat()),
        item("other.xml", xml(1, 6)),
        item("cut.xml", xml(3, 1)[..200].to_vec()),
        item("tls.json", tls("1", 3)),
        item("tls-again.json", tls("1", 3)),
        item("tls-other.json", tls("1", 4)),
        Ok(Fetched::SetAside { origin: "picture.png".into() }),
        Ok(Fetched::TooLarge { origin: "huge.mbox".into(), size: 1 << 40, limit: 1 << 26, message: None }),
    ]
}

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
fn what_lay_ahead_of_a_wrong_clock_is_read_by_a_later_run() {
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
fn a_mailbox_is_heard_of_by_a_report_that_is_known() {
    let dir = tempfile::tempdir().unwrap();
    ingest(dir.path(), vec![item("first.xml", xml(1, 5))]);
    let newest = || Store::open(dir.path()).unwrap().newest_of_mailbox("m").unwrap();
    ingest(dir.path(), vec![message(1, b"no report")]);
    assert_eq!(newest(), None);
    let tally = ingest(dir.path(), vec![message(2, &xml(1, 5))]);
    assert_eq!((tally.stored.reports, tally.duplicates, newest()), (0, 1, Some(now())));
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
fn messages_are_acknowledged_only_after_their_batch_and_by_their_fate() {
    #[derive(Default)]
    struct Told(Vec<(u32, Fate)>);
    impl Observer for Told {
        fn committed(&mut self, messages: &[(Message, Fate)]) {
            self.0.extend(messages.iter().map(|(message, fate)| (uid_of(message), *fate)));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let failure = || {
        let Ok(Fetched::Item(item)) = message(7, b"") else { unreachable!() };
        let mail = "From: a@receiver.example\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n\
                    --b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: auth-failure\r\nVersion: 1\r\n\r\n\
                    --b\r\nContent-Type: message/rfc822\r\n\r\nFrom: b@example.com\r\nSubject: private\r\n\r\ntext\r\n--b--\r\n";
        Ok(Fetched::Item(Item { bytes: mail.into(), ..item }))
    };
    let messages = || vec![message(4, &xml(1, 1)), message(5, b"hello"), message(6, &xml(2, 1)[..150]), failure()];
    let expected = vec![(4, Fate::Done), (5, Fate::NotReport), (6, Fate::Unreadable), (7, Fate::Done)];
    for round in 0..2 {
        let mut told = Told::default();
        let mut writer = Writer::open(dir.path(), now()).unwrap();
        run(messages().into_iter(), &mut writer, &options(), &mut told).unwrap();
        assert_eq!(told.0, expected, "round {round}: a known item has the fate it had");
        assert_eq!(writer.progress("m").unwrap().cursors[0].1.done, [(4, 7)]);
    }
}

#[test]
fn a_mail_the_server_does_not_give_is_named_once_and_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let Ok(Fetched::Item(Item { origin, message: Some(id), .. })) = message(9, b"") else { unreachable!() };
    let unfetched = || Ok(Fetched::Unfetched { origin: origin.clone(), reason: "NIL".into(), message: id.clone() });
    assert_eq!(ingest(dir.path(), vec![unfetched()]).rejected_count(), 1);
    assert_eq!(ingest(dir.path(), vec![unfetched()]).rejected_count(), 0);
    assert!(Store::open(dir.path()).unwrap().progress("m").unwrap().cursors.is_empty());
    assert_eq!(ingest(dir.path(), vec![message(9, &xml(1, 1))]).stored.reports, 1);
    assert_eq!(ingest(dir.path(), vec![unfetched()]).rejected_count(), 1, "it was no longer listed");
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

fn full(dir: &Path) {
    ingest(dir, mixed());
    ingest(dir, (10..60).map(|number| item(&format!("{number}.xml"), xml(number * 30, number))).collect());
    ingest(dir, vec![message(4, &xml(9, 1)), message(5, b"hello")]);
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

/// The items of the drill.
fn drill_items() -> Vec<Result<Fetched, FetchError>> {
    (0..400).map(|number| item(&format!("{number}.xml"), xml(number * 7, number + 1))).collect()
}

fn drill_run(dir: &Path) -> Tally {
    let limits = crate::store::BatchLimits { reports: 25, ..crate::store::BatchLimits::default() };
    let mut writer = Writer::open(dir, now()).unwrap().with_limits(limits);
    let tally = run(drill_items().into_iter(), &mut writer, &options(), &mut ()).unwrap();
    writer.compact(true).unwrap();
    tally
}

#[test]
#[ignore = "the drill below starts it as a process of its own, to be killed"]
fn drill_child() {
    if let Some(dir) = std::env::var_os("DMARQUET_DRILL") {
        drill_run(Path::new(&dir));
    }
}

#[test]
fn a_run_killed_at_random_moments_ends_with_every_report_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = u64::from(std::process::id());
    let mut killed = 0;
    for _ in 0..200 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ingest::tests::drill_child", "--ignored", "--test-threads=1"])
            .env("DMARQUET_DRILL", dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(std::time::Duration::from_millis(20 + (random >> 33) % 400));
        let ended = child.try_wait().unwrap().is_some();
        let _ = child.kill();
        child.wait().unwrap();
        if ended {
            // It finished: check, then start again.
            check_drill(dir.path(), true);
            for entry in std::fs::read_dir(dir.path()).unwrap() {
                let path = entry.unwrap().path();
                let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            }
        } else {
            killed += 1;
            check_drill(dir.path(), false);
        }
        if killed >= 25 {
            break;
        }
    }
    assert!(killed >= 20, "only {killed} runs could be killed");
    drill_run(dir.path());
    check_drill(dir.path(), true);
    assert_eq!(Store::open(dir.path()).unwrap().verify().unwrap(), []);
}

/// No row twice, and at the end every report once.
fn check_drill(dir: &Path, complete: bool) {
    let store = Store::open(dir).unwrap();
    let mut counts = Vec::new();
    store.rows(&Filter::default(), ColumnSet::COUNT, &mut |rows| counts.extend(rows.count)).unwrap();
    counts.sort_unstable();
    let all = counts.len();
    counts.dedup();
    assert_eq!(counts.len(), all, "a row twice");
    let mut heads = 0;
    store.heads(&Filter::default(), &mut |_| heads += 1).unwrap();
    assert_eq!(heads, all);
    if complete {
        assert_eq!(counts, (1..=400).collect::<Vec<i64>>());
    }
}

/// Gives the same proof for every mail, and counts them; panics if it has none.
#[derive(Debug)]
struct FixedProof(Option<Proof>, std::sync::atomic::AtomicU32);

impl MailVerifier for FixedProof {
    fn proof(&self, mail: &RawMail, arrival: Timestamp, _: ReportKind) -> Proof {
        assert!(mail.bytes.starts_with(b"From: ") && arrival == now());
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.clone().expect("nothing to say")
    }
}

#[test]
fn only_mails_with_a_report_are_verified_and_a_fault_of_it_loses_none() {
    for (says, expected) in [
        (Some(Proof::Signed { from: "receiver.example".into(), signer: "receiver.example".into() }), SenderAuth::Pass),
        (None, SenderAuth::Unknown),
    ] {
        let verifier = Arc::new(FixedProof(says, 0.into()));
        let options = IngestOptions { verifier: Some(verifier.clone()), ..options() };
        let items =
            [message(1, &xml(1, 5)), message(2, b"lunch?"), item("bare.xml", xml(2, 5)), message(3, &xml(3, 5))];
        let mut found = Vec::new();
        let tally = read(items.into_iter(), &options, &mut (), &mut |accepted| {
            found.push(accepted.provenance.mail.map(|mail| mail.sender_auth));
        });
        assert_eq!(tally.unwrap().stored.reports, 3);
        assert_eq!(found, [Some(expected), None, Some(expected)]);
        assert_eq!(verifier.1.load(Ordering::Relaxed), 2);
    }
}

/// Stands in for the process that tries one item.
#[derive(Debug)]
struct Answers(fn(&[u8]) -> Survival);

impl Trial for Answers {
    fn survives(&self, item: &TrialItem<'_>) -> Survival {
        (self.0)(item.bytes)
    }

    /// As another process does: the store is free for it.
    fn store(&self, job: &StoreJob, items: &[TrialItem<'_>]) -> Vec<Result<StoredAlone, Survival>> {
        let mut writer = Writer::open_as(&job.dir, now(), job.access).expect("the run let go of the store");
        let store = |item: &TrialItem<'_>| match (self.0)(item.bytes) {
            Survival::Survived => Ok(store_alone(item, &mut writer, &options()).unwrap()),
            other => Err(other),
        };
        items.iter().map(store).collect()
    }
}

/// Leaves the note of a run that died while processing these items.
fn died_of(dir: &Path, items: &[&Result<Fetched, FetchError>]) {
    let underway = Underway::open(dir, 1).unwrap();
    let slot = underway.slot();
    let hashes = items.iter().map(|item| match item {
        Ok(Fetched::Item(item)) => Hash(Sha256::digest(&item.bytes).into()),
        other => panic!("{other:?} has no bytes"),
    });
    underway.begin(slot, hashes).unwrap();
    std::mem::forget(underway);
}

#[test]
fn an_item_that_ended_a_process_is_rejected_and_kept_and_the_others_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let items = || vec![item("good.xml", xml(1, 1)), item("deadly.xml", xml(2, 2)), item("new.xml", xml(3, 3))];
    drop(Writer::open(dir.path(), now()).unwrap());
    died_of(dir.path(), &items()[..2].iter().collect::<Vec<_>>());
    let deadly = |bytes: &[u8]| {
        if bytes == xml(2, 2) { Survival::Died("an abort".into()) } else { Survival::Survived }
    };
    let options = IngestOptions { trial: Some(Arc::new(Answers(deadly))), ..options() };
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    let tally = run(items().into_iter(), &mut writer, &options, &mut ()).unwrap();
    assert_eq!((tally.items, tally.stored.reports, tally.rejected_count()), (3, 2, 1));
    assert_eq!(tally.rejected[0].reason, "ended the program: an abort");
    let rejected = writer.rejected().unwrap();
    assert_eq!(writer.rejected_bytes(&rejected[0]).unwrap(), xml(2, 2));
    assert!(!dir.path().join("underway").exists(), "nothing is suspected any more");

    let again = run(items().into_iter(), &mut writer, &options, &mut ()).unwrap();
    assert_eq!((again.duplicates, again.rejected_count()), (3, 0));
    // A retry on request does not crash the program either.
    let retried = retry(&mut writer, &rejected, &options, &mut ()).unwrap();
    assert_eq!((retried.stored.reports, retried.rejected_count()), (0, 1));
}

#[test]
fn an_item_whose_process_was_killed_from_outside_is_left_for_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let items = || vec![message(7, &xml(1, 1)), message(8, &xml(2, 2))];
    drop(Writer::open(dir.path(), now()).unwrap());
    died_of(dir.path(), &[&items()[0]]);
    let told = |answer: fn(&[u8]) -> Survival| {
        let options = IngestOptions { trial: Some(Arc::new(Answers(answer))), ..options() };
        let mut writer = Writer::open(dir.path(), now()).unwrap();
        let mut observer = Safe::default();
        let tally = run(items().into_iter(), &mut writer, &options, &mut observer).unwrap();
        (tally.stored.reports, tally.rejected_count(), tally.faults, observer.0)
    };
    let killed = told(|_| Survival::Unknown("killed".into()));
    assert_eq!(killed, (1, 0, 1, vec![8]), "no word on message 7, which is asked for again");
    assert_eq!(told(|_| Survival::Survived), (1, 0, 0, vec![7, 8]));
}

/// Leaves the notes of two runs that died while processing this item, the second after it had survived its trial.
fn died_of_tried(dir: &Path, item: &Result<Fetched, FetchError>) {
    died_of(dir, &[item]);
    let underway = Underway::open(dir, 1).unwrap();
    let Ok(Fetched::Item(item)) = item else { panic!("{item:?} has no bytes") };
    underway.survived(Hash(Sha256::digest(&item.bytes).into())).unwrap();
    std::mem::forget(underway);
}

#[test]
fn an_item_that_survives_its_trial_and_ends_the_run_all_the_same_is_stored_by_another_process() {
    let items = || vec![message(7, &xml(1, 1)), message(8, &xml(2, 2))];
    let told = |answers: &[fn(&[u8]) -> Survival]| {
        let dir = tempfile::tempdir().unwrap();
        drop(Writer::open(dir.path(), now()).unwrap());
        died_of_tried(dir.path(), &items()[0]);
        let mut told = Vec::new();
        for answer in answers {
            let options = IngestOptions { trial: Some(Arc::new(Answers(*answer))), ..options() };
            let mut writer = Writer::open(dir.path(), now()).unwrap();
            let mut observer = Safe::default();
            let tally = run(items().into_iter(), &mut writer, &options, &mut observer).unwrap();
            told.push((tally.stored.reports, tally.rejected_count(), tally.faults, observer.0));
            // The writer holds the store again.
            assert!(matches!(Writer::open(dir.path(), now()), Err(StoreError::Busy { .. })));
            drop(writer);
        }
        assert_eq!(Store::open(dir.path()).unwrap().verify().unwrap(), []);
        (told, dir.path().join("underway").exists())
    };
    let (runs, suspected) = told(&[|_| Survival::Survived]);
    assert_eq!((runs, suspected), (vec![(2, 0, 0, vec![8, 7])], false), "the rest first, then that one");
    // It ends the other process: it is rejected, and the run goes on.
    let (runs, suspected) = told(&[|_| Survival::Died("an abort".into())]);
    assert_eq!((runs, suspected), (vec![(1, 1, 0, vec![8, 7])], false));
    // Somebody killed the other process: that says nothing, and the next run does the same again.
    let (runs, suspected) = told(&[|_| Survival::Unknown("killed".into()), |_| Survival::Survived]);
    assert_eq!((runs, suspected), (vec![(1, 0, 1, vec![8]), (1, 0, 0, vec![8, 7])], false));
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

/// The messages that are safe.
#[derive(Default)]
struct Safe(Vec<u32>);

impl Observer for Safe {
    fn committed(&mut self, messages: &[(Message, Fate)]) {
        self.0.extend(messages.iter().map(|(message, _)| uid_of(message)));
    }
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
