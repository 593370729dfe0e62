//! The reporting period: when it begins and ends, and the day it counts for. A missing end is taken from the
//! attachment's name or computed from the other end, always with a finding.

use super::context::Context;
use super::instant::{A_DATE, Instant, instant};
use crate::model::{FindingCode, Findings, Quoted, utc_day};
use jiff::{SignedDuration, Timestamp, civil};

/// A period of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReportPeriod {
    pub(super) begin: Timestamp,
    /// Inclusive or exclusive, as the reporter writes it; never before `begin`.
    pub(super) end: Timestamp,
    /// The UTC day of the midpoint: whether the period starts at a local midnight and whether its end is inclusive or
    /// exclusive, it lands on the right day.
    pub(super) day: civil::Date,
}

/// How a kind of report writes its times; the other form is read too, with a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeForm {
    /// Seconds since 1970: aggregate reports.
    Seconds,
    /// RFC 3339, or nearly: TLS reports.
    Date,
}

impl TimeForm {
    const fn expected(self) -> &'static str {
        match self {
            Self::Seconds => "Unix seconds",
            Self::Date => "a date and time",
        }
    }
}

/// Longer periods get a finding: they do not belong to one day.
const LONG: i64 = 2 * DAY;
/// A period may end this long after its arrival: clocks and time zones differ.
const AHEAD: SignedDuration = SignedDuration::from_hours(48);
const DAY: i64 = 86_400;
/// Separates the code of a rejection from the end of the period.
const ENDS: &str = ": the period ends ";
/// The first day of 2012, the year DMARC was published (January 30): no report covers an earlier day.
const FIRST_YEAR: i64 = 1_325_376_000;

/// Determines the period.
///
/// # Errors
/// The reason to reject the report: no usable `begin` anywhere, or an end in the future (`period.future`), which would
/// be part of every "last n days".
pub(super) fn period(
    form: TimeForm,
    (begin, end): (Option<&str>, Option<&str>),
    context: &Context<'_>,
    findings: &mut Findings,
) -> Result<ReportPeriod, String> {
    let (begin, end) = ends(form, (begin, end), context, findings)?;
    let (begin, end) = if begin > end {
        findings.note(FindingCode::PERIOD_SWAPPED, || format!("begin {begin} is after end {end}: swapped"));
        (end, begin)
    } else {
        (begin, end)
    };
    if begin < FIRST_YEAR {
        findings.note(FindingCode::PERIOD_ANCIENT, || {
            format!("the period begins at {begin}, before there was DMARC (2012)")
        });
    }
    if end - begin > LONG {
        findings.note(FindingCode::PERIOD_LONG, || format!("the period is {} hours long", (end - begin) / 3600));
    }
    // The end first: it is the one that may be out of range.
    let timestamp = |seconds| timestamp(form, seconds);
    let (end, begin, midpoint) = (timestamp(end)?, timestamp(begin)?, timestamp(begin.midpoint(end))?);
    let period = ReportPeriod { begin, end, day: utc_day(midpoint) };
    match context.arrival.checked_add(AHEAD) {
        Ok(latest) if period.end > latest => Err(format!(
            "{}{ENDS}{}, more than two days after the arrival {}",
            FindingCode::PERIOD_FUTURE,
            period.end,
            context.arrival
        )),
        _ => Ok(period),
    }
}

/// Whether a report that was rejected because its period lay in the future no longer does; `None` if it was rejected
/// for another reason. So a clock that was wrong when the report arrived does not exclude it forever.
pub fn is_no_longer_ahead(reason: &str, now: Timestamp) -> Option<bool> {
    let ahead = reason.strip_prefix(FindingCode::PERIOD_FUTURE.as_str())?;
    // A time beyond the calendar is always in the future.
    let end = ahead.strip_prefix(ENDS).and_then(|rest| rest.split(',').next()?.parse::<Timestamp>().ok());
    Some(end.is_some_and(|end| now.checked_add(AHEAD).is_ok_and(|latest| end <= latest)))
}

/// Both ends in Unix seconds, from wherever they are found.
fn ends(
    form: TimeForm,
    (begin, end): (Option<&str>, Option<&str>),
    context: &Context<'_>,
    findings: &mut Findings,
) -> Result<(i64, i64), String> {
    // Programs write zero when they have no time.
    let read = |text: Option<&str>| text.and_then(instant).filter(|instant| instant.seconds != 0);
    let (begin_read, end_read) = (read(begin), read(end));
    for (path, text, read) in [("begin", begin, begin_read), ("end", end, end_read)] {
        let (Some(text), Some(Instant { unit, seconds })) = (text, read) else { continue };
        let unit = match (form, unit) {
            (TimeForm::Date, Some(A_DATE)) => continue,
            (TimeForm::Date, None) => "Unix seconds",
            (_, Some(unit)) => unit,
            (TimeForm::Seconds, None) => continue,
        };
        findings.note(FindingCode::PERIOD_UNIT, || {
            let expected = form.expected();
            format!("date_range/{path}: expected {expected}, found {unit} {}: read as {seconds}", Quoted(text))
        });
    }
    let (begin_read, end_read) = (begin_read.map(|at| at.seconds), end_read.map(|at| at.seconds));
    if let (Some(begin), Some(end)) = (begin_read, end_read) {
        return Ok((begin, end));
    }
    if let Some((first, last)) = context.attachment.and_then(from_name) {
        let (path, text, seconds) = if begin_read.is_none() { ("begin", begin, first) } else { ("end", end, last) };
        findings.note(FindingCode::PERIOD_FROM_NAME, || {
            format!("date_range/{path}: {}: {seconds} from the attachment's name", expected(form, text))
        });
        return Ok((begin_read.unwrap_or(first), end_read.unwrap_or(last)));
    }
    let mut derived = |path: &str, text: Option<&str>, how: &str| {
        findings.note(FindingCode::PERIOD_DERIVED, || {
            format!("date_range/{path}: {}: taken as {how}", expected(form, text))
        });
    };
    match (begin_read, end_read) {
        (Some(begin), _) => {
            derived("end", end, "a day after begin");
            Ok((begin, begin.saturating_add(DAY - 1)))
        }
        (None, Some(end)) => {
            derived("begin", begin, "a day before end");
            Ok((end.saturating_sub(DAY - 1).max(0), end))
        }
        (None, None) => Err(format!("date_range/begin: {}", expected(form, begin))),
    }
}

fn expected(form: TimeForm, text: Option<&str>) -> String {
    let form = form.expected();
    match text {
        Some(text) if !text.is_empty() => format!("expected {form}, found {}", Quoted(text)),
        _ => format!("expected {form}, found nothing"),
    }
}

fn timestamp(form: TimeForm, seconds: i64) -> Result<Timestamp, String> {
    Timestamp::from_second(seconds).map_err(|_| {
        format!(
            "{}: date_range: expected {}, found {seconds}, past the year 9999",
            FindingCode::PERIOD_FUTURE,
            form.expected()
        )
    })
}

/// The period in a standard report name, `receiver!domain!begin!end[!id].xml.gz`: two consecutive numbers that can be
/// times. Nothing else is ever taken from a name.
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
    use jiff::tz::Offset;

    type Outcome = Result<(i64, i64, String), String>;

    const NAME: &str = "receiver.example.net!example.com!1772496000!1772582399.xml.gz";

    fn read_named(begin: Option<&str>, end: Option<&str>, attachment: Option<&str>) -> (Outcome, Vec<Finding>) {
        let arrival = "2026-03-04T02:00:00Z".parse().expect("a timestamp");
        let mut findings = Findings::new(10);
        let period = period(TimeForm::Seconds, (begin, end), &Context { attachment, arrival }, &mut findings)
            .map(|period| (period.begin.as_second(), period.end.as_second(), period.day.to_string()));
        (period, findings.into_vec())
    }

    fn read(begin: &str, end: &str) -> (Outcome, Vec<FindingCode>) {
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
    fn finer_units_fractions_and_dates_are_read_with_a_finding() {
        let whole = Ok((1_772_496_000, 1_772_582_399, "2026-03-03".to_owned()));
        for (begin, end) in [
            ("1772496000000", "1772582399000"),
            ("1772496000000000", "1772582399000000"),
            ("1772496000000000000", "1772582399000000000"),
            ("1772496000.0", "1772582399.9"),
            ("2026-03-03T00:00:00Z", "2026-03-03T23:59:59Z"),
            ("2026-03-03 00:00:00", "2026-03-03 23:59:59"),
            ("Tue, 03 Mar 2026 00:00:00 +0000", "Wed, 4 Mar 2026 00:59:59 +0100"),
            ("2026-03-03 00:00:00 UTC", "2026-03-03T23:59:59 Z"),
            ("2026-03-02T24:00:00Z", "2026-03-03 23:59:59gmt"),
        ] {
            assert_eq!(
                read(begin, end),
                (whole.clone(), vec![FindingCode::PERIOD_UNIT, FindingCode::PERIOD_UNIT]),
                "{begin}"
            );
        }
    }

    #[test]
    fn an_end_before_the_begin_is_swapped() {
        let (period, findings) = read("1772582399", "1772496000");
        assert_eq!(period, Ok((1_772_496_000, 1_772_582_399, "2026-03-03".into())));
        assert_eq!(findings, [FindingCode::PERIOD_SWAPPED]);
    }

    #[test]
    fn over_two_days_is_marked_and_two_days_are_not() {
        assert_eq!(read("1772323200", "1772496000").1, []);
        assert_eq!(read("1770595200", "1772409600").1, [FindingCode::PERIOD_LONG]);
    }

    #[test]
    fn a_missing_period_is_taken_from_the_name() {
        let (period, findings) = read_named(None, None, Some(NAME));
        assert_eq!(period, Ok((1_772_496_000, 1_772_582_399, "2026-03-03".into())));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].code, FindingCode::PERIOD_FROM_NAME);
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
        assert_eq!(findings[0].code, FindingCode::PERIOD_DERIVED);
    }

    #[test]
    fn an_end_without_a_begin_is_a_day_after_it() {
        for begin in [None, Some("0"), Some("integer"), Some("")] {
            let (period, findings) = read_named(begin, Some("1772582399"), Some("report.xml"));
            assert_eq!(period, Ok((1_772_496_000, 1_772_582_399, "2026-03-03".into())), "{begin:?}");
            assert_eq!(findings[0].code, FindingCode::PERIOD_DERIVED);
        }
        assert_eq!(read("1772496000", "0"), read("1772496000", ""));
    }

    #[test]
    fn a_period_before_there_was_dmarc_is_marked() {
        assert_eq!(read("1325376000", "1325462399").1, []);
        assert_eq!(read("1325375999", "1325462398").1, [FindingCode::PERIOD_ANCIENT]);
        assert_eq!(read("1", "2").1, [FindingCode::PERIOD_ANCIENT]);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_numbers_and_no_arrival_panic(
            form in proptest::sample::select(vec![TimeForm::Seconds, TimeForm::Date]),
            begin in proptest::prop_oneof![
                "-?[0-9]{0,20}",
                "[0-9]{1,13}[.][0-9]{0,4}",
                "[+-]?[0-9]{4,6}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?([.][0-9]{1,10})?(Z|[+-][0-9]{2}:?[0-9]{2})?)?",
            ],
            end in proptest::prop_oneof!["-?[0-9]{0,20}", "[0-9]{10}", "-?9999(99)?-12-3[01]T2[34]:59:(59|60)[+-][0-9]{2}:[0-9]{2}"],
            arrival in Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(),
            name in proptest::prop_oneof!["x!y![0-9]{0,20}![0-9]{0,20}", "[a-z!0-9]{0,20}"],
        ) {
            let arrival = Timestamp::from_second(arrival).expect("within the range");
            let mut findings = Findings::new(10);
            let context = Context { attachment: Some(&name), arrival };
            if let Ok(period) = period(form, (Some(&begin), Some(&end)), &context, &mut findings) {
                proptest::prop_assert!(period.begin <= period.end);
                let day = Offset::UTC.to_datetime(period.begin).date()..=Offset::UTC.to_datetime(period.end).date();
                proptest::prop_assert!(day.contains(&period.day));
            }
            is_no_longer_ahead(&format!("{}{ENDS}{end}, {begin}", FindingCode::PERIOD_FUTURE), arrival);
        }
    }

    #[test]
    fn a_report_without_a_usable_time_is_rejected_with_that_reason() {
        assert_eq!(
            read_named(None, None, None).0,
            Err("date_range/begin: expected Unix seconds, found nothing".into())
        );
        assert_eq!(read("0", "0").0, Err("date_range/begin: expected Unix seconds, found \"0\"".into()));
        for begin in ["-1", "1.x", ""] {
            assert!(read(begin, "-1").0.is_err(), "{begin}");
        }
    }

    #[test]
    fn an_end_more_than_two_days_after_the_arrival_is_a_rejection() {
        assert!(read("1772496000", "1772762400").0.is_ok());
        let reason = read("1772496000", "1772762401").0.expect_err("in the future");
        assert!(reason.starts_with("period.future: the period ends 2026-03-06T02:00:01Z"), "{reason}");
        let later = |now: &str| is_no_longer_ahead(&reason, now.parse().expect("a timestamp"));
        assert_eq!((later("2026-03-04T02:00:00Z"), later("2026-03-04T02:00:01Z")), (Some(false), Some(true)));
        assert_eq!(is_no_longer_ahead("expected XML, found 12 bytes of something else", Timestamp::MAX), None);
        for far in ["9223372036854775807", "253402300799", "999999999999", "4102444800000", "99999999999999999999"] {
            for (begin, end) in [("1772496000", far), (far, far), (far, "1772496000")] {
                let reason = read(begin, end).0.expect_err("in the future");
                assert!(reason.starts_with("period.future: "), "{reason}");
                assert_eq!(is_no_longer_ahead(&reason, Timestamp::UNIX_EPOCH), Some(false));
            }
        }
    }
}
