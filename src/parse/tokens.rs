//! What the structure reader needs of a document: children, values, skips. Two ways give it: [`super::tolerant`] reads
//! anything, [`super::plain`] reads what is well-behaved, fast, and gives up at the first unusual thing.

use super::name::Name;
use crate::model::Findings;
use std::borrow::Cow;

/// The next thing within the open element.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum XmlToken<'x> {
    /// A child, now open.
    Open(Name),
    /// Text between elements, trimmed, never empty.
    Text(Cow<'x, str>),
    /// The open element ended.
    Close,
}

/// Why reading stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// Not for the plain way: start anew on the tolerant one.
    Unusual,
    /// The document is refused.
    Rejected(String),
}

/// Where a value stands, for findings.
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

/// A document as well-nested elements. Starts within the root element.
pub(super) trait TokenReader<'x> {
    /// The next child, text or end of the open element.
    fn next(&mut self, place: SourceSpan, findings: &mut Findings) -> Result<XmlToken<'x>, Halt>;

    /// The text of the element just opened, trimmed, and its end. Elements within it are skipped.
    fn value(&mut self, place: SourceSpan, findings: &mut Findings) -> Result<Cow<'x, str>, Halt>;

    /// The end of the element just opened, whatever is in it.
    fn skip(&mut self) -> Result<(), Halt>;
}
