//! Sets of UIDs as ranges, and how to write a set in a command.

/// A set of UIDs. Few ranges, mostly added to at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UidSet(Vec<(u32, u32)>);

impl UidSet {
    /// No UIDs.
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds all UIDs from `first` to `last`, inclusive; nothing if `last` is smaller.
    pub(super) fn add(&mut self, first: u32, last: u32) {
        if first > last {
            return;
        }
        // All ranges that touch the new one are merged with it.
        let begin = self.0.partition_point(|&(_, end)| end.saturating_add(1) < first);
        let end = self.0.partition_point(|&(start, _)| start <= last.saturating_add(1));
        let (mut first, mut last) = (first, last);
        if begin < end {
            first = first.min(self.0[begin].0);
            last = last.max(self.0[end - 1].1);
        }
        self.0.splice(begin..end, [(first, last)]);
    }

    /// Adds one.
    pub(super) fn insert(&mut self, uid: u32) {
        self.add(uid, uid);
    }

    /// Whether a UID is in the set.
    pub(super) fn contains(&self, uid: u32) -> bool {
        self.end_of(uid).is_some()
    }

    /// The last UID of the range this one is in.
    pub(super) fn end_of(&self, uid: u32) -> Option<u32> {
        let at = self.0.partition_point(|&(_, end)| end < uid);
        self.0.get(at).filter(|&&(start, _)| start <= uid).map(|&(_, end)| end)
    }

    /// The ranges, ascending.
    pub(super) fn as_slice(&self) -> &[(u32, u32)] {
        &self.0
    }
}

impl FromIterator<u32> for UidSet {
    fn from_iter<T: IntoIterator<Item = u32>>(uids: T) -> Self {
        let mut ranges = Self::new();
        uids.into_iter().for_each(|uid| ranges.insert(uid));
        ranges
    }
}

/// Longest UID set in a command: the whole line stays below the 1000 bytes that every server accepts.
const SET_BYTES: usize = 900;

/// Takes UIDs from the front of an ascending list, as many as fit into one set, at most `most`; returns the set's text.
pub(super) fn set_of(uids: &[u32], most: usize) -> (String, usize) {
    let mut text = String::new();
    let mut taken = 0;
    while taken < uids.len().min(most) {
        let mut end = taken + 1;
        while end < uids.len().min(most) && uids[end] == uids[end - 1] + 1 {
            end += 1;
        }
        let (first, last) = (uids[taken], uids[end - 1]);
        let piece = if first == last { format!("{first}") } else { format!("{first}:{last}") };
        if !text.is_empty() && text.len() + 1 + piece.len() > SET_BYTES {
            break;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&piece);
        taken = end;
    }
    (text, taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn ranges_that_touch_become_one() {
        let mut ranges = UidSet::new();
        ranges.add(5, 7);
        ranges.add(1, 2);
        ranges.add(9, u32::MAX);
        ranges.add(3, 4);
        assert_eq!(ranges.as_slice(), [(1, 7), (9, u32::MAX)]);
        ranges.insert(8);
        assert_eq!(ranges.as_slice(), [(1, u32::MAX)]);
        ranges.add(7, 3);
        assert_eq!(ranges.as_slice(), [(1, u32::MAX)]);
    }

    #[test]
    fn a_set_stays_short_and_names_only_what_it_was_given() {
        let uids: Vec<u32> = (0..2000).map(|n| 4_000_000_000 + 2 * n).collect();
        let (text, taken) = set_of(&uids, usize::MAX);
        assert!(text.len() <= SET_BYTES && taken > 50, "{taken}");
        assert_eq!(set_of(&[1, 2, 3, 7, 9, 10], 50), ("1:3,7,9:10".to_owned(), 6));
        assert_eq!(set_of(&[1, 2, 3, 4], 3), ("1:3".to_owned(), 3));
    }

    proptest! {
        #[test]
        fn ranges_hold_exactly_what_was_added(adds in prop::collection::vec((0_u32..60, 0_u32..6), 0..20)) {
            let mut ranges = UidSet::new();
            let mut plain = BTreeSet::new();
            for (first, more) in adds {
                ranges.add(first, first + more);
                plain.extend(first..=first + more);
            }
            let held: Vec<u32> = (0..80).filter(|&uid| ranges.contains(uid)).collect();
            prop_assert_eq!(held, plain.into_iter().collect::<Vec<_>>());
            prop_assert!(ranges.as_slice().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    }
}
