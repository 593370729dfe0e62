//! Finds the XML or JSON of each report in any bytes, by content: never by a name, a MIME type or a declared size.
//!
//! Returns [`Unpacked`] for one item (a file or a mail): one [`UnpackedItem`] for each thing found that is a report, should have been
//! one, or is a report of another kind. XML is not read beyond its first tag, and names found inside are never used as
//! paths. No input makes it panic, or spend more than its [`Limits`].
//!
//! | file | responsible for |
//! |---|---|
//! | `sniff` | the format of bytes |
//! | `open` | from bytes of any format to units |
//! | `inflate` | one compressed stream, metered |
//! | `gzip`, `zip` | the two archive formats |
//! | `mail` | a message and its leaves |
//! | `mime` | the tree of parts of a message |
//! | `header` | header fields, names, encoded words |
//! | `transfer` | base64, quoted-printable, uuencode |
//! | `claim` | what a message says it is |
//! | `facts` | what only the mail knows about a report |
//! | `results` | what a receiving server recorded about a mail's authentication |
//! | `mbox` | several messages in one file |
//! | `single` | a single saved mail |

mod claim;
mod facts;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gzip;
mod header;
mod inflate;
mod mail;
pub mod mbox;
mod mime;
mod open;
mod results;
mod single;
pub mod sniff;
mod transfer;
mod zip;

#[cfg(test)]
mod tests;

pub use results::Results;

use crate::limits::Limits;
use crate::model::{Finding, MailFacts, Original, RawMail};
use std::sync::Arc;

/// What was in an item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// The outermost mail, where the item is one.
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
    /// The innermost mail around it, if requested ([`with_mails`]).
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
        /// The compressed form to keep; `None` where the JSON itself is the original.
        original: Option<Original>,
    },
    /// Something else that is normal in such a mailbox.
    SetAside(OtherContent),
    /// It should have been a report and cannot be read.
    Rejected {
        /// What failed, for example `payload is not XML, 12 bytes`.
        reason: String,
        /// The original bytes, to be kept.
        bytes: Vec<u8>,
        /// The file name extension that fits them.
        extension: &'static str,
    },
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

/// Finds every report in these bytes.
///
/// `name` is the item's file name. `None` means that the bytes are one mail, whatever their headers look like, unless
/// they clearly are something else.
pub fn unpack(bytes: Vec<u8>, name: Option<&str>, limits: &Limits) -> Unpacked {
    open::item(bytes, name, limits, 0)
}

/// Like [`unpack`], but each item includes the mail around it, so that its signatures can be verified: up to `kept`
/// bytes of mails in total.
pub fn with_mails(bytes: Vec<u8>, name: Option<&str>, limits: &Limits, kept: usize) -> Unpacked {
    open::item(bytes, name, limits, kept)
}

/// The only mail in these bytes, in every form that [`unpack`] reads: plain, in an `.emlx` file, alone in a mailbox or
/// an archive. Anything else is returned unchanged.
///
/// # Errors
/// What was found instead: several mails, an unsupported format, a damaged archive.
pub fn single_mail(bytes: Vec<u8>, name: Option<&str>, limits: &Limits) -> Result<Vec<u8>, String> {
    single::mail(bytes, name, limits)
}
