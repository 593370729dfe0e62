//! A pass rate that fell below everything seen before: of the domain's known senders, so that spoofing does not count.

use super::by_source::{BySource, GoodAndBad, MailFact, sum, sum_of};
use super::facts::float;
use super::sighting::Sighting;
use crate::model::SourceAddress;
use std::collections::BTreeMap;

/// Days per comparison.
const LENGTH: i32 = 3;
/// Messages in them.
const MESSAGES: u64 = 100;
/// How many percentage points worse than the worst such days before.
const WORSE: f64 = 15.0;
/// Earlier stretches with enough mail, at least.
const BEFORE: usize = 10;

/// A pass rate that fell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RateDrop {
    /// The failing messages.
    pub(crate) shown: Sighting,
    /// The percentage that passes, and the lowest before.
    pub(crate) rates: (f64, f64),
}

/// Passed and failed messages of known senders by day.
type RateDays = BTreeMap<i32, GoodAndBad>;

fn days(mail: &BySource<MailFact>, leave_out: &dyn Fn(SourceAddress) -> bool) -> RateDays {
    let mut days = RateDays::new();
    for (_, facts) in known(mail, leave_out) {
        for fact in facts {
            let day = days.entry(fact.day).or_default();
            *day = sum(*day, (fact.passed, fact.failed));
        }
    }
    days
}

/// Addresses whose mail mostly passed.
fn known<'a>(
    mail: &'a BySource<MailFact>,
    leave_out: &'a dyn Fn(SourceAddress) -> bool,
) -> impl Iterator<Item = (SourceAddress, &'a [MailFact])> {
    let is_known = |facts: &[MailFact]| facts.iter().fold(0_u64, |sum, fact| sum.saturating_add(fact.passed)) >= 20;
    mail.iter()
        .filter(move |(source, facts)| is_known(facts) && !leave_out(**source))
        .map(|(source, facts)| (*source, facts.as_slice()))
}

/// The percentage that passes. Counts are untrusted: their sum may be more than an integer holds.
fn percent(passed: u64, failed: u64) -> f64 {
    100.0 * float(passed) / (float(passed) + float(failed))
}

fn share(days: &RateDays, from: i32) -> Option<f64> {
    let (passed, failed) = sum_of(days.range(from..from + LENGTH));
    (passed.saturating_add(failed) >= MESSAGES).then(|| percent(passed, failed))
}

/// Whether the rate of the last days with reports fell.
pub(crate) fn fallen(
    mail: &BySource<MailFact>,
    today: i32,
    leave_out: &dyn Fn(SourceAddress) -> bool,
) -> Option<RateDrop> {
    let days = days(mail, leave_out);
    let last = *days.last_key_value()?.0;
    let start = last - LENGTH + 1;
    if last < today - 4 {
        return None;
    }
    let now = share(&days, start)?;
    let before: Vec<f64> =
        (today - super::facts::WEEKS_DAYS..=start - LENGTH).filter_map(|from| share(&days, from)).collect();
    let lowest = before.iter().copied().fold(f64::INFINITY, f64::min);
    if before.len() < BEFORE || now > lowest - WORSE {
        return None;
    }
    let is_low = |(_, (passed, failed)): &(&i32, &(u64, u64))| percent(*passed, *failed) <= lowest;
    let since = *days.range(start..).find(is_low)?.0;
    let facts = known(mail, leave_out).flat_map(|(source, facts)| facts.iter().map(move |fact| (source, fact)));
    let failing = facts.filter(|(_, fact)| fact.day >= since && fact.failed > 0);
    let shown = Sighting::of(failing.map(|(source, fact)| (source, fact.day, fact.reporter, fact.failed)))?;
    // All mail of these days is behind a rate.
    let shown = Sighting { since, seen: last, ..shown };
    (shown.reporters.len() > 1).then_some(RateDrop { shown, rates: (now, lowest) })
}

/// Whether the rate of the last days is back to what it was.
pub(crate) fn recovered(
    mail: &BySource<MailFact>,
    seen: i32,
    lowest: f64,
    leave_out: &dyn Fn(SourceAddress) -> bool,
) -> Option<i32> {
    let days = days(mail, leave_out);
    let last = *days.last_key_value()?.0;
    let start = last - LENGTH + 1;
    (start > seen && share(&days, start)? >= lowest - WORSE / 3.0).then_some(start)
}
