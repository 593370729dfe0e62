//! The format of bytes, told by the bytes.
//!
//! Comes in: the start of anything, or all of it. Goes out: a [`Format`]. Must not: believe that what looks like a
//! format is sound; whoever opens it finds out.

use memchr::memmem;

/// What bytes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// No bytes, or nothing but white space.
    Empty,
    /// XML in any encoding, with or without something before it.
    Xml,
    /// A web page.
    Html,
    /// One or more gzip members (RFC 1952).
    Gzip,
    /// A zip archive.
    Zip,
    /// A zlib stream (RFC 1950). Two bytes say so, hence only a guess.
    Zlib,
    /// A message with RFC 5322 header fields.
    Mail,
    /// Messages, each behind a `From ` line.
    Mbox,
    /// A JSON object or array.
    Json,
    /// An archive or wrapper that is told apart but not opened.
    Closed(Closed),
    /// Text that is none of these.
    Text,
    /// Bytes that are none of these.
    Binary,
}

/// A format that may well hold a report, but is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// What people call it.
    pub name: &'static str,
    /// The usual file name extension.
    pub extension: &'static str,
}

/// Magic numbers of formats that are not opened: offset, bytes, name, extension.
const CLOSED: &[(usize, &[u8], &str, &str)] = &[
    (0, b"\x78\x9f\x3e\x22", "winmail.dat / TNEF", "dat"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z", "7z"),
    (0, b"Rar!\x1a\x07", "rar", "rar"),
    (0, b"\xfd7zXZ\0", "xz", "xz"),
    (0, b"BZh", "bzip2", "bz2"),
    (0, b"\x28\xb5\x2f\xfd", "zstd", "zst"),
    (0, b"\x04\x22\x4d\x18", "lz4", "lz4"),
    (0, b"\x1f\x9d", "compress", "Z"),
    (0, b"\x1f\xa0", "compress", "Z"),
    (0, b"MSCF", "cab", "cab"),
    (257, b"ustar", "tar", "tar"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Outlook .msg", "msg"),
];

/// Tell what these bytes are.
pub fn format(bytes: &[u8]) -> Format {
    if let Some(format) = magic(bytes) {
        return format;
    }
    let text = skip_blank(bytes);
    match text {
        [] => Format::Empty,
        [b'<', rest @ ..] => markup(rest, bytes),
        [b'{' | b'[', ..] => Format::Json,
        _ if wide(text) => Format::Xml,
        _ if is_mbox(text) => Format::Mbox,
        _ if is_mail(text) => Format::Mail,
        _ if has_feedback(bytes) => Format::Xml,
        _ if is_text(text) => Format::Text,
        _ => Format::Binary,
    }
}

/// By the first bytes, where they are a number no text begins with.
fn magic(bytes: &[u8]) -> Option<Format> {
    match bytes {
        [0x1f, 0x8b, 8, ..] => return Some(Format::Gzip),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', b'0', b'0', b'P', b'K', ..] => {
            return Some(Format::Zip);
        }
        _ => {}
    }
    for &(offset, number, name, extension) in CLOSED {
        if bytes.get(offset..).is_some_and(|rest| rest.starts_with(number)) {
            return Some(Format::Closed(Closed { name, extension }));
        }
    }
    match bytes {
        [first, second, ..] if first & 0x8f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31) => {
            // "x" and a control or high byte: text does not go on like that.
            (!second.is_ascii_graphic() || *second == b'^').then_some(Format::Zlib)
        }
        _ => None,
    }
}

/// Without byte order mark, white space and zero bytes at the start.
pub(super) fn skip_blank(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != 0).unwrap_or(bytes.len());
    &bytes[start..]
}

/// What begins with `<`: a web page says so at once.
fn markup(after: &[u8], all: &[u8]) -> Format {
    let page = [&b"!doctype html"[..], b"html", b"head", b"body", b"p>", b"div", b"table", b"br"];
    if !has_feedback(all) && page.iter().any(|tag| after.get(..tag.len()).is_some_and(|a| a.eq_ignore_ascii_case(tag)))
    {
        return Format::Html;
    }
    match after.first() {
        Some(b'?' | b'!' | 0 | b'_' | b':' | b'a'..=b'z' | b'A'..=b'Z' | 0x80..) => Format::Xml,
        _ if has_feedback(all) => Format::Xml,
        _ => Format::Text,
    }
}

/// UTF-16 or UTF-32 with a byte order mark, or the `<` of a document in it. Zeros at the start were skipped.
fn wide(text: &[u8]) -> bool {
    match text {
        [0xff, 0xfe, rest @ ..] => rest.iter().step_by(2).take(64).any(|byte| *byte == b'<'),
        [0xfe, 0xff, rest @ ..] => rest.iter().skip(1).step_by(2).take(64).any(|byte| *byte == b'<'),
        _ => false,
    }
}

/// Whether a start tag with the local name `feedback` is in these bytes, in UTF-8, UTF-16 or UTF-32.
pub fn has_feedback(bytes: &[u8]) -> bool {
    tags(bytes, b"feedback").any(|(before, after)| {
        let prefix = before.iter().rposition(|byte| !(byte.is_ascii_alphanumeric() || b"-_.:".contains(byte)));
        let opened = prefix.is_some_and(|at| before[at] == b'<' && (at + 1 == before.len() || before.ends_with(b":")));
        opened && matches!(after.first(), Some(b'>' | b'/' | b' ' | b'\t' | b'\r' | b'\n'))
    }) || WIDE_FEEDBACK.iter().any(|word| memmem::find(bytes, word).is_some())
}

/// A start tag `feedback`, with or without a prefix, its letters two and four bytes apart; the same at either end first.
const WIDE_FEEDBACK: [&[u8]; 4] = [
    b"<\0f\0e\0e\0d\0b\0a\0c\0k",
    b":\0f\0e\0e\0d\0b\0a\0c\0k",
    b"<\0\0\0f\0\0\0e\0\0\0e\0\0\0d\0\0\0b\0\0\0a\0\0\0c\0\0\0k",
    b":\0\0\0f\0\0\0e\0\0\0e\0\0\0d\0\0\0b\0\0\0a\0\0\0c\0\0\0k",
];

/// Every place of a word: up to 64 bytes before it, and all behind it.
fn tags<'b>(bytes: &'b [u8], word: &'static [u8]) -> impl Iterator<Item = (&'b [u8], &'b [u8])> {
    memmem::find_iter(bytes, word).map(move |at| (&bytes[at.saturating_sub(64)..at], &bytes[at + word.len()..]))
}

/// A `From ` line with a time in it, and a header field in the next line.
fn is_mbox(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    super::mbox::is_separator(lines.next().unwrap_or_default())
}

/// Header fields without which a mail would not have come; those of MIME alone are not enough.
const MAIL_FIELDS: &[&str] = &[
    "from",
    "to",
    "date",
    "subject",
    "received",
    "return-path",
    "message-id",
    "delivered-to",
    "x-original-to",
    "sender",
    "reply-to",
    "dkim-signature",
    "authentication-results",
    "received-spf",
    "arc-seal",
];

/// Whether the first lines are header fields, and at least one is a mail's.
fn is_mail(text: &[u8]) -> bool {
    let mut known = false;
    for line in text.split(|byte| *byte == b'\n').take(100) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if matches!(line[0], b' ' | b'\t') || line.starts_with(b">From ") {
            continue;
        }
        match super::header::field(line) {
            Some((name, _)) => {
                known = known || MAIL_FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field.as_bytes()));
            }
            None => break,
        }
    }
    known
}

/// No control characters but those of plain text in the first bytes.
fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().take(512).all(|byte| *byte >= b' ' || byte.is_ascii_whitespace() || matches!(byte, 0x08 | 0x1b | 0x07))
}

/// Whether JSON has the two keys of an SMTP TLS report (RFC 8460 section 4.4).
pub fn is_tls_report(json: &[u8]) -> bool {
    memmem::find(json, b"\"organization-name\"").is_some() && memmem::find(json, b"\"policies\"").is_some()
}

/// Whether a file name is one that reports have.
pub fn is_report_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".xml", ".gz", ".gzip", ".zip"].iter().any(|end| name.ends_with(end)) || name.matches('!').count() >= 3
}

/// The first bytes that a compressed stream inflates to, whatever wrapper it has; none where it is none.
pub fn inflated_head(compressed: &[u8]) -> Vec<u8> {
    let mut head = Vec::with_capacity(1024);
    let mut stream = match format(compressed) {
        Format::Gzip => flate2::Decompress::new_gzip(15),
        _ => flate2::Decompress::new(true),
    };
    // Damage shows again, and is told, when the whole is read.
    let _ = stream.decompress_vec(compressed, &mut head, flate2::FlushDecompress::Sync);
    head
}
