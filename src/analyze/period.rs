//! The days an answer is about, all in UTC. A [`Period`] includes both its first and its last day. It never reads the
//! clock; `cli` parses dates on the command line.

pub(crate) use crate::model::days_since_epoch as number;
use crate::model::{monday, utc_day};
use jiff::civil::{Date, Weekday};
use jiff::{Span, Timestamp, ToSpan};
use serde::Serialize;

/// Day 0 of the `date` column.
const EPOCH: Date = Date::constant(1970, 1, 1);

/// The calendar's first and last day.
pub(crate) const DAYS: (i32, i32) = (-4_371_587, 2_932_896);

/// Consecutive whole UTC days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Period {
    from: Date,
    to: Date,
}

/// The days an answer is about, inclusive, in UTC. `None` if there was nothing to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SummaryPeriod {
    /// The first day.
    pub from: Option<Date>,
    /// The last day.
    pub to: Option<Date>,
    /// The ISO week, such as `2026-W47`.
    pub week: Option<String>,
}

/// A period could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeriodError {
    /// The last day is before the first.
    #[error("period: expected a first day before the last, found {from} to {to}")]
    Order {
        /// The first day.
        from: Date,
        /// The last day.
        to: Date,
    },
}

impl Period {
    /// From one day to another, both inside.
    ///
    /// # Errors
    /// If the last day is before the first.
    pub fn new(from: Date, to: Date) -> Result<Self, PeriodError> {
        if from <= to { Ok(Self { from, to }) } else { Err(PeriodError::Order { from, to }) }
    }

    /// The last ISO week, Monday to Sunday, that was over by `now`.
    pub fn last_complete_week(now: Timestamp) -> Self {
        let monday = monday(utc_day(now));
        Self { from: monday.saturating_sub(7.days()), to: monday.saturating_sub(1.days()) }
    }

    /// The first day.
    pub fn from(self) -> Date {
        self.from
    }

    /// The last day, inclusive.
    pub fn to(self) -> Date {
        self.to
    }

    /// How many days.
    pub fn days(self) -> i32 {
        number(self.to) - number(self.from) + 1
    }

    /// Whether a day is inside.
    pub fn contains(self, day: Date) -> bool {
        self.from <= day && day <= self.to
    }

    /// The ISO week, such as `2026-W47`; `None` if it is not exactly one week.
    pub fn iso_week(self) -> Option<String> {
        (self.days() == 7 && self.from.weekday() == Weekday::Monday).then(|| week_name(self.from))
    }

    /// The smallest period that contains both.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }

    /// The period of the same length, `n` lengths earlier; `None` before the calendar's start.
    pub fn before(self, n: u8) -> Option<Self> {
        let back = Span::new().try_days(i32::from(n).checked_mul(self.days())?).ok()?;
        Some(Self { from: self.from.checked_sub(back).ok()?, to: self.to.checked_sub(back).ok()? })
    }
}

/// The ISO week of a day, such as `2026-W47`.
pub(crate) fn week_name(day: Date) -> String {
    let week = day.iso_week_date();
    format!("{:04}-W{:02}", week.year(), week.week())
}

/// The day of a number in the `date` column, clamped to the calendar.
pub(crate) fn date(number: i32) -> Date {
    EPOCH.saturating_add(number.clamp(DAYS.0, DAYS.1).days())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn shown(period: Period) -> String {
        format!("{}..{}", period.from, period.to)
    }

    fn week(monday: &str) -> Period {
        let monday: Date = monday.parse().unwrap();
        Period::new(monday, monday.checked_add(6.days()).unwrap()).unwrap()
    }

    #[test]
    fn a_week_is_named_by_its_iso_year_across_the_year_edge() {
        assert_eq!(week("2026-11-16").iso_week().as_deref(), Some("2026-W47"));
        assert_eq!(week("2025-12-29").iso_week().as_deref(), Some("2026-W01"));
        assert_eq!(week("2026-12-28").iso_week().as_deref(), Some("2026-W53"));
        assert_eq!(week("2026-11-17").iso_week(), None, "Tuesday to Monday is no ISO week");
    }

    #[test]
    fn a_period_ends_after_it_begins() {
        let error = Period::new("2026-11-22".parse().unwrap(), "2026-11-16".parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "period: expected a first day before the last, found 2026-11-22 to 2026-11-16");
    }

    #[test]
    fn the_last_complete_week_ended_before_today() {
        for (now, week) in [
            ("2026-11-25T10:00:00Z", "2026-11-16..2026-11-22"),
            ("2026-11-22T23:59:59Z", "2026-11-09..2026-11-15"),
            ("2026-11-23T00:00:00Z", "2026-11-16..2026-11-22"),
            ("2026-01-01T00:00:00Z", "2025-12-22..2025-12-28"),
        ] {
            assert_eq!(shown(Period::last_complete_week(at(now))), week, "at {now}");
        }
    }

    #[test]
    fn day_numbers_are_those_of_the_date_column() {
        for (day, expected) in [("1970-01-01", 0), ("1969-12-31", -1), ("2026-11-25", 20_782)] {
            let day: Date = day.parse().unwrap();
            assert_eq!(number(day), expected);
            assert_eq!(date(expected), day);
        }
        assert_eq!((number(Date::MIN), number(Date::MAX)), DAYS);
        assert_eq!((date(i32::MIN), date(i32::MAX)), (Date::MIN, Date::MAX));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_days_and_no_instant_panic(from in DAYS.0..=DAYS.1, to in DAYS.0..=DAYS.1, n: u8, now in Timestamp::MIN.as_second()..=Timestamp::MAX.as_second()) {
            let now = Timestamp::from_second(now).unwrap();
            let week = Period::last_complete_week(now);
            proptest::prop_assert!(week.from() <= week.to());
            if let Ok(period) = Period::new(date(from), date(to)) {
                proptest::prop_assert!(period.days() >= 1);
                period.iso_week();
                if let Some(before) = period.before(n) {
                    proptest::prop_assert_eq!(before.days(), period.days());
                }
            }
        }
    }

    #[test]
    fn earlier_periods_have_the_same_length_and_touch() {
        let week = week("2026-11-16");
        assert_eq!(shown(week.before(1).unwrap()), "2026-11-09..2026-11-15");
        assert_eq!(shown(week.before(8).unwrap().join(week)), "2026-09-21..2026-11-22");
    }
}
