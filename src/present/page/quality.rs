//! Limitations of the numbers, one per line.

use super::shared::NAMED;
use crate::analyze::{Contradicted, Quality, RepeatedReports, Summary};
use crate::present::wording::clean::Clean;
use crate::present::wording::numbers::{count, counted};
use crate::present::wording::words;

/// One line per limitation.
pub(super) fn quality(summary: &Summary) -> Vec<String> {
    let quality = &summary.quality;
    let mut lines = Vec::new();
    let mut push = |number: u64, line: String| {
        if number > 0 {
            lines.push(line);
        }
    };
    push(u64::from(quality.unfinished), "The period is not over; all numbers will grow.".to_owned());
    push(
        u64::from(quality.reports_may_come && !quality.unfinished),
        "Reports about the last days may still arrive.".to_owned(),
    );
    let empty = &quality.empty_days;
    push(empty.len() as u64, format!("No reports at all about {}.", words::days(empty)));
    for missing in quality.missing_days.iter().take(NAMED) {
        let days = words::days(&missing.days);
        push(1, format!("No report from {} about {days}.", Clean::new(&missing.org_name)));
    }
    let unreported = words::each_shown(quality.unreported_domains.iter().take(NAMED));
    let more = quality.unreported_domains.len().saturating_sub(NAMED) as u64;
    let more = if more > 0 { format!(" and {} more", count(more)) } else { String::new() };
    push(
        unreported.len() as u64,
        format!("No report about {}{more}, which the settings name as yours.", unreported.join(", ")),
    );
    push(quality.unreadable, format!("{} could not be read.", counted(quality.unreadable, "item", "items")));
    push(
        quality.conflicts,
        format!(
            "{} arrived again with different content{}. The authentic one counts, else the fuller, else the first; \
             dmarquet rejected list --conflicts shows the others.",
            counted(quality.conflicts, "report", "reports"),
            contradicted(quality)
        ),
    );
    for long in quality.long_reports.iter().take(3) {
        push(
            1,
            format!(
                "A report from {} covers {} to {}; its {} count for the day in the middle.",
                Clean::new(&long.org_name),
                long.from,
                long.to,
                words::messages(long.messages)
            ),
        );
    }
    let more = (quality.long_reports.len().saturating_sub(3) as u64).saturating_add(quality.more_long_reports);
    push(more, format!("{} over two days long.", counted(more, "more report is", "more reports are")));
    push(
        quality.unproven_reports,
        format!(
            "{} came by forged mail, with {}: {}.",
            counted(quality.unproven_reports, "report", "reports"),
            words::messages(quality.unproven_messages),
            if quality.unproven_left_out { "left out of all other numbers" } else { "counted anyway" }
        ),
    );
    push(
        quality.unlisted_source_messages,
        format!(
            "{} came from more addresses than are told apart; they count as one unknown source.",
            words::messages(quality.unlisted_source_messages)
        ),
    );
    push(
        quality.foreign_reports,
        format!(
            "{} about domains that the settings do not name as yours.",
            counted(quality.foreign_reports, "report is", "reports are")
        ),
    );
    push(
        quality.not_evaluated,
        format!(
            "{} came without the reporter's verdict; alignment was computed from the raw results.",
            words::messages(quality.not_evaluated)
        ),
    );
    push(
        quality.pass_without_evidence,
        format!(
            "{} pass according to the reporter, but its own results do not show why.",
            words::messages(quality.pass_without_evidence)
        ),
    );
    push(
        quality.fail_but_aligned,
        format!(
            "{} fail according to the reporter, but its own results pass and align.",
            words::messages(quality.fail_but_aligned)
        ),
    );
    let lone: Vec<_> = quality.lone_reporters.chunk_by(|a, b| a.org_name == b.org_name).collect();
    for same in lone.iter().take(NAMED) {
        let failing = same.iter().fold(0_u64, |sum, lone| sum.saturating_add(lone.failing));
        push(
            1,
            format!(
                "{} sees mail of {} fail that passes at the other receivers ({}). Verdicts ignore its reports of this \
                 period about {}.",
                Clean::new(&same[0].org_name),
                words::list_some(words::each_shown(same.iter().map(|lone| &lone.policy_domain)), NAMED, ""),
                words::messages(failing),
                if same.len() == 1 { "this domain" } else { "these domains" }
            ),
        );
    }
    let more = lone.len().saturating_sub(NAMED) as u64;
    let more_see = counted(more, "more receiver sees", "more receivers see");
    push(more, format!("{more_see} mail fail that passes at the others; verdicts ignore those reports too."));
    let repeated: Vec<_> = quality.repeated_reports.chunk_by(|a, b| a.org_name == b.org_name).collect();
    for same in repeated.iter().take(NAMED) {
        let sum = |of: fn(&RepeatedReports) -> u64| same.iter().map(of).fold(0_u64, u64::saturating_add);
        push(
            1,
            format!(
                "{} sent {} about {} again under another ID ({}): verdicts count the same rows once.",
                Clean::new(&same[0].org_name),
                counted(sum(|again| again.reports), "report", "reports"),
                words::list_some(words::each_shown(same.iter().map(|again| &again.policy_domain)), NAMED, ""),
                words::messages(sum(|again| again.messages))
            ),
        );
    }
    let more = repeated.len().saturating_sub(NAMED) as u64;
    push(more, format!("{} reports again.", counted(more, "more reporter sent", "more reporters sent")));
    if lines.is_empty() {
        lines.push("No problems found.".to_owned());
    }
    if let Some(first) = quality.first_day {
        lines.push(format!(
            "The oldest report read for this summary is about {}, {}.",
            words::month_day(first),
            first.year()
        ));
    }
    lines
}

/// Reports in conflict; the first few are named.
fn contradicted(quality: &Quality) -> String {
    let name = |report: &Contradicted| {
        let (id, from) = (Clean::new(&report.report_id), Clean::new(&report.org_name));
        format!("{id} from {from} about {}", Clean::new(&report.policy_domain))
    };
    let names: Vec<String> = quality.conflicting.iter().take(NAMED).map(name).collect();
    if names.is_empty() {
        return String::new();
    }
    match quality.conflicts.saturating_sub(names.len() as u64) {
        0 => format!(" ({})", names.join("; ")),
        more => format!(" ({} and {} more)", names.join("; "), count(more)),
    }
}
