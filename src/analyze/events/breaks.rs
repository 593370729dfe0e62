//! Detects when something stopped working, by the days of the reports: a key, or SPF for an address.

use super::by_source::{BySource, EventFact, GoodAndBad, sum, sum_of};
use super::facts::float;
use super::sighting::Sighting;
use crate::analyze::sums::shards::network;
use crate::model::SourceAddress;
use std::collections::{BTreeMap, BTreeSet};

/// Messages that worked before, so that there is something to break.
const ESTABLISHED: u64 = 10;
/// Failing messages that two reporters must have seen each before a break is reported.
const SHOWN: u64 = 5;
/// A run of failures is significant if its probability is below one in ten million.
const CHANCE: f64 = 1e-7;
/// The failure rate assumed for something that never failed.
const LEAST_NOISE: f64 = 0.02;

/// Something that broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Break {
    /// The failing messages.
    pub(crate) shown: Sighting,
    /// Those of them that fail DMARC.
    pub(crate) lost: u64,
}

/// The end of a break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepairedBreak {
    /// The first day on which it works again.
    pub(crate) day: i32,
    /// Who saw that.
    pub(crate) reporters: BTreeSet<u32>,
}

fn by_day<'a>(facts: impl Iterator<Item = &'a EventFact>) -> BTreeMap<i32, GoodAndBad> {
    let mut days: BTreeMap<i32, GoodAndBad> = BTreeMap::new();
    for fact in facts {
        let day = days.entry(fact.day).or_default();
        *day = sum(*day, (fact.good, fact.bad));
    }
    days
}

fn last_good(days: &BTreeMap<i32, GoodAndBad>) -> Option<i32> {
    days.iter().rev().find(|(_, (good, bad))| good > bad).map(|(day, _)| *day)
}

/// The addresses that count: those for which it ever worked, and those first seen after the last good day that are related to
/// them or whose mail passes in another way. Mail from an address that never worked is changed in transit, for example by a
/// list, or forged: anybody can write a key that is no longer in use into a signature.
fn own<'a>(
    sources: &'a BySource<EventFact>,
    passes: &dyn Fn(SourceAddress) -> bool,
) -> Vec<(SourceAddress, &'a [EventFact])> {
    let works = |facts: &[EventFact]| facts.iter().any(|fact| fact.good > 0);
    let working = || sources.iter().filter(|(_, facts)| works(facts));
    let last = last_good(&by_day(working().flat_map(|(_, facts)| facts)));
    let networks: BTreeSet<SourceAddress> = working().map(|(source, _)| network(*source)).collect();
    let good = || working().flat_map(|(_, facts)| facts).filter(|fact| fact.good > 0);
    let vouchers: BTreeSet<u32> = good().filter_map(|fact| fact.voucher).collect();
    let related = |source: SourceAddress, facts: &[EventFact]| {
        networks.contains(&network(source))
            || facts.iter().any(|fact| fact.voucher.is_some_and(|voucher| vouchers.contains(&voucher)))
            || passes(source)
    };
    let first = |facts: &[EventFact]| facts.iter().map(|fact| fact.day).min();
    let counts = |source: SourceAddress, facts: &[EventFact]| {
        works(facts) || last.is_some() && first(facts) > last && related(source, facts)
    };
    let counted = sources.iter().filter(|(source, facts)| counts(**source, facts));
    counted.map(|(source, facts)| (*source, facts.as_slice())).collect()
}

/// Whether it broke, seen by at least two reporters. `passes` tells whether mail from an address ever passes, in whatever way.
pub(crate) fn broken(sources: &BySource<EventFact>, passes: &dyn Fn(SourceAddress) -> bool) -> Option<Break> {
    let own = own(sources, passes);
    let all = || own.iter().flat_map(|(_, facts)| facts.iter());
    let days = by_day(all());
    let since = since_last_good(&days, all()).or_else(|| since_of_reporters(all()))?;
    if sum_of(days.range(..since)).0 < ESTABLISHED {
        return None;
    }
    let failing = || {
        let facts = own.iter().flat_map(|(source, facts)| facts.iter().map(move |fact| (*source, fact)));
        facts.filter(move |(_, fact)| fact.day >= since && fact.bad > 0)
    };
    let shown = Sighting::of(failing().map(|(source, fact)| (source, fact.day, fact.reporter, fact.bad)))?;
    let lost = failing().fold(0_u64, |sum, (_, fact)| sum.saturating_add(fact.lost));
    Some(Break { shown, lost })
}

/// The first bad day after the last mostly good one, if nearly everything since then fails, significantly.
fn since_last_good<'a>(days: &BTreeMap<i32, GoodAndBad>, facts: impl Iterator<Item = &'a EventFact>) -> Option<i32> {
    let last = last_good(days)?;
    let since = *days.range(last + 1..).find(|(_, (_, bad))| *bad > 0)?.0;
    let before = sum_of(days.range(..since));
    let mut reporters: BTreeMap<u32, GoodAndBad> = BTreeMap::new();
    for fact in facts.filter(|fact| fact.day >= since) {
        let seen = reporters.entry(fact.reporter).or_default();
        *seen = sum(*seen, (fact.good, fact.bad));
    }
    let (good, bad) = reporters.values().fold((0, 0), |all, seen| sum(all, *seen));
    let showing = || reporters.values().filter(|(good, bad)| *bad > 0 && good.saturating_mul(10) <= *bad);
    let enough = float(bad) >= needed(before) || showing().filter(|(_, bad)| *bad >= SHOWN).count() > 1;
    (showing().count() > 1 && good.saturating_mul(10) <= bad && enough).then_some(since)
}

/// How many consecutive messages must fail, given the earlier failure rate.
fn needed((good, bad): GoodAndBad) -> f64 {
    let noise = (float(bad) / float(good.saturating_add(bad).max(1))).clamp(LEAST_NOISE, 0.9);
    (CHANCE.ln() / noise.ln()).ceil()
}

/// The first such day among reporters that saw it work and see only failures since their own last good day; two of them
/// suffice, whatever others see, because keys are cached.
fn since_of_reporters<'a>(facts: impl Iterator<Item = &'a EventFact>) -> Option<i32> {
    let mut reporters: BTreeMap<u32, Vec<&EventFact>> = BTreeMap::new();
    facts.for_each(|fact| reporters.entry(fact.reporter).or_default().push(fact));
    let firsts = reporters.into_values().filter_map(|facts| {
        let days = by_day(facts.into_iter());
        let last = last_good(&days)?;
        let (worked, since) = (sum_of(days.range(..=last)).0, sum_of(days.range(last + 1..)));
        let first = days.range(last + 1..).find(|(_, (_, bad))| *bad > 0)?.0;
        (worked >= ESTABLISHED && since.0 == 0 && since.1 >= SHOWN).then_some(*first)
    });
    let firsts: Vec<i32> = firsts.collect();
    if firsts.len() > 1 { firsts.into_iter().min() } else { None }
}

/// Whether something that broke on a day works again, seen by two reporters.
pub(crate) fn repaired(sources: &BySource<EventFact>, since: i32) -> Option<RepairedBreak> {
    let works = |facts: &[EventFact]| facts.iter().any(|fact| fact.good > 0);
    let own: Vec<&EventFact> = sources.values().filter(|facts| works(facts)).flatten().collect();
    let days = by_day(own.iter().copied());
    let last_bad = days.range(since..).rev().find(|(_, (good, bad))| bad >= good).map_or(since, |(day, _)| *day);
    let day = *days.range(last_bad + 1..).find(|(_, (good, _))| *good > 0)?.0;
    let after = || own.iter().filter(|fact| fact.day >= day);
    let (good, bad) = after().fold((0, 0), |all, fact| sum(all, (fact.good, fact.bad)));
    let reporters: BTreeSet<u32> = after().filter(|fact| fact.good > 0).map(|fact| fact.reporter).collect();
    (reporters.len() > 1 && good >= 3 && bad.saturating_mul(4) <= good).then_some(RepairedBreak { day, reporters })
}
