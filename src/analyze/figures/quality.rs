//! The data quality: limits on what the numbers can say.

use super::reporters::{Attendance, MissingDays, ReporterSilence};
use crate::analyze::foreign::Foreign;
use crate::analyze::period::{date, number};
use crate::analyze::question::Contradicted;
use crate::analyze::senders::{View, Weights};
use crate::model::{FindingCode, Mismatch, Text, utc_day};

use jiff::civil::Date;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The data quality of the period asked for.
pub(crate) fn quality(
    view: &View<'_>,
    weights: &Weights,
    attendance: &Attendance,
    silence: &ReporterSilence,
) -> Quality {
    let (question, heads) = (&view.added.question, &view.added.common.heads);
    let last = question.period.map(|period| number(period.to()));
    let ends_after = |days: i32| last.zip(question.today).is_some_and(|(last, today)| last >= number(today) - days);
    let mut quality = Quality {
        unreadable: question.aside.unreadable,
        conflicts: question.aside.conflicts,
        conflicting: question.aside.conflicting.clone(),
        long_reports: long_reports(view),
        more_long_reports: heads.more_long,
        missing_days: attendance.missing_days(&silence.reporters),
        empty_days: attendance.empty_days(),
        unreported_domains: unreported_domains(view, silence),
        unfinished: ends_after(0),
        reports_may_come: ends_after(1),
        first_day: attendance.first_day().map(date),
        findings: heads.findings.iter().map(|(code, reports)| (code.clone().into(), *reports)).collect(),
        foreign_reports: heads.findings.get(FindingCode::DOMAIN_FOREIGN.as_str()).copied().unwrap_or(0),
        unproven_left_out: question.authentic,
        unlisted_source_messages: view.added.common.untold,
        lone_reporters: lone_reporters(view, weights),
        repeated_reports: repeated_reports(view, weights),
        ..Quality::default()
    };
    for reports in heads.unproven.values() {
        quality.unproven_reports += reports.reports;
        quality.unproven_messages = quality.unproven_messages.saturating_add(reports.messages);
    }
    for (row, of) in view.current() {
        let sum = match view.word(row.pattern.mismatch) {
            word if word == Mismatch::NotEvaluated.as_str() => &mut quality.not_evaluated,
            word if word == Mismatch::PassWithoutEvidence.as_str() => &mut quality.pass_without_evidence,
            word if word == Mismatch::FailButAligned.as_str() => &mut quality.fail_but_aligned,
            _ => continue,
        };
        *sum = sum.saturating_add(of.messages);
    }
    quality
}

/// Reporters of the period that see mail fail that passes for all others, by name.
fn lone_reporters(view: &View<'_>, weights: &Weights) -> Vec<LoneReporter> {
    let current = |window: u8| window == view.added.scope.current;
    let lone = weights.lone.iter().filter(|((.., window), _)| current(*window));
    let mut lone: Vec<LoneReporter> = lone
        .filter_map(|((domain, reporter, _), (passing, failing))| {
            Some(LoneReporter {
                org_name: view.reporter(*reporter)?,
                policy_domain: view.foreign(*domain),
                failing: failing.0,
                passing: passing.0,
            })
        })
        .collect();
    lone.sort_by(|a, b| (&a.org_name, &a.policy_domain).cmp(&(&b.org_name, &b.policy_domain)));
    lone
}

/// Reports of the period that arrived more than once, by reporter and domain.
fn repeated_reports(view: &View<'_>, weights: &Weights) -> Vec<RepeatedReports> {
    let mut repeated: BTreeMap<(Foreign, Foreign), RepeatedReports> = BTreeMap::new();
    for (key, copies) in weights.copies.iter().filter(|((.., day), _)| view.is_current(*day)) {
        let (domain, reporter, day) = *key;
        let (Some(org_name), policy_domain) = (view.reporter(reporter), view.foreign(domain)) else { continue };
        let messages = view.added.common.heads.reports.get(key).map_or(0, |reports| reports.all.messages);
        let entry = repeated.entry((org_name.clone(), policy_domain.clone())).or_insert_with(|| RepeatedReports {
            org_name,
            policy_domain,
            reports: 0,
            messages: 0,
            days: Vec::new(),
        });
        entry.reports += copies - 1;
        entry.messages = entry.messages.saturating_add(messages / copies * (copies - 1));
        entry.days.push(date(day));
    }
    for repeated in repeated.values_mut() {
        repeated.days.sort_unstable();
    }
    repeated.into_values().collect()
}

/// The user's domains without a report in the period, by name, except those whose reports stopped.
fn unreported_domains(view: &View<'_>, silence: &ReporterSilence) -> Vec<Foreign> {
    let reported: BTreeSet<&str> = (view.added.common.heads.reports.keys())
        .filter(|(_, _, day)| view.is_current(*day))
        .map(|(domain, ..)| view.word(*domain))
        .collect();
    let question = &view.added.question;
    let own: BTreeSet<&Text> = question.own.iter().collect();
    own.into_iter()
        .filter(|domain| question.domains.is_empty() || question.domains.contains(domain))
        .filter(|domain| !reported.contains(domain.as_str()))
        .map(|domain| Foreign::from(domain.clone()))
        .filter(|domain| !silence.domains.iter().any(|silent| silent.policy_domain == *domain))
        .collect()
}

/// Reports over two days long, by domain, reporter and ID.
fn long_reports(view: &View<'_>) -> Vec<LongReport> {
    let long = view.added.common.heads.long.iter().map(|(domain, report)| LongReport {
        org_name: report.reporter.clone().into(),
        report_id: report.report_id.clone().into(),
        policy_domain: domain.clone().into(),
        from: utc_day(report.begin),
        to: utc_day(report.end),
        messages: report.messages,
    });
    long.collect()
}

/// The data quality: limits on what the numbers can say.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Quality {
    /// TLS reports that count for nothing: their mail was not the reporter's, or not signed.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_left_out_reports: u64,
    /// TLS reports whose mail was not verified; they count.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_unverified_reports: u64,
    /// Items that should have been a report and could not be read.
    pub unreadable: u64,
    /// Reports that arrived again with different content: the authentic one counts, else the more complete, else the
    /// first.
    pub conflicts: u64,
    /// The first of those, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicting: Vec<Contradicted>,
    /// Reports over two days long, by domain, reporter and ID: at most a thousand.
    pub long_reports: Vec<LongReport>,
    /// How many more there are.
    pub more_long_reports: u64,
    /// Messages of rows without a usable evaluation by the reporter: alignment is recomputed.
    pub not_evaluated: u64,
    /// Messages that the reporter passed although its own results show no reason.
    pub pass_without_evidence: u64,
    /// Messages that the reporter failed although its own results pass and align.
    pub fail_but_aligned: u64,
    /// Reports whose mail was a proven forgery.
    pub unproven_reports: u64,
    /// The messages in them.
    pub unproven_messages: u64,
    /// They are left out of every other number.
    pub unproven_left_out: bool,
    /// Messages of addresses beyond the first 800,000, of which none is told apart: they count as the unknown source.
    #[serde(skip_serializing_if = "is_zero")]
    pub unlisted_source_messages: u64,
    /// Reports about domains that were not the user's according to the settings at the time.
    pub foreign_reports: u64,
    /// Days of the period on which a receiver that matters did not report.
    pub missing_days: Vec<MissingDays>,
    /// Days of the period without a report.
    pub empty_days: Vec<Date>,
    /// The user's domains without a report in the period, except silent ones.
    pub unreported_domains: Vec<Foreign>,
    /// The period is not over yet.
    pub unfinished: bool,
    /// Reports about its last days may still arrive.
    pub reports_may_come: bool,
    /// The first day with a report: earlier history is missing, not empty.
    pub first_day: Option<Date>,
    /// Reporters that see most of the mail fail that others see pass: no verdict counts what they see.
    pub lone_reporters: Vec<LoneReporter>,
    /// Reporters that sent the same rows again under another report ID: verdicts count them once.
    pub repeated_reports: Vec<RepeatedReports>,
    /// Reports by the codes of what was odd about them.
    pub findings: BTreeMap<Foreign, u64>,
}

/// A reporter that sees mail fail that passes for all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoneReporter {
    /// Its name.
    pub org_name: Foreign,
    /// The domain.
    pub policy_domain: Foreign,
    /// Messages that others see pass and it sees fail.
    pub failing: u64,
    /// Messages that others see pass and it sees pass too.
    pub passing: u64,
}

/// Reports that arrived more than once under different IDs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepeatedReports {
    /// Who sent them.
    pub org_name: Foreign,
    /// The domain.
    pub policy_domain: Foreign,
    /// How many copies.
    pub reports: u64,
    /// Messages in the copies.
    pub messages: u64,
    /// The days they are about.
    pub days: Vec<Date>,
}

/// A report that covers more than two days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LongReport {
    /// Who sent it.
    pub org_name: Foreign,
    /// Its id.
    pub report_id: Foreign,
    /// The domain.
    pub policy_domain: Foreign,
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Date,
    /// Its messages, all counted on the day of the midpoint.
    pub messages: u64,
}
