//! Where messages come from and what receivers do with them: a bar for the period, and columns for the last ones.

use super::chart::{BarPart, ShareLine, Stack, StackedColumns, part_bar, share_line, stacked};
use super::tiles::label;
use crate::analyze::{FailingBy, Point, Rate, Summary};
use crate::present::wording::numbers::{count, percent};
use crate::present::wording::words;
use serde::Serialize;

/// The period's messages by what they are.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ResultBar {
    pub(crate) caption: String,
    pub(crate) description: String,
    pub(crate) bar: Vec<BarPart>,
    pub(crate) legend: Vec<LegendEntry>,
}

/// The meaning of a color, and its number of messages.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LegendEntry {
    pub(crate) class: &'static str,
    pub(crate) number: String,
    pub(crate) text: &'static str,
}

/// The last periods: messages by result, and pass rates.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ResultColumns {
    /// `weeks` or `periods`.
    pub(crate) unit: &'static str,
    pub(crate) volumes: StackedColumns,
    pub(crate) volumes_described: String,
    pub(crate) rates: Option<ShareLine>,
    pub(crate) rates_described: String,
    /// The policies over time, as runs of equal policies.
    pub(crate) policies: Vec<PolicyRun>,
    pub(crate) policies_described: String,
}

/// Consecutive periods with the same policy, aligned with the columns above.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PolicyRun {
    pub(crate) policy: String,
    /// Its start and length in percent of the width.
    pub(crate) start: String,
    pub(crate) length: String,
}

const PASS: &str = "c-pass";
const YOURS: &str = "c-fix";
const FORWARDED: &str = "c-forward";
const UNCLEAR: &str = "c-unclear";
const BLOCKED: &str = "c-other";
const SPOOFED: &str = "c-spoof";

/// The bar of a period with messages.
pub(super) fn bar(summary: &Summary) -> Option<ResultBar> {
    let sums = &summary.totals.sums;
    if sums.messages == 0 {
        return None;
    }
    let by = summary.trend.last().and_then(|point| point.failing).unwrap_or_default();
    let spoofing = &summary.spoofing;
    let spoofed = spoofing.messages.min(sums.failing());
    let blocked = spoofing.blocked.min(spoofed);
    let yours = by.yours.min(sums.failing() - spoofed);
    let forwarded = by.forwarded.min(sums.failing() - spoofed - yours);
    let parts = [
        (PASS, sums.dmarc_pass, "pass"),
        (YOURS, yours, "fail, from your senders"),
        (FORWARDED, forwarded, "fail, from forwarders and mailing lists"),
        (UNCLEAR, sums.failing() - spoofed - yours - forwarded, "fail, unclear"),
        (BLOCKED, blocked, "probably spoofed, blocked"),
        (SPOOFED, spoofed - blocked, "probably spoofed, not blocked"),
    ];
    let there: Vec<&(&str, u64, &str)> = parts.iter().filter(|(_, number, _)| *number > 0).collect();
    let described: Vec<String> = there.iter().map(|(_, number, text)| format!("{} {text}", count(*number))).collect();
    let caption = match sums.failing() {
        0 => format!("All {} pass DMARC.", words::messages(sums.messages)),
        1 => format!("Where {} come from. 1 fails DMARC.", words::messages(sums.messages)),
        failing => format!("Where {} come from. {} fail DMARC.", words::messages(sums.messages), count(failing)),
    };
    Some(ResultBar {
        caption,
        description: format!("{}: {}.", words::messages(sums.messages), described.join(", ")),
        bar: part_bar(&parts.map(|(class, number, _)| (class, number))),
        legend: there
            .into_iter()
            .map(|(class, number, text)| LegendEntry { class, number: count(*number), text })
            .collect(),
    })
}

/// The columns of a series, with the policies below if it is one domain. `None` if there is nothing to compare.
pub(crate) fn columns(trend: &[Point], policies: bool) -> Option<ResultColumns> {
    let rate = |point: &Point| Rate::of(point.dmarc_pass, point.messages);
    let title = |point: &Point| match rate(point) {
        None => format!("{}: no messages", label(point)),
        rate => format!("{}: {}, {} pass", label(point), words::messages(point.messages), percent(rate)),
    };
    let stacks: Vec<Stack> = trend.iter().map(|point| Stack { label: label(point), parts: parts(point) }).collect();
    let volumes = stacked(&stacks, count)?;
    let shares: Vec<(String, Option<f64>)> =
        trend.iter().map(|point| (label(point), rate(point).map(Rate::share))).collect();
    let described: Vec<String> = trend.iter().map(described).collect();
    let policies = if policies { runs(trend) } else { Vec::new() };
    let told: Vec<String> =
        trend.iter().map(|point| format!("{} {}", label(point), words::policy(point.policy.as_ref()))).collect();
    let weeks = trend.iter().all(|point| point.week.is_some());
    Some(ResultColumns {
        unit: if weeks { "weeks" } else { "periods" },
        volumes,
        volumes_described: format!("Messages by result. {}.", described.join("; ")),
        rates: share_line(&shares),
        rates_described: format!("Pass rate. {}.", trend.iter().map(title).collect::<Vec<_>>().join("; ")),
        policies_described: format!("Policy by period: {}.", told.join(", ")),
        policies,
    })
}

fn parts(point: &Point) -> Vec<(&'static str, u64)> {
    let failing = point.messages - point.dmarc_pass;
    let by = point.failing.unwrap_or(FailingBy { unclear: failing, ..FailingBy::default() });
    vec![
        (PASS, point.dmarc_pass),
        (YOURS, by.yours),
        (FORWARDED, by.forwarded),
        (UNCLEAR, by.unclear),
        (SPOOFED, by.spoofed),
    ]
}

fn described(point: &Point) -> String {
    let names = ["pass", "from your senders fail", "forwarded fail", "unclear fail", "spoofed"];
    let parts = parts(point);
    let told: Vec<String> = parts
        .iter()
        .zip(names)
        .filter(|((_, number), _)| *number > 0)
        .map(|((_, number), name)| format!("{} {name}", count(*number)))
        .collect();
    if told.is_empty() { format!("{}: none", label(point)) } else { format!("{}: {}", label(point), told.join(", ")) }
}

/// The policies of a series in runs; empty if not in any report.
fn runs(trend: &[Point]) -> Vec<PolicyRun> {
    if trend.iter().all(|point| point.policy.is_none()) {
        return Vec::new();
    }
    let mut runs: Vec<(String, usize, usize)> = Vec::new();
    for (at, point) in trend.iter().enumerate() {
        let policy = words::policy(point.policy.as_ref());
        match runs.last_mut() {
            Some((known, _, length)) if *known == policy => *length += 1,
            _ => runs.push((policy, at, 1)),
        }
    }
    let percent = |part: usize| {
        let hundredths = part * 10_000 / trend.len();
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    };
    let run = |(policy, start, length)| PolicyRun { policy, start: percent(start), length: percent(length) };
    runs.into_iter().map(run).collect()
}
