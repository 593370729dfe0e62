//! New senders: a network, key, signing service or return path that is not known yet.

use super::by_source::{BySource, EventFact};
use super::facts::SenderMarks;
use super::sighting::Sighting;
use crate::model::SourceAddress;
use std::collections::{BTreeMap, BTreeSet};

/// Days for which a sender is new.
pub(crate) const NEW: i32 = 14;
/// Days with mail.
const DAYS: usize = 2;

/// One thing that identifies a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum SenderMark {
    /// The domain's own key: signing domain and selector.
    Key(u32, u32),
    /// Another organization that signs.
    Signer(u32),
    /// Another organization's return path.
    Path(u32),
    /// A network.
    Network(SourceAddress),
}

/// A new sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Newcomer {
    pub(crate) mark: SenderMark,
    pub(crate) shown: Sighting,
    pub(crate) passing: u64,
}

impl SenderMarks {
    /// All its marks, most specific first.
    pub(crate) fn all(&self) -> Vec<SenderMark> {
        let keys = self.keys.iter().map(|(domain, selector)| SenderMark::Key(*domain, *selector));
        let signers = self.signers.iter().map(|signer| SenderMark::Signer(*signer));
        keys.chain(signers).chain(self.path.map(SenderMark::Path)).chain([SenderMark::Network(self.network)]).collect()
    }
}

type Senders = BTreeMap<SenderMarks, BySource<EventFact>>;

/// The first and the last day of each mark in the rows, and its messages.
pub(crate) fn marks(senders: &Senders) -> BTreeMap<SenderMark, (i32, i32, u64)> {
    let mut marks: BTreeMap<SenderMark, (i32, i32, u64)> = BTreeMap::new();
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

/// Senders without a mark that was seen before the last days or is `known` from earlier, with at least `least`
/// messages.
pub(crate) fn newcomers(
    senders: &Senders,
    today: i32,
    least: u64,
    is_known: &dyn Fn(SenderMark) -> bool,
) -> Vec<Newcomer> {
    let marks = marks(senders);
    let is_new =
        |mark: &SenderMark| marks.get(mark).is_some_and(|(first, ..)| *first > today - NEW) && !is_known(*mark);
    let mut found: BTreeMap<SenderMark, Vec<&BySource<EventFact>>> = BTreeMap::new();
    for (sender, sources) in senders {
        let all = sender.all();
        if all.iter().all(is_new) {
            found.entry(all[0]).or_default().push(sources);
        }
    }
    found.into_iter().filter_map(|(mark, all)| newcomer(mark, &all, least)).collect()
}

fn newcomer(mark: SenderMark, all: &[&BySource<EventFact>], least: u64) -> Option<Newcomer> {
    let sources = || all.iter().flat_map(|sources| sources.iter());
    let facts = || sources().flat_map(|(source, facts)| facts.iter().map(move |fact| (*source, fact)));
    let sent = |fact: &EventFact| fact.good.saturating_add(fact.bad);
    let shown = Sighting::of(facts().map(|(source, fact)| (source, fact.day, fact.reporter, sent(fact))))?;
    let days: BTreeSet<i32> = facts().map(|(_, fact)| fact.day).collect();
    let passing = facts().fold(0_u64, |sum, (_, fact)| sum.saturating_add(fact.good));
    let is_enough = shown.messages >= least && days.len() >= DAYS && shown.reporters.len() > 1;
    is_enough.then_some(Newcomer { mark, shown, passing })
}
