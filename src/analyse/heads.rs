//! What reports say apart from their rows: who reported when, which policy was seen, what was odd.

use super::interner::Table;
use crate::model::{PolicyPublished, ReportHead, SenderAuth, Text};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Two days, in seconds: a report over a longer time is named in the data quality.
const LONG: i64 = 2 * 24 * 3600;

/// Sums of report heads. Ids are the adder's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heads {
    /// By policy domain, reporter and day.
    pub(crate) reports: Table<(u32, u32, i32), Reports>,
    /// Reports by policy domain, day and policy.
    pub(crate) policies: Table<(u32, i32, Policy), u64>,
    /// Of the period asked for: reports over two days long, by domain.
    pub(crate) long: BTreeSet<(Text, LongReport)>,
    /// Of the period asked for: reports whose mail was a proven forgery, and their messages, by domain.
    pub(crate) unproven: BTreeMap<u32, Reports>,
    /// Of the period asked for: reports by the codes of their findings.
    pub(crate) findings: BTreeMap<Text, u64>,
}

/// Sums of some reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reports {
    /// How many.
    pub(crate) number: u64,
    /// Their messages.
    pub(crate) messages: u64,
    /// Their messages that pass.
    pub(crate) dmarc_pass: u64,
}

impl Reports {
    fn of(head: &ReportHead) -> Self {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        Self { number: 1, messages: count(head.messages), dmarc_pass: count(head.dmarc_pass) }
    }

    fn merge(&mut self, other: Self) {
        self.number += other.number;
        self.messages = self.messages.saturating_add(other.messages);
        self.dmarc_pass = self.dmarc_pass.saturating_add(other.dmarc_pass);
    }
}

/// A report that covers more than two days.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LongReport {
    pub(crate) reporter: Text,
    pub(crate) report_id: Text,
    pub(crate) begin: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) messages: u64,
}

/// A policy as the reports show it; null where no report says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Policy {
    pub(crate) p: Option<Text>,
    pub(crate) sp: Option<Text>,
    pub(crate) np: Option<Text>,
    pub(crate) adkim: Option<Text>,
    pub(crate) aspf: Option<Text>,
    pub(crate) pct: Option<i32>,
    pub(crate) testing: Option<Text>,
}

impl From<&PolicyPublished> for Policy {
    fn from(policy: &PolicyPublished) -> Self {
        Self {
            p: policy.p.clone(),
            sp: policy.sp.clone(),
            np: policy.np.clone(),
            adkim: policy.adkim.clone(),
            aspf: policy.aspf.clone(),
            pct: policy.pct,
            testing: policy.testing.clone(),
        }
    }
}

impl Heads {
    /// Add a report of a domain and reporter.
    pub(crate) fn add(&mut self, head: &ReportHead, (domain, reporter): (u32, u32)) {
        let (day, reports) = (super::period::number(head.day), Reports::of(head));
        self.reports.entry((domain, reporter, day)).or_default().merge(reports);
        *self.policies.entry((domain, day, Policy::from(&head.policy))).or_default() += 1;
    }

    /// Add what is odd about a report of the period asked for.
    pub(crate) fn odd(&mut self, head: &ReportHead, domain: u32) {
        let reports = Reports::of(head);
        if head.end.as_second().saturating_sub(head.begin.as_second()) > LONG {
            let (reporter, report_id) = (head.org_name.clone(), head.report_id.clone());
            let long = LongReport { reporter, report_id, begin: head.begin, end: head.end, messages: reports.messages };
            self.long.insert((head.policy.domain.as_str().into(), long));
        }
        if head.sender_auth == SenderAuth::Fail {
            self.unproven.entry(domain).or_default().merge(reports);
        }
        for code in head.findings.iter().collect::<BTreeSet<_>>() {
            *self.findings.entry(code.clone()).or_default() += 1;
        }
    }

    /// Add another's, whose ids are translated.
    pub(crate) fn merge(&mut self, other: Self, text: impl Fn(u32) -> u32, org: impl Fn(u32) -> u32) {
        for ((domain, reporter, day), reports) in other.reports {
            self.reports.entry((text(domain), org(reporter), day)).or_default().merge(reports);
        }
        for ((domain, day, policy), reports) in other.policies {
            *self.policies.entry((text(domain), day, policy)).or_default() += reports;
        }
        self.long.extend(other.long);
        for (domain, reports) in other.unproven {
            self.unproven.entry(text(domain)).or_default().merge(reports);
        }
        for (code, reports) in other.findings {
            *self.findings.entry(code).or_default() += reports;
        }
    }
}
