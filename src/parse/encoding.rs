//! Bytes to text: byte order marks, UTF-16, UTF-32, declared encodings, and bytes that contradict their declaration.
//!
//! The text is borrowed from the bytes where possible. A declared or evident encoding is no finding; a guess is.
//! Nothing here looks at the markup beyond the XML declaration.

use crate::model::{Finding, FindingCode};
use encoding_rs::{CoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::borrow::Cow;

/// The text of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'b> {
    /// Without a byte order mark.
    pub text: Cow<'b, str>,
    /// `text.encoding`, if something had to be repaired or the label was wrong.
    pub finding: Option<Finding>,
}

/// Decodes bytes by their byte order mark, else by where the zeros are, else by the XML declaration, else as UTF-8.
///
/// Invalid UTF-8 is read as windows-1252 byte by byte, so that one Latin-1 name in a UTF-8 file damages nothing else.
#[expect(clippy::missing_panics_doc, reason = "without a limit there is always text")]
pub fn decode(bytes: &[u8]) -> Decoded<'_> {
    decode_within(bytes, usize::MAX).expect("no text has more bytes than that")
}

/// The same for text of at most this many bytes as UTF-8; `None` if it has more. A byte of windows-1252 may take three, so
/// long text is measured before memory is reserved for it.
pub(crate) fn decode_within(bytes: &[u8], most: usize) -> Option<Decoded<'_>> {
    // Before UTF-16: the little-endian mark of UTF-32 begins with that of UTF-16.
    if let Some((number, text)) = utf32(bytes) {
        return four_bytes(number, text, most);
    }
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        let text = &bytes[length..];
        return if encoding == UTF_8 { utf8(text, most) } else { by_label(encoding, text, most) };
    }
    if let Some(encoding) = bare_utf16(bytes) {
        return by_label(encoding, bytes, most);
    }
    if let Some(text) = ascii(bytes) {
        return Some(Decoded { text: Cow::Borrowed(text), finding: None });
    }
    match declared(bytes) {
        Some(encoding) if encoding != UTF_8 => single_bytes(encoding, bytes, most),
        _ => utf8(bytes, most),
    }
}

/// Whether even the longest text that these bytes may be is short enough to be decoded in one go.
fn is_short(bytes: &[u8], most: usize) -> bool {
    bytes.len().saturating_mul(3) <= most
}

/// Text that every declared encoding reads the same way: ASCII, unless the encoding shifts by escape sequences.
fn ascii(bytes: &[u8]) -> Option<&str> {
    const ESCAPE: u8 = 0x1b;
    let plain = bytes.is_ascii() && memchr::memchr(ESCAPE, bytes).is_none();
    plain.then(|| std::str::from_utf8(bytes).ok()).flatten()
}

/// UTF-16 without a mark: a document begins with an ASCII character, and the other half of that is zero.
fn bare_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    match bytes {
        [0, b'<' | b'{' | b' ' | b'\r' | b'\n' | b'\t', 0, _, ..] => Some(UTF_16BE),
        [b'<' | b'{' | b' ' | b'\r' | b'\n' | b'\t', 0, _, 0, ..] => Some(UTF_16LE),
        _ => None,
    }
}

/// Combines four bytes into a number.
type Number = fn([u8; 4]) -> u32;

/// How to read UTF-32, found by its mark or by its zeros, and the bytes after a mark.
fn utf32(bytes: &[u8]) -> Option<(Number, &[u8])> {
    match bytes {
        [0, 0, 0xfe, 0xff, text @ ..] => Some((u32::from_be_bytes, text)),
        [0xff, 0xfe, 0, 0, text @ ..] => Some((u32::from_le_bytes, text)),
        [0, 0, 0, b'<' | b' ' | b'\r' | b'\n' | b'\t', ..] => Some((u32::from_be_bytes, bytes)),
        [b'<' | b' ' | b'\r' | b'\n' | b'\t', 0, 0, 0, ..] => Some((u32::from_le_bytes, bytes)),
        _ => None,
    }
}

/// Decodes UTF-32, which no crate used here reads. The text is never longer than its bytes.
fn four_bytes(number: Number, bytes: &[u8], most: usize) -> Option<Decoded<'_>> {
    let (units, rest) = bytes.as_chunks::<4>();
    let chars = || units.iter().map(|unit| char::from_u32(number(*unit)));
    let length = chars().map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER).len_utf8()).sum();
    if length > most {
        return None;
    }
    let mut broken = !rest.is_empty();
    let mut text = String::with_capacity(length);
    for char in chars() {
        broken |= char.is_none();
        text.push(char.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    Some(Decoded { text: Cow::Owned(text), finding: broken.then(|| replaced("UTF-32")) })
}

fn replaced(encoding: &str) -> Finding {
    Finding::new(FindingCode::TEXT_ENCODING, format!("bytes that are not {encoding}: replaced by U+FFFD"))
}

/// The encoding in the XML declaration. A declaration in single bytes that says UTF-16 is a mistake.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(1024)];
    let declaration = &head[memchr::memmem::find(head, b"<?xml")?..];
    let declaration = &declaration[..memchr::memchr(b'>', declaration)?];
    let value = &declaration[memchr::memmem::find(declaration, b"encoding")? + b"encoding".len()..];
    let value = value.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, label) = value.split_first().filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
    let label = &label[..memchr::memchr(*quote, label)?];
    Encoding::for_label(label).filter(|encoding| *encoding != UTF_16LE && *encoding != UTF_16BE)
}

fn by_label<'b>(encoding: &'static Encoding, bytes: &'b [u8], most: usize) -> Option<Decoded<'b>> {
    let (text, broken) = if is_short(bytes, most) {
        encoding.decode_without_bom_handling(bytes)
    } else {
        let (text, broken) = measured(encoding, bytes, most)?;
        (Cow::Owned(text), broken)
    };
    Some(Decoded { text, finding: broken.then(|| replaced(encoding.name())) })
}

/// Decodes long text into memory of just its length, and says whether anything was replaced; `None` if it is too long.
fn measured(encoding: &'static Encoding, bytes: &[u8], most: usize) -> Option<(String, bool)> {
    let mut part = String::with_capacity(PART);
    let mut length = 0;
    in_parts(encoding, bytes, &mut part, |part| {
        length += part.len();
        part.clear();
        length <= most
    })?;
    let mut text = String::with_capacity(length + PART);
    let broken = in_parts(encoding, bytes, &mut text, |_| true)?;
    Some((text, broken))
}

/// Bytes of long text that are decoded at a time.
const PART: usize = 16 << 10;

/// Decodes bytes part by part to the end of `text`, which has room for one. `more` says after each whether to go on.
fn in_parts(
    encoding: &'static Encoding,
    bytes: &[u8],
    text: &mut String,
    mut more: impl FnMut(&mut String) -> bool,
) -> Option<bool> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut broken = false;
    let mut parts = bytes.chunks(PART / 4).peekable();
    while let Some(mut part) = parts.next() {
        let last = parts.peek().is_none();
        loop {
            let (end, read, errors) = decoder.decode_to_string(part, text, last);
            broken |= errors;
            part = &part[read..];
            if !more(text) {
                return None;
            }
            match end {
                CoderResult::InputEmpty => break,
                CoderResult::OutputFull => text.reserve(PART),
            }
        }
    }
    Some(broken)
}

/// Decodes by a declared encoding other than UTF-8. Non-ASCII text that is valid UTF-8 is UTF-8, whatever was declared.
fn single_bytes<'b>(encoding: &'static Encoding, bytes: &'b [u8], most: usize) -> Option<Decoded<'b>> {
    match std::str::from_utf8(bytes) {
        Ok(text) if encoding == WINDOWS_1252 && !text.is_ascii() => {
            let detail = format!("declared as {}, but valid UTF-8: read as UTF-8", encoding.name());
            let finding = Some(Finding::new(FindingCode::TEXT_ENCODING, detail));
            Some(Decoded { text: Cow::Borrowed(text), finding })
        }
        _ => by_label(encoding, bytes, most),
    }
}

fn utf8(bytes: &[u8], most: usize) -> Option<Decoded<'_>> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Some(Decoded { text: Cow::Borrowed(text), finding: None });
    }
    let mut length = bytes.len() + bytes.len() / 8;
    if !is_short(bytes, most) {
        let repaired = |invalid: &[u8]| WINDOWS_1252.decode_without_bom_handling(invalid).0.len();
        length = bytes.utf8_chunks().map(|chunk| chunk.valid().len() + repaired(chunk.invalid())).sum();
    }
    if length > most {
        return None;
    }
    let mut text = String::with_capacity(length);
    let mut repaired = 0_usize;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        repaired += chunk.invalid().len();
        text.push_str(&WINDOWS_1252.decode_without_bom_handling(chunk.invalid()).0);
    }
    let bytes = if repaired == 1 { "byte is" } else { "bytes are" };
    let detail = format!("{repaired} {bytes} not valid UTF-8: read as windows-1252");
    Some(Decoded { text: Cow::Owned(text), finding: Some(Finding::new(FindingCode::TEXT_ENCODING, detail)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(bytes: &[u8]) -> String {
        let decoded = decode(bytes);
        assert_eq!(decoded.finding, None);
        decoded.text.into_owned()
    }

    fn utf16(text: &str, to: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to).collect()
    }

    #[test]
    fn a_byte_order_mark_is_silent_and_not_text() {
        assert_eq!(silent("\u{feff}<a>é</a>".as_bytes()), "<a>é</a>");
        assert_eq!(silent(&utf16("\u{feff}<a>é</a>", u16::to_le_bytes)), "<a>é</a>");
        assert_eq!(silent(&utf16("\u{feff}<a>é</a>", u16::to_be_bytes)), "<a>é</a>");
    }

    #[test]
    fn utf16_without_a_mark_is_recognized_by_its_zeros() {
        for text in ["<?xml version='1.0' encoding='UTF-16'?><a>é</a>", "\n<a>é</a>"] {
            assert_eq!(silent(&utf16(text, u16::to_le_bytes)), text);
            assert_eq!(silent(&utf16(text, u16::to_be_bytes)), text);
        }
    }

    #[test]
    fn utf32_is_recognized_by_its_mark_or_its_zeros_and_damage_is_reported() {
        for text in ["<?xml version='1.0' encoding='UTF-32'?><a>é𝄞</a>", "\n<a>é</a>"] {
            for to in [u32::to_le_bytes, u32::to_be_bytes] {
                let bytes: Vec<u8> = text.chars().flat_map(|char| to(char.into())).collect();
                assert_eq!(silent(&bytes), text);
                assert_eq!(silent(&[&to(0xfeff)[..], &bytes].concat()), text);
                for damage in [&to(0xd800)[..], &to(0x11_0000), &[0]] {
                    let damaged = [&bytes, damage].concat();
                    let decoded = decode(&damaged);
                    assert!(decoded.text.starts_with(text) && decoded.text.len() <= damaged.len());
                    assert_eq!(decoded.finding.map(|finding| finding.code), Some(FindingCode::TEXT_ENCODING));
                }
            }
        }
    }

    #[test]
    fn a_declared_encoding_is_obeyed_and_silent() {
        assert_eq!(silent(b"<?xml version='1.0' encoding = \"ISO-8859-1\"?><a>\xe9</a>").chars().nth(48), Some('é'));
        assert_eq!(silent(b"<?xml version='1.0' encoding='koi8-r'?>\xc1").chars().last(), Some('а'));
    }

    #[test]
    fn utf8_under_a_latin_1_label_is_read_as_utf8_with_a_finding() {
        let decoded = decode("<?xml version='1.0' encoding='iso-8859-1'?>é".as_bytes());
        assert!(decoded.text.ends_with('é'));
        assert_eq!(decoded.finding.map(|finding| finding.code), Some(FindingCode::TEXT_ENCODING));
    }

    #[test]
    fn latin_1_bytes_among_utf8_cost_only_themselves() {
        let decoded = decode(b"<?xml encoding='UTF-8'?>Compa\xf1\xeda \xc3\xa9 \x91quoted\x92");
        assert!(decoded.text.ends_with("Compañía é ‘quoted’"));
        let detail = decoded.finding.map(|finding| finding.detail);
        assert_eq!(detail.as_deref(), Some("4 bytes are not valid UTF-8: read as windows-1252"));
    }

    #[test]
    fn text_that_grows_too_long_is_not_decoded_and_what_just_fits_is_the_same_as_ever() {
        let euros = [b"<?xml version='1.0' encoding='windows-1252'?>".as_slice(), &[0x80; 9000]].concat();
        let damaged = [b"<a>".as_slice(), &[0x80; 9000], b"</a>"].concat();
        let wide = utf16(&"\u{feff}<a>\u{4e2d}".repeat(3000), u16::to_le_bytes);
        let long: Vec<u8> =
            "\u{feff}<a>𝄞é</a>".repeat(900).chars().flat_map(|char| u32::from(char).to_le_bytes()).collect();
        for bytes in [euros, damaged, wide, long] {
            let whole = decode(&bytes);
            assert_eq!(decode_within(&bytes, whole.text.len()).as_ref(), Some(&whole));
            assert_eq!(decode_within(&bytes, whole.text.len() - 1), None);
        }
    }

    #[test]
    fn a_utf16_label_on_single_bytes_is_a_mistake() {
        assert!(silent("<?xml version='1.0' encoding='UTF-16'?><a>é</a>".as_bytes()).ends_with("<a>é</a>"));
    }
}
