//! Puts each item in its place, in a store or without one.

use super::trial::StoredAlone;
use super::underway::Underway;
use super::work::{Done, ItemContents, ItemPart, Piece, Worked};
use super::{Destination, IngestError, ItemOutcome, Observer, Placed, ReportSink, Tally};
use crate::fetch::{FetchError, Item};
use crate::model::{Accepted, Fate, Finding, Hash, ReportKey};
use crate::normalize::is_no_longer_ahead;
use crate::store::{Added, Reject, Rejected, SeenItem, Writer};
use crate::unpack::OtherContent;
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};

/// Counts an item's content while it is saved.
#[derive(Default)]
struct Count {
    outcome: ItemOutcome,
    seen: SeenItem,
    /// Something was rejected only because its period is in the future.
    ahead: bool,
}

impl Count {
    fn report(&mut self, tally: &mut Tally, added: Added, accepted: &ReportOutcome) {
        self.seen.reports += 1;
        tally.items += 1;
        match added {
            Added::Stored => {
                self.outcome.stored += 1;
                tally.stored.reports += 1;
                tally.stored.records += accepted.records;
                tally.stored.messages = tally.stored.messages.saturating_add(accepted.messages);
                tally.stored.dmarc_pass = tally.stored.dmarc_pass.saturating_add(accepted.dmarc_pass);
                tally.find(&accepted.origin, &accepted.findings);
            }
            Added::Duplicate => {
                self.outcome.duplicates += 1;
                tally.duplicates += 1;
            }
            Added::Conflict => {
                self.outcome.conflicts += 1;
                tally.conflicts += 1;
            }
            Added::Replaced(replaced) => {
                self.outcome.stored += 1;
                tally.replace(replaced);
                tally.stored.records += accepted.records;
                tally.stored.messages = tally.stored.messages.saturating_add(accepted.messages);
                tally.stored.dmarc_pass = tally.stored.dmarc_pass.saturating_add(accepted.dmarc_pass);
                tally.find(&accepted.origin, &accepted.findings);
            }
        }
    }

    fn tls_report(&mut self, tally: &mut Tally, added: Added, (origin, findings): (&str, &[Finding])) {
        self.seen.reports += 1;
        tally.items += 1;
        match added {
            Added::Stored | Added::Replaced(_) => self.outcome.stored += 1,
            Added::Duplicate => self.outcome.duplicates += 1,
            Added::Conflict => self.outcome.conflicts += 1,
        }
        if tally.add_tls(added) {
            tally.find(origin, findings);
        }
    }

    fn set_aside(&mut self, tally: &mut Tally, kind: OtherContent, count: u32) {
        let aside = &mut tally.set_aside;
        let (seen, sum) = match kind {
            OtherContent::Failure => (&mut self.seen.failure, &mut aside.failure),
            OtherContent::Bounce => (&mut self.seen.bounce, &mut aside.bounce),
            OtherContent::Other => (&mut self.seen.other, &mut aside.other),
        };
        *seen += count;
        *sum += u64::from(count);
        self.outcome.set_aside += count;
        tally.items += u64::from(count);
    }

    /// Counts what was set aside of an item whose content is known from elsewhere.
    fn set_aside_as(&mut self, tally: &mut Tally, seen: SeenItem) {
        self.set_aside(tally, OtherContent::Failure, seen.failure);
        self.set_aside(tally, OtherContent::Bounce, seen.bounce);
        self.set_aside(tally, OtherContent::Other, seen.other);
        self.seen = seen;
    }

    fn link_out(&mut self, tally: &mut Tally) {
        self.set_aside(tally, OtherContent::Other, 1);
        tally.links_out += 1;
    }

    fn rejected(&mut self, tally: &mut Tally, rejected: Rejected, (origin, reason): (&str, &str)) {
        self.seen.rejected += 1;
        self.ahead |= is_no_longer_ahead(reason, Timestamp::MIN).is_some();
        tally.items += 1;
        match rejected {
            Rejected::New => {
                self.outcome.rejected += 1;
                tally.reject(origin, reason);
            }
            Rejected::Known => {
                self.outcome.duplicates += 1;
                tally.duplicates += 1;
            }
        }
    }

    /// Bytes seen before count as their content did; everything that was or should have been a report counts as a
    /// duplicate.
    fn seen(&mut self, tally: &mut Tally, seen: SeenItem) {
        let again = seen.reports + seen.rejected;
        self.outcome.duplicates += again;
        tally.duplicates += u64::from(again);
        tally.items += u64::from(again);
        self.set_aside_as(tally, seen);
    }

    /// What another process stored counts as if this one had done it.
    fn alone(&mut self, tally: &mut Tally, alone: StoredAlone, seen: SeenItem) {
        let StoredAlone { stored, duplicates, conflicts, rejected } = alone;
        let few = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        self.outcome.stored += few(stored.reports + stored.tls_reports);
        self.outcome.duplicates += few(duplicates);
        self.outcome.conflicts += few(conflicts);
        self.outcome.rejected += few(rejected.len() as u64);
        let items = stored.reports + stored.tls_reports + duplicates + conflicts + rejected.len() as u64;
        tally.add(Tally { items, stored, duplicates, conflicts, ..Tally::default() });
        rejected.iter().for_each(|(origin, reason)| tally.reject(origin, reason));
        self.set_aside_as(tally, seen);
    }

    fn fate(&self) -> Fate {
        match self.seen {
            SeenItem { rejected: 1.., .. } => Fate::Unreadable,
            SeenItem { reports: 1.., .. } | SeenItem { failure: 1.., .. } => Fate::Done,
            _ => Fate::NotReport,
        }
    }
}

/// What the run reports about a report after it was passed on.
struct ReportOutcome {
    origin: String,
    findings: Vec<Finding>,
    records: u64,
    messages: i64,
    dmarc_pass: i64,
}

impl ReportOutcome {
    fn of(accepted: &Accepted) -> Self {
        let (messages, dmarc_pass) = crate::store::sums(accepted);
        Self {
            origin: accepted.provenance.origin.clone(),
            findings: accepted.findings.clone(),
            records: accepted.report.records.len() as u64,
            messages,
            dmarc_pass,
        }
    }
}

/// Maximum bytes of items that wait for another process; the others are left to a later run.
const WAITING: usize = 64 << 20;

/// Puts processed items into a store.
pub(super) struct Saver<'a> {
    writer: &'a mut Writer,
    observer: &'a mut dyn Observer,
    underway: Option<&'a Underway>,
    tally: Tally,
    /// Of the item whose parts are arriving.
    count: Count,
    /// Items that another process is to put into the store, and their bytes.
    for_another: Vec<(Item, Hash)>,
    waiting: usize,
}

impl<'a> Saver<'a> {
    pub(super) fn new(writer: &'a mut Writer, observer: &'a mut dyn Observer, underway: Option<&'a Underway>) -> Self {
        let (tally, count) = (Tally::default(), Count::default());
        Self { writer, observer, underway, tally, count, for_another: Vec::new(), waiting: 0 }
    }

    pub(super) fn take(&mut self, done: Done) -> Result<(), IngestError> {
        match done {
            Done::Part(ItemPart { pieces, .. }) => self.place_all(pieces),
            Done::Whole(worked) => self.whole(worked),
            Done::ForAnother(item, hash) => {
                self.waiting = self.waiting.saturating_add(item.bytes.len());
                if self.waiting <= WAITING {
                    self.for_another.push((item, hash));
                } else {
                    let reason = "other items are to be worked on alone first".to_owned();
                    self.fault(&FetchError::Left { origin: item.origin, reason });
                }
                Ok(())
            }
            Done::Fault(fault) => {
                self.fault(&fault);
                Ok(())
            }
        }
    }

    fn fault(&mut self, fault: &FetchError) {
        self.tally.faults += 1;
        self.observer.fault(fault);
    }

    fn place_all(&mut self, pieces: Vec<Piece>) -> Result<(), IngestError> {
        for piece in pieces {
            self.place(piece)?;
            if self.writer.is_crowded() {
                self.commit()?;
            }
        }
        Ok(())
    }

    fn whole(&mut self, worked: Worked) -> Result<(), IngestError> {
        match worked.contents {
            ItemContents::Seen(seen) => self.count.seen(&mut self.tally, seen),
            ItemContents::Alone(alone) => {
                let seen = worked.hash.map_or(Ok(None), |hash| self.writer.seen(hash))?.unwrap_or_default();
                self.count.alone(&mut self.tally, alone, seen);
            }
            ItemContents::Pieces(pieces) => {
                self.place_all(pieces)?;
                // A report from the future is examined again whenever it arrives again.
                if let Some(hash) = worked.hash.filter(|_| !self.count.ahead) {
                    self.writer.item(hash, self.count.seen);
                }
            }
        }
        let count = std::mem::take(&mut self.count);
        if let Some(message) = worked.message {
            self.writer.fetched(&worked.origin);
            if count.seen.reports > 0 {
                self.writer.heard(message.mailbox(), worked.arrival);
            }
            self.writer.message(message, count.fate());
        }
        self.observer.item(&worked.origin, &count.outcome);
        if self.writer.is_full() { self.commit() } else { Ok(()) }
    }

    fn place(&mut self, piece: Piece) -> Result<(), IngestError> {
        match piece {
            Piece::Report(accepted) => {
                let told = ReportOutcome::of(&accepted);
                let added = self.writer.add(*accepted)?;
                self.count.report(&mut self.tally, added, &told);
            }
            Piece::TlsReport(accepted) => {
                let (origin, findings) = (accepted.provenance.origin.clone(), accepted.findings.clone());
                let added = self.writer.add_tls(*accepted)?;
                self.count.tls_report(&mut self.tally, added, (&origin, &findings));
            }
            Piece::SetAside(kind) => self.count.set_aside(&mut self.tally, kind, 1),
            Piece::LinkOut => self.count.link_out(&mut self.tally),
            Piece::Rejected(reject, findings) => {
                let (origin, reason) = (reject.origin.clone(), reject.reason.clone());
                let rejected = self.writer.reject(reject)?;
                self.count.rejected(&mut self.tally, rejected, (&origin, &reason));
                if rejected == Rejected::New {
                    self.tally.find(&origin, &findings);
                }
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), IngestError> {
        let items = self.writer.items();
        self.underway.map_or(Ok(()), |underway| underway.committing(&items))?;
        let messages = self.writer.commit()?;
        self.underway.map_or(Ok(()), |underway| underway.committed(&items))?;
        self.observer.committed(&messages);
        Ok(())
    }

    /// Commit the rest. Returns the items that another process is to put into the store, too.
    pub(super) fn finish(mut self) -> Result<(Tally, Vec<(Item, Hash)>), IngestError> {
        self.commit()?;
        Ok((self.tally, self.for_another))
    }
}

/// Passes judged reports on, each once.
pub(super) struct Deduplicator<'a> {
    observer: &'a mut dyn Observer,
    sink: &'a mut dyn ReportSink,
    tally: Tally,
    /// Of the item whose parts are arriving.
    count: Count,
    reports: HashMap<ReportKey, Hash>,
    conflicts: HashSet<(ReportKey, Hash)>,
    rejected: HashSet<Hash>,
}

impl<'a> Deduplicator<'a> {
    pub(super) fn new(observer: &'a mut dyn Observer, sink: &'a mut dyn ReportSink) -> Self {
        Self {
            observer,
            sink,
            tally: Tally::default(),
            count: Count::default(),
            reports: HashMap::new(),
            conflicts: HashSet::new(),
            rejected: HashSet::new(),
        }
    }

    pub(super) fn take(&mut self, done: Done) -> Result<(), IngestError> {
        let worked = match done {
            Done::Part(ItemPart { origin, pieces }) => return self.place_all(&origin, pieces),
            Done::Whole(worked) => worked,
            Done::Fault(fault) => {
                self.tally.faults += 1;
                self.observer.fault(&fault);
                return Ok(());
            }
            Done::ForAnother(..) => unreachable!("without a store nothing is known of earlier runs"),
        };
        match worked.contents {
            ItemContents::Seen(seen) => self.count.seen(&mut self.tally, seen),
            ItemContents::Alone(_) => {}
            ItemContents::Pieces(pieces) => self.place_all(&worked.origin, pieces)?,
        }
        let count = std::mem::take(&mut self.count);
        self.observer.item(&worked.origin, &count.outcome);
        Ok(())
    }

    fn place_all(&mut self, item: &str, pieces: Vec<Piece>) -> Result<(), IngestError> {
        pieces.into_iter().try_for_each(|piece| self.place(item, piece))
    }

    fn place(&mut self, item: &str, piece: Piece) -> Result<(), IngestError> {
        match piece {
            Piece::Report(accepted) => {
                let told = ReportOutcome::of(&accepted);
                let key = accepted.report.key;
                let added = self.added(key, accepted.content);
                let (place, key) = (Destination::from(added), Some(key));
                if added == Added::Stored {
                    self.sink.stored(*accepted)?;
                }
                self.sink.placed(&Placed { origin: &told.origin, place, reason: None, key })?;
                self.count.report(&mut self.tally, added, &told);
            }
            Piece::TlsReport(accepted) => {
                let key = accepted.report.key;
                let added = self.added(key, accepted.report.content);
                let (origin, findings) = (accepted.provenance.origin.clone(), accepted.findings.clone());
                if added == Added::Stored {
                    self.sink.stored_tls(*accepted)?;
                }
                let place = Destination::from(added);
                self.sink.placed(&Placed { origin: &origin, place, reason: None, key: Some(key) })?;
                self.count.tls_report(&mut self.tally, added, (&origin, &findings));
            }
            Piece::SetAside(kind) => {
                self.sink.placed(&Placed::aside(item, kind))?;
                self.count.set_aside(&mut self.tally, kind, 1);
            }
            Piece::LinkOut => {
                self.sink.placed(&Placed::link_out(item))?;
                self.count.link_out(&mut self.tally);
            }
            Piece::Rejected(reject, findings) => {
                let rejected = if self.rejected.insert(reject.identity()) { Rejected::New } else { Rejected::Known };
                let Reject { origin, reason, .. } = reject;
                let place = if rejected == Rejected::New { Destination::Rejected } else { Destination::Duplicate };
                self.sink.placed(&Placed { origin: &origin, place, reason: Some(&reason), key: None })?;
                self.count.rejected(&mut self.tally, rejected, (&origin, &reason));
                if rejected == Rejected::New {
                    self.tally.find(&origin, &findings);
                }
            }
        }
        Ok(())
    }

    /// A stretch of the source is complete.
    pub(super) fn stretch(&mut self) -> Result<(), IngestError> {
        if self.sink.forgets() {
            self.reports.clear();
            self.conflicts.clear();
            self.rejected.clear();
        }
        Ok(self.sink.stretch()?)
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

    pub(super) fn finish(self) -> Tally {
        self.tally
    }
}
