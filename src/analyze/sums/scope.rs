//! Which rows count, and for which window.

use super::interner::Interner;
use crate::analyze::period::{Period, number};
use crate::analyze::question::Question;
use crate::model::Text;

/// The window of days that are too old for comparisons, but still identify senders.
pub(crate) const OLDER: u8 = u8::MAX;

/// Which rows count, and for which window.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// IDs of the requested domains; empty: all.
    domains: Vec<u32>,
    /// The first day that counts.
    earliest: i32,
    /// The first day of window 0.
    start: i32,
    /// Days per window; `None`: every row is in window 0.
    length: Option<i32>,
    /// The last window: the requested period.
    pub(crate) current: u8,
}

impl Scope {
    pub(super) fn new(question: &Question, texts: &mut Interner<Text>) -> Self {
        let current = question.windows();
        Self {
            domains: question.domains.iter().map(|domain| texts.word(domain)).collect(),
            earliest: question.reads().map_or(i32::MIN, |period| number(period.from())),
            start: question.compares().map_or(i32::MIN, |period| number(period.from())),
            length: question.period.map(Period::days),
            current,
        }
    }

    /// The window of a day, or [`OLDER`]; `None` if it does not count.
    pub(crate) fn window(&self, day: i32) -> Option<u8> {
        let Some(length) = self.length else { return Some(0) };
        if (self.earliest..self.start).contains(&day) {
            return Some(OLDER);
        }
        let window = u8::try_from(day.checked_sub(self.start)?.div_euclid(length)).ok()?;
        (window <= self.current).then_some(window)
    }

    /// Whether a policy domain was asked for.
    pub(crate) fn wants(&self, domain: u32) -> bool {
        self.domains.is_empty() || self.domains.contains(&domain)
    }
}
