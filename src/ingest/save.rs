//! Puts processed items into a store, and tells the observer what is safe after each commit.

use super::counter::{Counter, ToldReport};
use super::pieces::{ItemPart, Piece};
use super::underway::Underway;
use super::work::{Done, ItemContents, Worked};
use super::{Observer, Tally};
use crate::fetch::{FetchError, Item};
use crate::model::Hash;
use crate::store::{StoreError, Writer};

/// Maximum bytes of items that wait for another process; the others are left to a later run.
const WAITING: usize = 64 << 20;

/// Puts processed items into a store.
pub(super) struct Saver<'a> {
    writer: &'a mut Writer,
    observer: &'a mut dyn Observer,
    underway: Option<&'a Underway>,
    counter: Counter,
    /// Items that another process is to put into the store, and their bytes.
    for_another: Vec<(Item, Hash)>,
    waiting: usize,
}

impl<'a> Saver<'a> {
    pub(super) fn new(writer: &'a mut Writer, observer: &'a mut dyn Observer, underway: Option<&'a Underway>) -> Self {
        Self { writer, observer, underway, counter: Counter::default(), for_another: Vec::new(), waiting: 0 }
    }

    pub(super) fn take(&mut self, done: Done) -> Result<(), StoreError> {
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
        self.counter.tally.faults += 1;
        self.observer.fault(fault);
    }

    fn place_all(&mut self, pieces: Vec<Piece>) -> Result<(), StoreError> {
        for piece in pieces {
            self.place(piece)?;
            if self.writer.is_crowded() {
                self.commit()?;
            }
        }
        Ok(())
    }

    fn whole(&mut self, worked: Worked) -> Result<(), StoreError> {
        match worked.contents {
            ItemContents::Seen(seen) => self.counter.seen(seen),
            ItemContents::Alone(alone) => {
                let seen = worked.hash.map_or(Ok(None), |hash| self.writer.seen(hash))?.unwrap_or_default();
                self.counter.alone(alone, seen);
            }
            ItemContents::Pieces(pieces) => {
                self.place_all(pieces)?;
                // A report from the future is examined again whenever it arrives again.
                if let Some(hash) = worked.hash.filter(|_| !self.counter.item.ahead) {
                    self.writer.item(hash, self.counter.item.seen);
                }
            }
        }
        let count = std::mem::take(&mut self.counter.item);
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

    fn place(&mut self, piece: Piece) -> Result<(), StoreError> {
        match piece {
            Piece::Report(accepted) => {
                let told = ToldReport::from(&*accepted);
                self.counter.report(self.writer.add(*accepted)?, &told);
            }
            Piece::TlsReport(accepted) => {
                let told = ToldReport::from(&*accepted);
                self.counter.report(self.writer.add_tls(*accepted)?, &told);
            }
            Piece::SetAside(kind) => self.counter.set_aside(kind, 1),
            Piece::LinkOut => self.counter.link_out(),
            Piece::Rejected(reject, findings) => {
                let (origin, reason) = (reject.origin.clone(), reject.reason.clone());
                let rejected = self.writer.reject(reject)?;
                self.counter.rejected(rejected, (&origin, &reason), &findings);
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let items = self.writer.items();
        self.underway.map_or(Ok(()), |underway| underway.committing(&items))?;
        let messages = self.writer.commit()?;
        self.underway.map_or(Ok(()), |underway| underway.committed(&items))?;
        self.observer.committed(&messages);
        Ok(())
    }

    /// Commit the rest. Returns the items that another process is to put into the store, too.
    pub(super) fn finish(mut self) -> Result<(Tally, Vec<(Item, Hash)>), StoreError> {
        self.commit()?;
        Ok((self.counter.tally, self.for_another))
    }
}
