//! Who reported something: sets of reporters, small where few did. There may be millions of them.

use super::interner::NONE;

/// A set of reporters by their ids: words of 32 bits, sorted by their place, those without a bit left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reporters(Vec<(u32, u32)>);

impl Reporters {
    /// Add one.
    pub(crate) fn insert(&mut self, reporter: u32) {
        self.add_word(reporter / 32, 1 << (reporter % 32));
    }

    /// Add those of another set.
    pub(crate) fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(place, bits)| self.add_word(*place, *bits));
    }

    fn add_word(&mut self, place: u32, bits: u32) {
        match self.0.binary_search_by_key(&place, |(place, _)| *place) {
            Ok(at) => self.0[at].1 |= bits,
            Err(at) => {
                if self.0.len() == self.0.capacity() {
                    // A vector would start with four: most sets are of one or two words.
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

/// The sets of those facts that many reporters saw.
pub(crate) type Sets = Vec<Reporters>;

/// Who saw a fact, in four bytes: up to three reporters stand in them, ten bits each, more in one of the [`Sets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen(u32);

/// Ten bits set: no reporter. Those from here on do not fit.
const FREE: u32 = 0x3ff;

/// Set: the rest is the place of a set.
const MANY: u32 = 1 << 31;

impl Seen {
    /// By nobody yet.
    pub(crate) const NOBODY: Self = Self(FREE << 20 | FREE << 10 | FREE);

    /// Add a reporter; a null one is nobody.
    pub(crate) fn add(&mut self, reporter: u32, sets: &mut Sets) {
        if reporter == NONE {
            return;
        }
        if self.0 & MANY != 0 {
            return sets[(self.0 & !MANY) as usize].insert(reporter);
        }
        for shift in [0, 10, 20] {
            let known = self.0 >> shift & FREE;
            if known == FREE && reporter < FREE {
                self.0 ^= (FREE ^ reporter) << shift;
                return;
            }
            if known == reporter && known != FREE {
                return;
            }
        }
        let mut set = Reporters::default();
        self.few().for_each(|known| set.insert(known));
        set.insert(reporter);
        self.0 = MANY | u32::try_from(sets.len()).expect("there are fewer sets than facts, which memory bounds");
        sets.push(set);
    }

    fn few(self) -> impl Iterator<Item = u32> {
        [0, 10, 20].into_iter().map(move |shift| self.0 >> shift & FREE).take_while(|known| *known != FREE)
    }

    /// Add all who saw it to a set.
    pub(crate) fn tell(self, sets: &Sets, to: &mut Reporters) {
        if self.0 & MANY == 0 {
            self.few().for_each(|reporter| to.insert(reporter));
        } else {
            to.merge(&sets[(self.0 & !MANY) as usize]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(seen: Seen, sets: &Sets) -> Vec<u32> {
        let mut reporters = Reporters::default();
        seen.tell(sets, &mut reporters);
        assert_eq!(reporters.len(), reporters.ids().count());
        reporters.ids().collect()
    }

    #[test]
    fn each_reporter_is_known_once_however_many() {
        let (mut sets, mut seen) = (Sets::new(), Seen::NOBODY);
        assert!(told(seen, &sets).is_empty());
        let mut expected = std::collections::BTreeSet::new();
        for reporter in [7, 7, NONE, 0, 1022, 7, 0, 40, 1022, 1, 0, 5000, 40, 31, 32] {
            seen.add(reporter, &mut sets);
            if reporter != NONE {
                expected.insert(reporter);
            }
            assert_eq!(told(seen, &sets), expected.iter().copied().collect::<Vec<_>>());
        }
        assert_eq!(sets.len(), 1);
    }

    #[test]
    fn up_to_three_need_no_set_unless_their_ids_are_large() {
        let (mut sets, mut few, mut large) = (Sets::new(), Seen::NOBODY, Seen::NOBODY);
        [5, 1022, 0].into_iter().for_each(|reporter| few.add(reporter, &mut sets));
        assert!(sets.is_empty());
        large.add(1023, &mut sets);
        assert_eq!((told(few, &sets), told(large, &sets), sets.len()), (vec![0, 5, 1022], vec![1023], 1));
    }
}
