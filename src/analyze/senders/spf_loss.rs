//! Sources that SPF authorized before and no longer does: the strongest evidence for a gap in an SPF record.

use super::auth_pattern::PathResult;
use super::classify::JudgedRow;
use super::history::Horizon;
use super::reporter_set::ReporterSet;
use super::top::Top;
use super::view::{SourceFact, View};
use crate::analyze::sums::interner::{IdMap, NONE};
use crate::analyze::sums::{DayCounts, Messages};
use crate::analyze::thresholds::{ENOUGH_REPORTERS, KNOWN_BY_SPF, NO_CHANCE, WORTH_A_LINE};
use crate::model::{SourceAddress, Text};
use std::cmp::{Ordering, Reverse};

/// Mail with one return path from sources that passed SPF before.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpfLoss {
    /// Good: SPF passes. Bad: it does not.
    pub(crate) days: DayCounts,
    /// Of the period: messages for which SPF fails.
    pub(crate) lost: Messages,
    /// Those of them that fail DMARC.
    pub(crate) failing: Messages,
    /// Those of them for which the record could not be evaluated.
    pub(crate) errors: Messages,
    /// Who saw those for which it fails.
    pub(crate) reporters: ReporterSet,
    pub(crate) addresses: u64,
    pub(crate) largest: Vec<(Reverse<u64>, SourceAddress)>,
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

    fn add(&mut self, item: &SourceFact<'_>, bad: bool) {
        let (fine, wrong) = if bad { (Messages(0), item.judged) } else { (item.judged, Messages(0)) };
        self.days.add(item.fact.day, fine, wrong);
        if bad && item.pattern.current {
            self.lost += item.judged;
            self.failing += if item.pattern.passes { Messages(0) } else { item.judged };
            self.errors += if item.pattern.path == PathResult::OwnError { item.judged } else { Messages(0) };
            self.reporters.insert(item.fact.reporter);
        }
    }

    /// All rows of a source are in.
    fn settle(&mut self, source: SourceAddress) {
        if self.lost.0 > 0 {
            self.addresses = 1;
            self.largest = vec![(Reverse(self.lost.0), source)];
        }
    }

    fn merge(&mut self, other: &Self) {
        self.days.merge(&other.days);
        self.lost += other.lost;
        self.failing += other.failing;
        self.errors += other.errors;
        self.reporters.merge(&other.reporters);
        self.addresses += other.addresses;
        self.largest.extend(&other.largest);
        self.largest.sort_unstable();
        self.largest.truncate(3);
    }
}

/// The record entry that would cover a source: a service's, or one for its network.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum SpfEntry {
    /// A known service, by its name.
    Service(Text),
    /// The sources of one network.
    Network(SourceAddress),
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

/// Mail with one return path: of the sources that are in trouble individually, and of all.
#[derive(Debug, Clone, Default)]
pub(crate) struct PathLoss {
    alone: SpfLoss,
    all: SpfLoss,
}

impl PathLoss {
    fn add(&mut self, of_source: &SpfLoss, horizon: Horizon) {
        if of_source.is_lost(horizon) {
            self.alone.merge(of_source);
        }
        self.all.merge(of_source);
    }

    fn merge(&mut self, other: &Self) {
        self.alone.merge(&other.alone);
        self.all.merge(&other.all);
    }

    fn lost(&self, horizon: Horizon) -> Option<&SpfLoss> {
        [&self.all, &self.alone].into_iter().find(|found| found.is_lost(horizon))
    }
}

/// What one network lost.
#[derive(Debug, Clone)]
pub(crate) struct NetworkLoss {
    pub(crate) domain: u32,
    pub(crate) path: u32,
    pub(crate) network: SourceAddress,
    pub(crate) lost: SpfLoss,
}

/// What the sources of one network that belongs to no known service lost, by return path.
pub(crate) type NetworkPaths = IdMap<u32, PathLoss>;

/// All return paths of all domains.
#[derive(Debug, Default)]
pub(crate) struct SpfLosses {
    /// Of known services, by policy domain, return path and name.
    services: IdMap<(u32, u32, Text), PathLoss>,
    /// Of networks: those that lost most.
    networks: Top<NetworkLoss, KEPT>,
    /// Records that cannot be evaluated, by policy domain and return path. Bad: a permanent error.
    errors: IdMap<(u32, u32), SpfLoss>,
}

/// Networks with losses that are kept: twenty actions are listed, and the rest are counted.
const KEPT: usize = 500;

/// What was lost with one return path at one source.
#[derive(Default)]
struct AtSource {
    lost: SpfLoss,
    errors: SpfLoss,
}

impl SpfLosses {
    /// Examines the rows of one source. The losses of its network are derived after all of its sources.
    pub(crate) fn look<'i>(
        &mut self,
        view: &View<'_>,
        items: impl Iterator<Item = (&'i SourceFact<'i>, JudgedRow)>,
        of_network: &mut NetworkPaths,
        horizon: Horizon,
    ) {
        let mut paths: IdMap<u32, AtSource> = IdMap::default();
        let (mut domain, mut source) = (0, SourceAddress::UNKNOWN);
        for (item, _) in items.filter(|(item, _)| item.judged.0 > 0 && item.pattern.return_path != NONE) {
            let path = item.pattern.return_path;
            (domain, source) = (item.domain(), item.source);
            let found = paths.entry(path).or_default();
            let is_error = item.pattern.path == PathResult::OwnError;
            found.errors.add(item, is_error);
            found.lost.add(item, is_error || item.pattern.path == PathResult::OwnFail);
        }
        let mut service = None;
        for (path, AtSource { mut lost, mut errors }) in paths {
            errors.settle(source);
            self.errors.entry((domain, path)).or_default().merge(&errors);
            // If it never passed, nothing was lost: a forwarder's address, or an unrelated one.
            if lost.days.last_good().is_none() {
                continue;
            }
            lost.settle(source);
            let service = service.get_or_insert_with(|| {
                let services = &view.added.question.services;
                source.address().and_then(|address| services.of_address(address, view.host(address)))
            });
            let known = match service {
                Some(service) => self.services.entry((domain, path, service.name.clone())).or_default(),
                None => of_network.entry(path).or_default(),
            };
            known.add(&lost, horizon);
        }
    }

    /// Called after all sources of a network.
    pub(crate) fn settle(
        &mut self,
        view: &View<'_>,
        (domain, network): (u32, SourceAddress),
        paths: NetworkPaths,
        horizon: Horizon,
    ) {
        for (path, found) in paths {
            if let Some(lost) = found.lost(horizon) {
                let loss = NetworkLoss { domain, path, network, lost: lost.clone() };
                self.networks.add(loss, |a, b| compare(view, a, b));
            }
        }
    }

    /// Adds the results for other sources.
    pub(crate) fn merge(&mut self, view: &View<'_>, other: Self) {
        for (key, more) in other.services {
            self.services.entry(key).or_default().merge(&more);
        }
        self.networks.merge(other.networks, |a, b| compare(view, a, b));
        for (key, errors) in other.errors {
            self.errors.entry(key).or_default().merge(&errors);
        }
    }

    /// Records with which most evaluations of the period end in a permanent error: policy domain, return path.
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

    /// What was lost: policy domain, return path, entry; of networks, those that lost most.
    pub(crate) fn lost(&self, view: &View<'_>, horizon: Horizon) -> Vec<(u32, u32, SpfEntry, &SpfLoss)> {
        let services = self.services.iter().filter_map(|((domain, path, name), found)| {
            Some((*domain, *path, SpfEntry::Service(name.clone()), found.lost(horizon)?))
        });
        let networks = self.networks.sorted(|a, b| compare(view, a, b)).into_iter();
        let networks = networks.map(|one| (one.domain, one.path, SpfEntry::Network(one.network), &one.lost));
        services.chain(networks).collect()
    }

    /// How many more networks with losses there are.
    pub(crate) fn more(&self) -> u64 {
        self.networks.added().saturating_sub(KEPT as u64)
    }
}

/// The largest losses come first.
fn compare(view: &View<'_>, a: &NetworkLoss, b: &NetworkLoss) -> Ordering {
    let key = |one: &NetworkLoss| (Reverse(one.lost.failing), Reverse(one.lost.lost));
    let place = |one: &NetworkLoss| (view.word(one.domain), one.network, view.word(one.path));
    key(a).cmp(&key(b)).then_with(|| place(a).cmp(&place(b)))
}
