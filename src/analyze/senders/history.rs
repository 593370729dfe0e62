//! What is known about a domain's keys, return paths and the other domains that authenticate its mail, from everything
//! that was read. An identity is judged by this wherever its mail comes from.

use super::Role;
use super::auth_pattern::{AuthPattern, PathResult, SigningKey};
use super::reporter_set::ReporterSet;
use super::top::{LargestSources, add_largest};
use super::view::{SourceFact, View};
use super::weights::Weights;
use crate::analyze::day_span::DaySpan;
use crate::analyze::period::number;
use crate::analyze::sums::interner::{IdMap, NONE, merge};
use crate::analyze::sums::shards::ShardFacts;
use crate::analyze::sums::{DayCounts, Messages};
use crate::analyze::thresholds::{
    ENOUGH_REPORTERS, HOME_ONE_IN, JUDGED_DAYS, NO_CHANCE, NO_STRAY, PASSED_ON_ONE_IN, REPAIRED_DAYS,
    SECOND_HOME_ONE_IN, STEADY_DAYS, STEADY_WEEKS, VISIBLE_ONE_IN, WORTH_A_LINE,
};
use crate::model::SourceAddress;
use rayon::prelude::*;
use std::cmp::Reverse;
use std::ops::AddAssign as _;

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
    /// For the requested period, or the days that the rows span.
    pub(crate) fn new(view: &View<'_>) -> Self {
        let (from, to) = if let Some(period) = view.added.question.period {
            (number(period.from()), number(period.to()))
        } else {
            let days: DaySpan = view.added.common.days.keys().map(|(_, day)| *day).collect();
            (days.first().unwrap_or(i32::MAX), days.last().unwrap_or(i32::MIN))
        };
        Self { start: to.saturating_sub(JUDGED_DAYS - 1), from, to }
    }

    /// Whether a day is one of the eight weeks.
    pub(crate) fn judges(self, day: i32) -> bool {
        (self.start..=self.to).contains(&day)
    }

    /// Whether a sender with these days failed before and no longer does.
    pub(crate) fn is_repaired(self, days: &DayCounts) -> bool {
        let (good, bad) = days.between(self.to - (REPAIRED_DAYS - 1), self.to);
        let (all_good, all_bad) = days.between(self.start, self.to);
        let repaired = all_bad.0 >= NO_CHANCE && all_bad.is_more_than_one_in(VISIBLE_ONE_IN, all_good);
        // A stray failure does not undo a repair.
        let clean = bad.0 == 0 || repaired && !bad.is_more_than_one_in(VISIBLE_ONE_IN, good);
        all_bad.0 > 0 && clean && good.0 >= NO_CHANCE && !self.returns(days)
    }

    /// Whether failures returned after a pause that looked like a repair. Mail that is sent once a month fails only
    /// then, while other mail of the same sender passes every day.
    fn returns(self, days: &DayCounts) -> bool {
        let (mut bursts, mut failing, mut last) = (0, Messages(0), None);
        for (day, bad) in days.failing(self.start, self.to) {
            let passed = |last: i32| days.between(last + 1, day - 1).0.0 >= NO_CHANCE;
            if last.is_some_and(|last| day - last > REPAIRED_DAYS && passed(last)) {
                failing = Messages(0);
            }
            let before = failing;
            failing += bad;
            bursts += u32::from(before.0 < NO_CHANCE && failing.0 >= NO_CHANCE);
            last = Some(day);
        }
        bursts > 1
    }
}

/// What is known about a key, wherever its mail comes from.
#[derive(Debug, Default)]
pub(crate) struct KeyUse {
    /// Messages that verified, by day.
    pub(crate) days: DayCounts,
    pub(crate) verified: Messages,
    /// A source listed in SPF signs with it.
    pub(crate) is_listed: bool,
    /// Messages that did not verify.
    unverified: Unverified,
}

/// Messages with signatures of a key that did not verify.
#[derive(Debug, Default)]
struct Unverified {
    messages: Messages,
    days: DayCounts,
    reporters: ReporterSet,
}

/// A place's share of the messages with a key: those that verify, and those that do not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Share {
    pub(crate) verified: Messages,
    pub(crate) unverified: Messages,
    /// A source of the place that is listed in SPF signs with the key.
    pub(crate) listed: bool,
}

impl KeyUse {
    /// Whether it verified anywhere.
    pub(crate) fn ever_verified(&self) -> bool {
        self.verified.0 > 0
    }

    /// Whether mail with this key, from a network and with an organization's return path, comes from the sender itself:
    /// plain forwarding shows little of a key in each of many places.
    pub(crate) fn is_home(&self, of_network: Share, of_owner: Share) -> bool {
        if of_network.verified.0 == 0 {
            return false;
        }
        if self.is_listed {
            return of_network.listed || of_network.verified.is_one_in(SECOND_HOME_ONE_IN, self.verified);
        }
        of_network.verified.is_one_in(HOME_ONE_IN, self.verified)
            || of_owner.verified.0 > 0 && of_owner.verified.is_one_in(HOME_ONE_IN, self.verified)
    }

    /// The role of a sender that signs with a key that never verified anywhere: if it comes from a few places, somebody
    /// signs as the domain with a wrong key; if from everywhere, the signature is made up.
    pub(crate) fn never_verified(&self, of_network: Share, of_owner: Share) -> Role {
        let found = &self.unverified;
        let is_place = |share: Share| share.unverified.0 > 0 && share.unverified.is_one_in(HOME_ONE_IN, found.messages);
        let several = found.reporters.len() >= ENOUGH_REPORTERS;
        if !is_place(of_network) && !is_place(of_owner) {
            Role::Suspect
        } else if found.messages.0 >= WORTH_A_LINE && found.days.bad_days() >= STEADY_DAYS && several {
            Role::Own
        } else if found.messages.0 >= NO_CHANCE {
            Role::Unclear
        } else {
            Role::Suspect
        }
    }

    fn merge(&mut self, other: &Self) {
        self.days.merge(&other.days);
        self.verified += other.verified;
        self.is_listed |= other.is_listed;
        let (found, more) = (&mut self.unverified, &other.unverified);
        found.messages += more.messages;
        found.days.merge(&more.days);
        found.reporters.merge(&more.reporters);
    }
}

impl Share {
    fn merge(&mut self, other: Self) {
        self.verified += other.verified;
        self.unverified += other.unverified;
        self.listed |= other.listed;
    }
}

/// Another domain that authenticates mail of this one, over all its addresses.
#[derive(Debug, Default)]
pub(crate) struct Voucher {
    /// Good: the domain itself authenticates too. Bad: it does not, and the mail fails.
    pub(crate) days: DayCounts,
    pub(crate) reporters: ReporterSet,
    /// How many addresses it failed from in the eight weeks.
    pub(crate) addresses: u64,
    /// The three of them with most failing messages.
    pub(crate) largest: LargestSources,
    /// Failing messages of the eight weeks.
    pub(crate) failing: Messages,
    /// Those of them that it signs.
    pub(crate) signed: Messages,
    /// Messages that the domain itself authenticates too, with a key at home there: it signs for the domain.
    pub(crate) aligned: Messages,
    /// Other messages with the domain's own signature, good or broken: it forwards them.
    passed_on: Messages,
    /// What it is for the domain.
    pub(crate) role: Option<Role>,
}

impl Voucher {
    /// Its role: `Vendor` means steady, and possibly the user's. One that forwards signed mail of the domain's other
    /// senders forwards unsigned mail too.
    fn role(&self, is_service: bool) -> Role {
        let ((_, messages), passed_on) = (self.days.all(), self.passed_on);
        if passed_on.0 >= NO_CHANCE && passed_on.is_one_in(PASSED_ON_ONE_IN, messages) {
            return Role::Forwarder;
        }
        let several = self.reporters.len() >= ENOUGH_REPORTERS;
        let large = if is_service { WORTH_A_LINE } else { NO_STRAY };
        if several && self.is_steady() {
            Role::Vendor
        } else if several && messages.0 >= large {
            Role::Unclear
        } else {
            Role::Suspect
        }
    }

    /// Whether it returns, whoever sees it.
    pub(crate) fn is_steady(&self) -> bool {
        let often = self.days.bad_days() >= STEADY_DAYS && self.days.bad_weeks() >= STEADY_WEEKS;
        often && self.days.all().1.0 >= WORTH_A_LINE
    }

    /// Failing messages of the eight weeks from one address.
    fn add_source(&mut self, source: SourceAddress, messages: Messages) {
        self.addresses += 1;
        add_largest(&mut self.largest, &[(Reverse(messages.0), source)], 3);
    }

    fn merge(&mut self, other: Self) {
        self.days.merge(&other.days);
        self.reporters.merge(&other.reporters);
        self.addresses += other.addresses;
        add_largest(&mut self.largest, &other.largest, 3);
        self.failing += other.failing;
        self.signed += other.signed;
    }
}

/// Everything that is known. The first ID of each key is the policy domain's.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) keys: IdMap<(u32, SigningKey), KeyUse>,
    /// Messages with a key and a return path of another organization, by that organization.
    owners: IdMap<(u32, SigningKey, u32), Share>,
    /// Messages with a return path of the domain's own organization that pass SPF.
    bounce_names: IdMap<(u32, u32), Messages>,
    pub(crate) vouchers: IdMap<(u32, u32), Voucher>,
    /// Messages authenticated by another domain that also have the domain's own signature, by both.
    with_own: IdMap<(u32, u32, SigningKey), Share>,
    /// Domains for which something passed.
    pub(crate) passed: IdMap<u32, Messages>,
}

impl History {
    /// From all facts.
    pub(crate) fn new(view: &View<'_>, weights: &Weights, horizon: Horizon) -> Self {
        let of_core = |parts: &[ShardFacts]| {
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

    /// Decides the role of each voucher, once all keys are known.
    fn judge_vouchers(&mut self, view: &View<'_>) {
        let Self { keys, vouchers, with_own, .. } = self;
        for ((domain, name, key), share) in std::mem::take(with_own) {
            let (Some(known), Some(voucher)) = (keys.get(&(domain, key)), vouchers.get_mut(&(domain, name))) else {
                continue;
            };
            let one_in = if known.is_listed { SECOND_HOME_ONE_IN } else { HOME_ONE_IN };
            if !known.ever_verified() {
                continue;
            }
            if share.verified.0 > 0 && share.verified.is_one_in(one_in, known.verified) {
                voucher.aligned += share.verified;
            } else {
                voucher.passed_on += share.verified + share.unverified;
            }
        }
        let services = &view.added.question.services;
        for ((_, name), voucher) in vouchers {
            // This stands for many unrelated domains.
            let is_other = view.is_other(*name);
            let name = view.name(*name);
            let is_service = services.name(name, name, None).is_some();
            voucher.role = Some(if is_other { Role::Suspect } else { voucher.role(is_service) });
        }
    }

    /// Another domain that authenticates mail of a domain.
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

    /// Messages with a key and a return path of another organization.
    pub(crate) fn of_owner(&self, domain: u32, key: SigningKey, owner: Option<u32>) -> Share {
        owner.and_then(|owner| self.owners.get(&(domain, key, owner))).copied().unwrap_or_default()
    }

    fn add(&mut self, items: &[SourceFact<'_>], horizon: Horizon) {
        // Failing messages authenticated by another domain, at one source.
        let mut failing: Vec<(u32, Messages)> = Vec::new();
        for items in items.chunk_by(|a, b| (a.domain(), a.source) == (b.domain(), b.source)) {
            let listed = is_listed(items);
            for item in items.iter().filter(|item| item.judged.0 > 0) {
                self.add_item(item, listed, horizon);
                if let Some(name) = item.pattern.foreign()
                    && vouches_alone(item.pattern)
                    && horizon.judges(item.fact.day)
                {
                    failing.push((name, item.judged));
                }
            }
            failing.sort_unstable();
            for same in failing.chunk_by(|(a, _), (b, _)| a == b) {
                let messages = same.iter().fold(Messages(0), |sum, (_, messages)| sum + *messages);
                self.vouchers.entry((items[0].domain(), same[0].0)).or_default().add_source(items[0].source, messages);
            }
            failing.clear();
        }
    }

    fn add_item(&mut self, item: &SourceFact<'_>, listed: bool, horizon: Horizon) {
        let SourceFact { pattern, judged, fact, .. } = *item;
        let domain = item.domain();
        if pattern.passes {
            *self.passed.entry(domain).or_default() += judged;
        }
        for key in &pattern.verified {
            let known = self.keys.entry((domain, *key)).or_default();
            known.verified += judged;
            known.days.add(fact.day, judged, Messages(0));
            known.is_listed |= listed;
            if let Some(owner) = pattern.path_owner {
                self.owners.entry((domain, *key, owner)).or_default().verified += judged;
            }
        }
        for broken in &pattern.broken {
            let found = &mut self.keys.entry((domain, broken.key)).or_default().unverified;
            found.messages += judged;
            found.days.add(fact.day, Messages(0), judged);
            found.reporters.insert(fact.reporter);
            if let Some(owner) = pattern.path_owner {
                self.owners.entry((domain, broken.key, owner)).or_default().unverified += judged;
            }
        }
        if pattern.path == PathResult::OwnPass && pattern.return_path != NONE {
            *self.bounce_names.entry((domain, pattern.return_path)).or_default() += judged;
        }
        let Some(name) = pattern.foreign() else { return };
        if vouches_alone(pattern) {
            let voucher = self.vouchers.entry((domain, name)).or_default();
            voucher.days.add(fact.day, Messages(0), judged);
            voucher.reporters.insert(fact.reporter);
            if horizon.judges(fact.day) {
                voucher.failing += judged;
                voucher.signed += judged.only_if(!pattern.vouchers.is_empty());
            }
        } else {
            for name in pattern.vouchers.iter().copied().chain(pattern.path_owner) {
                let voucher = self.vouchers.entry((domain, name)).or_default();
                if pattern.passes {
                    voucher.days.add(fact.day, judged, Messages(0));
                }
                for key in &pattern.verified {
                    self.with_own.entry((domain, name, *key)).or_default().verified += judged;
                }
                for broken in &pattern.broken {
                    self.with_own.entry((domain, name, broken.key)).or_default().unverified += judged;
                }
            }
        }
    }

    fn merge(&mut self, other: Self) {
        merge(&mut self.keys, other.keys, |known, more| known.merge(&more));
        merge(&mut self.owners, other.owners, Share::merge);
        merge(&mut self.with_own, other.with_own, Share::merge);
        merge(&mut self.bounce_names, other.bounce_names, Messages::add_assign);
        merge(&mut self.passed, other.passed, Messages::add_assign);
        merge(&mut self.vouchers, other.vouchers, Voucher::merge);
    }
}

/// Whether the owner of the domain authorized a source: its own return path passed SPF there.
pub(crate) fn is_listed(items: &[SourceFact<'_>]) -> bool {
    let passes = |item: &SourceFact<'_>| item.judged.0 > 0 && item.pattern.path == PathResult::OwnPass;
    // The unknown source may be anybody.
    items[0].source != SourceAddress::UNKNOWN && items.iter().any(passes)
}

/// Whether mail fails, has no signature of the domain, and is authenticated by another domain.
pub(crate) fn vouches_alone(pattern: &AuthPattern) -> bool {
    pattern.fails() && !pattern.own_pass() && pattern.broken.is_empty() && pattern.foreign().is_some()
}

/// How many parts each core takes.
pub(super) fn parts_a_core(view: &View<'_>) -> usize {
    view.added.facts.len().div_ceil(rayon::current_num_threads()).max(1)
}
