//! Runs one item through the pure stages: unpack, normalize, judge. It runs on any thread, and no input makes it fail.

use super::IngestOptions;
use super::trial::{StoredAlone, Survival, TrialItem};
use super::underway::{Suspicion, Underway};
use crate::fetch::{FetchError, Fetched, Item};
use crate::judge::judge;
use crate::limits::{Grown, return_freed_memory};
use crate::model::{
    Accepted, AcceptedTls, Finding, Hash, MailFacts, Message, Original, Proof, Provenance, RawMail, ReportKind,
    SharedBytes,
};
use crate::normalize::{Context, Read, ReadTls, content_hash, each_report, tls_report};
use crate::store::{Memory, Reject, SeenItem, StoreError};
use crate::unpack::{Content, OtherContent, UnpackedItem, unpack, with_mails};
use jiff::Timestamp;
use memchr::memmem;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// One thing found in an item.
#[derive(Debug)]
pub(super) enum Piece {
    Report(Box<Accepted>),
    TlsReport(Box<AcceptedTls>),
    SetAside(OtherContent),
    /// A symbolic link that was not followed.
    LinkOut,
    Rejected(Reject, Vec<Finding>),
}

/// An item processed as far as possible without a store.
#[derive(Debug)]
pub(super) struct Worked {
    pub(super) origin: String,
    pub(super) message: Option<Message>,
    /// The hash of its bytes; `None` if there were none.
    pub(super) hash: Option<Hash>,
    /// When it arrived.
    pub(super) arrival: Timestamp,
    pub(super) contents: ItemContents,
}

/// What became of the bytes.
#[derive(Debug)]
pub(super) enum ItemContents {
    /// They were read now.
    Pieces(Vec<Piece>),
    /// They were read before, and were counted like this.
    Seen(SeenItem),
    /// Stored by another process.
    Alone(StoredAlone),
}

/// A part of what was found in a large item: the rest follows, and then the item.
#[derive(Debug)]
pub(super) struct ItemPart {
    pub(super) origin: String,
    pub(super) pieces: Vec<Piece>,
}

/// Results of an item.
#[derive(Debug)]
pub(super) enum Done {
    /// A part of them.
    Part(ItemPart),
    /// The rest; the item is done.
    Whole(Worked),
    /// This run does not process it: another process stores it.
    ForAnother(Item, Hash),
    /// It is left to a later run.
    Fault(FetchError),
}

impl Done {
    /// What was found.
    pub(super) fn into_pieces(self) -> Vec<Piece> {
        match self {
            Self::Part(part) => part.pieces,
            Self::Whole(Worked { contents: ItemContents::Pieces(pieces), .. }) => pieces,
            Self::Whole(_) | Self::ForAnother(..) | Self::Fault(_) => Vec::new(),
        }
    }

    /// About how much memory it holds, in bytes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Part(part) => weight(&part.pieces),
            Self::Whole(Worked { contents: ItemContents::Pieces(pieces), .. }) => weight(pieces) + 256,
            Self::Whole(_) | Self::Fault(_) => 256,
            Self::ForAnother(item, _) => item.bytes.len(),
        }
    }
}

/// The largest item whose bytes are copied before processing, so that they survive a panic.
const COPIED: usize = 16 << 20;
/// Bytes of the mails of one item that are kept to verify their signatures.
const VERIFIED: usize = 32 << 20;

/// Results of an item are passed on when they reach this size; the rest is processed after they are stored.
const HANDED_ON: usize = 8 << 20;

/// Memory of a text of this size is returned to the system before its results are passed on.
pub(super) const LARGE_TEXT: usize = 16 << 20;

/// More than any item needs: a request for this much gets everything.
const WHOLE: u64 = 1 << 40;

/// What a source returned, with the hash of its bytes, if any.
#[derive(Debug)]
pub(super) struct Hashed {
    fetched: Fetched,
    pub(super) hash: Option<Hash>,
}

impl From<Fetched> for Hashed {
    fn from(fetched: Fetched) -> Self {
        let hash = match &fetched {
            Fetched::Item(item) => Some(Hash(Sha256::digest(&item.bytes).into())),
            _ => None,
        };
        Self { fetched, hash }
    }
}

/// What is known about items from earlier runs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KnownItems<'a> {
    /// Those that were committed.
    pub(super) memory: Option<&'a Memory>,
    /// Those that may have crashed a run.
    pub(super) underway: Option<&'a Underway>,
}

/// Takes the parts of a large item.
pub(super) type PartSink<'h> = &'h mut dyn FnMut(ItemPart);

/// Runs an item through the pure stages.
pub(super) fn work(
    hashed: Hashed,
    options: &IngestOptions,
    known: &KnownItems<'_>,
    hand_on: PartSink<'_>,
) -> Result<Done, StoreError> {
    let Hashed { fetched, hash } = hashed;
    Ok(Done::Whole(match fetched {
        Fetched::Item(item) => {
            let hash = hash.unwrap_or_else(|| Hash(Sha256::digest(&item.bytes).into()));
            return work_item(item, hash, options, known, hand_on);
        }
        Fetched::SetAside { origin } => {
            let contents = ItemContents::Pieces(vec![Piece::SetAside(OtherContent::Other)]);
            Worked { origin, message: None, hash: None, arrival: options.now, contents }
        }
        Fetched::LinkOut { origin } => {
            let contents = ItemContents::Pieces(vec![Piece::LinkOut]);
            Worked { origin, message: None, hash: None, arrival: options.now, contents }
        }
        Fetched::TooLarge { origin, size, limit, message } => {
            let bound = crate::limits::Bound::ItemBytes;
            let excess = crate::limits::LimitExceeded { bound, amount: Some(size), limit };
            unread(origin, excess.to_string(), message, options.now)
        }
        // Not processed: the cursor does not pass the message, and a later run requests it again.
        Fetched::Unfetched { origin, reason, .. } => unread(origin, reason, None, options.now),
    }))
}

/// An item without bytes.
fn unread(origin: String, reason: String, message: Option<Message>, now: Timestamp) -> Worked {
    let reject = Reject { origin: origin.clone(), attachment: None, reason, bytes: None, extension: "", arrival: now };
    let contents = ItemContents::Pieces(vec![Piece::Rejected(reject, Vec::new())]);
    Worked { origin, message, hash: None, arrival: now, contents }
}

fn work_item(
    item: Item,
    hash: Hash,
    options: &IngestOptions,
    known: &KnownItems<'_>,
    hand_on: PartSink<'_>,
) -> Result<Done, StoreError> {
    if let Some(seen) = known.memory.map_or(Ok(None), |memory| memory.seen(hash))? {
        known.underway.iter().for_each(|underway| underway.is_known(hash));
        let Item { origin, message, arrival, .. } = item;
        return Ok(Done::Whole(Worked {
            origin,
            message,
            hash: Some(hash),
            arrival,
            contents: ItemContents::Seen(seen),
        }));
    }
    if let (Some(trial), Some(underway)) = (&options.trial, known.underway) {
        match underway.suspicion(hash) {
            Some(Suspicion::Tried) => return Ok(Done::ForAnother(item, hash)),
            Some(Suspicion::UnderWay) => match trial.survives(&TrialItem::from(&item)) {
                Survival::Died(how) => return Ok(Done::Whole(deadly(item, hash, &how))),
                Survival::Unknown(reason) => {
                    return Ok(Done::Fault(FetchError::Left { origin: item.origin, reason }));
                }
                Survival::Survived => {
                    // If this run dies of it all the same, no later run processes it: another process does.
                    underway.survived(hash)?;
                    // Alone in memory, as it was in the trial.
                    options.limits.growth.tell(Grown::Inflated(WHOLE));
                }
            },
            None => {}
        }
    }
    let Item { origin, name, bytes, arrival, message } = item;
    let copy = (bytes.len() <= COPIED).then(|| bytes.clone());
    let mut found = Found { origin: &origin, pieces: Vec::new(), weight: 0, hand_on };
    let worked =
        catch_unwind(AssertUnwindSafe(|| pieces((&origin, name.as_deref()), bytes, arrival, options, &mut found)));
    let mut pieces = found.pieces;
    // One item triggered a bug: it is kept as rejected, named, and the run continues.
    if let Err(panic) = worked {
        let reason = format!("internal error: {}", panic_text(panic.as_ref()));
        if copy.is_none() {
            // Only its source still has it: there it stays.
            return Ok(Done::Fault(FetchError::Left { origin: origin.clone(), reason }));
        }
        let (origin, attachment) = (origin.clone(), name);
        pieces = vec![Piece::Rejected(
            Reject { origin, attachment, reason, bytes: copy.map(SharedBytes::from), extension: "bin", arrival },
            Vec::new(),
        )];
    }
    Ok(Done::Whole(Worked { origin, message, hash: Some(hash), arrival, contents: ItemContents::Pieces(pieces) }))
}

/// What was found in an item and is not passed on yet.
struct Found<'f> {
    origin: &'f str,
    pieces: Vec<Piece>,
    weight: usize,
    hand_on: PartSink<'f>,
}

impl Found<'_> {
    fn push(&mut self, piece: Piece) {
        self.weight += piece.weight(self.pieces.last());
        self.pieces.push(piece);
        if self.weight >= HANDED_ON {
            self.weight = 0;
            (self.hand_on)(ItemPart { origin: self.origin.to_owned(), pieces: std::mem::take(&mut self.pieces) });
        }
    }
}

/// An item that ended a process that had no other: it is kept, and not processed again unless a user requests it.
pub(super) fn deadly(item: Item, hash: Hash, how: &str) -> Worked {
    let Item { origin, name, bytes, arrival, message } = item;
    let reason = format!("ended the program: {how}");
    let (bytes, extension) = (Some(bytes.into()), "bin");
    let reject = Reject { origin: origin.clone(), attachment: name, reason, bytes, extension, arrival };
    let contents = ItemContents::Pieces(vec![Piece::Rejected(reject, Vec::new())]);
    Worked { origin, message, hash: Some(hash), arrival, contents }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn pieces(
    (origin, name): (&str, Option<&str>),
    bytes: Vec<u8>,
    arrival: Timestamp,
    options: &IngestOptions,
    found: &mut Found<'_>,
) {
    let unpacked = match options.verifier {
        Some(_) => with_mails(bytes, name, &options.limits, VERIFIED),
        None => unpack(bytes, name, &options.limits),
    };
    let mut proofs = Proofs { options, arrival, known: Vec::new() };
    // All of them are in memory until each was read.
    let mut held: usize = unpacked.items.iter().map(|unit| unit.content.bytes()).sum();
    for unit in unpacked.items {
        held -= unit.content.bytes();
        let mail = unpacked.mail.as_ref().or(unit.mail.as_ref());
        let mail = mail.map(|mail| MailFacts { attached: unit.attached, ..mail.clone() });
        let mut steps = vec![origin.to_owned()];
        steps.extend(unit.path.iter().cloned());
        let origin = steps.join(" > ");
        unit_pieces(unit, ItemContext { origin, mail, arrival, held }, &mut proofs, found);
    }
}

/// What the signatures of the mails in an item prove, each verified once.
struct Proofs<'o> {
    options: &'o IngestOptions,
    arrival: Timestamp,
    known: Vec<(Arc<RawMail>, ReportKind, Proof)>,
}

impl Proofs<'_> {
    fn proof(&mut self, mail: Option<&Arc<RawMail>>, kind: ReportKind) -> Proof {
        let (Some(verifier), Some(mail)) = (&self.options.verifier, mail) else { return Proof::Open };
        let is_it = |(known, of, _): &&(Arc<RawMail>, ReportKind, Proof)| Arc::ptr_eq(known, mail) && *of == kind;
        if let Some((.., proof)) = self.known.iter().find(is_it) {
            return proof.clone();
        }
        // A failure to verify loses no report.
        let proof = catch_unwind(AssertUnwindSafe(|| verifier.proof(mail, self.arrival, kind))).unwrap_or_default();
        self.known.push((mail.clone(), kind, proof.clone()));
        proof
    }
}

/// What a part inherits from its item.
struct ItemContext {
    origin: String,
    mail: Option<MailFacts>,
    arrival: Timestamp,
    /// Bytes of its other parts, which are in memory while this one is read.
    held: usize,
}

fn unit_pieces(unit: UnpackedItem, around: ItemContext, proofs: &mut Proofs<'_>, found: &mut Found<'_>) {
    let UnpackedItem { attachment, mut findings, raw_mail, content, .. } = unit;
    let options = proofs.options;
    let (xml, original) = match content {
        Content::Report { xml, original } => (xml, original),
        Content::TlsReport { json, original } => {
            let way = UnitContext { attachment, findings, raw_mail };
            return found.push(tls_piece((json, original), way, around, proofs));
        }
        Content::SetAside(kind) => return found.push(Piece::SetAside(kind)),
        Content::Rejected { reason, bytes, extension } => {
            let ItemContext { origin, arrival, .. } = around;
            let bytes = Some(bytes.into());
            let reject = Reject { origin, attachment, reason, bytes, extension, arrival };
            return found.push(Piece::Rejected(reject, findings));
        }
    };
    let ItemContext { origin, mail, arrival, mut held } = around;
    let context = Context { attachment: attachment.as_deref(), arrival };
    // If the bytes are the XML itself, everything made from it shares them while it is read.
    let (xml, original) = match original {
        Some(original) => (Some(xml), Arc::new(original)),
        None => (None, Arc::new(Original::Plain(xml))),
    };
    // Each of a thousand broken documents in one file is rejected with the same bytes.
    let whole = SharedBytes::from(original.clone());
    if xml.is_some() {
        held += original.bytes().len();
    }
    let text = xml.map_or_else(|| Cow::Borrowed(original.bytes()), Cow::Owned);
    // A single report is passed on after the XML is dropped; one of several before the next is read.
    let is_single = memmem::find_iter(&text, b"</feedback>").nth(1).is_none();
    let is_large = text.len() >= LARGE_TEXT;
    let mut last: Option<Piece> = None;
    each_report(text, held, &context, &options.limits, |read, document| {
        let piece = match read {
            Read::Report { report, findings: more } => {
                let (verdicts, odd) = judge(&report);
                let mut mail = mail.clone();
                let sender = mail.as_mut().and_then(|mail| {
                    let (auth, finding) = options
                        .trust
                        .judge(mail, (&report).into(), || proofs.proof(raw_mail.as_ref(), ReportKind::Aggregate));
                    mail.sender_auth = auth;
                    finding
                });
                // Findings about the layers around are reported once, with the first report of the bytes.
                let way = std::mem::take(&mut findings).into_iter().chain(sender);
                let foreign = options.trust.foreign(report.policy.domain.as_str());
                let findings = way.chain(foreign).chain(more).chain(odd).collect();
                let provenance = Provenance { origin: origin.clone(), attachment: attachment.clone(), arrival, mail };
                let (content, original) = (content_hash(document), original.clone());
                Piece::Report(Box::new(Accepted { report, content, verdicts, findings, original, provenance }))
            }
            Read::Rejected { reason } => {
                let extension = original.extension(ReportKind::Aggregate);
                let (origin, attachment, bytes) = (origin.clone(), attachment.clone(), Some(whole.clone()));
                let reject = Reject { origin, attachment, reason, bytes, extension, arrival };
                Piece::Rejected(reject, std::mem::take(&mut findings))
            }
            Read::NotReport => Piece::SetAside(OtherContent::Other),
        };
        last.take().into_iter().for_each(|piece| found.push(piece));
        if is_single {
            last = Some(piece);
        } else {
            found.push(piece);
        }
    });
    if is_large {
        // The text is dropped, and the rows now become columns.
        return_freed_memory();
    }
    last.into_iter().for_each(|piece| found.push(piece));
}

/// What is known about a unit from the layers around it.
struct UnitContext {
    attachment: Option<String>,
    findings: Vec<Finding>,
    raw_mail: Option<Arc<RawMail>>,
}

fn tls_piece(
    (json, original): (Vec<u8>, Option<Original>),
    way: UnitContext,
    around: ItemContext,
    proofs: &mut Proofs<'_>,
) -> Piece {
    let UnitContext { attachment, mut findings, raw_mail } = way;
    let ItemContext { origin, mut mail, arrival, .. } = around;
    let options = proofs.options;
    let read = tls_report(&json, &Context { attachment: attachment.as_deref(), arrival }, &options.limits);
    let original = Arc::new(original.unwrap_or(Original::Plain(json)));
    match read {
        ReadTls::Report { report, findings: more } => {
            if let Some(mail) = &mut mail {
                let proof = || proofs.proof(raw_mail.as_ref(), ReportKind::Tls);
                let (auth, finding) = options.trust.judge(mail, (&report).into(), proof);
                mail.sender_auth = auth;
                findings.extend(finding);
            }
            findings.extend(report.domains().into_iter().filter_map(|domain| options.trust.foreign(domain)));
            findings.extend(more);
            let provenance = Provenance { origin, attachment, arrival, mail };
            Piece::TlsReport(Box::new(AcceptedTls { report, findings, original, provenance }))
        }
        ReadTls::Rejected { reason } => {
            let extension = original.extension(ReportKind::Tls);
            let bytes = Some(SharedBytes::from(original));
            Piece::Rejected(Reject { origin, attachment, reason, bytes, extension, arrival }, findings)
        }
    }
}

impl Piece {
    /// About how much memory it adds to the one before it, in bytes. Results from one file follow each other and share
    /// its bytes.
    fn weight(&self, before: Option<&Self>) -> usize {
        match self {
            Self::Report(accepted) => {
                let before = match before {
                    Some(Self::Report(before)) => Some(&**before),
                    _ => None,
                };
                accepted.weight() + accepted.original_weight(before)
            }
            Self::TlsReport(accepted) => accepted.weight() + accepted.original_weight(None),
            Self::SetAside(_) | Self::LinkOut => 64,
            Self::Rejected(reject, _) => {
                let bytes = reject.bytes.as_ref();
                let shared = match before {
                    Some(Self::Rejected(before, _)) => {
                        before.bytes.as_ref().zip(bytes).is_some_and(|(before, bytes)| before.is_same(bytes))
                    }
                    _ => false,
                };
                512 + bytes.filter(|_| !shared).map_or(0, |bytes| bytes.len())
            }
        }
    }
}

fn weight(pieces: &[Piece]) -> usize {
    let first = pieces.first().map_or(0, |piece| piece.weight(None));
    first + pieces.windows(2).map(|pair| pair[1].weight(Some(&pair[0]))).sum::<usize>()
}
