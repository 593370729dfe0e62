//! Turns sums into the summary. The order of the sums does not matter: everything is sorted here.

use super::action_list::actions;
use super::changes::{self, Surroundings};
use super::readiness::{DomainFacts, readiness};
use super::step::EnforcementStep;
use super::summary::{DomainSummary, SCHEMA};
use super::{Sender, Spoofing, questions, senders};
use crate::analyze::actions::ActionFacts;
use crate::analyze::day_span::DaySpan;
use crate::analyze::figures::reporters::{self, Attendance, ReporterSilence};
use crate::analyze::figures::totals::{self, Subdomain};
use crate::analyze::figures::trend::{self, Windows};
use crate::analyze::figures::{policies, quality};
use crate::analyze::period::{SummaryPeriod, date, number};
use crate::analyze::senders::{DomainFold, Folded, History, Horizon, PolicyScope, Role, View, Weights, fold};
use crate::analyze::sums::adder::{Adder, CollectedSums};
use crate::analyze::sums::heads::DomainReports;
use crate::analyze::sums::interner::{IdMap, OTHER};
use crate::analyze::thresholds::MISSED_ONE_IN;
use crate::analyze::tls;
use crate::analyze::{Changes, Foreign, Period, PolicySeen, Summary, Totals};
use std::{cmp::Reverse, collections::BTreeMap};

impl Adder {
    /// The answer.
    pub fn finish(mut self) -> Summary {
        let tls = std::mem::take(&mut self.tls);
        let added = self.into_added();
        let mut summary = summary(&added);
        summary.quality.tls_left_out_reports = tls.left_out.len() as u64;
        summary.quality.tls_unverified_reports = tls.unverified.len() as u64;
        summary.tls = tls::summaries(tls, summary.period.from, &added.question.dns);
        summary
    }
}

/// The whole answer.
pub(crate) fn summary(added: &CollectedSums) -> Summary {
    let view = View::new(added);
    let period = period(added);
    let by_domain = totals::by_domain(&view);
    let policies: BTreeMap<u32, Option<PolicySeen>> =
        by_domain.keys().map(|domain| (*domain, policies::now(&view, *domain))).collect();
    let nothing = PolicyScope { itself: false, subdomains: false };
    let governs = policies
        .iter()
        .map(|(domain, policy)| (*domain, EnforcementStep::after(policy.as_ref()).map_or(nothing, |step| step.governs)))
        .collect();
    let (weights, horizon) = (Weights::new(added), Horizon::new(&view));
    let history = History::new(&view, &weights, horizon);
    let (folded, sources, all_sources) =
        fold(&view, (&history, &weights), &governs, horizon, changes::may_have_changed);
    let senders = senders::senders(&view, &folded, &by_domain);
    let attendance = Attendance::new(&view);
    let silence = attendance.silent();
    let quality = quality::quality(&view, &weights, &attendance, &silence);
    let subdomains = totals::subdomains(&view);
    let parts = DomainSummaries {
        view: &view,
        period,
        folded: &folded,
        listed: by_name(&senders),
        subdomains,
        policies,
        history: &history,
        horizon,
        silence: &silence,
        reported: added.common.heads.by_domain(),
    };
    let domains = parts.summaries(&by_domain);
    let around = Surroundings { silent: &silence.ids, totals: &by_domain, complete: !quality.unfinished };
    let mut changed_policies: Vec<_> = by_domain.keys().flat_map(|domain| policies::changes(&view, *domain)).collect();
    changed_policies.sort_by(|a, b| (&a.policy_domain, a.tag).cmp(&(&b.policy_domain, b.tag)));
    let mut spoofing = Spoofing::default();
    for domain in &domains {
        spoofing.merge(&domain.spoofing);
    }
    let findings = ActionFacts { view: &view, folded: &folded, history: &history, horizon };
    let (actions, more_actions) = actions(&findings, &domains, period);
    let trend = trend::series(&view, &folded, None, period);
    let mut summary = Summary {
        schema: SCHEMA,
        period: days(period),
        totals: totals::whole(&view, &by_domain),
        comparison: Windows::new(&view, None).comparison(&trend),
        trend,
        reporting: reporters::by_day(&view, period),
        answers: super::Answers::default(),
        spoofing,
        actions,
        more_actions,
        changes: Changes {
            senders: changes::changes(&view, &folded, &around),
            silent_reporters: silence.reporters,
            silent_domains: silence.domains,
            policies: changed_policies,
        },
        domains,
        more_domains: added.common.more_domains,
        tls: Vec::new(),
        senders,
        more_sources: all_sources - sources.len() as u64,
        sources,
        watched: senders::watched(&view, &folded),
        quality,
    };
    summary.answers = questions::answers(&summary);
    summary
}

/// The listed suspects of each domain.
fn by_name(senders: &[Sender]) -> BTreeMap<&Foreign, Vec<&Sender>> {
    let mut listed: BTreeMap<&Foreign, Vec<&Sender>> = BTreeMap::new();
    for sender in senders.iter().filter(|sender| sender.who.role == Role::Suspect) {
        listed.entry(&sender.who.policy_domain).or_default().push(sender);
    }
    listed
}

/// The requested days, else those that the rows and reports span; `None` if there are none.
fn period(added: &CollectedSums) -> Option<Period> {
    added.question.period.or_else(|| {
        let reports = added.common.heads.reports.keys().map(|(_, _, day)| *day);
        let seen: DaySpan = reports.chain(added.common.days.keys().map(|(_, day)| *day)).collect();
        Period::new(date(seen.first()?), date(seen.last()?)).ok()
    })
}

fn days(period: Option<Period>) -> SummaryPeriod {
    SummaryPeriod {
        from: period.map(Period::from),
        to: period.map(Period::to),
        week: period.and_then(Period::iso_week),
    }
}

/// The inputs of the domains' summaries.
struct DomainSummaries<'a> {
    view: &'a View<'a>,
    period: Option<Period>,
    folded: &'a Folded,
    listed: BTreeMap<&'a Foreign, Vec<&'a Sender>>,
    subdomains: BTreeMap<u32, Vec<Subdomain>>,
    policies: BTreeMap<u32, Option<PolicySeen>>,
    history: &'a History,
    horizon: Horizon,
    silence: &'a ReporterSilence,
    /// The reports about each domain.
    reported: IdMap<u32, DomainReports>,
}

impl DomainSummaries<'_> {
    /// One per domain, most messages first.
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
        let policy = self.policies.get(&domain).cloned().flatten();
        let nothing = DomainFold::default();
        let folded = self.folded.domains.get(&domain).unwrap_or(&nothing);
        let name = view.foreign(domain);
        let facts = DomainFacts {
            policy: policy.as_ref(),
            periods: windows.sums.with_data(),
            first_day: self.reported.get(&domain).and_then(|reported| reported.first_day),
            last_day: self.period.map_or(self.horizon.to, |period| number(period.to())),
            passed: self.history.passed.get(&domain).copied().unwrap_or_default(),
            silent_reporters: self.missed(domain),
        };
        let trend = trend::series(view, self.folded, Some(domain), self.period);
        DomainSummary {
            vouched: view.word(domain) != OTHER
                && (totals.sums.dmarc_pass > 0 || view.added.question.names(view.word(domain))),
            totals: *totals,
            comparison: windows.comparison(&trend),
            trend,
            readiness: readiness(view, folded, facts),
            policy,
            spoofing: Spoofing::of(view, folded, self.listed.get(&name), &windows.sums.reported()),
            policy_domain: name,
            subdomains: self.subdomains.get(&domain).cloned().unwrap_or_default(),
        }
    }

    /// Reporters that reported on the domain, saw much of the mail, and fell silent.
    fn missed(&self, domain: u32) -> Vec<Foreign> {
        let much = self
            .silence
            .reporters
            .iter()
            .filter(|silent| silent.usual_share.part.saturating_mul(MISSED_ONE_IN) >= silent.usual_share.whole);
        let mut much = much.peekable();
        let Some(reported) = self.reported.get(&domain).filter(|_| much.peek().is_some()) else { return Vec::new() };
        let reporters = reported.reporters.iter();
        let reported: std::collections::BTreeSet<Foreign> =
            reporters.map(|reporter| self.view.added.common.reporters.get(*reporter).clone().into()).collect();
        much.map(|silent| silent.org_name.clone()).filter(|name| reported.contains(name)).collect()
    }
}
