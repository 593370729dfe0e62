//! Counts what became of each item, in the run's [`Tally`] and for the item whose parts are arriving.

use super::trial::StoredAlone;
use super::{ItemOutcome, Tally};
use crate::model::{Accepted, AcceptedTls, Fate, Finding};
use crate::normalize::is_no_longer_ahead;
use crate::store::{Added, Rejected, ReportSums, SeenItem};
use crate::unpack::OtherContent;
use jiff::Timestamp;

/// What the observer is told about a report after it was passed on.
pub(super) struct ToldReport {
    pub(super) origin: String,
    findings: Vec<Finding>,
    /// `None` for a TLS report.
    sums: Option<ReportSums>,
}

impl From<&Accepted> for ToldReport {
    fn from(accepted: &Accepted) -> Self {
        Self {
            origin: accepted.provenance.origin.clone(),
            findings: accepted.findings.clone(),
            sums: Some(ReportSums::of(accepted)),
        }
    }
}

impl From<&AcceptedTls> for ToldReport {
    fn from(accepted: &AcceptedTls) -> Self {
        Self { origin: accepted.provenance.origin.clone(), findings: accepted.findings.clone(), sums: None }
    }
}

/// The counts of an item.
#[derive(Default)]
pub(super) struct ItemCount {
    pub(super) outcome: ItemOutcome,
    pub(super) seen: SeenItem,
    /// Something was rejected only because its period is in the future.
    pub(super) ahead: bool,
}

impl ItemCount {
    pub(super) fn fate(&self) -> Fate {
        match self.seen {
            SeenItem { rejected: 1.., .. } => Fate::Unreadable,
            SeenItem { reports: 1.., .. } | SeenItem { failure: 1.., .. } => Fate::Done,
            _ => Fate::NotReport,
        }
    }
}

/// The counts of a run.
#[derive(Default)]
pub(super) struct Counter {
    pub(super) tally: Tally,
    /// The counts of the item whose parts are arriving.
    pub(super) item: ItemCount,
}

impl Counter {
    pub(super) fn report(&mut self, added: Added, report: &ToldReport) {
        self.item.seen.reports += 1;
        self.tally.items += 1;
        let outcome = &mut self.item.outcome;
        match added {
            Added::Stored | Added::Replaced(_) => outcome.stored += 1,
            Added::Duplicate => outcome.duplicates += 1,
            Added::Conflict => outcome.conflicts += 1,
        }
        if self.tally.add_report(added, report.sums) {
            self.tally.find(&report.origin, &report.findings);
        }
    }

    pub(super) fn set_aside(&mut self, kind: OtherContent, count: u32) {
        let (seen, aside) = (&mut self.item.seen, &mut self.tally.set_aside);
        let (seen, sum) = match kind {
            OtherContent::Failure => (&mut seen.failure, &mut aside.failure),
            OtherContent::Bounce => (&mut seen.bounce, &mut aside.bounce),
            OtherContent::Other => (&mut seen.other, &mut aside.other),
        };
        *seen += count;
        *sum += u64::from(count);
        self.item.outcome.set_aside += count;
        self.tally.items += u64::from(count);
    }

    /// Counts what was set aside of an item whose content is known from elsewhere.
    fn set_aside_as(&mut self, seen: SeenItem) {
        self.set_aside(OtherContent::Failure, seen.failure);
        self.set_aside(OtherContent::Bounce, seen.bounce);
        self.set_aside(OtherContent::Other, seen.other);
        self.item.seen = seen;
    }

    pub(super) fn link_out(&mut self) {
        self.set_aside(OtherContent::Other, 1);
        self.tally.links_out += 1;
    }

    pub(super) fn rejected(&mut self, rejected: Rejected, (origin, reason): (&str, &str), findings: &[Finding]) {
        self.item.seen.rejected += 1;
        self.item.ahead |= is_no_longer_ahead(reason, Timestamp::MIN).is_some();
        self.tally.items += 1;
        match rejected {
            Rejected::New => {
                self.item.outcome.rejected += 1;
                self.tally.reject(origin, reason);
                self.tally.find(origin, findings);
            }
            Rejected::Known => {
                self.item.outcome.duplicates += 1;
                self.tally.duplicates += 1;
            }
        }
    }

    /// Bytes seen before count as their content did; everything that was or should have been a report counts as a
    /// duplicate.
    pub(super) fn seen(&mut self, seen: SeenItem) {
        let again = seen.reports + seen.rejected;
        self.item.outcome.duplicates += again;
        self.tally.duplicates += u64::from(again);
        self.tally.items += u64::from(again);
        self.set_aside_as(seen);
    }

    /// What another process stored counts as if this one had done it.
    pub(super) fn alone(&mut self, alone: StoredAlone, seen: SeenItem) {
        let StoredAlone { stored, duplicates, conflicts, rejected } = alone;
        let few = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let (reports, unread) = (stored.reports + stored.tls_reports, rejected.len() as u64);
        let outcome = &mut self.item.outcome;
        outcome.stored += few(reports);
        outcome.duplicates += few(duplicates);
        outcome.conflicts += few(conflicts);
        outcome.rejected += few(unread);
        let items = reports + duplicates + conflicts + unread;
        self.tally.add(Tally { items, stored, duplicates, conflicts, ..Tally::default() });
        rejected.iter().for_each(|(origin, reason)| self.tally.reject(origin, reason));
        self.set_aside_as(seen);
    }
}
