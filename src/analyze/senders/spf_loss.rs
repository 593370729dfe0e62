//! Sources that SPF authorized before and no longer does: the strongest evidence for a gap in an SPF record.

use super::auth_pattern::PathResult;
use super::classify::JudgedRow;
use super::failure_sums::{FailureSums, PeriodFailures};
use super::history::Horizon;
use super::top::Top;
use super::view::{SourceFact, View};
use crate::analyze::sums::interner::{IdMap, NONE, merge};
use crate::analyze::sums::{DayCounts, Messages};
use crate::analyze::thresholds::{ENOUGH_REPORTERS, KNOWN_BY_SPF, NO_CHANCE, WORTH_A_LINE};
use crate::model::{SourceAddress, Text};
use std::cmp::{Ordering, Reverse};

/// The kinds of [`FailureSums`]: SPF does not pass, or the record could not be evaluated.
const NO_PASS: usize = 0;
const ERROR: usize = 1;

/// Mail with one return path from sources that passed SPF before.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpfLoss {
    /// Good: SPF passes. Bad: it does not.
    pub(crate) days: DayCounts,
    /// Messages for which SPF fails.
    pub(crate) lost: PeriodFailures,
}

impl SpfLoss {
    /// Whether it passed often, and from one day on never again.
    fn is_lost(&self, horizon: Horizon) -> bool {
        let Some(last) = self.days.last_good() else { return false };
        let (_, since) = self.days.between((last + 1).max(horizon.from), horizon.to);
        self.days.all().0.0 >= KNOWN_BY_SPF && since.0 >= NO_CHANCE && self.lost.now.reporters.len() >= ENOUGH_REPORTERS
    }

    /// What it failed with, if it passed often, failed for a while, and may be over.
    fn ended(&self, horizon: Horizon) -> Option<&FailureSums> {
        let known = self.days.all().0.0 >= KNOWN_BY_SPF && !self.is_lost(horizon);
        self.lost.enough().filter(|_| known)
    }

    /// The first day after the last good one.
    pub(crate) fn since(&self) -> Option<i32> {
        self.days.first_bad(self.days.last_good()? + 1)
    }

    fn add(&mut self, view: &View<'_>, item: &SourceFact<'_>, bad: bool, horizon: Horizon) {
        let (fine, wrong) = if bad { (Messages(0), item.judged) } else { (item.judged, Messages(0)) };
        self.days.add(item.fact.day, fine, wrong);
        if bad {
            let kind = if item.pattern.path == PathResult::OwnError { ERROR } else { NO_PASS };
            self.lost.add(view, item, kind, horizon);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.days.merge(&other.days);
        self.lost.merge(&other.lost);
    }
}

impl FailureSums {
    /// Whether most of these evaluations ended in an error.
    pub(crate) fn end_in_error(&self) -> bool {
        self.kinds[ERROR].0 > self.messages.0 / 2
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
    /// Of the sources whose trouble may be over.
    ended: Option<Box<SpfLoss>>,
}

impl PathLoss {
    fn add(&mut self, of_source: &SpfLoss, horizon: Horizon) {
        if of_source.is_lost(horizon) {
            self.alone.merge(of_source);
        } else if of_source.ended(horizon).is_some() {
            self.ended.get_or_insert_default().merge(of_source);
        }
        self.all.merge(of_source);
    }

    fn merge(&mut self, other: &Self) {
        self.alone.merge(&other.alone);
        self.all.merge(&other.all);
        if let Some(more) = &other.ended {
            self.ended.get_or_insert_default().merge(more);
        }
    }

    /// What failed for a while, if nothing is lost now.
    fn ended(&self, horizon: Horizon) -> Option<&SpfLoss> {
        self.ended.as_deref().filter(|_| self.lost(horizon).is_none())
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
    /// Networks whose trouble may be over: those that lost most.
    ended: Top<NetworkLoss, KEPT>,
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
            found.errors.add(view, item, is_error, horizon);
            found.lost.add(view, item, is_error || item.pattern.path == PathResult::OwnFail, horizon);
        }
        let mut service = None;
        for (path, AtSource { mut lost, mut errors }) in paths {
            errors.lost.settle(source);
            self.errors.entry((domain, path)).or_default().merge(&errors);
            // If it never passed, nothing was lost: a forwarder's address, or an unrelated one.
            if lost.days.last_good().is_none() {
                continue;
            }
            lost.lost.settle(source);
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
        let of_network = |path, lost: &SpfLoss| NetworkLoss { domain, path, network, lost: lost.clone() };
        for (path, found) in paths {
            if let Some(lost) = found.lost(horizon) {
                self.networks.add(of_network(path, lost), |a, b| compare(view, a, b));
            } else if let Some(ended) = found.ended(horizon) {
                self.ended.add(of_network(path, ended), |a, b| compare(view, a, b));
            }
        }
    }

    /// Adds the results for other sources.
    pub(crate) fn merge(&mut self, view: &View<'_>, other: Self) {
        merge(&mut self.services, other.services, |known, more| known.merge(&more));
        merge(&mut self.errors, other.errors, |known, more| known.merge(&more));
        self.networks.merge(other.networks, |a, b| compare(view, a, b));
        self.ended.merge(other.ended, |a, b| compare(view, a, b));
    }

    /// Records with which most evaluations of the period end in a permanent error: policy domain, return path.
    pub(crate) fn errors(&self, horizon: Horizon) -> impl Iterator<Item = (u32, u32, &SpfLoss)> {
        self.errors
            .iter()
            .filter(move |(_, found)| is_broken(found, horizon))
            .map(|((domain, path), found)| (*domain, *path, found))
    }

    /// Records with which evaluations ended in a permanent error for a while, and may do so no longer.
    pub(crate) fn ended_errors(&self, horizon: Horizon) -> impl Iterator<Item = (u32, u32, &SpfLoss, &FailureSums)> {
        self.errors.iter().filter_map(move |((domain, path), found)| {
            let ended = found.ended(horizon).filter(|_| !is_broken(found, horizon))?;
            Some((*domain, *path, found, ended))
        })
    }

    /// What was lost: policy domain, return path, entry; of networks, those that lost most.
    pub(crate) fn lost(&self, view: &View<'_>, horizon: Horizon) -> Vec<(u32, u32, SpfEntry, &SpfLoss)> {
        self.entries(|found| found.lost(horizon), self.networks.sorted(|a, b| compare(view, a, b)))
    }

    /// What was lost for a while, and may pass again.
    pub(crate) fn ended(&self, view: &View<'_>, horizon: Horizon) -> Vec<EndedLoss<'_>> {
        let entries = self.entries(|found| found.ended(horizon), self.ended.sorted(|a, b| compare(view, a, b)));
        let ended = entries.into_iter();
        ended.filter_map(|(domain, path, entry, lost)| Some((domain, path, entry, lost, lost.lost.enough()?))).collect()
    }

    fn entries<'s>(
        &'s self,
        of_service: impl Fn(&'s PathLoss) -> Option<&'s SpfLoss>,
        networks: Vec<&'s NetworkLoss>,
    ) -> Vec<(u32, u32, SpfEntry, &'s SpfLoss)> {
        let services = self.services.iter().filter_map(|((domain, path, name), found)| {
            Some((*domain, *path, SpfEntry::Service(name.clone()), of_service(found)?))
        });
        let networks = networks.into_iter();
        let networks = networks.map(|one| (one.domain, one.path, SpfEntry::Network(one.network), &one.lost));
        services.chain(networks).collect()
    }

    /// How many more networks with losses there are.
    pub(crate) fn more(&self) -> u64 {
        self.networks.added().saturating_sub(KEPT as u64)
    }
}

/// Policy domain, return path, entry, all that is known of it, and the failures that ended.
pub(crate) type EndedLoss<'s> = (u32, u32, SpfEntry, &'s SpfLoss, &'s FailureSums);

/// Whether most evaluations of the period end in a permanent error.
fn is_broken(found: &SpfLoss, horizon: Horizon) -> bool {
    let (fine, wrong) = found.days.between(horizon.from, horizon.to);
    wrong.0 >= WORTH_A_LINE && wrong >= fine && found.lost.now.reporters.len() >= ENOUGH_REPORTERS
}

/// The largest losses come first.
fn compare(view: &View<'_>, a: &NetworkLoss, b: &NetworkLoss) -> Ordering {
    let key = |one: &NetworkLoss| {
        let sums = one.lost.lost.enough().unwrap_or(&one.lost.lost.now);
        (Reverse(sums.failing), Reverse(sums.messages))
    };
    let place = |one: &NetworkLoss| (view.word(one.domain), one.network, view.word(one.path));
    key(a).cmp(&key(b)).then_with(|| place(a).cmp(&place(b)))
}
