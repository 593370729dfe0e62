//! Facts folded by source. In: facts. Out: one entry an address, diagnosed and sorted.

use super::{
    Foreign, SourceSummary, Sums, diagnosis::Causes, groups::Item, interner::Table, period::date, seen::Reporters,
    shards::Part, view::View,
};
use crate::model::Source;
use rayon::prelude::*;
use std::{
    cmp::Reverse,
    sync::{Arc, Mutex, PoisonError},
};

/// What the facts of one source come to.
#[derive(Debug, Clone)]
pub(crate) struct SourceSums {
    pub(crate) sums: Sums,
    pub(crate) causes: Causes,
    /// Failing messages that pass something, but for another domain.
    pub(crate) unaligned: u64,
    pub(crate) reporters: Reporters,
    pub(crate) first: i32,
    pub(crate) last: i32,
    /// Whether any message passed, in the period or before it.
    pub(crate) confirmed: bool,
    /// Ids of its policy domains.
    pub(crate) domains: Vec<u32>,
}

impl Default for SourceSums {
    fn default() -> Self {
        Self {
            sums: Sums::default(),
            causes: Causes::default(),
            unaligned: 0,
            reporters: Reporters::default(),
            first: i32::MAX,
            last: i32::MIN,
            confirmed: false,
            domains: Vec::new(),
        }
    }
}

impl SourceSums {
    /// Add a fact; one of the history only tells whether the source is older and ever passed.
    fn add(&mut self, item: &Item<'_>) {
        let Item { shape, fact, .. } = item;
        self.first = self.first.min(fact.first);
        self.last = self.last.max(fact.last);
        self.confirmed |= shape.passes && fact.messages > 0 && !shape.pattern.unproven;
        if shape.asked {
            self.sums.add(shape.pattern.flags, fact.messages, u64::from(fact.records));
            self.causes.add(shape.pattern.cause, fact.messages);
            self.unaligned = self.unaligned.saturating_add(if shape.unaligned { fact.messages } else { 0 });
            item.reporters(&mut self.reporters);
            if !self.domains.contains(&shape.pattern.domain) {
                self.domains.push(shape.pattern.domain);
            }
        }
    }
}

/// Every source with rows in the period: most failing messages first, then most messages, then by address.
pub(crate) fn sources(view: &View<'_>) -> Vec<SourceSummary> {
    let number = view.added.facts.iter().map(|part| part.sources.len()).sum();
    let sources = Mutex::new(Vec::with_capacity(number));
    // A part's go where all are as soon as they are known: there may be too many to hold twice.
    view.added.facts.par_iter().for_each(|part| {
        let more = part_sources(view, part);
        sources.lock().unwrap_or_else(PoisonError::into_inner).extend(more);
    });
    let mut sources: Vec<SourceSummary> = sources.into_inner().unwrap_or_else(PoisonError::into_inner);
    sources.par_sort_unstable_by_key(|source| {
        (Reverse(source.sums.failing()), Reverse(source.sums.messages), Source::from(source.source_ip))
    });
    sources
}

/// The sources of a part, in no order.
fn part_sources(view: &View<'_>, part: &Part) -> Vec<SourceSummary> {
    let mut folded = vec![SourceSums::default(); part.sources.len()];
    for fact in &part.facts {
        let item = Item::new(view, part, fact);
        let sums = &mut folded[fact.source() as usize];
        sums.add(&item);
        sums.confirmed |= view.is_known(item.source, item.shape);
    }
    let mut lists = Lists::default();
    let asked = part.sources.iter().zip(folded).filter(|(_, sums)| sums.sums.records > 0);
    asked.map(|(source, sums)| summarize(view, *source, sums, &mut lists)).collect()
}

/// Lists of domains: most sources have the same few.
type Lists = Table<Vec<u32>, Arc<[Foreign]>>;

fn summarize(view: &View<'_>, source: Source, sums: SourceSums, lists: &mut Lists) -> SourceSummary {
    let address = source.address();
    let host = address.and_then(|address| view.name(address));
    let list = |ids: &Vec<u32>| {
        let mut domains: Vec<_> = ids.iter().map(|id| view.foreign(*id)).collect();
        domains.sort_unstable();
        domains.into()
    };
    SourceSummary {
        source_ip: address,
        name: host.map(|host| host.name.clone()),
        name_confirmed: host.map(|host| host.confirmed),
        network: address.and_then(|address| view.network(address)).cloned().map(Box::new),
        sums: sums.sums,
        authenticated_unaligned: sums.unaligned,
        cause: sums.causes.diagnosis(sums.confirmed),
        reporters: sums.reporters.len() as u64,
        first_seen: date(sums.first),
        last_seen: date(sums.last),
        domains: lists.entry(sums.domains).or_insert_with_key(list).clone(),
    }
}
