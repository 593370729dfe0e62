//! Finds the XML or JSON of each report in any bytes, by content: never by a name, a MIME type or a declared size.
//!
//! Returns [`Unpacked`] for one item (a file or a mail): one [`UnpackedItem`] for each thing found that is a report, should have been
//! one, or is a report of another kind. XML is not read beyond its first tag, and names found inside are never used as
//! paths. No input makes it panic, or spend more than its [`Limits`].
//!
//! | file | responsible for |
//! |---|---|
//! | `item` | what was found |
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
mod item;
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

pub use item::{Content, OtherContent, Unpacked, UnpackedItem};
pub use results::Results;
pub use single::single_mail;

use crate::limits::Limits;

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
