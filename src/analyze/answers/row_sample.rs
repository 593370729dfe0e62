//! A sample of a period's rows by source, for pages that show the evidence behind their numbers.

use super::explain::{ExplainedRow, explained, wants};
use crate::analyze::period::{DAYS, date};
use crate::analyze::question::Question;
use crate::model::{Rows, SourceAddress};
use std::{
    cmp::Reverse,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::IpAddr,
    ops::Range,
    sync::{Mutex, PoisonError},
};

/// How many distinct rows are kept: about 20 MB.
const KEPT: usize = 50_000;
/// How many rows are looked at before those that stay are chosen.
const AT_ONCE: usize = 1024;

/// Identical rows, by source. If there are too many, those with the smallest hashes stay, so the order of rows does not
/// matter, and the sums of those that stay are complete.
#[derive(Debug)]
pub struct RowSample {
    question: Question,
    rows: Mutex<BTreeMap<(u64, SourceAddress, ExplainedRow), u64>>,
}

/// A row with its source; `None`: the unknown source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampledRow {
    /// Where it comes from.
    pub source: Option<IpAddr>,
    /// What it says.
    pub row: ExplainedRow,
}

impl RowSample {
    /// For the rows that a question counts.
    pub fn new(question: &Question) -> Self {
        Self { question: question.clone(), rows: Mutex::default() }
    }

    /// Adds rows. Rows of other days and domains are ignored.
    pub fn rows(&self, rows: &Rows) {
        (0..rows.len).step_by(AT_ONCE).for_each(|from| self.some(rows, from..(from + AT_ONCE).min(rows.len)));
    }

    fn some(&self, rows: &Rows, places: Range<usize>) {
        let mut found = Vec::with_capacity(places.len());
        for row in places {
            let day = date(rows.day[row].clamp(DAYS.0, DAYS.1));
            if self.question.period.is_none_or(|period| period.contains(day)) && wants(&self.question, rows, row) {
                let explained = explained(rows, row);
                let mut hasher = DefaultHasher::new();
                (rows.source[row].0, &explained).hash(&mut hasher);
                let messages = u64::try_from(rows.count[row]).unwrap_or(0);
                found.push(((hasher.finish(), rows.source[row], explained), messages));
            }
        }
        let mut known = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, messages) in found {
            let sum = known.entry(key).or_default();
            *sum = sum.saturating_add(messages);
            if known.len() > KEPT {
                known.pop_last();
            }
        }
    }

    /// The rows, by source; failing ones first, then those with most messages.
    pub fn finish(self) -> Vec<SampledRow> {
        let rows = self.rows.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut rows: Vec<(SourceAddress, ExplainedRow)> =
            rows.into_iter().map(|((_, source, row), messages)| (source, ExplainedRow { messages, ..row })).collect();
        rows.sort_unstable_by(|(a, one), (b, other)| {
            (a, one.dmarc_pass, Reverse(one.messages), one).cmp(&(b, other.dmarc_pass, Reverse(other.messages), other))
        });
        rows.into_iter().map(|(source, row)| SampledRow { source: source.address(), row }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::{
        fixtures::{self, Line},
        weeks::{World, day},
    };

    #[test]
    fn equal_rows_are_one_whatever_their_order_and_failing_ones_come_first() {
        let lines = [
            Line::new(&day(0), "192.0.2.1", 3),
            Line::new(&day(0), "192.0.2.1", 9).unauthenticated(),
            Line::new(&day(0), "192.0.2.1", 4),
            Line::new(&day(-1), "192.0.2.1", 100),
        ];
        let sample = |lines: &[Line]| {
            let sample = RowSample::new(&World::question());
            lines.iter().for_each(|line| sample.rows(&fixtures::rows(std::slice::from_ref(line))));
            sample.finish()
        };
        let rows = sample(&lines);
        let told: Vec<_> = rows.iter().map(|row| (row.row.dmarc_pass, row.row.messages)).collect();
        assert_eq!(told, [(false, 9), (true, 7)]);
        let mut other = lines;
        other.reverse();
        assert_eq!(sample(&other), rows);
    }
}
