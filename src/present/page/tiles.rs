//! The state in five numbers, each with its meaning, compared with the median of earlier periods.

use super::chart::{Sparkline, count_sparkline, share_sparkline};
use super::shared::Mark;
use crate::analyze::{Action, Change, Comparison, DomainSummary, Point, Rate, ReadinessVerdict, Sender, Summary};
use crate::present::wording::clean::Clean;
use crate::present::wording::numbers::{count, counted, percent};
use crate::present::wording::words;
use serde::Serialize;

/// A number, or a few words, and its meaning.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Tile {
    pub(crate) label: &'static str,
    pub(crate) number: String,
    /// Whether it is words rather than a number.
    pub(crate) wordy: bool,
    pub(crate) mark: Mark,
    /// The meaning of the mark; may be empty.
    pub(crate) state: String,
    pub(crate) note: String,
    pub(crate) chart: Option<Sparkline>,
}

/// The five of a period with messages.
pub(super) fn tiles(summary: &Summary) -> Vec<Tile> {
    vec![pass_rate(summary), spoofed(summary), senders(summary), messages(summary), next_step(summary)]
}

fn weeks(summary: &Summary) -> bool {
    summary.period.week.is_some()
}

/// `4-week median 31`, if there is one.
fn usual(summary: &Summary, of: impl Fn(&Comparison) -> u64) -> Option<String> {
    let comparison = summary.comparison.as_ref()?;
    Some(format!("{} {}", words::median_of(comparison, weeks(summary)), count(of(comparison))))
}

/// Describes a series: `W46 31, W47 4,268`.
fn series(trend: &[Point], figure: impl Fn(&Point) -> String) -> String {
    trend.iter().map(|point| format!("{} {}", label(point), figure(point))).collect::<Vec<_>>().join(", ")
}

/// The short name of a period: `W47`, or its first day.
pub(super) fn label(point: &Point) -> String {
    match &point.week {
        Some(week) => week.rsplit('-').next().unwrap_or_default().to_owned(),
        None => words::month_day(point.from),
    }
}

/// The pass rates of a series; see [`share_sparkline`].
pub(super) fn pass_rates(trend: &[Point], median: Option<f64>, whole: bool) -> Option<Sparkline> {
    let rate = |point: &Point| Rate::of(point.dmarc_pass, point.messages);
    let shares: Vec<Option<f64>> = trend.iter().map(|point| rate(point).map(Rate::share)).collect();
    let described = series(trend, |point| percent(rate(point)));
    share_sparkline(&shares, median, whole, format!("Pass rate by period: {described}."))
}

fn pass_rate(summary: &Summary) -> Tile {
    let rate = summary.totals.sums.pass_rate();
    let usual = summary.comparison.as_ref().map(|comparison| comparison.pass_rate_usual);
    let chart = pass_rates(&summary.trend, usual, false);
    let (mark, state, note) = match (&summary.comparison, rate) {
        (Some(comparison), Some(rate)) => against(comparison, rate.share(), weeks(summary)),
        _ => (Mark::Calm, String::new(), "Nothing earlier to compare with".to_owned()),
    };
    Tile { label: "Pass rate", number: percent(rate), wordy: false, mark, state, note, chart }
}

fn against(comparison: &Comparison, now: f64, weeks: bool) -> (Mark, String, String) {
    let usual = comparison.pass_rate_usual;
    // Of the rates as shown: a reader subtracts them.
    let shown = |rate: f64| (rate * 1000.0).round() / 10.0;
    let points = shown(now) - shown(usual);
    let median = format!("{} {}", words::median_of(comparison, weeks), words::share(usual));
    let word = if format!("{:.1}", points.abs()) == "1.0" { "point" } else { "points" };
    if points.abs() < 0.05 {
        return (Mark::Calm, "As usual".to_owned(), median);
    }
    let (mark, direction) = if points < 0.0 { (Mark::Fix, "Down") } else { (Mark::Good, "Up") };
    let moved = format!("{direction} {:.1} {word}", points.abs());
    if comparison.rate_moved {
        (mark, moved, median)
    } else {
        (Mark::Calm, format!("{moved}, within its range"), median)
    }
}

fn spoofed(summary: &Summary) -> Tile {
    let spoofing = &summary.spoofing;
    let open = spoofing.not_blocked();
    let (mark, state, blocked) = match (spoofing.messages, open) {
        (0, _) => (Mark::Good, "None seen".to_owned(), String::new()),
        (_, 0) => (Mark::Calm, "All blocked".to_owned(), String::new()),
        _ => (Mark::Spoof, format!("{} not blocked", count(open)), format!("{} blocked", count(spoofing.blocked))),
    };
    let usual = usual(summary, |comparison| comparison.spoofed_usual);
    let note: Vec<String> = usual.into_iter().chain(Some(blocked).filter(|blocked| !blocked.is_empty())).collect();
    let figure = |point: &Point| point.failing.map_or(0, |failing| failing.spoofed);
    let chart = history(summary, &figure, "c-spoof", "Probably spoofed messages");
    Tile {
        label: "Probably spoofed",
        number: count(spoofing.messages),
        wordy: false,
        mark,
        state,
        note: note.join("; "),
        chart,
    }
}

/// A value for each period, if any period has one.
fn history(summary: &Summary, figure: &dyn Fn(&Point) -> u64, class: &'static str, what: &str) -> Option<Sparkline> {
    let described = series(&summary.trend, |point| count(figure(point)));
    let counts: Vec<u64> = summary.trend.iter().map(figure).collect();
    count_sparkline(&counts, class, format!("{what} by period: {described}."))
}

fn senders(summary: &Summary) -> Tile {
    let failing: Vec<&Sender> = summary.senders.iter().filter(|sender| sender.needs_repair()).collect();
    let repaired = summary.senders.iter().filter(|sender| sender.was_repaired()).count() as u64;
    let to_fix = summary.trend.last().and_then(|point| point.senders_to_fix);
    let number = to_fix.map_or(failing.len() as u64, |number| number.saturating_sub(repaired));
    let messages = failing.iter().fold(0_u64, |sum, sender| sum.saturating_add(sender.sums.failing()));
    let usual = usual(summary, |comparison| comparison.senders_to_fix_usual);
    let mut names = words::each_shown(failing.iter().map(|sender| &sender.who.policy_domain));
    names.sort_unstable();
    names.dedup();
    let of = match (names.as_slice(), summary.domains.len()) {
        ([], _) | (_, 1) => None,
        ([name], _) => Some(format!("all in {name}")),
        (names, _) => Some(format!("in {} domains", count(names.len() as u64))),
    };
    let (mark, state) = if number == 0 && repaired > 0 {
        (Mark::Good, format!("{} repaired", counted(repaired, "sender was", "senders were")))
    } else if number == 0 {
        (Mark::Good, "None of yours fails".to_owned())
    } else {
        (Mark::Fix, counted(messages, "message fails", "messages fail"))
    };
    let figure = |point: &Point| point.senders_to_fix.unwrap_or(0);
    let note: Vec<String> = of.into_iter().chain(usual).collect();
    Tile {
        label: "Senders to fix",
        number: count(number),
        wordy: false,
        mark,
        state,
        note: note.join("; "),
        chart: history(summary, &figure, "c-fix", "Senders to fix"),
    }
}

fn messages(summary: &Summary) -> Tile {
    let totals = &summary.totals;
    let reports = counted(totals.reports, "report", "reports");
    let note: Vec<String> = usual(summary, |comparison| comparison.messages_usual)
        .into_iter()
        .chain([format!("{reports} this time")])
        .collect();
    let moved = summary.comparison.as_ref().filter(|comparison| comparison.volume_moved);
    let state = moved.map_or(String::new(), |comparison| {
        if totals.sums.messages > comparison.messages_usual { "Far more" } else { "Far fewer" }.to_owned()
    });
    Tile {
        label: "Messages",
        number: count(totals.sums.messages),
        wordy: false,
        mark: Mark::Calm,
        state,
        note: note.join("; "),
        chart: history(summary, &|point| point.messages, "c-pass", "Messages"),
    }
}

/// The policy step that is ready, else what blocks the largest domain's next step.
fn next_step(summary: &Summary) -> Tile {
    let tile = |number, mark, state: &str, note| Tile {
        label: "Next policy step",
        number,
        wordy: true,
        mark,
        state: state.to_owned(),
        note,
        chart: None,
    };
    let step = |action: &&Action| matches!(action.change, Change::PublishPolicy { .. });
    if let Some(action) = summary.actions.iter().find(step)
        && let Change::PublishPolicy { tag, to, .. } = &action.change
    {
        let ready = |domain: &&DomainSummary| {
            matches!(domain.readiness.verdict, ReadinessVerdict::Ready | ReadinessVerdict::Parked)
        };
        let others = summary.domains.iter().filter(ready).count().saturating_sub(1) as u64;
        let of_step = summary.domains.iter().find(|domain| domain.policy_domain == action.policy_domain);
        let readiness = of_step.map(|domain| &domain.readiness);
        let note = match (others, readiness.map_or(0, |readiness| readiness.would_be_lost)) {
            (0, 0) => {
                format!("None of your mail would be lost{}", readiness.map(words::except_lone).unwrap_or_default())
            }
            (0, _) => "Almost none of your mail would be lost".to_owned(),
            (more, _) => format!("{} ready, too", counted(more, "more domain is", "more domains are")),
        };
        return tile(format!("{tag}={to} for {}", Clean::new(&action.policy_domain)), Mark::Good, "Ready", note);
    }
    let left = |domain: &&DomainSummary| domain.readiness.verdict != ReadinessVerdict::Done;
    let Some(domain) = summary.domains.iter().find(left) else {
        return tile("None left".to_owned(), Mark::Good, "p=reject everywhere", String::new());
    };
    let next = domain.readiness.next.as_deref().unwrap_or("a stricter policy");
    let number = format!("{next} for {}", Clean::new(&domain.policy_domain));
    match domain.readiness.verdict {
        ReadinessVerdict::TooLittle => tile(number, Mark::Calm, "Too early", words::why_not(&domain.readiness)),
        _ => tile(number, Mark::Fix, "Not ready", words::why_not(&domain.readiness)),
    }
}
