//! Reads JSON as reporters write it, value by value, without building a tree of it.
//!
//! `serde_json` would reject a whole document for one mistake. Here an extra comma, a word that is not a value or a missing
//! end is a finding, and what precedes it is kept. Skipped values are skipped without recursion.

use crate::model::{FindingCode, Findings, Quoted};
use std::borrow::Cow;

/// A value that contains no others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum JsonScalar<'x> {
    /// Missing, or `null`.
    #[default]
    None,
    /// As written.
    Number(&'x str),
    /// Without its escapes.
    Text(Cow<'x, str>),
    /// Something else, described in words.
    Other(&'static str),
    /// A word that is not JSON, such as `NaN`.
    Malformed(&'x str),
}

/// What begins at the reader's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonStart {
    Object,
    Array,
    Text,
    /// A number, `null`, `true`, `false`, or a word in place of one.
    Word,
    /// The end of the enclosing value, or of the document.
    End,
}

/// Maximum length of a key that is compared.
const LONGEST_KEY: usize = 64;
/// Skipped values of more bytes than this are reported.
const LARGE: usize = 64 << 10;

/// Reads a document from front to back.
pub(super) struct JsonReader<'x, 'f> {
    text: &'x str,
    at: usize,
    text_bytes: usize,
    depth: u32,
    /// The document ended before it was complete.
    pub(super) cut: bool,
    pub(super) findings: &'f mut Findings,
}

impl<'x, 'f> JsonReader<'x, 'f> {
    /// A reader of a text. Longer values than `text_bytes` are cut, and deeper nesting than `depth` in skipped values
    /// is reported.
    pub(super) fn new(text: &'x str, text_bytes: u32, depth: u32, findings: &'f mut Findings) -> Self {
        Self { text, at: 0, text_bytes: text_bytes as usize, depth, cut: false, findings }
    }

    /// The current offset in bytes.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The rest.
    pub(super) fn rest(&self) -> &'x str {
        &self.text[self.at..]
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while self.byte().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    pub(super) fn note(&mut self, code: FindingCode, what: impl FnOnce() -> String) {
        self.findings.note(code, what);
    }

    fn odd(&mut self, what: &str) {
        let at = self.at;
        self.note(FindingCode::JSON_SYNTAX, || format!("byte {at}: {what}"));
    }

    /// What begins here.
    pub(super) fn start(&mut self) -> JsonStart {
        self.blank();
        match self.byte() {
            Some(b'{') => JsonStart::Object,
            Some(b'[') => JsonStart::Array,
            Some(b'"') => JsonStart::Text,
            Some(b'}' | b']') => JsonStart::End,
            Some(_) => JsonStart::Word,
            None => {
                self.cut = true;
                JsonStart::End
            }
        }
    }

    /// Enters an object or array that begins here.
    pub(super) fn enter(&mut self) {
        self.at += 1;
    }

    /// Skips the separator between two members; `first` is true before the first. Returns whether another member
    /// follows; if not, the closing bracket is skipped as well.
    fn more(&mut self, close: u8, first: bool) -> bool {
        self.blank();
        let mut commas = 0;
        while self.byte() == Some(b',') {
            commas += 1;
            self.at += 1;
            self.blank();
        }
        match self.byte() {
            None => self.cut = true,
            Some(byte) if byte == close => {
                if commas > 0 {
                    self.odd("a comma before the end");
                }
                self.at += 1;
            }
            // It closes the enclosing value, which handles it.
            Some(b'}' | b']') => self.odd("expected another end"),
            Some(_) => {
                if (commas == 1) == first || commas > 1 {
                    self.odd("expected one comma between two values");
                }
                return true;
            }
        }
        false
    }

    /// The next key of the current object, in lower case with `-` for `_`; `None` at its end.
    pub(super) fn key(&mut self, first: bool) -> Option<Cow<'x, str>> {
        if !self.more(b'}', first) {
            return None;
        }
        let key = if self.byte() == Some(b'"') {
            self.string(LONGEST_KEY)
        } else {
            self.odd("expected a key in quotes");
            Cow::Borrowed(self.word())
        };
        self.blank();
        if self.byte() == Some(b':') {
            self.at += 1;
        } else if !self.cut {
            self.odd("expected a colon behind a key");
        }
        if self.cut {
            return None;
        }
        let is_plain = key.bytes().all(|byte| !byte.is_ascii_uppercase() && byte != b'_');
        Some(if is_plain { key } else { Cow::Owned(key.to_ascii_lowercase().replace('_', "-")) })
    }

    /// Whether the current array has another value.
    pub(super) fn item(&mut self, first: bool) -> bool {
        self.more(b']', first)
    }

    /// The value here if it contains no others; otherwise skips it.
    pub(super) fn scalar(&mut self) -> JsonScalar<'x> {
        match self.start() {
            JsonStart::Text => {
                let text = self.string(self.text_bytes);
                if self.cut { JsonScalar::None } else { JsonScalar::Text(text) }
            }
            JsonStart::Object => {
                self.pass(None);
                JsonScalar::Other("an object")
            }
            JsonStart::Array => {
                self.pass(None);
                JsonScalar::Other("an array")
            }
            JsonStart::Word => match self.word() {
                "null" => JsonScalar::None,
                "true" => JsonScalar::Other("true"),
                "false" => JsonScalar::Other("false"),
                word if is_number(word) => JsonScalar::Number(word),
                word => {
                    self.note(FindingCode::JSON_SYNTAX, || format!("expected a value, found {}", Quoted(word)));
                    JsonScalar::Malformed(word)
                }
            },
            JsonStart::End => JsonScalar::None,
        }
    }

    /// A word, up to what can follow a value. Never empty, so that the reader always advances.
    fn word(&mut self) -> &'x str {
        let rest = self.rest();
        let ends = |byte: u8| byte.is_ascii_whitespace() || b",:{}[]\"".contains(&byte);
        let end = rest.bytes().position(ends).unwrap_or(rest.len());
        let end = if end == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { end };
        self.at += end;
        self.cut |= self.at == self.text.len();
        &rest[..end]
    }

    /// A text that begins here, cut if it is longer than the limit.
    fn string(&mut self, limit: usize) -> Cow<'x, str> {
        let start = self.at + 1;
        let Some(end) = self.end_of_string() else {
            self.at = self.text.len();
            self.cut = true;
            return Cow::Borrowed("");
        };
        self.at = end + 1;
        let written = &self.text[start..end];
        let whole = written.len();
        // An escape has up to twelve bytes for one character of one byte.
        let written = &written[..written.floor_char_boundary(limit.saturating_mul(12))];
        let text = self.unescaped(written);
        let mut text = self.without_controls(text);
        if text.len() > limit || written.len() < whole {
            let shown = text.floor_char_boundary(limit);
            match &mut text {
                Cow::Borrowed(text) => *text = &text[..shown],
                Cow::Owned(text) => text.truncate(shown),
            }
            self.note(FindingCode::TEXT_CUT, || format!("text of {whole} bytes, cut to {shown}"));
        }
        text
    }

    /// The offset of the quote that ends the text that begins here.
    fn end_of_string(&self) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        loop {
            let found = at + memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
            if bytes[found] == b'"' {
                return Some(found);
            }
            at = found + 2;
        }
    }

    fn unescaped(&mut self, written: &'x str) -> Cow<'x, str> {
        let is_odd = |byte: u8| byte == b'\\' || byte < 0x20;
        if !written.bytes().any(is_odd) {
            return Cow::Borrowed(written);
        }
        let mut text = String::with_capacity(written.len());
        let mut odd = None;
        let mut rest = written;
        while let Some(at) = rest.bytes().position(is_odd) {
            text.push_str(&rest[..at]);
            let (one, behind) = rest[at..].split_at(1);
            rest = behind;
            if one != "\\" {
                odd = Some("a control character in a text");
                text.push_str(one);
                continue;
            }
            let Some(letter) = rest.chars().next() else { break };
            rest = &rest[letter.len_utf8()..];
            match letter {
                'b' => text.push('\u{8}'),
                'f' => text.push('\u{c}'),
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                '"' | '\\' | '/' => text.push(letter),
                'u' => {
                    let (character, behind) = unicode(rest);
                    rest = behind;
                    if character.is_none() {
                        odd = Some("an escape that is no character");
                    }
                    text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                other => {
                    odd = Some("an escape that JSON does not have");
                    text.push(other);
                }
            }
        }
        text.push_str(rest);
        if let Some(odd) = odd {
            self.odd(odd);
        }
        Cow::Owned(text)
    }

    /// A text with uniform line ends, and U+FFFD for invisible characters that a terminal or spreadsheet would obey.
    fn without_controls(&mut self, text: Cow<'x, str>) -> Cow<'x, str> {
        if !text.bytes().any(|byte| !(0x20..0x7f).contains(&byte)) || !text.chars().any(is_control) {
            return text;
        }
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        if text.chars().any(is_control) {
            self.note(FindingCode::TEXT_CONTROL, || "control characters in a text, replaced by U+FFFD".to_owned());
        }
        Cow::Owned(text.chars().map(|c| if is_control(c) { char::REPLACEMENT_CHARACTER } else { c }).collect())
    }

    /// Skips the value here. If the one under `key` is large or deep, it is reported, because nobody writes that
    /// intentionally.
    pub(super) fn pass(&mut self, key: Option<&str>) {
        let start = self.at;
        let (mut depth, mut deepest) = (0_u64, 0);
        loop {
            if depth > 0 && matches!(self.byte(), Some(b',' | b':')) {
                self.at += 1;
                continue;
            }
            match self.start() {
                JsonStart::Object | JsonStart::Array => {
                    self.at += 1;
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                JsonStart::End if self.cut => break,
                JsonStart::End => {
                    if depth == 0 {
                        break;
                    }
                    self.at += 1;
                    depth -= 1;
                }
                JsonStart::Text => {
                    let end = self.end_of_string();
                    self.cut |= end.is_none();
                    self.at = end.map_or(self.text.len(), |end| end + 1);
                }
                JsonStart::Word => drop(self.word()),
            }
            if depth == 0 || self.cut {
                break;
            }
        }
        let (bytes, key) = (self.at - start, key.unwrap_or("a value"));
        if deepest > u64::from(self.depth) || bytes > LARGE {
            self.note(FindingCode::LIMIT_DROPPED, || {
                format!("{}: {bytes} bytes, {deepest} deep, that no TLS report has: not read", Quoted(key))
            });
        }
    }
}

/// A control character other than a tab or line feed, or one that changes the direction of text.
fn is_control(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The character of an escape after its `\u`, and the rest; `None` for half of a surrogate pair or no number.
fn unicode(text: &str) -> (Option<char>, &str) {
    let four = |text: &str| {
        let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u32::from_str_radix(digits, 16).ok()
    };
    let Some(first) = four(text) else { return (None, text) };
    let rest = &text[4..];
    if !(0xd800..0xdc00).contains(&first) {
        return (char::from_u32(first), rest);
    }
    match rest.strip_prefix("\\u").and_then(four) {
        Some(second @ 0xdc00..0xe000) => {
            (char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)), &rest[6..])
        }
        _ => (None, rest),
    }
}

/// Whether a word is a number by JSON's own grammar, or nearly.
fn is_number(word: &str) -> bool {
    let begins = |byte: u8| byte.is_ascii_digit() || byte == b'-' || byte == b'+';
    word.bytes().next().is_some_and(begins)
        && word.bytes().all(|byte| byte.is_ascii_digit() || b"-+.eE".contains(&byte))
}

/// A document in pieces, without the white space between its values, which mail systems and editors change.
pub(crate) fn without_blanks(document: &str, mut each: impl FnMut(&[u8])) {
    let mut rest = document.as_bytes();
    while let Some(at) = memchr::memchr(b'"', rest) {
        dense(&rest[..at], &mut each);
        let mut end = at + 1;
        // The text is unchanged.
        while let Some(found) = rest.get(end..).and_then(|text| memchr::memchr2(b'"', b'\\', text)) {
            end += found + 1;
            if rest[end - 1] == b'"' {
                break;
            }
            end = (end + 1).min(rest.len());
        }
        each(&rest[at..end.min(rest.len())]);
        if end == at + 1 {
            // The text has no end.
            return each(&rest[end..]);
        }
        rest = &rest[end.min(rest.len())..];
    }
    dense(rest, &mut each);
}

fn dense(text: &[u8], each: &mut impl FnMut(&[u8])) {
    text.split(u8::is_ascii_whitespace).filter(|piece| !piece.is_empty()).for_each(each);
}
