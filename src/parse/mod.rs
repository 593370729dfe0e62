//! Report bytes to the report as written: text encoding, tokens, and the structure of `feedback`.
//!
//! [`documents`] reads a file with one or more documents into a [`RawReport`] each, and hands their records, one by
//! one, to a [`Visitor`]. Nothing is judged, defaulted or dropped here without a finding. Document types and external
//! entities are never followed. Time and memory stay in proportion to the input and within [`Limits`].
//!
//! There are two parsers: a fast one for plain documents and a tolerant one for all others. A test holds them equal,
//! finding for finding.
//!
//! ```
//! use dmarquet::limits::Limits;
//! use dmarquet::model::Findings;
//! use dmarquet::parse::{Document, RawRecord, Visitor, decode, documents};
//!
//! #[derive(Default)]
//! struct Sources(Vec<String>);
//!
//! impl<'x> Visitor<'x> for Sources {
//!     fn record(&mut self, record: &mut RawRecord<'x>, _: &mut Findings) {
//!         self.0.extend(record.source_ip.as_deref().map(str::to_owned));
//!     }
//! }
//!
//! let xml = b"<feedback><record><row><source_ip> 192.0.2.7 </source_ip></row></record></feedback>";
//! let decoded = decode(xml);
//! let read = documents(&decoded.text, &Limits::default(), Sources::default);
//! let [Document::Report { visitor, .. }] = &read[..] else { panic!("one report") };
//! assert_eq!(visitor.0, ["192.0.2.7"]);
//! ```

mod encoding;
mod feedback;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod json;
mod layout;
mod lexer;
mod name;
mod plain;
mod raw;
pub(crate) mod scan;
mod tls;
mod tokens;
mod tolerant;

pub(crate) use encoding::decode_within;
pub use encoding::{Decoded, decode};
pub use feedback::Visitor;
pub use json::JsonScalar;
pub(crate) use json::without_blanks;
pub use raw::{RawDkim, RawMetadata, RawPolicy, RawReason, RawRecord, RawReport, RawSpf, Value};
pub use tls::{RawTlsFailure, RawTlsPolicy, RawTlsReport, TlsDocument, tls_document};

use crate::limits::Limits;
use crate::model::{FindingCode, Findings, Quoted};
use layout::{DocumentLayout, STRAYS, Span};
use plain::Plain;
use tokens::{UNEXPECTED_END, too_deep};
use tolerant::Tolerant;

/// What one document turned out to be.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every value is a report")]
pub enum Document<'x, V> {
    /// A report, whole.
    Report {
        /// Everything except its records.
        report: RawReport<'x>,
        /// The visitor that took the records.
        visitor: V,
        /// The document from its first tag to its last.
        content: &'x str,
        /// What was odd about it.
        findings: Findings,
    },
    /// Something that should have been a report and is not.
    Rejected {
        /// What was expected, what was found.
        reason: String,
    },
    /// XML without a `feedback`.
    NotReport,
}

/// Reads all documents of a text. Each report gets its own visitor; the result is never empty.
pub fn documents<'x, V: Visitor<'x>>(
    text: &'x str,
    limits: &Limits,
    visitor: impl FnMut() -> V,
) -> Vec<Document<'x, V>> {
    let mut all = Vec::new();
    each_document(text, limits, visitor, |document| all.push(document));
    all
}

/// Reads the documents of a text one after the other, as [`documents`] does: the result of one can be dropped before
/// the next is read.
pub fn each_document<'x, V: Visitor<'x>>(
    text: &'x str,
    limits: &Limits,
    mut visitor: impl FnMut() -> V,
    mut each: impl FnMut(Document<'x, V>),
) {
    match plain(text, limits, visitor()) {
        Some(document) => each(document),
        None => tolerant(text, limits, &mut visitor, &mut each),
    }
}

/// The fast parser; `None` if the text is not exactly one plain document.
fn plain<'x, V: Visitor<'x>>(text: &'x str, limits: &Limits, mut visitor: V) -> Option<Document<'x, V>> {
    let (mut tokens, start) = Plain::enter(text, limits)?;
    let mut findings = Findings::new(limits.findings);
    let report = feedback::read(&mut tokens, limits, &mut visitor, &mut findings).ok()?;
    let end = tokens.leave()?;
    Some(Document::Report { report, visitor, content: &text[start..end], findings })
}

/// The tolerant parser: finds the documents first, then reads each.
fn tolerant<'x, V: Visitor<'x>>(
    text: &'x str,
    limits: &Limits,
    visitor: &mut dyn FnMut() -> V,
    each: &mut dyn FnMut(Document<'x, V>),
) {
    let layout = DocumentLayout::of(text, limits);
    if let Some(refused) = refuse(text, &layout, limits) {
        return each(refused);
    }
    for (index, span) in layout.documents.iter().enumerate() {
        if index >= limits.members as usize {
            each(Document::Rejected { reason: format!("more than {} documents, the limit", limits.members) });
            break;
        }
        let mut findings = Findings::new(limits.findings);
        note_layout(&layout, index, &mut findings);
        each(document(text, &layout, *span, limits, visitor(), findings));
    }
}

/// Rejects the text as a whole, if it has to be.
fn refuse<'x, V>(text: &str, layout: &DocumentLayout<'_>, limits: &Limits) -> Option<Document<'x, V>> {
    let reason = if layout.too_deep {
        too_deep(limits)
    } else if layout.too_stray {
        format!("more than {STRAYS} tags without a partner, which is the limit")
    } else if !layout.documents.is_empty() {
        if !layout.hostile {
            return None;
        }
        "a document type with an internal subset or an external id, which is never followed".into()
    } else if !text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').starts_with('<') {
        match text.len() {
            0 => "expected XML, found nothing".into(),
            bytes => format!("expected XML, found {bytes} bytes of something else"),
        }
    } else if layout.elements {
        return Some(Document::NotReport);
    } else {
        UNEXPECTED_END.into()
    };
    Some(Document::Rejected { reason })
}

/// Notes what the first pass found: findings about the whole text go with the first document.
fn note_layout(layout: &DocumentLayout<'_>, index: usize, findings: &mut Findings) {
    if index == 0 {
        if layout.documents.len() > 1 {
            findings.note(FindingCode::XML_SEVERAL, || format!("{} documents in one file", layout.documents.len()));
        }
        if let Some(junk) = &layout.junk {
            findings.note(FindingCode::XML_JUNK, || format!("outside of the document: {junk}"));
        }
    }
    let from = if index == 0 { 0 } else { layout.documents[index].start };
    let to = layout.documents.get(index + 1).map_or(usize::MAX, |next| next.start);
    let first = layout.strays.partition_point(|stray| stray.at < from);
    for stray in layout.strays[first..].iter().take_while(|stray| stray.at < to) {
        let kind = if stray.close { "end tag without a start" } else { "start tag without an end" };
        findings.note(FindingCode::XML_STRAY_TAG, || format!("{kind}: {}, skipped", Quoted(stray.tag)));
    }
}

fn document<'x, V: Visitor<'x>>(
    text: &'x str,
    layout: &DocumentLayout<'x>,
    span: Span,
    limits: &Limits,
    mut visitor: V,
    mut findings: Findings,
) -> Document<'x, V> {
    let Some(end) = span.end else { return Document::Rejected { reason: UNEXPECTED_END.into() } };
    let content = &text[span.start..end];
    let report = match Tolerant::enter(text, layout, span, limits) {
        Some(mut tokens) => feedback::read(&mut tokens, limits, &mut visitor, &mut findings),
        None => Ok(RawReport::default()),
    };
    match report {
        Ok(report) => Document::Report { report, visitor, content, findings },
        Err(halt) => Document::Rejected { reason: halt.reason(limits) },
    }
}

#[cfg(test)]
mod tests;
