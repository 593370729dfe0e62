//! Messages by day that went well and that did not: what tells since when something is broken, and since when it is not.

use super::Messages;
use std::collections::BTreeMap;

/// Good and bad messages by day; days without messages are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DayCounts(BTreeMap<i32, (Messages, Messages)>);

impl DayCounts {
    /// Add messages of a day.
    pub(crate) fn add(&mut self, day: i32, good: Messages, bad: Messages) {
        if good.0 > 0 || bad.0 > 0 {
            let known = self.0.entry(day).or_default();
            *known = (known.0 + good, known.1 + bad);
        }
    }

    /// Add those of others.
    pub(crate) fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(day, (good, bad))| self.add(*day, *good, *bad));
    }

    /// Good and bad ones from one day to another, both counted.
    pub(crate) fn between(&self, from: i32, to: i32) -> (Messages, Messages) {
        if from > to {
            return Default::default();
        }
        let within = self.0.range(from..=to);
        within.fold(Default::default(), |sum, (_, (good, bad))| (sum.0 + *good, sum.1 + *bad))
    }

    /// Good and bad ones of all days.
    pub(crate) fn all(&self) -> (Messages, Messages) {
        self.between(i32::MIN, i32::MAX)
    }

    /// The last day on which most were good.
    pub(crate) fn last_mostly_good(&self) -> Option<i32> {
        self.0.iter().rev().find(|(_, (good, bad))| good > bad).map(|(day, _)| *day)
    }

    /// The last day with a good one.
    pub(crate) fn last_good(&self) -> Option<i32> {
        self.0.iter().rev().find(|(_, (good, _))| good.0 > 0).map(|(day, _)| *day)
    }

    /// The first day with a bad one, from a day on.
    pub(crate) fn first_bad(&self, from: i32) -> Option<i32> {
        self.bad().find(|day| *day >= from)
    }

    /// On how many days there were bad ones.
    pub(crate) fn bad_days(&self) -> usize {
        self.bad().count()
    }

    /// In how many calendar weeks, Monday to Sunday, there were bad ones.
    pub(crate) fn bad_weeks(&self) -> usize {
        let mut weeks: Vec<i32> = self.bad().map(|day| (day + 3).div_euclid(7)).collect();
        weeks.dedup();
        weeks.len()
    }

    /// The days with bad ones.
    fn bad(&self) -> impl Iterator<Item = i32> + '_ {
        self.0.iter().filter(|(_, (_, bad))| bad.0 > 0).map(|(day, _)| *day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_come_in_any_order_and_weeks_begin_on_monday() {
        let mut counts = DayCounts::default();
        // Day 4 is Monday 1970-01-05, day 3 the Sunday before.
        for (day, good, bad) in [(10, 0, 1), (3, 5, 1), (4, 0, 2), (4, 1, 0), (3, 0, 1), (12, 0, 0)] {
            counts.add(day, Messages(good), Messages(bad));
        }
        assert_eq!(counts.all(), (Messages(6), Messages(5)));
        assert_eq!((counts.bad_days(), counts.bad_weeks()), (3, 2));
        assert_eq!((counts.last_mostly_good(), counts.last_good()), (Some(3), Some(4)));
        assert_eq!((counts.first_bad(4), counts.first_bad(11)), (Some(4), None));
        assert_eq!(counts.between(4, 9), (Messages(1), Messages(2)));
        assert_eq!(counts.between(9, 4), (Messages(0), Messages(0)));
    }
}
