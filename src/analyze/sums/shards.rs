//! Facts, split by network into parts: one part fits in a processor's cache, and threads that add to different parts do
//! not wait for each other. All rows of a network are in one part.

use super::{
    common::Bounds,
    facts::{Fact, Facts},
    interner::{Interner, NONE},
};
use crate::model::{Flags, Rows, SourceAddress};
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// How many parts. With 370,000 sources each has 5,800; in a year with one pattern per source its tables take about 400
/// KB.
const PARTS: usize = 64;

/// Of how many addresses one is kept for mail that passes: spoofing from everywhere must not hide a domain's own servers.
const KEPT_ONE_IN: usize = 4;

/// All parts.
#[derive(Debug)]
pub(crate) struct Shards {
    parts: Vec<Mutex<Shard>>,
}

/// A part while it grows.
#[derive(Debug, Default)]
struct Shard {
    sources: Interner<SourceAddress>,
    facts: Facts,
}

/// A complete part, without lookup tables: the sources of some networks, and their facts.
#[derive(Debug)]
pub(crate) struct ShardFacts {
    /// By IDs of this part.
    pub(crate) sources: Vec<SourceAddress>,
    /// Sorted by source, pattern, day and reporter.
    pub(crate) facts: Vec<Fact>,
}

/// A row's pattern and day, [`NONE`] if the row does not count, and its reporter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowKey {
    pub(crate) pattern: u32,
    pub(crate) day: i32,
    pub(crate) reporter: u32,
}

impl Default for Shards {
    fn default() -> Self {
        Self { parts: std::iter::repeat_with(Mutex::default).take(PARTS).collect() }
    }
}

impl Shards {
    /// Adds the rows of a chunk, part by part. New addresses beyond the bounds count as the unknown source, unless
    /// they are watched; returns their messages.
    pub(crate) fn add(
        &self,
        rows: &Rows,
        (bounds, is_watched): (&Bounds, &dyn Fn(SourceAddress) -> bool),
        place: impl Fn(usize) -> RowKey,
    ) -> u64 {
        let parts: Vec<u8> = rows.source.iter().map(|source| part(*source)).collect();
        let mut ends = [0; PARTS];
        parts.iter().for_each(|part| ends[usize::from(*part)] += 1);
        let mut end = 0;
        for count in &mut ends {
            end += std::mem::replace(count, end);
        }
        let mut order = vec![0; rows.len];
        for (row, part) in parts.iter().enumerate() {
            let at = &mut ends[usize::from(*part)];
            order[*at] = row;
            *at += 1;
        }
        let room = bounds.sources_left();
        let kept = bounds.sources / KEPT_ONE_IN;
        let mut sources = RowSources { rows, left: room, kept, is_watched, untold: Vec::new() };
        let mut start = 0;
        for (part, end) in self.parts.iter().zip(ends) {
            if start < end {
                let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
                part.add(&mut sources, &order[start..end], &place);
            }
            start = end;
        }
        let RowSources { left, untold, .. } = sources;
        bounds.take_sources(room - left);
        if untold.is_empty() {
            return 0;
        }
        let unknown = &self.parts[usize::from(part(SourceAddress::UNKNOWN))];
        unknown.lock().unwrap_or_else(PoisonError::into_inner).add_unknown(rows, &untold, place);
        untold.iter().fold(0, |sum: u64, row| sum.saturating_add(messages(rows, *row)))
    }

    /// The complete parts. `part_of` has for each pattern the one it is now part of, if any changed.
    pub(crate) fn whole(self, part_of: Option<&[u32]>) -> Vec<ShardFacts> {
        let part = |shard: Mutex<Shard>| {
            let Shard { sources, mut facts } = shard.into_inner().unwrap_or_else(PoisonError::into_inner);
            if let Some(part_of) = part_of {
                facts.rename(part_of);
            }
            ShardFacts { sources: sources.into_items(), facts: facts.into_sorted() }
        };
        self.parts.into_par_iter().map(part).collect()
    }
}

/// The sources of a chunk's rows.
struct RowSources<'a> {
    rows: &'a Rows,
    /// How many new ones are told apart.
    left: usize,
    /// How many of those are kept for mail that passes.
    kept: usize,
    is_watched: &'a dyn Fn(SourceAddress) -> bool,
    /// Rows whose source is not told apart.
    untold: Vec<usize>,
}

impl Shard {
    fn add(&mut self, of: &mut RowSources<'_>, order: &[usize], place: impl Fn(usize) -> RowKey) {
        // Rows are sorted by day, domain and source: consecutive rows often have the same source.
        let mut last = None;
        for row in order {
            let RowKey { pattern, day, reporter } = place(*row);
            if pattern == NONE {
                continue;
            }
            let address = of.rows.source[*row];
            let source = match last {
                Some((known, source)) if known == address => source,
                _ => {
                    let Some(source) = self.source(address, of, of.rows.flags[*row].has(Flags::PASS)) else {
                        of.untold.push(*row);
                        continue;
                    };
                    source
                }
            };
            last = Some((address, source));
            let messages = messages(of.rows, *row);
            self.facts.add(Fact { messages, source, pattern, day, reporter, records: 1 });
        }
    }

    /// The ID of an address; `None` if it is new and beyond the bounds.
    fn source(&mut self, address: SourceAddress, of: &mut RowSources<'_>, passes: bool) -> Option<u32> {
        let kept = if passes { 0 } else { of.kept };
        if of.left <= kept && address != SourceAddress::UNKNOWN && !(of.is_watched)(address) {
            return self.sources.find(&address);
        }
        let left = &mut of.left;
        Some(self.sources.id(&address, || {
            *left = left.saturating_sub(1);
            address
        }))
    }

    /// Adds rows as those of the unknown source.
    fn add_unknown(&mut self, rows: &Rows, order: &[usize], place: impl Fn(usize) -> RowKey) {
        let source = self.sources.id(&SourceAddress::UNKNOWN, || SourceAddress::UNKNOWN);
        for row in order {
            let RowKey { pattern, day, reporter } = place(*row);
            self.facts.add(Fact { messages: messages(rows, *row), source, pattern, day, reporter, records: 1 });
        }
    }
}

fn messages(rows: &Rows, row: usize) -> u64 {
    u64::try_from(rows.count[row]).unwrap_or(0)
}

/// The network that is assumed to belong to one sender: an IPv4 /24, an IPv6 /64; the unknown source is separate.
pub(crate) fn network(source: SourceAddress) -> SourceAddress {
    if source == SourceAddress::UNKNOWN {
        source
    } else if source.0 >> 32 == 0xffff {
        SourceAddress(source.0 & !0xff)
    } else {
        SourceAddress(source.0 & !u128::from(u64::MAX))
    }
}

/// The part of a source: the same for a whole network.
fn part(source: SourceAddress) -> u8 {
    let network = network(source).0;
    #[expect(clippy::cast_possible_truncation, reason = "both halves are mixed")]
    let mixed = ((network >> 64) as u64 ^ network as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u8::try_from(mixed >> 58).expect("six bits fit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_24_or_a_64_and_lies_in_one_part() {
        let source = |text: &str| SourceAddress::from(Some(text.parse().unwrap()));
        assert_eq!(network(source("192.0.2.77")), source("192.0.2.0"));
        assert_eq!(network(source("2001:db8::1:2:3")), source("2001:db8::"));
        assert_eq!(network(source("::192.0.2.7")), source("::"), "no IPv4 address, though it looks like one");
        assert_eq!(network(SourceAddress::UNKNOWN), SourceAddress::UNKNOWN);
        assert_eq!(part(source("192.0.2.77")), part(source("192.0.2.1")));
    }
}
