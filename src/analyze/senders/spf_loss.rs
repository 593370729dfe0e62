//! Sources that SPF authorized before and does not any more: the strongest evidence there is for a gap in an SPF record.

use super::auth_pattern::PathResult;
use super::classify::Judged;
use super::history::Horizon;
use super::reporter_set::ReporterSet;
use super::view::{Item, View};
use crate::analyze::sums::interner::Table;
use crate::analyze::sums::shards::network;
use crate::analyze::sums::{DayCounts, Messages};
use crate::analyze::thresholds::{ENOUGH_REPORTERS, KNOWN_BY_SPF, NO_CHANCE, WORTH_A_LINE};
use crate::model::{Source, Text};
use std::{cmp::Reverse, collections::BTreeMap};

/// Mail with one return path from some sources that it once passed SPF from.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpfLoss {
    /// Good: SPF passes. Bad: it does not.
    pub(crate) days: DayCounts,
    /// Of the period: messages for which SPF fails.
    pub(crate) lost: Messages,
    /// Those of them that fail DMARC.
    pub(crate) failing: Messages,
    /// Who saw those for which it fails.
    pub(crate) reporters: ReporterSet,
    pub(crate) addresses: u64,
    pub(crate) largest: Vec<(Reverse<u64>, Source)>,
}

impl SpfLoss {
    /// Whether it passed often, and from one day on never again.
    fn is_lost(&self, horizon: Horizon) -> bool {
        let Some(last) = self.days.last_good() else { return false };
        let (_, since) = self.days.between((last + 1).max(horizon.from), horizon.to);
        self.days.all().0.0 >= KNOWN_BY_SPF && since.0 >= NO_CHANCE && self.reporters.len() >= ENOUGH_REPORTERS
    }

    /// The first day after the last good one.
    pub(crate) fn since(&self) -> Option<i32> {
        self.days.first_bad(self.days.last_good()? + 1)
    }

    fn add(&mut self, item: &Item<'_>, bad: bool) {
        let (fine, wrong) = if bad { (Messages(0), item.judged) } else { (item.judged, Messages(0)) };
        self.days.add(item.fact.day, fine, wrong);
        if bad && item.pattern.asked {
            self.lost += item.judged;
            self.failing += if item.pattern.passes { Messages(0) } else { item.judged };
            self.reporters.insert(item.fact.reporter);
            match self.largest.iter_mut().find(|(_, source)| *source == item.source) {
                Some((messages, _)) => messages.0 = messages.0.saturating_add(item.judged.0),
                None => {
                    self.addresses += 1;
                    self.largest.push((Reverse(item.judged.0), item.source));
                }
            }
            self.largest.sort_unstable();
            self.largest.truncate(3);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.days.merge(&other.days);
        self.lost += other.lost;
        self.failing += other.failing;
        self.reporters.merge(&other.reporters);
        self.addresses += other.addresses;
        self.largest.extend(&other.largest);
        self.largest.sort_unstable();
        self.largest.truncate(3);
    }
}

/// Whose record entry covers a source: a service's, or one for its network.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum SpfEntry {
    /// A known service, by its name.
    Service(Text),
    /// The sources of one network.
    Network(Source),
}

impl SpfEntry {
    /// The service's name, or an address of the network.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Service(name) => name.to_string(),
            Self::Network(network) => network.address().map_or_else(String::new, |address| address.to_string()),
        }
    }
}

/// All return paths of all domains, by policy domain, return path and entry.
#[derive(Debug, Default)]
pub(crate) struct SpfLosses {
    /// Of each by itself in trouble, and of all.
    entries: Table<(u32, u32, SpfEntry), (SpfLoss, SpfLoss)>,
    /// Records that cannot be evaluated, by policy domain and return path. Bad: a permanent error.
    errors: Table<(u32, u32), SpfLoss>,
}

impl SpfLosses {
    /// Look at the rows of one source.
    pub(crate) fn look<'i>(
        &mut self,
        view: &View<'_>,
        items: impl Iterator<Item = (&'i Item<'i>, Judged)>,
        horizon: Horizon,
    ) {
        let mut paths: BTreeMap<u32, SpfLoss> = BTreeMap::new();
        let (mut domain, mut source) = (0, Source::UNKNOWN);
        for (item, _) in items.filter(|(item, _)| item.judged.0 > 0) {
            let path = item.pattern.pattern.return_path;
            let lost = match item.pattern.path {
                PathResult::OwnPass => false,
                PathResult::OwnFail => true,
                PathResult::OwnError => {
                    self.errors.entry((item.domain(), path)).or_default().add(item, true);
                    continue;
                }
                _ => continue,
            };
            self.errors.entry((item.domain(), path)).or_default().add(item, false);
            (domain, source) = (item.domain(), item.source);
            paths.entry(path).or_default().add(item, lost);
        }
        // Where it never passed nothing was lost: a forwarder's address, or a stranger's.
        for (path, found) in paths.into_iter().filter(|(_, found)| found.days.last_good().is_some()) {
            let address = source.address();
            let service =
                address.and_then(|address| view.added.question.services.of_address(address, view.host(address)));
            let entry = service.map_or(SpfEntry::Network(network(source)), |service| SpfEntry::Service(service.name));
            let (alone, all) = self.entries.entry((domain, path, entry)).or_default();
            if found.is_lost(horizon) {
                alone.merge(&found);
            }
            all.merge(&found);
        }
    }

    /// Add what another looked at: other sources.
    pub(crate) fn merge(&mut self, other: Self) {
        for (key, (alone, all)) in other.entries {
            let known = self.entries.entry(key).or_default();
            known.0.merge(&alone);
            known.1.merge(&all);
        }
        for (key, errors) in other.errors {
            self.errors.entry(key).or_default().merge(&errors);
        }
    }

    /// Records that most evaluations of the period end at with a permanent error: policy domain, return path.
    pub(crate) fn errors(&self, horizon: Horizon) -> impl Iterator<Item = (u32, u32, &SpfLoss)> {
        let broken = move |found: &SpfLoss| {
            let (fine, wrong) = found.days.between(horizon.from, horizon.to);
            wrong.0 >= WORTH_A_LINE && wrong >= fine && found.reporters.len() >= ENOUGH_REPORTERS
        };
        self.errors
            .iter()
            .filter(move |(_, found)| broken(found))
            .map(|((domain, path), found)| (*domain, *path, found))
    }

    /// What was lost: policy domain, return path, entry.
    pub(crate) fn lost(&self, horizon: Horizon) -> impl Iterator<Item = (u32, u32, &SpfEntry, &SpfLoss)> {
        self.entries.iter().filter_map(move |((domain, path, entry), (alone, all))| {
            let lost = [all, alone].into_iter().find(|found| found.is_lost(horizon))?;
            Some((*domain, *path, entry, lost))
        })
    }
}
