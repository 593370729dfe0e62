//! Sums of report heads: who reported when, which policy was seen, what was odd.

use super::interner::{IdMap, Interner, Keyed, OTHER};
use crate::analyze::Foreign;
use crate::analyze::period;
use crate::analyze::thresholds::LONGEST_GAP;
use crate::model::{PolicyPublished, ReportHead, SenderAuth, Text};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Two days, in seconds: a report over a longer time is listed in the data quality.
const LONG: i64 = 2 * 24 * 3600;

/// Bytes of a policy tag that is kept as it is: no defined value has more.
const TAG: usize = 32;

/// Different policies that are distinguished.
const POLICIES: usize = 20_000;

/// Long reports that are listed, first by domain, reporter and ID; the rest are counted.
const NAMED: usize = 1000;

/// Sums of report heads. Ids are the adder's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heads {
    /// By policy domain, reporter and day.
    pub(crate) reports: BTreeMap<(u32, u32, i32), DayReports>,
    /// Every policy seen.
    policies: Interner<PolicySeen>,
    /// Reports by policy domain, day and policy: sorted, so that those of one domain are found quickly.
    shown: BTreeMap<(u32, i32, u32), u64>,
    /// The policy of a domain's previous report.
    latest: IdMap<u32, u32>,
    /// Domains of authentic reports.
    pub(crate) authentic: HashSet<u32>,
    /// In the requested period: reports over two days long, by domain.
    pub(crate) long: BTreeSet<(Text, LongReportIds)>,
    /// How many more there are.
    pub(crate) more_long: u64,
    /// In the requested period: reports whose mail was a proven forgery, and their messages, by domain.
    pub(crate) unproven: BTreeMap<u32, ReportSums>,
    /// In the requested period: reports by the codes of their findings.
    pub(crate) findings: BTreeMap<Text, u64>,
}

/// The reports of a domain and reporter that count for one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DayReports {
    pub(crate) all: ReportSums,
    /// What one of them says.
    pub(crate) first: ReportFigures,
    /// Whether the others say the same.
    pub(crate) alike: bool,
}

/// What shows that two reports with different IDs are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReportFigures {
    begin: i64,
    end: i64,
    pub(crate) records: i64,
    messages: i64,
    dmarc_pass: i64,
}

impl ReportFigures {
    fn of(head: &ReportHead) -> Self {
        let (begin, end) = (head.begin.as_second(), head.end.as_second());
        Self { begin, end, records: head.records, messages: head.messages, dmarc_pass: head.dmarc_pass }
    }
}

/// Sums of some reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ReportSums {
    /// Reports.
    pub reports: u64,
    /// Their messages.
    pub messages: u64,
    /// Their messages that pass.
    pub dmarc_pass: u64,
}

impl ReportSums {
    fn of(head: &ReportHead) -> Self {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        Self { reports: 1, messages: count(head.messages), dmarc_pass: count(head.dmarc_pass) }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.reports = self.reports.saturating_add(other.reports);
        self.messages = self.messages.saturating_add(other.messages);
        self.dmarc_pass = self.dmarc_pass.saturating_add(other.dmarc_pass);
    }
}

/// A report that covers more than two days.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LongReportIds {
    pub(crate) reporter: Text,
    pub(crate) report_id: Text,
    pub(crate) begin: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) messages: u64,
}

/// A published policy, as reports show it; `None` if none says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct PolicySeen {
    /// For the domain.
    pub p: Option<Foreign>,
    /// For subdomains.
    pub sp: Option<Foreign>,
    /// For subdomains that do not exist.
    pub np: Option<Foreign>,
    /// DKIM alignment.
    pub adkim: Option<Foreign>,
    /// SPF alignment.
    pub aspf: Option<Foreign>,
    /// Share of failing mail it is applied to.
    pub pct: Option<i32>,
    /// Test mode.
    pub testing: Option<Foreign>,
}

impl From<&PolicyPublished> for PolicySeen {
    fn from(policy: &PolicyPublished) -> Self {
        let tag = |value: &Option<Text>| {
            value.as_ref().map(|value| if value.len() > TAG { OTHER.into() } else { value.clone().into() })
        };
        Self {
            p: tag(&policy.p),
            sp: tag(&policy.sp),
            np: tag(&policy.np),
            adkim: tag(&policy.adkim),
            aspf: tag(&policy.aspf),
            pct: policy.pct,
            testing: tag(&policy.testing),
        }
    }
}

impl Keyed for PolicySeen {
    type Key = Self;

    fn key(&self) -> &Self {
        self
    }
}

/// The reports on one domain, history included.
#[derive(Debug)]
pub(crate) struct DomainReports {
    /// The first day of those without a long gap up to the last one; `None` if all are proven forgeries.
    pub(crate) first_day: Option<i32>,
    /// IDs of the reporters.
    pub(crate) reporters: BTreeSet<u32>,
}

impl Heads {
    /// Adds a report of a domain and reporter.
    pub(crate) fn add(&mut self, head: &ReportHead, (domain, reporter): (u32, u32)) {
        let (day, reports) = (period::number(head.day), ReportSums::of(head));
        let first = ReportFigures::of(head);
        let new = || DayReports { all: ReportSums::default(), first, alike: true };
        let of_day = self.reports.entry((domain, reporter, day)).or_insert_with(new);
        of_day.all.merge(reports);
        of_day.alike &= of_day.first == first;
        // Anybody can forge a report: it says nothing about the policy, nor since when there are reports.
        if head.sender_auth == SenderAuth::Fail {
            return;
        }
        let mut policy = PolicySeen::from(&head.policy);
        let policy = match self.latest.get(&domain) {
            Some(latest) if *self.policies.get(*latest) == policy => *latest,
            _ => {
                if self.policies.items().len() >= POLICIES && self.policies.find(&policy).is_none() {
                    policy = PolicySeen::default();
                }
                let id = self.policies.id(&policy, || policy.clone());
                self.latest.insert(domain, id);
                id
            }
        };
        *self.shown.entry((domain, day, policy)).or_default() += 1;
        if head.sender_auth == SenderAuth::Pass {
            self.authentic.insert(domain);
        }
    }

    /// Merges domains into others, as given by `now`.
    pub(crate) fn rename(&mut self, now: impl Fn(u32) -> u32) {
        for ((domain, reporter, day), more) in std::mem::take(&mut self.reports) {
            let key = (now(domain), reporter, day);
            match self.reports.get_mut(&key) {
                Some(known) => {
                    known.all.merge(more.all);
                    // Equal reports about two domains are no sign of a copy.
                    known.alike = false;
                }
                None => drop(self.reports.insert(key, more)),
            }
        }
        for ((domain, day, policy), reports) in std::mem::take(&mut self.shown) {
            *self.shown.entry((now(domain), day, policy)).or_default() += reports;
        }
        for (domain, reports) in std::mem::take(&mut self.unproven) {
            self.unproven.entry(now(domain)).or_default().merge(reports);
        }
    }

    /// The reports of each reporter and day on a domain; without one, on all.
    pub(crate) fn of_domain(&self, domain: Option<u32>) -> impl Iterator<Item = (&(u32, u32, i32), &DayReports)> {
        let (first, last) = domain.map_or((0, u32::MAX), |domain| (domain, domain));
        self.reports.range((first, 0, i32::MIN)..=(last, u32::MAX, i32::MAX))
    }

    /// The policies of a domain: day, policy and how many reports show it, by day.
    pub(crate) fn policies(&self, domain: u32) -> impl Iterator<Item = (i32, &PolicySeen, u64)> {
        let shown = self.shown.range((domain, i32::MIN, 0)..=(domain, i32::MAX, u32::MAX));
        shown.map(|((_, day, policy), reports)| (*day, self.policies.get(*policy), *reports))
    }

    /// The reports of each domain, in one pass.
    pub(crate) fn by_domain(&self) -> IdMap<u32, DomainReports> {
        let mut domains: IdMap<u32, DomainReports> = IdMap::default();
        for (domain, reporter, _) in self.reports.keys() {
            let none = || DomainReports { first_day: None, reporters: BTreeSet::new() };
            domains.entry(*domain).or_insert_with(none).reporters.insert(*reporter);
        }
        // The latest day of each domain first.
        let mut later = None;
        for (domain, day, _) in self.shown.keys().rev() {
            let Some(known) = domains.get_mut(domain) else { continue };
            let begins = later.replace((*domain, *day)).is_none_or(|(of, _)| of != *domain);
            // A report from before a long gap is no evidence of the time in between.
            if begins || known.first_day.is_some_and(|first| first.saturating_sub(*day) <= LONGEST_GAP) {
                known.first_day = Some(*day);
            }
        }
        domains
    }

    /// Adds what is odd about a report of the requested period.
    pub(crate) fn odd(&mut self, head: &ReportHead, domain: u32) {
        let reports = ReportSums::of(head);
        if head.end.as_second().saturating_sub(head.begin.as_second()) > LONG {
            let (reporter, report_id) = (head.org_name.clone(), head.report_id.clone());
            let long =
                LongReportIds { reporter, report_id, begin: head.begin, end: head.end, messages: reports.messages };
            self.long.insert((head.policy.domain.as_str().into(), long));
            if self.long.len() > NAMED {
                self.long.pop_last();
                self.more_long += 1;
            }
        }
        if head.sender_auth == SenderAuth::Fail {
            self.unproven.entry(domain).or_default().merge(reports);
        }
        for code in head.findings.iter().collect::<BTreeSet<_>>() {
            *self.findings.entry(code.clone()).or_default() += 1;
        }
    }
}
