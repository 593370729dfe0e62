//! A report ready to be stored: judged, with its original and where it came from.

use super::{Finding, Hash, MailFacts, Report, ReportKind, SenderAuth, Verdict};
use jiff::Timestamp;
use std::sync::Arc;

/// The bytes of a report as they arrived; kept forever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Original {
    /// The document itself.
    Plain(Vec<u8>),
    /// A whole gzip file of it: as it came, or a zip member's deflate stream in a gzip frame.
    Gzip(Vec<u8>),
}

impl Original {
    /// The bytes, XML or gzip.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) | Self::Gzip(bytes) => bytes,
        }
    }

    /// The file name extension that fits the bytes of such a report.
    pub const fn extension(&self, kind: ReportKind) -> &'static str {
        match (kind, self) {
            (ReportKind::Aggregate, Self::Plain(_)) => "xml",
            (ReportKind::Aggregate, Self::Gzip(_)) => "xml.gz",
            (ReportKind::Tls, Self::Plain(_)) => "json",
            (ReportKind::Tls, Self::Gzip(_)) => "json.gz",
        }
    }
}

/// Where a report came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The path to it, each step by name, else by number: `inbox.mbox > message 2 > report.xml.gz`.
    pub origin: String,
    /// The file or attachment name nearest to the report.
    pub attachment: Option<String>,
    /// When the mail or file arrived: `INTERNALDATE`, modification time, else now.
    pub arrival: Timestamp,
    /// The outermost mail, if there was one.
    pub mail: Option<MailFacts>,
}

impl Provenance {
    /// Whether the mail around the report was authentic; unknown without a mail.
    pub fn sender_auth(&self) -> SenderAuth {
        self.mail.as_ref().map_or(SenderAuth::Unknown, |mail| mail.sender_auth)
    }
}

/// A report that may be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The report.
    pub report: Report,
    /// Hash of its document (`normalize::content_hash`): tells a duplicate from a conflict.
    pub content: Hash,
    /// One per record, in order.
    pub verdicts: Vec<Verdict>,
    /// What was odd about it.
    pub findings: Vec<Finding>,
    /// The original bytes; documents from one file share them.
    pub original: Arc<Original>,
    /// Where it came from.
    pub provenance: Provenance,
}

impl Accepted {
    /// Approximate memory in bytes without the original; queues and batches are bounded by it.
    pub fn weight(&self) -> usize {
        2048 + 768 * self.report.records.len()
    }

    /// The memory its original adds after the report before it: nothing, if both came in one file.
    pub fn original_weight(&self, before: Option<&Self>) -> usize {
        let shared = before.is_some_and(|before| Arc::ptr_eq(&before.original, &self.original));
        if shared { 0 } else { self.original.bytes().len() }
    }
}
