//! Classifies the text of one response for the gate: its kind, the literal at its end, and whether the parser survives
//! it.

use async_imap::imap_proto::{AttributeValue, Response};
use std::ops::Range;

/// Nested parentheses; the parser recurses on them. Our requests need two.
pub(super) const DEPTH: u32 = 8;

/// Reduces the gaps between the first three words of a response to one space each, and trims its end; the parser
/// accepts nothing else. DavMail writes `*  3 EXISTS`. Returns false if nothing changed.
pub(super) fn squeeze(text: &mut Vec<u8>) -> bool {
    const GAPS: usize = 2;
    let before = text.len();
    let mut at = 0;
    for _ in 0..GAPS {
        let Some(gap) = text[at..].iter().position(|byte| *byte == b' ') else { break };
        at += gap + 1;
        let more = text[at..].iter().take_while(|byte| **byte == b' ').count();
        text.drain(at..at + more);
    }
    // Free text may end in a space, but a number about the folder never does.
    if matches!(kind(text), ResponseKind::Data) {
        let end = text.trim_ascii_end().len();
        text.drain(end..text.len() - 2);
    }
    text.len() != before
}

/// The kind of a response, by its first words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseKind {
    /// `* OK`, `+`, or tagged: free text without literals may follow.
    Status {
        tagged: bool,
    },
    Capability,
    Fetch,
    /// Other data that we request.
    Data,
    /// Data that we never request.
    Other,
    Garbage,
}

pub(super) fn kind(text: &[u8]) -> ResponseKind {
    if text.starts_with(b"+") {
        return ResponseKind::Status { tagged: false };
    }
    let mut words = text.split(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is = |word: &[u8], names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()));
    if first != b"*" {
        let tag = !first.is_empty() && first.iter().all(u8::is_ascii_alphanumeric);
        let tagged = tag && is(second, &["OK", "NO", "BAD"]);
        return if tagged { ResponseKind::Status { tagged } } else { ResponseKind::Garbage };
    }
    if is(second, &["OK", "NO", "BAD", "BYE", "PREAUTH"]) {
        return ResponseKind::Status { tagged: false };
    }
    if is(second, &["CAPABILITY"]) {
        return ResponseKind::Capability;
    }
    if is(second, &["LIST", "STATUS", "FLAGS"]) {
        return ResponseKind::Data;
    }
    if second.iter().all(u8::is_ascii_digit) {
        let third = words.next().unwrap_or_default();
        if is(third, &["FETCH"]) {
            return ResponseKind::Fetch;
        }
        if is(third, &["EXISTS", "EXPUNGE"]) {
            return ResponseKind::Data;
        }
    }
    ResponseKind::Other
}

/// The size of the literal announced by the last line, and the position of its brace.
pub(super) fn announced(text: &[u8], line: usize) -> Option<(u64, usize)> {
    if matches!(kind(text), ResponseKind::Status { .. } | ResponseKind::Garbage) {
        return None;
    }
    let inner = text[line..].strip_suffix(b"}\r\n")?;
    let brace = inner.iter().rposition(|&byte| byte == b'{')?;
    let digits = inner[brace + 1..].strip_suffix(b"+").unwrap_or(&inner[brace + 1..]);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // A number too large for u64 is still a literal, and over every limit.
    let size = std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX);
    Some((size, line + brace))
}

/// The number after the first `UID ` of a FETCH response.
pub(super) fn uid_in(text: &[u8]) -> Option<u32> {
    let at = text.windows(4).position(|found| found.eq_ignore_ascii_case(b"UID "))? + 4;
    let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[at..at + digits]).ok()?.parse().ok()
}

/// Where the first date is `NIL`.
pub(super) fn nil_date(text: &[u8]) -> Option<Range<usize>> {
    const BAD: &[u8] = b"INTERNALDATE NIL";
    let at = text.windows(BAD.len()).position(|found| found.eq_ignore_ascii_case(BAD))?;
    Some(at + BAD.len() - 3..at + BAD.len())
}

/// Whether the parser takes the literal at the end of this FETCH response for a mail's body. It skips an unknown
/// attribute up to its next parenthesis, as if it could contain no literal: then bytes of the literal would be parsed
/// as responses.
pub(super) fn ends_with_body(text: &[u8]) -> bool {
    let closed = [text, b")\r\n"].concat();
    nil_date(text).is_none()
        && depth(text) <= DEPTH
        && matches!(Response::parse(&closed), Ok(([], Response::Fetch(_, attributes)))
            if matches!(attributes.last(), Some(AttributeValue::BodySection { data: Some(data), .. }) if data.is_empty()))
}

/// The nesting depth of parentheses outside quoted strings.
pub(super) fn depth(text: &[u8]) -> u32 {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_u32, 0, false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'(' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Whether the parser reads all of it.
pub(super) fn parses(text: &[u8]) -> bool {
    matches!(Response::parse(text), Ok(([], _)))
}

/// Replaces every byte beyond printable ASCII with a question mark, except the line end.
pub(super) fn plain_text(text: &mut [u8]) {
    let end = text.len().saturating_sub(2);
    for byte in &mut text[..end] {
        if !(b' '..=b'~').contains(byte) {
            *byte = b'?';
        }
    }
}

pub(super) fn words(list: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(list).split_ascii_whitespace().map(str::to_ascii_uppercase).collect()
}
