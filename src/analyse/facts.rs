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

/// The sum of the rows of one source and pattern.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    /// Messages.
    pub(crate) messages: u64,
    /// Rows.
    pub(crate) records: u64,
    /// The first day, as in the `date` column.
    pub(crate) first: i32,
    /// The last day.
    pub(crate) last: i32,
    /// Who reported it.
    pub(crate) reporters: Reporters,
}

impl Fact {
    /// No rows yet.
    pub(crate) const EMPTY: Self =
        Self { messages: 0, records: 0, first: i32::MAX, last: i32::MIN, reporters: Reporters::NOBODY };

    /// Add a row.
    pub(crate) fn add(&mut self, messages: u64, day: i32, reporter: u32) {
        self.messages = self.messages.saturating_add(messages);
        self.records = self.records.saturating_add(1);
        self.first = self.first.min(day);
        self.last = self.last.max(day);
        self.reporters.insert(reporter);
    }

    /// Add another sum, whose reporters are in other ids.
    pub(crate) fn merge(&mut self, other: &Self, ids: impl Fn(u32) -> u32) {
        self.messages = self.messages.saturating_add(other.messages);
        self.records = self.records.saturating_add(other.records);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        other.reporters.each(|reporter| self.reporters.insert(ids(reporter)));
    }
}

/// A small set of reporters: most sources are seen by one to three, and those need no memory of their own.
#[expect(clippy::box_collection, reason = "there are millions of facts, and few have more than three reporters")]
#[derive(Debug, Clone)]
pub(crate) enum Reporters {
    /// Up to three, the rest [`NONE`].
    Few([u32; 3]),
    /// More, sorted.
    Many(Box<Vec<u32>>),
}

impl Reporters {
    /// The empty set.
    pub(crate) const NOBODY: Self = Self::Few([NONE; 3]);

    /// Add one. A null reporter is nobody.
    pub(crate) fn insert(&mut self, reporter: u32) {
        if reporter == NONE {
            return;
        }
        match self {
            Self::Few(ids) => match ids.iter_mut().find(|id| **id == reporter || **id == NONE) {
                Some(place) => *place = reporter,
                None => {
                    let mut all = vec![ids[0], ids[1], ids[2], reporter];
                    all.sort_unstable();
                    *self = Self::Many(Box::new(all));
                }
            },
            Self::Many(ids) => {
                if let Err(place) = ids.binary_search(&reporter) {
                    ids.insert(place, reporter);
                }
            }
        }
    }

    /// Visit each once.
    pub(crate) fn each(&self, mut visit: impl FnMut(u32)) {
        match self {
            Self::Few(ids) => ids.iter().filter(|id| **id != NONE).for_each(|id| visit(*id)),
            Self::Many(ids) => ids.iter().for_each(|id| visit(*id)),
        }
    }

    /// Add all of another set with the same ids.
    pub(crate) fn extend(&mut self, other: &Self) {
        other.each(|reporter| self.insert(reporter));
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(ids) => ids.iter().filter(|id| **id != NONE).count(),
            Self::Many(ids) => ids.len(),
        }
    }
}
