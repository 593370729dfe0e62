//! Signatures of own senders that do not verify: since when, from where, and what is wrong according to the results.

use super::Role;
use super::auth_pattern::{Breakage, SigningKey};
use super::classify::JudgedRow;
use super::failure_sums::{FailureSums, PeriodFailures};
use super::history::Horizon;
use super::view::{SourceFact, View};
use crate::analyze::sums::interner::{IdMap, merge};
use crate::analyze::sums::{DayCounts, Messages};
use crate::analyze::thresholds::{BROKEN_ONE_IN, NO_CHANCE};
use crate::model::SourceAddress;
use std::collections::BTreeMap;

/// Signatures of one key at some own senders.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyTrouble {
    /// Good: it verifies. Bad: it does not.
    pub(crate) days: DayCounts,
    /// Messages whose signature does not verify, by [`Breakage`].
    pub(crate) broken: PeriodFailures,
    /// Of the period: messages whose signature verifies.
    good: Messages,
    /// At one of the sources something of the domain passes: it is the domain's, not a stranger's that writes its name into
    /// signatures.
    pub(crate) proven: bool,
}

impl KeyTrouble {
    fn add(&mut self, view: &View<'_>, item: &SourceFact<'_>, breakage: Option<Breakage>, horizon: Horizon) {
        let Some(breakage) = breakage else {
            self.days.add(item.fact.day, item.judged, Messages(0));
            self.good += item.judged.only_if(item.pattern.current);
            return;
        };
        self.days.add(item.fact.day, Messages(0), item.judged);
        self.broken.add(view, item, breakage as usize, horizon);
    }

    /// Whether the sender is at fault, not the path of some mail.
    fn is_trouble(&self, horizon: Horizon) -> bool {
        let after = self.days.last_mostly_good().map_or(i32::MIN, |day| day + 1).max(horizon.from);
        let (_, since) = self.days.between(after, horizon.to);
        let broken = &self.broken.now;
        let often = broken.messages.is_one_in(BROKEN_ONE_IN, broken.messages + self.good);
        (since.0 >= NO_CHANCE || often) && broken.is_enough()
    }

    /// The first day after the last mostly good one; `None` if it never was good.
    pub(crate) fn since(&self) -> Option<i32> {
        self.days.first_bad(self.days.last_mostly_good()? + 1)
    }

    fn merge(&mut self, other: &Self) {
        self.days.merge(&other.days);
        self.broken.merge(&other.broken);
        self.good += other.good;
        self.proven |= other.proven;
    }
}

impl FailureSums {
    /// What is wrong with signatures according to most results.
    pub(crate) fn breakage(&self) -> Breakage {
        let kinds = [Breakage::NoKey, Breakage::Refused, Breakage::Mismatch, Breakage::Body];
        let most = kinds.into_iter().rev().max_by_key(|kind| self.kinds[*kind as usize]).unwrap_or(Breakage::Mismatch);
        // Few reporters mention the body: what they say about some failures applies to all.
        let of = |kind: Breakage| self.kinds[kind as usize];
        if most == Breakage::Mismatch && of(Breakage::Body).0 >= NO_CHANCE.min(of(Breakage::Mismatch).0 / 20).max(1) {
            Breakage::Body
        } else {
            most
        }
    }
}

/// What is known about a key at own senders.
#[derive(Debug, Clone, Default)]
struct KeyHealth {
    /// At addresses that are in trouble individually.
    addresses: KeyTrouble,
    /// At all of them.
    all: KeyTrouble,
}

/// All keys of all domains at own senders.
#[derive(Debug, Default)]
pub(crate) struct Signing(IdMap<(u32, SigningKey), KeyHealth>);

impl Signing {
    /// Examines the rows of one source.
    pub(crate) fn look<'i>(
        &mut self,
        view: &View<'_>,
        items: impl Iterator<Item = (&'i SourceFact<'i>, JudgedRow)>,
        horizon: Horizon,
    ) {
        let mut keys: BTreeMap<SigningKey, KeyTrouble> = BTreeMap::new();
        let (mut domain, mut source, mut proven) = (0, SourceAddress::UNKNOWN, false);
        for (item, _) in items.filter(|(item, judged)| judged.role == Role::Own && item.judged.0 > 0) {
            (domain, source) = (item.domain(), item.source);
            proven |= item.pattern.own_pass();
            let mut add = |key: SigningKey, breakage: Option<Breakage>| {
                // Nothing can be said about keys beyond the bounds.
                if !view.is_other(key.0) {
                    keys.entry(key).or_default().add(view, item, breakage, horizon);
                }
            };
            item.pattern.verified.iter().for_each(|key| add(*key, None));
            item.pattern.broken.iter().for_each(|broken| add(broken.key, Some(broken.breakage)));
        }
        for (key, mut found) in keys {
            found.proven = proven;
            found.broken.settle(source);
            let health = self.0.entry((domain, key)).or_default();
            if found.is_trouble(horizon) {
                health.addresses.merge(&found);
            }
            health.all.merge(&found);
        }
    }

    /// Adds the results for other sources.
    pub(crate) fn merge(&mut self, other: Self) {
        merge(&mut self.0, other.0, |known, health| {
            known.addresses.merge(&health.addresses);
            known.all.merge(&health.all);
        });
    }

    /// Every key in trouble, with its domain.
    pub(crate) fn troubles(&self, horizon: Horizon) -> impl Iterator<Item = (u32, SigningKey, &KeyTrouble)> {
        self.0.iter().filter_map(move |((domain, key), health)| {
            let trouble = [&health.all, &health.addresses].into_iter().find(|found| found.is_whole(horizon));
            let trouble = trouble.or(Some(&health.addresses).filter(|found| found.broken.now.messages.0 > 0));
            let trouble = trouble.or(Some(&health.all).filter(|found| found.is_trouble(horizon)))?;
            Some((*domain, *key, trouble))
        })
    }

    /// Every key that was in trouble for a while and may be so no longer, with its domain.
    pub(crate) fn ended(&self) -> impl Iterator<Item = (u32, SigningKey, &KeyTrouble, &FailureSums)> {
        self.0
            .iter()
            .filter_map(|((domain, key), health)| Some((*domain, *key, &health.all, health.all.broken.enough()?)))
    }
}

impl KeyTrouble {
    /// Whether the key no longer verifies anywhere.
    fn is_whole(&self, horizon: Horizon) -> bool {
        self.is_trouble(horizon) && self.good.0 < self.broken.now.messages.0 / 10
    }
}
