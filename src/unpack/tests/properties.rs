//! Properties for any bytes: no panic, a counted place, and no more used than the limits allow.

use super::super::fuzzing;
use super::*;
use crate::unpack::mbox::{MboxMessage, MboxMessages};
use proptest::prelude::*;

/// Valid inputs of every format.
fn seeds() -> Vec<Vec<u8>> {
    let gz = gzip(REPORT);
    let zip = zip(&[("a/r.xml", REPORT), ("b.xml.gz", &gz), ("c.txt", b"hello")]);
    let inner = multipart(
        "mixed",
        "i",
        &[
            part("Content-Type: text/plain", "hello"),
            attachment("application/gzip", "r.xml.gz", &gz),
            attachment("application/zip", "r.zip", &zip),
        ],
    );
    let forwarded = String::from_utf8(mail(&inner)).unwrap();
    let outer = multipart("mixed", "o", &[inner, part("Content-Type: message/rfc822", &forwarded)]);
    let failure = multipart(
        "report; report-type=feedback-report",
        "f",
        &[
            part("Content-Type: message/feedback-report", "Feedback-Type: auth-failure"),
            part("Content-Type: message/rfc822", &forwarded),
        ],
    );
    let mbox = format!("From a@example.com Wed Mar  4 01:10:00 2026\n{forwarded}\n\n").repeat(2).into_bytes();
    let utf16 = std::str::from_utf8(REPORT).unwrap().encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        REPORT.to_vec(),
        utf16,
        zlib(REPORT),
        gzip(&gz),
        gzip(&mbox),
        gz,
        zip,
        mail(&outer),
        mail(&failure),
        mbox,
        mail(&part("Content-Transfer-Encoding: x-uuencode", "begin 644 r.xml\n+/&9E961B86-K/@``\n`\nend\n")),
    ]
}

/// One change to some bytes.
#[derive(Debug, Clone)]
enum Change {
    Set(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    Insert(usize, Vec<u8>),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len() + 1;
        let range = |from: usize, count: usize| (from % length)..((from % length) + count).min(length - 1);
        match self {
            Self::Set(at, value) if length > 1 => bytes[at % (length - 1)] = *value,
            Self::Set(..) => {}
            Self::Cut(at) => bytes.truncate(at % length),
            Self::Remove(from, count) => drop(bytes.drain(range(*from, *count))),
            Self::Repeat(from, count) => {
                let copy = bytes[range(*from, *count)].to_vec();
                let at = from % length;
                bytes.splice(at..at, copy);
            }
            Self::Insert(at, new) => {
                let at = at % length;
                bytes.splice(at..at, new.iter().copied());
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, value)| Change::Set(at, value)),
        any::<usize>().prop_map(Change::Cut),
        (any::<usize>(), 1_usize..200).prop_map(|(from, count)| Change::Remove(from, count)),
        (any::<usize>(), 1_usize..2000).prop_map(|(from, count)| Change::Repeat(from, count)),
        (any::<usize>(), proptest::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, new)| Change::Insert(at, new)),
    ]
}

/// Beginnings that lead into each format.
const MAGIC: [&[u8]; 7] = [
    b"\x1f\x8b\x08",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x78\x9c",
    b"\xff\xfe<\0",
    b"From a 01:10:00\n",
    b"From: a@b\nContent-Type: multipart/mixed; boundary=a\n\n--a\n",
];

proptest! {
    #[test]
    fn any_bytes_hold(bytes in proptest::collection::vec(any::<u8>(), 0..2000), named: bool) {
        fuzzing::hold(bytes, named.then_some("report.xml.gz"));
    }

    #[test]
    fn any_bytes_behind_a_magic_number_hold(
        magic in proptest::sample::select(&MAGIC[..]),
        bytes in proptest::collection::vec(any::<u8>(), 0..500),
    ) {
        fuzzing::hold([magic, &bytes].concat(), None);
    }

    #[test]
    fn any_header_holds(head in "(From|Content-Type|Content-Disposition|Authentication-Results): [ -~\r\n\t\u{e4}]{0,300}") {
        fuzzing::hold(format!("Subject: x\r\n{head}\r\n\r\nbody").into_bytes(), None);
        fuzzing::hold(format!("Subject: x\r\nContent-Type: multipart/mixed; boundary={head}\r\n\r\nbody").into_bytes(), None);
    }

    #[test]
    fn changed_archives_and_mails_hold(seed in 0_usize..11, changes in proptest::collection::vec(change(), 1..6)) {
        let mut bytes = seeds().swap_remove(seed);
        for change in &changes {
            change.apply(&mut bytes);
        }
        fuzzing::hold(bytes, (seed % 2 == 0).then_some("report.xml.gz"));
    }

    #[test]
    fn a_mailbox_is_split_into_the_mails_it_was_made_of(
        bodies in proptest::collection::vec("(line\n|From here\n|>From there\n|\n|From a@b Wed Mar  4 01:10:00 2026\n){0,8}", 1..6),
        piece in 1_usize..50,
    ) {
        let separator = "From a@example.com Wed Mar  4 01:10:00 2026\n";
        let quoted = |body: &str| {
            let lines = body.split_inclusive('\n');
            lines.map(|line| {
                let quote = if line.trim_start_matches('>').starts_with("From ") { ">" } else { "" };
                [quote, line].concat()
            }).collect::<String>()
        };
        let messages: Vec<String> = bodies.iter().map(|body| format!("Subject: x\n\n{body}")).collect();
        let mbox = messages.iter().map(|message| [separator, &quoted(message), "\n"].concat()).collect::<String>();
        let found: Vec<Vec<u8>> = MboxMessages::new(Pieces(mbox.as_bytes(), piece), 1 << 20)
            .map(|message| match message.unwrap() {
                MboxMessage::Whole(bytes) => bytes,
                other @ MboxMessage::TooLarge(_) => panic!("{other:?}"),
            })
            .collect();
        prop_assert_eq!(found, messages.into_iter().map(String::into_bytes).collect::<Vec<_>>());
    }
}

/// A reader that returns few bytes at a time.
struct Pieces<'b>(&'b [u8], usize);

impl std::io::Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(self.0.len()).min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}
