//! Good and bad messages by day: they show since when something is broken, and since when it works again.

use super::Messages;

/// Good and bad messages by day, without empty days. Most lists have a few days, and there may be very many lists:
/// hence a sorted list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DayCounts(Vec<(i32, Messages, Messages)>);

/// Up to this many days are added one by one.
const FEW: usize = 4;

impl DayCounts {
    /// Adds messages of a day.
    pub(crate) fn add(&mut self, day: i32, good: Messages, bad: Messages) {
        if good.0 == 0 && bad.0 == 0 {
            return;
        }
        let place = match self.0.last() {
            Some((last, ..)) if *last >= day => self.0.binary_search_by_key(&day, |(day, ..)| *day),
            _ => Err(self.0.len()),
        };
        match place {
            Ok(at) => {
                let known = &mut self.0[at];
                (known.1, known.2) = (known.1 + good, known.2 + bad);
            }
            Err(at) => {
                if self.0.len() == self.0.capacity() {
                    // A vector would start with a capacity of four: most lists have one or two days.
                    self.0.reserve_exact(self.0.len() / 2 + 1);
                }
                self.0.insert(at, (day, good, bad));
            }
        }
    }

    /// Adds those of others.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.0.len() <= FEW {
            return other.0.iter().for_each(|(day, good, bad)| self.add(*day, *good, *bad));
        }
        // In one pass: inserting one by one would take quadratic time.
        let mine = std::mem::take(&mut self.0);
        self.0.reserve_exact(mine.len().max(other.0.len()));
        let (mut mine, mut theirs) = (mine.into_iter().peekable(), other.0.iter().copied().peekable());
        loop {
            let next = match (mine.peek(), theirs.peek()) {
                (Some(a), Some(b)) if a.0 > b.0 => theirs.next(),
                (Some(_), _) => mine.next(),
                (None, _) => theirs.next(),
            };
            let Some((day, good, bad)) = next else { return };
            self.add(day, good, bad);
        }
    }

    /// Good and bad ones from one day to another, both counted.
    pub(crate) fn between(&self, from: i32, to: i32) -> (Messages, Messages) {
        if from > to {
            return Default::default();
        }
        let first = self.0.partition_point(|(day, ..)| *day < from);
        let within = self.0[first..].iter().take_while(|(day, ..)| *day <= to);
        within.fold(Default::default(), |sum, (_, good, bad)| (sum.0 + *good, sum.1 + *bad))
    }

    /// Good and bad ones of all days.
    pub(crate) fn all(&self) -> (Messages, Messages) {
        self.between(i32::MIN, i32::MAX)
    }

    /// The last day on which most were good.
    pub(crate) fn last_mostly_good(&self) -> Option<i32> {
        self.0.iter().rev().find(|(_, good, bad)| good > bad).map(|(day, ..)| *day)
    }

    /// The last time that it broke: the first bad day after the last mostly good one before, and the last mostly bad day.
    pub(crate) fn last_break(&self) -> Option<(i32, i32)> {
        let last = self.0.iter().rposition(|(_, good, bad)| bad > good)?;
        let before = self.0[..last].iter().rposition(|(_, good, bad)| good > bad).map_or(0, |at| at + 1);
        let first = self.0[before..=last].iter().find(|(.., bad)| bad.0 > 0)?;
        Some((first.0, self.0[last].0))
    }

    /// The last day with a good one.
    pub(crate) fn last_good(&self) -> Option<i32> {
        self.0.iter().rev().find(|(_, good, _)| good.0 > 0).map(|(day, ..)| *day)
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

    /// The days with bad ones from one day to another, both counted, and how many.
    pub(crate) fn failing(&self, from: i32, to: i32) -> impl Iterator<Item = (i32, Messages)> + '_ {
        let bad = self.0.iter().filter(|(.., bad)| bad.0 > 0).map(|(day, _, bad)| (*day, *bad));
        bad.filter(move |(day, _)| (from..=to).contains(day))
    }

    /// The days with bad ones.
    fn bad(&self) -> impl Iterator<Item = i32> + '_ {
        self.0.iter().filter(|(.., bad)| bad.0 > 0).map(|(day, ..)| *day)
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
        assert_eq!(counts.last_break(), Some((4, 10)));
        assert_eq!(counts.between(4, 9), (Messages(1), Messages(2)));
        assert_eq!(counts.between(9, 4), (Messages(0), Messages(0)));
    }

    #[test]
    fn lists_of_any_length_are_added_day_by_day() {
        let of = |days: &[i32]| {
            let mut counts = DayCounts::default();
            days.iter().for_each(|day| counts.add(*day, Messages(1), Messages(2)));
            counts
        };
        let (mut one, other) = (of(&[9, 1, 5, 30]), of(&[2, 5, 7, 31, 9, 40]));
        one.merge(&other);
        assert_eq!(one.0.iter().map(|(day, ..)| *day).collect::<Vec<_>>(), [1, 2, 5, 7, 9, 30, 31, 40]);
        assert_eq!(one.between(5, 5), (Messages(2), Messages(4)));
        one.merge(&of(&[0]));
        assert_eq!(one.all(), (Messages(11), Messages(22)));
    }
}
