//! Hostile input: each case ends in one counted place, within the limits, and soon.

use super::*;
use crate::limits::{Grown, Growth};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What an unoptimized build may need for work that an optimized one does in a fraction of it.
const SOON: Duration = Duration::from_mins(1);

/// The lines of an item, which must be found soon.
fn soon(name: Option<&str>, bytes: &[u8], limits: &Limits) -> Vec<String> {
    let began = Instant::now();
    let unpacked = unpack(bytes.to_vec(), name, limits);
    assert!(began.elapsed() < SOON, "took {:?}", began.elapsed());
    lines(&unpacked)
}

/// The limits, with less to inflate, because a debug build is slow.
fn tight() -> Limits {
    Limits { inflated_bytes: 4 << 20, ..Limits::default() }
}

#[test]
fn a_bomb_is_stopped_while_it_inflates() {
    let bomb = gzip(&vec![b' '; 8 << 20]);
    assert_eq!(soon(Some("a.gz"), &bomb, &tight()), ["gzip: more than 4 MiB inflated, the limit is 4 MiB"]);
    let low = Limits { ratio: 100, ..Limits::default() };
    assert_eq!(soon(Some("a.gz"), &bomb, &low), ["gzip: more than 100 times its size inflated, the limit is 100"]);
    let zip = zip(&[("a.xml", &vec![b' '; 8 << 20])]);
    assert_eq!(soon(Some("a.zip"), &zip, &tight()), ["zip: more than 4 MiB inflated, the limit is 4 MiB"]);
    let zlib = zlib(&vec![b' '; 8 << 20]);
    assert_eq!(soon(Some("a"), &zlib, &tight()), ["zlib: more than 4 MiB inflated, the limit is 4 MiB"]);
}

#[test]
fn a_thousand_bombs_in_a_mail_cost_what_one_does() {
    let bomb = gzip(&vec![b' '; 8 << 20]);
    let parts: Vec<String> = (0..100).map(|n| attachment("application/gzip", &format!("{n}.gz"), &bomb)).collect();
    let limits = Limits { inflated_bytes: 4 << 20, ..Limits::default() };
    let lines = soon(None, &mail(&multipart("mixed", "b", &parts)), &limits);
    assert_eq!(lines.len(), 100);
    assert!(lines.iter().all(|line| line.ends_with("inflated, the limit is 4 MiB")), "{:?}", lines.last());
}

#[test]
fn nested_archives_share_one_allowance() {
    let inner = gzip(&vec![b' '; 3 << 20]);
    let lines = soon(Some("a.zip"), &zip(&[("a.gz", &inner), ("b.gz", &inner)]), &tight());
    assert_eq!(lines.len(), 2);
    assert!(lines[1].contains("more than 4 MiB inflated"), "{lines:?}");
}

#[test]
fn a_million_empty_members_are_not_listed() {
    let member = gzip(b"");
    let lines = soon(Some("a.gz"), &member.repeat(1_000_000), &Limits::default());
    assert_eq!(lines, ["gzip: more than 1000 archive members, the limit is 1000"]);
    // A directory of a million entries that all are one empty member.
    let zip = zip(&[("a", b"")]);
    let at = zip.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let end = zip.len() - 22;
    let directory = zip[at..end].repeat(1_000_000);
    let mut bytes = [&zip[..at], &directory, &zip[end..]].concat();
    let record = bytes.len() - 22;
    bytes[record + 12..record + 16].copy_from_slice(&u32::try_from(directory.len()).unwrap().to_le_bytes());
    let lines = soon(Some("a.zip"), &bytes, &Limits::default());
    assert_eq!(lines, ["zip: more than 1000 archive members, the limit is 1000"]);
}

#[test]
fn overlapping_members_are_refused() {
    let zip = zip(&[("a.xml", REPORT)]);
    let at = zip.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let end = zip.len() - 22;
    let mut bytes = [&zip[..end], &zip[at..]].concat();
    let record = bytes.len() - 22;
    bytes[record + 8..record + 12].copy_from_slice(&[2, 0, 2, 0]);
    let size = u32::try_from((end - at) * 2).unwrap();
    bytes[record + 12..record + 16].copy_from_slice(&size.to_le_bytes());
    assert_eq!(soon(Some("a.zip"), &bytes, &Limits::default()), ["zip: several members lie over each other"]);
}

#[test]
fn a_long_local_header_hides_no_overlap() {
    let mut zip = zip_with(
        SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored),
        &[("a.xml", REPORT), ("b.xml", REPORT)],
    );
    assert_eq!(file("a.zip", &zip), ["a.xml: report", "b.xml: report"]);
    // The first member's bytes are now where the second one's are, by the length of its extra field.
    let second = zip.windows(4).rposition(|four| four == b"PK\x03\x04").unwrap();
    zip[28..30].copy_from_slice(&u16::try_from(second).unwrap().to_le_bytes());
    assert_eq!(file("a.zip", &zip), ["zip: several members lie over each other"]);
}

#[test]
fn a_declared_size_is_not_trusted() {
    let mut gz = gzip(REPORT);
    let at = gz.len() - 4;
    gz[at..].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(soon(Some("a.gz"), &gz, &Limits::default()), ["gzip: damaged: incorrect length check"]);
    let mut zip = zip(&[("a.xml", REPORT)]);
    let at = zip.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    zip[at + 24..at + 28].copy_from_slice(&[0xfe; 4]);
    assert_eq!(soon(Some("a.zip"), &zip, &Limits::default()), ["a.xml: report"]);
    zip[at + 20..at + 24].copy_from_slice(&[0xfe; 4]);
    assert!(soon(Some("a.zip"), &zip, &Limits::default())[0].starts_with("zip: member is cut short: expected "));
}

#[test]
fn memory_is_announced_before_it_is_used() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = told.clone();
    let growth = Growth::reported_to(move |grown| listener.lock().unwrap().push(grown));
    let limits = Limits { growth, ..Limits::default() };
    // It says that it has 50 MiB, and nothing of it can be inflated.
    let mut gz = gzip(&[]);
    gz.truncate(10);
    gz.resize(1 << 20, 0xff);
    gz.extend((50_u32 << 20).to_le_bytes());
    assert!(soon(Some("a.gz"), &gz, &limits)[0].starts_with("gzip: damaged"));
    let told = told.lock().unwrap();
    assert!(matches!(told[..], [Grown::Inflated(bytes)] if bytes >= 50 << 20), "{told:?}");
}

#[test]
fn a_hundred_thousand_parts_are_not_walked() {
    let parts = "--b\r\n\r\nx\r\n".repeat(100_000);
    let mail = mail(&part("Content-Type: multipart/mixed; boundary=b", &parts));
    assert_eq!(soon(None, &mail, &Limits::default()), ["mail: more than 1000 MIME parts, the limit is 1000"]);
}

#[test]
fn a_thousand_levels_of_multiparts_or_mails_are_not_entered() {
    let nested: String = (0..1000).fold(String::new(), |all, n| {
        all + &format!("Content-Type: multipart/mixed; boundary=\"b{n}\"\r\n\r\n--b{n}\r\n")
    });
    assert_eq!(
        soon(None, &mail(&nested), &Limits::default()),
        ["mail: 17 mails and multiparts within each other, the limit is 16"]
    );
    let nested = "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n".repeat(1000);
    let lines = soon(None, &mail(&nested), &Limits::default());
    assert!(lines.len() == 1 && lines[0].ends_with("17 mails and multiparts within each other, the limit is 16"));
    let encoded = (0..20).fold(mail("\r\nend"), |inner, _| mail(&attachment("message/rfc822", "m.eml", &inner)));
    assert_eq!(soon(None, &encoded, &Limits::default()).len(), 1);
}

#[test]
fn a_header_of_megabytes_is_read_to_its_bound() {
    let long = "x".repeat(8 << 20);
    for head in [
        format!("Subject: {long}\r\nFrom: a@example.com\r\n\r\n"),
        format!("From: {long}@example.com\r\n\r\n"),
        format!("From: a@example.com\r\nContent-Type: multipart/mixed; boundary={long}\r\n\r\n"),
        format!("{long}: x\r\nFrom: a@example.com\r\n\r\n"),
        format!("From: a@example.com\r\nContent-Type: application/gzip; name=\"{}\"\r\n\r\n", "=?".repeat(4 << 20)),
    ] {
        assert_eq!(soon(None, head.as_bytes(), &Limits::default()).len(), 1);
    }
}

#[test]
fn headers_and_parameters_made_to_be_slow_are_not() {
    let parameters: String = (0..100_000).fold(String::new(), |all, n| all + &format!("; a{n}*0*=x"));
    let words = "=?utf-8?Q?a?= ".repeat(100_000);
    let folded = "\r\n ".repeat(100_000);
    let fields = "A: b\r\n".repeat(1_000_000);
    let head = format!(
        "{fields}From: a@example.com ({}\r\nContent-Type: application/gzip{parameters}\r\n\
         Content-Disposition: attachment; filename=\"{words}\"\r\nSubject: x{folded}\r\n\r\n",
        "(".repeat(100_000)
    );
    assert_eq!(soon(None, head.as_bytes(), &Limits::default()).len(), 1);
}

#[test]
fn a_mailbox_of_countless_mails_in_a_gzip_is_one_rejection_more() {
    let mbox = gzip(&b"From a 01:10:00\nSubject: x\n\nx\n\n".repeat(20_000));
    let lines = soon(Some("a.mbox.gz"), &mbox, &Limits::default());
    assert_eq!(lines.last().unwrap(), "mbox: more than 1000 MIME parts, the limit is 1000");
    assert!(lines.len() <= 1001);
}

#[test]
fn lines_like_delimiters_do_not_make_the_search_slow() {
    let body = "--b-\r\n".repeat(1_000_000);
    let mail = mail(&part("Content-Type: multipart/mixed; boundary=b", &format!("--b\r\n\r\n{body}")));
    assert_eq!(soon(None, &mail, &Limits::default()), ["Other"]);
    let dashes = format!("--b\r\n\r\n{}", "-".repeat(10 << 20));
    let mail = super::mail(&part("Content-Type: multipart/mixed; boundary=b", &dashes));
    assert_eq!(soon(None, &mail, &Limits::default()), ["Other"]);
}

#[test]
fn almost_reports_do_not_make_the_search_slow() {
    for text in
        ["feedback ", ":feedback", "<feedback", "begin 644 ", "\nbegin 644 a\n", "\n>From ", "\nFrom ", "{\"", "<"]
    {
        let body = text.repeat((1 << 20) / text.len());
        assert!(!soon(Some("a.xml"), body.as_bytes(), &Limits::default()).is_empty());
        assert!(!soon(None, &mail(&format!("\r\n{body}")), &Limits::default()).is_empty());
    }
}

#[test]
fn an_item_over_the_limit_is_rejected_as_it_is() {
    let limits = Limits { item_bytes: 10, ..Limits::default() };
    assert_eq!(soon(Some("a.xml"), REPORT, &limits), ["66 bytes, the limit is 10 bytes"]);
}

#[test]
fn names_with_control_characters_stay_text() {
    let entity = attachment("application/gzip", "a\u{1b}[2J\u{7}\u{202e}.xml.gz", &gzip(REPORT));
    assert_eq!(mailed(&entity), ["a\u{1b}[2J\u{7}\u{202e}.xml.gz: report"]);
    let long = format!("{}.xml.gz", "n".repeat(5000));
    let entity = attachment("application/gzip", &long, &gzip(REPORT));
    assert!(open(&mail(&entity), None).items[0].path[0].len() <= 255);
}
