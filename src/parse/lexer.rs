//! Splits text into lexemes with quick-xml, and recovers: what cannot be markup is text.
//!
//! Lexemes are slices of the text with their offset; nesting is not known here. Every byte is looked at a constant
//! number of times, except for a limited number of tags that never end.

use quick_xml::errors::{Error, SyntaxError};
use quick_xml::events::Event;
use quick_xml::reader::Reader;

/// Tags whose open quote swallows the rest of the text: each costs a scan of all of it.
const ENDLESS_TAGS: u32 = 16;

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lexeme<'x> {
    /// A start tag, or an element that ends where it starts.
    Open { tag: &'x str, empty: bool },
    /// An end tag.
    Close { tag: &'x str },
    /// Text between markup, including `<` or `&` that are not markup.
    Text(&'x str),
    /// The inside of a CDATA section.
    Verbatim(&'x str),
    /// The inside of `&...;`.
    Entity(&'x str),
    /// Comments, processing instructions, XML declarations.
    Aside,
    /// A document type declaration.
    DocType(&'x str),
    /// The end of the text.
    End,
    /// The end of the text within markup.
    Cut,
}

/// A cursor over the text.
pub(super) struct Lexer<'x> {
    text: &'x str,
    /// Offset of this reader's text in the whole text.
    base: usize,
    reader: Reader<&'x [u8]>,
    endless: u32,
}

impl<'x> Lexer<'x> {
    /// Starts at a byte offset, which must be a character boundary.
    pub(super) fn new(text: &'x str, at: usize) -> Self {
        Self { text, base: at, reader: reader(&text[at..]), endless: 0 }
    }

    /// Offset of the next lexeme.
    pub(super) fn position(&self) -> usize {
        // quick-xml counts in u64; the offset lies inside a text in memory.
        self.base + usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    /// The next lexeme.
    pub(super) fn next(&mut self) -> Lexeme<'x> {
        let start = self.position();
        match self.look(start) {
            Look::Markup => {}
            Look::Text(length) => return self.step(start, length),
            Look::Cut => return Lexeme::Cut,
        }
        let event = self.reader.read_event();
        let end = self.position();
        let Some(slice) = self.text.get(start..end) else { return Lexeme::Cut };
        match event {
            Ok(Event::Start(_)) => Lexeme::Open { tag: tag(&slice[1..]), empty: false },
            Ok(Event::Empty(_)) => Lexeme::Open { tag: tag(&slice[1..]), empty: true },
            Ok(Event::End(_)) => Lexeme::Close { tag: tag(&slice[2..]) },
            Ok(Event::Text(_)) => Lexeme::Text(slice),
            Ok(Event::CData(_)) => Lexeme::Verbatim(&slice["<![CDATA[".len()..slice.len() - "]]>".len()]),
            Ok(Event::GeneralRef(_)) => Lexeme::Entity(&slice[1..slice.len() - 1]),
            Ok(Event::Comment(_) | Event::PI(_) | Event::Decl(_)) => Lexeme::Aside,
            Ok(Event::DocType(_)) => Lexeme::DocType(slice),
            Ok(Event::Eof) => Lexeme::End,
            Err(error) => self.recover(&error, start),
        }
    }

    /// What is at an offset, if quick-xml would take it for more than it is.
    fn look(&self, start: usize) -> Look {
        let rest = &self.text.as_bytes()[start..];
        match rest {
            // An XML declaration contains no `>`; one that ends with `>` alone is broken, and is text.
            [b'<', b'?', b'x', b'm', b'l', b' ' | b'\t' | b'\r' | b'\n', ..] => match memchr::memchr(b'>', rest) {
                Some(end) if rest[end - 1] != b'?' => Look::Text(end + 1),
                _ => Look::Markup,
            },
            [b'<', b'!' | b'?', ..] => Look::Markup,
            [b'<', inside @ ..] => match memchr::memchr2(b'<', b'>', inside) {
                Some(end) if inside[end] == b'>' && is_tag(&inside[..end]) => Look::Markup,
                None if inside.first().is_none_or(|first| is_name_start(*first) || *first == b'/') => Look::Cut,
                _ => Look::Text(1),
            },
            // quick-xml drops a byte order mark at the start of its input, and parsing restarts in the middle of the
            // text.
            [0xef, 0xbb, 0xbf, ..] => Look::Text(3),
            _ => Look::Markup,
        }
    }

    /// Takes some bytes as text and continues after them.
    fn step(&mut self, start: usize, length: usize) -> Lexeme<'x> {
        let end = start + length;
        self.base = end;
        self.reader = reader(&self.text[end..]);
        Lexeme::Text(&self.text[start..end])
    }

    fn recover(&mut self, error: &Error, start: usize) -> Lexeme<'x> {
        use SyntaxError::{
            UnclosedCData, UnclosedComment, UnclosedDoctype, UnclosedDoubleQuotedAttributeValue, UnclosedPI,
            UnclosedSingleQuotedAttributeValue, UnclosedTag, UnclosedXmlDecl,
        };
        match error {
            Error::Syntax(UnclosedCData | UnclosedComment | UnclosedDoctype | UnclosedPI | UnclosedXmlDecl) => {
                Lexeme::Cut
            }
            Error::Syntax(UnclosedTag | UnclosedSingleQuotedAttributeValue | UnclosedDoubleQuotedAttributeValue) => {
                self.endless += 1;
                if self.endless > ENDLESS_TAGS { Lexeme::Cut } else { self.step(start, 1) }
            }
            _ => match self.text[start..].chars().next() {
                Some(first) => self.step(start, first.len_utf8()),
                None => Lexeme::End,
            },
        }
    }
}

enum Look {
    /// For quick-xml.
    Markup,
    /// This many bytes of text.
    Text(usize),
    /// The text ends within a tag.
    Cut,
}

fn reader(text: &str) -> Reader<&[u8]> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    config.allow_unmatched_ends = true;
    config.check_end_names = false;
    reader
}

/// The name at the start of what a tag holds.
pub(super) fn tag(inside: &str) -> &str {
    let end = inside.find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>');
    &inside[..end.unwrap_or(inside.len())]
}

/// Whether the bytes between `<` and `>` can be a tag: an address in angle brackets, or `a < b and c > d`, is not.
pub(super) fn is_tag(inside: &[u8]) -> bool {
    let name = inside.strip_prefix(b"/").unwrap_or(inside);
    let end = name.iter().position(|b| b.is_ascii_whitespace() || *b == b'/').unwrap_or(name.len());
    name.first().is_some_and(|first| is_name_start(*first))
        && name[..end].iter().all(|b| is_name_start(*b) || matches!(b, b'0'..=b'9' | b'-' | b'.'))
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':') || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lexemes(text: &str) -> Vec<Lexeme<'_>> {
        let mut lexer = Lexer::new(text, 0);
        let mut all = Vec::new();
        loop {
            let lexeme = lexer.next();
            all.push(lexeme);
            if matches!(lexeme, Lexeme::End | Lexeme::Cut) {
                return all;
            }
        }
    }

    fn text(text: &str) -> String {
        lexemes(text).iter().fold(String::new(), |all, lexeme| match lexeme {
            Lexeme::Text(piece) => all + piece,
            _ => all,
        })
    }

    #[test]
    fn every_kind_is_reported() {
        use Lexeme::{Aside, Close, DocType, End, Entity, Open, Text, Verbatim};
        assert_eq!(
            lexemes("<?xml version='1.0'?><!DOCTYPE a><a x='1'><!-- < -->t&amp;<![CDATA[<b>]]></a ><b/><?p i?>"),
            [
                Aside,
                DocType("<!DOCTYPE a>"),
                Open { tag: "a", empty: false },
                Aside,
                Text("t"),
                Entity("amp"),
                Verbatim("<b>"),
                Close { tag: "a" },
                Open { tag: "b", empty: true },
                Aside,
                End
            ]
        );
    }

    #[test]
    fn angle_brackets_that_are_no_tags_are_text() {
        for raw in ["a < b", "a << b", "<name@example.com>", "<3 > 2", "< a>", "<>", "\u{feff}<\u{feff}", "R&D & co"] {
            assert_eq!(text(&format!("<a>{raw}</a>")), raw);
        }
    }

    #[test]
    fn a_text_that_ends_within_markup_is_cut() {
        for end in ["<sou", "</sou", "<", "<!-- ", "<![CDATA[ ", "<?p ", "<!DOCTYPE a [", "</"] {
            assert_eq!(lexemes(&format!("<a>t{end}")).last(), Some(&Lexeme::Cut), "{end}");
        }
    }

    #[test]
    fn an_xml_declaration_that_ends_like_a_tag_is_text() {
        assert_eq!(text("<?xml version='1.0'>\n<a><?p i?>t</a>"), "<?xml version='1.0'>\nt");
    }

    #[test]
    fn an_unclosed_quote_costs_its_tag_only() {
        assert_eq!(text("<a>1<b c='>2</a>"), "1<b c='>2");
    }
}
