//! Sets of reporters that take little memory for few reporters. There may be very many sets.

use crate::analyze::sums::interner::NONE;

/// A set of reporter IDs: words of 32 bits, sorted by position, without empty words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReporterSet(Vec<(u32, u32)>);

impl ReporterSet {
    /// Adds one; a report without a name has no reporter.
    pub(crate) fn insert(&mut self, reporter: u32) {
        if reporter != NONE {
            self.add_word(reporter / 32, 1 << (reporter % 32));
        }
    }

    /// Adds those of another set.
    pub(crate) fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(place, bits)| self.add_word(*place, *bits));
    }

    fn add_word(&mut self, place: u32, bits: u32) {
        match self.0.binary_search_by_key(&place, |(place, _)| *place) {
            Ok(at) => self.0[at].1 |= bits,
            Err(at) => {
                if self.0.len() == self.0.capacity() {
                    // A vector would start with a capacity of four: most sets have one or two words.
                    self.0.reserve_exact(self.0.len() / 2 + 1);
                }
                self.0.insert(at, (place, bits));
            }
        }
    }

    /// All, sorted by id.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.0
            .iter()
            .flat_map(|(place, bits)| (0..32).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| place * 32 + bit))
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|(_, bits)| bits.count_ones() as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reporter_is_known_once_however_many() {
        let (mut set, mut expected) = (ReporterSet::default(), std::collections::BTreeSet::new());
        for reporter in [7, 7, NONE, 0, 1022, 40, 1, 5000, 31, 32] {
            set.insert(reporter);
            expected.extend((reporter != NONE).then_some(reporter));
        }
        let mut other = ReporterSet::default();
        other.insert(90);
        set.merge(&other);
        expected.insert(90);
        assert_eq!(set.ids().collect::<Vec<_>>(), expected.iter().copied().collect::<Vec<_>>());
        assert_eq!(set.len(), expected.len());
    }
}
