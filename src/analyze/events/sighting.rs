//! What rules see of an event: the days that show it, how many messages, who saw them and where they came from.

use crate::analyze::day_span::DaySpan;
use crate::model::SourceAddress;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The messages that show something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// The first day.
    pub(crate) since: i32,
    /// The last day.
    pub(crate) seen: i32,
    pub(crate) messages: u64,
    pub(crate) reporters: BTreeSet<u32>,
    /// Most messages first.
    pub(crate) sources: Vec<SourceAddress>,
}

impl Sighting {
    /// From the address, day, reporter and messages of each fact; `None` if there is none.
    pub(super) fn of(facts: impl Iterator<Item = (SourceAddress, i32, u32, u64)>) -> Option<Self> {
        let (mut days, mut all, mut reporters) = (DaySpan::default(), 0_u64, BTreeSet::new());
        let mut by_source: BTreeMap<SourceAddress, u64> = BTreeMap::new();
        for (source, day, reporter, messages) in facts {
            days.add(day);
            all = all.saturating_add(messages);
            reporters.insert(reporter);
            let sent = by_source.entry(source).or_default();
            *sent = sent.saturating_add(messages);
        }
        let mut sources: Vec<_> = by_source.into_iter().collect();
        sources.sort_by_key(|(_, messages)| Reverse(*messages));
        let sources = sources.into_iter().map(|(source, _)| source).collect();
        Some(Self { since: days.first()?, seen: days.last()?, messages: all, reporters, sources })
    }
}
