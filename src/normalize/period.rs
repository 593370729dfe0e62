//! The reporting period: when it begins and ends, and the day it counts for.
//!
//! In: `begin` and `end` as written, the attachment's name, the time of arrival. Out: a [`Period`], or why there is none.
//! The clock is an argument.

use super::Context;
use crate::model::{Code, Findings, Quoted};
use jiff::{SignedDuration, Timestamp, civil, tz::Offset};

/// A period of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) begin: Timestamp,
    /// Inclusive or exclusive, as the reporter has it; never before `begin`.
    pub(super) end: Timestamp,
    /// The UTC day of the midpoint: a reporter's local midnight, an inclusive or exclusive end, all land on the right day.
    pub(super) day: civil::Date,
}

/// Longer than this is marked, as a period that does not belong to one day.
const LONG: i64 = 2 * DAY;
/// A period may end so long after its arrival: clocks and time zones differ.
const AHEAD: SignedDuration = SignedDuration::from_hours(48);
const DAY: i64 = 86_400;

/// Work out the period.
///
/// # Errors
/// The reason to reject the report: no usable `begin` anywhere, or an end that lies ahead (`period.future`), which
/// would sit in every "last n days".
pub(super) fn period(
    begin: Option<&str>,
    end: Option<&str>,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Result<Period, String> {
    let (begin, end) = ends(begin, end, context, findings)?;
    let (begin, end) = if begin > end {
        findings.note(Code::PERIOD_SWAPPED, || format!("begin {begin} is after end {end}: swapped"));
        (end, begin)
    } else {
        (begin, end)
    };
    if end - begin > LONG {
        findings.note(Code::PERIOD_LONG, || format!("the period is {} hours long", (end - begin) / 3600));
    }
    // The end first: it is the one that may be out of all range.
    let (end, begin, midpoint) = (timestamp(end)?, timestamp(begin)?, timestamp(begin.midpoint(end))?);
    let period = Period { begin, end, day: Offset::UTC.to_datetime(midpoint).date() };
    match context.arrival.checked_add(AHEAD) {
        Ok(latest) if period.end > latest => Err(format!(
            "{}: the period ends {}, more than two days after the arrival {}",
            Code::PERIOD_FUTURE,
            period.end,
            context.arrival
        )),
        _ => Ok(period),
    }
}

/// Both ends in Unix seconds, from where they can be had.
fn ends(
    begin: Option<&str>,
    end: Option<&str>,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Result<(i64, i64), String> {
    let (begin_read, end_read) = (begin.and_then(instant), end.and_then(instant));
    let name = || context.attachment.and_then(from_name);
    for (path, text, read) in [("begin", begin, begin_read), ("end", end, end_read)] {
        if let (Some(text), Some(Instant { unit: Some(unit), seconds })) = (text, read) {
            findings.note(Code::PERIOD_UNIT, || {
                format!("date_range/{path}: expected Unix seconds, found {unit} {}: read as {seconds}", Quoted(text))
            });
        }
    }
    match (begin_read, end_read) {
        (Some(begin), Some(end)) => Ok((begin.seconds, end.seconds)),
        (Some(Instant { seconds, .. }), None) => {
            if let Some((_, last)) = name() {
                note_name(findings, "end", end, last);
                return Ok((seconds, last));
            }
            findings.note(Code::PERIOD_DERIVED, || {
                format!("date_range/end: {}: taken as a day after begin", expected(end))
            });
            Ok((seconds, seconds.saturating_add(DAY - 1)))
        }
        (None, _) => match name() {
            Some((first, last)) => {
                note_name(findings, "begin", begin, first);
                Ok((first, end_read.map_or(last, |end| end.seconds)))
            }
            None => Err(format!("date_range/begin: {}", expected(begin))),
        },
    }
}

fn note_name(findings: &mut Findings, path: &str, text: Option<&str>, seconds: i64) {
    findings.note(Code::PERIOD_FROM_NAME, || {
        format!("date_range/{path}: {}: {seconds} from the attachment's name", expected(text))
    });
}

fn expected(text: Option<&str>) -> String {
    match text {
        Some(text) if !text.is_empty() => format!("expected Unix seconds, found {}", Quoted(text)),
        _ => "expected Unix seconds, found nothing".into(),
    }
}

fn timestamp(seconds: i64) -> Result<Timestamp, String> {
    Timestamp::from_second(seconds).map_err(|_| {
        format!("{}: date_range: expected Unix seconds, found {seconds}, past the year 9999", Code::PERIOD_FUTURE)
    })
}

/// A point in time as somebody wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instant {
    seconds: i64,
    /// What stood there, where it was not whole seconds.
    unit: Option<&'static str>,
}

/// Read Unix seconds; also with a fraction, or written as a date, which is taken for UTC where it does not say; also in
/// finer units, told by magnitude: milliseconds had 13 digits before there was DMARC, and seconds of 12 digits lie in
/// a far future that must not be taken for something else.
fn instant(text: &str) -> Option<Instant> {
    let text = text.trim();
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let (whole, fraction) =
        unsigned.split_once('.').map_or((unsigned, None), |(whole, fraction)| (whole, Some(fraction)));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !fraction.is_none_or(is_digits) {
        return date(text);
    }
    // More than fits is a far future as well.
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
        .or_else(|| jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp()))?;
    (timestamp.as_second() >= 0).then_some(Instant { seconds: timestamp.as_second(), unit: Some("a date") })
}

/// The period in a name of the standard's form, `receiver!domain!begin!end[!id].xml.gz`: two numbers in a row that can
/// be times. Nothing else is ever taken from a name.
fn from_name(name: &str) -> Option<(i64, i64)> {
    let mut parts = name.split('!').map(|part| {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let rest = &part[digits..];
        let ends = rest.is_empty() || rest.starts_with('.');
        (ends && digits >= 9).then(|| instant(&part[..digits])).flatten()
    });
    let mut before = parts.next()?;
    for part in parts {
        if let (Some(begin), Some(end)) = (before, part) {
            return Some((begin.seconds, end.seconds));
        }
        before = part;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Finding;

    type Outcome = Result<(i64, i64, String), String>;

    const NAME: &str = "receiver.example.net!example.com!1772496000!1772582399.xml.gz";

    fn read_named(begin: Option<&str>, end: Option<&str>, attachment: Option<&str>) -> (Outcome, Vec<Finding>) {
        let arrival = "2026-03-04T02:00:00Z".parse().expect("a timestamp");
        let mut findings = Findings::new(10);
        let period = period(begin, end, &Context { attachment, arrival }, &mut findings)
            .map(|period| (period.begin.as_second(), period.end.as_second(), period.day.to_string()));
        (period, findings.into_vec())
    }

    fn read(begin: &str, end: &str) -> (Outcome, Vec<Code>) {
        let (period, findings) = read_named(Some(begin), Some(end), None);
        (period, findings.iter().map(|finding| finding.code).collect())
    }

    #[test]
    fn the_day_is_the_midpoints_whether_the_end_is_inclusive_or_exclusive() {
        for (begin, end) in [("1772496000", "1772582399"), ("1772496000", "1772582400"), ("1772488800", "1772575199")] {
            let (period, findings) = read(begin, end);
            assert_eq!((period.expect("a period").2.as_str(), &findings[..]), ("2026-03-03", &[][..]));
        }
    }

    #[test]
    fn a_plus_sign_is_part_of_a_whole_number() {
        assert_eq!(read("+1772496000", "+1772582399"), read("1772496000", "1772582399"));
    }

    #[test]
    fn begin_and_end_at_one_time_are_fine() {
        assert_eq!(read("1772496000", "1772496000"), (Ok((1_772_496_000, 1_772_496_000, "2026-03-03".into())), vec![]));
    }

    #[test]
    fn finer_units_fractions_and_dates_are_read_and_said() {
        let whole = Ok((1_772_496_000, 1_772_582_399, "2026-03-03".to_owned()));
        for (begin, end) in [
            ("1772496000000", "1772582399000"),
            ("1772496000000000", "1772582399000000"),
            ("1772496000000000000", "1772582399000000000"),
            ("1772496000.0", "1772582399.9"),
            ("2026-03-03T00:00:00Z", "2026-03-03T23:59:59Z"),
            ("2026-03-03 00:00:00", "2026-03-03 23:59:59"),
            ("Tue, 03 Mar 2026 00:00:00 +0000", "Wed, 4 Mar 2026 00:59:59 +0100"),
        ] {
            assert_eq!(read(begin, end), (whole.clone(), vec![Code::PERIOD_UNIT, Code::PERIOD_UNIT]), "{begin}");
        }
    }

    #[test]
    fn an_end_before_the_begin_is_swapped() {
        let (period, findings) = read("1772582399", "1772496000");
        assert_eq!(period, Ok((1_772_496_000, 1_772_582_399, "2026-03-03".into())));
        assert_eq!(findings, [Code::PERIOD_SWAPPED]);
    }

    #[test]
    fn over_two_days_is_marked_and_two_days_are_not() {
        assert_eq!(read("1772323200", "1772496000").1, []);
        assert_eq!(read("1770595200", "1772409600").1, [Code::PERIOD_LONG]);
    }

    #[test]
    fn a_missing_period_is_taken_from_the_name() {
        let (period, findings) = read_named(None, None, Some(NAME));
        assert_eq!(period, Ok((1_772_496_000, 1_772_582_399, "2026-03-03".into())));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].code, Code::PERIOD_FROM_NAME);
        assert_eq!(
            from_name("/var/spool/x!example.com!1772496000!1772582399!id7.xml"),
            Some((1_772_496_000, 1_772_582_399))
        );
        assert_eq!(from_name("!example.com!1772496000"), None);
        assert_eq!(from_name("a!7!8.xml"), None);
    }

    #[test]
    fn a_missing_end_is_a_day_after_begin() {
        let (period, findings) = read_named(Some("1772496000"), None, None);
        assert_eq!(period, Ok((1_772_496_000, 1_772_582_399, "2026-03-03".into())));
        assert_eq!(findings[0].code, Code::PERIOD_DERIVED);
    }

    #[test]
    fn no_usable_begin_anywhere_is_a_rejection_that_says_so() {
        let reason = read_named(Some("integer"), Some("1772582399"), Some("report.xml")).0;
        assert_eq!(reason, Err("date_range/begin: expected Unix seconds, found \"integer\"".into()));
        assert_eq!(
            read_named(None, None, None).0,
            Err("date_range/begin: expected Unix seconds, found nothing".into())
        );
        for begin in ["-1", "99999999999999999999", "1.x", ""] {
            assert!(read(begin, "1").0.is_err(), "{begin}");
        }
    }

    #[test]
    fn an_end_more_than_two_days_after_the_arrival_is_a_rejection() {
        assert!(read("1772496000", "1772762400").0.is_ok());
        let reason = read("1772496000", "1772762401").0.expect_err("in the future");
        assert!(reason.starts_with("period.future: the period ends 2026-03-06T02:00:01Z"), "{reason}");
        for far in ["9223372036854775807", "253402300799", "999999999999", "4102444800000", "99999999999999999999"] {
            for (begin, end) in [("1772496000", far), (far, far), (far, "1772496000")] {
                let reason = read(begin, end).0.expect_err("in the future");
                assert!(reason.starts_with("period.future: "), "{reason}");
            }
        }
    }
}
