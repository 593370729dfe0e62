//! One line per domain for users with many: the worst first, and what is wrong with each.

use super::readiness::ReadinessVerdict;
use super::summary::{DomainSummary, Summary};
use crate::analyze::Foreign;
use crate::analyze::actions::{Action, Change};
use crate::analyze::period::SummaryPeriod;
use crate::analyze::sums::Rate;
use crate::analyze::thresholds::NO_CHANCE;
use crate::model::Text;
use jiff::civil::Date;
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// A known domain, whether or not the period has reports about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OverviewDomain {
    /// In canonical form.
    pub policy_domain: Text,
    /// Its customer, if any.
    pub customer: Option<Text>,
    /// The last day covered by a DMARC report; `None` if there never was one.
    pub last_report: Option<Date>,
    /// The last day of its TLS reports, of a domain that has no others.
    pub last_tls_report: Option<Date>,
    /// What the last look at its DNS records found; `None`: nobody looked.
    pub dns: Option<DnsState>,
}

/// What a look at the DNS records of a domain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsState {
    /// No fault.
    Sound,
    /// A fault, in a sentence.
    Faulty(Text),
}

/// All domains, the worst first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overview {
    /// The period, for the title.
    #[serde(skip)]
    pub period: SummaryPeriod,
    /// One row per domain.
    pub domains: Vec<OverviewRow>,
}

/// One domain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OverviewRow {
    /// The domain.
    pub policy_domain: Foreign,
    /// The customer it belongs to.
    pub customer: Option<Foreign>,
    /// Messages of the period.
    pub messages: u64,
    /// Legitimate messages of the period that receivers blocked.
    pub lost_now: u64,
    /// The share of legitimate mail of the eight weeks that the next policy step would lose, between 0 and 1; `None` if
    /// no step is left, or no legitimate mail was seen.
    pub next_step_share: Option<Rate>,
    /// Unauthenticated messages of the period that receivers did not block.
    pub spoofed_not_blocked: u64,
    /// Since when a DKIM key does not verify; `None` if none is broken, or the day is unknown.
    pub key_broken_since: Option<Date>,
    /// The last day covered by a DMARC report.
    pub last_report: Option<Date>,
    /// The last day of its TLS reports, if it has no others.
    pub last_tls_report: Option<Date>,
    /// What is wrong with its DNS records: by the last check of them, or, without one, by the reports.
    pub dns_fault: Option<Foreign>,
    /// The worst state that applies.
    pub state: DomainState,
    /// A DKIM key is broken, whether or not the day is known.
    #[serde(skip)]
    pub key_broken: bool,
}

/// What is wrong with a domain. Less is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainState {
    /// Receivers block legitimate mail now.
    Loses,
    /// The next step of the policy would lose legitimate mail.
    WouldLose,
    /// Ten unauthenticated messages or more of the period were not blocked.
    Spoofed,
    /// A DKIM key does not verify.
    KeyBroken,
    /// There were reports, but there are none any more.
    Silent,
    /// No DMARC report was ever about it.
    NeverReported,
    /// A DNS record is missing, or cannot be evaluated.
    DnsFault,
    /// None of these.
    Well,
}

impl DomainState {
    /// All of them, the worst first.
    pub const ALL: [Self; 8] = [
        Self::Loses,
        Self::WouldLose,
        Self::Spoofed,
        Self::KeyBroken,
        Self::Silent,
        Self::NeverReported,
        Self::DnsFault,
        Self::Well,
    ];

    /// Its name in JSON and CSV.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loses => "loses",
            Self::WouldLose => "would_lose",
            Self::Spoofed => "spoofed",
            Self::KeyBroken => "key_broken",
            Self::Silent => "silent",
            Self::NeverReported => "never_reported",
            Self::DnsFault => "dns_fault",
            Self::Well => "well",
        }
    }
}

impl Overview {
    /// Builds it from a summary and all known domains. A domain of the summary that is not known gets a row too.
    pub fn new(summary: &Summary, known: &[OverviewDomain]) -> Self {
        let mut actions: BTreeMap<&Foreign, Vec<&Action>> = BTreeMap::new();
        for action in &summary.actions {
            actions.entry(&action.policy_domain).or_default().push(action);
        }
        let seen: BTreeMap<&str, &DomainSummary> =
            summary.domains.iter().map(|domain| (domain.policy_domain.as_written(), domain)).collect();
        let silent: BTreeSet<&str> =
            summary.changes.silent_domains.iter().map(|domain| domain.policy_domain.as_written()).collect();
        let by_name: BTreeMap<&str, &OverviewDomain> =
            known.iter().map(|domain| (domain.policy_domain.as_str(), domain)).collect();
        let names: BTreeSet<&str> = seen.keys().chain(by_name.keys()).copied().collect();
        let row = |name: &str| {
            let known = by_name.get(name).map(|known| (*known).clone()).unwrap_or_default();
            let of_domain = actions.get(&Foreign::from(name)).map_or(&[][..], Vec::as_slice);
            let stopped = silent.contains(name)
                || !seen.contains_key(name)
                    && known.last_report.zip(summary.period.from).is_some_and(|(last, from)| last < from);
            row((name, known), seen.get(name).copied(), of_domain, stopped)
        };
        let mut domains: Vec<OverviewRow> = names.into_iter().map(row).collect();
        domains.sort_by_cached_key(|row| {
            let share =
                row.next_step_share.map_or(0, |share| share.part.saturating_mul(1_000_000) / share.whole.max(1));
            let worst = (Reverse(row.lost_now), Reverse(share), Reverse(row.spoofed_not_blocked));
            (row.state, worst, row.key_broken_since, row.last_report, Reverse(row.messages), row.policy_domain.clone())
        });
        Self { period: summary.period.clone(), domains }
    }
}

fn row(
    (name, known): (&str, OverviewDomain),
    seen: Option<&DomainSummary>,
    actions: &[&Action],
    stopped: bool,
) -> OverviewRow {
    let readiness = seen.map(|domain| &domain.readiness);
    let lost_now = readiness.map_or(0, |readiness| readiness.lost_now);
    let step = readiness.filter(|readiness| readiness.next.is_some() && readiness.legitimate > 0);
    let next_step_share = step.and_then(|step| Rate::of(step.would_be_lost.min(step.legitimate), step.legitimate));
    let would_lose = step.is_some_and(|step| {
        step.would_be_lost > 0 && matches!(step.verdict, ReadinessVerdict::NotYet | ReadinessVerdict::TooLittle)
    });
    let spoofed_not_blocked = seen.map_or(0, |domain| domain.spoofing.not_blocked());
    let broken = || actions.iter().filter(|action| matches!(action.change, Change::RepairKey { .. }));
    let key_broken = broken().next().is_some();
    let reported = || {
        actions.iter().find_map(|action| match &action.change {
            Change::RepairSpf { spf_domain } => {
                Some(Foreign::from(format!("the SPF record of {} cannot be evaluated", spf_domain.as_written())))
            }
            _ => None,
        })
    };
    let dns_fault = match known.dns {
        None => reported(),
        Some(DnsState::Sound) => None,
        Some(DnsState::Faulty(fault)) => Some(Foreign::from(fault)),
    };
    let never = seen.is_none() && known.last_report.is_none();
    let holds = [
        (lost_now > 0, DomainState::Loses),
        (would_lose, DomainState::WouldLose),
        (spoofed_not_blocked >= NO_CHANCE, DomainState::Spoofed),
        (key_broken, DomainState::KeyBroken),
        (stopped, DomainState::Silent),
        (never, DomainState::NeverReported),
        (dns_fault.is_some(), DomainState::DnsFault),
    ];
    OverviewRow {
        policy_domain: name.into(),
        customer: known.customer.map(Foreign::from),
        messages: seen.map_or(0, |domain| domain.totals.sums.messages),
        lost_now,
        next_step_share,
        spoofed_not_blocked,
        key_broken_since: broken().filter_map(|action| action.since).min(),
        last_report: known.last_report,
        last_tls_report: known.last_tls_report,
        dns_fault,
        state: holds.into_iter().find(|(holds, _)| *holds).map_or(DomainState::Well, |(_, state)| state),
        key_broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::{
        fixtures::Line,
        weeks::{World, day},
    };

    fn known(policy_domain: &str, last_report: Option<&str>) -> OverviewDomain {
        let last_report = last_report.map(|day| day.parse().unwrap());
        OverviewDomain {
            policy_domain: policy_domain.into(),
            customer: Some("Shop".into()),
            last_report,
            ..OverviewDomain::default()
        }
    }

    #[test]
    fn the_worst_comes_first_and_a_domain_without_reports_has_a_row() {
        let mut world = World::new();
        // Refused since Monday: an own key that is gone, of a domain whose policy rejects.
        world.add(-56..0, |day| {
            Line::new(day, "192.0.2.77", 20)
                .domain("lost.example")
                .dkim("lost.example", "s", "pass")
                .spf("other.example", "fail")
                .verdict(crate::model::Flags::DKIM, crate::model::Cause::PassDkimOnly)
        });
        world.add(0..7, |day| {
            let line = Line::new(day, "192.0.2.77", 20).domain("lost.example").dkim("lost.example", "s", "permerror");
            line.spf("other.example", "fail").disposition("reject").verdict(0, crate::model::Cause::OwnSigningBroken)
        });
        let domains = [
            known("quiet.example", Some("2026-11-02")),
            known("never.example", None),
            known("example.com", Some(&day(6))),
        ];
        let overview = Overview::new(&world.summary(), &domains);
        let told: Vec<_> = overview.domains.iter().map(|row| (row.policy_domain.as_written(), row.state)).collect();
        assert_eq!(
            told,
            [
                ("lost.example", DomainState::Loses),
                ("quiet.example", DomainState::Silent),
                ("never.example", DomainState::NeverReported),
                ("example.com", DomainState::Well),
            ]
        );
        let lost = &overview.domains[0];
        assert_eq!((lost.lost_now, lost.messages, lost.customer.as_ref()), (560, 560, None));
        assert_eq!(lost.key_broken_since, Some(day(0).parse().unwrap()));
        assert_eq!(overview.domains[3].customer, Some("Shop".into()));
    }

    #[test]
    fn the_last_check_of_dns_is_reported_if_there_was_one() {
        let state_of = |dns| {
            let domain = OverviewDomain { dns, ..known("well.example", Some(&day(6))) };
            let overview = Overview::new(&World::new().summary(), &[domain]);
            let row =
                overview.domains.into_iter().find(|row| row.policy_domain.as_written() == "well.example").unwrap();
            (row.state, row.dns_fault)
        };
        assert_eq!(state_of(None), (DomainState::Well, None));
        assert_eq!(state_of(Some(DnsState::Sound)), (DomainState::Well, None));
        let fault = DnsState::Faulty("Publish a DMARC record.".into());
        assert_eq!(state_of(Some(fault)), (DomainState::DnsFault, Some("Publish a DMARC record.".into())));
    }

    #[test]
    fn states_have_the_same_names_as_in_json() {
        for state in DomainState::ALL {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("{:?}", state.as_str()));
        }
    }
}
