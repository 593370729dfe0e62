//! Waves of spoofing: far more unauthenticated mail than usual for a domain, seen by two reporters.

use super::by_source::{BySource, MailFact, most_first};
use super::facts::float;
use crate::model::SourceAddress;
use std::collections::{BTreeMap, BTreeSet};

/// Days over which mail is added up (a burst, and a longer wave), how many messages a reporter must see, and how many
/// times its earlier maximum.
const LENGTHS: [(i32, u64, f64); 2] = [(2, 120, 3.0), (7, 200, 2.5)];
/// A wave is reported in the days after it began.
const FRESH: i32 = 10;
/// Days without it, after which it is over.
pub(crate) const OVER: i32 = 3;

/// A wave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wave {
    pub(crate) since: i32,
    pub(crate) seen: i32,
    pub(crate) messages: u64,
    pub(crate) blocked: u64,
    pub(crate) addresses: u64,
    pub(crate) reporters: BTreeSet<u32>,
    pub(crate) sources: Vec<SourceAddress>,
}

/// Unauthenticated messages by day and reporter, from addresses without any passing mail.
fn by_reporter(mail: &BySource<MailFact>) -> BTreeMap<u32, BTreeMap<i32, u64>> {
    let mut reporters: BTreeMap<u32, BTreeMap<i32, u64>> = BTreeMap::new();
    for fact in spoofing(mail).flat_map(|(_, facts)| facts) {
        let day = reporters.entry(fact.reporter).or_default().entry(fact.day).or_default();
        *day = day.saturating_add(fact.unauthenticated);
    }
    reporters
}

fn spoofing(mail: &BySource<MailFact>) -> impl Iterator<Item = (SourceAddress, &[MailFact])> {
    let foreign = |facts: &&Vec<MailFact>| facts.iter().all(|fact| fact.passed == 0);
    mail.iter().filter(move |(_, facts)| foreign(facts)).map(|(source, facts)| (*source, facts.as_slice()))
}

/// The latest wave, if one began in the last days. `least` scales the required numbers of messages.
pub(crate) fn wave(mail: &BySource<MailFact>, today: i32, least: f64) -> Option<Wave> {
    let reporters = by_reporter(mail);
    let mut days: Vec<i32> = Vec::new();
    for (length, messages, times) in LENGTHS {
        let floor = (float(messages) * least).max(1.0);
        for start in today - FRESH..=today {
            let shows = |seen: &BTreeMap<i32, u64>| {
                let sum = |from: i32| seen.range(from..from + length).fold(0_u64, |sum, (_, n)| sum.saturating_add(*n));
                let usual = seen.range(..=start - length).map(|(day, _)| sum(*day)).max().unwrap_or(0);
                float(sum(start)) >= floor.max(float(usual) * times)
            };
            if reporters.values().filter(|seen| shows(seen)).count() > 1 {
                days.extend(start..start + length);
            }
        }
    }
    days.sort_unstable();
    days.dedup();
    let (first, last) = (*days.first()?, *days.last()?);
    // Of the days that make up the sums, those that stand out.
    let mut all: BTreeMap<i32, u64> = BTreeMap::new();
    for (day, messages) in reporters.values().flatten() {
        let sum = all.entry(*day).or_default();
        *sum = sum.saturating_add(*messages);
    }
    let usual = all.range(..first).map(|(_, messages)| *messages).max().unwrap_or(0);
    let most = all.range(first..=last).map(|(_, messages)| *messages).max().unwrap_or(0);
    let high = |messages: u64| messages > usual && messages.saturating_mul(20) >= most;
    let mut outstanding = all.range(first..=last).filter(|(_, messages)| high(**messages)).map(|(day, _)| *day);
    let since = outstanding.next()?;
    let seen = outstanding.next_back().unwrap_or(since);
    let mut found =
        Wave { since, seen, messages: 0, blocked: 0, addresses: 0, reporters: BTreeSet::new(), sources: Vec::new() };
    let mut largest = Vec::new();
    for (source, facts) in spoofing(mail) {
        let mut sent = 0_u64;
        for fact in facts.iter().filter(|fact| (since..=seen).contains(&fact.day) && fact.unauthenticated > 0) {
            sent = sent.saturating_add(fact.unauthenticated);
            found.blocked = found.blocked.saturating_add(fact.blocked);
            found.reporters.insert(fact.reporter);
        }
        if sent > 0 {
            found.messages = found.messages.saturating_add(sent);
            found.addresses += 1;
            largest.push((source, sent));
        }
    }
    found.sources = most_first(largest);
    Some(found)
}
