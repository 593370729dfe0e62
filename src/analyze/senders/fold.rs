//! The pass over all rows, part by part and on all cores: each sender is judged and added up immediately, so that
//! memory does not grow with the number of senders.

use super::Role;
use super::classify::NetworkContext;
use super::group::{NOTABLE, NetworkKey, SenderGroup, WINDOWS, by_sender};
use super::history::{History, Horizon, parts_a_core};
use super::holder::{DomainFold, NetworkHolders};
use super::reporter_set::ReporterSet;
use super::signing::Signing;
use super::source::{DomainLists, SourceSummary, SourceSums, summarize};
use super::spf_loss::{NetworkPaths, SpfLosses};
use super::top::Top;
use super::view::{SourceFact, View, by_network, by_source};
use super::weights::Weights;
use crate::analyze::sums::interner::IdMap;
use crate::analyze::sums::shards::{ShardFacts, network};
use crate::analyze::thresholds::{NO_CHANCE, WORTH_A_LINE};
use crate::model::{Cause, SourceAddress};
use rayon::prelude::*;
use std::{
    cmp::{Ordering, Reverse},
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// How many senders of a kind are kept; the sums are complete anyway.
const KEPT: usize = 500;
/// How many sources are listed, failing ones first: an entry takes 180 bytes, and a mail of a few MB can name a million.
const SOURCES: usize = 400_000;
/// Sources of a part that are moved to the common list together.
const TOGETHER: usize = 1 << 10;

/// All sources, the first in reading order.
pub(crate) type Sources = Top<SourceSummary, SOURCES>;

/// Which mail of a domain the next policy step affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PolicyScope {
    /// Mail sent as the policy domain itself.
    pub(crate) itself: bool,
    /// Mail sent as a name below it.
    pub(crate) subdomains: bool,
}

/// All senders, folded.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    /// By domain ID.
    pub(crate) domains: BTreeMap<u32, DomainFold>,
    /// Those with messages in the period, the first in reading order.
    pub(crate) senders: Top<SenderGroup, KEPT>,
    /// Those that include a watched source.
    pub(crate) watched: Top<SenderGroup, KEPT>,
    /// Those that may be new, gone or changed.
    pub(crate) changed: Top<SenderGroup, KEPT>,
    /// Own senders, and neighbors of theirs, that may have something to repair.
    pub(crate) repairs: Top<SenderGroup, KEPT>,
    /// Messages by window of senders whose addresses change.
    pub(crate) pools: Pools,
    pub(crate) signing: Signing,
    pub(crate) spf: SpfLosses,
}

/// Identifies a sender whose addresses change, such as a pool: the domain and the proven identities.
pub(crate) type PoolIdentity = (u32, Option<u32>, Option<u32>);

/// Messages by window of everyone with the same identity.
pub(crate) type Pools = IdMap<PoolIdentity, [u64; WINDOWS]>;

/// What the pass needs to know.
struct FoldPass<'a> {
    view: &'a View<'a>,
    history: &'a History,
    weights: &'a Weights,
    governs: &'a BTreeMap<u32, PolicyScope>,
    horizon: Horizon,
    may_have_changed: fn(&SenderGroup, u8) -> bool,
    sources: Mutex<Sources>,
}

/// The reading order of sources.
fn compare_sources(a: &SourceSummary, b: &SourceSummary) -> Ordering {
    let key = |source: &SourceSummary| {
        (Reverse(source.sums.failing()), Reverse(source.sums.messages), SourceAddress::from(source.source_ip))
    };
    key(a).cmp(&key(b))
}

/// Folds all senders and all sources; returns the listed ones, and how many there are.
pub(crate) fn fold(
    view: &View<'_>,
    (history, weights): (&History, &Weights),
    governs: &BTreeMap<u32, PolicyScope>,
    horizon: Horizon,
    may_have_changed: fn(&SenderGroup, u8) -> bool,
) -> (Folded, Vec<SourceSummary>, u64) {
    let sources = view.added.facts.iter().map(|part| part.sources.len()).sum();
    let sources = Mutex::new(Sources::with_room(sources));
    let pass = FoldPass { view, history, weights, governs, horizon, may_have_changed, sources };
    // One sum per core: one for each of many tasks would take more memory than the data.
    let of_core = |parts: &[ShardFacts]| {
        let mut all = Folded::default();
        parts.iter().for_each(|part| pass.part(&mut all, part));
        all
    };
    let merge = |mut all: Folded, more: Folded| {
        all.merge(view, more);
        all
    };
    let mut folded = view.added.facts.par_chunks(parts_a_core(view)).map(of_core).reduce(Folded::default, merge);
    for (domain, fold) in &mut folded.domains {
        for (reporter, messages) in &mut fold.lone {
            // The rest fails, as far as known, at every receiver.
            messages.0 = messages.0.min(weights.failing_alone(*domain, *reporter));
        }
    }
    let sources = pass.sources.into_inner().unwrap_or_else(PoisonError::into_inner);
    let all = sources.added();
    (folded, sources.into_sorted(compare_sources), all)
}

impl FoldPass<'_> {
    fn part(&self, folded: &mut Folded, part: &ShardFacts) {
        let items = self.view.items(self.weights, part);
        // The classification of each fact: its source may send as several domains.
        let mut told = vec![(Cause::Unknown, Role::Suspect); items.len()];
        for items in by_network(&items) {
            self.network(folded, items, &mut told);
        }
        drop(items);
        let mut lists = DomainLists::default();
        let (mut sources, mut first) = (Vec::new(), 0);
        for facts in part.facts.chunk_by(|a, b| a.source == b.source) {
            let mut sums = SourceSums::default();
            for (fact, told) in facts.iter().zip(&told[first..]) {
                sums.add(self.view, fact, self.weights, *told);
            }
            first += facts.len();
            if sums.is_current() {
                sources.push(summarize(self.view, part.sources[facts[0].source as usize], sums, &mut lists));
            }
            if sources.len() == TOGETHER {
                self.list(&mut sources);
            }
        }
        self.list(&mut sources);
    }

    /// Moves sources to the common list as soon as they are known: one part may have a million, too many to hold twice.
    fn list(&self, sources: &mut Vec<SourceSummary>) {
        let mut all = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.drain(..).for_each(|source| all.add(source, compare_sources));
    }

    /// The senders of one network and domain.
    fn network(&self, folded: &mut Folded, items: &[SourceFact<'_>], told: &mut [(Cause, Role)]) {
        let (domain, of) = (items[0].domain(), network(items[0].source));
        let context = NetworkContext::new(self.view, self.history, items);
        let mut groups: Vec<SenderGroup> = Vec::new();
        let mut known: IdMap<NetworkKey, usize> = IdMap::default();
        let (mut holders, mut paths) = (NetworkHolders::default(), NetworkPaths::default());
        for items in by_source(items) {
            for group in self.source(folded, items, (&context, &mut paths), told) {
                let Some(key) = group.network_key() else {
                    self.add(folded, group, &mut holders);
                    continue;
                };
                let place = *known.entry(key).or_insert(groups.len());
                match groups.get_mut(place) {
                    Some(known) => known.merge(group, self.horizon),
                    None => groups.push(group),
                }
            }
        }
        groups.into_iter().for_each(|group| self.add(folded, group, &mut holders));
        let mut reporters = ReporterSet::default();
        let counts = |item: &&SourceFact<'_>| item.judged.0 > 0 && self.horizon.judges(item.fact.day);
        items.iter().filter(counts).for_each(|item| reporters.insert(item.fact.reporter));
        folded.domains.entry(domain).or_default().reporters.merge(&reporters);
        folded.spf.settle(self.view, (domain, of), paths, self.horizon);
        folded.domains.entry(domain).or_default().settle(self.view, holders);
    }

    /// The senders at one source.
    fn source(
        &self,
        folded: &mut Folded,
        items: &[SourceFact<'_>],
        (context, paths): (&NetworkContext<'_>, &mut NetworkPaths),
        told: &mut [(Cause, Role)],
    ) -> Vec<SenderGroup> {
        let judged = context.judge(items);
        let scope = self.governs.get(&items[0].domain());
        let governs = |item: &SourceFact<'_>| {
            scope.is_some_and(|scope| if item.pattern.as_subdomain { scope.subdomains } else { scope.itself })
        };
        for (item, judged) in items.iter().zip(&judged) {
            told[item.at as usize] = (judged.cause, judged.role);
            if judged.role == Role::Own && governs(item) {
                self.note_lone(folded, item);
            }
        }
        let (mut groups, _) = by_sender(items, &judged, governs, self.horizon);
        if self.view.added.question.watch.is_some_and(|watch| watch.holds(items[0].source)) {
            groups.iter_mut().for_each(|(group, _)| group.watched = true);
        }
        let seen_before = items.iter().any(|item| !item.pattern.current && item.fact.messages > 0);
        groups.iter_mut().for_each(|(group, _)| group.seen_before = seen_before);
        let both = || items.iter().zip(judged.iter().copied());
        folded.signing.look(self.view, both(), self.horizon);
        folded.spf.look(self.view, both(), paths, self.horizon);
        let settled = groups.into_iter().map(|(mut group, items)| {
            group.settle(self.view, self.history, &items, self.horizon);
            group
        });
        settled.collect()
    }

    /// Counts the failing mail of the period that only its reporter sees fail.
    fn note_lone(&self, folded: &mut Folded, item: &SourceFact<'_>) {
        let pattern = &item.pattern.pattern;
        if item.pattern.current && item.pattern.fails() && !pattern.unproven && self.weights.is_lone(pattern, item.fact)
        {
            let lone = &mut folded.domains.entry(item.domain()).or_default().lone;
            *lone.entry(item.fact.reporter).or_default() += self.weights.once(pattern, item.fact);
        }
    }

    fn add(&self, folded: &mut Folded, mut group: SenderGroup, holders: &mut NetworkHolders) {
        // The days are no longer needed, and the group may be kept several times.
        group.counts.forget_days();
        let current = self.view.added.scope.current;
        let order = |a: &SenderGroup, b: &SenderGroup| compare(self.view, a, b);
        let pool = folded.pools.entry((group.domain, group.signer, group.returns_to)).or_default();
        pool.iter_mut().zip(group.windows).for_each(|(sum, (messages, _))| *sum = sum.saturating_add(messages));
        folded.domains.entry(group.domain).or_default().add(&group, self.view, holders);
        if (self.may_have_changed)(&group, current) {
            folded.changed.add_copy(&group, order);
        }
        let counts = &group.counts;
        let unsigned = counts.spf_pass.0 >= WORTH_A_LINE && counts.unsigned.0 > 0;
        let fails = counts.failing.period.0 >= NO_CHANCE;
        if (group.role == Role::Own || group.neighbor) && (unsigned || fails) {
            folded.repairs.add_copy(&group, order);
        }
        // A suspect too small to stand out is already in the sums.
        if group.watched && group.sums.records > 0 {
            folded.watched.add_copy(&group, order);
        }
        if group.sums.records > 0 && (group.role != Role::Suspect || group.sums.messages >= NOTABLE) {
            folded.senders.add_copy(&group, order);
        }
    }
}

impl Folded {
    fn merge(&mut self, view: &View<'_>, other: Self) {
        for (id, more) in other.domains {
            self.domains.entry(id).or_default().merge(view, more);
        }
        for (top, more) in [
            (&mut self.senders, other.senders),
            (&mut self.watched, other.watched),
            (&mut self.changed, other.changed),
            (&mut self.repairs, other.repairs),
        ] {
            top.merge(more, |a, b| compare(view, a, b));
        }
        for (identity, windows) in other.pools {
            let pool = self.pools.entry(identity).or_default();
            pool.iter_mut().zip(windows).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        }
        self.signing.merge(other.signing);
        self.spf.merge(view, other.spf);
    }
}

/// Failing ones first, most fixable first; then by messages. Less is earlier.
pub(crate) fn reading_order(group: &SenderGroup) -> (u8, Reverse<u64>, Reverse<u64>) {
    let (failing, messages) = (group.sums.failing(), group.sums.messages);
    let matters = failing >= 100 || failing > 0 && failing.saturating_mul(100) >= messages;
    let rank = match (matters, group.role) {
        (true, Role::Own | Role::Vendor) => 0,
        (true, Role::Unclear) => 1,
        (true, Role::Suspect) => 2,
        (true, Role::Forwarder | Role::List) => 3,
        (false, _) => 4,
    };
    (rank, Reverse(if rank < 4 { failing } else { 0 }), Reverse(messages))
}

/// Reading order; equal senders by domain, network and identities. For vanished senders the last windows count.
pub(crate) fn compare(view: &View<'_>, a: &SenderGroup, b: &SenderGroup) -> Ordering {
    let place = |group: &SenderGroup| (view.word(group.domain), group.network, group.role);
    let name = |id: Option<u32>| id.map(|id| view.name(id));
    let identity = |group: &SenderGroup| {
        let largest = group.largest.first().map(|(_, source)| *source);
        (name(group.signer), name(group.returns_to), largest)
    };
    reading_order(a)
        .cmp(&reading_order(b))
        .then_with(|| b.windows.iter().rev().cmp(a.windows.iter().rev()))
        .then_with(|| place(a).cmp(&place(b)))
        .then_with(|| identity(a).cmp(&identity(b)))
}
