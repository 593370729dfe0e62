//! Reporters by day of the week, and how much of the mail they saw passes.

use super::shared::share;
use crate::analyze::{Rate, ReportSums, ReporterDays, Summary};
use crate::present::wording::clean::Clean;
use crate::present::wording::numbers::{count, counted, percent};
use crate::present::wording::words;
use jiff::ToSpan as _;
use serde::Serialize;

/// One row per reporter, one cell per day.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReporterStrip {
    /// The days: abbreviated and in full.
    pub(crate) days: Vec<(String, String)>,
    pub(crate) rows: Vec<ReporterRow>,
}

/// A reporter.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReporterRow {
    pub(crate) name: String,
    pub(crate) messages: String,
    pub(crate) cells: Vec<ReporterCell>,
}

/// The reports of a day.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct ReporterCell {
    /// Messages; empty without a report.
    pub(crate) messages: String,
    pub(crate) pass: String,
    /// How much fails: 0 for nothing, 1 up to a twentieth, 2 up to a fifth, 3 up to a half, 4 for more.
    pub(crate) heat: u8,
    /// In words.
    pub(crate) title: String,
}

/// The strip; `None` without reports, or if the period is longer than a week.
pub(super) fn strip(summary: &Summary) -> Option<ReporterStrip> {
    let from = summary.period.from?;
    let days = summary.reporting.first()?.days.len();
    let day = |at: usize| from.saturating_add(i64::try_from(at).unwrap_or(0).days());
    let days: Vec<(String, String)> = (0..days)
        .map(|at| {
            let whole = words::weekday(day(at));
            (whole.split(',').next().unwrap_or_default().to_owned(), whole)
        })
        .collect();
    let rows = summary.reporting.iter().map(|reporter| row(reporter, &days)).collect();
    Some(ReporterStrip { days, rows })
}

fn row(reporter: &ReporterDays, days: &[(String, String)]) -> ReporterRow {
    let name = match &reporter.org_name {
        Some(name) => Clean::new(name).to_string(),
        None => counted(reporter.reporters, "other", "others"),
    };
    let cells = reporter.days.iter().zip(days).map(|(day, (_, whole))| cell(day, whole)).collect();
    ReporterRow { name, messages: count(reporter.messages), cells }
}

fn cell(day: &ReportSums, whole: &str) -> ReporterCell {
    if day.reports == 0 {
        return ReporterCell { title: format!("{whole}: no report"), ..ReporterCell::default() };
    }
    let failing = day.messages - day.dmarc_pass.min(day.messages);
    let one_in = |many: u64| failing.saturating_mul(many) <= day.messages;
    let heat = match failing {
        0 => 0,
        _ if one_in(20) => 1,
        _ if one_in(5) => 2,
        _ if one_in(2) => 3,
        _ => 4,
    };
    ReporterCell {
        messages: count(day.messages),
        pass: share(day.dmarc_pass, day.messages),
        heat,
        title: format!(
            "{whole}: {}, {}, {} pass",
            counted(day.reports, "report", "reports"),
            words::messages(day.messages),
            percent(Rate::of(day.dmarc_pass, day.messages))
        ),
    }
}
