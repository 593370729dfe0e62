//! What is known of a domain's keys, return paths and of those who vouch for its mail, from all that was read. An identity
//! is judged by it wherever its mail comes from.

use super::Role;
use super::auth_pattern::{AuthPattern, PathResult, SigningKey};
use super::fold::parts_a_core;
use super::reporter_set::ReporterSet;
use super::view::{Item, View, by_network, by_source};
use super::weights::Weights;
use crate::analyze::period::number;
use crate::analyze::sums::interner::Table;
use crate::analyze::sums::shards::{Part, network};
use crate::analyze::sums::{DayCounts, Messages};
use crate::analyze::thresholds::{
    ENOUGH_REPORTERS, HOME_ONE_IN, JUDGED_DAYS, NO_CHANCE, NO_STRAY, PASSED_ON_ONE_IN, REPAIRED_DAYS,
    SECOND_HOME_ONE_IN, STEADY_DAYS, STEADY_WEEKS, VISIBLE_ONE_IN, WORTH_A_LINE,
};
use crate::model::Source;
use rayon::prelude::*;
use std::cmp::Reverse;

/// The days that senders are judged by: eight weeks that end with the period.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Horizon {
    /// The first day of the eight weeks.
    pub(crate) start: i32,
    /// The first day of the period.
    pub(crate) from: i32,
    /// The last day of both.
    pub(crate) to: i32,
}

impl Horizon {
    /// Of the period asked for, or of the days that the rows span.
    pub(crate) fn new(view: &View<'_>) -> Self {
        let (from, to) = view.added.question.period.map_or_else(
            || {
                let days = view.added.common.days.keys().map(|(_, day)| *day);
                days.fold((i32::MAX, i32::MIN), |(first, last), day| (first.min(day), last.max(day)))
            },
            |period| (number(period.from()), number(period.to())),
        );
        Self { start: to.saturating_sub(JUDGED_DAYS - 1), from, to }
    }

    /// Whether a day is one of the eight weeks.
    pub(crate) fn judges(self, day: i32) -> bool {
        (self.start..=self.to).contains(&day)
    }

    /// Whether a sender with these days failed before and does not any more: what it lost then is over.
    pub(crate) fn is_repaired(self, days: &DayCounts) -> bool {
        let (good, bad) = days.between(self.to - (REPAIRED_DAYS - 1), self.to);
        let (all_good, all_bad) = days.between(self.start, self.to);
        let mended = all_bad.0 >= NO_CHANCE && all_bad.is_more_than_one_in(VISIBLE_ONE_IN, all_good);
        // A stray failure does not undo a repair.
        let clean = bad.0 == 0 || mended && !bad.is_more_than_one_in(VISIBLE_ONE_IN, good);
        all_bad.0 > 0 && clean && good.0 >= NO_CHANCE
    }
}

/// Where a key signs mail that verifies.
#[derive(Debug, Default)]
pub(crate) struct KeyUse {
    /// Messages that verified, by day.
    pub(crate) days: DayCounts,
    verified: Messages,
    networks: Table<Source, Share>,
    /// By the organization of another's return path.
    owners: Table<u32, Messages>,
    /// A source listed in SPF signs with it.
    is_listed: bool,
    /// Messages that did not verify, while none ever did.
    unverified: Unverified,
}

/// A network's share of a key's verified messages.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    verified: Messages,
    listed: bool,
}

/// Messages with signatures of a key that did not verify.
#[derive(Debug, Default)]
struct Unverified {
    messages: Messages,
    days: DayCounts,
    reporters: ReporterSet,
    networks: Table<Source, Messages>,
    owners: Table<u32, Messages>,
}

impl KeyUse {
    /// Whether it verified anywhere.
    pub(crate) fn ever_verified(&self) -> bool {
        self.verified.0 > 0
    }

    /// Whether mail with it that comes from a network, with a return path of this organization, comes from the sender
    /// itself: plain forwarding shows little of a key in each of many places.
    pub(crate) fn is_home(&self, network: Source, owner: Option<u32>) -> bool {
        let share = self.networks.get(&network).copied().unwrap_or_default();
        if share.verified.0 == 0 {
            return false;
        }
        if self.is_listed {
            return share.listed || share.verified.is_one_in(SECOND_HOME_ONE_IN, self.verified);
        }
        let of_owner = owner.and_then(|owner| self.owners.get(&owner)).copied().unwrap_or_default();
        share.verified.is_one_in(HOME_ONE_IN, self.verified)
            || of_owner.0 > 0 && of_owner.is_one_in(HOME_ONE_IN, self.verified)
    }

    /// The role of who signs with it though it never verified anywhere: somebody signs as the domain with a wrong key,
    /// from a few places. One that comes from everywhere is made up.
    pub(crate) fn never_verified(&self, network: Source, owner: Option<u32>) -> Role {
        let found = &self.unverified;
        let share = |messages: Option<&Messages>| {
            messages.is_some_and(|messages| messages.is_one_in(HOME_ONE_IN, found.messages))
        };
        let few_places =
            share(found.networks.get(&network)) || owner.is_some_and(|owner| share(found.owners.get(&owner)));
        let several = found.reporters.len() >= ENOUGH_REPORTERS;
        if !few_places {
            Role::Suspect
        } else if found.messages.0 >= WORTH_A_LINE && found.days.bad_days() >= STEADY_DAYS && several {
            Role::Own
        } else if found.messages.0 >= NO_CHANCE {
            Role::Unclear
        } else {
            Role::Suspect
        }
    }

    fn merge(&mut self, other: Self) {
        self.days.merge(&other.days);
        self.verified += other.verified;
        self.is_listed |= other.is_listed;
        for (network, share) in other.networks {
            let known = self.networks.entry(network).or_default();
            known.verified += share.verified;
            known.listed |= share.listed;
        }
        merge_messages(&mut self.owners, other.owners);
        let (found, more) = (&mut self.unverified, other.unverified);
        found.messages += more.messages;
        found.days.merge(&more.days);
        found.reporters.merge(&more.reporters);
        merge_messages(&mut found.networks, more.networks);
        merge_messages(&mut found.owners, more.owners);
    }
}

fn merge_messages<K: std::hash::Hash + Eq>(sums: &mut Table<K, Messages>, more: Table<K, Messages>) {
    for (key, messages) in more {
        *sums.entry(key).or_default() += messages;
    }
}

/// Somebody who vouches for mail of the domain as itself, over all its addresses.
#[derive(Debug, Default)]
pub(crate) struct Voucher {
    /// Good: the domain vouches too. Bad: it does not, and the mail fails.
    pub(crate) days: DayCounts,
    pub(crate) reporters: ReporterSet,
    /// Failing messages of the eight weeks, by address.
    sources: Table<Source, Messages>,
    /// Failing messages of the eight weeks.
    pub(crate) failing: Messages,
    /// Those of them that it signs.
    pub(crate) signed: Messages,
    /// Messages that bear the domain's own signature too, by key: those that verify, and those that do not.
    with_own: Table<SigningKey, (Messages, Messages)>,
    /// Messages that the domain vouches for too, where the key is at home: it signs for this one.
    pub(crate) aligned: Messages,
    /// What it is for the domain.
    pub(crate) role: Option<Role>,
}

impl Voucher {
    /// What it is: `Vendor` means steady, and may be yours. One that passes on signed mail of the domain's other senders
    /// passes on unsigned mail too.
    fn role(&self, passed_on: Messages, is_service: bool) -> Role {
        let (_, messages) = self.days.all();
        if passed_on.0 >= NO_CHANCE && passed_on.is_one_in(PASSED_ON_ONE_IN, messages) {
            return Role::Forwarder;
        }
        let several = self.reporters.len() >= ENOUGH_REPORTERS;
        let steady = self.days.bad_days() >= STEADY_DAYS && self.days.bad_weeks() >= STEADY_WEEKS;
        let large = if is_service { WORTH_A_LINE } else { NO_STRAY };
        if several && steady && messages.0 >= WORTH_A_LINE {
            Role::Vendor
        } else if several && messages.0 >= large {
            Role::Unclear
        } else {
            Role::Suspect
        }
    }

    /// How many addresses it failed from in the eight weeks.
    pub(crate) fn addresses(&self) -> u64 {
        self.sources.len() as u64
    }

    /// The three addresses with most failing messages.
    pub(crate) fn largest(&self) -> Vec<(Reverse<u64>, Source)> {
        let mut largest: Vec<_> =
            self.sources.iter().map(|(source, messages)| (Reverse(messages.0), *source)).collect();
        largest.sort_unstable();
        largest.truncate(3);
        largest
    }

    fn merge(&mut self, other: Self) {
        self.days.merge(&other.days);
        self.reporters.merge(&other.reporters);
        merge_messages(&mut self.sources, other.sources);
        self.failing += other.failing;
        self.signed += other.signed;
        for (key, (verified, broken)) in other.with_own {
            let known = self.with_own.entry(key).or_default();
            *known = (known.0 + verified, known.1 + broken);
        }
    }
}

/// All that is known. The first id of each key is the policy domain's.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) keys: Table<(u32, SigningKey), KeyUse>,
    /// Messages with a return path of the own organization that pass SPF.
    bounce_names: Table<(u32, u32), Messages>,
    pub(crate) vouchers: Table<(u32, u32), Voucher>,
    /// Domains as which something passed.
    pub(crate) passed: Table<u32, Messages>,
}

impl History {
    /// Of all facts.
    pub(crate) fn new(view: &View<'_>, weights: &Weights, horizon: Horizon) -> Self {
        let of_core = |parts: &[Part]| {
            let mut history = Self::default();
            parts.iter().for_each(|part| history.add(&view.items(weights, part), horizon));
            history
        };
        let merge = |mut history: Self, more: Self| {
            history.merge(more);
            history
        };
        let mut history = view.added.facts.par_chunks(parts_a_core(view)).map(of_core).reduce(Self::default, merge);
        history.judge_vouchers(view);
        history
    }

    /// Decide what each voucher is, once all keys are known.
    fn judge_vouchers(&mut self, view: &View<'_>) {
        let Self { keys, vouchers, .. } = self;
        let services = &view.added.question.services;
        for ((domain, name), voucher) in vouchers {
            let mut passed_on = Messages(0);
            for (key, (verified, broken)) in &voucher.with_own {
                let Some(known) = keys.get(&(*domain, *key)).filter(|known| known.ever_verified()) else { continue };
                let one_in = if known.is_listed { SECOND_HOME_ONE_IN } else { HOME_ONE_IN };
                if verified.0 > 0 && verified.is_one_in(one_in, known.verified) {
                    voucher.aligned += *verified;
                } else {
                    passed_on += *verified + *broken;
                }
            }
            let name = view.name(*name);
            let is_service = services.name(name, name, None).is_some();
            voucher.role = Some(voucher.role(passed_on, is_service));
        }
    }

    /// Who vouches for mail of a domain as itself.
    pub(crate) fn voucher(&self, domain: u32, name: u32) -> Option<&Voucher> {
        self.vouchers.get(&(domain, name))
    }

    /// Messages with a return path that passed SPF.
    pub(crate) fn bounce_name(&self, domain: u32, path: u32) -> Messages {
        self.bounce_names.get(&(domain, path)).copied().unwrap_or_default()
    }

    /// A key of a domain.
    pub(crate) fn key(&self, domain: u32, key: SigningKey) -> Option<&KeyUse> {
        self.keys.get(&(domain, key))
    }

    fn add(&mut self, items: &[Item<'_>], horizon: Horizon) {
        for items in by_network(items) {
            let of = network(items[0].source);
            for items in by_source(items) {
                let listed = is_listed(items);
                items
                    .iter()
                    .filter(|item| item.judged.0 > 0)
                    .for_each(|item| self.add_item(item, (of, listed), horizon));
            }
        }
    }

    fn add_item(&mut self, item: &Item<'_>, (network, listed): (Source, bool), horizon: Horizon) {
        let Item { pattern, judged, fact, source } = *item;
        let domain = item.domain();
        if pattern.passes {
            *self.passed.entry(domain).or_default() += judged;
        }
        for key in &pattern.verified {
            let known = self.keys.entry((domain, *key)).or_default();
            known.verified += judged;
            known.days.add(fact.day, judged, Messages(0));
            known.is_listed |= listed;
            let share = known.networks.entry(network).or_default();
            share.verified += judged;
            share.listed |= listed;
            if let Some(owner) = pattern.path_owner {
                *known.owners.entry(owner).or_default() += judged;
            }
        }
        for broken in &pattern.broken {
            let found = &mut self.keys.entry((domain, broken.key)).or_default().unverified;
            found.messages += judged;
            found.days.add(fact.day, Messages(0), judged);
            found.reporters.insert(fact.reporter);
            *found.networks.entry(network).or_default() += judged;
            if let Some(owner) = pattern.path_owner {
                *found.owners.entry(owner).or_default() += judged;
            }
        }
        if pattern.path == PathResult::OwnPass {
            *self.bounce_names.entry((domain, pattern.pattern.return_path)).or_default() += judged;
        }
        let Some(name) = pattern.foreign() else { return };
        if vouches_alone(pattern) {
            let voucher = self.vouchers.entry((domain, name)).or_default();
            voucher.days.add(fact.day, Messages(0), judged);
            voucher.reporters.insert(fact.reporter);
            if horizon.judges(fact.day) {
                voucher.failing += judged;
                voucher.signed += if pattern.vouchers.is_empty() { Messages(0) } else { judged };
                *voucher.sources.entry(source).or_default() += judged;
            }
        } else {
            for name in pattern.vouchers.iter().copied().chain(pattern.path_owner) {
                let voucher = self.vouchers.entry((domain, name)).or_default();
                if pattern.passes {
                    voucher.days.add(fact.day, judged, Messages(0));
                }
                pattern.verified.iter().for_each(|key| voucher.with_own.entry(*key).or_default().0 += judged);
                pattern.broken.iter().for_each(|broken| voucher.with_own.entry(broken.key).or_default().1 += judged);
            }
        }
    }

    fn merge(&mut self, other: Self) {
        for (key, more) in other.keys {
            self.keys.entry(key).or_default().merge(more);
        }
        merge_messages(&mut self.bounce_names, other.bounce_names);
        merge_messages(&mut self.passed, other.passed);
        for (key, more) in other.vouchers {
            self.vouchers.entry(key).or_default().merge(more);
        }
    }
}

/// Whether the owner of the domain authorized a source: its own return path passed SPF there.
pub(crate) fn is_listed(items: &[Item<'_>]) -> bool {
    let passes = |item: &Item<'_>| item.judged.0 > 0 && item.pattern.path == PathResult::OwnPass;
    // The unknown source may be anybody.
    items[0].source != Source::UNKNOWN && items.iter().any(passes)
}

/// Mail that fails, bears no own signature, and that another vouches for.
pub(crate) fn vouches_alone(pattern: &AuthPattern) -> bool {
    pattern.fails() && !pattern.own_pass() && pattern.broken.is_empty() && pattern.foreign().is_some()
}
