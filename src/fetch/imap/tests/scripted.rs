//! What Dovecot never does: broken connections at every step, lies, answers out of order, hostile bytes.

use super::server::{Folder, Manner, Server, When, Wrong};
use super::*;
use crate::fetch::item::Fetched;
use crate::fetch::mailbox::{After, Patience, PollOptions};
use crate::fetch::poll::Poller;
use crate::model::{Cursor, Fate, Message};
use std::collections::BTreeMap;

#[test]
fn every_mail_is_given_once_and_the_next_run_gives_none() {
    let server = Server::with_inbox(Manner::default(), mails(120));
    let first = once(&server, After::Keep);
    assert_eq!(first.uids(), (1..=120).collect::<Vec<_>>());
    assert_eq!(first.items[6].bytes, mails(120)[6]);
    assert_eq!(first.items[0].arrival.to_string(), "2026-11-25T06:00:00Z");
    assert_eq!((first.cursor().last_uid, first.finished.acknowledged.len()), (120, 120));
    assert!(first.finished.failures.is_empty());
    server.world().commands.clear();
    let second = run(mailbox(&server, After::Keep), first.finished.cursors, options());
    assert!(second.items.is_empty());
    let commands = server.world().commands.clone();
    assert!(!commands.iter().any(|command| command.contains("BODY")), "{commands:?}");
}

#[test]
fn a_folder_size_after_two_spaces_is_read() {
    // As DavMail does.
    let manner = Manner { exists: "*  # EXISTS\r\n".into(), ..Manner::default() };
    assert_eq!(once(&Server::with_inbox(manner, mails(3)), After::Keep).uids(), [1, 2, 3]);
}

#[test]
fn a_folder_without_a_size_is_an_error_and_not_empty() {
    let manner = Manner { exists: String::new(), ..Manner::default() };
    let brought = once(&Server::with_inbox(manner, mails(3)), After::Keep);
    assert!(brought.items.is_empty());
    let failures: Vec<String> = brought.finished.failures.iter().map(ToString::to_string).collect();
    assert!(failures.len() == 1 && failures[0].contains("EXISTS"), "{failures:?}");
}

#[test]
fn keep_opens_by_examine_and_changes_nothing() {
    let server = Server::with_inbox(Manner::default(), mails(3));
    let before = server.folder("INBOX");
    once(&server, After::Keep);
    assert_eq!(server.folder("INBOX"), before);
    let commands = server.world().commands.clone();
    assert!(commands.iter().any(|command| command.starts_with("EXAMINE")));
    assert!(!commands.iter().any(|command| command.starts_with("SELECT") || command.contains("STORE")));
}

#[test]
fn seen_and_delete_and_move_touch_what_is_safe() {
    let server = Server::with_inbox(Manner::default(), mails(4));
    once(&server, After::Seen);
    assert!(server.folder("INBOX").mails.iter().all(|mail| mail.flags == ["\\Seen"]));
    let server = Server::with_inbox(Manner::default(), mails(4));
    once(&server, After::Delete);
    assert!(server.folder("INBOX").mails.is_empty());
    let server = Server::with_inbox(Manner::default(), mails(4));
    let brought = once(&server, After::Move("DMARC/done".into()));
    assert_eq!((server.folder("INBOX").mails.len(), server.folder("DMARC/done").mails.len()), (0, 4));
    assert_eq!(brought.cursor().pending, []);
}

#[test]
fn without_move_a_mail_is_copied_and_expunged() {
    let manner = Manner { capabilities: vec!["IMAP4rev1".into(), "UIDPLUS".into()], ..Manner::default() };
    let server = Server::with_inbox(manner, mails(4));
    once(&server, After::Move("Done".into()));
    assert_eq!((server.folder("INBOX").mails.len(), server.folder("Done").mails.len()), (0, 4));
    assert!(!server.world().commands.iter().any(|command| command.contains("MOVE")));
}

#[test]
fn without_uidplus_a_mail_is_flagged_never_expunged_and_never_copied_twice() {
    let manner = Manner { capabilities: vec!["IMAP4rev1".into()], ..Manner::default() };
    let server = Server::with_inbox(manner, mails(4));
    let brought = once(&server, After::Move("Done".into()));
    assert!(brought.finished.notes[0].contains("UIDPLUS"), "{:?}", brought.finished.notes);
    let pending: Vec<(u32, Fate)> = (1..=4).map(|uid| (uid, Fate::Done)).collect();
    let cursor = Cursor { uid_validity: 7, last_uid: 4, pending, done: vec![] };
    run(mailbox(&server, After::Move("Done".into())), vec![("INBOX".into(), cursor)], options());
    assert_eq!((server.folder("INBOX").mails.len(), server.folder("Done").mails.len()), (4, 4));
    assert!(!server.world().commands.iter().any(|command| command.contains("EXPUNGE")));
}

#[test]
fn what_is_pending_is_finished_without_fetching_it_again() {
    let server = Server::with_inbox(Manner::default(), mails(5));
    let pending = vec![(1, Fate::Done), (2, Fate::NotReport), (3, Fate::Unreadable)];
    let cursor = Cursor { uid_validity: 7, last_uid: 0, pending, done: vec![] };
    let mut mailbox = mailbox(&server, After::Delete);
    mailbox.rejected_to = Some("Bad".into());
    let brought = run(mailbox, vec![("INBOX".into(), cursor)], options());
    assert_eq!(brought.uids(), [4, 5]);
    let left: Vec<u32> = server.folder("INBOX").mails.iter().map(|mail| mail.uid).collect();
    assert_eq!((left, server.folder("Bad").mails.len()), (vec![2], 1));
    assert_eq!(brought.finished.acknowledged.len(), 5);
    assert_eq!(brought.cursor().last_uid, 5);
}

#[test]
fn a_new_uidvalidity_reads_all_again_and_says_so_once() {
    let server = Server::with_inbox(Manner::default(), mails(3));
    let first = once(&server, After::Keep);
    server.world().folders.get_mut("INBOX").unwrap().validity = 8;
    let second = run(mailbox(&server, After::Keep), first.finished.cursors, options());
    assert_eq!(second.uids(), [1, 2, 3]);
    assert!(second.finished.notes[0].contains("UIDVALIDITY"));
    let third = run(mailbox(&server, After::Keep), second.finished.cursors, options());
    assert!(third.items.is_empty() && third.finished.notes.is_empty());
}

#[test]
fn gaps_expunged_mails_and_new_arrivals_do_no_harm() {
    let server = Server::with_inbox(Manner::default(), mails(9));
    {
        let mut world = server.world();
        let inbox = world.folders.get_mut("INBOX").unwrap();
        inbox.mails.retain(|mail| ![1, 4, 5].contains(&mail.uid));
        inbox.next = 4_000_000_000;
        inbox.add(b"Subject: far\r\n\r\n".to_vec());
    }
    let first = once(&server, After::Keep);
    assert_eq!(first.uids(), [2, 3, 6, 7, 8, 9, 4_000_000_000]);
    assert_eq!(first.cursor().last_uid, 4_000_000_000);
    server.world().folders.get_mut("INBOX").unwrap().add(b"Subject: new\r\n\r\n".to_vec());
    assert_eq!(run(mailbox(&server, After::Keep), first.finished.cursors, options()).uids(), [4_000_000_001]);
}

#[test]
fn limit_takes_the_oldest_and_leaves_the_rest_for_later() {
    let server = Server::with_inbox(Manner::default(), mails(10));
    let first = run(mailbox(&server, After::Keep), vec![], PollOptions { limit: Some(4), ..options() });
    assert_eq!((first.uids(), first.cursor().last_uid), (vec![1, 2, 3, 4], 4));
    let rest = run(mailbox(&server, After::Keep), first.finished.cursors, options());
    assert_eq!(rest.uids(), [5, 6, 7, 8, 9, 10]);
}

#[test]
fn since_passes_over_older_mails_and_does_not_forget_them() {
    let server = Server::with_inbox(Manner::default(), mails(3));
    let late = PollOptions { since: Some("2026-11-26T00:00:00Z".parse().unwrap()), ..options() };
    let first = run(mailbox(&server, After::Keep), vec![], late);
    assert_eq!((first.items.len(), first.cursor().last_uid), (0, 0));
    assert_eq!(run(mailbox(&server, After::Keep), first.finished.cursors, options()).uids(), [1, 2, 3]);
}

#[test]
fn whatever_breaks_at_whatever_command_every_mail_is_given_once() {
    let plain = Server::with_inbox(Manner::default(), mails(7));
    once(&plain, After::Move("Done".into()));
    let commands = plain.world().commands.len();
    assert!(commands > 8, "{:?}", plain.world().commands);
    for wrong in [Wrong::Bye, Wrong::Close, Wrong::Silence, Wrong::CloseAfter] {
        for at in 0..commands {
            let server = Server::with_inbox(Manner::default(), mails(7));
            server.world().faults.push((When::Command(at), wrong));
            let brought = once(&server, After::Move("Done".into()));
            // The number of actions depends on when the caller acknowledges: the last may not happen.
            let what = format!("{wrong:?} at {:?}: {:?}", server.world().commands.get(at), brought.finished.failures);
            assert_eq!(brought.uids(), [1, 2, 3, 4, 5, 6, 7], "{what}");
            assert!(brought.others.is_empty() && brought.finished.failures.is_empty(), "{what}");
            assert_eq!((server.folder("INBOX").mails.len(), server.folder("Done").mails.len()), (0, 7), "{what}");
        }
    }
}

#[test]
fn a_mail_that_always_breaks_the_connection_is_skipped_named_and_tried_next_time() {
    let server = Server::with_inbox(Manner::default(), mails(8));
    for _ in 0..5 {
        server.world().faults.push((When::Body(4), Wrong::Bye));
    }
    let brought = once(&server, After::Delete);
    assert_eq!(brought.uids(), [1, 2, 3, 5, 6, 7, 8]);
    let [Fetched::Unfetched { origin, reason, .. }] = &brought.others[..] else { panic!("{:?}", brought.others) };
    assert_eq!(origin, "reports > INBOX > uid 4");
    assert!(reason.contains("broke 2 times"), "{reason}");
    let cursor = brought.cursor();
    assert_eq!((cursor.last_uid, cursor.done), (3, vec![(5, 8)]));
    assert_eq!(server.folder("INBOX").mails.len(), 1);
    server.world().faults.clear();
    assert_eq!(run(mailbox(&server, After::Delete), brought.finished.cursors, options()).uids(), [4]);
}

#[test]
fn a_cut_body_and_a_short_literal_are_never_given() {
    let server = Server::with_inbox(Manner { chunk_bytes: Some(97), ..Manner::default() }, mails(5));
    server.world().faults = vec![
        (When::Body(2), Wrong::DropAfter(30)),
        (When::Body(3), Wrong::ShortLiteral { promise: 4000, send: 50 }),
        (When::Body(5), Wrong::Silence),
    ];
    let brought = once(&server, After::Keep);
    let found: BTreeMap<u32, Vec<u8>> = brought.items.into_iter().map(|item| (uid_of(&item), item.bytes)).collect();
    assert_eq!(found.into_values().collect::<Vec<_>>(), mails(5));
    assert!(brought.others.is_empty());
}

#[test]
fn answers_out_of_order_with_unrequested_data_are_understood() {
    let interjection =
        "* 1 EXPUNGE\r\n* 3 FETCH (FLAGS (\\Seen))\r\n* 40 EXISTS\r\n* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n\
                        * 2 FETCH (UID 99 FLAGS (\\Deleted))\r\n* X-NEW (a (b {3}\r\nxyz))\r\n"
            .to_owned();
    let manner = Manner { backwards: true, interjection, ..Manner::default() };
    let server = Server::with_inbox(manner, mails(60));
    let brought = once(&server, After::Keep);
    assert_eq!(brought.uids(), (1..=60).collect::<Vec<_>>());
    for item in brought.items {
        assert_eq!(item.bytes, mails(60)[uid_of(&item) as usize - 1]);
    }
}

#[test]
fn a_mail_over_the_limit_is_named_and_never_fetched() {
    let mut all = mails(3);
    all[1] = vec![b'x'; 5000];
    let server = Server::with_inbox(Manner::default(), all);
    let options = PollOptions { item_bytes: 4000, ..options() };
    let brought = run(mailbox(&server, After::Delete), vec![], options);
    assert_eq!(brought.uids(), [1, 3]);
    assert!(matches!(&brought.others[..], [Fetched::TooLarge { size: 5000, limit: 4000, .. }]));
    assert!(server.world().commands.iter().all(|command| !command.contains("1:3 (UID BODY")));
    assert_eq!(server.folder("INBOX").mails.len(), 1);
    assert_eq!(brought.cursor().last_uid, 3);
}

#[test]
fn a_wrong_size_costs_no_memory_and_no_other_mail() {
    let mut all = mails(4);
    all[2] = vec![b'x'; 200_000];
    let server = Server::with_inbox(Manner { size_factor: 0.0, ..Manner::default() }, all);
    let options = PollOptions { item_bytes: 100_000, ..options() };
    let brought = run(mailbox(&server, After::Keep), vec![], options);
    assert_eq!(brought.uids(), [1, 2, 4]);
    assert!(matches!(&brought.others[..], [Fetched::TooLarge { size: 200_000, limit: 100_000, .. }]));
}

#[test]
fn hostile_answers_for_one_mail_do_not_cost_the_others() {
    let huge = b"* 2 FETCH (UID 2 BODY[] {9999999999}\r\nabc".to_vec();
    let endless = [b"* 2 FETCH (UID 2 BODY[] \"".to_vec(), vec![b'x'; 70_000]].concat();
    let nil = b"* 2 FETCH (UID 2 BODY[] NIL)\r\n".to_vec();
    let no_uid = b"* 2 FETCH (BODY[] {3}\r\nabc)\r\n".to_vec();
    let bad_text = b"* OK [ALERT]\xff\xfe\r\n* 2 FETCH (UID 2 INTERNALDATE NIL)\r\n".to_vec();
    let garbage = b"\x00\x01garbage\r\n".to_vec();
    for (instead, word) in [
        (huge, "too large"),
        (endless, "broke"),
        (nil, "no body"),
        (no_uid, "no body"),
        (bad_text, "no body"),
        (garbage, "broke"),
    ] {
        let mut manner = Manner::default();
        manner.instead.insert(2, instead.clone());
        let server = Server::with_inbox(manner, mails(4));
        let brought = once(&server, After::Keep);
        let what = format!("{:?}", String::from_utf8_lossy(&instead[..instead.len().min(60)]));
        assert_eq!(brought.uids(), [1, 3, 4], "{what}");
        let reason = match &brought.others[..] {
            [Fetched::TooLarge { size: 9_999_999_999, .. }] => "too large".to_owned(),
            [Fetched::Unfetched { reason, .. }] => reason.clone(),
            other => panic!("{what}: {other:?}"),
        };
        assert!(reason.contains(word), "{what}: {reason}");
        assert!(brought.finished.failures.is_empty(), "{what}");
    }
}

#[test]
fn a_target_that_cannot_be_created_is_reported_before_anything_is_read() {
    let manner = Manner { no_inferiors: vec!["Archive".into()], ..Manner::default() };
    let server = Server::with_inbox(manner, mails(2));
    let mut poller = Poller::start(mailbox(&server, After::Move("Archive/done".into())), vec![], options()).unwrap();
    assert!(poller.warnings()[0].reason.contains("takes no children"), "{:?}", poller.warnings());
    let acknowledger = poller.acknowledger();
    let given: Vec<(Message, Fate)> = poller.mails().unwrap().filter_map(|mail| message_of(&mail.unwrap())).collect();
    acknowledger.safe(&given);
    let finished = poller.finish();
    assert_eq!((given.len(), finished.acknowledged.len(), finished.failures.len()), (2, 0, 1));
    assert_eq!(finished.cursors[0].1.pending.len(), 2);
    assert_eq!(server.folder("INBOX").mails.len(), 2);
    let commands = server.world().commands.clone();
    let asked = commands.iter().rposition(|command| command.contains("Archive"));
    let read = commands.iter().position(|command| command.contains("FETCH"));
    assert!(asked.is_some() && asked < read, "the target is looked at before anything is read: {commands:?}");
}

#[test]
fn a_missing_folder_is_named_and_the_others_are_read() {
    let server =
        Server::start(Manner::default(), [("INBOX".into(), Folder::of([])), ("Reports".into(), Folder::of(mails(2)))]);
    let mut mailbox = mailbox(&server, After::Keep);
    mailbox.folders = vec!["Report".into(), "Reports".into()];
    let brought = run(mailbox, vec![], options());
    assert_eq!(brought.uids(), [1, 2]);
    let failure = &brought.finished.failures[0];
    assert_eq!(failure.to_string(), "mailbox reports: folder Report: the server has none of that name");
    assert_eq!(failure.hint.as_deref(), Some("it has: INBOX, Reports"));
}

#[test]
fn unacknowledged_mails_are_not_touched() {
    let server = Server::with_inbox(Manner::default(), mails(3));
    let mut poller = Poller::start(mailbox(&server, After::Delete), vec![], options()).unwrap();
    assert_eq!(poller.mails().unwrap().count(), 3);
    let finished = poller.finish();
    assert_eq!((finished.acknowledged.len(), finished.cursors[0].1.last_uid), (0, 0));
    assert_eq!(server.folder("INBOX").mails.len(), 3);
}

#[test]
fn a_caller_that_leaves_early_does_not_hang_the_poller() {
    let server = Server::with_inbox(Manner::default(), mails(1000));
    let mut poller = Poller::start(mailbox(&server, After::Delete), vec![], options()).unwrap();
    let mut mails = poller.mails().unwrap();
    let first = mails.next().unwrap().unwrap();
    poller.acknowledger().safe(&[message_of(&first).unwrap()]);
    drop(mails);
    let finished = poller.finish();
    assert_eq!((finished.acknowledged.len(), server.folder("INBOX").mails.len()), (1, 999));
}

#[test]
fn a_server_that_never_greets_or_speaks_something_else_is_an_error_in_time() {
    for greeting in
        [&b""[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", b"* BYE too many connections\r\n", b"* PREAUTH hi\r\n"]
    {
        let manner = Manner { greeting: Some(greeting.to_vec()), ..Manner::default() };
        let server = Server::with_inbox(manner, mails(1));
        let error = Poller::start(mailbox(&server, After::Keep), vec![], options()).unwrap_err().to_string();
        assert!(error.starts_with("mailbox reports: "), "{error}");
    }
}

#[test]
fn a_password_is_never_sent_if_the_server_forbids_it() {
    let manner = Manner { capabilities: vec!["IMAP4rev1".into(), "LOGINDISABLED".into()], ..Manner::default() };
    let server = Server::with_inbox(manner, mails(1));
    let error = Poller::start(mailbox(&server, After::Keep), vec![], options()).unwrap_err();
    assert!(error.to_string().contains("LOGINDISABLED"), "{error}");
    assert!(!format!("{error:?} {:?}", mailbox(&server, After::Keep)).contains("s3cret"));
    assert!(!server.world().commands.iter().any(|command| command.contains("LOGIN")));
}

#[test]
fn without_tls_only_a_loopback_address_is_connected_to() {
    let server = Server::with_inbox(Manner::default(), mails(1));
    let mut mailbox = mailbox(&server, After::Keep);
    mailbox.host = "192.0.2.1".into();
    let error = Poller::start(mailbox, vec![], options()).unwrap_err().to_string();
    assert!(error.contains("only for a loopback address"), "{error}");
}

#[test]
fn a_stop_ends_a_run_that_waits_for_a_silent_server() {
    let server = Server::with_inbox(Manner::default(), mails(3));
    server.world().faults.push((When::Line("UID FETCH 1:3 (UID BODY".into()), Wrong::Silence));
    let mut mailbox = mailbox(&server, After::Keep);
    mailbox.patience = Patience::default();
    let options = options();
    let stop = options.stop.clone();
    let mut poller = Poller::start(mailbox, vec![], options).unwrap();
    let begin = std::time::Instant::now();
    stop.set();
    assert_eq!(poller.mails().unwrap().count(), 0);
    poller.finish();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}
