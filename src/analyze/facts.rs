//! What rows are folded into: one [`Fact`] a source and [`Pattern`], the pattern being everything about a row but its
//! source, reporter, day and count.

use super::{
    interner::Keyed,
    seen::{Reporters, Seen, Sets},
};
use crate::model::{Cause, Flags};
use std::hash::{Hash, Hasher};

/// What rows have in common. Words are ids of the adder's texts, [`super::interner::NONE`] for null.
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

impl Keyed for Pattern {
    type Key = Self;

    fn key(&self) -> &Self {
        self
    }
}

/// The sum of the rows of one source and pattern. There may be millions: 32 bytes each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact {
    /// The ids of source and pattern.
    key: u64,
    /// Messages.
    pub(crate) messages: u64,
    /// Rows.
    pub(crate) records: u32,
    /// The first day, as in the `date` column.
    pub(crate) first: i32,
    /// The last day.
    pub(crate) last: i32,
    /// Who reported it. The sets are the shard's.
    seen: Seen,
}

impl Keyed for Fact {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.key
    }
}

impl Fact {
    /// What a fact of these ids is found by.
    pub(crate) fn key_of(source: u32, pattern: u32) -> u64 {
        u64::from(source) << 32 | u64::from(pattern)
    }

    /// No rows yet.
    pub(crate) fn new(key: u64) -> Self {
        Self { key, messages: 0, records: 0, first: i32::MAX, last: i32::MIN, seen: Seen::NOBODY }
    }

    /// The id of its source in the shard.
    pub(crate) fn source(&self) -> u32 {
        (self.key >> 32) as u32
    }

    /// The id of its pattern.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    pub(crate) fn pattern(&self) -> u32 {
        self.key as u32
    }

    /// Add a row.
    pub(crate) fn add(&mut self, messages: u64, day: i32, reporter: u32, sets: &mut Sets) {
        self.messages = self.messages.saturating_add(messages);
        self.records = self.records.saturating_add(1);
        self.first = self.first.min(day);
        self.last = self.last.max(day);
        self.seen.add(reporter, sets);
    }

    /// Add who reported it to a set.
    pub(crate) fn reporters(&self, sets: &Sets, to: &mut Reporters) {
        self.seen.tell(sets, to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_small_and_knows_its_ids() {
        assert_eq!(size_of::<Fact>(), 32);
        let fact = Fact::new(Fact::key_of(7, u32::MAX - 1));
        assert_eq!((fact.source(), fact.pattern()), (7, u32::MAX - 1));
    }
}
