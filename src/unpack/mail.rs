//! Opens a message: what kind it is, and each of its leaves, decoded and opened.
//!
//! No leaf is preferred to another, content outranks headers, and the mail quoted in a failure report is not opened.

use super::header::{self, Fields};
use super::mime::{self, Leaf};
use super::open::{Expect, Opener, UnpackPath, format_of};
use super::sniff::{self, Closed, FileFormat};
use super::{OtherContent, claim, facts, transfer};
use crate::model::{Finding, FindingCode, RawMail};
use std::borrow::Cow;
use std::sync::Arc;

impl Opener<'_> {
    /// Opens a message. The outermost one gives at least one item.
    pub(super) fn message(&mut self, bytes: &[u8], place: &UnpackPath) {
        let bytes = sniff::skip_blank(bytes);
        let (fields, body) = Fields::split(bytes);
        let outermost = place.mails == 0;
        let before = self.items.len();
        if outermost {
            self.mail = Some(facts::facts(&fields));
            self.seen = OtherContent::Other;
        }
        let mut inner = UnpackPath { messages: place.messages + 1, ..place.clone() };
        inner.raw_mail = self.kept(header::without_mailbox_line(bytes), body.len());
        self.leaves(fields, body, &inner);
        if outermost && self.items.len() == before {
            self.set_aside(self.seen, place);
        }
    }

    /// A copy of the mail, if requested and not too long.
    fn kept(&mut self, mail: &[u8], body: usize) -> Option<Arc<RawMail>> {
        let left = self.keep_mails.checked_sub(mail.len().max(1))?;
        self.keep_mails = left;
        Some(Arc::new(RawMail { bytes: mail.to_vec(), body: mail.len() - body }))
    }

    /// Opens all leaves of a message, or of a multipart that was encoded as a whole.
    fn leaves(&mut self, fields: Fields, body: &[u8], place: &UnpackPath) {
        let mut inner = UnpackPath { mails: place.mails + 1, archived: false, gzip: None, ..place.clone() };
        let leaves = match mime::leaves(fields, body, inner.mails, &mut self.meter) {
            Ok(leaves) => leaves,
            Err(limit) => return self.reject(format!("mail: {limit}"), body.to_vec(), "eml", inner),
        };
        let kind = claim::kind(&fields, &leaves);
        self.seen = self.seen.max(kind);
        inner.quoted |= kind == OtherContent::Failure;
        for leaf in &leaves {
            self.leaf(leaf, &inner, claim::is_pgp_payload(leaf, &leaves));
        }
        if kind == OtherContent::Failure {
            self.set_aside(kind, place);
        }
    }

    fn leaf(&mut self, leaf: &Leaf, mail: &UnpackPath, pgp: bool) {
        let name = leaf.fields.file_name(&leaf.kind);
        let step = name.clone().unwrap_or_else(|| format!("part {}", leaf.section));
        let media = leaf.kind.mimetype.as_str();
        let expected = claim::is_report_type(media)
            || claim::is_tls_type(media)
            || name.as_deref().is_some_and(|name| sniff::is_report_name(name) || claim::is_closed_name(name, media));
        let mut place = mail.step(step, name);
        place.expect = if expected { Expect::Report } else { Expect::Anything };
        place.tls = claim::is_tls_type(media);
        if place.quoted {
            place.expect = Expect::Anything;
        } else if pgp {
            return self.reject(Closed::PGP.reason(), leaf.body.to_vec(), Closed::PGP.extension, place);
        }
        let encoding = leaf.fields.encoding();
        let decoded = match transfer::decode(&encoding, leaf.body) {
            Ok(decoded) => decoded,
            Err(reason) => {
                if let Some((decoded, detail)) = transfer::mislabeled(&encoding, leaf.body) {
                    place.findings.push(Finding::new(FindingCode::MAIL_ENCODING, detail));
                    decoded
                } else {
                    let start = transfer::decode_start(&encoding, leaf.body);
                    if expected || matches!(sniff::format(&start), FileFormat::Gzip | FileFormat::Zip | FileFormat::Xml)
                    {
                        self.reject(reason, leaf.body.to_vec(), "txt", place);
                    }
                    return;
                }
            }
        };
        if let Cow::Owned(decoded) = &decoded
            && let Err(limit) = self.meter.decoded(decoded.len())
        {
            return self.reject(format!("mail: {limit}"), leaf.body.to_vec(), "txt", place);
        }
        self.decoded_leaf(leaf, decoded, place);
    }

    /// Opens a leaf by its content. Only leaves worth keeping are copied.
    fn decoded_leaf(&mut self, leaf: &Leaf, decoded: Cow<[u8]>, mut place: UnpackPath) {
        let media = leaf.kind.mimetype.as_str();
        if media.starts_with("multipart/") && matches!(decoded, Cow::Owned(_)) {
            let fields = Fields { transfer_encoding: None, ..leaf.fields };
            return self.leaves(fields, &decoded, &place);
        }
        if let Some(closed) = claim::closed(leaf, &decoded).filter(|_| !place.quoted) {
            return self.reject(closed.reason(), decoded.into_owned(), closed.extension, place);
        }
        let format = format_of(&decoded, place.names.last().map(String::as_str));
        let encoding = leaf.fields.encoding();
        let encoded = match format {
            FileFormat::Text | FileFormat::Binary => transfer::unlabeled_base64(&encoding, leaf.body),
            FileFormat::Xml => transfer::unlabeled_quoted_printable(&encoding, leaf.body),
            _ => None,
        };
        if let Some((bytes, detail)) = encoded {
            if let Err(limit) = self.meter.decoded(bytes.len()) {
                return self.reject(format!("mail: {limit}"), decoded.into_owned(), "txt", place);
            }
            place.findings.push(Finding::new(FindingCode::MAIL_ENCODING, detail));
            return self.open(bytes, place);
        }
        if format == FileFormat::Empty && leaf.fields.apple_length.is_some() && place.expect == Expect::Report {
            let reason = "the attachment is not in this .partial.emlx file, but in the folder Attachments beside it";
            return self.reject(reason.to_owned(), decoded.into_owned(), "bin", place);
        }
        match format {
            _ if matches!(media, "message/rfc822" | "message/global") && is_no_archive(format) => {
                if !place.quoted {
                    self.message(&decoded, &place);
                }
            }
            FileFormat::Text | FileFormat::Html | FileFormat::Binary | FileFormat::Empty
                if place.expect == Expect::Anything =>
            {
                if let Some(name) = transfer::uuencoded_name(&decoded)
                    && let Some(file) = transfer::uudecode(&decoded)
                    && self.meter.decoded(file.len()).is_ok()
                {
                    place.expect = if sniff::is_report_name(&name) { Expect::Report } else { Expect::Anything };
                    self.open(file, place.step(name.clone(), Some(name)));
                }
            }
            FileFormat::Xml if place.expect == Expect::Anything && !sniff::has_feedback(&decoded) => {}
            _ => self.open_as(format, decoded.into_owned(), place),
        }
    }
}

fn is_no_archive(format: FileFormat) -> bool {
    !matches!(format, FileFormat::Gzip | FileFormat::Zip | FileFormat::Xml)
}
