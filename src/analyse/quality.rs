//! What the numbers cannot be trusted for.

use super::{
    Adder,
    period::today,
    summary::{LongReport, Quality},
};
use crate::model::{Mismatch, Text};

/// The data quality of the period asked for.
pub(crate) fn quality(adder: &Adder) -> Quality {
    let mut quality = Quality {
        unreadable: adder.question.aside.unreadable,
        conflicts: adder.question.aside.conflicts,
        long_reports: long_reports(adder),
        ..Quality::default()
    };
    for reports in adder.heads.unproven.values() {
        quality.unproven_reports += reports.number;
        quality.unproven_messages = quality.unproven_messages.saturating_add(reports.messages);
    }
    for ((_, pattern), fact) in &adder.facts {
        let pattern = adder.patterns.get(*pattern);
        if pattern.window != adder.scope.asked {
            continue;
        }
        let sum = match adder.texts.text(pattern.mismatch).map(Text::as_str) {
            Some(word) if word == Mismatch::NotEvaluated.as_str() => &mut quality.not_evaluated,
            Some(word) if word == Mismatch::PassWithoutEvidence.as_str() => &mut quality.pass_without_evidence,
            Some(word) if word == Mismatch::FailButAligned.as_str() => &mut quality.fail_but_aligned,
            _ => continue,
        };
        *sum = sum.saturating_add(fact.messages);
    }
    quality
}

/// Reports over two days long, by domain, reporter and id.
fn long_reports(adder: &Adder) -> Vec<LongReport> {
    let long = adder.heads.long.iter().map(|(domain, report)| LongReport {
        org_name: report.reporter.clone().into(),
        report_id: report.report_id.clone().into(),
        policy_domain: domain.clone().into(),
        from: today(report.begin),
        to: today(report.end),
        messages: report.messages,
    });
    long.collect()
}
