//! From any bytes to the XML of each report inside, recognized by content: never by a name, a MIME type or a declared size.
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
    /// In the order found; never empty.
    pub items: Vec<UnpackedItem>,
}

/// One thing found in an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpackedItem {
    /// The steps below the item, outermost first: a name, else a number (`message 2`, `part 1.2`).
    pub path: Vec<String>,
    /// The file or attachment name nearest to the content, if need be the item's own; one in the form of report names
    /// (RFC 9990 section 3.5.1, `receiver!domain!begin!end`) goes before a nearer one that is not.
    pub attachment: Option<String>,
    /// The mail around it, where the item is not itself a mail but holds several (a compressed mbox).
    pub mail: Option<MailFacts>,
    /// What was odd on the way down to it.
    pub findings: Vec<Finding>,
    /// Whether it lies in a mail that is attached to another.
    pub attached: bool,
    /// The innermost mail around it, where that was asked for ([`with_mails`]).
    pub letter: Option<Arc<RawMail>>,
    /// What it is.
    pub content: Content,
}

/// What a unit is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// XML that may be a report.
    Report {
        /// The bytes, in whatever text encoding.
        xml: Vec<u8>,
        /// The compressed form to keep; `None` if the XML itself is the original.
        original: Option<Original>,
    },
    /// Something else that belongs into such a mailbox.
    SetAside(OtherContent),
    /// It should have been a report and cannot be read.
    Rejected {
        /// What failed, as `payload is not XML, 12 bytes`.
        reason: String,
        /// The bytes it came as, to be kept.
        bytes: Vec<u8>,
        /// The file name extension that fits them.
        extension: &'static str,
    },
}

/// What is no aggregate report and no error, weakest claim first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OtherContent {
    /// Any other mail or file.
    Other,
    /// A bounce or an automatic reply.
    Bounce,
    /// An SMTP TLS report (RFC 8460).
    TlsRpt,
    /// A failure report (RFC 5965, RFC 9991), or its text-only kin. What mail it quotes is not looked into.
    Failure,
}

/// Find every report in these bytes.
///
/// `name` is the item's file name; null says that the bytes are one mail, whatever their headers look like, unless
/// they plainly are something else.
pub fn unpack(bytes: Vec<u8>, name: Option<&str>, limits: &Limits) -> Unpacked {
    open::item(bytes, name, limits, 0)
}

/// As [`unpack`], and each unit has the mail around it, for somebody to verify its signatures: up to `kept` bytes of mails
/// in all.
pub fn with_mails(bytes: Vec<u8>, name: Option<&str>, limits: &Limits, kept: usize) -> Unpacked {
    open::item(bytes, name, limits, kept)
}

/// The one mail in these bytes, in every form that [`unpack`] reads a mail in: as it is, in an `.emlx` file, alone in a
/// mailbox or an archive. What is no mail comes back as it is.
///
/// # Errors
/// What was found instead: several mails, a format that is not supported, a damaged archive.
pub fn single_mail(bytes: Vec<u8>, name: Option<&str>, limits: &Limits) -> Result<Vec<u8>, String> {
    single::mail(bytes, name, limits)
}
