//! One item through the pure stages: unpack, normalize, judge. Runs on any thread, and no input makes it fail.

use super::Options;
use super::trust::{Trust, proven};
use crate::fetch::{Fetched, Item};
use crate::judge::judge;
use crate::model::{
    Accepted, Code, Finding, Hash, MailFacts, Message, Original, Proof, Provenance, Quoted, Report, SenderAuth,
};
use crate::normalize::{Context, Read, reports};
use crate::store::{Memory, Reject, SeenItem, StoreError};
use crate::unpack::{Content, Kind, Unit, Unpacked, unpack};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What was found in an item, each to its own place.
#[derive(Debug)]
pub(super) enum Piece {
    Report(Box<Accepted>),
    SetAside(Kind),
    Rejected(Reject, Vec<Finding>),
}

/// An item done, as far as no store is needed.
#[derive(Debug)]
pub(super) struct Worked {
    pub(super) origin: String,
    pub(super) message: Option<Message>,
    /// Of its bytes; null where there were none to read.
    pub(super) hash: Option<Hash>,
    pub(super) contents: Contents,
}

/// What became of the bytes.
#[derive(Debug)]
pub(super) enum Contents {
    /// Read now.
    Pieces(Vec<Piece>),
    /// Read before: this is how they counted.
    Seen(SeenItem),
}

/// An item whose bytes are copied before they are worked on, so that they survive a panic.
const COPIED: usize = 16 << 20;

/// Take an item through the pure stages.
pub(super) fn work(fetched: Fetched, options: &Options, memory: Option<&Memory>) -> Result<Worked, StoreError> {
    match fetched {
        Fetched::Item(item) => work_item(item, options, memory),
        Fetched::SetAside { origin } => {
            let contents = Contents::Pieces(vec![Piece::SetAside(Kind::Other)]);
            Ok(Worked { origin, message: None, hash: None, contents })
        }
        Fetched::TooLarge { origin, size, limit, message } => {
            let bound = crate::limits::Bound::ItemBytes;
            let excess = crate::limits::LimitExceeded { bound, amount: Some(size), limit };
            Ok(unread(origin, excess.to_string(), message, options.now))
        }
        // Not dealt with: the message stays out of the cursor, and a later run asks for it again.
        Fetched::Unfetched { origin, reason, .. } => Ok(unread(origin, reason, None, options.now)),
    }
}

/// Something of which no bytes came.
fn unread(origin: String, reason: String, message: Option<Message>, now: Timestamp) -> Worked {
    let reject = Reject { origin: origin.clone(), attachment: None, reason, bytes: None, extension: "", arrival: now };
    Worked { origin, message, hash: None, contents: Contents::Pieces(vec![Piece::Rejected(reject, Vec::new())]) }
}

fn work_item(item: Item, options: &Options, memory: Option<&Memory>) -> Result<Worked, StoreError> {
    let hash = Hash(Sha256::digest(&item.bytes).into());
    if let Some(seen) = memory.map_or(Ok(None), |memory| memory.seen(hash))? {
        return Ok(Worked {
            origin: item.origin,
            message: item.message,
            hash: Some(hash),
            contents: Contents::Seen(seen),
        });
    }
    let Item { origin, name, bytes, arrival, message } = item;
    let copy = (bytes.len() <= COPIED).then(|| bytes.clone());
    let whole = copy.as_deref();
    let pieces = catch_unwind(AssertUnwindSafe(|| pieces((&origin, name.as_deref()), bytes, whole, arrival, options)));
    // A bug of ours met by one item: it is kept aside, named, and the run goes on.
    let pieces = pieces.unwrap_or_else(|panic| {
        let reason = format!("internal error: {}", panic_text(panic.as_ref()));
        let (origin, attachment) = (origin.clone(), name);
        vec![Piece::Rejected(Reject { origin, attachment, reason, bytes: copy, extension: "bin", arrival }, Vec::new())]
    });
    Ok(Worked { origin, message, hash: Some(hash), contents: Contents::Pieces(pieces) })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// `whole` are the bytes once more, where they are not too many.
fn pieces(
    (origin, name): (&str, Option<&str>),
    bytes: Vec<u8>,
    whole: Option<&[u8]>,
    arrival: Timestamp,
    options: &Options,
) -> Vec<Piece> {
    let unpacked = unpack(bytes, name, &options.limits);
    let proof = proof(&unpacked, whole, arrival, options);
    let mut pieces = Vec::with_capacity(unpacked.items.len());
    for unit in unpacked.items {
        let mail = unpacked.mail.as_ref().or(unit.mail.as_ref()).cloned();
        let mail = mail.map(|mail| MailFacts { sender_auth: options.trust.sender_auth(&mail), ..mail });
        let mut steps = vec![origin.to_owned()];
        steps.extend(unit.path.iter().cloned());
        let origin = steps.join(" > ");
        unit_pieces(unit, Around { origin, mail, arrival, proof: &proof }, options, &mut pieces);
    }
    pieces
}

/// What the signatures of the item prove, where it is a mail that brought a report and somebody is to verify them.
fn proof(unpacked: &Unpacked, whole: Option<&[u8]>, arrival: Timestamp, options: &Options) -> Proof {
    let brought_report = || unpacked.items.iter().any(|unit| matches!(unit.content, Content::Report { .. }));
    match (&options.witness, whole, &unpacked.mail) {
        (Some(witness), Some(bytes), Some(mail)) if !options.trust.is_settled(mail) && brought_report() => {
            // A fault of verifying takes no report with it.
            catch_unwind(AssertUnwindSafe(|| witness.proof(bytes, arrival))).unwrap_or_default()
        }
        _ => Proof::Open,
    }
}

/// What a unit inherits from its item.
struct Around<'a> {
    origin: String,
    mail: Option<MailFacts>,
    arrival: Timestamp,
    proof: &'a Proof,
}

fn unit_pieces(unit: Unit, around: Around<'_>, options: &Options, pieces: &mut Vec<Piece>) {
    let Unit { attachment, mut findings, content, .. } = unit;
    let Around { origin, mail, arrival, proof } = around;
    let (xml, original) = match content {
        Content::Report { xml, original } => (xml, original),
        Content::SetAside(kind) => return pieces.push(Piece::SetAside(kind)),
        Content::Rejected { reason, bytes, extension } => {
            let reject = Reject { origin, attachment, reason, bytes: Some(bytes), extension, arrival };
            return pieces.push(Piece::Rejected(reject, findings));
        }
    };
    let read = reports(&xml, &Context { attachment: attachment.as_deref(), arrival }, &options.limits);
    let original = Arc::new(original.unwrap_or(Original::Xml(xml)));
    for read in read {
        pieces.push(match read {
            Read::Report { report, findings: more } => {
                let (verdicts, odd) = judge(&report);
                let mut mail = mail.clone();
                let other = mail.as_mut().and_then(|mail| {
                    let (sender_auth, other) = proven(mail.sender_auth, proof, &report);
                    mail.sender_auth = sender_auth;
                    other
                });
                // What was odd on the way down is told once, with the first report of the bytes.
                let way = std::mem::take(&mut findings).into_iter().chain(other);
                let marks = marks(&options.trust, mail.as_ref(), proof, &report);
                let findings = way.chain(marks).chain(more).chain(odd).collect();
                let provenance = Provenance { origin: origin.clone(), attachment: attachment.clone(), arrival, mail };
                Piece::Report(Box::new(Accepted { report, verdicts, findings, original: original.clone(), provenance }))
            }
            Read::Rejected { reason } => {
                let (bytes, extension) = match original.as_ref() {
                    Original::Xml(bytes) => (bytes.clone(), "xml"),
                    Original::Gzip(bytes) => (bytes.clone(), "xml.gz"),
                };
                let (origin, attachment) = (origin.clone(), attachment.clone());
                let reject = Reject { origin, attachment, reason, bytes: Some(bytes), extension, arrival };
                Piece::Rejected(reject, std::mem::take(&mut findings))
            }
            Read::NotReport => Piece::SetAside(Kind::Other),
        });
    }
}

/// The findings of a mail that is forged, and of a report on another's domain.
pub(super) fn marks(
    trust: &Trust,
    mail: Option<&MailFacts>,
    proof: &Proof,
    report: &Report,
) -> impl Iterator<Item = Finding> {
    unauthenticated(mail, proof).into_iter().chain(trust.foreign(report.policy.domain.as_str()))
}

/// The finding of a mail that its own border called forged, or whose signature does not verify.
fn unauthenticated(mail: Option<&MailFacts>, proof: &Proof) -> Option<Finding> {
    let mail = mail.filter(|mail| mail.sender_auth == SenderAuth::Fail)?;
    let from = mail.from_domain.as_deref().unwrap_or("nobody");
    let detail = match proof {
        Proof::Broken(why) => format!("{why}; From {}", Quoted(from)),
        _ => format!("the border recorded dmarc=fail for the mail, From {from}"),
    };
    Some(Finding::new(Code::MAIL_UNAUTHENTICATED, detail))
}

impl Worked {
    /// About how much memory it holds, in bytes.
    pub(super) fn weight(&self) -> usize {
        let pieces = match &self.contents {
            Contents::Pieces(pieces) => pieces.as_slice(),
            Contents::Seen(_) => &[],
        };
        let weights = pieces.iter().map(|piece| match piece {
            Piece::Report(accepted) => accepted.weight(),
            Piece::SetAside(_) => 64,
            Piece::Rejected(reject, _) => 512 + reject.bytes.as_ref().map_or(0, Vec::len),
        });
        weights.sum::<usize>() + 256
    }
}
