//! A summary in one line, to show that dmarquet runs.

use crate::analyze::{Rate, Summary};
use crate::present::wording::numbers::{counted, percent};

/// The subject and the line if all is well.
pub fn heartbeat(summary: &Summary) -> (String, String) {
    let period = match (&summary.period.week, summary.period.from.zip(summary.period.to)) {
        (Some(week), _) => week.clone(),
        (None, Some((from, to))) if from == to => from.to_string(),
        (None, Some((from, to))) => format!("{from} to {to}"),
        (None, None) => String::new(),
    };
    let totals = &summary.totals;
    let line = format!(
        "All well, {period}: {} from {} about {}; {} of {} pass DMARC. dmarquet is running, and sends the full summary when there is something to do.",
        counted(totals.reports, "report", "reports"),
        counted(totals.reporters, "reporter", "reporters"),
        counted(summary.domains.len() as u64, "domain", "domains"),
        percent(Rate::of(totals.sums.dmarc_pass, totals.sums.messages)),
        counted(totals.sums.messages, "message", "messages"),
    );
    (format!("DMARC summary {period}: all well"), line)
}
