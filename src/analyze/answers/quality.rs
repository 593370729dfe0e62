//! What the numbers cannot be trusted for.

use super::reporters::{Attendance, Silence};
use super::summary::{LoneReporter, LongReport, Quality, RepeatedReports};
use crate::analyze::foreign::Foreign;
use crate::analyze::period::{date, number, today};
use crate::analyze::senders::{View, Weights};
use crate::model::{Code, Mismatch, Text};
use std::collections::{BTreeMap, BTreeSet};

/// The data quality of the period asked for.
pub(crate) fn quality(view: &View<'_>, weights: &Weights, attendance: &Attendance, silence: &Silence) -> Quality {
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
        foreign_reports: heads.findings.get(Code::DOMAIN_FOREIGN.as_str()).copied().unwrap_or(0),
        unproven_left_out: question.authentic,
        lone_reporters: lone_reporters(view, weights),
        repeated_reports: repeated_reports(view, weights),
        ..Quality::default()
    };
    for reports in heads.unproven.values() {
        quality.unproven_reports += reports.number;
        quality.unproven_messages = quality.unproven_messages.saturating_add(reports.messages);
    }
    for (row, of) in view.asked() {
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

/// Reporters of the period that see what nobody else sees, by name.
fn lone_reporters(view: &View<'_>, weights: &Weights) -> Vec<LoneReporter> {
    let asked = |window: u8| window == view.added.scope.asked;
    let lone = weights.lone.iter().filter(|((.., window), _)| asked(*window));
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

/// Reports of the period that came more than once, by reporter and domain.
fn repeated_reports(view: &View<'_>, weights: &Weights) -> Vec<RepeatedReports> {
    let mut repeated: BTreeMap<(Foreign, Foreign), RepeatedReports> = BTreeMap::new();
    for (key, copies) in weights.copies.iter().filter(|((.., day), _)| view.is_asked(*day)) {
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

/// The reader's domains without a report in the period, by name. Those that fell silent are told elsewhere.
fn unreported_domains(view: &View<'_>, silence: &Silence) -> Vec<Foreign> {
    let reported: BTreeSet<&str> = (view.added.common.heads.reports.keys())
        .filter(|(_, _, day)| view.is_asked(*day))
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

/// Reports over two days long, by domain, reporter and id.
fn long_reports(view: &View<'_>) -> Vec<LongReport> {
    let long = view.added.common.heads.long.iter().map(|(domain, report)| LongReport {
        org_name: report.reporter.clone().into(),
        report_id: report.report_id.clone().into(),
        policy_domain: domain.clone().into(),
        from: today(report.begin),
        to: today(report.end),
        messages: report.messages,
    });
    long.collect()
}
