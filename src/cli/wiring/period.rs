//! The period options `--week`, `--last`, `--from` and `--to`, resolved to a first and a last day.
//!
//! Both days are inclusive, and all days are UTC.

use crate::normalize::canonical_domain;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, FromArgMatches};
use jiff::civil::{Date, ISOWeekDate, Weekday};
use jiff::tz::Offset;
use jiff::{Span, Timestamp};
use std::str::FromStr;

/// The options as given.
#[derive(Debug, clap::Args)]
struct Typed {
    /// One ISO week, such as 2026-W47
    #[arg(long, value_name = "WEEK", help_heading = "Period (days are UTC)")]
    week: Option<Week>,
    /// The last days until yesterday, such as 7d, 4w, 3m or 1y
    #[arg(long, value_name = "TIME", help_heading = "Period (days are UTC)")]
    last: Option<Stretch>,
    /// From this day, such as 2026-11-16
    #[arg(long, value_name = "DATE", value_parser = day, help_heading = "Period (days are UTC)")]
    from: Option<Date>,
    /// Until this day, inclusive
    #[arg(long, value_name = "DATE", value_parser = day, help_heading = "Period (days are UTC)")]
    to: Option<Date>,
    /// Only reports about this domain; may be repeated
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',')]
    domain: Vec<String>,
}

/// The requested period and domains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    period: RequestedPeriod,
    /// The policy domains in canonical form; none: all.
    pub(crate) domains: Vec<String>,
}

/// The requested period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum RequestedPeriod {
    #[default]
    Unsaid,
    Last(Stretch),
    Between(Option<Date>, Option<Date>),
}

impl Choice {
    /// These days, for all domains.
    pub(crate) fn between(from: Date, to: Date) -> Self {
        Self { period: RequestedPeriod::Between(Some(from), Some(to)), domains: Vec::new() }
    }

    /// The first and last requested day; `None`: the command's default applies.
    pub(crate) fn days(&self, today: Date) -> Option<(Option<Date>, Option<Date>)> {
        match self.period {
            RequestedPeriod::Unsaid => None,
            RequestedPeriod::Last(stretch) => Some((stretch.before(today), today.yesterday().ok())),
            RequestedPeriod::Between(from, to) => Some((from, to)),
        }
    }
}

impl clap::Args for Choice {
    fn augment_args(command: Command) -> Command {
        Typed::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Typed::augment_args_for_update(command)
    }
}

impl FromArgMatches for Choice {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut typed = Typed::from_arg_matches(matches)?;
        let on_line = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        if ["week", "last", "from", "to"].into_iter().any(on_line) {
            // A period on the command line overrides one in the environment, whichever option that uses.
            typed.week = typed.week.filter(|_| on_line("week"));
            typed.last = typed.last.filter(|_| on_line("last"));
            typed.from = typed.from.filter(|_| on_line("from"));
            typed.to = typed.to.filter(|_| on_line("to"));
        }
        let domains = typed.domain.iter().map(|domain| canonical(domain)).collect::<Result<_, _>>()?;
        Ok(Self { period: typed.period()?, domains })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Typed {
    fn period(&self) -> Result<RequestedPeriod, clap::Error> {
        match (self.week, self.last, self.from, self.to) {
            (None, None, None, None) => Ok(RequestedPeriod::Unsaid),
            (Some(week), None, None, None) => Ok(RequestedPeriod::Between(Some(week.first()), Some(week.last()))),
            (None, Some(stretch), None, None) => Ok(RequestedPeriod::Last(stretch)),
            (None, None, Some(from), Some(to)) if from > to => {
                Err(conflict(format!("period: expected --from on or before --to, found {from} and {to}")))
            }
            (None, None, from, to) => Ok(RequestedPeriod::Between(from, to)),
            _ => Err(conflict("period: expected one of --week, --last, or --from and --to, found several".to_owned())),
        }
    }
}

fn canonical(domain: &str) -> Result<String, clap::Error> {
    let canonical = canonical_domain(domain).map(|domain| domain.as_str().to_owned());
    canonical.ok_or_else(|| conflict(format!("--domain: expected a domain such as example.com, found {domain:?}")))
}

fn conflict(message: String) -> clap::Error {
    clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, message + "\n")
}

/// One ISO week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Week(ISOWeekDate);

impl Week {
    pub(crate) fn first(self) -> Date {
        self.0.first_of_week().map_or(Date::MIN, ISOWeekDate::date)
    }

    fn last(self) -> Date {
        self.0.last_of_week().map_or(Date::MAX, ISOWeekDate::date)
    }
}

impl FromStr for Week {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('-').and_then(|(year, week)| {
            let week = week.strip_prefix(['W', 'w'])?;
            Some((year.parse().ok()?, week.parse().ok()?))
        });
        let (year, week) = parts.ok_or("expected a year and an ISO week, such as 2026-W47")?;
        ISOWeekDate::new(year, week, Weekday::Monday)
            .map(Self)
            .map_err(|_| format!("expected an ISO week that {year} has, W01 to W52 or W53"))
    }
}

/// Reads a day.
pub(crate) fn day(text: &str) -> Result<Date, &'static str> {
    text.parse().map_err(|_| "expected a day, such as 2026-11-16")
}

/// A number of days, weeks, months or years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    count: i32,
    unit: PeriodUnit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PeriodUnit {
    Days,
    Weeks,
    Months,
    Years,
}

impl Stretch {
    /// The day this long before another; `None` if it is out of range.
    pub(crate) fn before(self, day: Date) -> Option<Date> {
        day.checked_sub(self.span()?).ok()
    }

    /// The instant this long before another; the earliest one if it is out of range.
    pub(crate) fn before_instant(self, now: Timestamp) -> Timestamp {
        let then = self.span().and_then(|span| Offset::UTC.to_datetime(now).checked_sub(span).ok());
        then.and_then(|then| Offset::UTC.to_timestamp(then).ok()).unwrap_or(Timestamp::MIN)
    }

    /// `None` if it is out of range.
    fn span(self) -> Option<Span> {
        let span = Span::new();
        let span = match self.unit {
            PeriodUnit::Days => span.try_days(self.count),
            PeriodUnit::Weeks => span.try_weeks(self.count),
            PeriodUnit::Months => span.try_months(self.count),
            PeriodUnit::Years => span.try_years(self.count),
        };
        span.ok()
    }
}

impl std::fmt::Display for Stretch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = match self.unit {
            PeriodUnit::Days => "day",
            PeriodUnit::Weeks => "week",
            PeriodUnit::Months => "month",
            PeriodUnit::Years => "year",
        };
        let plural = if self.count == 1 { "" } else { "s" };
        write!(f, "{} {unit}{plural}", self.count)
    }
}

impl FromStr for Stretch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected a number and a unit (d, w, m for months, or y), such as 7d";
        let unit = match text.chars().last() {
            Some('d') => PeriodUnit::Days,
            Some('w') => PeriodUnit::Weeks,
            Some('m') => PeriodUnit::Months,
            Some('y') => PeriodUnit::Years,
            _ => return Err(EXPECTED.to_owned()),
        };
        match text[..text.len() - 1].parse() {
            Ok(count @ 1..) => Ok(Self { count, unit }),
            _ => Err(EXPECTED.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Choice, Stretch, Week};
    use clap::{Args as _, FromArgMatches as _};
    use jiff::Timestamp;
    use jiff::civil::date;
    use jiff::tz::Offset;

    fn choice(line: &str) -> Result<Choice, clap::Error> {
        let command = Choice::augment_args(clap::Command::new("x"));
        let matches = command.try_get_matches_from(line.split(' '))?;
        Choice::from_arg_matches(&matches)
    }

    fn days(line: &str) -> (Option<jiff::civil::Date>, Option<jiff::civil::Date>) {
        choice(line).unwrap().days(date(2026, 11, 25)).unwrap()
    }

    #[test]
    fn a_week_is_monday_to_sunday_also_over_a_year_s_edge() {
        assert_eq!(days("x --week 2026-W47"), (Some(date(2026, 11, 16)), Some(date(2026, 11, 22))));
        assert_eq!(days("x --week 2026-W53"), (Some(date(2026, 12, 28)), Some(date(2027, 1, 3))));
    }

    #[test]
    fn the_last_days_end_yesterday() {
        assert_eq!(days("x --last 7d"), (Some(date(2026, 11, 18)), Some(date(2026, 11, 24))));
        assert_eq!(days("x --last 1d"), (Some(date(2026, 11, 24)), Some(date(2026, 11, 24))));
    }

    #[test]
    fn one_end_of_a_period_may_stay_open() {
        assert_eq!(days("x --from 2026-11-01"), (Some(date(2026, 11, 1)), None));
        assert_eq!(choice("x").unwrap().days(date(2026, 11, 25)), None);
    }

    #[test]
    fn two_ways_to_name_a_period_are_an_error() {
        for line in
            ["x --week 2026-W47 --last 7d", "x --last 7d --from 2026-11-01", "x --from 2026-11-02 --to 2026-11-01"]
        {
            assert!(choice(line).unwrap_err().to_string().contains("expected"), "{line}");
        }
    }

    #[test]
    fn weeks_that_do_not_exist_are_refused_with_what_was_expected() {
        assert_eq!("2025-W53".parse::<Week>().unwrap_err(), "expected an ISO week that 2025 has, W01 to W52 or W53");
        for text in ["2026W47", "2026-47", "x", "", "-W", "2026-W"] {
            assert_eq!(
                text.parse::<Week>().unwrap_err(),
                "expected a year and an ISO week, such as 2026-W47",
                "{text}"
            );
        }
    }

    #[test]
    fn stretches_have_a_unit_and_may_be_longer_than_the_calendar() {
        assert_eq!("24m".parse::<Stretch>().unwrap().before(date(2026, 11, 25)), Some(date(2024, 11, 25)));
        for text in ["999999999d", "2147483647w", "2147483647m", "20000y"] {
            let stretch: Stretch = text.parse().unwrap();
            assert_eq!(
                (stretch.before(date(2026, 11, 25)), stretch.before_instant(Timestamp::MAX)),
                (None, Timestamp::MIN)
            );
        }
        for text in ["7", "d", "0d", "-1d", "99999999999d", "7é", ""] {
            assert!(text.parse::<Stretch>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_words_and_no_clock_panic(
            text in proptest::prop_oneof!["[0-9]{1,11}[dwmy]", "-?[0-9]{1,6}-W[0-9]{1,3}"],
            now in Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(),
        ) {
            let now = Timestamp::from_second(now).unwrap();
            if let Ok(stretch) = text.parse::<Stretch>() {
                stretch.before(Offset::UTC.to_datetime(now).date());
                proptest::prop_assert!(stretch.before_instant(now) <= now);
            }
            if let Ok(week) = text.parse::<Week>() {
                proptest::prop_assert!(week.first() <= week.last());
            }
        }
    }
}
