//! The days an answer speaks of, all in UTC. In: a week's name, a number of days, two dates, and `now` as a value.
//! Out: [`Period`], both days inside. It never reads the clock.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, ISOWeekDate, Weekday},
    tz::Offset,
};

/// Day 0 of the `date` column.
const EPOCH: Date = Date::constant(1970, 1, 1);

/// A run of whole UTC days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Period {
    from: Date,
    to: Date,
}

/// A period could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeriodError {
    /// Not a week's name.
    #[error("week: expected a year and a week, as 2026-W47, found `{0}`")]
    Week(String),
    /// Not a length.
    #[error("length of time: expected days or weeks, as 7d or 4w, found `{0}`")]
    Length(String),
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
    /// Where the last day is before the first.
    pub fn new(from: Date, to: Date) -> Result<Self, PeriodError> {
        if from <= to { Ok(Self { from, to }) } else { Err(PeriodError::Order { from, to }) }
    }

    /// The ISO week of a name: `2026-W47`, also `2026W47` and `2026-w47`.
    ///
    /// # Errors
    /// Where the name is no week's.
    pub fn week(name: &str) -> Result<Self, PeriodError> {
        let wrong = || PeriodError::Week(name.to_owned());
        let (year, week) = name.split_once(['W', 'w']).ok_or_else(wrong)?;
        let year = year.strip_suffix('-').unwrap_or(year);
        if year.len() != 4 || week.len() != 2 || !year.bytes().chain(week.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let (year, week) = (year.parse().map_err(|_| wrong())?, week.parse().map_err(|_| wrong())?);
        let monday = ISOWeekDate::new(year, week, Weekday::Monday).map_err(|_| wrong())?.date();
        Self::of_length(monday, 7).ok_or_else(wrong)
    }

    /// The last whole days before today: `7d`, `4w`.
    ///
    /// # Errors
    /// Where the length is none, or over 100 years.
    pub fn last(length: &str, now: Timestamp) -> Result<Self, PeriodError> {
        let wrong = || PeriodError::Length(length.to_owned());
        let (number, unit) = match length.as_bytes() {
            [.., b'd' | b'D'] => (&length[..length.len() - 1], 1),
            [.., b'w' | b'W'] => (&length[..length.len() - 1], 7),
            _ => return Err(wrong()),
        };
        let number: i32 = number.parse().ok().filter(|number| (1..=36_500).contains(number)).ok_or_else(wrong)?;
        let days = number * unit;
        let from = today(now).checked_sub(days.days()).map_err(|_| wrong())?;
        Self::of_length(from, days).ok_or_else(wrong)
    }

    /// The last ISO week, Monday to Sunday, that was over by `now`.
    pub fn last_complete_week(now: Timestamp) -> Self {
        let today = today(now);
        let monday = today.saturating_sub(i32::from(today.weekday().to_monday_zero_offset()).days());
        Self { from: monday.saturating_sub(7.days()), to: monday.saturating_sub(1.days()) }
    }

    /// So many days from a first one; null past the calendar's end.
    fn of_length(from: Date, days: i32) -> Option<Self> {
        Some(Self { from, to: from.checked_add((days - 1).days()).ok()? })
    }

    /// The first day.
    pub fn from(self) -> Date {
        self.from
    }

    /// The last day, inside.
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

    /// The ISO week this is, as `2026-W47`; null where it is no whole week.
    pub fn iso_week(self) -> Option<String> {
        (self.days() == 7 && self.from.weekday() == Weekday::Monday).then(|| week_name(self.from))
    }

    /// The smallest period that holds both.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }

    /// The period of the same length `n` times before this one; null before the calendar's start.
    pub fn before(self, n: u8) -> Option<Self> {
        let back = (i32::from(n) * self.days()).days();
        Some(Self { from: self.from.checked_sub(back).ok()?, to: self.to.checked_sub(back).ok()? })
    }
}

/// The ISO week a day is in, as `2026-W47`.
pub(crate) fn week_name(day: Date) -> String {
    let week = day.iso_week_date();
    format!("{:04}-W{:02}", week.year(), week.week())
}

/// The UTC day of an instant.
pub(crate) fn today(now: Timestamp) -> Date {
    Offset::UTC.to_datetime(now).date()
}

/// Days since 1970-01-01.
pub(crate) fn number(day: Date) -> i32 {
    i32::try_from(day.duration_since(EPOCH).as_hours() / 24).expect("a calendar of 20,000 years has fewer days")
}

/// The day of a number of the `date` column; the calendar's nearest end where it has none.
pub(crate) fn date(number: i32) -> Date {
    EPOCH.saturating_add(number.days())
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

    #[test]
    fn a_week_runs_from_monday_to_sunday_across_the_year_edge() {
        assert_eq!(shown(Period::week("2026-W47").unwrap()), "2026-11-16..2026-11-22");
        assert_eq!(shown(Period::week("2026W01").unwrap()), "2025-12-29..2026-01-04");
        assert_eq!(shown(Period::week("2026-w53").unwrap()), "2026-12-28..2027-01-03");
        assert_eq!(Period::week("2026-W01").unwrap().iso_week().unwrap(), "2026-W01");
    }

    #[test]
    fn a_week_that_is_none_says_what_was_expected() {
        for wrong in ["2025-W53", "2026-W00", "2026-W54", "W47", "2026-47", "2026-W+1", "26-W47", ""] {
            let error = Period::week(wrong).unwrap_err().to_string();
            assert_eq!(error, format!("week: expected a year and a week, as 2026-W47, found `{wrong}`"));
        }
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
    fn the_last_days_are_whole_days_before_today() {
        let now = at("2026-11-25T10:00:00Z");
        assert_eq!(shown(Period::last("7d", now).unwrap()), "2026-11-18..2026-11-24");
        assert_eq!(shown(Period::last("4w", now).unwrap()), "2026-10-28..2026-11-24");
        for wrong in ["", "d", "7", "0d", "-1d", "7 d", "99999999999d", "é"] {
            assert!(Period::last(wrong, now).is_err(), "{wrong}");
        }
    }

    #[test]
    fn day_numbers_are_those_of_the_date_column() {
        for (day, expected) in [("1970-01-01", 0), ("1969-12-31", -1), ("2026-11-25", 20_782)] {
            let day: Date = day.parse().unwrap();
            assert_eq!(number(day), expected);
            assert_eq!(date(expected), day);
        }
    }

    #[test]
    fn earlier_periods_have_the_same_length_and_touch() {
        let week = Period::week("2026-W47").unwrap();
        assert_eq!(shown(week.before(1).unwrap()), "2026-11-09..2026-11-15");
        assert_eq!(shown(week.before(8).unwrap().join(week)), "2026-09-21..2026-11-22");
    }
}
