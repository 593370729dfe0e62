//! What verdicts count of a sender: its messages of the eight weeks and of the period, by what they prove or cost.

use super::Role;
use super::auth_pattern::PathResult;
use super::causes::Causes;
use super::classify::{Identity, JudgedRow};
use super::history::Horizon;
use super::reporter_set::ReporterSet;
use super::view::SourceFact;
use crate::analyze::sums::interner::NONE;
use crate::analyze::sums::{DayCounts, Messages};
use crate::model::Cause;

/// Messages of a sender as verdicts count them, of the eight weeks and of the period.
#[derive(Debug, Clone, Default)]
pub(crate) struct VerdictCounts {
    pub(crate) all: PeriodMessages,
    /// Failing ones, except temporary errors.
    pub(crate) failing: PeriodMessages,
    /// Those of them that the next policy step affects.
    pub(crate) governed: PeriodMessages,
    /// Failing ones of an own sender that the step affects and that receivers say were forwarded.
    pub(crate) forwarded: PeriodMessages,
    /// Failing ones, by day, and passing ones; of own senders.
    pub(crate) days: DayCounts,
    /// Whether any passed, once the days are forgotten.
    pub(crate) ever_passed: bool,
    /// Who saw the failing ones.
    pub(crate) failing_reporters: ReporterSet,
    /// Failing ones of the period that receivers blocked.
    pub(crate) lost_now: Messages,
    /// Why those of the eight weeks fail.
    causes: Causes,
    /// The last day with a failing one.
    pub(crate) last_failing: Option<i32>,
    /// Those of the eight weeks without a signature of the domain.
    pub(crate) unsigned: Messages,
    /// Those of the eight weeks whose own return path passes SPF.
    pub(crate) spf_pass: Messages,
    /// Failing ones of the period that strict alignment does not accept although DKIM passes, and although SPF does.
    pub(crate) strict: (Messages, Messages),
    /// The first day of the eight weeks with such a one.
    pub(crate) strict_since: Option<i32>,
    /// Failing unauthenticated ones of the period with the domain's own return path, and one of those.
    pub(crate) unlisted: Messages,
    pub(crate) unlisted_path: Option<u32>,
}

/// Messages of the eight weeks, and those of the period among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PeriodMessages {
    pub(crate) weeks: Messages,
    pub(crate) period: Messages,
}

impl PeriodMessages {
    pub(crate) fn add(&mut self, messages: Messages, in_weeks: bool, in_period: bool) {
        self.weeks += messages.only_if(in_weeks);
        self.period += messages.only_if(in_period);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.weeks += other.weeks;
        self.period += other.period;
    }
}

impl VerdictCounts {
    /// Adds a row. `governed` says whether the next policy step affects it.
    pub(super) fn add(&mut self, item: &SourceFact<'_>, row: &JudgedRow, governed: bool, horizon: Horizon) {
        let SourceFact { pattern, fact, judged, .. } = *item;
        let (in_weeks, in_period) = (horizon.judges(fact.day), pattern.current);
        let now = judged.only_if(in_period);
        self.all.add(judged, in_weeks, in_period);
        if row.role == Role::Own {
            self.days.add(fact.day, judged.only_if(pattern.passes), judged.only_if(pattern.fails()));
        }
        if in_weeks {
            self.unsigned += judged.only_if(!pattern.signed());
            self.spf_pass += judged.only_if(pattern.path == PathResult::OwnPass);
        }
        if !pattern.fails() {
            return;
        }
        self.failing.add(judged, in_weeks, in_period);
        if governed {
            let passed_on = row.role == Role::Own && row.cause == Cause::ForwardedDeclared;
            let sums = if passed_on { &mut self.forwarded } else { &mut self.governed };
            sums.add(judged, in_weeks, in_period);
        }
        self.lost_now += now.only_if(pattern.blocked);
        self.last_failing = self.last_failing.max(Some(fact.day));
        if in_weeks {
            self.failing_reporters.insert(fact.reporter);
            self.causes.add(row.cause, judged.0, judged);
        }
        if in_weeks && pattern.own_pass() {
            self.strict_since = self.strict_since.into_iter().chain([fact.day]).min();
        }
        if !pattern.verified.is_empty() {
            self.strict.0 += now;
        } else if pattern.path == PathResult::OwnPass {
            self.strict.1 += now;
        }
        let own_path = matches!(pattern.path, PathResult::OwnFail | PathResult::OwnError);
        if own_path && row.identity == Identity::Nobody && now.0 > 0 {
            self.unlisted += now;
            let path = Some(pattern.return_path).filter(|path| *path != NONE);
            self.unlisted_path = self.unlisted_path.or(path);
        }
    }

    /// Reduces the days to whether any message passed.
    pub(crate) fn forget_days(&mut self) {
        self.ever_passed = self.days.all().0.0 > 0;
        self.days = DayCounts::default();
    }

    /// Why those of the eight weeks fail.
    pub(super) fn failing_cause(&self) -> Cause {
        self.causes.diagnosis()
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.all.merge(other.all);
        self.governed.merge(other.governed);
        self.days.merge(&other.days);
        self.failing_reporters.merge(&other.failing_reporters);
        self.lost_now += other.lost_now;
        self.failing.merge(other.failing);
        self.forwarded.merge(other.forwarded);
        self.causes.merge(&other.causes);
        self.last_failing = self.last_failing.max(other.last_failing);
        self.unsigned += other.unsigned;
        self.spf_pass += other.spf_pass;
        self.strict_since = self.strict_since.into_iter().chain(other.strict_since).min();
        self.strict = (self.strict.0 + other.strict.0, self.strict.1 + other.strict.1);
        self.unlisted += other.unlisted;
        self.unlisted_path = self.unlisted_path.or(other.unlisted_path);
    }
}
