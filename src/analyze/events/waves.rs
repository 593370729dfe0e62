//! Waves of spoofing: far more unauthenticated mail than usual for a domain, seen by two reporters.

use super::by_source::{BySource, MailFact};
use super::facts::float;
use super::sighting::Sighting;
use crate::model::SourceAddress;
use std::collections::BTreeMap;

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
    pub(crate) shown: Sighting,
    pub(crate) blocked: u64,
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
    let mut high = all.range(first..=last).filter(|(_, messages)| high(**messages)).map(|(day, _)| *day);
    let since = high.next()?;
    let seen = high.next_back().unwrap_or(since);
    let outstanding = || {
        let facts = spoofing(mail).flat_map(|(source, facts)| facts.iter().map(move |fact| (source, fact)));
        facts.filter(move |(_, fact)| (since..=seen).contains(&fact.day) && fact.unauthenticated > 0)
    };
    let shown = outstanding().map(|(source, fact)| (source, fact.day, fact.reporter, fact.unauthenticated));
    let blocked = outstanding().fold(0_u64, |sum, (_, fact)| sum.saturating_add(fact.blocked));
    Some(Wave { shown: Sighting::of(shown)?, blocked })
}
