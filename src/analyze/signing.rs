//! Signatures that broke: where a sender of the domain's own stops verifying. In: the facts of one source at a time. Out:
//! one [`Break`] a domain, signing domain and selector.

use super::{
    groups::Item,
    interner::{NONE, Table},
    seen::Reporters,
    view::{Path, Shape, Signed, View},
};
use crate::model::{Cause, Flags, Source};
use std::{cmp::Reverse, collections::BTreeMap};

/// A domain, its signing domain and the selector, as ids.
pub(crate) type Key = (u32, u32, u32);

/// What is known of every key that signs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signing {
    breaks: Table<Key, Break>,
}

/// A key whose signatures do not verify at some of its sources.
#[derive(Debug, Clone)]
pub(crate) struct Break {
    /// Messages with the broken signature.
    pub(crate) messages: u64,
    /// Those of them that fail DMARC.
    pub(crate) failing: u64,
    /// Messages by the word of the result, `fail` or `permerror`.
    pub(crate) results: BTreeMap<u32, u64>,
    pub(crate) first: i32,
    pub(crate) last: i32,
    pub(crate) reporters: Reporters,
    pub(crate) addresses: u64,
    pub(crate) largest: Vec<(Reverse<u64>, Source)>,
    /// Messages with a good signature of the same key at the same sources, before it broke.
    pub(crate) good_before: u64,
    /// The address is authorized by SPF: the mail comes straight from the sender.
    pub(crate) direct: bool,
}

/// Good and broken signatures of one key at one source.
#[derive(Debug, Clone)]
struct Health {
    good: u64,
    good_last: i32,
    found: Break,
}

impl Signing {
    /// Look at all facts of one source and domain. Gives the messages whose signature is believed to have broken.
    pub(crate) fn look(&mut self, view: &View<'_>, facts: &[Item<'_>]) -> u64 {
        let source = facts[0].source;
        if !facts.iter().any(|item| item.shape.asked && is_broken(item.shape)) {
            return 0;
        }
        let mut broke = 0_u64;
        let authorized = |item: &Item<'_>| item.shape.pattern.flags.has(Flags::SPF) && !item.shape.pattern.unproven;
        let direct = facts.iter().any(|item| authorized(item) && item.fact.messages > 0);
        let known = facts.iter().any(|item| view.is_known(source, item.shape));
        let keys = keys(facts);
        for (key, health) in &keys {
            let mut found = health.found.clone();
            if found.messages == 0 {
                continue;
            }
            let (good, good_last) = good_before(&keys, *key);
            found.direct = direct || known;
            found.good_before = good;
            // Reporters cut their days differently: one day of overlap is no contradiction.
            let stepped = good > 0 && good_last <= found.first.saturating_add(1);
            let never_good = health.good == 0;
            // A list or forwarder breaks signatures too: without the owner's authorization it takes more to believe.
            let believed = if found.direct {
                (stepped || never_good) && found.messages >= 10
            } else {
                stepped && good >= 50 && found.messages >= 50 && found.reporters.len() >= 2
            };
            if believed {
                broke = broke.saturating_add(found.messages);
                found.addresses = 1;
                found.largest = vec![(Reverse(found.messages), source)];
                self.breaks.entry(*key).and_modify(|known| known.merge(&found)).or_insert(found);
            }
        }
        broke
    }

    /// Add what another looked at: other sources.
    pub(crate) fn merge(&mut self, other: Self) {
        for (key, found) in other.breaks {
            self.breaks.entry(key).and_modify(|known| known.merge(&found)).or_insert(found);
        }
    }

    /// Every key that broke at some source.
    pub(crate) fn breaks(&self) -> impl Iterator<Item = (Key, &Break)> {
        self.breaks.iter().map(|(key, found)| (*key, found))
    }
}

/// The good signatures of a key at a source, and their last day. A selector that never verified may stand in the place
/// of one that did: then those of the same signing domain count, where they ended.
fn good_before(keys: &BTreeMap<Key, Health>, key: Key) -> (u64, i32) {
    let own = &keys[&key];
    if own.good > 0 {
        return (own.good, own.good_last);
    }
    let elder = |(other, health): &(&Key, &Health)| (other.0, other.1) == (key.0, key.1) && health.good > 0;
    let elders = keys.iter().filter(elder);
    elders
        .fold((0, i32::MIN), |(good, last), (_, health)| (good.saturating_add(health.good), last.max(health.good_last)))
}

/// The keys seen at a source, with their health.
fn keys(facts: &[Item<'_>]) -> BTreeMap<Key, Health> {
    let mut keys: BTreeMap<Key, Health> = BTreeMap::new();
    let of = |shape: &Shape| (shape.pattern.domain, shape.pattern.dkim_domain, shape.pattern.dkim_selector);
    for Item { shape, fact, .. } in facts.iter().filter(|item| item.shape.signed == Signed::OwnPass) {
        let health = keys.entry(of(shape)).or_insert_with(Health::new);
        health.good = health.good.saturating_add(fact.messages);
        health.good_last = health.good_last.max(fact.last);
    }
    // Where another signature decides, the broken one is not in the columns: it is the one that used to be good.
    let usual = keys.iter().max_by_key(|(key, health)| (health.good, Reverse(**key))).map(|(key, _)| *key);
    for item in facts.iter().filter(|item| item.shape.asked && is_broken(item.shape)) {
        let shape = item.shape;
        let key = if shape.signed == Signed::OwnBroken { Some(of(shape)) } else { usual };
        if let Some(key) = key {
            keys.entry(key).or_insert_with(Health::new).found.add(item);
        }
    }
    keys
}

/// Whether an own signature is there and does not verify.
fn is_broken(shape: &Shape) -> bool {
    let changed = shape.pattern.cause == Cause::ListOrModifyingForwarder;
    (shape.signed == Signed::OwnBroken && shape.path != Path::OtherPass) || changed
}

impl Health {
    fn new() -> Self {
        Self { good: 0, good_last: i32::MIN, found: Break::new() }
    }
}

impl Break {
    fn new() -> Self {
        Self {
            messages: 0,
            failing: 0,
            results: BTreeMap::new(),
            first: i32::MAX,
            last: i32::MIN,
            reporters: Reporters::default(),
            addresses: 0,
            largest: Vec::new(),
            good_before: 0,
            direct: false,
        }
    }

    fn add(&mut self, item: &Item<'_>) {
        let Item { shape, fact, .. } = item;
        self.messages = self.messages.saturating_add(fact.messages);
        self.failing = self.failing.saturating_add(if shape.passes { 0 } else { fact.messages });
        let result = if shape.signed == Signed::OwnBroken { shape.pattern.dkim_result } else { NONE };
        let sum = self.results.entry(result).or_default();
        *sum = sum.saturating_add(fact.messages);
        self.first = self.first.min(fact.first);
        self.last = self.last.max(fact.last);
        item.reporters(&mut self.reporters);
    }

    fn merge(&mut self, other: &Self) {
        self.messages = self.messages.saturating_add(other.messages);
        self.failing = self.failing.saturating_add(other.failing);
        for (word, messages) in &other.results {
            let sum = self.results.entry(*word).or_default();
            *sum = sum.saturating_add(*messages);
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.reporters.merge(&other.reporters);
        self.addresses += other.addresses;
        self.largest.extend(&other.largest);
        self.largest.sort_unstable();
        self.largest.truncate(3);
        self.good_before = self.good_before.saturating_add(other.good_before);
        self.direct |= other.direct;
    }
}
