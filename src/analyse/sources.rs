//! Facts folded by source. In: the adder's facts. Out: one entry an address, diagnosed and sorted.

use super::{
    SourceSummary, Sums,
    diagnosis::Causes,
    facts::{Fact, Reporters},
    interner::Table,
    period::date,
    shards::Shard,
    view::{Shape, View},
};
use crate::model::Source;
use rayon::prelude::*;
use std::cmp::Reverse;

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
    fn add(&mut self, shape: &Shape, fact: &Fact, reporters: &[u32]) {
        self.first = self.first.min(fact.first);
        self.last = self.last.max(fact.last);
        self.confirmed |= shape.passes && fact.messages > 0 && !shape.pattern.unproven;
        if shape.asked {
            self.sums.add(shape.pattern.flags, fact.messages, u64::from(fact.records));
            self.causes.add(shape.pattern.cause, fact.messages);
            self.unaligned = self.unaligned.saturating_add(if shape.unaligned { fact.messages } else { 0 });
            self.reporters.extend(reporters);
            if !self.domains.contains(&shape.pattern.domain) {
                self.domains.push(shape.pattern.domain);
            }
        }
    }
}

/// Every source with rows in the period: most failing messages first, then most messages, then by address.
pub(crate) fn sources(view: &View<'_>) -> Vec<SourceSummary> {
    let parts: Vec<Vec<SourceSummary>> =
        view.adder.facts.parts().par_iter().map(|part| part_sources(view, part)).collect();
    let mut sources: Vec<SourceSummary> = parts.into_iter().flatten().collect();
    sources.sort_unstable_by_key(|source| {
        (Reverse(source.sums.failing()), Reverse(source.sums.messages), Source::from(source.source_ip))
    });
    sources
}

/// The sources of a part, in no order.
fn part_sources(view: &View<'_>, part: &Shard) -> Vec<SourceSummary> {
    let mut folded: Table<u32, SourceSums> = Table::default();
    for ((source, pattern), fact) in &part.facts {
        let shape = view.shape(*pattern);
        let sums = folded.entry(*source).or_default();
        sums.add(shape, fact, fact.reporters(&part.sets));
        sums.confirmed |= view.is_known(*part.sources.get(*source), shape);
    }
    let asked = folded.into_iter().filter(|(_, sums)| sums.sums.records > 0);
    asked.map(|(id, sums)| summarise(view, *part.sources.get(id), &sums)).collect()
}

fn summarise(view: &View<'_>, source: Source, sums: &SourceSums) -> SourceSummary {
    let address = source.address();
    let host = address.and_then(|address| view.name(address));
    let mut domains: Vec<_> = sums.domains.iter().map(|id| view.foreign(*id)).collect();
    domains.sort_unstable();
    SourceSummary {
        source_ip: address,
        name: host.map(|host| host.name.clone()),
        name_confirmed: host.map(|host| host.confirmed),
        network: address.and_then(|address| view.network(address)).cloned(),
        sums: sums.sums,
        authenticated_unaligned: sums.unaligned,
        cause: sums.causes.diagnosis(sums.confirmed),
        reporters: sums.reporters.len() as u64,
        first_seen: date(sums.first),
        last_seen: date(sums.last),
        domains,
    }
}
