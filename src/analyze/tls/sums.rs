//! Adds up rows of TLS reports: exact sums by domain, policy type and result type, with bounds on the number of each.

use crate::analyze::day_span::DaySpan;
use crate::analyze::period::{Period, number};
use crate::analyze::question::Question;
use crate::analyze::tls::advice::TlsAdvice;
use crate::model::{ReportKey, SenderAuth, Text, TlsFailure, TlsPolicyRow};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of domains with a policy type; the sessions of others are added to one without a domain.
const POLICIES: usize = 20_000;
/// Maximum number of result types of a policy.
const CAUSES: usize = 200;
/// Maximum number of hosts, reporters and reason codes of each.
const NAMES: usize = 500;

/// Numbers of sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TlsSessions {
    /// That succeeded.
    pub successful_sessions: u64,
    /// That failed.
    pub failed_sessions: u64,
}

impl TlsSessions {
    fn merge(&mut self, more: Self) {
        self.successful_sessions = self.successful_sessions.saturating_add(more.successful_sessions);
        self.failed_sessions = self.failed_sessions.saturating_add(more.failed_sessions);
    }

    /// All of them.
    pub(crate) fn all(self) -> u64 {
        self.successful_sessions.saturating_add(self.failed_sessions)
    }
}

/// A domain and a policy type.
pub(crate) type PolicyKey = (Option<Text>, Option<Text>);

/// All sums.
#[derive(Debug, Default)]
pub(crate) struct TlsSums {
    pub(crate) policies: BTreeMap<PolicyKey, PolicySums>,
    /// Reports of the period that do not count, because their mail was not from the reporter.
    pub(crate) left_out: BTreeSet<ReportKey>,
    /// Reports of the period whose mail nobody verified.
    pub(crate) unverified: BTreeSet<ReportKey>,
}

/// What is known about one policy.
#[derive(Debug, Default)]
pub(crate) struct PolicySums {
    /// Whether a report of the period has it, with or without sessions.
    pub(crate) counts: bool,
    pub(crate) reports: BTreeSet<ReportKey>,
    /// Of the period.
    pub(crate) sessions: TlsSessions,
    /// Of the period of the same length before it; `None` if no report is about it.
    pub(crate) before: Option<TlsSessions>,
    /// The days with reports.
    pub(crate) days: DaySpan,
    pub(crate) reporters: BTreeMap<Text, TlsSessions>,
    pub(crate) causes: BTreeMap<Option<Text>, CauseSums>,
    /// The MTA-STS mode in the newest reports, and their day.
    pub(crate) mode: Option<(i32, Text)>,
}

/// What is known about one result type under a policy.
#[derive(Debug, Default)]
pub(crate) struct CauseSums {
    /// Whether a report of the period has it.
    pub(crate) counts: bool,
    pub(crate) failed: u64,
    /// In the period before.
    pub(crate) before: u64,
    /// The days of the period and its history.
    pub(crate) days: DaySpan,
    /// Failed sessions by host, in the period.
    pub(crate) hosts: BTreeMap<Option<Text>, u64>,
    pub(crate) reporters: BTreeSet<Text>,
    pub(crate) reasons: BTreeMap<Text, u64>,
}

/// When a row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowPeriod {
    Now,
    /// In the period just before.
    Before,
    /// Earlier: used only for when something was first seen.
    Earlier,
}

impl TlsSums {
    /// Adds a row. Rows of later days and other domains are ignored.
    pub(crate) fn add(&mut self, row: &TlsPolicyRow, question: &Question) {
        let domain = row.policy.policy_domain.as_ref().map(|domain| Text::from(domain.as_str()));
        let is_wanted =
            question.domains.is_empty() || domain.as_ref().is_some_and(|domain| question.domains.contains(domain));
        let Some(when) = when(row, question.period).filter(|_| is_wanted) else { return };
        if matches!(row.sender_auth, SenderAuth::None | SenderAuth::Fail) {
            if when == RowPeriod::Now {
                self.left_out.insert(row.key);
            }
            return;
        }
        if when == RowPeriod::Now && row.sender_auth == SenderAuth::Unknown {
            self.unverified.insert(row.key);
        }
        let mut key = (domain, row.policy.policy_type.clone());
        if self.policies.len() >= POLICIES && !self.policies.contains_key(&key) {
            key.0 = None;
        }
        self.policies.entry(key).or_default().add(row, when);
    }
}

fn when(row: &TlsPolicyRow, period: Option<Period>) -> Option<RowPeriod> {
    let Some(period) = period else { return Some(RowPeriod::Now) };
    if period.contains(row.day) {
        return Some(RowPeriod::Now);
    }
    let before = period.before(1).is_some_and(|before| before.contains(row.day));
    (row.day < period.from()).then_some(if before { RowPeriod::Before } else { RowPeriod::Earlier })
}

impl PolicySums {
    fn add(&mut self, row: &TlsPolicyRow, when: RowPeriod) {
        let policy = &row.policy;
        let seen = TlsSessions {
            successful_sessions: sessions(policy.successful_sessions),
            failed_sessions: sessions(policy.failed_sessions),
        };
        let day = number(row.day);
        self.days.add(day);
        match when {
            RowPeriod::Now => {
                self.counts = true;
                self.reports.insert(row.key);
                self.sessions.merge(seen);
                if let Some(sums) = entry(&mut self.reporters, row.org_name.clone(), NAMES) {
                    sums.merge(seen);
                }
                if let Some(mode) = mode(&policy.policy_strings)
                    && self.mode.as_ref().is_none_or(|(newest, _)| *newest <= day)
                {
                    self.mode = Some((day, mode));
                }
            }
            RowPeriod::Before => self.before.get_or_insert_default().merge(seen),
            RowPeriod::Earlier => {}
        }
        for failure in &policy.failures {
            if let Some(cause) = entry(&mut self.causes, cause_name(failure), CAUSES) {
                cause.add(failure, row, day, when);
            }
        }
    }
}

impl CauseSums {
    fn add(&mut self, failure: &TlsFailure, row: &TlsPolicyRow, day: i32, when: RowPeriod) {
        let failed = sessions(failure.failed_sessions);
        self.days.add(day);
        match when {
            RowPeriod::Now => {
                self.counts = true;
                self.failed = self.failed.saturating_add(failed);
                let host = failure.receiving_mx_hostname.as_ref().map(|host| Text::from(host.as_str()));
                if let Some(sum) = entry(&mut self.hosts, host, NAMES) {
                    *sum = sum.saturating_add(failed);
                }
                if self.reporters.len() < NAMES {
                    self.reporters.insert(row.org_name.clone());
                }
                let reason = failure.reason_code.as_ref().filter(|reason| !reason.trim().is_empty());
                if let Some(sum) = reason.and_then(|reason| entry(&mut self.reasons, reason.clone(), NAMES)) {
                    *sum = sum.saturating_add(failed);
                }
            }
            RowPeriod::Before => self.before = self.before.saturating_add(failed),
            RowPeriod::Earlier => {}
        }
    }
}

/// What failures are added up by: the name of the RFC in whatever case it is written, else the word as it is written.
fn cause_name(failure: &TlsFailure) -> Option<Text> {
    let written = failure.result_type.as_ref().filter(|name| !name.trim().is_empty())?;
    match TlsAdvice::of(Some(written)).result_type {
        "" => Some(written.clone()),
        known => Some(known.into()),
    }
}

/// The sums of a name; `None` if there are too many names.
fn entry<K: Ord, V: Default>(map: &mut BTreeMap<K, V>, key: K, most: usize) -> Option<&mut V> {
    (map.len() < most || map.contains_key(&key)).then(|| map.entry(key).or_default())
}

/// A count; 0 if it is missing or invalid.
fn sessions(count: Option<i64>) -> u64 {
    count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default()
}

/// The mode in the lines of an MTA-STS policy.
fn mode(lines: &[Text]) -> Option<Text> {
    lines.iter().flat_map(|text| text.split('\n')).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        let mode = value.trim();
        (key.trim() == "mode" && ["enforce", "testing", "none"].contains(&mode)).then(|| mode.into())
    })
}
