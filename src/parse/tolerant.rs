//! The tolerant parser: any document that can be understood, as well-nested elements.
//!
//! It skips stray tags and joins text across comments, CDATA sections and entities. Unknown entities stay as written,
//! forbidden characters become U+FFFD, text past the limit is cut, and a `<` or `&` that is not markup is text; each
//! with a finding.

use super::layout::{DocumentLayout, Span};
use super::lexer::{Lexeme, Lexer};
use super::name::Name;
use super::tokens::{Halt, SourceSpan, TokenReader, XmlToken};
use crate::limits::Limits;
use crate::model::{FindingCode, Findings, Quoted};
use std::borrow::Cow;

/// A cursor in one document.
pub(super) struct Tolerant<'x, 'l> {
    lexer: Lexer<'x>,
    layout: &'l DocumentLayout<'x>,
    /// Index of the next stray tag.
    stray: usize,
    /// How many elements are open.
    depth: u32,
    /// What ended the last run of text, read ahead.
    edge: Option<Edge>,
    limits: &'l Limits,
}

/// What ends a run of text.
#[derive(Clone, Copy)]
enum Edge {
    Open(Name, /* ends at once */ bool),
    Close,
}

impl<'x, 'l> Tolerant<'x, 'l> {
    /// Enters a document after its start tag; `None` for an empty element.
    pub(super) fn enter(text: &'x str, layout: &'l DocumentLayout<'x>, span: Span, limits: &'l Limits) -> Option<Self> {
        let stray = layout.strays.partition_point(|stray| stray.at < span.start);
        let mut lexer = Lexer::new(text, span.start);
        matches!(lexer.next(), Lexeme::Open { empty: false, .. }).then_some(Self {
            lexer,
            layout,
            stray,
            depth: 1,
            edge: None,
            limits,
        })
    }

    fn is_stray(&mut self, at: usize) -> bool {
        let found = self.layout.strays.get(self.stray).is_some_and(|stray| stray.at == at);
        self.stray += usize::from(found);
        found
    }

    /// Collects text up to the next tag that is not stray.
    fn gather(&mut self, text: &mut Gathered<'x>) -> Result<Edge, Halt> {
        if let Some(edge) = self.edge.take() {
            return Ok(edge);
        }
        loop {
            let at = self.lexer.position();
            match self.lexer.next() {
                Lexeme::Text(piece) => text.plain(piece),
                Lexeme::Verbatim(piece) => text.written(piece),
                Lexeme::Entity(name) => text.entity(name),
                Lexeme::Aside | Lexeme::DocType(_) => {}
                Lexeme::Open { .. } | Lexeme::Close { .. } if self.is_stray(at) => {}
                Lexeme::Open { tag, empty } => return Ok(Edge::Open(Name::of(tag.as_bytes()), empty)),
                Lexeme::Close { .. } => return Ok(Edge::Close),
                Lexeme::End | Lexeme::Cut => return Err(Halt::Cut),
            }
        }
    }

    /// Descends into an element that was just opened.
    fn descend(&mut self, ends: bool) -> Result<(), Halt> {
        self.depth += 1;
        if self.depth > self.limits.element_depth {
            return Err(Halt::TooDeep);
        }
        if ends {
            self.edge = Some(Edge::Close);
        }
        Ok(())
    }
}

impl<'x> TokenReader<'x> for Tolerant<'x, '_> {
    fn next(&mut self, place: SourceSpan, findings: &mut Findings) -> Result<XmlToken<'x>, Halt> {
        let mut text = Gathered::new(self.limits.text_bytes);
        let edge = self.gather(&mut text)?;
        let text = text.finish(place, findings);
        if !text.is_empty() {
            self.edge = Some(edge);
            return Ok(XmlToken::Text(text));
        }
        match edge {
            Edge::Open(name, ends) => {
                self.descend(ends)?;
                Ok(XmlToken::Open(name))
            }
            Edge::Close => {
                self.depth -= 1;
                Ok(XmlToken::Close)
            }
        }
    }

    fn value(&mut self, place: SourceSpan, findings: &mut Findings) -> Result<Cow<'x, str>, Halt> {
        let mut text = Gathered::new(self.limits.text_bytes);
        loop {
            match self.gather(&mut text)? {
                Edge::Open(_, ends) => {
                    self.descend(ends)?;
                    self.skip()?;
                }
                Edge::Close => {
                    self.depth -= 1;
                    return Ok(text.finish(place, findings));
                }
            }
        }
    }

    fn skip(&mut self) -> Result<(), Halt> {
        let outside = self.depth - 1;
        while self.depth > outside {
            match self.gather(&mut Gathered::new(0))? {
                Edge::Open(_, ends) => self.descend(ends)?,
                Edge::Close => self.depth -= 1,
            }
        }
        Ok(())
    }
}

/// Collected text: a single slice of the document as long as that suffices.
struct Gathered<'x> {
    text: Cow<'x, str>,
    limit: usize,
    cut: bool,
    control: bool,
    /// Whether it contained an unescaped `<` or `&`.
    unescaped: bool,
    /// The first entity that XML does not know.
    entity: Option<&'x str>,
}

impl<'x> Gathered<'x> {
    fn new(limit: u32) -> Self {
        Self {
            text: Cow::Borrowed(""),
            limit: limit as usize,
            cut: false,
            control: false,
            unescaped: false,
            entity: None,
        }
    }

    /// Adds text between markup: what looks like markup in it is not, and should have been escaped.
    fn plain(&mut self, piece: &'x str) {
        self.unescaped |= self.limit > 0 && memchr::memchr2(b'<', b'&', piece.as_bytes()).is_some();
        self.written(piece);
    }

    /// Adds text as written, with normalized line ends and forbidden characters replaced.
    fn written(&mut self, piece: &'x str) {
        if self.cut || self.limit == 0 {
            return;
        }
        let mut rest = piece;
        while let Some(at) = rest.bytes().position(|byte| byte == b'\r' || is_forbidden(byte)) {
            self.push(&rest[..at]);
            if rest.as_bytes()[at] == b'\r' {
                self.push("\n");
                rest = rest[at + 1..].strip_prefix('\n').unwrap_or(&rest[at + 1..]);
            } else {
                self.control = true;
                self.push("\u{fffd}");
                rest = &rest[at + 1..];
            }
        }
        self.push(rest);
    }

    /// Adds an entity: decoded if XML defines it, else as written.
    fn entity(&mut self, name: &'x str) {
        match decode(name) {
            Some(Ok(character)) => self.push_owned(character),
            Some(Err(())) => {
                self.control = true;
                self.push("\u{fffd}");
            }
            None => {
                self.entity.get_or_insert(name);
                self.push("&");
                self.push(name);
                self.push(";");
            }
        }
    }

    /// Appends within the limit. Leading white space takes no room, and cutting trailing white space loses nothing.
    fn push(&mut self, piece: &'x str) {
        if self.text.is_empty() {
            let piece = piece.trim_start();
            let fits = piece.floor_char_boundary(self.limit);
            self.text = Cow::Borrowed(&piece[..fits]);
            self.cut |= !piece[fits..].trim_end().is_empty();
        } else if !piece.is_empty() && !self.cut {
            let fits = piece.floor_char_boundary(self.limit.saturating_sub(self.text.len()));
            self.text.to_mut().push_str(&piece[..fits]);
            self.cut |= !piece[fits..].trim_end().is_empty();
        }
    }

    fn push_owned(&mut self, character: char) {
        if self.limit == 0 || self.cut || (self.text.is_empty() && character.is_whitespace()) {
            return;
        }
        if self.text.len() + character.len_utf8() > self.limit {
            self.cut |= !character.is_whitespace();
        } else {
            self.text.to_mut().push(character);
        }
    }

    /// The trimmed text; notes findings about it.
    fn finish(self, place: SourceSpan, findings: &mut Findings) -> Cow<'x, str> {
        if let Some(name) = self.entity {
            findings.note(FindingCode::XML_ENTITY, || {
                format!("{place}: entity {} is not defined in XML, kept as written", Quoted(name))
            });
        }
        if self.unescaped {
            findings.note(FindingCode::XML_UNESCAPED, || format!("{place}: < or & that is no markup, kept as written"));
        }
        if self.control {
            findings.note(FindingCode::TEXT_CONTROL, || {
                format!("{place}: characters that XML forbids, replaced by U+FFFD")
            });
        }
        if self.cut {
            findings
                .note(FindingCode::TEXT_CUT, || format!("{place}: text over the limit of {} bytes, cut", self.limit));
        }
        trim(self.text)
    }
}

/// Trims the end; the start has no white space.
fn trim(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_end()),
        Cow::Owned(mut text) => {
            text.truncate(text.trim_end().len());
            Cow::Owned(text)
        }
    }
}

/// A control character that XML 1.0 forbids.
fn is_forbidden(byte: u8) -> bool {
    byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')
}

/// The character of an entity: one of the five of XML, or a number. `None`: XML does not define it; `Some(Err)`: not a
/// character, or one that XML forbids.
pub(super) fn decode(name: &str) -> Option<Result<char, ()>> {
    let known = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16),
                None if number.bytes().all(|byte| byte.is_ascii_digit()) => number.parse(),
                _ => return None,
            };
            let character = code.ok().and_then(char::from_u32);
            return Some(character.filter(|c| u8::try_from(*c).map_or(true, |byte| !is_forbidden(byte))).ok_or(()));
        }
    };
    Some(Ok(known))
}
