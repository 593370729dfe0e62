//! What was found in the bytes of an item.

use crate::model::{Finding, MailFacts, Original, RawMail};
use std::sync::Arc;

/// What was in an item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// The outermost mail, if the item is one.
    pub mail: Option<MailFacts>,
    /// What was found, in order; never empty.
    pub items: Vec<UnpackedItem>,
}

/// One thing found in an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpackedItem {
    /// The path inside the item, outermost first: a name, else a number (`message 2`, `part 1.2`).
    pub path: Vec<String>,
    /// The file or attachment name nearest to the content, or the item's own. A name in the form of report names (RFC
    /// 9990 section 3.5.1, `receiver!domain!begin!end`) is preferred to a nearer one that is not.
    pub attachment: Option<String>,
    /// The mail around it, if the item is not a mail itself but contains several (a compressed mbox).
    pub mail: Option<MailFacts>,
    /// What was odd about the layers around it.
    pub findings: Vec<Finding>,
    /// Whether it is in a mail attached to another.
    pub attached: bool,
    /// The innermost mail around it, if requested ([`super::with_mails`]).
    pub raw_mail: Option<Arc<RawMail>>,
    /// What it is.
    pub content: Content,
}

/// What an item contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// XML that may be a report.
    Report {
        /// The bytes, in any text encoding.
        xml: Vec<u8>,
        /// The compressed form to keep; `None` if the XML itself is the original.
        original: Option<Original>,
    },
    /// JSON that may be an SMTP TLS report (RFC 8460).
    TlsReport {
        /// The bytes, in whatever text encoding.
        json: Vec<u8>,
        /// The compressed form to keep; `None` if the JSON itself is the original.
        original: Option<Original>,
    },
    /// Something else that is normal in such a mailbox.
    SetAside(OtherContent),
    /// It should have been a report and cannot be read.
    Rejected {
        /// What failed, for example `expected XML, found 12 bytes of something else`.
        reason: String,
        /// The original bytes, to be kept.
        bytes: Vec<u8>,
        /// The file name extension that fits them.
        extension: &'static str,
    },
}

#[cfg(feature = "store")]
impl Content {
    /// Bytes that it holds.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Report { xml: bytes, original } | Self::TlsReport { json: bytes, original } => {
                bytes.len() + original.as_ref().map_or(0, |original| original.bytes().len())
            }
            Self::SetAside(_) => 0,
            Self::Rejected { bytes, .. } => bytes.len(),
        }
    }
}

/// Content that is neither an aggregate report nor an error, weakest claim first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OtherContent {
    /// Any other mail or file.
    Other,
    /// A bounce or an automatic reply.
    Bounce,
    /// A failure report (RFC 5965, RFC 9991), or its text-only form. The mail it quotes is not examined.
    Failure,
}
