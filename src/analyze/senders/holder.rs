//! The sums of all senders of one domain, and which of them prevent a stricter policy.

use super::Role;
use super::classify::Identity;
use super::group::{SenderGroup, SenderProfile, WINDOWS};
use super::reporter_set::ReporterSet;
use super::top::Top;
use super::verdict_counts::PeriodMessages;
use super::view::View;
use crate::analyze::sums::Messages;
use crate::analyze::sums::interner::IdMap;
use crate::analyze::thresholds::NO_CHANCE;
use crate::model::{Cause, SourceAddress};
use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, hash_map::Entry},
};

/// How many senders with losses, and how many unclear ones, are listed per domain; the rest are counted.
pub(crate) const NAMED: usize = 10;

/// The sums of all senders of one domain. Messages are those that verdicts count, except `suspects`.
#[derive(Debug, Default)]
pub(crate) struct DomainFold {
    /// Of own senders and vendors.
    pub(crate) legitimate: PeriodMessages,
    /// Their failing messages that the next step governs.
    pub(crate) would_be_lost: PeriodMessages,
    /// Those of vendors among them that nobody confirmed.
    pub(crate) unconfirmed: PeriodMessages,
    /// Failing, and blocked in the period.
    pub(crate) lost_now: Messages,
    /// Failing messages of forwarders and lists that the next step governs.
    pub(crate) forwarded: PeriodMessages,
    /// Those of them that are copies of unsigned mail.
    pub(crate) unsigned_copies: PeriodMessages,
    /// Failing messages of unclear senders that the next step governs.
    pub(crate) unclear: PeriodMessages,
    /// Mail of unclear senders fails, affected by the step or not.
    pub(crate) unclear_seen: bool,
    /// A suspect returns as spoofers seldom do: it is one only because a single reporter sees it.
    pub(crate) steady_suspect: bool,
    /// Own senders that fail as a whole.
    pub(crate) whole: u64,
    /// Other domains that authenticate its mail and lose some of it, or are unclear: all their addresses.
    pub(crate) vouchers: IdMap<(u32, Role), Holder>,
    /// Other senders that lose mail, one network each: those that lose most.
    pub(crate) losing: Top<Holder, NAMED>,
    /// Others that are unclear, likewise.
    pub(crate) unclear_holders: Top<Holder, NAMED>,
    /// By lone reporter: failing messages of own senders in the period that the next step governs. No verdict counts them,
    /// but the receiver acts on what it sees.
    pub(crate) lone: BTreeMap<u32, Messages>,
    /// Who reported anything in the eight weeks that verdicts count.
    pub(crate) reporters: ReporterSet,
    pub(crate) spoofing: SpoofingSums,
    /// Messages of suspects in the period.
    pub(crate) suspects: u64,
    pub(crate) failing: FailingSums,
}

/// All failing messages by window and sender; verdicts do not use them. Those of suspects are in [`SpoofingSums`].
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
    /// By window; the requested period is the last in use.
    pub(crate) windows: [Messages; WINDOWS],
    /// Of the period: rejected or quarantined.
    pub(crate) blocked: Messages,
    /// Addresses in the period.
    pub(crate) addresses: u64,
    /// Of the period, those that receivers would block after the next step.
    pub(crate) would_be_blocked: Messages,
}

/// Groups senders of one network that prevent a stricter policy: an unauthenticated one stands alone.
pub(super) type HolderKey = (Role, Option<u32>, Option<u32>, Option<usize>, Option<SourceAddress>);

/// The senders of one network of a domain that prevent a stricter policy, except vouchers.
pub(super) type NetworkHolders = IdMap<HolderKey, Holder>;

/// A sender that loses mail, or that is unclear.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    /// Its largest part.
    pub(crate) profile: SenderProfile,
    /// Why it fails.
    pub(crate) cause: Cause,
    /// How much of it fails.
    largest: Messages,
    /// Failing messages.
    pub(crate) all: PeriodMessages,
    /// Those of them that the next step governs.
    pub(crate) failing: PeriodMessages,
    pub(crate) reporters: ReporterSet,
    pub(crate) lost_now: Messages,
    pub(crate) last_failing: Option<i32>,
    pub(crate) whole: bool,
    pub(crate) addresses: u64,
}

impl Holder {
    fn new(group: &SenderGroup) -> Self {
        Self {
            profile: group.profile(),
            cause: group.counts.failing_cause(),
            largest: group.counts.governed.weeks,
            all: group.counts.failing,
            failing: group.would_fail(),
            reporters: group.counts.failing_reporters.clone(),
            lost_now: group.counts.lost_now,
            last_failing: group.counts.last_failing,
            whole: group.fails_whole,
            addresses: group.addresses.max(1),
        }
    }

    fn merge(&mut self, view: &View<'_>, other: Self) {
        if part_order(view, &other, self).is_lt() {
            (self.profile, self.cause, self.largest) = (other.profile, other.cause, other.largest);
        }
        self.all.merge(other.all);
        self.failing.merge(other.failing);
        self.reporters.merge(&other.reporters);
        self.lost_now += other.lost_now;
        self.last_failing = self.last_failing.max(other.last_failing);
        self.whole |= other.whole;
        self.addresses += other.addresses;
    }

    /// Whether it loses anything, or may.
    pub(crate) fn holds(&self) -> bool {
        self.failing.weeks.0 > 0 || self.lost_now.0 > 0
    }
}

/// The largest part of a sender comes first.
fn part_order(view: &View<'_>, a: &Holder, b: &Holder) -> Ordering {
    let size = |holder: &Holder| (Reverse(holder.largest), holder.profile.network);
    size(a).cmp(&size(b)).then_with(|| names(view, a).cmp(&names(view, b))).then_with(|| {
        let rest =
            |holder: &Holder| (holder.profile.largest.first().copied(), holder.profile.addresses, holder.cause as u8);
        rest(a).cmp(&rest(b))
    })
}

/// The sender that loses most comes first.
pub(crate) fn holder_order(view: &View<'_>, a: &Holder, b: &Holder) -> Ordering {
    let size = |holder: &Holder| {
        let profile = &holder.profile;
        let address = profile.single().unwrap_or(profile.network).address();
        (Reverse(holder.failing.weeks), Reverse(holder.lost_now), address)
    };
    let names = |holder| names(view, holder);
    size(a).cmp(&size(b)).then_with(|| names(a).cmp(&names(b))).then_with(|| part_order(view, a, b))
}

fn names<'v>(view: &'v View<'_>, holder: &Holder) -> (Option<&'v str>, Option<&'v str>) {
    let name = |id: Option<u32>| id.map(|id| view.name(id).as_str());
    (name(holder.profile.signer), name(holder.profile.returns_to))
}

impl DomainFold {
    /// Adds a sender; what it shares with others of its network waits until those are added.
    pub(super) fn add(&mut self, group: &SenderGroup, view: &View<'_>, of_network: &mut NetworkHolders) {
        let (counts, failing) = (&group.counts, group.would_fail());
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
            Role::Suspect => {
                self.spoofing.add(group, view.added.scope.current);
                self.steady_suspect |= group.steady;
                self.suspects = self.suspects.saturating_add(group.sums.messages);
            }
        }
        self.failing.add(group);
        let holds = matches!(group.role, Role::Own | Role::Vendor | Role::Unclear)
            && (counts.failing.weeks.0 > 0 || counts.failing.period.0 > 0)
            && !group.repaired;
        if holds {
            self.hold(group, view, of_network);
        }
    }

    /// Notes a sender that prevents a stricter policy.
    fn hold(&mut self, group: &SenderGroup, view: &View<'_>, of_network: &mut NetworkHolders) {
        let holder = Holder::new(group);
        let entry = match (group.identity, group.network_key()) {
            (Identity::Voucher(name), _) => {
                let entry = self.vouchers.entry((name, group.role));
                return merge_into(entry, holder, view);
            }
            // One that stands alone is not part of any other.
            (_, None) => return self.add_holder(holder, view),
            (identity, Some(_)) => {
                let single = group.largest.first().map_or(group.network, |(_, source)| *source);
                let alone = Some(single).filter(|_| identity == Identity::Nobody);
                of_network.entry((group.role, group.signer, group.returns_to, group.confirmed, alone))
            }
        };
        merge_into(entry, holder, view);
    }

    /// All senders of a network were added.
    pub(super) fn settle(&mut self, view: &View<'_>, of_network: NetworkHolders) {
        of_network.into_values().for_each(|holder| self.add_holder(holder, view));
    }

    fn add_holder(&mut self, holder: Holder, view: &View<'_>) {
        if holder.holds() {
            let top = if holder.profile.role == Role::Unclear { &mut self.unclear_holders } else { &mut self.losing };
            top.add(holder, |a, b| holder_order(view, a, b));
        }
    }

    /// Adds the sums of other networks.
    pub(super) fn merge(&mut self, view: &View<'_>, other: Self) {
        self.legitimate.merge(other.legitimate);
        self.would_be_lost.merge(other.would_be_lost);
        self.unconfirmed.merge(other.unconfirmed);
        self.lost_now += other.lost_now;
        self.forwarded.merge(other.forwarded);
        self.unsigned_copies.merge(other.unsigned_copies);
        self.unclear.merge(other.unclear);
        self.unclear_seen |= other.unclear_seen;
        self.steady_suspect |= other.steady_suspect;
        self.whole += other.whole;
        self.reporters.merge(&other.reporters);
        for (reporter, messages) in other.lone {
            *self.lone.entry(reporter).or_default() += messages;
        }
        self.spoofing.merge(&other.spoofing);
        self.suspects = self.suspects.saturating_add(other.suspects);
        self.failing.merge(&other.failing);
        for (key, holder) in other.vouchers {
            merge_into(self.vouchers.entry(key), holder, view);
        }
        self.losing.merge(other.losing, |a, b| holder_order(view, a, b));
        self.unclear_holders.merge(other.unclear_holders, |a, b| holder_order(view, a, b));
    }
}

fn merge_into<K: std::hash::Hash + Eq>(entry: Entry<'_, K, Holder>, holder: Holder, view: &View<'_>) {
    match entry {
        Entry::Occupied(mut known) => known.get_mut().merge(view, holder),
        Entry::Vacant(free) => {
            free.insert(holder);
        }
    }
}

impl FailingSums {
    fn add(&mut self, group: &SenderGroup) {
        let (sums, yours) = match group.role {
            Role::Own | Role::Vendor => (&mut self.yours, true),
            Role::Forwarder | Role::List => (&mut self.forwarded, false),
            Role::Unclear | Role::Suspect => return,
        };
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

/// Whether enough of a sender's messages fail to be worth a repair: ten or more, and a hundred or one in a hundred.
pub(crate) fn fails_visibly(failing: u64, messages: u64) -> bool {
    failing >= NO_CHANCE && (failing >= 100 || failing.saturating_mul(100) >= messages)
}

impl SpoofingSums {
    fn add(&mut self, group: &SenderGroup, current: u8) {
        self.blocked += group.signs.blocked;
        self.addresses += group.addresses;
        self.would_be_blocked += group.counts.governed.period;
        for (sum, (messages, passing)) in self.windows.iter_mut().zip(group.windows) {
            *sum += Messages(messages - passing.min(messages));
        }
        // Of the period only what verdicts count.
        let now = &mut self.windows[usize::from(current)];
        let all = group.windows[usize::from(current)];
        *now = *now - Messages(all.0 - all.1.min(all.0)) + group.counts.failing.period;
    }

    fn merge(&mut self, other: &Self) {
        self.windows.iter_mut().zip(other.windows).for_each(|(sum, more)| *sum += more);
        self.blocked += other.blocked;
        self.addresses += other.addresses;
        self.would_be_blocked += other.would_be_blocked;
    }
}
