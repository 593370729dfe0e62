//! Tests of whole runs, with made-up reports of receiver.example.

mod again;
mod crashes;
mod export;
mod mailboxes;
mod places;

use super::*;
use crate::fetch::{FetchError, Fetched, Item};
use crate::limits::Limits;
use crate::model::{ColumnSet, Fate, Message, Report};
use crate::store::{Filter, Store, Writer};
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;

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

fn full(dir: &Path) {
    ingest(dir, mixed());
    ingest(dir, (10..60).map(|number| item(&format!("{number}.xml"), xml(number * 30, number))).collect());
    ingest(dir, vec![message(4, &xml(9, 1)), message(5, b"hello")]);
}

/// The messages that are safe.
#[derive(Default)]
struct Safe(Vec<u32>);

impl Observer for Safe {
    fn committed(&mut self, messages: &[(Message, Fate)]) {
        self.0.extend(messages.iter().map(|(message, _)| uid_of(message)));
    }
}
