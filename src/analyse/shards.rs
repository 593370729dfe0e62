//! Facts by source and pattern, split by network so that one part at a time fits a processor's cache. In: rows as small
//! entries, which wait until a part has enough of them. Out: each part's sources and facts; a network is whole in one.

use super::{
    facts::{Fact, Sets},
    interner::{Interner, NONE, Table},
};
use crate::model::Source;

/// How many parts. With 359,000 sources each has 5,600: its tables stay in the second cache.
const PARTS: usize = 64;

/// How many entries wait before a part adds them all at once.
const WAITING: usize = 4096;

/// A row, its pattern known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) source: Source,
    pub(crate) messages: u64,
    pub(crate) pattern: u32,
    pub(crate) reporter: u32,
    pub(crate) day: i32,
}

/// All parts.
#[derive(Debug, Clone)]
pub(crate) struct Shards {
    parts: Vec<Shard>,
}

/// The sources of some networks, and their facts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shard {
    waiting: Vec<Entry>,
    /// Ids are this part's own.
    pub(crate) sources: Interner<Source>,
    /// By source and pattern.
    pub(crate) facts: Table<(u32, u32), Fact>,
    /// The sets of reporters of those facts that several saw.
    pub(crate) sets: Sets,
}

impl Default for Shards {
    fn default() -> Self {
        Self { parts: vec![Shard::default(); PARTS] }
    }
}

impl Shards {
    /// Add a row.
    pub(crate) fn add(&mut self, entry: Entry) {
        let part = &mut self.parts[place(entry.source)];
        part.waiting.push(entry);
        if part.waiting.len() >= WAITING {
            part.settle();
        }
    }

    /// Add what waits everywhere: only then the parts are whole.
    pub(crate) fn settle(&mut self) {
        self.parts.iter_mut().for_each(|part| {
            part.settle();
            part.waiting = Vec::new();
        });
    }

    /// Add another's, with its ids of patterns and reporters translated.
    pub(crate) fn merge(&mut self, mut other: Self, patterns: &[u32], reporters: &[u32]) {
        let reporter = |id: u32| reporters.get(id as usize).copied().unwrap_or(NONE);
        other.settle();
        for (part, other) in self.parts.iter_mut().zip(other.parts) {
            let sources = part.sources.adopt(&other.sources);
            for ((source, pattern), fact) in other.facts {
                let key = (sources[source as usize], patterns[pattern as usize]);
                let seen = fact.reporters(&other.sets).iter().map(|id| reporter(*id));
                part.facts.entry(key).or_insert(Fact::EMPTY).merge(&fact, seen, &mut part.sets);
            }
        }
    }

    /// The parts, settled before.
    pub(crate) fn parts(&self) -> &[Shard] {
        &self.parts
    }
}

impl Shard {
    fn settle(&mut self) {
        let (mut last, mut id) = (None, 0);
        for Entry { source, messages, pattern, reporter, day } in self.waiting.drain(..) {
            if last != Some(source) {
                (last, id) = (Some(source), self.sources.id(source));
            }
            self.facts.entry((id, pattern)).or_insert(Fact::EMPTY).add(messages, day, reporter, &mut self.sets);
        }
    }
}

/// The network that one sender is taken to own: an IPv4 /24, an IPv6 /64; the unknown source is one of its own.
pub(crate) fn network(source: Source) -> Source {
    match source.address() {
        Some(std::net::IpAddr::V4(_)) => Source(source.0 & !0xff),
        Some(std::net::IpAddr::V6(_)) => Source(source.0 & !u128::from(u64::MAX)),
        None => source,
    }
}

/// The part of a source: the same for a whole network.
fn place(source: Source) -> usize {
    let network = network(source).0;
    #[expect(clippy::cast_possible_truncation, reason = "both halves are mixed")]
    let mixed = ((network >> 64) as u64 ^ network as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> 58).expect("six bits fit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_24_or_a_64_and_lies_in_one_part() {
        let source = |text: &str| Source::from(Some(text.parse().unwrap()));
        assert_eq!(network(source("192.0.2.77")), source("192.0.2.0"));
        assert_eq!(network(source("2001:db8::1:2:3")), source("2001:db8::"));
        assert_eq!(network(Source::UNKNOWN), Source::UNKNOWN);
        assert_eq!(place(source("192.0.2.77")), place(source("192.0.2.1")));
    }
}
