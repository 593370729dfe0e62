//! The same stages without a store: judged reports go to a [`ReportSink`], each once, on the caller's thread.
//!
//! A source may contain flushes, at which the output is complete so far. Only the key and hash of each report are kept,
//! to recognize it again.

use super::counter::{Counter, ToldReport};
use super::pieces::{ItemPart, Piece};
use super::run::{RunMemory, through};
use super::work::{Done, ItemContents};
use super::{IngestOptions, Observer, Tally};
use crate::fetch::{FetchError, Fetched};
use crate::model::{Accepted, AcceptedTls, Hash, ReportKey};
use crate::store::{Added, Reject, Rejected, StoreError};
use crate::unpack::OtherContent;
use std::collections::{HashMap, HashSet};

/// Reads a source into a sink, from flush to flush: while `has_more` returns true, the source is read again after its
/// end.
///
/// # Errors
/// Those of the sink. Errors of the source are reported to the observer and counted instead.
pub fn convert<S: Iterator<Item = Result<Fetched, FetchError>> + Send>(
    mut source: S,
    has_more: impl Fn(&S) -> bool,
    options: &IngestOptions,
    observer: &mut dyn Observer,
    sink: &mut dyn ReportSink,
) -> Result<Tally, StoreError> {
    let mut reader = Deduplicator::new(observer, sink);
    loop {
        through(&mut source, options, &RunMemory::default(), |worked| reader.take(worked))?;
        reader.stretch()?;
        if !has_more(&source) || options.is_interrupted() {
            break;
        }
    }
    Ok(Tally { interrupted: options.is_interrupted(), ..reader.counter.tally })
}

/// Reads a source, each report once, in order.
///
/// # Errors
/// None of its own; those of the type are the store's.
pub fn read(
    source: impl Iterator<Item = Result<Fetched, FetchError>> + Send,
    options: &IngestOptions,
    observer: &mut dyn Observer,
    each: &mut dyn FnMut(Accepted),
) -> Result<Tally, StoreError> {
    convert(source, |_| false, options, observer, &mut ReportsOnly(each))
}

/// A sink of reports alone.
struct ReportsOnly<'a>(&'a mut dyn FnMut(Accepted));

impl ReportSink for ReportsOnly<'_> {
    fn stored(&mut self, accepted: Accepted) -> Result<(), StoreError> {
        (self.0)(accepted);
        Ok(())
    }
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// A report, passed to the sink.
    Stored,
    /// Known.
    Duplicate,
    /// A report with the same key as another, different one.
    Conflict,
    /// Neither a report nor an error.
    SetAside,
    /// It should have been a report and could not be read.
    Rejected,
}

impl Destination {
    /// Its name in the output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::SetAside => "set_aside",
            Self::Rejected => "rejected",
        }
    }
}

impl From<Added> for Destination {
    fn from(added: Added) -> Self {
        match added {
            Added::Stored | Added::Replaced(_) => Self::Stored,
            Added::Duplicate => Self::Duplicate,
            Added::Conflict => Self::Conflict,
        }
    }
}

/// What became of one item, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed<'a> {
    /// Where it came from.
    pub origin: &'a str,
    /// What became of it.
    pub place: Destination,
    /// Why, if that is not obvious.
    pub reason: Option<&'a str>,
    /// The key of a report.
    pub key: Option<ReportKey>,
}

impl<'a> Placed<'a> {
    pub(super) const fn aside(origin: &'a str, kind: OtherContent) -> Self {
        let reason = match kind {
            OtherContent::Failure => "a failure report",
            OtherContent::Bounce => "a bounce",
            OtherContent::Other => "no report",
        };
        Self { origin, place: Destination::SetAside, reason: Some(reason), key: None }
    }

    pub(super) const fn link_out(origin: &'a str) -> Self {
        let reason = "a symbolic link that leads out of its folder, not followed";
        Self { origin, place: Destination::SetAside, reason: Some(reason), key: None }
    }
}

/// Receives what a run finds. An error ends the run.
pub trait ReportSink {
    /// A report, the first with its key.
    ///
    /// # Errors
    /// If it cannot be passed on.
    fn stored(&mut self, accepted: Accepted) -> Result<(), StoreError>;

    /// A TLS report, the first with its key.
    ///
    /// # Errors
    /// If it cannot be passed on.
    fn stored_tls(&mut self, accepted: AcceptedTls) -> Result<(), StoreError> {
        let _ = accepted;
        Ok(())
    }

    /// What became of an item; called for a report after it was passed on.
    ///
    /// # Errors
    /// If it cannot be noted.
    fn placed(&mut self, placed: &Placed<'_>) -> Result<(), StoreError> {
        let _ = placed;
        Ok(())
    }

    /// Whether known reports are forgotten at each flush, so that the same reports count again after it.
    fn forgets(&self) -> bool {
        false
    }

    /// Everything up to a flush of the source was passed on.
    ///
    /// # Errors
    /// If buffered output cannot be written.
    fn stretch(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Passes judged reports on, each once.
struct Deduplicator<'a> {
    observer: &'a mut dyn Observer,
    sink: &'a mut dyn ReportSink,
    counter: Counter,
    reports: HashMap<ReportKey, Hash>,
    conflicts: HashSet<(ReportKey, Hash)>,
    rejected: HashSet<Hash>,
}

impl<'a> Deduplicator<'a> {
    fn new(observer: &'a mut dyn Observer, sink: &'a mut dyn ReportSink) -> Self {
        Self {
            observer,
            sink,
            counter: Counter::default(),
            reports: HashMap::new(),
            conflicts: HashSet::new(),
            rejected: HashSet::new(),
        }
    }

    fn take(&mut self, done: Done) -> Result<(), StoreError> {
        let worked = match done {
            Done::Part(ItemPart { origin, pieces }) => return self.place_all(&origin, pieces),
            Done::Whole(worked) => worked,
            Done::Fault(fault) => {
                self.counter.tally.faults += 1;
                self.observer.fault(&fault);
                return Ok(());
            }
            Done::ForAnother(..) => unreachable!("without a store nothing is known of earlier runs"),
        };
        match worked.contents {
            ItemContents::Seen(seen) => self.counter.seen(seen),
            ItemContents::Alone(_) => {}
            ItemContents::Pieces(pieces) => self.place_all(&worked.origin, pieces)?,
        }
        let count = std::mem::take(&mut self.counter.item);
        self.observer.item(&worked.origin, &count.outcome);
        Ok(())
    }

    fn place_all(&mut self, item: &str, pieces: Vec<Piece>) -> Result<(), StoreError> {
        pieces.into_iter().try_for_each(|piece| self.place(item, piece))
    }

    fn place(&mut self, item: &str, piece: Piece) -> Result<(), StoreError> {
        match piece {
            Piece::Report(accepted) => {
                let (key, told) = (accepted.report.key, ToldReport::from(&*accepted));
                let added = self.added(key, accepted.content);
                if added == Added::Stored {
                    self.sink.stored(*accepted)?;
                }
                self.placed(key, added, &told)
            }
            Piece::TlsReport(accepted) => {
                let (key, told) = (accepted.report.key, ToldReport::from(&*accepted));
                let added = self.added(key, accepted.report.content);
                if added == Added::Stored {
                    self.sink.stored_tls(*accepted)?;
                }
                self.placed(key, added, &told)
            }
            Piece::SetAside(kind) => {
                self.counter.set_aside(kind, 1);
                self.sink.placed(&Placed::aside(item, kind))
            }
            Piece::LinkOut => {
                self.counter.link_out();
                self.sink.placed(&Placed::link_out(item))
            }
            Piece::Rejected(reject, findings) => {
                let (rejected, place) = if self.rejected.insert(reject.identity()) {
                    (Rejected::New, Destination::Rejected)
                } else {
                    (Rejected::Known, Destination::Duplicate)
                };
                let Reject { origin, reason, .. } = &reject;
                self.counter.rejected(rejected, (origin, reason), &findings);
                self.sink.placed(&Placed { origin, place, reason: Some(reason), key: None })
            }
        }
    }

    /// A report was passed on, if it is the first with its key.
    fn placed(&mut self, key: ReportKey, added: Added, told: &ToldReport) -> Result<(), StoreError> {
        self.counter.report(added, told);
        self.sink.placed(&Placed { origin: &told.origin, place: added.into(), reason: None, key: Some(key) })
    }

    /// The source reached a flush.
    fn stretch(&mut self) -> Result<(), StoreError> {
        if self.sink.forgets() {
            self.reports.clear();
            self.conflicts.clear();
            self.rejected.clear();
        }
        self.sink.stretch()
    }

    fn added(&mut self, key: ReportKey, content: Hash) -> Added {
        match self.reports.get(&key) {
            None => {
                self.reports.insert(key, content);
                Added::Stored
            }
            Some(known) if *known == content || !self.conflicts.insert((key, content)) => Added::Duplicate,
            Some(_) => Added::Conflict,
        }
    }
}
