//! How often a summary is mailed, and what is mailed if all is well: everything, one line, or nothing.

use crate::analyze::{Level, Period, Summary, TlsSummary};
use crate::cli::wiring::mail_summary::things_to_fix;
use crate::cli::wiring::period::Choice;
use anyhow::anyhow;
use clap::ValueEnum;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};

/// The options as typed.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct RhythmArgs {
    /// Period of a digest: day (yesterday), week or month (the last complete one)
    #[arg(long, value_enum, value_name = "PERIOD", hide_possible_values = true)]
    every: Option<DigestPeriod>,
    /// Send no mail if there is nothing to do, nothing of yours fails, and spoofing is blocked
    #[arg(long)]
    quiet_if_well: bool,
    /// Send one line instead if all is well, to show that dmarquet is running
    #[arg(long, conflicts_with = "quiet_if_well")]
    heartbeat: bool,
}

/// The period of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DigestPeriod {
    /// Yesterday.
    Day,
    /// Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
}

/// How much is mailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The whole summary.
    Whole,
    /// One line.
    Line,
    /// Nothing.
    Nothing,
}

impl RhythmArgs {
    /// Whether the options only make sense with a mail.
    pub(crate) const fn wants_mail(&self) -> bool {
        self.quiet_if_well || self.heartbeat
    }

    /// The requested period, from `--every` or the period options.
    pub(crate) fn choice(&self, choice: &Choice, now: Timestamp, today: Date) -> anyhow::Result<Choice> {
        let Some(every) = self.every else { return Ok(choice.clone()) };
        if choice.days(today).is_some() {
            return Err(anyhow!("--every cannot be combined with another period"));
        }
        let (from, to) = match every {
            DigestPeriod::Day => (today.saturating_sub(1.day()), today.saturating_sub(1.day())),
            DigestPeriod::Week => {
                let week = Period::last_complete_week(now);
                (week.from(), week.to())
            }
            DigestPeriod::Month => {
                let last = today.first_of_month().saturating_sub(1.day());
                (last.first_of_month(), last)
            }
        };
        let mut chosen = Choice::between(from, to);
        chosen.domains.clone_from(&choice.domains);
        Ok(chosen)
    }

    /// How much of a summary is mailed.
    pub(crate) fn extent(&self, summary: &Summary) -> Extent {
        if !self.wants_mail() || !is_well(summary) {
            Extent::Whole
        } else if self.heartbeat {
            Extent::Line
        } else {
            Extent::Nothing
        }
    }
}

/// Whether nothing needs attention. Without any report, this is not known.
fn is_well(summary: &Summary) -> bool {
    let answers = &summary.answers;
    let calm = answers.own_senders.level == Level::Ok && answers.spoofing.level != Level::Alert;
    let tls_fails = summary.tls.iter().any(TlsSummary::is_failing);
    calm && !tls_fails && things_to_fix(summary) == 0 && summary.totals.reports > 0 && summary.quality.unreadable == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_the_last_complete_day_week_or_month() {
        let now: Timestamp = "2026-03-04T06:00:00Z".parse().unwrap();
        let today: Date = "2026-03-04".parse().unwrap();
        for (every, from, to) in [
            (DigestPeriod::Day, "2026-03-03", "2026-03-03"),
            (DigestPeriod::Week, "2026-02-23", "2026-03-01"),
            (DigestPeriod::Month, "2026-02-01", "2026-02-28"),
        ] {
            let args = RhythmArgs { every: Some(every), ..RhythmArgs::default() };
            let choice = args.choice(&Choice::default(), now, today).unwrap();
            assert_eq!(choice.days(today), Some((from.parse().ok(), to.parse().ok())), "{every:?}");
            assert!(args.choice(&choice, now, today).is_err(), "two periods");
        }
    }
}
