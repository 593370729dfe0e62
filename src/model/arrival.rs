//! A report on its way into the store: judged, with its original and where it came from.

use super::{Finding, MailFacts, Report, SenderAuth, Verdict};
use jiff::Timestamp;
use std::sync::Arc;

/// The bytes of a report as they arrived, kept for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Original {
    /// The XML itself.
    Xml(Vec<u8>),
    /// A whole gzip file of the XML: as it came, or a zip member's deflate stream in a gzip frame.
    Gzip(Vec<u8>),
}

impl Original {
    /// The bytes of either.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Xml(bytes) | Self::Gzip(bytes) => bytes,
        }
    }
}

/// Where a report came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Each step by its name, else by number: `inbox.mbox > message 2 > report.xml.gz`.
    pub origin: String,
    /// The file or attachment name nearest to the report.
    pub attachment: Option<String>,
    /// When the mail or file arrived (`INTERNALDATE`, modification time, else now).
    pub arrival: Timestamp,
    /// The outermost mail, where there was one.
    pub mail: Option<MailFacts>,
}

impl Provenance {
    /// Whether the mail around the report was authentic; unknown where there was none.
    pub fn sender_auth(&self) -> SenderAuth {
        self.mail.as_ref().map_or(SenderAuth::Unknown, |mail| mail.sender_auth)
    }
}

/// A report that may be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The report.
    pub report: Report,
    /// One a record, in order.
    pub verdicts: Vec<Verdict>,
    /// What was odd.
    pub findings: Vec<Finding>,
    /// The bytes it came as; several documents of one file share them.
    pub original: Arc<Original>,
    /// Where from.
    pub provenance: Provenance,
}

impl Accepted {
    /// About how much memory it holds beside its original, in bytes: queues and batches are bounded by it.
    pub fn weight(&self) -> usize {
        2048 + 768 * self.report.records.len()
    }

    /// How much its original adds where the one before it is held already: nothing, where they came in one file.
    pub fn original_weight(&self, before: Option<&Self>) -> usize {
        let shared = before.is_some_and(|before| Arc::ptr_eq(&before.original, &self.original));
        if shared { 0 } else { self.original.bytes().len() }
    }
}
