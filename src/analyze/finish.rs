//! From sums to the answer. Whatever order the sums came in, the answer is the same: everything is sorted on its way here.

use super::{
    Changes, Period, Sender, Spoofing, Summary, Totals, actions,
    adder::Added,
    changes::{self, Surroundings},
    fold::{self, DomainFold, Folded},
    period::{date, number},
    policies, quality,
    reporters::Attendance,
    roles, senders, sources,
    summary::{Days, DomainSummary, SCHEMA, Subdomain},
    totals,
    trend::{self, Windows},
    view::View,
};
use std::{cmp::Reverse, collections::BTreeMap};

/// The whole answer.
pub(crate) fn summary(added: &Added) -> Summary {
    let view = View::new(added);
    let period = period(added);
    let by_domain = totals::by_domain(&view);
    let volumes: BTreeMap<u32, u64> =
        by_domain.iter().map(|(domain, totals)| (*domain, totals.sums.messages)).collect();
    let vendors = roles::vendors(&view);
    let folded = fold::fold(&view, &vendors, &volumes);
    let senders = senders::senders(&view, &folded, &volumes);
    let attendance = Attendance::new(&view);
    let silence = attendance.silent();
    let quality = quality::quality(&view, &attendance, &silence);
    let subdomains = totals::subdomains(&view);
    let domains = Domains { view: &view, period, folded: &folded, listed: &senders, subdomains }.summaries(&by_domain);
    let with_data = |domain: &u32| (*domain, Windows::new(&view, Some(*domain)).with_data());
    let around = Surroundings {
        silent: &silence.ids,
        with_data: &by_domain.keys().map(with_data).collect(),
        volumes: &volumes,
        complete: !quality.unfinished,
    };
    let mut policies: Vec<_> = by_domain.keys().flat_map(|domain| policies::changes(&view, *domain)).collect();
    policies.sort_by(|a, b| (&a.policy_domain, a.tag).cmp(&(&b.policy_domain, b.tag)));
    let mut spoofing = Spoofing::default();
    for domain in &domains {
        spoofing.merge(&domain.spoofing);
    }
    Summary {
        schema: SCHEMA,
        period: days(period),
        totals: totals::whole(&view, &by_domain),
        comparison: Windows::new(&view, None).comparison(),
        trend: trend::series(&view, None, period),
        spoofing,
        actions: actions::actions(&view, &folded, &vendors),
        changes: Changes {
            senders: changes::changes(&view, &folded, &around),
            silent_reporters: silence.reporters,
            silent_domains: silence.domains,
            policies,
        },
        domains,
        senders,
        sources: sources::sources(&view),
        quality,
    }
}

/// The days asked for, else those that the rows and reports span; null where there are none.
fn period(added: &Added) -> Option<Period> {
    added.question.period.or_else(|| {
        let reports = added.common.heads.reports.keys().map(|(_, _, day)| *day);
        let seen = reports.chain(added.common.days.keys().map(|(_, day)| *day));
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
    folded: &'a Folded,
    listed: &'a [Sender],
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
        let policy = policies::now(view, domain);
        let seen = (windows.with_data(), self.days_read(domain));
        let nothing = DomainFold::default();
        let folded = self.folded.domains.get(&domain).unwrap_or(&nothing);
        let name = view.foreign(domain);
        DomainSummary {
            totals: *totals,
            comparison: windows.comparison(),
            trend: trend::series(view, Some(domain), self.period),
            readiness: folded.losses.readiness(policy.as_ref(), seen),
            policy,
            spoofing: senders::spoofing(folded.spoofing, self.listed, &name),
            policy_domain: name,
            subdomains: self.subdomains.get(&domain).cloned().unwrap_or_default(),
        }
    }

    /// Days from the domain's first report to the period's end, history included.
    fn days_read(&self, domain: u32) -> i32 {
        let days = self.view.added.common.heads.reports.keys().filter(|(of, ..)| *of == domain).map(|(_, _, day)| *day);
        let last = self.period.map(|period| number(period.to()));
        days.min().zip(last).map_or(0, |(first, last)| last - first + 1)
    }
}
