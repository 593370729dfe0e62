//! The fast parser, for one plain document read as slices. It gives up ([`Halt::Unusual`]) at the first thing that the
//! tolerant parser could read differently: it never decides, repairs or notes anything.
//!
//! A plain document has only an XML declaration and white space around one `feedback`; tags that pair by their exact
//! names; no comments, CDATA, processing instructions or document types; text only in leaves, within the limit; only
//! the entities of XML; no control characters.

use super::lexer;
use super::name::Name;
use super::scan::{find, find_either, find_ink, same, trim};
use super::tokens::{Halt, SourceSpan, TokenReader, XmlToken};
use super::tolerant::decode;
use crate::limits::Limits;
use crate::model::Findings;
use std::borrow::Cow;

/// How deep the elements of a report usually nest.
const USUAL_DEPTH: usize = 8;

/// A cursor in the document.
pub(super) struct Plain<'x, 'l> {
    text: &'x str,
    /// Offset of the next byte.
    at: usize,
    /// Names of the open elements.
    open: Vec<&'x [u8]>,
    /// Whether the element just opened is empty (`<name/>`).
    is_empty: bool,
    /// Whether there is a carriage return anywhere: in a value it would have to become a line feed.
    has_returns: bool,
    limits: &'l Limits,
}

impl<'x, 'l> Plain<'x, 'l> {
    /// Enters the document, if the text begins like one. Also returns the offset of its start tag.
    pub(super) fn enter(text: &'x str, limits: &'l Limits) -> Option<(Self, usize)> {
        let controls = Controls::of(text.as_bytes());
        if controls.forbidden {
            return None;
        }
        let open = Vec::with_capacity(USUAL_DEPTH);
        let mut plain = Self { text, at: 0, open, is_empty: false, has_returns: controls.returns, limits };
        plain.space();
        if plain.rest().starts_with(b"<?xml") {
            let end = find(plain.rest(), b'>')?;
            plain.at += (plain.rest()[end - 1] == b'?').then_some(end + 1)?;
            plain.space();
        }
        let start = plain.at;
        let root = plain.rest().starts_with(b"<").then(|| plain.start_tag().ok()).flatten()?;
        (root == Name::Feedback && !plain.is_empty).then_some((plain, start))
    }

    /// The offset after the end tag of the document, if nothing follows.
    pub(super) fn leave(&mut self) -> Option<usize> {
        let end = self.at;
        self.space();
        (self.open.is_empty() && self.at == self.text.len()).then_some(end)
    }

    #[inline]
    fn rest(&self) -> &'x [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// Skips white space: no other byte is below a letter, as there are no control characters.
    #[inline]
    fn space(&mut self) {
        let rest = self.rest();
        self.at += find_ink(rest).unwrap_or(rest.len());
    }

    /// Reads a start tag; the cursor is at its `<`.
    #[inline]
    fn start_tag(&mut self) -> Result<Name, Halt> {
        if self.open.len() >= self.limits.element_depth as usize {
            return Err(Halt::Unusual);
        }
        let inside = self.at + 1;
        let end = inside + find(&self.text.as_bytes()[inside..], b'>').ok_or(Halt::Unusual)?;
        let tag = &self.text.as_bytes()[inside..end];
        self.at = end + 1;
        let name = Name::exact(tag);
        if name == Name::Unknown {
            return self.odd_start_tag(&self.text[inside..end]);
        }
        self.open.push(tag);
        Ok(name)
    }

    /// Reads a start tag that is more than a known name.
    #[cold]
    fn odd_start_tag(&mut self, tag: &'x str) -> Result<Name, Halt> {
        // A quote that is open holds the `>`; markup within a tag is none.
        let quotes = tag.bytes().try_fold(None, |open, byte| match (open, byte) {
            (_, b'<') => Err(Halt::Unusual),
            (None, b'"' | b'\'') => Ok(Some(byte)),
            (Some(quote), _) if quote == byte => Ok(None),
            _ => Ok(open),
        })?;
        if quotes.is_some() || !lexer::is_tag(tag.as_bytes()) || tag.starts_with('/') {
            return Err(Halt::Unusual);
        }
        let name = lexer::tag(tag).as_bytes();
        self.is_empty = tag.ends_with('/');
        self.open.push(name);
        Ok(Name::of(name))
    }

    /// Reads the end tag of an element; the cursor is at its `<`.
    #[inline]
    fn end_tag(&mut self, name: &[u8]) -> Result<(), Halt> {
        let tag = self.rest().get(..name.len() + "</>".len()).ok_or(Halt::Unusual)?;
        let [b'<', b'/', inside @ .., b'>'] = tag else { return Err(Halt::Unusual) };
        if !same(inside, name) {
            return Err(Halt::Unusual);
        }
        self.at += tag.len();
        Ok(())
    }

    /// Closes the element just opened if it is empty; says whether it was.
    #[inline]
    fn has_ended(&mut self) -> bool {
        let ended = std::mem::take(&mut self.is_empty);
        if ended {
            self.open.pop();
        }
        ended
    }

    /// Reads the tag at the cursor. `None`: it ended the open element.
    #[inline]
    fn tag(&mut self) -> Result<Option<Name>, Halt> {
        match self.rest() {
            [b'<', b'/', ..] => {
                let name = self.open.pop().ok_or(Halt::Unusual)?;
                self.end_tag(name)?;
                Ok(None)
            }
            // A document inside a document is a second one.
            [b'<', ..] => self.start_tag().and_then(|name| match name {
                Name::Feedback => Err(Halt::Unusual),
                name => Ok(Some(name)),
            }),
            _ => Err(Halt::Unusual),
        }
    }

    /// Text with entities in it.
    #[cold]
    fn decoded(&self, raw: &'x str) -> Result<Cow<'x, str>, Halt> {
        let mut text = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some((before, from)) = rest.split_once('&') {
            let (name, behind) = from.split_once(';').ok_or(Halt::Unusual)?;
            text.push_str(before);
            text.push(decode(name).and_then(Result::ok).ok_or(Halt::Unusual)?);
            rest = behind;
        }
        text.push_str(rest);
        if text.len() > self.limits.text_bytes as usize {
            return Err(Halt::Unusual);
        }
        Ok(Cow::Owned(text.trim().to_owned()))
    }
}

impl<'x> TokenReader<'x> for Plain<'x, '_> {
    fn next(&mut self, place: SourceSpan, findings: &mut Findings) -> Result<XmlToken<'x>, Halt> {
        Ok(self.child(place, findings)?.map_or(XmlToken::Close, XmlToken::Open))
    }

    #[inline]
    fn child(&mut self, _: SourceSpan, _: &mut Findings) -> Result<Option<Name>, Halt> {
        if self.has_ended() {
            return Ok(None);
        }
        self.space();
        self.tag()
    }

    #[inline]
    fn value(&mut self, _: SourceSpan, _: &mut Findings) -> Result<Cow<'x, str>, Halt> {
        if self.has_ended() {
            return Ok(Cow::Borrowed(""));
        }
        let rest = self.rest();
        let mut length = find_either(rest, b'<', b'&').ok_or(Halt::Unusual)?;
        let has_entities = rest[length] == b'&';
        if has_entities {
            length += find(&rest[length..], b'<').ok_or(Halt::Unusual)?;
        }
        let raw = &self.text[self.at..self.at + length];
        self.at += length;
        let name = self.open.pop().ok_or(Halt::Unusual)?;
        self.end_tag(name)?;
        if length > self.limits.text_bytes as usize || (self.has_returns && raw.contains('\r')) {
            return Err(Halt::Unusual);
        }
        if has_entities { self.decoded(raw) } else { Ok(Cow::Borrowed(trim(raw))) }
    }

    fn skip(&mut self) -> Result<(), Halt> {
        let outside = self.open.len().saturating_sub(1);
        self.has_ended();
        while self.open.len() > outside {
            self.at += find(self.rest(), b'<').ok_or(Halt::Unusual)?;
            self.tag()?;
            self.has_ended();
        }
        Ok(())
    }
}

/// The control characters in a text.
struct Controls {
    forbidden: bool,
    returns: bool,
}

impl Controls {
    /// In blocks without branches, which the compiler vectorizes.
    fn of(bytes: &[u8]) -> Self {
        let mut controls = Self { forbidden: false, returns: false };
        for block in bytes.chunks(4096) {
            // Most texts have no control character but line feeds.
            let others =
                block.iter().fold(0, |others, byte| others | (u8::from(*byte < 0x20) & u8::from(*byte != b'\n')));
            if others == 0 {
                continue;
            }
            let (mut forbidden, mut returns) = (0, 0);
            for byte in block {
                let space = u8::from(*byte == b'\t') | u8::from(*byte == b'\n') | u8::from(*byte == b'\r');
                forbidden |= u8::from(*byte < 0x20) & !space;
                returns |= u8::from(*byte == b'\r');
            }
            controls.forbidden |= forbidden != 0;
            controls.returns |= returns != 0;
        }
        controls
    }
}
