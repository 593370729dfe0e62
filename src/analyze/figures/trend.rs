//! Compares the period with those before it: a series of points, the change from the one before and from the median of
//! the last four, and whether the change is significant.

use super::policies;
use crate::analyze::foreign::Foreign;
use crate::analyze::period::{Period, date, number, week_name};
use crate::analyze::senders::{DomainFold, Folded, View};
use crate::analyze::sums::{Rate, Sums};
use crate::model::monday;
use jiff::civil::Date;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How many points a series has.
const POINTS: usize = 8;

/// How many earlier periods the median is of.
const USUAL: usize = 4;

/// One period of a series; the requested one is last.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Its first day.
    pub from: Date,
    /// Its ISO week, if it is one.
    pub week: Option<String>,
    /// Messages.
    pub messages: u64,
    /// Those that pass.
    pub dmarc_pass: u64,
    /// Those that fail, by sender as judged today; `None` without history.
    pub failing: Option<FailingBy>,
    /// Own senders and services with ten or more failing messages that are a hundred or one in a hundred; `None`
    /// without history.
    pub senders_to_fix: Option<u64>,
    /// The policy, `p`, in reports of its last days; `None` over several domains, or if none says.
    pub policy: Option<Foreign>,
}

/// Failing messages by who sent them. They add up to all that fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FailingBy {
    /// The domains' own senders and services.
    pub yours: u64,
    /// Forwarders and mailing lists.
    pub forwarded: u64,
    /// Unclear senders, and mail that no verdict counts: temporary errors, reports that arrived twice.
    pub unclear: u64,
    /// Probably spoofed.
    pub spoofed: u64,
}

/// The period against earlier ones that have data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// Messages of the period before; `None`: no data.
    pub messages_before: Option<u64>,
    /// Its pass rate.
    pub pass_rate_before: Option<Rate>,
    /// The median of the messages of the last four periods with data.
    pub messages_usual: u64,
    /// The median of their pass rates, between 0 and 1.
    pub pass_rate_usual: f64,
    /// The number of these periods.
    pub periods: u64,
    /// The median of their spoofed messages.
    pub spoofed_usual: u64,
    /// The median of their senders to fix.
    pub senders_to_fix_usual: u64,
    /// The pass rate is outside its earlier range by a point or more, significantly.
    pub rate_moved: bool,
    /// The number of messages is outside its earlier range, and twice or half of the usual.
    pub volume_moved: bool,
}

/// A domain's sums by window, or those of all.
pub(crate) struct WindowSums(Vec<Sums>);

/// The same, with what else a comparison needs.
pub(crate) struct Windows {
    pub(crate) sums: WindowSums,
    /// For the reporters that reported before and now: the messages of the period, and those expected from their usual
    /// number per day.
    like_for_like: (u64, u64),
}

impl WindowSums {
    /// For one domain; `None`: for all.
    pub(crate) fn new(view: &View<'_>, domain: Option<u32>) -> Self {
        let mut sums = vec![Sums::default(); usize::from(view.added.scope.current) + 1];
        for (day, day_sums) in view.days(domain) {
            let window = view.added.scope.window(day).map(usize::from);
            if let Some(of_window) = window.and_then(|window| sums.get_mut(window)) {
                of_window.merge(day_sums);
            }
        }
        Self(sums)
    }

    fn current(&self) -> &Sums {
        self.0.last().expect("there is always the period asked for")
    }

    fn before(&self) -> &[Sums] {
        &self.0[..self.0.len() - 1]
    }

    /// Whether each window has data.
    pub(crate) fn reported(&self) -> Vec<bool> {
        self.0.iter().map(|sums| sums.messages > 0).collect()
    }

    /// How many earlier periods have data.
    pub(crate) fn with_data(&self) -> usize {
        self.before().iter().filter(|sums| sums.messages > 0).count()
    }
}

impl Windows {
    /// For one domain; `None`: for all.
    pub(crate) fn new(view: &View<'_>, domain: Option<u32>) -> Self {
        Self { sums: WindowSums::new(view, domain), like_for_like: like_for_like(view, domain) }
    }

    /// The comparison, with further figures from `trend`; `None` if nothing earlier has data.
    pub(crate) fn comparison(&self, trend: &[Point]) -> Option<Comparison> {
        let before: Vec<&Sums> = self.sums.before().iter().filter(|sums| sums.messages > 0).collect();
        let usual: Vec<&Sums> = before.iter().rev().take(USUAL).copied().collect();
        if usual.is_empty() {
            return None;
        }
        let messages_usual = median(usual.iter().map(|sums| sums.messages).collect())?;
        let rates =
            |sums: &[&Sums]| -> Vec<f64> { sums.iter().filter_map(|sums| Some(sums.pass_rate()?.share())).collect() };
        let pass_rate_usual = median_share(rates(&usual))?;
        let last = self.sums.before().last().copied().filter(|sums| sums.messages > 0);
        Some(Comparison {
            messages_before: last.map(|sums| sums.messages),
            pass_rate_before: last.as_ref().and_then(Sums::pass_rate),
            messages_usual,
            pass_rate_usual,
            periods: usual.len() as u64,
            spoofed_usual: usual_of(trend, |point| point.failing.map(|failing| failing.spoofed)),
            senders_to_fix_usual: usual_of(trend, |point| point.senders_to_fix),
            rate_moved: rate_moved(self.sums.current(), &before, 0.01),
            volume_moved: self.volume_moved(&before, messages_usual),
        })
    }

    fn volume_moved(&self, before: &[&Sums], usual: u64) -> bool {
        let now = self.sums.current().messages;
        let outside = before.iter().all(|sums| sums.messages < now) || before.iter().all(|sums| sums.messages > now);
        before.len() >= 3
            && outside
            && now.abs_diff(usual) >= 100
            && (now >= usual.saturating_mul(2) || now <= usual / 2)
            && self.moved_like_for_like()
    }

    /// A receiver that reported on seven days instead of one does not mean growth.
    fn moved_like_for_like(&self) -> bool {
        let (now, expected) = self.like_for_like;
        now >= expected.saturating_mul(2) || now <= expected / 2
    }
}

/// Messages of the reporters that reported before and now, and those expected by their usual day.
fn like_for_like(view: &View<'_>, domain: Option<u32>) -> (u64, u64) {
    let current = view.added.scope.current;
    // By reporter: days and messages of the history, and of the period.
    let mut reporters: BTreeMap<u32, [(u64, u64); 2]> = BTreeMap::new();
    let mut days: BTreeSet<(u32, i32)> = BTreeSet::new();
    for ((_, reporter, day), reports) in view.added.common.heads.of_domain(domain) {
        let Some(window) = view.added.scope.window(*day).filter(|window| *window <= current) else { continue };
        let (number, messages) = &mut reporters.entry(*reporter).or_default()[usize::from(window == current)];
        *number += u64::from(days.insert((*reporter, *day)));
        *messages = messages.saturating_add(reports.all.messages);
    }
    let known = reporters.values().filter(|[before, now]| before.0 > 0 && now.0 > 0);
    known.fold((0, 0), |(messages, expected), [before, now]| {
        let usual = u128::from(before.1) * u128::from(now.0) / u128::from(before.0);
        let usual = u64::try_from(usual).unwrap_or(u64::MAX);
        (messages.saturating_add(now.1), expected.saturating_add(usual))
    })
}

/// Whether a pass rate changed: by at least `least`, outside its range in at least two earlier periods, each of 50
/// messages or more, and by four standard errors. Small counts do not reach any of these.
pub(crate) fn rate_moved(now: &Sums, before: &[&Sums], least: f64) -> bool {
    let before: Vec<&Sums> = before.iter().copied().filter(|sums| sums.messages >= 50).collect();
    let (Some(rate), true) = (now.pass_rate(), now.messages >= 50 && before.len() >= 2) else { return false };
    let rate = rate.share();
    let shares: Vec<f64> = before.iter().filter_map(|sums| Some(sums.pass_rate()?.share())).collect();
    let outside = shares.iter().all(|share| rate < *share) || shares.iter().all(|share| rate > *share);
    let mut all = Sums::default();
    for sums in &before {
        all.merge(sums);
    }
    let Some(usual) = all.pass_rate() else { return false };
    let usual = usual.share();
    outside
        && (rate - usual).abs() >= least
        && (rate - usual).abs() >= 4.0 * standard_error(rate, now.messages, usual, all.messages)
}

/// The standard error of the difference of two shares.
#[expect(clippy::cast_precision_loss, reason = "an error needs no more than 52 bits")]
fn standard_error(a: f64, of_a: u64, b: f64, of_b: u64) -> f64 {
    let pooled = (a * of_a as f64 + b * of_b as f64) / (of_a as f64 + of_b as f64);
    (pooled * (1.0 - pooled) * (1.0 / of_a as f64 + 1.0 / of_b as f64)).sqrt()
}

/// The median of a figure over the last four earlier periods with data; 0 if there is none.
fn usual_of(trend: &[Point], figure: impl Fn(&Point) -> Option<u64>) -> u64 {
    let before = trend.iter().rev().skip(1).filter(|point| point.messages > 0);
    median(before.take(USUAL).filter_map(figure).collect()).unwrap_or(0)
}

/// The median, the lower of two middle values; `None` if empty.
pub(crate) fn median(mut numbers: Vec<u64>) -> Option<u64> {
    numbers.sort_unstable();
    numbers.get(numbers.len().checked_sub(1)? / 2).copied()
}

fn median_share(mut shares: Vec<f64>) -> Option<f64> {
    shares.sort_unstable_by(f64::total_cmp);
    shares.get(shares.len().checked_sub(1)? / 2).copied()
}

/// The series of a domain, or of all: the last eight periods, or without history the last eight ISO weeks with data.
pub(crate) fn series(view: &View<'_>, folded: &Folded, domain: Option<u32>, current: Option<Period>) -> Vec<Point> {
    let mut points: BTreeMap<i32, (u64, u64)> = BTreeMap::new();
    let Some(current) = current else { return Vec::new() };
    let by_windows = view.added.scope.current > 0;
    let (last, length) =
        if by_windows { (number(current.from()), current.days()) } else { (number(monday(current.to())), 7) };
    let first_seen = if by_windows { i32::MIN } else { number(monday(current.from())) };
    for back in 0..i32::try_from(POINTS).expect("eight fits") {
        let start = last - back * length;
        if start >= first_seen && (!by_windows || back <= i32::from(view.added.scope.current)) {
            points.insert(start, (0, 0));
        }
    }
    for (day, sums) in view.days(domain) {
        let back = if day >= last { 0 } else { (last - day + length - 1) / length };
        let start = last - back * length;
        if let Some((messages, passing)) = points.get_mut(&start) {
            *messages = messages.saturating_add(sums.messages);
            *passing = passing.saturating_add(sums.dmarc_pass);
        }
    }
    let folds: Vec<&DomainFold> = match domain {
        Some(domain) => folded.domains.get(&domain).into_iter().collect(),
        None => folded.domains.values().collect(),
    };
    let policies = domain.map(|domain| policies::by_period(view, domain, points.keys().copied(), length));
    let mut policies = policies.unwrap_or_default().into_iter();
    let first = (number(current.from())).saturating_sub(i32::from(view.added.scope.current).saturating_mul(length));
    let point = |(start, (messages, dmarc_pass)): (i32, (u64, u64))| {
        let from = date(start);
        let week = (length == 7 && from == monday(from)).then(|| week_name(from));
        let window = usize::try_from((start - first) / length).ok().filter(|_| by_windows);
        Point {
            from,
            week,
            messages,
            dmarc_pass,
            failing: window.map(|window| failing(&folds, window, messages - dmarc_pass)),
            senders_to_fix: window.map(|window| folds.iter().map(|fold| fold.failing.to_fix[window]).sum()),
            policy: policies.next().flatten(),
        }
    };
    points.into_iter().map(point).collect()
}

/// Who sent the failing messages of a window.
fn failing(folds: &[&DomainFold], window: usize, all: u64) -> FailingBy {
    let sum = |of: &dyn Fn(&DomainFold) -> u64| folds.iter().fold(0_u64, |sum, fold| sum.saturating_add(of(fold)));
    let spoofed = sum(&|fold| fold.spoofing.windows[window].0).min(all);
    let yours = sum(&|fold| fold.failing.yours[window]).min(all - spoofed);
    let forwarded = sum(&|fold| fold.failing.forwarded[window]).min(all - spoofed - yours);
    FailingBy { yours, forwarded, unclear: all - spoofed - yours - forwarded, spoofed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(messages: u64, dmarc_pass: u64) -> Sums {
        Sums { messages, dmarc_pass, ..Sums::default() }
    }

    #[test]
    fn a_rate_change_is_outside_the_earlier_range_and_more_than_chance() {
        let steady = [sums(1000, 990), sums(1100, 1085), sums(900, 893)];
        let before: Vec<&Sums> = steady.iter().collect();
        assert!(rate_moved(&sums(1000, 900), &before, 0.01));
        assert!(!rate_moved(&sums(1000, 988), &before, 0.01), "within what it was");
        assert!(!rate_moved(&sums(40, 0), &before, 0.01), "too few messages");
        assert!(!rate_moved(&sums(60, 58), &before, 0.01), "chance");
        assert!(!rate_moved(&sums(1000, 900), &before[..1], 0.01), "one week is no baseline");
    }

    #[test]
    fn volumes_move_by_half_or_twice_at_least_reporter_by_reporter() {
        let moved = |now| {
            Windows {
                sums: WindowSums(vec![sums(1000, 1), sums(1200, 1), sums(900, 1), sums(now, 1)]),
                like_for_like: (now, 1000),
            }
            .comparison(&[])
            .unwrap()
            .volume_moved
        };
        assert!(moved(2400) && moved(300));
        assert!(!moved(1500) && !moved(700));
        let more_days = Windows {
            sums: WindowSums(vec![sums(1000, 1), sums(1200, 1), sums(900, 1), sums(7000, 1)]),
            like_for_like: (7000, 6800),
        };
        assert!(!more_days.comparison(&[]).unwrap().volume_moved, "the same mail a day, on more days");
    }

    #[test]
    fn weeks_without_data_are_no_baseline() {
        let windows = Windows {
            sums: WindowSums(vec![sums(0, 0), sums(100, 90), sums(0, 0), sums(100, 95)]),
            like_for_like: (100, 100),
        };
        let comparison = windows.comparison(&[]).unwrap();
        assert_eq!((comparison.messages_before, comparison.messages_usual, comparison.periods), (None, 100, 1));
        assert_eq!(
            Windows { sums: WindowSums(vec![sums(0, 0), sums(5, 5)]), like_for_like: (5, 5) }.comparison(&[]),
            None
        );
    }

    #[test]
    fn the_median_of_an_even_number_is_the_lower_middle() {
        assert_eq!(median(vec![4, 1, 3, 2]), Some(2));
        assert_eq!(median(vec![]), None);
    }
}
