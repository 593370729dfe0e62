//! Recognizes formats by content.
//!
//! Bytes that look like a format may still be broken; the code that opens them finds out.

use memchr::memmem;

/// What bytes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFormat {
    /// No bytes, or only white space.
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
    /// Messages, each after a `From ` line.
    Mbox,
    /// A message of Apple Mail (`.emlx`): its length, the message, a property list.
    Emlx,
    /// A JSON object or array.
    Json,
    /// An archive or wrapper that is recognized but not opened.
    Closed(Closed),
    /// Text that is none of these.
    Text,
    /// Bytes that are none of these.
    Binary,
}

/// A format that may contain a report, but is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// What people call it.
    pub name: &'static str,
    /// The usual file name extension.
    pub extension: &'static str,
    /// What to do about it; may be empty.
    pub advice: &'static str,
}

impl Closed {
    /// OpenPGP-encrypted mail.
    pub(super) const PGP: Self = Self {
        name: "OpenPGP-encrypted mail",
        extension: "asc",
        advice: "decrypt it first, or turn off encryption of incoming mail for the address that gets the reports",
    };
    /// Mail locked by Microsoft's rights management.
    pub(super) const RPMSG: Self = Self {
        name: "Microsoft rights-managed mail (message.rpmsg)",
        extension: "rpmsg",
        advice: "exempt the address that gets the reports from mail encryption, and have the report sent again",
    };
    /// Encrypted S/MIME.
    pub(super) const SMIME: Self = Self {
        name: "S/MIME encrypted or opaque-signed mail",
        extension: "p7m",
        advice: "decrypt it first, or exempt the address that gets the reports from encryption",
    };
    /// An Outlook message.
    pub(super) const OUTLOOK: Self =
        Self { name: "Outlook .msg", extension: "msg", advice: "save the mail as .eml, or save its attachment" };

    /// Why it is rejected.
    pub(super) fn reason(&self) -> String {
        let Self { name, advice, .. } = self;
        if advice.is_empty() {
            format!("{name} is not supported")
        } else {
            format!("{name} is not supported: {advice}")
        }
    }

    const fn archive(name: &'static str, extension: &'static str) -> Self {
        Self { name, extension, advice: "" }
    }

    const fn folder(name: &'static str, extension: &'static str) -> Self {
        Self { name, extension, advice: "export the folder as mbox or as single .eml files" }
    }
}

/// Magic numbers of formats that are not opened, with their offsets.
const CLOSED: &[(usize, &[u8], Closed)] = &[
    (
        0,
        b"\x78\x9f\x3e\x22",
        Closed {
            name: "winmail.dat / TNEF",
            extension: "dat",
            advice: "have Outlook or Exchange send MIME instead of rich text to this address",
        },
    ),
    (0, b"\x76\xe8\x04\x60\xc4\x11\xe3\x86", Closed::RPMSG),
    (0, b"7z\xbc\xaf\x27\x1c", Closed::archive("7z", "7z")),
    (0, b"Rar!\x1a\x07", Closed::archive("rar", "rar")),
    (0, b"\xfd7zXZ\0", Closed::archive("xz", "xz")),
    (0, b"BZh", Closed::archive("bzip2", "bz2")),
    (0, b"\x28\xb5\x2f\xfd", Closed::archive("zstd", "zst")),
    (0, b"\x04\x22\x4d\x18", Closed::archive("lz4", "lz4")),
    (0, b"\x1f\x9d", Closed::archive("compress", "Z")),
    (0, b"\x1f\xa0", Closed::archive("compress", "Z")),
    (0, b"MSCF", Closed::archive("cab", "cab")),
    (257, b"ustar", Closed::archive("tar", "tar")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Closed::OUTLOOK),
    (0, b"!BDN", Closed::folder("Outlook data file (.pst, .ost)", "pst")),
    (0, b"\xcf\xad\x12\xfe", Closed::folder("Outlook Express folder (.dbx)", "dbx")),
];

/// The first line of an encrypted message in OpenPGP's text form (RFC 9580 section 6.2).
const PGP_MESSAGE: &[u8] = b"-----BEGIN PGP MESSAGE-----";

/// Whether an OpenPGP-encrypted message begins in this text.
pub(super) fn has_pgp_message(text: &[u8]) -> bool {
    memmem::find_iter(text, PGP_MESSAGE).any(|at| at == 0 || text[at - 1] == b'\n')
}

/// Whether a compound file is an Outlook message: old Word files have the same magic number. A message has property
/// streams with these names ([MS-OXMSG] section 2.4), in UTF-16.
pub fn is_outlook_message(bytes: &[u8]) -> bool {
    const STREAM: &[u8] = b"_\0_\0s\0u\0b\0s\0t\0g\x001\0.\x000\0_\0";
    memmem::find(bytes, STREAM).is_some()
}

/// Recognizes the format of these bytes.
pub fn format(bytes: &[u8]) -> FileFormat {
    if let Some(format) = magic(bytes) {
        return format;
    }
    let text = skip_blank(bytes);
    match text {
        [] => FileFormat::Empty,
        [b'<', rest @ ..] => markup(rest, bytes),
        [b'{' | b'[', ..] => FileFormat::Json,
        _ if matches!(wide_start(text), Some(b'{' | b'[')) => FileFormat::Json,
        _ if wide(text) => FileFormat::Xml,
        _ if super::mbox::begins_mailbox(text) => FileFormat::Mbox,
        _ if is_mail(text) => FileFormat::Mail,
        _ if emlx(text).is_some_and(|(_, message)| is_mail(message)) => FileFormat::Emlx,
        _ if text.starts_with(PGP_MESSAGE) => FileFormat::Closed(Closed::PGP),
        _ if has_feedback(bytes) => FileFormat::Xml,
        _ if is_text(text) => FileFormat::Text,
        _ => FileFormat::Binary,
    }
}

/// Recognizes magic numbers that no text begins with.
fn magic(bytes: &[u8]) -> Option<FileFormat> {
    match bytes {
        [0x1f, 0x8b, 8, ..] => return Some(FileFormat::Gzip),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', b'0', b'0', b'P', b'K', ..] => {
            return Some(FileFormat::Zip);
        }
        _ => {}
    }
    for &(offset, number, closed) in CLOSED {
        if bytes.get(offset..).is_some_and(|rest| rest.starts_with(number)) {
            return Some(FileFormat::Closed(closed));
        }
    }
    match bytes {
        [first, second, ..] if first & 0x8f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31) => {
            // "x" and a control or high byte: text does not go on like that.
            (!second.is_ascii_graphic() || *second == b'^').then_some(FileFormat::Zlib)
        }
        _ => None,
    }
}

/// Skips a byte order mark, white space and zero bytes at the start.
pub(super) fn skip_blank(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != 0).unwrap_or(bytes.len());
    &bytes[start..]
}

/// Tells web pages from XML; both begin with `<`.
fn markup(after: &[u8], all: &[u8]) -> FileFormat {
    let page = [&b"!doctype html"[..], b"html", b"head", b"body", b"p>", b"div", b"table", b"br"];
    if !has_feedback(all) && page.iter().any(|tag| after.get(..tag.len()).is_some_and(|a| a.eq_ignore_ascii_case(tag)))
    {
        return FileFormat::Html;
    }
    match after.first() {
        Some(b'?' | b'!' | 0 | b'_' | b':' | b'a'..=b'z' | b'A'..=b'Z' | 0x80..) => FileFormat::Xml,
        _ if has_feedback(all) => FileFormat::Xml,
        _ => FileFormat::Text,
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

/// The first letter of UTF-16 or UTF-32 with a byte order mark, if it is ASCII.
fn wide_start(text: &[u8]) -> Option<u8> {
    let [first, second, rest @ ..] = text else { return None };
    let units = rest.as_chunks::<2>().0.iter();
    let is_blank = |unit: u8| unit == 0 || unit.is_ascii_whitespace();
    let letter = |(high, low): (u8, u8)| (high != 0 || !is_blank(low)).then_some((high, low));
    let (high, low) = match (first, second) {
        (0xff, 0xfe) => units.map(|[low, high]| (*high, *low)).find_map(letter)?,
        (0xfe, 0xff) => units.map(|[high, low]| (*high, *low)).find_map(letter)?,
        _ => return None,
    };
    (high == 0).then_some(low)
}

/// Whether a start tag with the local name `feedback` is in these bytes, in UTF-8, UTF-16 or UTF-32.
pub fn has_feedback(bytes: &[u8]) -> bool {
    const TAG: &[u8] = b"feedback";
    memmem::find_iter(bytes, TAG).any(|at| {
        let (before, after) = (&bytes[at.saturating_sub(64)..at], &bytes[at + TAG.len()..]);
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

/// Whether the first lines are header fields, and at least one is typical of mail. A field may be folded over any
/// number of lines.
fn is_mail(text: &[u8]) -> bool {
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let fields = lines.take_while(|line| !line.is_empty()).filter(|line| !matches!(line[0], b' ' | b'\t'));
    fields
        .filter(|line| !line.starts_with(b">From "))
        .take(100)
        .map_while(super::header::field)
        .any(|(name, _)| super::header::is_of_mail(name))
}

/// Whether the first line is a header field: enough if the file's name says that it is a mail.
pub(super) fn begins_with_field(bytes: &[u8]) -> bool {
    let line = skip_blank(bytes).split(|byte| *byte == b'\n').next().unwrap_or_default();
    super::header::field(line).is_some()
}

/// The length of the message according to the first line of an `.emlx` file, and the bytes after that line.
pub(super) fn emlx(bytes: &[u8]) -> Option<(usize, &[u8])> {
    // Enough for 2^64 - 1 and the padding that Apple Mail writes.
    const LINE: usize = 32;
    let end = bytes.iter().take(LINE).position(|byte| *byte == b'\n')?;
    let digits = bytes[..end].trim_ascii();
    let length = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit))?.parse().ok()?;
    Some((length, &bytes[end + 1..]))
}

/// No control characters but those of plain text in the first bytes.
fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().take(512).all(|byte| *byte >= b' ' || byte.is_ascii_whitespace() || matches!(byte, 0x08 | 0x1b | 0x07))
}

/// Keys of SMTP TLS reports (RFC 8460 section 4.4).
const TLS_KEYS: [&str; 9] = [
    "\"organization-name\"",
    "\"policies\"",
    "\"date-range\"",
    "\"report-id\"",
    "\"contact-info\"",
    "\"policy-domain\"",
    "\"policy-type\"",
    "\"failure-details\"",
    "\"total-successful-session-count\"",
];

/// Whether JSON has two of the keys that tell an SMTP TLS report from other JSON, in UTF-8, UTF-16 or UTF-32.
pub fn is_tls_report(json: &[u8]) -> bool {
    let is_wide = json.iter().take(8).any(|byte| *byte == 0);
    let has = |key: &&&str| {
        let wide = |zeros: &[u8]| key.as_bytes().chunks(1).collect::<Vec<_>>().join(zeros);
        memmem::find(json, key.as_bytes()).is_some()
            || is_wide && (memmem::find(json, &wide(b"\0")).is_some() || memmem::find(json, &wide(b"\0\0\0")).is_some())
    };
    TLS_KEYS.iter().filter(has).take(2).count() == 2
}

/// Whether a file name is typical of reports.
pub fn is_report_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".xml", ".gz", ".gzip", ".zip"].iter().any(|end| name.ends_with(end)) || name.matches('!').count() >= 3
}

/// Whether a file name says that the file contains mail. Such a file is never skipped silently.
pub fn is_mail_name(name: &str) -> bool {
    const ENDS: [&str; 18] = [
        ".eml", ".emlx", ".msg", ".oft", ".mbox", ".mbx", ".mbs", ".pst", ".ost", ".dbx", ".rpmsg", ".p7m", ".mail",
        ".olm", ".nsf", ".nws", ".tnef", ".wdseml",
    ];
    let name = name.to_ascii_lowercase();
    // Outlook's wrapper has a name of its own.
    ENDS.iter().any(|end| name.ends_with(end)) || name == "winmail.dat" || is_pgp_name(&name)
}

/// Whether a file name in lower case says that OpenPGP encrypts the file.
pub(super) fn is_pgp_name(name: &str) -> bool {
    [".pgp", ".gpg"].iter().any(|end| name.ends_with(end)) || name == "encrypted.asc"
}

/// The first inflated bytes of a compressed stream in any wrapper; empty if it is none.
pub fn inflated_head(compressed: &[u8]) -> Vec<u8> {
    let mut head = Vec::with_capacity(1024);
    let mut stream = match format(compressed) {
        FileFormat::Gzip => flate2::Decompress::new_gzip(15),
        _ => flate2::Decompress::new(true),
    };
    // Damage is reported when the whole stream is read.
    let _ = stream.decompress_vec(compressed, &mut head, flate2::FlushDecompress::Sync);
    head
}
