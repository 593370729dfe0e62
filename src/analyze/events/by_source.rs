//! Facts by address, day and reporter, and the room there is for them: a report can name any number of addresses, keys
//! and return paths, and whoever sent it pays nothing for them.

use crate::model::SourceAddress;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What one reporter saw of something on one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct EventFact {
    pub(crate) day: i32,
    pub(crate) reporter: u32,
    /// Messages for which it worked.
    pub(crate) good: u64,
    /// Messages for which it did not.
    pub(crate) bad: u64,
    /// The bad ones that fail DMARC.
    pub(crate) lost: u64,
    /// Another organization that authenticates the same mail: the first that signs it, else that of its return path.
    pub(crate) voucher: Option<u32>,
}

/// What one reporter saw of the mail of one address on one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MailFact {
    pub(crate) day: i32,
    pub(crate) reporter: u32,
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Failing messages that are not authenticated as any domain.
    pub(crate) unauthenticated: u64,
    /// Those of them that the receiver blocked.
    pub(crate) blocked: u64,
}

/// Something that one reporter saw on one day.
pub(crate) trait DayFact: Copy {
    /// Day, reporter and voucher.
    fn key(&self) -> (i32, u32, Option<u32>);
    /// The same, without names that the room no longer allows for.
    fn of_many(self) -> Self;
    /// Adds one with the same key.
    fn merge(&mut self, more: &Self);
    /// Whether some of it worked.
    fn works(&self) -> bool;
}

impl DayFact for EventFact {
    fn key(&self) -> (i32, u32, Option<u32>) {
        (self.day, self.reporter, self.voucher)
    }

    fn of_many(self) -> Self {
        Self { voucher: None, ..self }
    }

    fn merge(&mut self, more: &Self) {
        self.good = self.good.saturating_add(more.good);
        self.bad = self.bad.saturating_add(more.bad);
        self.lost = self.lost.saturating_add(more.lost);
    }

    fn works(&self) -> bool {
        self.good > 0
    }
}

impl DayFact for MailFact {
    fn key(&self) -> (i32, u32, Option<u32>) {
        (self.day, self.reporter, None)
    }

    fn of_many(self) -> Self {
        self
    }

    fn merge(&mut self, more: &Self) {
        self.passed = self.passed.saturating_add(more.passed);
        self.failed = self.failed.saturating_add(more.failed);
        self.unauthenticated = self.unauthenticated.saturating_add(more.unauthenticated);
        self.blocked = self.blocked.saturating_add(more.blocked);
    }

    fn works(&self) -> bool {
        self.passed > 0
    }
}

/// Bytes left for addresses, for names, and for what they name. When none are left, further addresses are not
/// distinguished, and further names are no key, return path or sender of their own.
#[derive(Debug)]
pub(crate) struct Room(pub(crate) usize);

impl Default for Room {
    /// Enough for 170,000 rows that each have an address, a key, a return path and a sender of their own, or for
    /// 400,000 addresses of known senders.
    fn default() -> Self {
        Self(128 << 20)
    }
}

/// Bytes of a key, a return path or a sender with its first address.
const ENTRY: usize = 192;
/// Bytes of another address.
const ADDRESS: usize = 96;

impl Room {
    /// Takes this many bytes; returns false if there are not enough.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }

    /// Whether there was no room for something.
    pub(crate) fn is_used_up(&self) -> bool {
        self.0 == 0
    }

    /// The entry of a key; `None` if it is new and there is no room for it.
    pub(crate) fn entry<'m, K: Ord, V: Default>(&mut self, map: &'m mut BTreeMap<K, V>, key: K) -> Option<&'m mut V> {
        match map.entry(key) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(free) => self.take(ENTRY).then(|| free.insert(V::default())),
        }
    }
}

/// Stands for addresses beyond the room while their mail works, as [`SourceAddress::UNKNOWN`] does for the others: so
/// mail that fails is never taken for that of a sender that works. Multicast like that one.
pub(crate) const WORKING: SourceAddress = SourceAddress(u128::MAX - 1);

/// Mail of one kind, by address. Of most kinds there is one address: a map for each of 250,000 selectors in one report
/// would take half a kilobyte.
#[derive(Debug, Clone)]
pub(crate) enum BySource<F> {
    One(Option<(SourceAddress, Vec<F>)>),
    Many(BTreeMap<SourceAddress, Vec<F>>),
}

impl<F> Default for BySource<F> {
    fn default() -> Self {
        Self::One(None)
    }
}

/// An address with this many facts has those of one day and reporter merged before its list grows.
const FEW: usize = 32;

impl<F: DayFact> BySource<F> {
    /// Adds a fact about an address.
    pub(super) fn add(&mut self, source: SourceAddress, fact: F, room: &mut Room) {
        let known = match self {
            Self::One(one) => one.as_ref().is_none_or(|(known, _)| *known == source),
            Self::Many(many) => many.contains_key(&source),
        };
        let (source, fact) = if known || room.take(ADDRESS) {
            (source, fact)
        } else {
            (if fact.works() { WORKING } else { SourceAddress::UNKNOWN }, fact.of_many())
        };
        let facts = self.of(source);
        if let Some(last) = facts.last_mut().filter(|last| last.key() == fact.key()) {
            return last.merge(&fact);
        }
        if facts.len() >= FEW && facts.len() == facts.capacity() {
            add_up(facts);
        }
        facts.push(fact);
    }

    fn of(&mut self, source: SourceAddress) -> &mut Vec<F> {
        if let Self::One(one) = self
            && one.as_ref().is_some_and(|(known, _)| *known != source)
        {
            *self = Self::Many(one.take().into_iter().collect());
        }
        match self {
            Self::One(one) => &mut one.get_or_insert_with(|| (source, Vec::with_capacity(1))).1,
            Self::Many(many) => many.entry(source).or_insert_with(|| Vec::with_capacity(1)),
        }
    }
}

/// Merges facts of one day and reporter. If most stay, there is room for as many more before it is done again.
fn add_up<F: DayFact>(facts: &mut Vec<F>) {
    facts.sort_unstable_by_key(F::key);
    facts.dedup_by(|next, kept| {
        let same = next.key() == kept.key();
        if same {
            kept.merge(next);
        }
        same
    });
    if facts.len() > facts.capacity() / 2 {
        facts.reserve(facts.len());
    }
}

impl<F> BySource<F> {
    /// The mail of one address alone.
    pub(super) fn alone(source: SourceAddress, facts: &[F]) -> Self
    where
        F: Clone,
    {
        Self::One(Some((source, facts.to_vec())))
    }

    /// The mail of an address.
    pub(super) fn get(&self, source: SourceAddress) -> Option<&Vec<F>> {
        match self {
            Self::One(one) => one.as_ref().filter(|(known, _)| *known == source).map(|(_, facts)| facts),
            Self::Many(many) => many.get(&source),
        }
    }

    /// The addresses in order, each with its mail.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&SourceAddress, &Vec<F>)> {
        let (one, many) = match self {
            Self::One(one) => (one.as_ref(), None),
            Self::Many(many) => (None, Some(many)),
        };
        one.into_iter().map(|(source, facts)| (source, facts)).chain(many.into_iter().flatten())
    }

    /// The mail of each address, in their order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Vec<F>> {
        self.iter().map(|(_, facts)| facts)
    }
}

/// Good and bad messages.
pub(super) type GoodAndBad = (u64, u64);

/// The sum of both. Counts are untrusted.
pub(super) fn sum(a: GoodAndBad, b: GoodAndBad) -> GoodAndBad {
    (a.0.saturating_add(b.0), a.1.saturating_add(b.1))
}

/// The sum over some days.
pub(super) fn sum_of<'a>(days: impl Iterator<Item = (&'a i32, &'a GoodAndBad)>) -> GoodAndBad {
    days.fold((0, 0), |all, (_, day)| sum(all, *day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(day: i32, reporter: u32, bad: u64) -> EventFact {
        EventFact { day, reporter, good: 0, bad, lost: 0, voucher: None }
    }

    #[test]
    fn facts_of_a_day_and_reporter_are_one_in_any_order() {
        let (mut facts, mut room) = (BySource::default(), Room::default());
        for at in 0..10_000_i32 {
            facts.add(SourceAddress(7), fact(at % 50, 1 + u32::from(at % 3 == 0), 1), &mut room);
        }
        let all: Vec<_> = facts.values().flatten().collect();
        assert!(all.len() <= 256, "{}", all.len());
        assert_eq!(all.iter().map(|fact| fact.bad).sum::<u64>(), 10_000);
    }

    #[test]
    fn addresses_beyond_the_room_are_two_and_no_message_is_lost() {
        let (mut facts, mut room) = (BySource::default(), Room(5 * ADDRESS));
        for at in 0..100_u128 {
            let good = u64::from(at.is_multiple_of(2));
            facts.add(SourceAddress(at), EventFact { good, ..fact(1, 1, 1) }, &mut room);
        }
        assert!(room.is_used_up());
        let addresses: Vec<_> = facts.iter().map(|(source, _)| *source).collect();
        let told: Vec<_> = (0..6).map(SourceAddress).chain([WORKING, SourceAddress::UNKNOWN]).collect();
        assert_eq!(addresses, told);
        let sum = facts.values().flatten().fold((0, 0), |sum, fact| (sum.0 + fact.good, sum.1 + fact.bad));
        assert_eq!(sum, (50, 100));
        assert!(facts.iter().all(|(source, facts)| *source != SourceAddress::UNKNOWN || facts[0].good == 0));
    }
}
