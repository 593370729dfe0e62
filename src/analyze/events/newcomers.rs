//! Senders that were not there before: a network, key, signing service or return path of which nothing is known yet.

use super::facts::{BySource, Fact, SenderMarks};
use crate::model::Source;
use std::collections::{BTreeMap, BTreeSet};

/// Days in which a sender is new.
pub(crate) const NEW: i32 = 14;
/// Days with mail.
const DAYS: usize = 2;

/// One thing that tells senders apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// The domain's own key: signing domain and selector.
    Key(u32, u32),
    /// Another organization that signs.
    Signer(u32),
    /// Another organization's return path.
    Path(u32),
    /// A network.
    Network(Source),
}

/// A new sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Newcomer {
    pub(crate) mark: Mark,
    pub(crate) since: i32,
    pub(crate) seen: i32,
    pub(crate) messages: u64,
    pub(crate) passing: u64,
    pub(crate) reporters: BTreeSet<u32>,
    pub(crate) sources: Vec<Source>,
}

impl SenderMarks {
    /// All its marks, the most telling first.
    pub(crate) fn all(&self) -> Vec<Mark> {
        let keys = self.keys.iter().map(|(domain, selector)| Mark::Key(*domain, *selector));
        let signers = self.signers.iter().map(|signer| Mark::Signer(*signer));
        keys.chain(signers).chain(self.path.map(Mark::Path)).chain([Mark::Network(self.network)]).collect()
    }
}

type Senders = BTreeMap<SenderMarks, BySource<Fact>>;

/// The first and the last day of each mark in the rows, and its messages.
pub(crate) fn marks(senders: &Senders) -> BTreeMap<Mark, (i32, i32, u64)> {
    let mut marks: BTreeMap<Mark, (i32, i32, u64)> = BTreeMap::new();
    for (sender, sources) in senders {
        let facts = || sources.values().flatten();
        let first = facts().map(|fact| fact.day).min().unwrap_or(i32::MAX);
        let last = facts().map(|fact| fact.day).max().unwrap_or(i32::MIN);
        let messages = facts().fold(0_u64, |sum, fact| sum.saturating_add(fact.good).saturating_add(fact.bad));
        for mark in sender.all() {
            let known = marks.entry(mark).or_insert((first, last, 0));
            *known = (known.0.min(first), known.1.max(last), known.2.saturating_add(messages));
        }
    }
    marks
}

/// Senders of which no mark was seen before the last days, nor is `known` from earlier; with `least` messages.
pub(crate) fn newcomers(senders: &Senders, today: i32, least: u64, is_known: &dyn Fn(Mark) -> bool) -> Vec<Newcomer> {
    let marks = marks(senders);
    let is_new = |mark: &Mark| marks.get(mark).is_some_and(|(first, ..)| *first > today - NEW) && !is_known(*mark);
    let mut found: BTreeMap<Mark, Vec<&BySource<Fact>>> = BTreeMap::new();
    for (sender, sources) in senders {
        let all = sender.all();
        if all.iter().all(is_new) {
            found.entry(all[0]).or_default().push(sources);
        }
    }
    found.into_iter().filter_map(|(mark, all)| newcomer(mark, &all, least)).collect()
}

fn newcomer(mark: Mark, all: &[&BySource<Fact>], least: u64) -> Option<Newcomer> {
    let facts = || all.iter().flat_map(|sources| sources.values()).flatten();
    let days: BTreeSet<i32> = facts().map(|fact| fact.day).collect();
    let reporters: BTreeSet<u32> = facts().map(|fact| fact.reporter).collect();
    let sum = |of: fn(&Fact) -> u64| facts().fold(0_u64, |sum, fact| sum.saturating_add(of(fact)));
    let messages = sum(|fact| fact.good.saturating_add(fact.bad));
    if messages < least || days.len() < DAYS || reporters.len() < 2 {
        return None;
    }
    let mut by_source: BTreeMap<Source, u64> = BTreeMap::new();
    for (source, facts) in all.iter().flat_map(|sources| sources.iter()) {
        *by_source.entry(*source).or_default() += facts.iter().map(|fact| fact.good + fact.bad).sum::<u64>();
    }
    let mut largest: Vec<_> = by_source.into_iter().map(|(source, sent)| (std::cmp::Reverse(sent), source)).collect();
    largest.sort_unstable();
    Some(Newcomer {
        mark,
        since: *days.first()?,
        seen: *days.last()?,
        messages,
        passing: sum(|fact| fact.good),
        reporters,
        sources: largest.into_iter().map(|(_, source)| source).collect(),
    })
}
