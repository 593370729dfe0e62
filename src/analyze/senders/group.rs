//! One sender of a domain: the addresses of one network with the same identity and role.

use super::Role;
use super::auth_pattern::{Declared, PathResult};
use super::causes::Causes;
use super::classify::{Identity, JudgedRow};
use super::history::{History, Horizon};
use super::reporter_set::ReporterSet;
use super::top::{LargestSources, add_largest};
use super::verdict_counts::{PeriodMessages, VerdictCounts};
use super::view::{SourceFact, View};
use crate::analyze::Sums;
use crate::analyze::day_span::DaySpan;
use crate::analyze::question::HISTORY;
use crate::analyze::sums::Messages;
use crate::analyze::sums::interner::{IdMap, NONE};
use crate::analyze::sums::shards::network;
use crate::analyze::thresholds::{ENOUGH_REPORTERS, NO_CHANCE, WHOLE_ONE_IN};
use crate::model::{Cause, SourceAddress};
use std::cmp::Reverse;

/// The most windows there are: the history's, and the period asked for.
pub(crate) const WINDOWS: usize = HISTORY as usize + 1;

/// An unauthenticated source, or a suspect, with this many messages is listed on its own.
pub(crate) const NOTABLE: u64 = 50;

/// One sender of one domain.
#[derive(Debug, Clone)]
pub(crate) struct SenderGroup {
    /// The ID of the policy domain.
    pub(crate) domain: u32,
    pub(crate) network: SourceAddress,
    pub(crate) identity: Identity,
    pub(crate) role: Role,
    /// The signing domain of most of its messages, as an ID of the view's names.
    pub(crate) signer: Option<u32>,
    /// The organization of the return path that SPF proves for most of its messages, likewise.
    pub(crate) returns_to: Option<u32>,
    /// Addresses seen in the period.
    pub(crate) addresses: u64,
    /// Those with most messages in the period; without any, those of the history.
    pub(crate) largest: LargestSources,
    /// Messages and passing ones by window; the requested period is the last in use.
    pub(crate) windows: [(u64, u64); WINDOWS],
    /// Of the period.
    pub(crate) sums: Sums,
    /// Of the period.
    pub(crate) causes: Causes,
    /// Of the period, by the signs that distinguish kinds of senders.
    pub(crate) signs: Signs,
    /// Of the period.
    pub(crate) reporters: ReporterSet,
    /// Of the history.
    pub(crate) past_reporters: ReporterSet,
    /// History included.
    pub(crate) span: DaySpan,
    /// Of the period.
    pub(crate) current: DaySpan,
    /// It shares a network with an own sender.
    pub(crate) neighbor: bool,
    /// The index of the user's statement about it.
    pub(crate) confirmed: Option<usize>,
    /// What verdicts count.
    pub(crate) counts: VerdictCounts,
    /// It failed before and no longer does.
    pub(crate) repaired: bool,
    /// It fails as a whole since its last mostly good day.
    pub(crate) fails_whole: bool,
    /// One of its addresses was seen before the period, with any authentication.
    pub(crate) seen_before: bool,
    /// It includes a watched source.
    pub(crate) watched: bool,
    /// It returns as spoofers seldom do, if only for one reporter.
    pub(crate) steady: bool,
    /// It is unauthenticated, and big enough to be listed on its own.
    alone: bool,
}

/// Groups the rows of one source by sender.
type SourceKey = (Identity, Role, Option<usize>);

/// Groups the sources of one network by sender.
pub(crate) type NetworkKey = (SourceKey, Option<u32>, Option<u32>);

/// What identifies a sender by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SenderProfile {
    pub(crate) domain: u32,
    pub(crate) network: SourceAddress,
    pub(crate) role: Role,
    pub(crate) signer: Option<u32>,
    pub(crate) returns_to: Option<u32>,
    pub(crate) addresses: u64,
    pub(crate) largest: LargestSources,
}

/// Messages of the period by the signs that distinguish senders, forwarders, lists and spoofers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Signs {
    /// A signature of the domain that verifies.
    pub(crate) signed: Messages,
    /// A signature of the domain that does not.
    pub(crate) broken: Messages,
    /// Failing, and passing something for another organization.
    pub(crate) unaligned: Messages,
    /// Failing, and forwarded according to the receiver.
    pub(crate) said_forwarded: Messages,
    /// Failing, and from a list according to the receiver.
    pub(crate) said_list: Messages,
    /// Failing, and rejected or quarantined.
    pub(crate) blocked: Messages,
    /// SPF passes with the domain's own return path.
    pub(crate) authorized: Messages,
}

impl Signs {
    fn add(&mut self, item: &SourceFact<'_>) {
        let (pattern, messages) = (item.pattern, Messages(item.fact.messages));
        let fails = !pattern.passes;
        for (sum, holds) in [
            (&mut self.signed, !pattern.verified.is_empty()),
            (&mut self.broken, !pattern.broken.is_empty()),
            (&mut self.unaligned, pattern.unaligned),
            (&mut self.said_forwarded, fails && pattern.declared == Declared::Forwarded),
            (&mut self.said_list, fails && pattern.declared == Declared::List),
            (&mut self.blocked, fails && pattern.blocked),
            (&mut self.authorized, pattern.path == PathResult::OwnPass),
        ] {
            *sum += messages.only_if(holds);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.signed += other.signed;
        self.broken += other.broken;
        self.unaligned += other.unaligned;
        self.said_forwarded += other.said_forwarded;
        self.said_list += other.said_list;
        self.blocked += other.blocked;
        self.authorized += other.authorized;
    }
}

impl SenderGroup {
    /// A sender without rows yet.
    fn new(item: &SourceFact<'_>, judged: &JudgedRow) -> Self {
        Self {
            domain: item.domain(),
            network: network(item.source),
            identity: Self::key_of(judged).0,
            role: judged.role,
            signer: None,
            returns_to: None,
            addresses: 0,
            largest: vec![(Reverse(0), item.source)],
            windows: [(0, 0); WINDOWS],
            sums: Sums::default(),
            causes: Causes::default(),
            signs: Signs::default(),
            reporters: ReporterSet::default(),
            past_reporters: ReporterSet::default(),
            span: DaySpan::default(),
            current: DaySpan::default(),
            neighbor: judged.neighbor,
            confirmed: judged.confirmed,
            counts: VerdictCounts::default(),
            repaired: false,
            fails_whole: false,
            seen_before: false,
            watched: false,
            steady: false,
            alone: false,
        }
    }

    /// What the rows of one sender at one source have in common. Domains that authenticate a single stray message share
    /// one key.
    fn key_of(judged: &JudgedRow) -> SourceKey {
        let tail = judged.role == Role::Suspect && judged.confirmed.is_none();
        let identity = match judged.identity {
            Identity::Voucher(_) if tail => Identity::Voucher(NONE),
            identity => identity,
        };
        (identity, judged.role, judged.confirmed)
    }

    /// Adds a row. `governed` says whether the next policy step affects it.
    fn add(&mut self, item: &SourceFact<'_>, judged: &JudgedRow, governed: bool, horizon: Horizon) {
        let SourceFact { pattern, fact, .. } = item;
        let messages = fact.messages;
        if let Some((all, passing)) = self.windows.get_mut(usize::from(pattern.pattern.window)) {
            *all = all.saturating_add(messages);
            *passing = passing.saturating_add(if pattern.passes { messages } else { 0 });
        }
        self.span.add(fact.day);
        self.steady |= judged.steady;
        if pattern.current {
            self.sums.add(pattern.pattern.flags, messages, u64::from(fact.records));
            self.causes.add(judged.cause, messages, item.judged);
            self.signs.add(item);
            self.current.add(fact.day);
            self.largest[0].0.0 = self.largest[0].0.0.saturating_add(messages);
            self.reporters.insert(fact.reporter);
        } else {
            self.past_reporters.insert(fact.reporter);
        }
        if item.judged.0 > 0 {
            self.counts.add(item, judged, governed, horizon);
        }
    }

    /// Called after all rows of the source: derives what they say together.
    pub(crate) fn settle(&mut self, view: &View<'_>, history: &History, items: &[&SourceFact<'_>], horizon: Horizon) {
        self.signer = match self.identity {
            Identity::Voucher(name) if name != NONE => {
                items.iter().any(|item| item.pattern.vouchers.first() == Some(&name)).then_some(name)
            }
            _ => prevailing(view, items, |item| {
                let pattern = item.pattern;
                let own = pattern.verified.first().copied().or(pattern.broken.first().map(|broken| broken.key));
                own.map(|(name, _)| name).or(pattern.vouchers.first().copied())
            }),
        };
        self.returns_to = prevailing(view, items, |item| item.pattern.returns_to);
        self.addresses = u64::from(self.sums.records > 0);
        let unvouched = self.identity == Identity::Nobody;
        self.alone = unvouched && (self.sums.messages >= NOTABLE || self.role == Role::Unclear);
        if self.role == Role::Own {
            self.repaired = horizon.is_repaired(&self.counts.days);
            self.fails_whole = !self.repaired && self.is_failing_whole(horizon);
            if self.repaired {
                self.counts.governed = PeriodMessages::default();
            }
        }
        // All addresses of another domain are one sender.
        if let Identity::Voucher(name) = self.identity
            && name != NONE
        {
            let voucher = history.voucher(self.domain, name);
            self.repaired = voucher.is_some_and(|voucher| horizon.is_repaired(&voucher.days));
        }
    }

    /// Whether an own sender with ten messages or more since its last mostly good day fails with all of them.
    fn is_failing_whole(&self, horizon: Horizon) -> bool {
        let after = self.counts.days.last_mostly_good().map_or(i32::MIN, |day| day + 1);
        let (good, bad) = self.counts.days.between(after.max(horizon.start), horizon.to);
        bad.0 >= NO_CHANCE
            && good.0.saturating_mul(WHOLE_ONE_IN) <= bad.0
            && self.counts.governed.weeks.0 >= NO_CHANCE
            && self.counts.failing_reporters.len() >= ENOUGH_REPORTERS
    }

    /// What several sources of one sender in a network have in common. Unauthenticated neighbors may be unrelated: a
    /// big one stands alone, and has no such key.
    pub(crate) fn network_key(&self) -> Option<NetworkKey> {
        let key = (self.identity, self.role, self.confirmed);
        (!self.alone).then_some((key, self.signer, self.returns_to))
    }

    /// What identifies it by name.
    pub(crate) fn profile(&self) -> SenderProfile {
        SenderProfile {
            domain: self.domain,
            network: self.network,
            role: self.role,
            signer: self.signer,
            returns_to: self.returns_to,
            addresses: self.addresses,
            largest: self.largest.clone(),
        }
    }

    /// Adds another source of the same sender.
    pub(crate) fn merge(&mut self, other: Self, horizon: Horizon) {
        self.addresses += other.addresses;
        add_largest(&mut self.largest, &other.largest, 3);
        for (window, more) in self.windows.iter_mut().zip(other.windows) {
            *window = (window.0.saturating_add(more.0), window.1.saturating_add(more.1));
        }
        self.sums.merge(&other.sums);
        self.causes.merge(&other.causes);
        self.signs.merge(&other.signs);
        self.reporters.merge(&other.reporters);
        self.past_reporters.merge(&other.past_reporters);
        self.span.merge(other.span);
        self.current.merge(other.current);
        self.neighbor |= other.neighbor;
        self.counts.merge(&other.counts);
        self.fails_whole |= other.fails_whole;
        self.seen_before |= other.seen_before;
        self.watched |= other.watched;
        self.steady |= other.steady;
        if self.role == Role::Own {
            // A pool of addresses is one sender: the failure may have come from another of them.
            self.repaired = horizon.is_repaired(&self.counts.days);
        }
    }

    /// The diagnosis of the period.
    pub(crate) fn cause(&self) -> Cause {
        self.causes.diagnosis()
    }

    /// Failing messages that the next policy step affects; none if the fault is repaired.
    pub(crate) fn would_fail(&self) -> PeriodMessages {
        if self.repaired { PeriodMessages::default() } else { self.counts.governed }
    }

    /// The windows of the history, the latest first.
    pub(crate) fn past(&self, current: u8) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.windows[..usize::from(current)].iter().rev().copied()
    }

    /// In how many windows of the history it was seen.
    pub(crate) fn windows_seen(&self, current: u8) -> usize {
        self.past(current).filter(|(messages, _)| *messages > 0).count()
    }
}

impl SenderProfile {
    /// Its address, if it has only one.
    pub(crate) fn single(&self) -> Option<SourceAddress> {
        let one = self.addresses == 1 || self.addresses == 0 && self.largest.len() == 1;
        self.largest.first().filter(|_| one).map(|(_, source)| *source)
    }
}

/// A sender, and its rows.
pub(crate) type SenderRows<'i> = (SenderGroup, Vec<&'i SourceFact<'i>>);

/// The senders at one source, not settled yet, and for each row the place of its sender among them. `governs` says whether
/// the next policy step affects a row.
pub(crate) fn by_sender<'i>(
    items: &'i [SourceFact<'i>],
    judged: &[JudgedRow],
    governs: impl Fn(&SourceFact<'_>) -> bool,
    horizon: Horizon,
) -> (Vec<SenderRows<'i>>, Vec<usize>) {
    let mut groups: Vec<SenderRows<'i>> = Vec::new();
    let mut known: IdMap<SourceKey, usize> = IdMap::default();
    let mut last = None;
    let place = |(item, judged): (&'i SourceFact<'i>, &JudgedRow)| {
        let key = SenderGroup::key_of(judged);
        let place = match last {
            Some((same, place)) if same == key => place,
            _ => *known.entry(key).or_insert_with(|| {
                groups.push((SenderGroup::new(item, judged), Vec::new()));
                groups.len() - 1
            }),
        };
        last = Some((key, place));
        groups[place].0.add(item, judged, governs(item), horizon);
        groups[place].1.push(item);
        place
    };
    let places = items.iter().zip(judged).map(place).collect();
    (groups, places)
}

/// What most messages have; ties go to the one that sorts first.
fn prevailing(
    view: &View<'_>,
    items: &[&SourceFact<'_>],
    what: impl Fn(&SourceFact<'_>) -> Option<u32>,
) -> Option<u32> {
    let mut sums: IdMap<u32, Messages> = IdMap::default();
    for item in items {
        let Some(found) = what(item) else { continue };
        *sums.entry(found).or_default() += Messages(item.fact.messages);
    }
    let first = |(found, messages): &(u32, Messages)| (Reverse(*messages), view.name(*found));
    sums.into_iter().min_by(|a, b| first(a).cmp(&first(b))).map(|(found, _)| found)
}
