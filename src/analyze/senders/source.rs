//! What the rows of one address come to, over all chosen domains.

use super::{
    super::{
        Foreign, Sums,
        interner::Table,
        period::date,
        summary::SourceSummary,
        sums::{DaySpan, Messages},
    },
    causes::Causes,
    classify::Judged,
    reporter_set::ReporterSet,
    role::Roles,
    view::{Item, View},
};
use crate::model::Source;
use std::sync::Arc;

/// Sums of one address.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceSums {
    sums: Sums,
    causes: Causes,
    unaligned: Messages,
    roles: Roles,
    reporters: ReporterSet,
    span: DaySpan,
    /// Ids of its policy domains.
    domains: Vec<u32>,
}

impl SourceSums {
    /// Add a row; one of the history only tells whether the source is older.
    pub(crate) fn add(&mut self, item: &Item<'_>, judged: &Judged) {
        let Item { pattern, fact, .. } = item;
        self.span.add(fact.day);
        if pattern.asked {
            self.sums.add(pattern.pattern.flags, fact.messages, u64::from(fact.records));
            self.causes.add(judged.cause, fact.messages, item.judged);
            self.unaligned += if pattern.unaligned { Messages(fact.messages) } else { Messages(0) };
            self.roles.add(judged.role);
            self.reporters.insert(fact.reporter);
            // One that comes again later is taken out at the end: a source may send as many thousands.
            if self.domains.last() != Some(&pattern.pattern.domain) {
                self.domains.push(pattern.pattern.domain);
            }
        }
    }

    /// Whether it has rows in the period.
    pub(crate) fn is_asked(&self) -> bool {
        self.sums.records > 0
    }
}

/// Lists of domains: most sources have the same few.
pub(crate) type DomainLists = Table<Vec<u32>, Arc<[Foreign]>>;

/// The entry of a source.
pub(crate) fn summarize(
    view: &View<'_>,
    source: Source,
    mut sums: SourceSums,
    lists: &mut DomainLists,
) -> SourceSummary {
    sums.domains.sort_unstable();
    sums.domains.dedup();
    let address = source.address();
    let host = address.and_then(|address| view.host(address));
    let list = |ids: &Vec<u32>| {
        let mut domains: Vec<_> = ids.iter().map(|id| view.foreign(*id)).collect();
        domains.sort_unstable();
        domains.into()
    };
    let day = |day: Option<i32>| date(day.unwrap_or_default());
    SourceSummary {
        source_ip: address,
        name: host.map(|host| host.name.clone()),
        name_confirmed: host.map(|host| host.confirmed),
        network: address.and_then(|address| view.network(address)).cloned().map(Box::new),
        sums: sums.sums,
        authenticated_unaligned: sums.unaligned.0,
        cause: sums.causes.diagnosis(),
        roles: sums.roles,
        reporters: sums.reporters.len() as u64,
        first_seen: day(sums.span.first()),
        last_seen: day(sums.span.last()),
        domains: lists.entry(sums.domains).or_insert_with_key(list).clone(),
    }
}
