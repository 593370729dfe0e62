//! Turns the sums into what a summary says about TLS.

use super::advice::TlsAdvice;
use super::sums::{CauseSums, PolicyKey, PolicySums, TlsSessions, TlsSums};
use crate::analyze::Foreign;
use crate::analyze::explained_by::ExplainedBy;
use crate::analyze::period::date;
use crate::analyze::thresholds::TLS_CHANCE_ONE_IN;
use crate::model::{DnsChange, DnsHistory, RecordType, Text};
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Reporters and hosts that are named, those with most first.
const NAMED: usize = 100;
/// Reason codes that are named per cause.
const REASONS: usize = 5;
/// How many days before a failure the DNS change that explains it may be: caches keep the old record.
const DAYS_BEFORE: i64 = 3;

/// What the reporters say about one domain under one policy type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsSummary {
    /// The recipient domain; null if no report names one.
    pub policy_domain: Option<Foreign>,
    /// `sts` (MTA-STS), `tlsa` (DANE) or `no-policy-found`.
    pub policy_type: Option<Foreign>,
    /// The mode of an MTA-STS policy, as the newest report shows it.
    pub mode: Option<Foreign>,
    /// Sessions that succeeded.
    pub successful_sessions: u64,
    /// Sessions that failed.
    pub failed_sessions: u64,
    /// Reports.
    pub reports: u64,
    /// In the period of the same length before; null if no report is about it.
    pub before: Option<TlsSessions>,
    /// Who reported, most sessions first; a hundred at most.
    pub reporters: Vec<TlsReporter>,
    /// Where sessions failed, most first; a hundred at most.
    pub hosts: Vec<TlsHost>,
    /// Why sessions failed, one entry per result type, most sessions first.
    pub causes: Vec<TlsCause>,
}

/// A reporter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsReporter {
    /// Its name for itself.
    pub org_name: Foreign,
    /// What it counted.
    #[serde(flatten)]
    pub sessions: TlsSessions,
}

/// An MX host at which sessions failed. No report says how many succeeded there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsHost {
    /// Its name.
    pub mx: Foreign,
    /// Sessions that failed there.
    pub failed_sessions: u64,
}

/// Why sessions failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsCause {
    /// As the reporter writes it; null if it does not.
    pub result_type: Option<Foreign>,
    /// Sessions.
    pub failed_sessions: u64,
    /// The MX hosts, by name.
    pub mx: Vec<Foreign>,
    /// What it means, and what to do.
    pub text: String,
    /// Sessions in the period of the same length before.
    pub failed_before: u64,
    /// The first day in the period and the weeks that were read before it.
    pub first_seen: Option<Date>,
    /// The last day.
    pub last_seen: Option<Date>,
    /// First seen in the period, while earlier reports on this policy do not have it.
    pub new: bool,
    /// How many reporters see it.
    pub reporters: u64,
    /// Their own codes, most sessions first; five at most.
    pub reasons: Vec<Foreign>,
    /// The DNS change after which it began.
    pub explained_by: Option<ExplainedBy>,
}

impl TlsCause {
    /// What it is, in words.
    pub fn advice(&self) -> TlsAdvice {
        TlsAdvice::of(self.result_type.as_ref().map(Foreign::as_written))
    }
}

impl TlsSummary {
    /// Whether a person should look at it: more fails than by chance.
    pub fn is_failing(&self) -> bool {
        self.is_much(self.failed_sessions) || self.causes.iter().any(|cause| self.is_fault(cause))
    }

    /// Whether a cause is a fault rather than chance.
    pub fn is_fault(&self, cause: &TlsCause) -> bool {
        cause.failed_sessions > 0 && (!cause.advice().by_chance || self.is_much(cause.failed_sessions))
    }

    fn is_much(&self, failed: u64) -> bool {
        failed > 0 && failed.saturating_mul(TLS_CHANCE_ONE_IN) >= self.sessions()
    }

    /// Sessions that succeeded or failed.
    pub fn sessions(&self) -> u64 {
        self.successful_sessions.saturating_add(self.failed_sessions)
    }
}

/// One entry per domain and type of policy for the requested days, sorted by domain.
pub(crate) fn summaries(sums: TlsSums, first_day: Option<Date>, history: &DnsHistory) -> Vec<TlsSummary> {
    let counted = sums.policies.into_iter().filter(|(_, policy)| policy.counts);
    counted.map(|(key, policy)| summary(key, policy, first_day, history)).collect()
}

fn summary((domain, kind): PolicyKey, sums: PolicySums, first_day: Option<Date>, history: &DnsHistory) -> TlsSummary {
    let mut reporters: Vec<TlsReporter> =
        sums.reporters.into_iter().map(|(name, sessions)| TlsReporter { org_name: name.into(), sessions }).collect();
    reporters.sort_by_key(|reporter| Reverse(reporter.sessions.all()));
    reporters.truncate(NAMED);
    let mut by_host: BTreeMap<Text, u64> = BTreeMap::new();
    for (host, failed) in sums.causes.values().flat_map(|cause| &cause.hosts) {
        if let Some(host) = host {
            let sum = by_host.entry(host.clone()).or_default();
            *sum = sum.saturating_add(*failed);
        }
    }
    let mut hosts: Vec<TlsHost> =
        by_host.into_iter().map(|(mx, failed_sessions)| TlsHost { mx: mx.into(), failed_sessions }).collect();
    hosts.sort_by_key(|host| Reverse(host.failed_sessions));
    hosts.truncate(NAMED);
    let first_report = sums.days.first().map(date);
    let mut causes: Vec<TlsCause> = sums
        .causes
        .into_iter()
        .filter(|(_, cause)| cause.counts)
        .map(|(name, sums)| cause(name, &sums, (first_day, first_report), domain.as_deref(), history))
        .collect();
    causes.sort_by_key(|cause| Reverse(cause.failed_sessions));
    TlsSummary {
        policy_domain: domain.map(Foreign::from),
        policy_type: kind.map(Foreign::from),
        mode: sums.mode.map(|(_, mode)| mode.into()),
        successful_sessions: sums.sessions.successful_sessions,
        failed_sessions: sums.sessions.failed_sessions,
        reports: sums.reports.len() as u64,
        before: sums.before,
        reporters,
        hosts,
        causes,
    }
}

fn cause(
    name: Option<Text>,
    sums: &CauseSums,
    (first_day, first_report): (Option<Date>, Option<Date>),
    domain: Option<&str>,
    history: &DnsHistory,
) -> TlsCause {
    let (first, last) = (sums.days.first().map(date), sums.days.last().map(date));
    let advice = TlsAdvice::of(name.as_deref());
    // Without earlier reports, nothing counts as new.
    let new = first.zip(first_day).is_some_and(|(first, from)| first >= from && Some(first) > first_report);
    let mut reasons: Vec<(&Text, &u64)> = sums.reasons.iter().collect();
    reasons.sort_by_key(|(_, failed)| Reverse(**failed));
    let hosts: Vec<&str> = sums.hosts.keys().flatten().map(Text::as_str).collect();
    let explained_by = first
        .filter(|first| Some(*first) > first_report)
        .zip(domain)
        .and_then(|(first, domain)| explained(advice.result_type, (domain, &hosts), first, history));
    TlsCause {
        failed_sessions: sums.failed,
        mx: hosts.iter().map(|host| Foreign::from(*host)).collect(),
        text: format!("{} {}", advice.meaning, advice.todo.replace("DOMAIN", domain.unwrap_or("DOMAIN"))),
        failed_before: sums.before,
        first_seen: first,
        last_seen: last,
        new,
        reporters: sums.reporters.len() as u64,
        reasons: reasons.into_iter().take(REASONS).map(|(reason, _)| Foreign::from(reason.clone())).collect(),
        explained_by,
        result_type: name.map(Foreign::from),
    }
}

/// The last change in DNS before the first failure, of a record that the cause is about.
fn explained(
    result_type: &str,
    (domain, hosts): (&str, &[&str]),
    first: Date,
    history: &DnsHistory,
) -> Option<ExplainedBy> {
    let is_of = |change: &DnsChange| {
        let name = change.name.as_str();
        match (result_type, change.record_type) {
            ("sts-policy-fetch-error" | "sts-policy-invalid", RecordType::StsPolicy) => {
                name.strip_prefix("mta-sts.") == Some(domain)
            }
            ("sts-policy-fetch-error" | "sts-policy-invalid", RecordType::Txt) => {
                name.strip_prefix("_mta-sts.") == Some(domain)
            }
            ("tlsa-invalid" | "dnssec-invalid" | "dane-required", RecordType::Tlsa) => {
                name.strip_prefix("_25._tcp.").is_some_and(|host| hosts.contains(&host))
            }
            // A host that a new MX record added has no certificate for its name.
            (
                "certificate-host-mismatch"
                | "certificate-not-trusted"
                | "starttls-not-supported"
                | "validation-failure",
                RecordType::Mx,
            ) => {
                let names = |record: &&String| {
                    record.split_once(' ').is_some_and(|(_, host)| hosts.contains(&host.trim_end_matches('.')))
                };
                name == domain && change.after.iter().any(|record| names(&record) && !change.before.contains(record))
            }
            _ => false,
        }
    };
    let earliest = first.saturating_sub(DAYS_BEFORE.days());
    let close = |change: &&DnsChange| (earliest..=first).contains(&change.day());
    history.changes.iter().filter(close).rfind(|change| is_of(change)).map(ExplainedBy::from)
}
