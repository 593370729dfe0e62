//! From sums to the answer. Whatever order the sums came in, the answer is the same: everything is sorted on its way here.

use super::{
    Adder, Changes, Period, Spoofing, Summary, Totals, actions, changes, groups,
    period::{date, number},
    policies, quality, readiness,
    reporters::Attendance,
    roles,
    senders::{self, Cast},
    sources,
    summary::{Days, DomainSummary, SCHEMA, Subdomain},
    totals,
    trend::{self, Windows},
    view::View,
};
use std::{cmp::Reverse, collections::BTreeMap};

/// The whole answer.
pub(crate) fn summary(adder: &Adder) -> Summary {
    let view = View::new(adder);
    let period = period(adder);
    let by_domain = totals::by_domain(&view);
    let volumes: BTreeMap<u32, u64> =
        by_domain.iter().map(|(domain, totals)| (*domain, totals.sums.messages)).collect();
    let (groups, signing) = groups::groups(&view);
    let vendors = roles::vendors(&groups);
    let cast = senders::cast(&view, groups, &vendors, &volumes);
    let (listed, spoofing) = senders::senders(&view, &cast, &volumes);
    let actions = actions::actions(&view, &cast, &vendors, &signing);
    let attendance = Attendance::new(&view);
    let (silent_reporters, silent) = attendance.silent();
    let quality = quality::quality(&view, &attendance, &silent_reporters);
    let domains =
        Domains { view: &view, period, cast: &cast, spoofing: &spoofing, subdomains: totals::subdomains(&view) };
    let with_data = by_domain.keys().map(|domain| (*domain, Windows::new(&view, Some(*domain)).with_data())).collect();
    let mut policies: Vec<_> = by_domain.keys().flat_map(|domain| policies::changes(&view, *domain)).collect();
    policies.sort_by(|a, b| (&a.policy_domain, a.tag).cmp(&(&b.policy_domain, b.tag)));
    Summary {
        schema: SCHEMA,
        period: days(period),
        totals: totals::whole(&view, &by_domain),
        comparison: Windows::new(&view, None).comparison(),
        trend: trend::series(&view, None, period),
        spoofing: spoofing.values().fold(Spoofing::default(), |mut all, more| {
            all.merge(more);
            all
        }),
        actions,
        changes: Changes {
            senders: changes::changes(&view, &cast, &silent, (&with_data, !quality.unfinished)),
            silent_reporters,
            policies,
        },
        domains: domains.summaries(&by_domain),
        senders: listed,
        sources: sources::sources(&view),
        quality,
    }
}

/// The days asked for, else those that the rows and reports span; null where there are none.
fn period(adder: &Adder) -> Option<Period> {
    adder.question.period.or_else(|| {
        let reports = adder.heads.reports.keys().map(|(_, _, day)| *day);
        let seen = reports.chain(adder.days.keys().map(|(_, day)| *day));
        let (first, last) = seen.fold((i32::MAX, i32::MIN), |(first, last), day| (first.min(day), last.max(day)));
        if first <= last { Period::new(date(first), date(last)).ok() } else { None }
    })
}

fn days(period: Option<Period>) -> Days {
    Days { from: period.map(Period::from), to: period.map(Period::to), week: period.and_then(Period::iso_week) }
}

/// What the domains' summaries are made of.
struct Domains<'a> {
    view: &'a View<'a>,
    period: Option<Period>,
    cast: &'a [Cast],
    spoofing: &'a BTreeMap<u32, Spoofing>,
    subdomains: BTreeMap<u32, Vec<Subdomain>>,
}

impl Domains<'_> {
    /// One a domain, most messages first.
    fn summaries(&self, by_domain: &BTreeMap<u32, Totals>) -> Vec<DomainSummary> {
        let mut domains: Vec<DomainSummary> =
            by_domain.iter().map(|(domain, totals)| self.summary(*domain, totals)).collect();
        let key = |domain: &DomainSummary| (Reverse(domain.totals.sums.messages), domain.policy_domain.clone());
        domains.sort_by_cached_key(key);
        domains
    }

    fn summary(&self, domain: u32, totals: &Totals) -> DomainSummary {
        let view = self.view;
        let windows = Windows::new(view, Some(domain));
        let cast: Vec<&Cast> = self.cast.iter().filter(|cast| cast.group.domain == domain).collect();
        let policy = policies::now(view, domain);
        let seen = (windows.with_data(), self.days_read(domain));
        DomainSummary {
            policy_domain: view.foreign(domain),
            totals: *totals,
            comparison: windows.comparison(),
            trend: trend::series(view, Some(domain), self.period),
            readiness: readiness::readiness(view, &cast, policy.as_ref(), seen),
            policy,
            spoofing: self.spoofing.get(&domain).copied().unwrap_or_default(),
            subdomains: self.subdomains.get(&domain).cloned().unwrap_or_default(),
        }
    }

    /// Days from the domain's first to its last report, history included.
    fn days_read(&self, domain: u32) -> i32 {
        let days = self.view.adder.heads.reports.keys().filter(|(of, ..)| *of == domain).map(|(_, _, day)| *day);
        let first = days.min();
        let last = self.period.map(|period| number(period.to()));
        first.zip(last).map_or(0, |(first, last)| last - first + 1)
    }
}
