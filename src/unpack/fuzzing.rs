//! Properties of unpacking for any bytes as a file, an archive, a mail or a mailbox. The functions panic if one does
//! not hold; `fuzz/` and the tests run them, and release builds leave them out.

#![allow(clippy::missing_panics_doc, reason = "to panic is what these are for")]

use super::header::{Fields, unfold};
use super::mbox::{MboxMessage, MboxMessages, pieces};
use super::results::Results;
use super::{Content, gzip, mime, transfer, unpack, zip};
use crate::limits::{Limits, Meter};
use crate::model::Original;

/// Small limits, so that inputs reach them.
fn limits() -> Limits {
    Limits { inflated_bytes: 64 << 10, members: 20, mail_parts: 20, mail_depth: 5, ..Limits::default() }
}

/// As a mail and as a file: everything is counted, and the output is no more than the input and what was inflated.
pub fn any(bytes: &[u8]) {
    for name in [None, Some("a!example.com!1794787200!1794873599.xml.gz")] {
        hold(bytes.to_vec(), name);
    }
    let tight = Limits {
        item_bytes: 1000,
        inflated_bytes: 600,
        members: 2,
        archive_depth: 1,
        mail_parts: 3,
        mail_depth: 2,
        ..Limits::default()
    };
    hold_within(bytes.to_vec(), None, &tight);
}

/// The same for one name.
pub(super) fn hold(bytes: Vec<u8>, name: Option<&str>) {
    hold_within(bytes, name, &limits());
}

fn hold_within(bytes: Vec<u8>, name: Option<&str>, limits: &Limits) {
    let came = bytes.len();
    let unpacked = unpack(bytes, name, limits);
    assert!(!unpacked.items.is_empty());
    let most = came + usize::try_from(limits.inflated_bytes).expect("a small limit");
    let mut reports = 0;
    for unit in &unpacked.items {
        assert!(unit.path.iter().all(|step| step.len() <= 255));
        match &unit.content {
            Content::Report { xml: bytes, original } | Content::TlsReport { json: bytes, original } => {
                reports += bytes.len();
                if let Some(Original::Gzip(gzip)) = original {
                    let again = unpack(gzip.clone(), Some("again"), &Limits::default());
                    assert!(match (&unit.content, &again.items[0].content) {
                        (Content::Report { .. }, Content::Report { xml: same, .. })
                        | (Content::TlsReport { .. }, Content::TlsReport { json: same, .. }) => same == bytes,
                        _ => false,
                    });
                }
            }
            Content::Rejected { reason, .. } => assert!(!reason.is_empty()),
            Content::SetAside(_) => {}
        }
    }
    assert!(reports <= most, "{reports} of at most {most}");
}

/// As a zip: members are bounded and do not overlap, and the content of each matches its checksum and its gzip form.
pub fn archive(bytes: &[u8]) {
    let limits = limits();
    let mut meter = Meter::new(&limits);
    let Ok(members) = zip::members(bytes, &mut meter) else { return };
    assert!(members.len() <= limits.members as usize);
    let mut places: Vec<&[u8]> = members.iter().filter_map(|member| zip::stream(bytes, member).ok()).collect();
    places.sort_by_key(|place| place.as_ptr().addr());
    in_order(bytes, &places);
    let mut made = 0;
    for member in &members {
        let (_, _) = (member.is_junk(), member.is_hostile());
        let Ok(opened) = zip::open(bytes, member, &mut meter) else { continue };
        made += opened.content.len();
        if let Some(gzip) = opened.gzip {
            let roomy = Limits::default();
            let again = gzip::open(&gzip, &mut Meter::new(&roomy)).expect("a gzip file of our own making");
            assert_eq!((again.content, again.end, again.trailing), (opened.content, gzip.len(), 0));
        }
    }
    assert!(made as u64 <= limits.inflated_bytes, "{made} bytes made");
}

/// As a mail: its leaves are disjoint pieces of it, in order, and the text read of a field is bounded.
pub fn message(bytes: &[u8]) {
    let limits = limits();
    let (fields, body) = Fields::split(bytes);
    assert!(bytes.ends_with(body));
    for raw in [fields.subject, fields.from, fields.date, fields.authentication_results].into_iter().flatten() {
        let value = unfold(raw);
        assert!(raw.len() <= 2048 && value.len() <= 2 * 2048 && !value.contains('\n'), "{value:?}");
        let results = Results::of(&value);
        assert!(results.dmarc.iter().all(|word| !word.contains(|c: char| c.is_ascii_whitespace())), "{results:?}");
    }
    let Ok(leaves) = mime::leaves(fields, body, 1, &mut Meter::new(&limits)) else { return };
    assert!(leaves.len() <= limits.mail_parts as usize);
    let places: Vec<&[u8]> = leaves.iter().map(|leaf| leaf.body).collect();
    in_order(body, &places);
    for leaf in &leaves {
        assert!(leaf.fields.file_name(&leaf.kind).is_none_or(|name| (1..=255).contains(&name.len())));
        assert!(leaf.section.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'), "{}", leaf.section);
        let encoding = leaf.fields.encoding();
        if let Ok(decoded) = transfer::decode(&encoding, leaf.body) {
            // Quoted-printable turns line feeds into CR LF.
            assert!(decoded.len() <= 2 * leaf.body.len(), "{encoding}: {} of {}", decoded.len(), leaf.body.len());
        }
        assert!(transfer::decode_start(&encoding, leaf.body).len() <= 8 << 10);
    }
    let mut sections: Vec<&str> = leaves.iter().map(|leaf| leaf.section.as_str()).collect();
    sections.sort_unstable();
    assert!(sections.windows(2).all(|pair| pair[0] != pair[1]), "{sections:?}");
}

/// As a mailbox: whatever the read sizes, it is split at the same places, nothing between them is lost, and a message
/// over the limit is skipped with its size.
pub fn mailbox(bytes: &[u8]) {
    let pieces = pieces(bytes);
    in_order(bytes, &pieces.iter().map(|(_, message)| *message).collect::<Vec<_>>());
    let tiled: usize = pieces.iter().map(|(separator, message)| separator + message.len()).sum();
    assert_eq!(tiled, bytes.len(), "nothing between separators is lost");
    // A separator without anything after it is no message.
    let messages: Vec<&[u8]> =
        pieces.iter().map(|(_, message)| *message).filter(|message| !message.is_empty()).collect();
    for limit in [0, 100, u64::MAX] {
        let read: Vec<MboxMessage> = MboxMessages::new(FewBytesReader(bytes), limit)
            .map(|message| message.expect("memory can be read"))
            .collect();
        assert_eq!(read.len(), messages.len(), "limit {limit}");
        for (message, piece) in read.iter().zip(&messages) {
            match message {
                MboxMessage::TooLarge(size) => assert!(*size > limit && *size == piece.len() as u64, "limit {limit}"),
                MboxMessage::Whole(message) => {
                    assert!(piece.len() as u64 <= limit && message.len() <= piece.len(), "limit {limit}");
                }
            }
        }
    }
}

/// Pieces lie inside the whole, one after the other.
fn in_order(whole: &[u8], pieces: &[&[u8]]) {
    let mut at = whole.as_ptr().addr();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        let place = piece.as_ptr_range();
        assert!(at <= place.start.addr(), "a piece begins before the end of the one before it");
        at = place.end.addr();
    }
    assert!(at <= whole.as_ptr_range().end.addr(), "a piece ends outside");
}

/// A reader that returns few bytes at a time.
struct FewBytesReader<'b>(&'b [u8]);

impl std::io::Read for FewBytesReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = 7.min(self.0.len()).min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}
