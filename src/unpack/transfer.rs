//! Transfer encodings of mail bodies: base64, quoted-printable, uuencode.
//!
//! Borrows the bytes if nothing was encoded. White space in base64 is skipped; nothing else is guessed.

use super::sniff::{self, FileFormat};
use mailparse::ParsedContentType;
use mailparse::body::Body;
use std::borrow::Cow;
use std::fmt::Write as _;

const BASE64: &str = "base64";

/// Decodes a transfer encoding, given in lower case; an unknown one means that nothing is encoded.
pub(super) fn decode<'b>(encoding: &str, body: &'b [u8]) -> Result<Cow<'b, [u8]>, String> {
    if matches!(encoding, "x-uuencode" | "x-uue" | "uuencode" | "uue") {
        return uudecode(body).map(Cow::Owned).ok_or_else(|| "not valid uuencode".to_owned());
    }
    let kind = ParsedContentType::default();
    match Body::new(body, &kind, &Some(encoding.to_owned())) {
        Body::Base64(body) => body.get_decoded().map(Cow::Owned).map_err(|error| format!("not valid base64: {error}")),
        Body::QuotedPrintable(body) => {
            body.get_decoded().map(Cow::Owned).map_err(|error| format!("not valid quoted-printable: {error}"))
        }
        _ => Ok(Cow::Borrowed(body)),
    }
}

/// Decodes the first bytes, damaged or not: enough to recognize the format.
pub(super) fn decode_start(encoding: &str, body: &[u8]) -> Vec<u8> {
    const START: usize = 8 << 10;
    let start = &body[..body.len().min(START)];
    if encoding != BASE64 {
        // Quoted-printable ends lines with CR LF, whatever the original had.
        let mut decoded = decode(encoding, start).map(Cow::into_owned).unwrap_or_default();
        decoded.truncate(START);
        return decoded;
    }
    let mut letters: Vec<u8> = start.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let sound = letters.iter().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')));
    letters.truncate(sound.unwrap_or(letters.len()) / 4 * 4);
    decode(encoding, &letters).map(Cow::into_owned).unwrap_or_default()
}

/// Decodes a body that is base64 with a wrong or missing label, and says so; `None` if it is not base64, or does not
/// begin like anything that contains a report.
pub(super) fn unlabeled_base64(label: &str, body: &[u8]) -> Option<(Vec<u8>, String)> {
    let start = decode_start(BASE64, body);
    if label == BASE64 || !matches!(sniff::format(&start), FileFormat::Gzip | FileFormat::Zip | FileFormat::Xml) {
        return None;
    }
    let (bytes, behind) = match decode(BASE64, body) {
        Ok(bytes) => (bytes.into_owned(), 0),
        Err(_) => base64_before_text(body)?,
    };
    let mut detail = decoded_as(label, BASE64);
    if behind > 0 {
        // Writing to a String cannot fail.
        let _ = write!(detail, "; {behind} bytes of text behind it passed over");
    }
    Some((bytes, detail))
}

/// Decodes a body that is not what its label says, and says what it is; `None` if it contains nothing that could be a
/// report.
pub(super) fn mislabeled<'b>(label: &str, body: &'b [u8]) -> Option<(Cow<'b, [u8]>, String)> {
    if holds_report(body) {
        let detail = format!("Content-Transfer-Encoding {}, but not encoded: read as it is", shown(label));
        return Some((Cow::Borrowed(body), detail));
    }
    if label != BASE64 {
        return unlabeled_base64(label, body).map(|(bytes, detail)| (Cow::Owned(bytes), detail));
    }
    let (bytes, behind) = base64_before_text(body).filter(|(bytes, _)| holds_report(bytes))?;
    let detail = match behind {
        0 => "base64 without its padding: decoded".to_owned(),
        _ => format!("{behind} bytes of text behind the base64: passed over"),
    };
    Some((Cow::Owned(bytes), detail))
}

/// Decodes XML that is quoted-printable with a wrong or missing label, and says so; `None` if it is not.
///
/// XML of any size has attributes, and `="` occurs in no quoted-printable. `spf=FAIL` in a comment looks like it, so that
/// what an encoder always leaves must be there, too: an encoded `=`, or a line end that it added.
pub(super) fn unlabeled_quoted_printable(label: &str, body: &[u8]) -> Option<(Vec<u8>, String)> {
    const QUOTED_PRINTABLE: &str = "quoted-printable";
    if label == QUOTED_PRINTABLE || label == BASE64 {
        return None;
    }
    let mut certain = false;
    for at in memchr::memchr_iter(b'=', body) {
        match &body[at + 1..body.len().min(at + 3)] {
            [b'\n', ..] | [b'\r', b'\n'] | b"3D" => certain = true,
            [high, low] if [high, low].iter().all(|hex| matches!(hex, b'0'..=b'9' | b'A'..=b'F')) => {}
            _ => return None,
        }
    }
    let bytes = decode(QUOTED_PRINTABLE, body).ok().filter(|_| certain)?.into_owned();
    Some((bytes, decoded_as(label, QUOTED_PRINTABLE)))
}

/// Says that a body was decoded, whatever its label says.
fn decoded_as(label: &str, encoding: &str) -> String {
    match label {
        "" => format!("no Content-Transfer-Encoding, but {encoding}: decoded"),
        _ => format!("Content-Transfer-Encoding {}, but {encoding}: decoded", shown(label)),
    }
}

/// An untrusted label, cleaned for a finding.
fn shown(label: &str) -> String {
    format!("{:?}", super::header::cut(label, 64))
}

/// Whether bytes begin like a format that contains reports.
fn holds_report(bytes: &[u8]) -> bool {
    match sniff::format(bytes) {
        FileFormat::Gzip | FileFormat::Zip => true,
        FileFormat::Xml => sniff::has_feedback(bytes) || sniff::skip_blank(bytes).starts_with(b"<?xml"),
        _ => false,
    }
}

/// Decodes base64 without its padding, or followed by text, such as the line that a mailing list or a scanner appends to a
/// mail; returns the number of bytes of that text. `None` if base64 continues after the text: then it is damaged.
fn base64_before_text(body: &[u8]) -> Option<(Vec<u8>, usize)> {
    // Words are valid base64 as well, but whole lines without spaces are not words.
    const DATA_LINE: usize = 32;
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut letters: Vec<u8> = Vec::with_capacity(body.len());
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let data = line.trim_ascii();
        let sound = data.iter().take_while(|byte| is_letter(byte)).count();
        let padding = data[sound..].iter().take_while(|byte| **byte == b'=').count();
        if sound + padding < data.len() {
            if sound >= DATA_LINE {
                return None;
            }
            break;
        }
        letters.extend_from_slice(&data[..sound]);
        at += line.len();
        if padding > 0 {
            break;
        }
    }
    let text = body[at..].trim_ascii();
    let more_base64 = text
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .any(|line| line.len() >= DATA_LINE && line.iter().all(|byte| is_letter(byte) || *byte == b'='));
    if more_base64 || letters.is_empty() || (text.is_empty() && letters.len() % 4 == 1) {
        return None;
    }
    // A single character is less than a byte; two and three need padding.
    letters.truncate(letters.len() - usize::from(letters.len() % 4 == 1));
    letters.resize(letters.len().next_multiple_of(4), b'=');
    let bytes = decode(BASE64, &letters).ok()?.into_owned();
    Some((bytes, text.len()))
}

/// Decodes from a `begin` line to an `end` line; `None` if either is missing, something else is between them, or the
/// output is longer than the input: a line may claim 63 bytes and contain none.
pub(super) fn uudecode(body: &[u8]) -> Option<Vec<u8>> {
    let mut lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    lines.find(|line| is_begin(line))?;
    let mut bytes = Vec::with_capacity(body.len() / 4 * 3);
    for line in lines {
        let length = match line.first() {
            Some(b'e') if line == b"end" => return Some(bytes),
            Some(first @ b' '..=b'`') => usize::from((first - b' ') & 0x3f),
            // A line of no bytes, with its blank trimmed.
            None => 0,
            Some(_) => return None,
        };
        let from = bytes.len();
        for group in line.get(1..).unwrap_or_default().chunks(4) {
            // Trailing blanks mean zeros and may have been trimmed.
            let sextet = |at: usize| group.get(at).map_or(0, |byte| u32::from(byte.wrapping_sub(b' ') & 0x3f));
            let bits = sextet(0) << 18 | sextet(1) << 12 | sextet(2) << 6 | sextet(3);
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
        }
        bytes.resize(from + length, 0);
        if bytes.len() > body.len() {
            return None;
        }
    }
    None
}

/// `begin 644 name`.
pub(super) fn is_begin(line: &[u8]) -> bool {
    line.strip_prefix(b"begin ").is_some_and(|rest| {
        let mode = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (3..=4).contains(&mode) && rest.get(mode) == Some(&b' ')
    })
}

/// The file name of the first uuencoded file in a text, if any.
pub(super) fn uuencoded_name(text: &[u8]) -> Option<String> {
    let at = memchr::memmem::find_iter(text, b"begin ").find(|at| {
        let line_start = *at == 0 || text[at - 1] == b'\n';
        line_start && is_begin(&text[*at..text.len().min(at + 64)])
    })?;
    let line = text[at..].split(|byte| *byte == b'\n').next()?;
    let name = line.trim_ascii_end().splitn(3, |byte| *byte == b' ').nth(2)?;
    Some(super::header::cut(&String::from_utf8_lossy(name), 255).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_printable_is_known_by_what_its_encoder_leaves() {
        let read = |body: &str| unlabeled_quoted_printable("7bit", body.as_bytes()).map(|(bytes, _)| bytes);
        assert_eq!(read("<a b=3D\"=C3=A9\">1=\n2</a>").as_deref(), Some("<a b=\"\u{e9}\">12</a>".as_bytes()));
        assert_eq!(read("<a>1=\r\n2</a>").as_deref(), Some(&b"<a>12</a>"[..]));
        for other in ["<a>12</a>", "<a>spf=FAIL</a>", "<a b=\"3D\">=3D</a>", "<a>=3d</a>", "<a>=3D</a> ="] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn base64_passes_over_white_space_and_nothing_else() {
        assert_eq!(*decode("base64", b"PGZl\r\n\r\n ZWRiYWNrPg=\t=\n").unwrap(), *b"<feedback>");
        assert!(decode("base64", b"PGZl!ZWRiYWNrPg==").unwrap_err().starts_with("not valid base64"));
    }

    #[test]
    fn quoted_printable_is_decoded_and_no_encoding_copies_nothing() {
        assert_eq!(*decode("quoted-printable", b"a=3Db=\r\nc").unwrap(), *b"a=bc");
        for none in ["", "7bit", "8bit", "binary", "x-unknown"] {
            assert!(matches!(decode(none, b"abc"), Ok(Cow::Borrowed(b"abc"))), "{none}");
        }
    }

    #[test]
    fn uuencode_is_decoded_also_where_blanks_were_trimmed() {
        let body = b"text before\nbegin 644 a.xml\n+/&9E961B86-K/@``\n`\nend\n";
        assert_eq!(uudecode(body).unwrap(), b"<feedback>\0");
        assert_eq!(uuencoded_name(body).unwrap(), "a.xml");
        assert_eq!(uudecode(b"begin 644 a\n#\n\nend\n").unwrap(), [0, 0, 0]);
        assert_eq!(uudecode(b"begin 644 a\n#AB~\n").as_deref(), None);
        assert!(!is_begin(b"begin with care"));
    }

    #[test]
    fn uuencode_never_decodes_to_more_than_its_input() {
        // 63 claimed bytes per line, none of them present.
        let lines = |count| [&b"begin 644 a.xml\n"[..], &b"_\n".repeat(count), b"end\n"].concat();
        assert_eq!(uudecode(&lines(1000)), None);
        assert!(decode("x-uuencode", &lines(1000)).is_err());
        let blanks_trimmed_off = [
            &b"begin 644 a.xml\n"[..],
            &b"M9F5E9&)A8VL^9F5E9&)A8VL^9F5E9&)A8VL^9F5E9&)A8VL^9F5E9&)A8VL\n".repeat(9),
            b"M\nM\nend\n",
        ];
        assert_eq!(uudecode(&blanks_trimmed_off.concat()).map(|bytes| bytes.len()), Some(45 * 11));
    }

    #[test]
    fn the_start_of_a_body_is_bounded_whatever_its_encoding() {
        for encoding in ["quoted-printable", "base64", "7bit", "x-uuencode"] {
            assert!(decode_start(encoding, &b"\n".repeat(20_000)).len() <= 8 << 10, "{encoding}");
        }
    }

    #[test]
    fn base64_without_a_label_is_recognized_by_its_content() {
        let decoded = |label: &str, body: &[u8]| unlabeled_base64(label, body).map(|(bytes, _)| bytes);
        for label in ["", "7bit", "quoted-printable", "x-unknown"] {
            assert_eq!(decoded(label, b"\r\nPGZlZWRi\r\nYWNrPg==\r\n").as_deref(), Some(&b"<feedback>"[..]), "{label}");
        }
        for other in [&b"SGVsbG8sIFdvcmxkIQ=="[..], b"H4sIAAAA, but then words", b"", b"plain text", b"UEsDBA=!"] {
            assert_eq!(decoded("", other), None, "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn text_after_base64_is_skipped_and_damage_inside_it_is_not() {
        let body = b"PGZlZWRi\r\nYWNrPg==\r\n--\r\nThis list is for reports.\r\n";
        let (bytes, detail) = mislabeled(BASE64, body).unwrap();
        assert_eq!((&*bytes, detail.as_str()), (&b"<feedback>"[..], "29 bytes of text behind the base64: passed over"));
        // Without padding only the text itself shows where the data end.
        let (bytes, _) = mislabeled(BASE64, b"PGZlZWRiYWNrPiAg\nScanned by mx.example.com\n").unwrap();
        assert_eq!(*bytes, *b"<feedback>  ");
        let data = "PGZlZWRiYWNrPjxmZWVkYmFjaz48ZmVlZGJhY2s+PGZl\n";
        assert_eq!(mislabeled(BASE64, format!("{data}PGZl!WRi\n{data}").as_bytes()), None);
    }

    #[test]
    fn what_is_not_encoded_at_all_is_read_as_it_is() {
        let (bytes, _) = mislabeled(BASE64, b"<?xml version=\"1.0\"?><feedback></feedback>").unwrap();
        assert_eq!(*bytes, *b"<?xml version=\"1.0\"?><feedback></feedback>");
        assert_eq!(mislabeled(BASE64, b"Hello, world"), None);
    }

    #[test]
    fn the_start_of_damaged_base64_still_shows_what_it_was() {
        assert_eq!(decode_start("base64", b"H4sIAAAA\nAAAA!!!")[..3], [0x1f, 0x8b, 8]);
    }
}
