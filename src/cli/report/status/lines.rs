//! Lines and JSON shared by the status of the whole store and of a part of it.

use crate::cli::wiring::ingest_run::{count, grouped, sums};
use crate::cli::wiring::period::Stretch;
use crate::store::{ReportTotals, Status};
use jiff::Timestamp;
use jiff::tz::Offset;
use serde::Serialize;
use std::fmt::Write as _;

/// Maximum number of reporters in the text; JSON has all.
const NAMED: usize = 15;

/// The kinds of reports that may be too old.
pub(super) const REPORT: &str = "report";
pub(super) const DMARC_REPORT: &str = "DMARC report";
pub(super) const TLS_REPORT: &str = "TLS report";

/// The message about something whose newest report of a kind (`DMARC report`) is too old; `None` if it is not.
pub(super) fn late(
    age: Stretch,
    now: Timestamp,
    (what, kind): (&str, &str),
    newest: Option<Timestamp>,
) -> Option<String> {
    let last = newest
        .map_or_else(|| "there has never been one".to_owned(), |newest| format!("the last one on {}", minute(newest)));
    let is_late = newest < Some(age.before_instant(now));
    is_late.then(|| format!("{what}: no {kind} in the last {age}; {last}"))
}

/// The same about the store or a part of it, by [`Status::newest_awaited`].
pub(super) fn late_in(age: Stretch, now: Timestamp, what: &str, status: &Status) -> Option<String> {
    let kind = match (status.newest_arrival, status.newest_tls_arrival) {
        (Some(_), _) => DMARC_REPORT,
        (None, Some(_)) => TLS_REPORT,
        (None, None) => REPORT,
    };
    late(age, now, (what, kind), status.newest_awaited())
}

/// A minute in UTC.
pub(super) fn minute(at: Timestamp) -> String {
    Offset::UTC.to_datetime(at).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A time, and how long ago that was; `never` without one.
pub(super) fn when(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or_else(|| "never".to_owned(), |at| format!("{}, {}", minute(at), ago(at, now)))
}

/// How long ago, roughly.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let minutes = now.duration_since(at).as_mins().max(0).unsigned_abs();
    match minutes {
        0 => "just now".to_owned(),
        1..120 => format!("{} ago", count(minutes, "minute")),
        120..2880 => format!("{} ago", count(minutes / 60, "hour")),
        _ => format!("{} ago", count(minutes / 1440, "day")),
    }
}

/// Reports, months and the newest report.
pub(super) fn totals_text(status: &Status, now: Timestamp, out: &mut String) {
    let amount = |number: i64| number.max(0).unsigned_abs();
    let totals = &status.totals;
    // Writing to a `String` cannot fail.
    let _ = writeln!(
        out,
        "reports    {} ({})",
        grouped(amount(totals.reports)),
        sums(amount(totals.records), amount(totals.messages), amount(totals.dmarc_pass))
    );
    if let (Some((first, _)), Some((last, _))) = (status.months.first(), status.months.last()) {
        let _ = writeln!(out, "months     {first} to {last}");
    }
    let _ = writeln!(out, "newest     {}", when(status.newest_arrival, now));
    tls_text(status, now, out);
}

/// The TLS reports; nothing without any.
fn tls_text(status: &Status, now: Timestamp, out: &mut String) {
    if let Some(newest) = status.newest_tls_arrival {
        let reports = count(status.tls_reports.unsigned_abs(), "report");
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "TLS        {reports}, the newest {}, {}", minute(newest), ago(newest, now));
    }
}

/// The reporters, the most recent first.
pub(super) fn reporters_text(status: &Status, out: &mut String) {
    if !status.reporters.is_empty() {
        out.push_str("\nREPORTERS, the most recent first\n");
    }
    let mut reporters: Vec<_> = status.reporters.iter().collect();
    reporters.sort_by(|a, b| (b.newest_end, &a.org_name).cmp(&(a.newest_end, &b.org_name)));
    for reporter in reporters.iter().take(NAMED) {
        let _ = writeln!(
            out,
            "{}: {}, the latest until {}",
            reporter.org_name,
            count(reporter.reports.unsigned_abs(), "report"),
            minute(reporter.newest_end)
        );
    }
    if let Some(more) = reporters.len().checked_sub(NAMED).filter(|more| *more > 0) {
        let _ = writeln!(out, "... and {more} more; --format json lists all");
    }
}

/// All reports, and when the newest arrived.
#[derive(Debug, Serialize)]
pub(super) struct TotalSums {
    #[serde(flatten)]
    totals: ReportTotals,
    newest_arrival: Option<Timestamp>,
    tls_reports: i64,
    newest_tls_arrival: Option<Timestamp>,
}

impl TotalSums {
    pub(super) fn of(status: &Status) -> Self {
        let &Status { totals, newest_arrival, tls_reports, newest_tls_arrival, .. } = status;
        Self { totals, newest_arrival, tls_reports, newest_tls_arrival }
    }
}

/// The sums of a month.
#[derive(Debug, Serialize)]
pub(super) struct MonthSums {
    month: String,
    #[serde(flatten)]
    sums: ReportTotals,
}

impl MonthSums {
    /// By month, oldest first.
    pub(super) fn of(status: &Status) -> Vec<Self> {
        status.months.iter().map(|(month, sums)| Self { month: month.to_string(), sums: *sums }).collect()
    }
}
