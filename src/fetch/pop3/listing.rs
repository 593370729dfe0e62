//! Which messages a mailbox contains, from UIDL, LIST and STAT together, since each of them may be wrong.
//!
//! An ID only counts if it is well formed and belongs to one message; LIST and STAT are hints.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// More than any mailbox contains: longer lists are abandoned.
pub(super) const MOST_MESSAGES: usize = 500_000;
/// RFC 1939 section 7 allows 70 characters.
const UIDL_BYTES: usize = 255;

/// A listed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedMessage {
    /// Its number in this session.
    pub(super) number: u32,
    /// Its ID, if unique.
    pub(super) uidl: Option<String>,
    /// Its size according to LIST.
    pub(super) octets: Option<u64>,
}

/// The lines of an answer to UIDL or LIST.
#[derive(Debug, Default)]
pub(super) struct Lines<T> {
    found: Vec<(u32, T)>,
    count: usize,
}

impl<T> Lines<T> {
    /// Reads a line of `number value`, skipping anything else. Returns false once there are too many.
    pub(super) fn take(&mut self, line: &[u8], value: impl FnOnce(&[u8]) -> T) -> bool {
        self.count += 1;
        let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = std::str::from_utf8(&line[..digits]).ok().and_then(|digits| digits.parse().ok());
        let rest = &line[digits..];
        if let Some(number) = number.filter(|number| *number > 0)
            && rest.first().is_none_or(u8::is_ascii_whitespace)
        {
            self.found.push((number, value(rest.trim_ascii())));
        }
        self.count < MOST_MESSAGES
    }
}

/// An ID in the list; `None` if malformed.
pub(super) fn uidl_of(text: &[u8]) -> Option<String> {
    let well_formed = (1..=UIDL_BYTES).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
    well_formed.then(|| String::from_utf8_lossy(text).into_owned())
}

/// A size in the list; `None` if malformed.
pub(super) fn octets_of(text: &[u8]) -> Option<u64> {
    // What follows the size is for servers' own use (RFC 1939 section 5).
    let word = text.split(u8::is_ascii_whitespace).next()?;
    std::str::from_utf8(word).ok().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// The number of messages in an answer to STAT.
pub(super) fn count_of(text: &str) -> Option<u32> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// All messages in UIDL or LIST, by ascending number.
pub(super) fn joined(uidls: Lines<Option<String>>, sizes: Lines<Option<u64>>) -> Vec<ListedMessage> {
    // Repeated lines count once.
    let uidls: BTreeSet<(u32, Option<String>)> = uidls.found.into_iter().collect();
    let (mut of_number, mut of_uidl) = (HashMap::<u32, u32>::new(), HashMap::<&str, u32>::new());
    for (number, uidl) in &uidls {
        *of_number.entry(*number).or_default() += 1;
        if let Some(uidl) = uidl {
            *of_uidl.entry(uidl).or_default() += 1;
        }
    }
    let unique: HashSet<u32> = uidls
        .iter()
        .filter(|(number, uidl)| of_number[number] == 1 && uidl.as_deref().is_some_and(|uidl| of_uidl[uidl] == 1))
        .map(|(number, _)| *number)
        .collect();
    let mut octets: HashMap<u32, Option<u64>> = HashMap::new();
    for (number, size) in &sizes.found {
        // Two different sizes for one message count as none.
        octets.entry(*number).and_modify(|known| *known = known.filter(|known| Some(*known) == *size)).or_insert(*size);
    }
    let mut listed: BTreeMap<u32, Option<String>> = sizes.found.iter().map(|(number, _)| (*number, None)).collect();
    listed.extend(uidls.into_iter().map(|(number, uidl)| (number, uidl.filter(|_| unique.contains(&number)))));
    let entry = |(number, uidl)| ListedMessage { number, uidl, octets: octets.get(&number).copied().flatten() };
    listed.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn uidls(lines: &[&str]) -> Lines<Option<String>> {
        let mut all = Lines { found: Vec::new(), count: 0 };
        lines.iter().for_each(|line| assert!(all.take(line.as_bytes(), uidl_of)));
        all
    }

    fn sizes(lines: &[&str]) -> Lines<Option<u64>> {
        let mut all = Lines { found: Vec::new(), count: 0 };
        lines.iter().for_each(|line| assert!(all.take(line.as_bytes(), octets_of)));
        all
    }

    fn shown(listed: &[ListedMessage]) -> Vec<String> {
        let one =
            |each: &ListedMessage| format!("{} {} {:?}", each.number, each.uidl.as_deref().unwrap_or("-"), each.octets);
        listed.iter().map(one).collect()
    }

    #[test]
    fn an_id_counts_only_if_it_is_unique() {
        let lines =
            ["3 c", "1 same", "2 same", "3 c", "4 d", "4 e", "5 two words", "6", "0 z", "-1 x", "99999999999 y", "w"];
        let listed = joined(uidls(&lines), sizes(&[]));
        assert_eq!(shown(&listed), ["1 - None", "2 - None", "3 c None", "4 - None", "5 - None", "6 - None"]);
        assert_eq!(uidl_of(b"\xff\xfe"), None);
        assert_eq!(uidl_of(&[b'x'; 3000]), None);
    }

    #[test]
    fn either_list_names_a_message_and_sizes_are_hints() {
        let listed = joined(uidls(&["1 a", "3 c"]), sizes(&["1 10", "2 20 more", "3 -5", "4 many", "1 11"]));
        assert_eq!(shown(&listed), ["1 a None", "2 - Some(20)", "3 c None", "4 - None"]);
        assert_eq!((count_of("5 900"), count_of("lots"), count_of("")), (Some(5), None, None));
    }

    #[test]
    fn a_list_without_end_is_given_up() {
        let mut all = Lines { found: Vec::new(), count: 0 };
        let taken = (0..=MOST_MESSAGES).take_while(|_| all.take(b"x", uidl_of)).count();
        assert!(taken < MOST_MESSAGES);
    }

    proptest! {
        #[test]
        fn no_line_panics_and_no_id_occurs_twice(lines in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..12),
            "[1-4] [ab]".prop_map(String::into_bytes),
        ], 0..20)) {
            let (mut ids, mut octets) = (Lines::default(), Lines::default());
            for line in &lines {
                ids.take(line, uidl_of);
                octets.take(line, octets_of);
            }
            let listed = joined(ids, octets);
            let known: Vec<&String> = listed.iter().filter_map(|each| each.uidl.as_ref()).collect();
            let unique: HashSet<&&String> = known.iter().collect();
            prop_assert_eq!(known.len(), unique.len());
            prop_assert!(listed.windows(2).all(|pair| pair[0].number < pair[1].number));
        }
    }
}
