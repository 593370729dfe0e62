//! What a message or part claims to be (RFC 8460 section 5.3, RFC 6591, RFC 3464, RFC 3834), and whether a part should
//! be a report. Claims are hints; content outranks them.

use super::OtherContent;
use super::header::{Fields, unfold};
use super::mime::Leaf;
use super::sniff::{self, Closed};
use super::transfer;
use mailparse::ParsedContentType;

/// What a message claims to be, strongest claim first.
pub(super) fn kind(fields: &Fields, leaves: &[Leaf]) -> OtherContent {
    let report_type = fields.kind().params.get("report-type").map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    let has = |start: &str| leaves.iter().any(|leaf| leaf.kind.mimetype.starts_with(start));
    if report_type == "feedback-report" || has("message/feedback-report") {
        OtherContent::Failure
    } else if report_type == "tlsrpt" || has(TLS_TYPE) {
        OtherContent::Other
    } else if leaves.iter().any(is_failure_text) {
        OtherContent::Failure
    } else if matches!(report_type.as_str(), "delivery-status" | "disposition-notification")
        || has("message/delivery-status")
        || is_automatic(fields)
    {
        OtherContent::Bounce
    } else {
        OtherContent::Other
    }
}

/// The media type of SMTP TLS reports, `+gzip` or `+json` behind it.
const TLS_TYPE: &str = "application/tlsrpt";

/// Whether a part says that it is an SMTP TLS report.
pub(super) fn is_tls_type(media: &str) -> bool {
    media.starts_with(TLS_TYPE)
}

/// Labels at the start of lines in failure reports without a machine-readable part, or with that part shown as text.
const FAILURE_LABELS: [&[u8]; 12] = [
    b"sender domain:",
    b"sender ip address:",
    b"received date:",
    b"spf alignment:",
    b"dkim alignment:",
    b"dmarc results:",
    b"feedback-type:",
    b"auth-failure:",
    b"identity-alignment:",
    b"reported-domain:",
    b"delivery-result:",
    b"original-mail-from:",
];

/// Whether a text has three of these labels.
fn is_failure_text(leaf: &Leaf) -> bool {
    if leaf.kind.mimetype != "text/plain" {
        return false;
    }
    let start = transfer::decode_start(&leaf.fields.encoding(), leaf.body).to_ascii_lowercase();
    let lines = start.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_start);
    lines.filter(|line| FAILURE_LABELS.iter().any(|label| line.starts_with(label))).count() >= 3
}

/// Whether no human sent it: `Auto-Submitted` other than `no`, a mail system as the sender, or a typical subject.
fn is_automatic(fields: &Fields) -> bool {
    const SUBJECTS: [&str; 4] = ["automatic reply", "auto reply", "autoreply", "out of office"];
    let lower = |raw: Option<&[u8]>| raw.map(unfold).unwrap_or_default().to_lowercase();
    let submitted = lower(fields.auto_submitted);
    let subject = lower(fields.subject);
    !submitted.is_empty() && submitted != "no"
        || lower(fields.from).contains("mailer-daemon@")
        || SUBJECTS.iter().any(|start| subject.starts_with(start))
}

/// Whether reports are sent as this media type. `application/octet-stream` says nothing.
pub(super) fn is_report_type(media: &str) -> bool {
    let Some(("application" | "text", subtype)) = media.split_once('/') else { return false };
    matches!(
        subtype.strip_prefix("x-").unwrap_or(subtype),
        "xml" | "gzip" | "gunzip" | "gzip-compressed" | "gzipped" | "zip" | "zip-compressed"
    )
}

/// Why only the recipient can open a part; `None` if it can be opened, or might be.
pub(super) fn closed(part: &Leaf, decoded: &[u8]) -> Option<Closed> {
    let media = part.kind.mimetype.as_str();
    if is_opaque_smime(&part.kind) {
        Some(Closed::SMIME)
    } else if media == "application/x-microsoft-rpmsg-message" {
        Some(Closed::RPMSG)
    } else if matches!(media, "text/plain" | "application/octet-stream" | "application/pgp") {
        // Text may precede it, for example from a mailing list.
        sniff::has_pgp_message(decoded).then_some(Closed::PGP)
    } else {
        None
    }
}

/// Whether a part's name says that only its recipient can open it. Keys and signatures have such names too.
pub(super) fn is_closed_name(name: &str, media: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let closed = sniff::is_pgp_name(&name) || [".rpmsg", ".p7m"].iter().any(|end| name.ends_with(end));
    closed && !matches!(media, "application/pgp-keys" | "application/pgp-signature" | "application/pkcs7-mime")
}

/// Whether a part is the encrypted part of an OpenPGP mail (RFC 3156 section 4): the one after the part that declares
/// it.
pub(super) fn is_pgp_payload(part: &Leaf, parts: &[Leaf]) -> bool {
    let control = parts.iter().position(|part| part.kind.mimetype == "application/pgp-encrypted");
    let payload = control.map(|at| parts.get(at + 1).unwrap_or(&parts[at]));
    payload.is_some_and(|payload| payload.section == part.section)
}

/// Whether a part is S/MIME with hidden content (RFC 8551); certificates alone are not.
fn is_opaque_smime(kind: &ParsedContentType) -> bool {
    matches!(kind.mimetype.as_str(), "application/pkcs7-mime" | "application/x-pkcs7-mime")
        && kind.params.get("smime-type").is_none_or(|word| !word.eq_ignore_ascii_case("certs-only"))
}
