//! Stores TLS reports: each once, and if two have the same key, the one that counts.
//!
//! Their rows are in the ledger, so a replaced report is removed in the transaction of the batch. Its original stays in
//! its pack, and a copy is kept as a conflict.

use super::batch::{Added, Conflict, conflict_file};
use super::rivals::ReportSums;
use super::writer::Writer;
use crate::judge::{Rivalry, tls_rivalry};
use crate::model::{AcceptedTls, Hash, Original, ReportKey, ReportKind, SenderAuth};
use crate::store::disk::layout::Month;
use crate::store::error::StoreError;
use crate::store::ledger::tls::{self, StoredTls};
use std::sync::Arc;

impl Writer {
    /// Adds a TLS report to the batch, unless it is known. Of two with the same key the authentic one counts, else the
    /// more complete one, else the first; the other is kept as a conflict.
    ///
    /// # Errors
    /// If the ledger cannot be read, or a pack.
    pub fn add_tls(&mut self, mut accepted: AcceptedTls) -> Result<Added, StoreError> {
        let (key, content) = (accepted.report.key, accepted.report.content);
        let in_batch = self.batch.tls.places.get(&key).copied();
        let stored = match in_batch {
            Some(_) => None,
            None => tls::find(&self.ledger, key)?,
        };
        let in_batch = in_batch.map(|at| {
            let known = &self.batch.tls.accepted[at];
            (known.report.content, known.provenance.sender_auth())
        });
        let Some((known, auth)) = in_batch.or(stored.as_ref().map(|stored| (stored.content, stored.sender_auth)))
        else {
            if self.rebuilding {
                // Its pack stays: nobody writes it again.
                accepted.original = Arc::new(Original::Plain(Vec::new()));
            }
            self.push_tls(accepted);
            return Ok(Added::Stored);
        };
        let is_proven = accepted.provenance.sender_auth() == SenderAuth::Pass && auth != SenderAuth::Pass;
        if known == content && (self.rebuilding || !is_proven) {
            return Ok(Added::Duplicate);
        }
        // A rebuild knows from the packs which report counts.
        let decided = if self.rebuilding { Rivalry::Stays } else { self.tls_rivalry(&accepted, stored.as_ref())? };
        match decided {
            Rivalry::Same => Ok(Added::Duplicate),
            Rivalry::Replaces => self.replace_tls(accepted, stored),
            Rivalry::Stays => self.conflict_tls(accepted, known),
        }
    }

    /// Replaces the stored TLS report with this one, at a user's request.
    ///
    /// # Errors
    /// If the ledger cannot be read, or a pack.
    pub fn promote_tls(&mut self, accepted: AcceptedTls) -> Result<Added, StoreError> {
        let (key, content) = (accepted.report.key, accepted.report.content);
        self.batch.settled.insert((key, content));
        self.batch.promoted.insert(key);
        match tls::find(&self.ledger, key)? {
            None if !self.batch.tls.places.contains_key(&key) => {
                self.push_tls(accepted);
                Ok(Added::Stored)
            }
            stored => self.replace_tls(accepted, stored),
        }
    }

    fn push_tls(&mut self, accepted: AcceptedTls) {
        let batch = &mut self.batch;
        batch.bytes += accepted.weight() + accepted.original_weight(batch.tls.accepted.last());
        batch.tls.places.insert(accepted.report.key, batch.tls.accepted.len());
        batch.tls.accepted.push(accepted);
    }

    /// Which one counts: this report, or the one with its key in the batch or in the ledger.
    fn tls_rivalry(&mut self, new: &AcceptedTls, stored: Option<&StoredTls>) -> Result<Rivalry, StoreError> {
        let of = |accepted: &AcceptedTls| accepted.provenance.sender_auth();
        if let Some(at) = self.batch.tls.places.get(&new.report.key) {
            let known = &self.batch.tls.accepted[*at];
            return Ok(tls_rivalry((&new.report.policies, of(new)), (&known.report.policies, of(known))));
        }
        let Some(stored) = stored else { return Ok(Rivalry::Stays) };
        let policies = tls::policies_of(&self.ledger, stored.id)?;
        Ok(match tls_rivalry((&new.report.policies, of(new)), (&policies, stored.sender_auth)) {
            Rivalry::Replaces if self.is_promoted(new.report.key, stored.month())? => Rivalry::Stays,
            decided => decided,
        })
    }

    /// Replaces the report with the same key, which becomes a conflict unless it is identical.
    fn replace_tls(&mut self, accepted: AcceptedTls, stored: Option<StoredTls>) -> Result<Added, StoreError> {
        let (key, content) = (accepted.report.key, accepted.report.content);
        let (old, this_run) = if let Some(at) = self.batch.tls.places.get(&key).copied() {
            self.batch.bytes += accepted.weight() + accepted.original.bytes().len();
            (Some(std::mem::replace(&mut self.batch.tls.accepted[at], accepted)), true)
        } else {
            let Some(stored) = stored else { return Ok(Added::Conflict) };
            let this_run = stored.ingested == self.now.as_millisecond();
            let old = if stored.content == content { None } else { Some(self.stored_tls(key, stored)?) };
            self.batch.tls.replaced.insert(key);
            self.push_tls(accepted);
            (old, this_run)
        };
        // It may have been kept as a conflict before.
        self.batch.settled.insert((key, content));
        if self.batch.tls.conflicting.remove(&(key, content)) {
            let is_it = |known: &AcceptedTls| (known.report.key, known.report.content) == (key, content);
            self.batch.tls.conflicts.retain(|Conflict { accepted, .. }| !is_it(accepted));
        }
        if let Some(old) = old.filter(|old| old.report.content != content) {
            self.batch.settled.remove(&(key, old.report.content));
            self.push_tls_conflict(old);
        }
        Ok(Added::Replaced(this_run.then_some(ReportSums::default())))
    }

    /// Keeps a report whose key another report has as a conflict.
    fn conflict_tls(&mut self, accepted: AcceptedTls, known: Hash) -> Result<Added, StoreError> {
        let (key, content) = (accepted.report.key, accepted.report.content);
        if known == content
            || self.batch.tls.conflicting.contains(&(key, content))
            || self.conflict_known(key, content)?
        {
            return Ok(Added::Duplicate);
        }
        self.push_tls_conflict(accepted);
        Ok(Added::Conflict)
    }

    fn push_tls_conflict(&mut self, accepted: AcceptedTls) {
        let batch = &mut self.batch;
        batch.tls.conflicting.insert((accepted.report.key, accepted.report.content));
        batch.bytes += accepted.weight() + accepted.original.bytes().len();
        let file = conflict_file(ReportKind::Tls, &accepted.original);
        batch.tls.conflicts.push(Conflict { accepted, file });
    }

    /// In a rebuild: a report that another replaced. It is listed as a conflict, with the copy of its bytes if that is
    /// still there.
    pub fn tls_replaced_before(&mut self, mut accepted: AcceptedTls) {
        let file = conflict_file(ReportKind::Tls, &accepted.original);
        let kept = self.layout.file(&file).is_file();
        accepted.original = Arc::new(Original::Plain(Vec::new()));
        self.batch.bytes += accepted.weight();
        let file = if kept { file } else { String::new() };
        self.batch.tls.replaced_before.push(Conflict { accepted, file });
    }

    /// A stored report to keep as a conflict: with its original, or without it if its pack cannot be read.
    fn stored_tls(&mut self, key: ReportKey, stored: StoredTls) -> Result<AcceptedTls, StoreError> {
        let packed = StoreError::unless_damaged(self.packed(key, stored.month()))?.flatten();
        let original = packed.map_or_else(|| Original::Plain(Vec::new()), |(original, _)| original);
        let (report, provenance) = stored.into_report(key);
        Ok(AcceptedTls { report, findings: Vec::new(), original: Arc::new(original), provenance })
    }

    /// Whether a person decided that the stored report counts.
    fn is_promoted(&mut self, key: ReportKey, month: Month) -> Result<bool, StoreError> {
        let packed = StoreError::unless_damaged(self.packed(key, month))?.flatten();
        Ok(packed.is_some_and(|(_, line)| line.promoted))
    }
}
