//! Points in time as reporters write them: Unix seconds, finer units, dates.

use jiff::{Timestamp, ToSpan as _, civil, tz::Offset};

/// The last second of the year 9999.
const LAST: i64 = 253_402_300_799;

/// The unit of a time that was written as one.
pub(super) const A_DATE: &str = "a date";

/// A point in time as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instant {
    pub(super) seconds: i64,
    /// What was written instead of whole seconds.
    pub(super) unit: Option<&'static str>,
}

/// Reads Unix seconds, also with a fraction, or a date, in UTC if it names no zone. Finer units are recognized by
/// magnitude: milliseconds had 13 digits before DMARC existed, and seconds of 12 digits lie in a far future that must
/// not be mistaken for another unit.
pub(super) fn instant(text: &str) -> Option<Instant> {
    let text = text.trim();
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let (whole, fraction) =
        unsigned.split_once('.').map_or((unsigned, None), |(whole, fraction)| (whole, Some(fraction)));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !fraction.is_none_or(is_digits) {
        return date(text);
    }
    // A number that overflows is a far future as well.
    let number: i64 = whole.parse().unwrap_or(i64::MAX);
    let (divisor, unit) = match whole.trim_start_matches('0').len() {
        ..=12 => (1, fraction.map(|_| "a fraction")),
        13..=14 => (1_000, Some("milliseconds")),
        15..=17 => (1_000_000, Some("microseconds")),
        18..=19 if number < i64::MAX => (1_000_000_000, Some("nanoseconds")),
        _ => (1, None),
    };
    Some(Instant { seconds: number / divisor, unit })
}

fn date(text: &str) -> Option<Instant> {
    let timestamp = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| Offset::UTC.to_timestamp(text.parse::<civil::DateTime>().ok()?).ok())
        .or_else(|| jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp()))
        .or_else(|| near_date(text));
    // The last days of the calendar are past all timestamps, and are a far future, not nothing.
    let Some(timestamp) = timestamp else {
        return text.starts_with("9999-12-3").then_some(Instant { seconds: LAST, unit: Some(A_DATE) });
    };
    (timestamp.as_second() >= 0).then_some(Instant { seconds: timestamp.as_second(), unit: Some(A_DATE) })
}

/// A date in UTC that is nearly in the standard's form: with a space before the zone or the name of UTC there, or with 24:00
/// for the end of a day.
fn near_date(text: &str) -> Option<Timestamp> {
    let (bare, zone) = text.split_at(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    if !["", "z", "utc", "gmt"].contains(&zone.to_ascii_lowercase().as_str()) {
        return None;
    }
    let bare = bare.trim_end();
    let is_midnight = |rest: &str| rest.chars().all(|char| matches!(char, ':' | '.' | '0'));
    let (bare, days) = match bare.split_once("24:00") {
        Some((day, rest)) if is_midnight(rest) => (format!("{day}00:00"), 1),
        _ => (bare.to_owned(), 0),
    };
    let date = bare.parse::<civil::DateTime>().ok()?.checked_add(days.days()).ok()?;
    Offset::UTC.to_timestamp(date).ok()
}
