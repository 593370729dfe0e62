//! From sums to the answer. Whatever order the sums came in, the answer is the same: everything is sorted here.

use super::{
    Adder, Foreign, Summary,
    period::date,
    quality, sources,
    sources::Known,
    summary::{Days, DomainSummary, PolicySeen, SCHEMA, Totals},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// The whole answer.
pub(crate) fn summary(adder: &Adder) -> Summary {
    let by_domain = totals(adder);
    let mut domains: Vec<DomainSummary> = by_domain
        .iter()
        .map(|(domain, totals)| DomainSummary {
            policy_domain: adder.foreign(*domain),
            totals: *totals,
            policy: policy(adder, *domain),
        })
        .collect();
    domains.sort_by(|a, b| {
        (Reverse(a.totals.sums.messages), &a.policy_domain).cmp(&(Reverse(b.totals.sums.messages), &b.policy_domain))
    });
    Summary {
        schema: SCHEMA,
        period: days(adder),
        totals: whole(adder, &by_domain),
        domains,
        sources: sources::sources(adder),
        quality: quality::quality(adder),
    }
}

/// The days asked for, else those that the rows and reports span.
fn days(adder: &Adder) -> Days {
    let span = adder.question.period.map(|period| (period.from(), period.to())).or_else(|| {
        let reports = adder.heads.reports.keys().map(|(_, _, day)| *day);
        let seen = reports.chain(adder.days.keys().map(|(_, day)| *day));
        let (first, last) = seen.fold((i32::MAX, i32::MIN), |(first, last), day| (first.min(day), last.max(day)));
        (first <= last).then(|| (date(first), date(last)))
    });
    let week = span.and_then(|(from, to)| super::Period::new(from, to).ok()?.iso_week());
    Days { from: span.map(|span| span.0), to: span.map(|span| span.1), week }
}

/// Totals by domain id, of the period asked for.
fn totals(adder: &Adder) -> BTreeMap<u32, Totals> {
    let asked = |day: i32| adder.scope.window(day) == Some(adder.scope.asked);
    let mut totals: BTreeMap<u32, Totals> = BTreeMap::new();
    for ((domain, day), sums) in &adder.days {
        if asked(*day) {
            totals.entry(*domain).or_default().sums.merge(sums);
        }
    }
    let mut reporters: BTreeSet<(u32, u32)> = BTreeSet::new();
    for ((domain, reporter, day), reports) in &adder.heads.reports {
        if asked(*day) {
            let totals = totals.entry(*domain).or_default();
            totals.reports += reports.number;
            totals.reporters += u64::from(reporters.insert((*domain, *reporter)));
        }
    }
    let known = Known::new(adder);
    for ((_, pattern), fact) in &adder.facts {
        let pattern = adder.patterns.get(*pattern);
        if pattern.window == adder.scope.asked && known.unaligned(pattern) {
            let sum = &mut totals.entry(pattern.domain).or_default().authenticated_unaligned;
            *sum = sum.saturating_add(fact.messages);
        }
    }
    totals
}

/// Totals over all domains. A reporter of two domains is one reporter.
fn whole(adder: &Adder, by_domain: &BTreeMap<u32, Totals>) -> Totals {
    let mut whole = Totals::default();
    for totals in by_domain.values() {
        whole.sums.merge(&totals.sums);
        whole.reports += totals.reports;
        whole.authenticated_unaligned = whole.authenticated_unaligned.saturating_add(totals.authenticated_unaligned);
    }
    let asked = |day: i32| adder.scope.window(day) == Some(adder.scope.asked);
    let reporters: BTreeSet<u32> =
        adder.heads.reports.keys().filter(|(_, _, day)| asked(*day)).map(|(_, reporter, _)| *reporter).collect();
    whole.reporters = reporters.len() as u64;
    whole
}

/// The policy most reports of the last day with reports show, ties to the one that sorts first.
fn policy(adder: &Adder, domain: u32) -> Option<PolicySeen> {
    let of_domain = || adder.heads.policies.iter().filter(move |((of, _, _), _)| *of == domain);
    let last = of_domain().map(|((_, day, _), _)| *day).max()?;
    let (policy, _) = of_domain()
        .filter(|((_, day, _), _)| *day == last)
        .map(|((_, _, policy), reports)| (policy, *reports))
        .max_by(|(a, reports), (b, others)| reports.cmp(others).then_with(|| b.cmp(a)))?;
    let foreign = |text: &Option<crate::model::Text>| text.clone().map(Foreign::from);
    Some(PolicySeen {
        p: foreign(&policy.p),
        sp: foreign(&policy.sp),
        np: foreign(&policy.np),
        adkim: foreign(&policy.adkim),
        aspf: foreign(&policy.aspf),
        pct: policy.pct,
        testing: foreign(&policy.testing),
    })
}
