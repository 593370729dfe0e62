//! Mails: which are acknowledged and when, and whether the one that brought a report is its reporter's.

use super::*;
use crate::model::{Proof, RawMail, ReportKind, SenderAuth};
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn a_known_report_shows_that_its_mailbox_works() {
    let dir = tempfile::tempdir().unwrap();
    ingest(dir.path(), vec![item("first.xml", xml(1, 5))]);
    let newest = || Store::open(dir.path()).unwrap().newest_of_mailbox("m").unwrap();
    ingest(dir.path(), vec![message(1, b"no report")]);
    assert_eq!(newest(), None);
    let tally = ingest(dir.path(), vec![message(2, &xml(1, 5))]);
    assert_eq!((tally.stored.reports, tally.duplicates, newest()), (0, 1, Some(now())));
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

/// Gives the same proof for every mail, and counts them; panics if it has none.
#[derive(Debug)]
struct FixedProof(Option<Proof>, AtomicU32);

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
