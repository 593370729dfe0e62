//! What is found in the bytes of an item: unpacked, normalized and judged, and so is the mail that brought it.

use super::IngestOptions;
use super::parsed::{ParsedReport, accept_tls, each_read};
use super::trust::NamedReporter;
use crate::model::{
    Accepted, AcceptedTls, Finding, MailFacts, Original, Proof, Provenance, RawMail, ReportKind, SharedBytes,
};
use crate::normalize::{Context, Read, content_hash, tls_report};
use crate::store::Reject;
use crate::unpack::{Content, OtherContent, UnpackedItem, unpack, with_mails};
use jiff::Timestamp;
use memchr::memmem;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Bytes of the mails of one item that are kept to verify their signatures.
const VERIFIED: usize = 32 << 20;
/// Results of an item are passed on when they reach this size; the rest is processed after they are stored.
const HANDED_ON: usize = 8 << 20;

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

/// A part of what was found in a large item: the rest follows, and then the item.
#[derive(Debug)]
pub(super) struct ItemPart {
    pub(super) origin: String,
    pub(super) pieces: Vec<Piece>,
}

/// Takes the parts of a large item.
pub(super) type PartSink<'h> = &'h mut dyn FnMut(ItemPart);

/// Reads everything in the bytes of an item. Returns what was not handed on.
pub(super) fn pieces(
    (origin, name): (&str, Option<&str>),
    bytes: Vec<u8>,
    arrival: Timestamp,
    options: &IngestOptions,
    hand_on: PartSink<'_>,
) -> Vec<Piece> {
    let unpacked = match options.verifier {
        Some(_) => with_mails(bytes, name, &options.limits, VERIFIED),
        None => unpack(bytes, name, &options.limits),
    };
    let mut found = Found { origin, pieces: Vec::new(), weight: 0, hand_on };
    let mut proofs = Proofs { options, arrival, known: Vec::new() };
    // Each of them stays in memory until it was read.
    let mut held: usize = unpacked.items.iter().map(|unit| unit.content.bytes()).sum();
    for unit in unpacked.items {
        held -= unit.content.bytes();
        let UnpackedItem { path, attachment, mail, findings, attached, raw_mail, content } = unit;
        let origin = std::iter::once(origin).chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join(" > ");
        let mail = unpacked.mail.as_ref().or(mail.as_ref()).map(|mail| MailFacts { attached, ..mail.clone() });
        let source = PieceSource { provenance: Provenance { origin, attachment, arrival, mail }, raw_mail };
        match content {
            Content::Report { xml, original } => {
                source.reports((xml, original), held, findings, &mut proofs, &mut found);
            }
            Content::TlsReport { json, original } => {
                found.push(source.tls_report(json, original, findings, &mut proofs));
            }
            Content::SetAside(kind) => found.push(Piece::SetAside(kind)),
            Content::Rejected { reason, bytes, extension } => {
                found.push(source.reject(reason, bytes.into(), extension, findings));
            }
        }
    }
    found.pieces
}

/// Where pieces come from.
struct PieceSource {
    /// With what is known of the mail before it was judged.
    provenance: Provenance,
    raw_mail: Option<Arc<RawMail>>,
}

impl PieceSource {
    fn context(&self) -> Context<'_> {
        Context { attachment: self.provenance.attachment.as_deref(), arrival: self.provenance.arrival }
    }

    fn reject(&self, reason: String, bytes: SharedBytes, extension: &'static str, findings: Vec<Finding>) -> Piece {
        let Provenance { origin, attachment, arrival, .. } = &self.provenance;
        let (origin, attachment, arrival) = (origin.clone(), attachment.clone(), *arrival);
        Piece::Rejected(Reject { origin, attachment, reason, bytes: Some(bytes), extension, arrival }, findings)
    }

    /// Where a report came from, with its mail judged, and what that found.
    fn judged(
        &self,
        reporter: NamedReporter<'_>,
        kind: ReportKind,
        proofs: &mut Proofs<'_>,
    ) -> (Provenance, Option<Finding>) {
        let mut provenance = self.provenance.clone();
        let finding = provenance.mail.as_mut().and_then(|mail| {
            let trust = &proofs.options.trust;
            let (auth, finding) = trust.judge(mail, reporter, || proofs.proof(self.raw_mail.as_ref(), kind));
            mail.sender_auth = auth;
            finding
        });
        (provenance, finding)
    }

    /// Reads the reports in XML; `held` is how many bytes of other parts are in memory meanwhile.
    fn reports(
        &self,
        (xml, original): (Vec<u8>, Option<Original>),
        mut held: usize,
        mut findings: Vec<Finding>,
        proofs: &mut Proofs<'_>,
        found: &mut Found<'_>,
    ) {
        let options = proofs.options;
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
        let mut last: Option<Piece> = None;
        each_read(text, held, &self.context(), &options.limits, |read, document| {
            let piece = match read {
                Read::Report { report, findings: more } => {
                    let (provenance, sender) = self.judged((&report).into(), ReportKind::Aggregate, proofs);
                    // Findings about the layers around are reported once, with the first report of the bytes.
                    let around = std::mem::take(&mut findings).into_iter().chain(sender);
                    let parsed = ParsedReport { report, content: content_hash(document), findings: more };
                    Piece::Report(Box::new(parsed.accept(around, original.clone(), provenance, &options.trust)))
                }
                Read::Rejected { reason } => {
                    let extension = original.extension(ReportKind::Aggregate);
                    self.reject(reason, whole.clone(), extension, std::mem::take(&mut findings))
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
        last.into_iter().for_each(|piece| found.push(piece));
    }

    fn tls_report(
        &self,
        json: Vec<u8>,
        original: Option<Original>,
        mut findings: Vec<Finding>,
        proofs: &mut Proofs<'_>,
    ) -> Piece {
        let options = proofs.options;
        let read = tls_report(&json, &self.context(), &options.limits);
        let original = Arc::new(original.unwrap_or(Original::Plain(json)));
        match read {
            Ok(read) => {
                let (provenance, sender) = self.judged((&read.report).into(), ReportKind::Tls, proofs);
                findings.extend(sender);
                Piece::TlsReport(Box::new(accept_tls(read, findings, original, provenance, &options.trust)))
            }
            Err(reason) => {
                let extension = original.extension(ReportKind::Tls);
                self.reject(reason, original.into(), extension, findings)
            }
        }
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

impl Piece {
    /// About how much memory it adds to the one before it, in bytes. Results from one file follow each other and share
    /// its bytes.
    fn weight(&self, before: Option<&Self>) -> usize {
        match (self, before) {
            (Self::Report(accepted), Some(Self::Report(before))) => {
                accepted.weight() + accepted.original_weight(Some(before))
            }
            (Self::Report(accepted), _) => accepted.weight() + accepted.original_weight(None),
            (Self::TlsReport(accepted), _) => accepted.weight() + accepted.original_weight(None),
            (Self::SetAside(_) | Self::LinkOut, _) => 64,
            (Self::Rejected(reject, _), before) => {
                let before = if let Some(Self::Rejected(before, _)) = before { before.bytes.as_ref() } else { None };
                let added = reject.bytes.as_ref().filter(|bytes| !before.is_some_and(|before| before.is_same(bytes)));
                512 + added.map_or(0, |bytes| bytes.len())
            }
        }
    }
}

/// About how much memory pieces of one item hold, in bytes.
pub(super) fn weight(pieces: &[Piece]) -> usize {
    let first = pieces.first().map_or(0, |piece| piece.weight(None));
    first + pieces.windows(2).map(|pair| pair[1].weight(Some(&pair[0]))).sum::<usize>()
}
