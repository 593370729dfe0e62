//! How much a fact counts in a verdict: not at all if only one reporter sees it, once if the same report arrived again
//! under another ID. The sums of the summary keep both.

use crate::analyze::period::number;
use crate::analyze::sums::Messages;
use crate::analyze::sums::adder::CollectedSums;
use crate::analyze::sums::facts::{Fact, Pattern};
use crate::analyze::sums::heads::Heads;
use crate::analyze::sums::interner::IdMap;
use crate::analyze::sums::shards::ShardFacts;
use crate::analyze::thresholds::{HEALTHY_ONE_IN, NO_CHANCE, SEEN_BY_OTHERS};
use crate::model::Flags;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A policy domain, a reporter, and a window, or a week of the period.
type DomainReporter = (u32, u32, u8);

/// The weights of all facts.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    /// Reporters that saw most of a window's healthy mail fail, with the messages that passed and failed there.
    pub(crate) lone: BTreeMap<DomainReporter, (Messages, Messages)>,
    /// By policy domain, reporter and day: how often the same report arrived.
    pub(crate) copies: BTreeMap<(u32, u32, i32), u64>,
    /// The first day, if reporters are judged week by week.
    weeks_from: Option<i32>,
}

impl Weights {
    /// Examines all facts and reports.
    pub(crate) fn new(added: &CollectedSums) -> Self {
        let weeks_from = added.question.period.filter(|_| added.question.weekly).map(|period| number(period.from()));
        Self { lone: lone_reporters(added, weeks_from), copies: repeated_reports(added), weeks_from }
    }

    /// Whether only its reporter sees this: it saw most of the mail fail that others saw pass.
    pub(crate) fn is_lone(&self, pattern: &Pattern, fact: &Fact) -> bool {
        self.lone.contains_key(&(pattern.domain, fact.reporter, window(pattern, fact, self.weeks_from)))
    }

    /// How many messages that others saw pass failed at a lone reporter.
    pub(crate) fn failing_alone(&self, domain: u32, reporter: u32) -> u64 {
        let windows = self.lone.range((domain, reporter, 0)..=(domain, reporter, u8::MAX));
        windows.fold(0, |sum, (_, (_, failing))| failing.0.saturating_add(sum))
    }

    /// The messages of a fact that count.
    pub(crate) fn judged(&self, pattern: &Pattern, fact: &Fact) -> Messages {
        // Anybody can forge a report, to hide something or to alarm.
        if pattern.unproven || self.is_lone(pattern, fact) {
            return Messages(0);
        }
        self.once(pattern, fact)
    }

    /// The messages of a fact, those of a repeated report once.
    pub(crate) fn once(&self, pattern: &Pattern, fact: &Fact) -> Messages {
        if self.copies.is_empty() {
            return Messages(fact.messages);
        }
        let copies = self.copies.get(&(pattern.domain, fact.reporter, fact.day)).copied().unwrap_or(1);
        Messages(fact.messages / copies)
    }
}

/// The window in which the reporter of a fact is judged.
fn window(pattern: &Pattern, fact: &Fact, weeks_from: Option<i32>) -> u8 {
    let week = |first: i32| u8::try_from(fact.day.saturating_sub(first).div_euclid(7)).unwrap_or(u8::MAX);
    weeks_from.map_or(pattern.window, week)
}

/// Reporters of a domain and window that see most of the mail fail that others see pass: the likeliest reason is their
/// own resolver, or something in front of them.
fn lone_reporters(added: &CollectedSums, weeks_from: Option<i32>) -> BTreeMap<DomainReporter, (Messages, Messages)> {
    let sums = |mut sums: IdMap<DomainReporter, (Messages, Messages)>, part: &ShardFacts| {
        healthy_elsewhere(added, (part, weeks_from), &mut sums);
        sums
    };
    let merge = |mut sums: IdMap<_, (Messages, Messages)>, more: IdMap<_, (Messages, Messages)>| {
        for (key, (pass, fail)) in more {
            let sum: &mut (Messages, Messages) = sums.entry(key).or_default();
            *sum = (sum.0 + pass, sum.1 + fail);
        }
        sums
    };
    let sums = added.facts.par_iter().fold(IdMap::default, sums).reduce(IdMap::default, merge);
    sums.into_iter().filter(|(_, (pass, fail))| fail > pass && pass.0.saturating_add(fail.0) >= NO_CHANCE).collect()
}

/// Messages of one source with one From domain in one window, by reporter.
#[derive(Clone, Copy)]
struct ReporterCount {
    place: (u32, u32, u8),
    reporter: u32,
    pass: Messages,
    fail: Messages,
}

/// For each reporter, what it sees of the mail that at least two others see pass.
fn healthy_elsewhere(
    added: &CollectedSums,
    (part, weeks_from): (&ShardFacts, Option<i32>),
    sums: &mut IdMap<DomainReporter, (Messages, Messages)>,
) {
    let patterns = added.common.patterns.items();
    let mut seen: Vec<ReporterCount> = Vec::new();
    for facts in part.facts.chunk_by(|a, b| a.source == b.source) {
        seen.clear();
        for fact in facts {
            let pattern = &patterns[fact.pattern as usize].pattern;
            if pattern.unproven {
                continue;
            }
            let window = window(pattern, fact, weeks_from);
            let (place, messages) = ((pattern.domain, pattern.header_from, window), Messages(fact.messages));
            let (pass, fail) =
                if pattern.flags.has(Flags::PASS) { (messages, Messages(0)) } else { (Messages(0), messages) };
            match seen.last_mut().filter(|one| one.place == place && one.reporter == fact.reporter) {
                Some(known) => (known.pass, known.fail) = (known.pass + pass, known.fail + fail),
                None => seen.push(ReporterCount { place, reporter: fact.reporter, pass, fail }),
            }
        }
        seen.sort_unstable_by_key(|one| (one.place, one.reporter));
        seen.dedup_by(|next, kept| {
            let same = (next.place, next.reporter) == (kept.place, kept.reporter);
            if same {
                (kept.pass, kept.fail) = (kept.pass + next.pass, kept.fail + next.fail);
            }
            same
        });
        for all in seen.chunk_by(|a, b| a.place == b.place).filter(|all| all.len() >= 3) {
            let (passing, failing) =
                all.iter().fold((Messages(0), Messages(0)), |sum, one| (sum.0 + one.pass, sum.1 + one.fail));
            for one in all {
                let (pass, fail) = (passing - one.pass, failing - one.fail);
                let healthy = fail.0.saturating_mul(HEALTHY_ONE_IN) <= (pass + fail).0;
                if healthy && (pass + fail).0 >= SEEN_BY_OTHERS {
                    let (domain, _, window) = one.place;
                    let sum = sums.entry((domain, one.reporter, window)).or_default();
                    *sum = (sum.0 + one.pass, sum.1 + one.fail);
                }
            }
        }
    }
}

/// Days of a reporter and domain whose reports are the same under several IDs: equal in period and sums, and every row
/// occurs as often as there are reports.
fn repeated_reports(added: &CollectedSums) -> BTreeMap<(u32, u32, i32), u64> {
    let mut copies: BTreeMap<_, _> = added.common.heads.alike().collect();
    if copies.is_empty() {
        return copies;
    }
    let patterns = added.common.patterns.items();
    let mut differ: BTreeSet<(u32, u32, i32)> = BTreeSet::new();
    for fact in added.facts.iter().flat_map(|part| &part.facts) {
        let key = (patterns[fact.pattern as usize].pattern.domain, fact.reporter, fact.day);
        if let Some(number) = copies.get(&key)
            && (u64::from(fact.records) % number != 0 || fact.messages % number != 0)
        {
            differ.insert(key);
        }
    }
    copies.retain(|key, _| !differ.contains(key));
    copies
}

impl Heads {
    /// Days of a domain and reporter with several reports of the same period and sums, and how many.
    fn alike(&self) -> impl Iterator<Item = ((u32, u32, i32), u64)> {
        let several = self.reports.iter().filter(|(_, reports)| reports.all.reports >= 2 && reports.alike);
        several.filter(|(_, reports)| reports.first.records >= 2).map(|(key, reports)| (*key, reports.all.reports))
    }
}
