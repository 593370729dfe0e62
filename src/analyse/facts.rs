//! What rows are folded into: one [`Fact`] a source and [`Pattern`], the pattern being everything about a row but its
//! source, reporter, day and count.

use super::interner::NONE;
use crate::model::{Cause, Flags};
use std::hash::{Hash, Hasher};

/// What rows have in common. Words are ids of the adder's texts, [`NONE`] for null.
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
    /// 0 is the oldest period of the history, the last one the period asked for.
    pub(crate) window: u8,
    /// Whether the report's mail was a proven forgery.
    pub(crate) unproven: bool,
    /// What passed.
    pub(crate) flags: Flags,
    /// What the row alone says.
    pub(crate) cause: Cause,
}

/// Two words at a time: every row is hashed once.
impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        state.write_u64(pair(self.domain, self.header_from));
        state.write_u64(pair(self.dkim_domain, self.dkim_selector));
        state.write_u64(pair(self.dkim_result, self.return_path));
        state.write_u64(pair(self.spf_result, self.disposition));
        state.write_u64(pair(self.mismatch, self.reason));
        let small = [self.window, u8::from(self.unproven), self.flags.0, self.cause as u8];
        state.write_u32(u32::from_le_bytes(small));
    }
}

impl Pattern {
    /// The same pattern in another adder's ids.
    pub(crate) fn translate(self, ids: &[u32]) -> Self {
        let id = |word: u32| ids.get(word as usize).copied().unwrap_or(NONE);
        Self {
            domain: id(self.domain),
            header_from: id(self.header_from),
            dkim_domain: id(self.dkim_domain),
            dkim_selector: id(self.dkim_selector),
            dkim_result: id(self.dkim_result),
            return_path: id(self.return_path),
            spf_result: id(self.spf_result),
            disposition: id(self.disposition),
            mismatch: id(self.mismatch),
            reason: id(self.reason),
            ..self
        }
    }
}

/// The sum of the rows of one source and pattern. There may be millions: 24 bytes each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact {
    /// Messages.
    pub(crate) messages: u64,
    /// Rows.
    pub(crate) records: u32,
    /// The first day, as in the `date` column.
    pub(crate) first: i32,
    /// The last day.
    pub(crate) last: i32,
    /// Who reported it: most are seen by one. The sets are the shard's.
    reporters: Seen,
}

/// Nobody, one reporter, or the place of a set of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen(u32);

impl Seen {
    const NOBODY: Self = Self(NONE);
    /// Set: the rest is the place of a set. There are fewer than two billion reporters.
    const SEVERAL: u32 = 1 << 31;
}

/// The sets of several reporters of a shard's facts, sorted.
pub(crate) type Sets = Vec<Vec<u32>>;

impl Fact {
    /// No rows yet.
    pub(crate) const EMPTY: Self =
        Self { messages: 0, records: 0, first: i32::MAX, last: i32::MIN, reporters: Seen::NOBODY };

    /// Add a row.
    pub(crate) fn add(&mut self, messages: u64, day: i32, reporter: u32, sets: &mut Sets) {
        self.messages = self.messages.saturating_add(messages);
        self.records = self.records.saturating_add(1);
        self.first = self.first.min(day);
        self.last = self.last.max(day);
        self.see(reporter, sets);
    }

    /// Add another sum, whose reporters are in other ids.
    pub(crate) fn merge(&mut self, other: &Self, reporters: impl Iterator<Item = u32>, sets: &mut Sets) {
        self.messages = self.messages.saturating_add(other.messages);
        self.records = self.records.saturating_add(other.records);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        reporters.for_each(|reporter| self.see(reporter, sets));
    }

    /// Who reported it, each once.
    pub(crate) fn reporters<'a>(&'a self, sets: &'a Sets) -> &'a [u32] {
        match self.reporters {
            Seen::NOBODY => &[],
            Seen(place) if place & Seen::SEVERAL != 0 => &sets[(place & !Seen::SEVERAL) as usize],
            Seen(_) => std::slice::from_ref(&self.reporters.0),
        }
    }

    /// Add a reporter; a null one is nobody.
    fn see(&mut self, reporter: u32, sets: &mut Sets) {
        let known = self.reporters;
        if reporter == NONE || known == Seen(reporter) {
        } else if known == Seen::NOBODY {
            self.reporters = Seen(reporter);
        } else if known.0 & Seen::SEVERAL != 0 {
            insert(&mut sets[(known.0 & !Seen::SEVERAL) as usize], reporter);
        } else {
            let place = u32::try_from(sets.len()).expect("there are fewer sets than facts, which memory bounds");
            sets.push(vec![known.0.min(reporter), known.0.max(reporter)]);
            self.reporters = Seen(place | Seen::SEVERAL);
        }
    }
}

/// Add to a sorted set.
fn insert(set: &mut Vec<u32>, reporter: u32) {
    if let Err(place) = set.binary_search(&reporter) {
        set.insert(place, reporter);
    }
}

/// A set of reporters, by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reporters(Vec<u32>);

impl Reporters {
    /// Add some.
    pub(crate) fn extend(&mut self, reporters: &[u32]) {
        for reporter in reporters {
            insert(&mut self.0, *reporter);
        }
    }

    /// All, sorted by id.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.0
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_knows_each_reporter_once_however_many() {
        let (mut sets, mut fact) = (Sets::new(), Fact::EMPTY);
        assert!(fact.reporters(&sets).is_empty());
        for reporter in [7, 7, NONE, 3, 9, 3, 1, 9] {
            fact.add(1, 0, reporter, &mut sets);
        }
        assert_eq!(fact.reporters(&sets), [1, 3, 7, 9]);
        assert_eq!((fact.messages, fact.records, sets.len()), (8, 8, 1));
    }

    #[test]
    fn a_fact_is_small() {
        assert_eq!(size_of::<Fact>(), 24);
    }
}
