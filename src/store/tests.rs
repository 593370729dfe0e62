//! The store's promises, with synthetic reports: nothing lost and nothing duplicated, at whatever instant a commit is
//! killed.

use super::disk::layout::{FileKind, Layout, Month};
use super::read::store::Store;
use super::tables::ledger::{ADDED, VERSION};
use super::write::commit::CommitStage;
use super::*;
use crate::model::{
    Accepted, Cause, ColumnSet, Cursor, DkimAuth, DkimResult, Domain, Evaluated, Fate, Finding, FindingCode, Flags,
    Hash, MailFacts, MailboxProgress, Message, Metadata, Original, PolicyPublished, Provenance, Reason, ReasonType,
    Record, Report, ReportKey, ReturnPath, Rows, SenderAuth, SourceAddress, SpfAuth, SpfResult, SpfScope, Verdict,
};
use jiff::Timestamp;
use jiff::civil::date;
use std::collections::BTreeMap;
use std::path::Path;

fn domain(text: &str) -> Domain {
    Domain::from_canonical(text)
}

/// Replaces a file of a store: nobody may write to one.
fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn now() -> Timestamp {
    Timestamp::from_second(1_795_600_000).unwrap()
}

/// A report that differs from others in everything that depends on the number.
pub(crate) fn accepted(number: u32, records: u32) -> Accepted {
    let day = date(2026, 10, 20).checked_add(jiff::Span::new().days(i64::from(number % 40))).unwrap();
    let begin = Timestamp::from_second(i64::from(super::tables::values::days_since_epoch(day)) * 86_400).unwrap();
    let mut key = [0; 16];
    key[..4].copy_from_slice(&number.to_be_bytes());
    let mut content = [7; 32];
    content[..4].copy_from_slice(&number.to_be_bytes());
    let records: Vec<Record> = (0..records).map(|index| record(number, index)).collect();
    Accepted {
        content: Hash(content),
        verdicts: records.iter().map(verdict).collect(),
        report: Report {
            key: ReportKey(key),
            former_key: None,
            day,
            metadata: Metadata {
                org_name: ["Receiver One", "Receiver Two", "Empfänger drei"][number as usize % 3].into(),
                email: Some("reports@receiver.example".into()),
                extra_contact_info: None,
                report_id: format!("id-{number}").into(),
                begin,
                end: begin + jiff::SignedDuration::from_secs(86_399),
                errors: if number.is_multiple_of(5) { vec!["two records".into()] } else { vec![] },
                generator: None,
                version: Some("1.0".into()),
            },
            policy: PolicyPublished {
                domain: domain(["example.com", "example.net"][number as usize % 2]),
                p: Some("reject".into()),
                sp: None,
                np: None,
                adkim: Some("r".into()),
                aspf: None,
                pct: (number.is_multiple_of(2)).then_some(100),
                fo: None,
                testing: None,
                discovery_method: None,
            },
            records,
        },
        findings: if number.is_multiple_of(7) {
            vec![Finding::new(FindingCode::PERIOD_SWAPPED, "begin is after end")]
        } else {
            vec![]
        },
        original: std::sync::Arc::new(match number % 2 {
            0 => Original::Plain(format!("<feedback>{number}</feedback>").into_bytes()),
            _ => Original::Gzip(number.to_be_bytes().to_vec()),
        }),
        provenance: Provenance {
            origin: format!("inbox.mbox > message {number} > report.xml"),
            attachment: Some("report.xml".into()),
            arrival: now(),
            mail: (number.is_multiple_of(3)).then(|| MailFacts {
                message_id: Some(format!("<{number}@receiver.example>")),
                sender_auth: SenderAuth::Fail,
                ..MailFacts::default()
            }),
        },
    }
}

fn record(number: u32, index: u32) -> Record {
    let octet = u8::try_from((number * 31 + index * 7) % 250).unwrap();
    Record {
        source_ip: match index % 4 {
            0 => Some([192, 0, 2, octet].into()),
            1 => Some([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(octet)].into()),
            2 => Some([198, 51, 100, octet].into()),
            _ => None,
        },
        count: i64::from(index + 1),
        disposition: None,
        evaluated_dkim: Some(if index.is_multiple_of(2) { Evaluated::Pass } else { Evaluated::Fail }),
        evaluated_spf: Some(Evaluated::Fail),
        reasons: match index % 3 {
            0 => vec![],
            1 => vec![Reason { kind: Some(ReasonType::LocalPolicy), comment: Some("arc=pass".into()) }],
            _ => {
                vec![Reason { kind: Some(ReasonType::Forwarded), comment: None }, Reason { kind: None, comment: None }]
            }
        },
        header_from: Some(domain("example.com")),
        envelope_from: match index % 3 {
            0 => ReturnPath::Unsaid,
            1 => ReturnPath::Null,
            _ => ReturnPath::Domain(domain("bounce.example.org")),
        },
        envelope_to: None,
        dkim: (0..index % 3)
            .map(|signature| DkimAuth {
                domain: Some(domain("example.com")),
                selector: Some(format!("s{signature}").into()),
                result: Some(DkimResult::Pass),
                human_result: None,
            })
            .collect(),
        spf: vec![SpfAuth {
            domain: Some(domain("bounce.example.org")),
            scope: Some(SpfScope::MailFrom),
            result: Some(SpfResult::SoftFail),
            human_result: Some("".into()),
        }],
    }
}

fn verdict(record: &Record) -> Verdict {
    let pass = record.evaluated_dkim == Some(Evaluated::Pass);
    Verdict {
        org_domain: record.header_from.clone(),
        dkim_aligned: Some(pass),
        spf_aligned: Some(false),
        dmarc_pass: pass,
        recomputed_dkim: None,
        recomputed_spf: Some(false),
        mismatch: None,
        cause: if pass { Cause::PassDkimOnly } else { Cause::Unauthenticated },
        deciding_dkim: (!record.dkim.is_empty()).then_some(0),
        deciding_spf: Some(0),
    }
}

/// Every row of some `Rows`, as text, sorted: equal for equal stores, whatever the order of files.
fn texts(rows: &Rows) -> Vec<String> {
    (0..rows.len)
        .map(|row| {
            let words = rows.words().map(|words| words.get(row));
            let fixed = (rows.day[row], rows.source[row], rows.count[row], rows.flags[row], rows.cause[row]);
            format!("{fixed:?} {words:?}")
        })
        .collect()
}

fn stored(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    Store::open(dir).unwrap().rows(&Filter::default(), ColumnSet::ALL, &mut |rows| all.extend(texts(&rows))).unwrap();
    all.sort();
    all
}

fn collected(reports: &[Accepted]) -> Vec<String> {
    let mut collector = Collector::new();
    for accepted in reports {
        let auth = accepted.provenance.sender_auth();
        collector.push(&accepted.report, (&accepted.verdicts, auth), usize::MAX, |_| {});
    }
    let mut all = texts(&collector.take());
    all.sort();
    all
}

fn write(dir: &Path, reports: &[Accepted]) -> BTreeMap<&'static str, usize> {
    let mut writer = Writer::open(dir, now()).unwrap();
    let mut outcomes = BTreeMap::new();
    for accepted in reports {
        let outcome = match writer.add(accepted.clone()).unwrap() {
            Added::Stored => "stored",
            Added::Duplicate => "duplicate",
            Added::Conflict => "conflict",
            Added::Replaced(_) => "replaced",
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    writer.commit().unwrap();
    outcomes
}

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
    assert_eq!(counted.into_inner(), wanted.iter().map(|a| super::tables::reports::sums(a).0).sum::<i64>());
}

#[test]
fn a_store_that_does_not_exist_reads_as_empty() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(stored(&dir.path().join("none")), Vec::<String>::new());
    assert_eq!(stored(dir.path()), Vec::<String>::new());
}

#[test]
fn twice_equals_once_and_another_content_is_a_conflict() {
    let dir = tempfile::tempdir().unwrap();
    let reports: Vec<_> = (0..10).map(|number| accepted(number, 3)).collect();
    assert_eq!(write(dir.path(), &reports), BTreeMap::from([("stored", 10)]));
    assert_eq!(write(dir.path(), &reports), BTreeMap::from([("duplicate", 10)]));
    let mut other = accepted(3, 1);
    other.content = Hash([9; 32]);
    let again = [other.clone(), other.clone(), reports[3].clone()];
    assert_eq!(write(dir.path(), &again), BTreeMap::from([("conflict", 1), ("duplicate", 2)]));
    assert_eq!(write(dir.path(), &[other]), BTreeMap::from([("duplicate", 1)]));
    assert_eq!(stored(dir.path()), collected(&reports));
    assert_eq!(std::fs::read_dir(dir.path().join("conflicts")).unwrap().count(), 1);
    // A store at rest can be read without write permission: its log is written back.
    let log = std::fs::metadata(dir.path().join("ledger.sqlite-wal"));
    assert_eq!(log.map_or(0, |log| log.len()), 0);
}

#[test]
fn order_and_batches_do_not_change_the_rows() {
    let reports: Vec<_> = (0..60).map(|number| accepted(number, number % 5)).collect();
    let expected = collected(&reports);
    for size in [1, 7, 60] {
        let dir = tempfile::tempdir().unwrap();
        for batch in reports.chunks(size).rev() {
            write(dir.path(), batch);
        }
        assert_eq!(stored(dir.path()), expected, "batches of {size}");
    }
}

#[test]
fn a_kill_at_any_step_loses_nothing_and_doubles_nothing() {
    let first: Vec<_> = (0..9).map(|number| accepted(number, 3)).collect();
    let second: Vec<_> = (5..30).map(|number| accepted(number, 3)).collect();
    let both: Vec<_> = (0..30).map(|number| accepted(number, 3)).collect();
    let reject = Reject {
        origin: "junk.xml".into(),
        attachment: None,
        reason: "xml: expected a document, found none".into(),
        bytes: Some(b"junk".to_vec().into()),
        extension: "xml",
        arrival: now(),
    };
    for step in
        [CommitStage::Start, CommitStage::Planned, CommitStage::Written, CommitStage::Recorded, CommitStage::Published]
    {
        let committed = matches!(step, CommitStage::Recorded | CommitStage::Published);
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &first);
        let mut writer = Writer::open(dir.path(), now()).unwrap();
        *writer.fault.get_mut() = Some(Box::new(move |at| at == step));
        for accepted in &second {
            writer.add(accepted.clone()).unwrap();
        }
        writer.reject(reject.clone()).unwrap();
        writer.commit().unwrap_err();
        drop(writer);

        // Right after the kill a reader sees one complete state or the other.
        let seen = stored(dir.path());
        assert_eq!(seen, collected(if committed { &both } else { &first }), "after a kill at {step:?}");

        // The next run stores what was lost, and every file is known to the ledger.
        let outcomes = write(dir.path(), &second);
        assert_eq!(outcomes.get("stored").copied().unwrap_or(0), if committed { 0 } else { 21 });
        assert_eq!(stored(dir.path()), collected(&both), "after a kill at {step:?} and another run");
        let known = usize::from(committed);
        let rejected = std::fs::read_dir(dir.path().join("rejected")).map_or(0, Iterator::count);
        assert_eq!(rejected, known, "rejected files after a kill at {step:?}");
    }
}

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
fn rejected_bytes_and_seen_items_are_known_the_second_time() {
    let dir = tempfile::tempdir().unwrap();
    let reject = Reject {
        origin: "a.gz".into(),
        attachment: None,
        reason: "gzip: expected a stream, found its first half".into(),
        bytes: Some(b"\x1f\x8b".to_vec().into()),
        extension: "gz",
        arrival: now(),
    };
    let counted = SeenItem { rejected: 1, ..SeenItem::default() };
    let hash = Hash([5; 32]);
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    assert!(!writer.has_memory().unwrap());
    assert_eq!(writer.reject(reject.clone()).unwrap(), Rejected::New);
    assert_eq!(writer.reject(reject.clone()).unwrap(), Rejected::Known);
    writer.item(hash, counted);
    writer.commit().unwrap();
    drop(writer);
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    assert_eq!(writer.reject(reject).unwrap(), Rejected::Known);
    assert_eq!(Memory::open(dir.path()).unwrap().unwrap().seen(hash).unwrap(), Some(counted));
}

#[test]
fn an_id_of_pop3_is_known_with_its_batch_and_forgotten_with_its_message() {
    let dir = tempfile::tempdir().unwrap();
    let message = |uidl: &str| Message::Pop3 {
        mailbox: "reports".into(),
        content: None,
        uidl: Some((uidl.to_owned(), Some(900))),
    };
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    for (uidl, fate) in [("a", Fate::Done), ("b", Fate::NotReport), ("c", Fate::Unreadable)] {
        writer.message(message(uidl), fate);
    }
    assert_eq!(writer.progress("reports").unwrap(), MailboxProgress::default(), "nothing is known before the commit");
    writer.commit().unwrap();
    let known = |writer: &Writer| -> Vec<(String, bool)> {
        let known = writer.progress("reports").unwrap().uidls;
        known.into_iter().map(|known| (known.uidl, known.pending)).collect()
    };
    let of =
        |all: &[(&str, bool)]| all.iter().map(|(uidl, pending)| ((*uidl).to_owned(), *pending)).collect::<Vec<_>>();
    assert_eq!(known(&writer), of(&[("a", true), ("b", false), ("c", false)]));
    writer.clear_pending(&[message("a")]).unwrap();
    writer.keep_uidls("reports", &["a".to_owned(), "c".to_owned(), "new".to_owned()]).unwrap();
    assert_eq!(known(&writer), of(&[("a", false), ("c", false)]));
    assert!(writer.progress("other").unwrap().uidls.is_empty());
}

#[test]
fn a_cursor_follows_its_batch_and_messages_stay_pending_until_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let message = |uid| Message::Imap { mailbox: "reports".into(), folder: "INBOX".into(), uid_validity: 7, uid };
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    writer.add(accepted(1, 1)).unwrap();
    writer.message(message(11), Fate::Done);
    writer.message(message(12), Fate::NotReport);
    writer.message(message(13), Fate::Unreadable);
    assert_eq!(writer.progress("reports").unwrap().cursors, vec![], "nothing moves before the commit");
    assert_eq!(writer.commit().unwrap().len(), 3);
    writer.clear_pending(&[message(11)]).unwrap();
    let cursor = Cursor { uid_validity: 7, last_uid: 0, pending: vec![(13, Fate::Unreadable)], done: vec![(11, 13)] };
    let expected = vec![("INBOX".to_owned(), cursor)];
    assert_eq!(writer.progress("reports").unwrap().cursors, expected);
    assert_eq!(Store::open(dir.path()).unwrap().progress("reports").unwrap().cursors, expected);
    // The source knows which UIDs exist, and moves the cursor on.
    let cursor = Cursor { uid_validity: 7, last_uid: 13, pending: vec![], done: vec![(20, 21)] };
    writer.set_cursor("reports", "INBOX", &cursor).unwrap();
    let cursor = Cursor { pending: vec![(13, Fate::Unreadable)], ..cursor };
    assert_eq!(writer.progress("reports").unwrap().cursors, vec![("INBOX".to_owned(), cursor)]);
    writer.message(message(22), Fate::NotReport);
    writer.commit().unwrap();
    assert_eq!(writer.progress("reports").unwrap().cursors[0].1.done, vec![(20, 22)]);
    // Another UIDVALIDITY: the old UIDs mean nothing.
    let cursor = Cursor { uid_validity: 8, last_uid: 2, pending: vec![], done: vec![] };
    writer.set_cursor("reports", "INBOX", &cursor).unwrap();
    assert_eq!(writer.progress("reports").unwrap().cursors, vec![("INBOX".to_owned(), cursor)]);
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

/// A month of many small batches.
fn many_batches(dir: &Path, batches: u32) -> Vec<Accepted> {
    let reports: Vec<_> = (0..batches * 3).map(|number| accepted(number, number % 6)).collect();
    for batch in reports.chunks(3) {
        write(dir, batch);
    }
    reports
}

fn count(dir: &Path, kind: FileKind) -> usize {
    let mut files = Vec::new();
    super::ledger::survey::visible(&Layout::new(dir).folder(kind), kind.extension(), &mut files).unwrap();
    files.len()
}

#[test]
fn compaction_keeps_every_row_and_original() {
    let dir = tempfile::tempdir().unwrap();
    let reports = many_batches(dir.path(), 40);
    let before = count(dir.path(), FileKind::Part);
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    let done = writer.compact(false).unwrap();
    assert!(done.merged > 2 * MERGE_FILES, "{done:?}");
    assert_eq!(writer.compact(false).unwrap(), super::upkeep::compact::Compacted::default(), "nothing is due twice");
    drop(writer);
    assert!(count(dir.path(), FileKind::Part) < before);
    // A reader of all Parquet files below the root, as by `**/*.parquet`, meets each row once.
    let mut parts = Vec::new();
    super::ledger::survey::visible(dir.path(), "parquet", &mut parts).unwrap();
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

/// How many reports the manifests of all packs name, each once.
fn manifest_keys(dir: &Path) -> usize {
    let mut packs = Vec::new();
    super::ledger::survey::visible(&Layout::new(dir).folder(FileKind::Pack), "zip", &mut packs).unwrap();
    let mut keys: Vec<_> = packs
        .iter()
        .flat_map(|path| super::pack::zip::PackReader::open(path).unwrap().manifest().unwrap())
        .map(|line| line.key)
        .collect();
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all);
    all
}

#[test]
fn a_kill_at_any_step_of_a_compaction_changes_no_answer() {
    use super::upkeep::compact::MergeStage;
    for step in [MergeStage::Planned, MergeStage::Built, MergeStage::Recorded, MergeStage::Settled] {
        let dir = tempfile::tempdir().unwrap();
        let reports = many_batches(dir.path(), 40);
        let expected = collected(&reports);
        let mut writer = Writer::open(dir.path(), now()).unwrap();
        writer.compact_fault = Some(step);
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

/// The rows of all parts under `records/`, whatever the ledger says.
fn globbed(dir: &Path) -> usize {
    let mut parts = Vec::new();
    super::ledger::survey::visible(&Layout::new(dir).folder(FileKind::Part), "parquet", &mut parts).unwrap();
    parts.into_iter().map(|path| super::parquet::rows::ParquetPart::open(path).unwrap().metadata.num_rows).sum()
}

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
            super::disk::files::list(&Layout::new(dir.path()).month(kind, Month { year: 2026, month })).unwrap();
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
        for path in super::disk::files::list(from).unwrap() {
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

#[test]
fn a_merge_refuses_to_spread_damage() {
    let dir = tempfile::tempdir().unwrap();
    // All in one month.
    for number in 0..4 {
        write(dir.path(), &[accepted(number * 40, 2)]);
    }
    let mut packs = Vec::new();
    super::ledger::survey::visible(&Layout::new(dir.path()).folder(FileKind::Pack), "zip", &mut packs).unwrap();
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
fn a_missing_store_does_not_verify() {
    let dir = tempfile::tempdir().unwrap();
    for dir in [dir.path().to_owned(), dir.path().join("typo")] {
        assert!(matches!(Store::open(&dir).unwrap().verify(), Err(StoreError::NoStore { .. })));
    }
}

#[test]
fn a_replacement_killed_at_any_instant_is_made_or_not_and_loses_no_original() {
    let old = accepted(3, 5);
    let mut new = accepted(3, 7);
    new.content = Hash([9; 32]);
    new.original = std::sync::Arc::new(Original::Plain(b"<feedback>the genuine one</feedback>".to_vec()));
    new.provenance.mail = Some(MailFacts { sender_auth: SenderAuth::Pass, ..MailFacts::default() });
    let others: Vec<Accepted> = [43, 83, 4].map(|number| accepted(number, 4)).to_vec();
    let with = |report: &Accepted| {
        let mut all = others.clone();
        all.push(report.clone());
        collected(&all)
    };
    let reader: OriginalReader = {
        let report = (old.report.clone(), old.content);
        std::sync::Arc::new(move |_, _, _, each| each(report.0.clone(), report.1))
    };
    let steps =
        [CommitStage::Start, CommitStage::Planned, CommitStage::Written, CommitStage::Recorded, CommitStage::Published];
    for step in steps.map(Some).into_iter().chain([None]) {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[&others[..], std::slice::from_ref(&old)].concat());
        let before = std::fs::read_dir(dir.path().join("originals/month=2026-10")).unwrap().count();
        let mut made = false;
        for kill in [step, None] {
            let mut writer = Writer::open(dir.path(), now()).unwrap();
            writer.read_originals_with(reader.clone());
            *writer.fault.get_mut() = Some(Box::new(move |at| Some(at) == kill));
            let added = writer.add(new.clone()).unwrap();
            assert_eq!(matches!(added, Added::Replaced(_)), !made, "{step:?} {kill:?}: {added:?}");
            assert_eq!(writer.commit().is_err(), kill.is_some(), "{step:?}");
            drop(writer);
            // The next writer makes it all right.
            drop(Writer::open(dir.path(), now()).unwrap());
            made = kill.is_none() || matches!(step, Some(CommitStage::Recorded | CommitStage::Published));
            assert_eq!(stored(dir.path()), with(if made { &new } else { &old }), "{step:?} {kill:?}");
            let store = Store::open(dir.path()).unwrap();
            assert_eq!(store.verify().unwrap(), [], "{step:?} {kill:?}");
            assert_eq!(store.conflicts().unwrap().len(), usize::from(made), "{step:?} {kill:?}");
        }
        let packs: Vec<_> = std::fs::read_dir(dir.path().join("originals/month=2026-10")).unwrap().collect();
        assert!(packs.len() > before, "both originals are there");
        // Packs that are merged hold both under names of their own.
        let mut writer = Writer::open(dir.path(), now()).unwrap();
        writer.compact(true).unwrap();
        drop(writer);
        let pack = std::fs::read_dir(dir.path().join("originals/month=2026-10")).unwrap().next().unwrap().unwrap();
        let mut pack = super::pack::zip::PackReader::open(&pack.path()).unwrap();
        let key = new.report.key.to_string();
        let lines: Vec<_> = pack.manifest().unwrap().into_iter().filter(|line| line.key == key).collect();
        assert_eq!(lines.len(), 2);
        let originals: Vec<Original> = lines.iter().map(|line| pack.original(&line.member).unwrap()).collect();
        assert!(originals.contains(&old.original) && originals.contains(&new.original));
        assert_eq!(Store::open(dir.path()).unwrap().verify().unwrap(), []);
    }
}

#[test]
fn a_report_stored_under_its_former_key_is_known_and_one_with_an_id_in_other_case_is_not_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut old = accepted(1, 2);
    old.report.metadata.report_id = "aGVsbG8".into();
    write(dir.path(), std::slice::from_ref(&old));
    let mut again = old.clone();
    (again.report.key, again.report.former_key) = (ReportKey([5; 16]), Some(old.report.key));
    assert_eq!(write(dir.path(), std::slice::from_ref(&again)), BTreeMap::from([("duplicate", 1)]));
    let mut other = again.clone();
    other.report.metadata.report_id = "AGVsbG8".into();
    (other.report.key, other.content) = (ReportKey([6; 16]), Hash([6; 32]));
    assert_eq!(write(dir.path(), &[other, again]), BTreeMap::from([("stored", 1), ("duplicate", 1)]));
}

#[test]
fn a_merged_part_that_was_set_aside_halfway_does_not_come_back() {
    use super::upkeep::compact::MergeStage;
    let dir = tempfile::tempdir().unwrap();
    let reports = many_batches(dir.path(), 20);
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    writer.compact_fault = Some(MergeStage::Recorded);
    writer.compact(true).unwrap_err();
    drop(writer);
    // As a link does in place of a rename, when a kill comes before the old name is removed.
    let layout = Layout::new(dir.path());
    for month in [10, 11] {
        let month = Month { year: 2026, month };
        let retired = layout.retired(FileKind::Part, month);
        std::fs::create_dir_all(&retired).unwrap();
        for path in super::ledger::survey::on_disk(&layout, FileKind::Part).unwrap() {
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
