//! Sums of failing messages, in the period and before it: how many, which reporters saw them, and where they came from.

use super::history::Horizon;
use super::reporter_set::ReporterSet;
use super::top::{LargestSources, add_largest};
use super::view::{SourceFact, View};
use crate::analyze::sums::Messages;
use crate::analyze::thresholds::{ENOUGH_REPORTERS, FOLLOWED, NO_CHANCE};
use crate::model::SourceAddress;
use std::cmp::Reverse;

/// Kinds of failure that are counted separately. The owner of the sums defines what each means.
pub(crate) const KINDS: usize = 4;

/// Failing messages of some days.
#[derive(Debug, Clone, Default)]
pub(crate) struct FailureSums {
    pub(crate) messages: Messages,
    /// Those of them that fail DMARC.
    pub(crate) failing: Messages,
    /// Those of them of each kind.
    pub(crate) kinds: [Messages; KINDS],
    /// Who saw them.
    pub(crate) reporters: ReporterSet,
    pub(crate) addresses: u64,
    /// The addresses with most of them.
    pub(crate) largest: LargestSources,
}

impl FailureSums {
    fn add(&mut self, item: &SourceFact<'_>, kind: usize) {
        self.messages += item.judged;
        self.failing += item.judged.only_if(!item.pattern.passes);
        self.kinds[kind] += item.judged;
        self.reporters.insert(item.fact.reporter);
    }

    /// All rows of a source are in.
    fn settle(&mut self, source: SourceAddress) {
        if self.messages.0 > 0 {
            self.addresses = 1;
            self.largest = vec![(Reverse(self.messages.0), source)];
        }
    }

    fn merge(&mut self, other: &Self) {
        self.messages += other.messages;
        self.failing += other.failing;
        self.kinds.iter_mut().zip(other.kinds).for_each(|(sum, more)| *sum += more);
        self.reporters.merge(&other.reporters);
        self.addresses += other.addresses;
        add_largest(&mut self.largest, &other.largest, FOLLOWED);
    }

    /// Whether they are more than chance.
    pub(crate) fn is_enough(&self) -> bool {
        self.messages.0 >= NO_CHANCE && self.reporters.len() >= ENOUGH_REPORTERS
    }
}

/// The failing messages of the period, and those of the eight weeks before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct PeriodFailures {
    pub(crate) now: FailureSums,
    /// Only a change in DNS proves that what failed then was repaired: without a history of DNS there are none.
    pub(crate) before: Option<Box<FailureSums>>,
}

impl PeriodFailures {
    /// Adds a failing row.
    pub(crate) fn add(&mut self, view: &View<'_>, item: &SourceFact<'_>, kind: usize, horizon: Horizon) {
        if item.pattern.current {
            self.now.add(item, kind);
        } else if horizon.judges(item.fact.day) && !view.added.question.dns.changes.is_empty() {
            self.before.get_or_insert_default().add(item, kind);
        }
    }

    /// All rows of a source are in.
    pub(crate) fn settle(&mut self, source: SourceAddress) {
        self.now.settle(source);
        if let Some(before) = &mut self.before {
            before.settle(source);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.now.merge(&other.now);
        if let Some(more) = &other.before {
            self.before.get_or_insert_default().merge(more);
        }
    }

    /// Failures that are more than chance: those of the period, else those before it.
    pub(crate) fn enough(&self) -> Option<&FailureSums> {
        [Some(&self.now), self.before.as_deref()].into_iter().flatten().find(|sums| sums.is_enough())
    }
}
