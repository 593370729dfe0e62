//! Batches and commits: nothing lost and nothing duplicated, at whatever instant a commit is killed.

use super::*;

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
        kill_at(&mut writer, step);
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
        let mut pack = crate::store::pack::zip::PackReader::open(&pack.path()).unwrap();
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
