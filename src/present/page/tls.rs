//! TLS between mail servers from TLS reports: a line for each domain and policy type, then the causes of failures.
//!
//! Sessions of one cause are added up over domains, but never over policy types.

use super::shared::{Mark, News, names};
use crate::analyze::{ExplainedBy, Foreign, Rate, Summary, TlsAdvice, TlsCause, TlsSummary};
use crate::present::wording::clean::Clean;
use crate::present::wording::numbers::{count, counted, percent};
use crate::present::wording::words;
use jiff::civil::Date;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Lines of the table.
const LINES: usize = 30;
/// Maximum number of causes.
const CAUSES: usize = 15;
/// Maximum number of hosts and domains in a sentence.
const NAMED: usize = 3;

/// The section about TLS.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TlsSection {
    /// The text above the table.
    pub(crate) note: String,
    pub(crate) lines: Vec<TlsLine>,
    pub(crate) causes: Vec<TlsCauseLine>,
    /// Omissions and limitations.
    pub(crate) notes: Vec<String>,
}

/// A domain and policy type.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TlsLine {
    pub(crate) domain: String,
    /// Its page; empty outside an archive.
    pub(crate) href: String,
    /// `MTA-STS, enforce`.
    pub(crate) policy: String,
    pub(crate) sessions: String,
    pub(crate) failed: String,
    pub(crate) rate: String,
    /// The rate of the previous period; empty if unknown.
    pub(crate) before: String,
    pub(crate) reporters: String,
    pub(crate) mark: Mark,
    /// `Fails at mx.example.com`.
    pub(crate) state: String,
}

/// Why sessions failed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TlsCauseLine {
    pub(crate) mark: Mark,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) facts: String,
}

/// The section; `None` without TLS reports.
pub(super) fn section(summary: &Summary) -> Option<TlsSection> {
    let left_out = summary.quality.tls_left_out_reports;
    if summary.tls.is_empty() && left_out == 0 {
        return None;
    }
    let mut all: Vec<&TlsSummary> = summary.tls.iter().collect();
    all.sort_by_key(|tls| (Reverse(tls.failed_sessions), Reverse(tls.sessions())));
    let causes = causes(&all);
    let mut notes = Vec::new();
    let more = all.len().saturating_sub(LINES) as u64;
    if more > 0 {
        notes
            .push(format!("{} with fewer failures; --format json has them.", counted(more, "more line", "more lines")));
    }
    let more = causes.len().saturating_sub(CAUSES) as u64;
    if more > 0 {
        notes.push(format!(
            "{} with fewer sessions; --format json has them.",
            counted(more, "more cause", "more causes")
        ));
    }
    if left_out > 0 {
        notes.push(format!(
            "{} left out: the reporter did not sign the mail, and RFC 8460 says to ignore such reports.",
            counted(left_out, "TLS report is", "TLS reports are")
        ));
    }
    if summary.quality.tls_unverified_reports > 0 {
        notes.push(format!(
            "{} not verified; fetch --verify verifies the mails that bring reports.",
            counted(summary.quality.tls_unverified_reports, "TLS report is", "TLS reports are")
        ));
    }
    let reporters: BTreeSet<&Foreign> =
        all.iter().flat_map(|tls| &tls.reporters).map(|reporter| &reporter.org_name).collect();
    let names = words::each_shown(reporters);
    let mut note = "What senders say of their TLS sessions with your mail servers".to_owned();
    if !names.is_empty() {
        note = format!("{note}, as reported by {}", listed(&names));
    }
    Some(TlsSection {
        // Names such as `Google Inc.` bring their own.
        note: if note.ends_with('.') { note } else { format!("{note}.") },
        lines: all.iter().take(LINES).map(|tls| line(tls)).collect(),
        causes: causes.into_iter().take(CAUSES).map(|cause| cause.line(summary)).collect(),
        notes,
    })
}

fn line(tls: &TlsSummary) -> TlsLine {
    let rate = |failed: u64, successful: u64| percent(Rate::of(failed, failed.saturating_add(successful)));
    let at: BTreeSet<&Foreign> =
        tls.causes.iter().filter(|cause| tls.is_fault(cause)).flat_map(|cause| &cause.mx).collect();
    let hosts = tls.hosts.iter().map(|host| &host.mx).filter(|host| at.contains(host));
    let hosts = words::each_shown(hosts);
    let failed = tls.causes.iter().fold(tls.failed_sessions, |most, cause| most.max(cause.failed_sessions));
    let (mark, state) = match (failed, tls.sessions()) {
        (0, 0) => (Mark::Calm, "No sessions".to_owned()),
        (0, _) => (Mark::Good, "No failures".to_owned()),
        _ if !tls.is_failing() => (Mark::Good, "Few failures, probably chance".to_owned()),
        _ if hosts.is_empty() => (Mark::Fix, first_title(tls)),
        _ => (Mark::Fix, format!("Fails at {}", listed(&hosts))),
    };
    TlsLine {
        domain: domain(tls),
        href: String::new(),
        policy: policy(tls),
        sessions: count(tls.sessions()),
        failed: count(tls.failed_sessions),
        rate: rate(tls.failed_sessions, tls.successful_sessions),
        before: tls
            .before
            .filter(|before| before.failed_sessions > 0 || (before.successful_sessions > 0 && failed > 0))
            .map_or(String::new(), |before| rate(before.failed_sessions, before.successful_sessions)),
        reporters: count(tls.reporters.len() as u64),
        mark,
        state,
    }
}

fn first_title(tls: &TlsSummary) -> String {
    tls.causes.first().map_or_else(|| "Fails".to_owned(), |cause| cause.advice().title.to_owned())
}

fn domain(tls: &TlsSummary) -> String {
    tls.policy_domain.as_ref().map_or_else(|| "no domain given".to_owned(), |domain| Clean::new(domain).to_string())
}

/// The common name of a policy type.
fn kind(policy_type: Option<&Foreign>) -> String {
    match policy_type.map(Foreign::as_written) {
        Some("sts") => "MTA-STS".to_owned(),
        Some("tlsa") => "DANE".to_owned(),
        Some("no-policy-found") => "no policy".to_owned(),
        _ => policy_type.map_or_else(|| "policy not given".to_owned(), |other| Clean::new(other).to_string()),
    }
}

fn policy(tls: &TlsSummary) -> String {
    let kind = kind(tls.policy_type.as_ref());
    match tls.mode.as_ref() {
        Some(mode) if tls.policy_type.as_ref().is_some_and(|kind| kind.as_written() == "sts") => {
            format!("{kind}, {}", Clean::new(mode))
        }
        _ => kind,
    }
}

/// `a, b and c`, `a, b, c and 2 more`.
fn listed(names: &[String]) -> String {
    words::list_some(names.to_vec(), NAMED, "")
}

/// One cause for one policy type, over all domains that share the hosts.
struct SharedCause<'a> {
    cause: &'a TlsCause,
    of: Vec<(&'a TlsSummary, &'a TlsCause)>,
}

/// Causes, most failed sessions first.
fn causes<'a>(all: &[&'a TlsSummary]) -> Vec<SharedCause<'a>> {
    let mut shared: BTreeMap<_, SharedCause<'a>> = BTreeMap::new();
    for (tls, cause) in all.iter().flat_map(|tls| tls.causes.iter().map(move |cause| (*tls, cause))) {
        // A problem of the policy itself concerns one domain only.
        let own = cause.mx.is_empty() || cause.advice().result_type.starts_with("sts-");
        let key = (&tls.policy_type, &cause.result_type, &cause.mx, own.then_some(&tls.policy_domain));
        shared.entry(key).or_insert_with(|| SharedCause { cause, of: Vec::new() }).of.push((tls, cause));
    }
    let mut causes: Vec<SharedCause<'a>> = shared.into_values().collect();
    causes.sort_by_key(|cause| Reverse(cause.failed()));
    causes
}

impl SharedCause<'_> {
    fn failed(&self) -> u64 {
        self.of.iter().fold(0, |sum, (_, cause)| sum.saturating_add(cause.failed_sessions))
    }

    fn is_fault(&self) -> bool {
        self.of.iter().any(|(tls, cause)| tls.is_fault(cause))
    }

    fn line(&self, summary: &Summary) -> TlsCauseLine {
        let (advice, domains) = (self.cause.advice(), self.domains());
        let todo = match domains.as_slice() {
            [one] => advice.todo.replace("DOMAIN", one),
            _ => advice.todo.to_owned(),
        };
        TlsCauseLine {
            mark: if self.is_fault() { Mark::Fix } else { Mark::Calm },
            title: self.title(&advice, &domains),
            text: [advice.meaning, &todo, self.consequence()].join(" ").trim_end().to_owned(),
            facts: self.facts(summary, &domains),
        }
    }

    /// The domains, by name.
    fn domains(&self) -> Vec<String> {
        let mut domains: Vec<String> = self.of.iter().map(|(tls, _)| domain(tls)).collect();
        domains.sort();
        domains.dedup();
        domains
    }

    /// `Certificate expired at mx.example.com`.
    fn title(&self, advice: &TlsAdvice, domains: &[String]) -> String {
        let hosts = words::each_shown(&self.cause.mx);
        let named = match &self.cause.result_type {
            Some(name) if advice.result_type.is_empty() => format!("{} \"{}\"", advice.title, Clean::new(name)),
            _ => advice.title.to_owned(),
        };
        if hosts.is_empty() || advice.result_type.starts_with("sts-") {
            return format!("{named}: {}", listed(domains));
        }
        format!("{named} at {}", listed(&hosts))
    }

    /// The effect on mail.
    fn consequence(&self) -> &'static str {
        let modes: BTreeSet<&str> =
            self.of.iter().filter_map(|(tls, _)| Some(tls.mode.as_ref()?.as_written())).collect();
        match self.of[0].0.policy_type.as_ref().map(Foreign::as_written) {
            Some("sts") if modes.contains("enforce") => {
                "In mode enforce, senders do not deliver in such a session: they try again and finally return the mail."
            }
            Some("sts") if modes.contains("testing") => "In mode testing, senders deliver anyway.",
            Some("tlsa") => {
                "Senders that use DANE do not deliver in such a session: they try again and finally return the mail."
            }
            Some("no-policy-found") => "Without a policy, senders deliver anyway, unencrypted if necessary.",
            _ => "",
        }
    }

    fn facts(&self, summary: &Summary, domains: &[String]) -> String {
        let kind = kind(self.of[0].0.policy_type.as_ref());
        let all = self.of.iter().fold(0_u64, |sum, (tls, _)| sum.saturating_add(tls.sessions()));
        let failed = self.failed();
        // Reporters may count more failures than sessions that failed.
        let share = if failed <= all {
            format!(" of {}, {}", count(all), percent(Rate::of(failed, all)))
        } else {
            String::new()
        };
        let mut facts = vec![format!(
            "{}{share} ({}, {kind})",
            counted(failed, "failed session", "failed sessions"),
            listed(domains)
        )];
        facts.extend(self.since(summary));
        let reporters = self.of.iter().map(|(_, cause)| cause.reporters).max().unwrap_or(0);
        facts.push(format!("seen by {}", counted(reporters, "reporter", "reporters")));
        let reasons = words::each_shown(&self.cause.reasons);
        if !reasons.is_empty() {
            facts.push(format!("reason codes: {}", reasons.join(", ")));
        }
        let mut text = format!("{}.", facts.join("; "));
        if let Some(change) = self.of.iter().find_map(|(_, cause)| cause.explained_by.as_ref()) {
            text = format!("{text} {}", explained(change));
        }
        text
    }

    /// Since when, and whether it is new.
    fn since(&self, summary: &Summary) -> Option<String> {
        let first: Option<Date> = self.of.iter().filter_map(|(_, cause)| cause.first_seen).min();
        let before = self.of.iter().fold(0_u64, |sum, (_, cause)| sum.saturating_add(cause.failed_before));
        let first = words::weekday(first?);
        if self.of.iter().all(|(_, cause)| cause.new) {
            return Some(format!("new: since {first}"));
        }
        let period = if summary.period.week.is_some() { "week" } else { "period" };
        let known = self.of.iter().any(|(tls, _)| tls.before.is_some());
        let before = if known { format!(", {} the {period} before", count(before)) } else { String::new() };
        Some(format!("since {first}{before}"))
    }
}

/// The DNS change after which it began.
fn explained(change: &ExplainedBy) -> String {
    let what = match (change.record_type, change.change) {
        ("MTA-STS", _) => "the policy at".to_owned(),
        (kind, _) => format!("the {kind} record of"),
    };
    let became = match change.change {
        "added" => "appeared",
        "removed" => "left DNS",
        _ => "changed",
    };
    format!("It began after {what} {} {became} on {}.", Clean::new(&change.name), words::weekday(change.day))
}

/// The sentence for the top of the page; `None` if nothing failed.
pub(super) fn lead(summary: &Summary) -> Option<String> {
    let failing = |tls: &&TlsSummary| tls.is_failing();
    let mut all: Vec<&TlsSummary> = summary.tls.iter().filter(failing).collect();
    all.sort_by_key(|tls| Reverse(tls.failed_sessions));
    let worst = all.first()?;
    if all.iter().any(|tls| tls.policy_domain != worst.policy_domain) {
        return Some(format!("TLS fails for {}.", names(all.iter().map(|tls| domain(tls)).collect(), "domains")));
    }
    Some(format!(
        "Of {} to {} ({}), {} failed: {}.",
        counted(worst.sessions(), "TLS session", "TLS sessions"),
        domain(worst),
        kind(worst.policy_type.as_ref()),
        count(worst.failed_sessions),
        first_title(worst)
    ))
}

/// Causes that are new in the period.
pub(super) fn news(summary: &Summary) -> Vec<News> {
    let all: Vec<&TlsSummary> = summary.tls.iter().collect();
    let new = |cause: &SharedCause<'_>| cause.of.iter().all(|(_, cause)| cause.new) && cause.is_fault();
    let causes = causes(&all);
    let news = causes.iter().filter(|cause| new(cause)).take(NAMED).map(|cause| {
        let title = cause.title(&cause.cause.advice(), &cause.domains());
        let first = cause.of.iter().filter_map(|(_, cause)| cause.first_seen).min().map(words::weekday);
        let sessions = counted(cause.failed(), "session", "sessions");
        News::new(Mark::Fix, "TLS fails", format!("{title}: {sessions} since {}.", first.unwrap_or_default()))
    });
    news.collect()
}

/// A policy in a week, and the titles of its causes, for an archive.
pub(crate) fn told_of(tls: &TlsSummary) -> (TlsLine, Vec<String>) {
    let titles = causes(&[tls]).iter().map(|cause| cause.title(&cause.cause.advice(), &cause.domains())).collect();
    (line(tls), titles)
}
