//! The pass over all rows, part by part and on all cores: each sender is judged and folded at once, so that memory does not
//! grow with their number.

use super::Role;
use super::classify::{Identity, NetworkContext};
use super::group::{NOTABLE, NetworkKey, OfTimes, SenderGroup, SourceKey, WINDOWS};
use super::history::{History, Horizon};
use super::reporter_set::ReporterSet;
use super::signing::Signing;
use super::source::{DomainLists, SourceSummary, SourceSums, summarize};
use super::spf_loss::SpfLosses;
use super::view::{Item, View, by_network, by_source};
use super::weights::Weights;
use crate::analyze::sums::Messages;
use crate::analyze::sums::interner::{NONE, Table};
use crate::analyze::sums::shards::Part;
use crate::analyze::thresholds::{NO_CHANCE, WORTH_A_LINE};
use crate::model::{Source, Text};
use rayon::prelude::*;
use std::{
    cmp::{Ordering, Reverse},
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// How many senders of a kind are kept; what is summed is complete all the same.
const KEPT: usize = 500;

/// Which mail of a domain the next step of its policy is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Governs {
    /// Mail sent as the policy domain itself.
    pub(crate) itself: bool,
    /// Mail sent as a name below it.
    pub(crate) subdomains: bool,
}

/// All senders, folded.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    /// By domain id.
    pub(crate) domains: BTreeMap<u32, DomainFold>,
    /// Those with messages in the period, the first in reading order.
    pub(crate) senders: Top,
    /// Those that hold a source that is watched.
    pub(crate) watched: Top,
    /// Those that may be new, gone or moved.
    pub(crate) changed: Top,
    /// Own senders, and neighbors of theirs, that may have something to repair.
    pub(crate) repairs: Top,
    /// Windows by what identifies a sender whose addresses change.
    pub(crate) pools: Pools,
    pub(crate) signing: Signing,
    pub(crate) spf: SpfLosses,
}

/// What identifies a sender whose addresses change, as those of a pool do: the domain and the proven identities.
pub(crate) type PoolIdentity = (u32, Option<Text>, Option<Text>);

/// Messages by window of everyone with the same identity.
pub(crate) type Pools = Table<PoolIdentity, [u64; WINDOWS]>;

/// What the senders of one domain come to. Messages are those that verdicts count, but for `suspects`.
#[derive(Debug, Default)]
pub(crate) struct DomainFold {
    /// Of own senders and vendors.
    pub(crate) legitimate: OfTimes,
    /// Their failing messages that the next step governs.
    pub(crate) would_be_lost: OfTimes,
    /// Those of vendors among them that nobody confirmed.
    pub(crate) unconfirmed: OfTimes,
    /// Failing, and blocked in the period.
    pub(crate) lost_now: Messages,
    /// Failing messages of forwarders and lists that the next step governs.
    pub(crate) forwarded: OfTimes,
    /// Those of them that are copies of unsigned mail.
    pub(crate) unsigned_copies: OfTimes,
    /// Failing messages of unclear senders that the next step governs.
    pub(crate) unclear: OfTimes,
    /// Mail of unclear senders fails, governed or not.
    pub(crate) unclear_seen: bool,
    /// Own senders that fail as a whole.
    pub(crate) whole: u64,
    /// Who loses, or holds the policy because it is unclear.
    pub(crate) holding: Table<HolderKey, Holder>,
    /// Who reported anything in the eight weeks.
    pub(crate) reporters: ReporterSet,
    pub(crate) spoofing: SpoofingSums,
    /// Messages of suspects in the period.
    pub(crate) suspects: u64,
    pub(crate) failing: FailingSums,
}

/// Failing messages by window and by who sent them, all of them: no verdict hangs on these. Those of suspects are in
/// [`SpoofingSums`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FailingSums {
    /// Of own senders and services.
    pub(crate) yours: [u64; WINDOWS],
    /// Of forwarders and mailing lists.
    pub(crate) forwarded: [u64; WINDOWS],
    /// Own senders and services that fail visibly.
    pub(crate) to_fix: [u64; WINDOWS],
}

/// Failing messages of suspects.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SpoofingSums {
    /// By window; the period asked for is the last in use.
    pub(crate) windows: [Messages; WINDOWS],
    /// Of the period: rejected or quarantined.
    pub(crate) blocked: Messages,
    /// Addresses in the period.
    pub(crate) addresses: u64,
    /// Of the period, those that the next step would have receivers block.
    pub(crate) would_be_blocked: Messages,
}

/// By what a sender that holds the policy is one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum HolderKey {
    /// All addresses of a voucher.
    Voucher(u32, Role),
    /// The addresses of a network.
    Network(Source, Role, Option<Text>, Option<Text>, Source),
}

/// A sender that loses mail, or that is unclear.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    /// Its largest part.
    pub(crate) group: SenderGroup,
    /// Failing messages.
    pub(crate) all: OfTimes,
    /// Those of them that the next step governs.
    pub(crate) failing: OfTimes,
    pub(crate) reporters: ReporterSet,
    pub(crate) lost_now: Messages,
    pub(crate) last_failing: Option<i32>,
    pub(crate) whole: bool,
    pub(crate) addresses: u64,
}

impl Holder {
    fn new(group: &SenderGroup) -> Self {
        Self {
            all: group.counts.failing,
            failing: group.would_fail(),
            reporters: group.counts.failing_reporters.clone(),
            lost_now: group.counts.lost_now,
            last_failing: group.counts.last_failing,
            whole: group.fails_whole,
            addresses: group.addresses.max(1),
            group: group.clone(),
        }
    }

    fn merge(&mut self, view: &View<'_>, other: Self) {
        let larger = |a: &SenderGroup, b: &SenderGroup| {
            (b.counts.governed.weeks, a.network).cmp(&(a.counts.governed.weeks, b.network))
        };
        if larger(&other.group, &self.group).then_with(|| compare(view, &other.group, &self.group)).is_lt() {
            self.group = other.group;
        }
        self.all.merge(other.all);
        self.failing.merge(other.failing);
        self.reporters.merge(&other.reporters);
        self.lost_now += other.lost_now;
        self.last_failing = self.last_failing.max(other.last_failing);
        self.whole |= other.whole;
        self.addresses += other.addresses;
    }
}

/// The first few of many senders, in some order. Whatever the order of adding, the same ones stay.
#[derive(Debug, Default)]
pub(crate) struct Top {
    kept: Vec<SenderGroup>,
    /// As many as are kept were found, the last of them at its place: what comes after it is none of them.
    full: bool,
}

/// What the pass needs to know.
struct Pass<'a> {
    view: &'a View<'a>,
    history: &'a History,
    weights: &'a Weights,
    governs: &'a BTreeMap<u32, Governs>,
    horizon: Horizon,
    may_have_changed: fn(&SenderGroup, u8) -> bool,
    sources: Mutex<Vec<SourceSummary>>,
}

/// Fold all senders, and all sources.
pub(crate) fn fold(
    view: &View<'_>,
    (history, weights): (&History, &Weights),
    governs: &BTreeMap<u32, Governs>,
    horizon: Horizon,
    may_have_changed: fn(&SenderGroup, u8) -> bool,
) -> (Folded, Vec<SourceSummary>) {
    let number = view.added.facts.iter().map(|part| part.sources.len()).sum();
    let sources = Mutex::new(Vec::with_capacity(number));
    let pass = Pass { view, history, weights, governs, horizon, may_have_changed, sources };
    // One sum a core: a sum of its own for each of many tasks would take more memory than what it is of.
    let of_core = |parts: &[Part]| {
        let mut all = Folded::default();
        parts.iter().for_each(|part| pass.part(&mut all, part));
        all
    };
    let merge = |mut all: Folded, more: Folded| {
        all.merge(view, more);
        all
    };
    let folded = view.added.facts.par_chunks(parts_a_core(view)).map(of_core).reduce(Folded::default, merge);
    let mut sources = pass.sources.into_inner().unwrap_or_else(PoisonError::into_inner);
    sources.par_sort_unstable_by_key(|source: &SourceSummary| {
        (Reverse(source.sums.failing()), Reverse(source.sums.messages), Source::from(source.source_ip))
    });
    (folded, sources)
}

/// How many parts each core takes.
pub(super) fn parts_a_core(view: &View<'_>) -> usize {
    view.added.facts.len().div_ceil(rayon::current_num_threads()).max(1)
}

impl Pass<'_> {
    fn part(&self, folded: &mut Folded, part: &Part) {
        let items = self.view.items(self.weights, part);
        let mut sums = vec![SourceSums::default(); part.sources.len()];
        for items in by_network(&items) {
            let context = NetworkContext::new(self.view, self.history, items);
            let mut groups: Vec<SenderGroup> = Vec::new();
            let mut known: Table<NetworkKey, usize> = Table::default();
            for items in by_source(items) {
                let of_source = &mut sums[items[0].fact.source as usize];
                for group in self.source(folded, items, &context, of_source) {
                    let place = group.network_key().map(|key| *known.entry(key).or_insert(groups.len()));
                    match place.and_then(|place| groups.get_mut(place)) {
                        Some(known) => known.merge(group, self.horizon),
                        None => groups.push(group),
                    }
                }
            }
            groups.into_iter().for_each(|group| self.add(folded, group));
        }
        let mut lists = DomainLists::default();
        let asked = part.sources.iter().zip(sums).filter(|(_, sums)| sums.is_asked());
        let sources: Vec<_> = asked.map(|(source, sums)| summarize(self.view, *source, sums, &mut lists)).collect();
        // A part's go where all are as soon as they are known: there may be too many to hold twice.
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).extend(sources);
    }

    /// The senders at one source.
    fn source(
        &self,
        folded: &mut Folded,
        items: &[Item<'_>],
        context: &NetworkContext<'_>,
        sums: &mut SourceSums,
    ) -> Vec<SenderGroup> {
        let judged = context.judge(items);
        let mut groups: Vec<(SenderGroup, Vec<&Item<'_>>)> = Vec::new();
        let mut places: Table<SourceKey, usize> = Table::default();
        let mut last = None;
        for (item, judged) in items.iter().zip(&judged) {
            sums.add(item, judged);
            let key = SenderGroup::key_of(judged);
            let at = match last {
                Some((known, at)) if known == key => at,
                _ => *places.entry(key).or_insert_with(|| {
                    groups.push((SenderGroup::new(item, judged), Vec::new()));
                    groups.len() - 1
                }),
            };
            last = Some((key, at));
            let governs = self.governs.get(&item.domain()).copied();
            let governed = governs
                .is_some_and(|governs| if item.pattern.as_subdomain { governs.subdomains } else { governs.itself });
            groups[at].0.add(item, judged, governed, self.horizon);
            groups[at].1.push(item);
        }
        if self.view.added.question.watch.is_some_and(|watch| watch.holds(items[0].source)) {
            groups.iter_mut().for_each(|(group, _)| group.watched = true);
        }
        let seen_before = items.iter().any(|item| !item.pattern.asked && item.fact.messages > 0);
        groups.iter_mut().for_each(|(group, _)| group.seen_before = seen_before);
        let both = || items.iter().zip(judged.iter().copied());
        folded.signing.look(both(), self.horizon);
        folded.spf.look(self.view, both(), self.horizon);
        groups
            .into_iter()
            .map(|(mut group, items)| {
                group.settle(self.view, &items, self.horizon);
                if let Identity::Voucher(name) = group.identity
                    && name != NONE
                {
                    let days = self.history.voucher(group.domain, name).map(|voucher| &voucher.days);
                    group.repaired = days.is_some_and(|days| self.horizon.is_repaired(days));
                }
                group
            })
            .collect()
    }

    fn add(&self, folded: &mut Folded, mut group: SenderGroup) {
        // What the days say is said: nobody looks at them again, and the group may be kept several times.
        group.counts.forget_days();
        let asked = self.view.added.scope.asked;
        let pool = folded.pools.entry((group.domain, group.signer.clone(), group.returns_to.clone())).or_default();
        pool.iter_mut().zip(group.windows).for_each(|(sum, (messages, _))| *sum = sum.saturating_add(messages));
        folded.domains.entry(group.domain).or_default().add(&group, self.view);
        if (self.may_have_changed)(&group, asked) {
            folded.changed.push(self.view, &group);
        }
        let counts = &group.counts;
        let unsigned = counts.spf_pass.0 >= WORTH_A_LINE && counts.unsigned.0 > 0;
        let fails = counts.failing.period.0 >= NO_CHANCE;
        if (group.role == Role::Own || group.neighbor) && (unsigned || fails) {
            folded.repairs.push(self.view, &group);
        }
        // A suspect below the least that can stand out is summed already.
        if group.watched && group.sums.records > 0 {
            folded.watched.push(self.view, &group);
        }
        if group.sums.records > 0 && (group.role != Role::Suspect || group.sums.messages >= NOTABLE) {
            folded.senders.push(self.view, &group);
        }
    }
}

impl DomainFold {
    fn add(&mut self, group: &SenderGroup, view: &View<'_>) {
        let (counts, failing) = (&group.counts, group.would_fail());
        self.reporters.merge(&group.reporters);
        self.reporters.merge(&group.past_reporters);
        match group.role {
            Role::Own | Role::Vendor => {
                self.legitimate.merge(counts.all);
                self.would_be_lost.merge(failing);
                self.forwarded.merge(counts.forwarded);
                if group.role == Role::Vendor {
                    self.unconfirmed.merge(failing);
                }
                self.lost_now += counts.lost_now;
                self.whole += u64::from(group.fails_whole);
            }
            Role::Forwarder | Role::List => {
                self.forwarded.merge(failing);
                if matches!(group.identity, Identity::ForwardedCopy | Identity::Voucher(_)) {
                    self.unsigned_copies.merge(failing);
                }
            }
            Role::Unclear => {
                self.unclear.merge(failing);
                self.unclear_seen |= counts.failing.weeks.0 > 0;
            }
            Role::Suspect => self.spoofing.add(group, view.added.scope.asked),
        }
        self.suspects = self.suspects.saturating_add(if group.role == Role::Suspect { group.sums.messages } else { 0 });
        self.failing.add(group);
        let holds = matches!(group.role, Role::Own | Role::Vendor | Role::Unclear)
            && (counts.failing.weeks.0 > 0 || counts.failing.period.0 > 0)
            && !group.repaired;
        if holds {
            let single = group.largest.first().map_or(group.network, |(_, source)| *source);
            let key = match group.identity {
                Identity::Voucher(name) => HolderKey::Voucher(name, group.role),
                _ => {
                    let alone = if group.identity == Identity::Nobody { single } else { group.network };
                    HolderKey::Network(group.network, group.role, group.signer.clone(), group.returns_to.clone(), alone)
                }
            };
            let holder = Holder::new(group);
            match self.holding.entry(key) {
                std::collections::hash_map::Entry::Occupied(mut known) => known.get_mut().merge(view, holder),
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(holder);
                }
            }
        }
    }

    fn merge(&mut self, view: &View<'_>, other: Self) {
        self.legitimate.merge(other.legitimate);
        self.would_be_lost.merge(other.would_be_lost);
        self.unconfirmed.merge(other.unconfirmed);
        self.lost_now += other.lost_now;
        self.forwarded.merge(other.forwarded);
        self.unsigned_copies.merge(other.unsigned_copies);
        self.unclear.merge(other.unclear);
        self.unclear_seen |= other.unclear_seen;
        self.whole += other.whole;
        self.reporters.merge(&other.reporters);
        self.spoofing.merge(&other.spoofing);
        self.suspects = self.suspects.saturating_add(other.suspects);
        self.failing.merge(&other.failing);
        for (key, holder) in other.holding {
            match self.holding.entry(key) {
                std::collections::hash_map::Entry::Occupied(mut known) => known.get_mut().merge(view, holder),
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(holder);
                }
            }
        }
    }
}

impl FailingSums {
    fn add(&mut self, group: &SenderGroup) {
        let sums = match group.role {
            Role::Own | Role::Vendor => &mut self.yours,
            Role::Forwarder | Role::List => &mut self.forwarded,
            Role::Unclear | Role::Suspect => return,
        };
        let yours = matches!(group.role, Role::Own | Role::Vendor);
        for (window, (messages, passing)) in group.windows.into_iter().enumerate() {
            let failing = messages - passing.min(messages);
            sums[window] = sums[window].saturating_add(failing);
            self.to_fix[window] += u64::from(yours && fails_visibly(failing, messages));
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (sums, more) in [
            (&mut self.yours, &other.yours),
            (&mut self.forwarded, &other.forwarded),
            (&mut self.to_fix, &other.to_fix),
        ] {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
        }
    }
}

/// Whether so many of a sender's messages fail that it is worth a repair: ten or more, and a hundred or one in a hundred.
pub(crate) fn fails_visibly(failing: u64, messages: u64) -> bool {
    failing >= NO_CHANCE && (failing >= 100 || failing.saturating_mul(100) >= messages)
}

impl SpoofingSums {
    fn add(&mut self, group: &SenderGroup, asked: u8) {
        self.blocked += group.signs.blocked;
        self.addresses += group.addresses;
        self.would_be_blocked += group.counts.governed.period;
        for (sum, (messages, passing)) in self.windows.iter_mut().zip(group.windows) {
            *sum += Messages(messages - passing.min(messages));
        }
        // Of the period only what verdicts count.
        let now = &mut self.windows[usize::from(asked)];
        let all = group.windows[usize::from(asked)];
        *now = *now - Messages(all.0 - all.1.min(all.0)) + group.counts.failing.period;
    }

    fn merge(&mut self, other: &Self) {
        self.windows.iter_mut().zip(other.windows).for_each(|(sum, more)| *sum += more);
        self.blocked += other.blocked;
        self.addresses += other.addresses;
        self.would_be_blocked += other.would_be_blocked;
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
            more.kept.iter().for_each(|group| top.push(view, group));
        }
        for (identity, windows) in other.pools {
            let pool = self.pools.entry(identity).or_default();
            pool.iter_mut().zip(windows).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        }
        self.signing.merge(other.signing);
        self.spf.merge(other.spf);
    }
}

impl Top {
    fn push(&mut self, view: &View<'_>, group: &SenderGroup) {
        if self.full && compare(view, group, &self.kept[KEPT - 1]).is_gt() {
            return;
        }
        self.kept.push(group.clone());
        if self.kept.len() >= 2 * KEPT {
            self.kept.select_nth_unstable_by(KEPT - 1, |a, b| compare(view, a, b));
            self.kept.truncate(KEPT);
            self.full = true;
        }
    }

    /// Those kept, in reading order.
    pub(crate) fn sorted(&self, view: &View<'_>) -> Vec<&SenderGroup> {
        let mut sorted: Vec<&SenderGroup> = self.kept.iter().collect();
        sorted.sort_unstable_by(|a, b| compare(view, a, b));
        sorted.truncate(KEPT);
        sorted
    }
}

/// Failing ones first, in the order of what a person can fix; then by messages. Less is earlier.
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

/// Reading order; senders that are equal in it go by domain, network and identities. Of those gone, the last windows count.
fn compare(view: &View<'_>, a: &SenderGroup, b: &SenderGroup) -> Ordering {
    let place = |group: &SenderGroup| (view.word(group.domain).to_owned(), group.network, group.role);
    let largest = |group: &SenderGroup| group.largest.first().map(|(_, source)| *source);
    reading_order(a)
        .cmp(&reading_order(b))
        .then_with(|| b.windows.iter().rev().cmp(a.windows.iter().rev()))
        .then_with(|| place(a).cmp(&place(b)))
        .then_with(|| (&a.signer, &a.returns_to, largest(a)).cmp(&(&b.signer, &b.returns_to, largest(b))))
}
