//! Folds rows into facts: one [`Fact`] for each source, [`Pattern`], day and reporter. A pattern is everything else
//! about a row except its count.

use super::interner::NONE;
use crate::model::{Cause, Flags};
use std::hash::{Hash, Hasher};

/// What rows have in common. Words are IDs of the adder's texts, [`super::interner::NONE`] for `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// `policy_domain`.
    pub(crate) domain: u32,
    /// `header_from`.
    pub(crate) header_from: u32,
    /// `dkim_domain`.
    pub(crate) dkim_domain: u32,
    /// `dkim_selector`.
    pub(crate) dkim_selector: u32,
    /// `dkim_result`.
    pub(crate) dkim_result: u32,
    /// All signatures, if the deciding one is not enough.
    pub(crate) signatures: u32,
    /// `spf_domain`, else `envelope_from`.
    pub(crate) return_path: u32,
    /// `spf_result`.
    pub(crate) spf_result: u32,
    /// `disposition`.
    pub(crate) disposition: u32,
    /// `mismatch`.
    pub(crate) mismatch: u32,
    /// The first override reason.
    pub(crate) reason: u32,
    /// 0 is the oldest period of the history, the last one the requested period; or [`super::scope::OLDER`].
    pub(crate) window: u8,
    /// Whether the report's mail was a proven forgery.
    pub(crate) unproven: bool,
    /// What passed.
    pub(crate) flags: Flags,
    /// The cause that the row alone shows.
    pub(crate) cause: Cause,
}

/// Hashes two words at a time: this runs for every row.
impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        state.write_u64(pair(self.domain, self.header_from));
        state.write_u64(pair(self.dkim_domain, self.dkim_selector));
        state.write_u64(pair(self.dkim_result, self.return_path));
        state.write_u64(pair(self.spf_result, self.disposition));
        state.write_u64(pair(self.mismatch, self.reason));
        let small = [self.window, u8::from(self.unproven), self.flags.0, self.cause as u8];
        state.write_u64(pair(self.signatures, u32::from_le_bytes(small)));
    }
}

impl Pattern {
    /// Without names beyond the bounds: `keep` says which stay. Aligned names and those of the domain's own
    /// organization are kept, so that other mail never looks like the domain's own.
    pub(crate) fn folded(self, other: u32, keep: impl Fn(u32) -> u32, is_own: impl Fn(u32) -> bool) -> Self {
        let own = |name: u32, aligned: bool| match keep(name) {
            _ if name == NONE => NONE,
            kept if kept == other && (aligned || is_own(name)) => self.domain,
            kept => kept,
        };
        let (dkim, spf) = (self.flags.has(Flags::DKIM), self.flags.has(Flags::SPF));
        Self {
            header_from: own(self.header_from, true),
            dkim_domain: own(self.dkim_domain, dkim),
            dkim_selector: if self.dkim_domain == NONE { NONE } else { keep(self.dkim_selector) },
            // The deciding signature is above.
            signatures: if self.signatures == NONE || keep(self.signatures) == other { NONE } else { self.signatures },
            return_path: own(self.return_path, spf),
            ..self
        }
    }
}

/// The sum of the rows of one source, pattern, day and reporter. There may be millions: 32 bytes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fact {
    /// Messages.
    pub(crate) messages: u64,
    /// The ID of its source in the shard.
    pub(crate) source: u32,
    /// The ID of its pattern.
    pub(crate) pattern: u32,
    /// The day, as in the `date` column.
    pub(crate) day: i32,
    /// The ID of the reporter, [`super::interner::NONE`] if it has no name.
    pub(crate) reporter: u32,
    /// Rows.
    pub(crate) records: u32,
}

impl Fact {
    /// The key that facts are added up by.
    fn key(&self) -> (u32, u32, i32, u32) {
        (self.source, self.pattern, self.day, self.reporter)
    }
}

/// Facts, each key once except recent ones: memory is bounded by twice the number of distinct keys, and adding one
/// needs no lookup.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    facts: Vec<Fact>,
    /// How many there were when all were last added up.
    distinct: usize,
}

/// Fewer facts than this are not worth merging early.
const FEW: usize = 1 << 12;

impl Facts {
    /// Adds one.
    pub(crate) fn add(&mut self, fact: Fact) {
        if let Some(last) = self.facts.last_mut().filter(|last| last.key() == fact.key()) {
            return merge(last, &fact);
        }
        if self.facts.len() >= FEW.max(2 * self.distinct) {
            self.add_up();
        }
        self.facts.push(fact);
    }

    /// Replaces each pattern with the one it is now part of.
    pub(crate) fn rename(&mut self, part_of: &[u32]) {
        self.facts.iter_mut().for_each(|fact| fact.pattern = part_of[fact.pattern as usize]);
    }

    /// Merges facts with the same key.
    fn add_up(&mut self) {
        self.facts.sort_unstable_by_key(Fact::key);
        self.facts.dedup_by(|next, kept| {
            let same = next.key() == kept.key();
            if same {
                merge(kept, next);
            }
            same
        });
        self.distinct = self.facts.len();
    }

    /// All of them, each key once, sorted by source, pattern, day and reporter.
    pub(crate) fn into_sorted(mut self) -> Vec<Fact> {
        self.add_up();
        self.facts
    }
}

fn merge(kept: &mut Fact, more: &Fact) {
    kept.messages = kept.messages.saturating_add(more.messages);
    kept.records = kept.records.saturating_add(more.records);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(source: u32, day: i32, messages: u64) -> Fact {
        Fact { messages, source, pattern: 7, day, reporter: 1, records: 1 }
    }

    #[test]
    fn a_fact_is_small() {
        assert_eq!(size_of::<Fact>(), 32);
    }

    #[test]
    fn facts_of_one_key_become_one_in_any_order_and_few_wait() {
        let (mut facts, distinct) = (Facts::default(), 100);
        for at in 0..100_000_u32 {
            facts.add(fact(at % distinct, 3, 2));
            assert!(facts.facts.len() <= FEW.max(2 * distinct as usize));
        }
        let sorted = facts.into_sorted();
        assert_eq!(sorted.len(), distinct as usize);
        assert!(sorted.iter().all(|fact| (fact.messages, fact.records) == (2000, 1000)));
        assert!(sorted.is_sorted_by_key(|fact| fact.source));
    }
}
