//! A message: what kind it is, and each of its leaves, decoded and opened.
//!
//! Comes in: the bytes of a message. Goes out: units. Must not: prefer one leaf to another, take a header's word
//! against the content, or look into the mail that a failure report quotes.

use super::header::Fields;
use super::mime::{self, Leaf};
use super::open::{Expect, Opener, Place};
use super::sniff::{self, Format};
use super::{Kind, facts};
use mailparse::body::Body;
use std::borrow::Cow;

impl Opener<'_> {
    /// Open a message. The outermost one leaves at least one unit.
    pub(super) fn message(&mut self, bytes: &[u8], place: &Place) {
        let (fields, body) = Fields::split(bytes);
        let outermost = place.mails == 0;
        let before = self.items.len();
        if outermost {
            self.mail = Some(facts::facts(&fields));
            self.seen = Kind::Other;
        }
        let mut inner = Place { mails: place.mails + 1, gzip: None, ..place.clone() };
        match mime::leaves(fields, body, inner.mails, &mut self.meter) {
            Ok(leaves) => {
                let kind = kind(&fields, &leaves);
                self.seen = self.seen.max(kind);
                inner.quoted = kind == Kind::Failure;
                for leaf in leaves {
                    self.leaf(&leaf, &inner);
                }
                if kind == Kind::Failure {
                    self.set_aside(kind, place);
                }
            }
            Err(limit) => self.reject(format!("mail: {limit}"), bytes.to_vec(), "eml", inner),
        }
        if outermost && self.items.len() == before {
            self.set_aside(self.seen, place);
        }
    }

    fn leaf(&mut self, leaf: &Leaf, mail: &Place) {
        let name = leaf.fields.file_name(&leaf.kind);
        let step = name.clone().unwrap_or_else(|| format!("part {}", leaf.section));
        let mut place = mail.step(step, name);
        let media = leaf.kind.mimetype.as_str();
        let reportlike = place.names.last().is_some_and(|_| leaf_named(leaf, &place)) || is_report_type(media);
        place.expect = if reportlike { Expect::Report } else { Expect::Anything };
        let message = matches!(media, "message/rfc822" | "message/global");
        if message && mail.quoted {
            return;
        }
        let decoded = match decode(leaf) {
            Ok(decoded) => decoded,
            Err(reason) if reportlike => return self.reject(reason, leaf.body.to_vec(), "eml", place),
            Err(_) => return,
        };
        if let Cow::Owned(decoded) = &decoded
            && let Err(limit) = self.meter.decoded(decoded.len())
        {
            return self.reject(limit.to_string(), leaf.body.to_vec(), "eml", place);
        }
        let format = sniff::format(&decoded);
        if media.starts_with("application/tlsrpt") && format != Format::Xml {
            return self.set_aside(Kind::TlsRpt, &place);
        }
        if message && !matches!(format, Format::Gzip | Format::Zip | Format::Xml) {
            return self.message(&decoded, &place);
        }
        let nothing = matches!(format, Format::Html | Format::Text | Format::Binary | Format::Empty | Format::Json);
        if nothing && !reportlike && format != Format::Json {
            return;
        }
        // A body is a report only where it says so; the word may also stand deep in a long mail.
        if matches!(media, "text/plain" | "text/html")
            && !reportlike
            && format == Format::Xml
            && !sniff::has_feedback(&decoded)
        {
            return;
        }
        self.open_as(format, decoded.into_owned(), place);
    }
}

fn leaf_named(leaf: &Leaf, place: &Place) -> bool {
    leaf.fields.file_name(&leaf.kind).is_some() && place.names.last().is_some_and(|name| sniff::is_report_name(name))
}

/// Whether a media type is one that reports come as.
fn is_report_type(media: &str) -> bool {
    let sub = media.split_once('/').map_or("", |(_, sub)| sub);
    matches!(
        sub,
        "gzip"
            | "x-gzip"
            | "zip"
            | "x-zip"
            | "x-zip-compressed"
            | "zip-compressed"
            | "gzip-compressed"
            | "x-gunzip"
            | "xml"
    )
}

/// Undo the transfer encoding.
fn decode<'b>(leaf: &Leaf<'b>) -> Result<Cow<'b, [u8]>, String> {
    let encoding = leaf.fields.encoding();
    match Body::new(leaf.body, &leaf.kind, &Some(encoding)) {
        Body::Base64(body) => body.get_decoded().map(Cow::Owned).map_err(|error| format!("not valid base64: {error}")),
        Body::QuotedPrintable(body) => {
            body.get_decoded().map(Cow::Owned).map_err(|error| format!("not valid quoted-printable: {error}"))
        }
        _ => Ok(Cow::Borrowed(leaf.body)),
    }
}

/// What a message claims to be, by its headers and the kinds of its leaves (STANDARDS 6.3).
fn kind(fields: &Fields, leaves: &[Leaf]) -> Kind {
    let top = fields.kind();
    let report_type = top.params.get("report-type").map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    let has = |start: &str| leaves.iter().any(|leaf| leaf.kind.mimetype.starts_with(start));
    if report_type == "feedback-report" || has("message/feedback-report") {
        Kind::Failure
    } else if report_type == "tlsrpt" || has("application/tlsrpt") {
        Kind::TlsRpt
    } else if leaves.iter().any(is_failure_text) {
        Kind::Failure
    } else if report_type == "delivery-status" || has("message/delivery-status") || is_automatic(fields) {
        Kind::Bounce
    } else {
        Kind::Other
    }
}

/// The text lines of failure reports that have no machine-readable part.
fn is_failure_text(leaf: &Leaf) -> bool {
    const LABELS: [&[u8]; 8] = [
        b"sender domain:",
        b"sender ip address:",
        b"spf alignment:",
        b"dkim alignment:",
        b"dmarc results:",
        b"received date:",
        b"feedback-type:",
        b"auth-failure:",
    ];
    if leaf.kind.mimetype != "text/plain" {
        return false;
    }
    let start = leaf.body[..leaf.body.len().min(8192)].to_ascii_lowercase();
    let lines = start.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_start);
    lines.filter(|line| LABELS.iter().any(|label| line.starts_with(label))).count() >= 3
}

/// `Auto-Submitted` (RFC 3834), other than `no`.
fn is_automatic(fields: &Fields) -> bool {
    fields.auto_submitted.is_some_and(|raw| !super::header::unfold(raw).trim().eq_ignore_ascii_case("no"))
}
