//! The first few of many, in some order.

use crate::model::SourceAddress;
use rayon::prelude::*;
use std::cmp::{Ordering, Reverse};

/// Addresses by their messages, most first.
pub(crate) type LargestSources = Vec<(Reverse<u64>, SourceAddress)>;

/// Adds addresses, and keeps those with most messages.
pub(crate) fn add_largest(largest: &mut LargestSources, more: &[(Reverse<u64>, SourceAddress)], most: usize) {
    largest.extend(more);
    largest.sort_unstable();
    largest.truncate(most);
}

/// The first few of many, and how many there were. The order of adding does not matter.
#[derive(Debug)]
pub(crate) struct Top<T, const MOST: usize> {
    kept: Vec<T>,
    /// The list is full, and its last item is in place: anything after that does not belong in it.
    full: bool,
    added: u64,
}

impl<T, const MOST: usize> Default for Top<T, MOST> {
    fn default() -> Self {
        Self { kept: Vec::new(), full: false, added: 0 }
    }
}

impl<T, const MOST: usize> Top<T, MOST> {
    /// Number of entries held before those beyond the first `MOST` are dropped.
    const ROOM: usize = MOST + MOST / 8 + 1;

    /// Allocates all the room at once: the copies that a growing list leaves behind take more memory than the list.
    pub(crate) fn with_room(many: usize) -> Self {
        Self { kept: Vec::with_capacity(many.min(Self::ROOM)), ..Self::default() }
    }

    /// Adds one. `compare` defines the order, the same each time.
    pub(crate) fn add(&mut self, one: T, compare: impl Fn(&T, &T) -> Ordering) {
        self.added += 1;
        self.keep(one, compare);
    }

    /// The same for a reference, which is copied only if it is kept.
    pub(crate) fn add_copy(&mut self, one: &T, compare: impl Fn(&T, &T) -> Ordering)
    where
        T: Clone,
    {
        self.added += 1;
        if !self.is_beyond(one, &compare) {
            self.keep(one.clone(), compare);
        }
    }

    /// Adds those of another set of the same size.
    pub(crate) fn merge(&mut self, other: Self, compare: impl Fn(&T, &T) -> Ordering) {
        self.added += other.added;
        other.kept.into_iter().for_each(|one| self.keep(one, &compare));
    }

    fn is_beyond(&self, one: &T, compare: impl Fn(&T, &T) -> Ordering) -> bool {
        self.full && compare(one, &self.kept[MOST - 1]).is_gt()
    }

    fn keep(&mut self, one: T, compare: impl Fn(&T, &T) -> Ordering) {
        if self.is_beyond(&one, &compare) {
            return;
        }
        if self.kept.len() == self.kept.capacity() {
            // A vector would start with a capacity of four, and double: most have one or two items, some hundreds of
            // thousands.
            let more = (self.kept.len() / 2 + 1).min(Self::ROOM - self.kept.len());
            self.kept.reserve_exact(more);
        }
        self.kept.push(one);
        if self.kept.len() >= Self::ROOM {
            self.kept.select_nth_unstable_by(MOST - 1, compare);
            self.kept.truncate(MOST);
            self.full = true;
        }
    }

    /// How many were added, kept or not.
    pub(crate) fn added(&self) -> u64 {
        self.added
    }

    /// Those kept, in their order, and nothing else any more.
    pub(crate) fn into_sorted(mut self, compare: impl Fn(&T, &T) -> Ordering + Sync) -> Vec<T>
    where
        T: Send,
    {
        self.kept.par_sort_unstable_by(compare);
        self.kept.truncate(MOST);
        self.kept
    }

    /// Those kept, in their order.
    pub(crate) fn sorted(&self, compare: impl Fn(&T, &T) -> Ordering) -> Vec<&T> {
        let mut sorted: Vec<&T> = self.kept.iter().collect();
        sorted.sort_unstable_by(|a, b| compare(a, b));
        sorted.truncate(MOST);
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_stay_whatever_the_order_and_the_rest_is_counted() {
        for step in [1, 7, 99] {
            let mut tops = [Top::<_, 3>::default(), Top::default()];
            for at in 0..100_u32 {
                let number = (at * step) % 100;
                tops[usize::from(number % 3 == 0)].add_copy(&number, u32::cmp);
                assert!(tops.iter().all(|top| top.kept.len() < 6), "memory does not grow with their number");
            }
            let [mut top, other] = tops;
            top.merge(other, u32::cmp);
            assert_eq!((top.sorted(u32::cmp), top.added()), (vec![&0, &1, &2], 100));
        }
    }
}
