//! The interface between the structure reader and the two parsers: children, values, skips. [`super::tolerant`] reads
//! anything; [`super::plain`] reads plain documents, fast, and gives up at the first unusual thing.

use super::name::Name;
use crate::limits::Limits;
use crate::model::{FindingCode, Findings, Quoted};
use std::borrow::Cow;

/// The reason for a cut document.
pub(super) const UNEXPECTED_END: &str = "unexpected end of document";

/// The reason for elements that nest too deep.
pub(super) fn too_deep(limits: &Limits) -> String {
    format!("more than {} elements within each other, which is the limit", limits.element_depth)
}

/// The next thing inside the open element.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum XmlToken<'x> {
    /// A child, now open.
    Open(Name),
    /// Text between elements, trimmed, never empty.
    Text(Cow<'x, str>),
    /// The open element ended.
    Close,
}

/// Why reading stopped. It fits in a register, which the fast parser needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    /// Not for the fast parser: start again with the tolerant one.
    Unusual,
    /// The text ends inside the document.
    Cut,
    /// Elements nest deeper than the limit.
    TooDeep,
    /// There are more records than the limit.
    TooManyRecords,
}

impl Halt {
    /// Why the document is rejected.
    pub(super) fn reason(self, limits: &Limits) -> String {
        match self {
            // The tolerant parser never gives up.
            Self::Unusual | Self::Cut => UNEXPECTED_END.into(),
            Self::TooDeep => too_deep(limits),
            Self::TooManyRecords => format!("more than {} records, which is the limit", limits.records),
        }
    }
}

/// Where a value is, for findings.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceSpan {
    /// The record's number from 1; 0 outside of records.
    pub(super) record: u32,
    /// The path of the element below the report or the record.
    pub(super) path: &'static str,
}

impl std::fmt::Display for SourceSpan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.record {
            0 => f.write_str(self.path),
            record => write!(f, "record {record}, {}", self.path),
        }
    }
}

/// A document as well-nested elements. Starts inside the root element.
pub(super) trait TokenReader<'x> {
    /// The next child, text or end of the open element.
    fn next(&mut self, place: SourceSpan, findings: &mut Findings) -> Result<XmlToken<'x>, Halt>;

    /// The next child of the open element; `None` at its end. Text between children is dropped, with a finding.
    fn child(&mut self, place: SourceSpan, findings: &mut Findings) -> Result<Option<Name>, Halt> {
        loop {
            match self.next(place, findings)? {
                XmlToken::Open(name) => return Ok(Some(name)),
                XmlToken::Close => return Ok(None),
                XmlToken::Text(text) => note_text(place, &text, findings),
            }
        }
    }

    /// The trimmed text of the element just opened, up to its end tag. Elements inside it are skipped.
    fn value(&mut self, place: SourceSpan, findings: &mut Findings) -> Result<Cow<'x, str>, Halt>;

    /// Skips to the end of the element just opened.
    fn skip(&mut self) -> Result<(), Halt>;
}

/// Notes text that was dropped.
pub(super) fn note_text(place: SourceSpan, text: &str, findings: &mut Findings) {
    findings.note(FindingCode::XML_JUNK, || format!("{place}: text between elements: {}", Quoted(text)));
}
