//! The first pass of the tolerant parser: where the documents are, and which tags have no partner.
//!
//! With this the second pass sees well-nested elements only, and reads nothing twice.

use super::lexer::{Lexeme, Lexer};
use super::name::{Name, local};
use crate::limits::Limits;
use crate::model::Quoted;

/// Unclosed start tags allowed at the same time, on top of the depth limit.
const UNCLOSED: usize = 64;
/// The most tags without a partner whose places are kept: four for every possible record. Only an attack has more.
pub(super) const STRAYS: usize = 1_000_000;

/// One `feedback` element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Offset of its `<`.
    pub(super) start: usize,
    /// Offset after its end tag; `None` if the document was cut.
    pub(super) end: Option<usize>,
}

/// A tag without its partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stray<'x> {
    /// Offset of its `<`.
    pub(super) at: usize,
    /// The whole name, with its prefix.
    pub(super) tag: &'x str,
    /// Whether it is an end tag.
    pub(super) close: bool,
}

/// What a text holds.
#[derive(Debug, Default)]
pub(super) struct DocumentLayout<'x> {
    /// The documents, in order.
    pub(super) documents: Vec<Span>,
    /// Stray tags, by offset.
    pub(super) strays: Vec<Stray<'x>>,
    /// The first text outside the documents that is not white space.
    pub(super) junk: Option<String>,
    /// A document type has an internal subset or an external ID.
    pub(super) hostile: bool,
    /// Whether there is any element.
    pub(super) elements: bool,
    /// Whether elements nest too deep; the pass stopped there.
    pub(super) too_deep: bool,
    /// Whether there are more than [`STRAYS`] stray tags; the pass stopped there.
    pub(super) too_stray: bool,
}

impl<'x> DocumentLayout<'x> {
    /// Scans the whole text once.
    pub(super) fn of(text: &'x str, limits: &Limits) -> Self {
        let mut pass = LayoutPass { deepest: limits.element_depth as usize + UNCLOSED, ..LayoutPass::default() };
        let mut lexer = Lexer::new(text, 0);
        loop {
            let at = lexer.position();
            match lexer.next() {
                Lexeme::Open { tag, empty } => pass.open(at, tag, empty.then(|| lexer.position())),
                Lexeme::Close { tag } => pass.close(at, tag, lexer.position()),
                Lexeme::Text(text) | Lexeme::Verbatim(text) if !blank(text).is_empty() => {
                    pass.outside(|| format!("text {}", Quoted(blank(text))));
                }
                Lexeme::Entity(name) => pass.outside(|| format!("entity {}", Quoted(name))),
                Lexeme::DocType(declaration) => pass.layout.hostile |= is_hostile(declaration),
                Lexeme::Text(_) | Lexeme::Verbatim(_) | Lexeme::Aside => {}
                Lexeme::End | Lexeme::Cut => break,
            }
            pass.layout.too_stray = pass.layout.strays.len() > STRAYS;
            if pass.layout.too_deep || pass.layout.too_stray {
                break;
            }
        }
        pass.finish()
    }
}

#[derive(Default)]
struct LayoutPass<'x> {
    layout: DocumentLayout<'x>,
    /// The elements that are open.
    stack: Vec<Stray<'x>>,
    /// Where in the stack the open `feedback` is.
    feedback: Option<usize>,
    deepest: usize,
}

impl<'x> LayoutPass<'x> {
    fn open(&mut self, at: usize, tag: &'x str, empty: Option<usize>) {
        self.layout.elements = true;
        if Name::of(tag.as_bytes()) == Name::Feedback {
            self.cut();
            if empty.is_some() {
                self.layout.documents.push(Span { start: at, end: empty });
                return;
            }
            self.feedback = Some(self.stack.len());
        } else if empty.is_some() {
            self.outside(|| format!("element {}", Quoted(tag)));
            return;
        }
        self.stack.push(Stray { at, tag, close: false });
        self.layout.too_deep = self.stack.len() > self.deepest;
    }

    /// Closes the nearest open element of that name; elements still open inside it stay unclosed. Inside a document,
    /// nothing outside of it can be closed.
    fn close(&mut self, at: usize, tag: &'x str, behind: usize) {
        let floor = self.feedback.unwrap_or(0);
        let partner = self.stack[floor..].iter().rposition(|open| same(open.tag, tag)).map(|index| floor + index);
        let Some(partner) = partner else {
            self.layout.strays.push(Stray { at, tag, close: true });
            return;
        };
        self.layout.strays.extend(self.stack.drain(partner + 1..));
        let Some(element) = self.stack.pop() else { return };
        if self.feedback == Some(partner) {
            self.layout.documents.push(Span { start: element.at, end: Some(behind) });
            self.feedback = None;
        } else {
            self.outside(|| format!("element {}", Quoted(tag)));
        }
    }

    /// Notes text outside of a document.
    fn outside(&mut self, what: impl FnOnce() -> String) {
        if self.feedback.is_none() && self.layout.junk.is_none() {
            self.layout.junk = Some(what());
        }
    }

    /// Ends a document that has no end tag.
    fn cut(&mut self) {
        if let Some(index) = self.feedback.take() {
            self.layout.documents.push(Span { start: self.stack[index].at, end: None });
            self.stack.truncate(index);
        }
    }

    fn finish(mut self) -> DocumentLayout<'x> {
        self.cut();
        self.layout.strays.append(&mut self.stack);
        self.layout.strays.sort_unstable_by_key(|stray| stray.at);
        self.layout
    }
}

/// Trims white space, and the byte order marks left where files were concatenated.
fn blank(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// Whether an end tag matches a start tag: by local name, ignoring case.
fn same(open: &str, close: &str) -> bool {
    open == close || local(open.as_bytes()).eq_ignore_ascii_case(local(close.as_bytes()))
}

/// Whether a document type says more than a name.
fn is_hostile(declaration: &str) -> bool {
    let upper = declaration.to_ascii_uppercase();
    upper.contains('[') || upper.contains("SYSTEM") || upper.contains("PUBLIC")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(text: &str) -> DocumentLayout<'_> {
        DocumentLayout::of(text, &Limits::default())
    }

    fn strays<'x>(layout: &DocumentLayout<'x>) -> Vec<&'x str> {
        layout.strays.iter().map(|stray| stray.tag).collect()
    }

    #[test]
    fn a_start_tag_without_an_end_is_stray_and_the_rest_is_whole() {
        let text = "<feedback><xs:schema a='b'><record><row></row></record></feedback>";
        let found = layout(text);
        assert_eq!(found.documents, [Span { start: 0, end: Some(text.len()) }]);
        assert_eq!(strays(&found), ["xs:schema"]);
        assert_eq!(found.junk, None);
    }

    #[test]
    fn an_unclosed_tag_around_the_document_is_stray_too() {
        let found = layout("<xs:schema><feedback></feedback>");
        assert_eq!(found.documents, [Span { start: 11, end: Some(32) }]);
        assert_eq!(strays(&found), ["xs:schema"]);
    }

    #[test]
    fn an_end_tag_without_a_start_is_stray() {
        assert_eq!(strays(&layout("<feedback><row></sp></row></feedback></record>")), ["sp", "record"]);
    }

    #[test]
    fn a_document_that_never_ends_is_cut() {
        assert_eq!(layout("<feedback><row>").documents, [Span { start: 0, end: None }]);
        assert_eq!(
            layout("<feedback><row><?xml version='1.0'?><feedback></feedback>").documents,
            [Span { start: 0, end: None }, Span { start: 36, end: Some(57) }]
        );
    }

    #[test]
    fn junk_is_neither_white_space_nor_a_comment() {
        assert_eq!(layout("<?xml?> <!-- c --><feedback/>\n").junk, None);
        assert_eq!(layout("\u{feff} <feedback/>\u{feff}").junk, None);
        assert!(layout("<?xml version='1.0'><feedback/>").junk.is_some());
        assert_eq!(layout("<feedback/>\u{0}\n-- \nx").junk.as_deref(), Some("text \"\\0\\n-- \\nx\""));
        assert_eq!(layout("<all><feedback/></all>").junk.as_deref(), Some("element \"all\""));
    }

    #[test]
    fn nesting_past_all_bounds_stops_the_pass() {
        assert!(layout(&"<a>".repeat(1_000_000)).too_deep);
    }

    #[test]
    fn stray_tags_past_all_bounds_stop_the_pass() {
        let text = "<feedback>".to_owned() + &"</a>".repeat(STRAYS + 1000);
        let found = layout(&text);
        assert!(found.too_stray && found.strays.len() <= STRAYS + 2);
        assert!(!layout(&text[..10_000]).too_stray);
    }

    #[test]
    fn a_document_type_is_hostile_where_it_says_more_than_a_name() {
        assert!(!layout("<!DOCTYPE feedback><feedback/>").hostile);
        assert!(layout("<!DOCTYPE feedback [<!ENTITY a 'b'>]><feedback/>").hostile);
        assert!(layout("<!doctype feedback system 'http://example.com/'><feedback/>").hostile);
    }
}
