//! Who reports on what, and who used to: reporters gone silent, domains without reports, and days on which a large
//! receiver is missing.

use crate::analyze::foreign::Foreign;
use crate::analyze::period::{Period, date, number};
use crate::analyze::senders::View;
use crate::analyze::sums::Rate;
use crate::analyze::sums::heads::ReportSums;
use crate::analyze::sums::interner::IdMap;
use jiff::civil::Date;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A reporter that used to report and no longer does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SilentReporter {
    /// Its name.
    pub org_name: Foreign,
    /// The last day it reported on.
    pub last_report: Date,
    /// Its reports in each of the last four periods with any, on average, rounded down.
    pub usual_reports: u64,
    /// Its share of the messages then, between 0 and 1.
    pub usual_share: Rate,
    /// It reported in the period, but not on its last days.
    pub partly: bool,
}

/// A domain that used to have reports and no longer does: its record may be gone, or have another address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SilentDomain {
    /// The domain.
    pub policy_domain: Foreign,
    /// The last day with a report on it.
    pub last_report: Date,
    /// Reports on it in each of the last four periods, on average, rounded down.
    pub usual_reports: u64,
    /// There are reports on it in the period, but not on its last days.
    pub partly: bool,
}

/// What fell silent.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReporterSilence {
    /// Reporters, those with most messages first.
    pub(crate) reporters: Vec<SilentReporter>,
    /// Domains, by name.
    pub(crate) domains: Vec<SilentDomain>,
    /// The IDs of reporters that sent nothing in the period.
    pub(crate) ids: BTreeSet<u32>,
}

/// Days of the period on which a receiver that matters did not report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingDays {
    /// Its name.
    pub org_name: Foreign,
    /// The days.
    pub days: Vec<Date>,
}

/// What a reporter sent on each day of the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReporterDays {
    /// Its name; `None`: all others.
    pub org_name: Option<Foreign>,
    /// How many reporters it stands for.
    pub reporters: u64,
    /// Messages in its reports.
    pub messages: u64,
    /// One entry per day of the period.
    pub days: Vec<ReportSums>,
}

/// Reporters listed day by day; the rest are one entry.
const BY_DAY: usize = 12;

/// Who reported on which day of the period; empty if it is longer than a week, or nobody did.
pub(crate) fn by_day(view: &View<'_>, period: Option<Period>) -> Vec<ReporterDays> {
    let Some(period) = period.filter(|period| period.days() <= 7) else { return Vec::new() };
    let (first, length) = (number(period.from()), usize::try_from(period.days()).unwrap_or(0));
    let mut reporters: BTreeMap<u32, Vec<ReportSums>> = BTreeMap::new();
    for ((_, reporter, day), reports) in &view.added.common.heads.reports {
        let place =
            day.checked_sub(first).and_then(|place| usize::try_from(place).ok()).filter(|place| *place < length);
        if let Some(place) = place {
            let days = reporters.entry(*reporter).or_insert_with(|| vec![ReportSums::default(); length]);
            days[place].merge(reports.all);
        }
    }
    let of = |(reporter, days): (u32, Vec<ReportSums>)| ReporterDays {
        org_name: Some(view.reporter(reporter).unwrap_or_default()),
        reporters: 1,
        messages: days.iter().fold(0_u64, |sum, day| sum.saturating_add(day.messages)),
        days,
    };
    let mut reporters: Vec<ReporterDays> = reporters.into_iter().map(of).collect();
    reporters.sort_by(|a, b| (b.messages, &a.org_name).cmp(&(a.messages, &b.org_name)));
    let rest = reporters.split_off(reporters.len().min(BY_DAY));
    if !rest.is_empty() {
        let mut others = ReporterDays {
            org_name: None,
            reporters: rest.len() as u64,
            messages: 0,
            days: vec![ReportSums::default(); length],
        };
        for reporter in &rest {
            others.messages = others.messages.saturating_add(reporter.messages);
            for (sum, day) in others.days.iter_mut().zip(&reporter.days) {
                sum.merge(*day);
            }
        }
        reporters.push(others);
    }
    reporters
}

/// What one reporter sent, or what was sent about one domain, by day, history included.
#[derive(Debug, Clone, Default)]
struct ReporterRecord(BTreeMap<i32, ReportSums>);

/// How a steady record ended.
struct End {
    last: i32,
    /// Of the last four periods.
    sums: ReportSums,
    /// It continues into the period.
    partly: bool,
}

/// The requested period: its first day, its last day and its length.
type PeriodDays = (i32, i32, i32);

impl ReporterRecord {
    fn add(&mut self, day: i32, reports: ReportSums) {
        self.0.entry(day).or_default().merge(reports);
    }

    /// Days with reports, and their sums, between two days; none if the last day is before the first.
    fn in_days(&self, from: i32, to: i32) -> (u64, ReportSums) {
        let (mut days, mut sums) = (0, ReportSums::default());
        if from <= to {
            for (_, reports) in self.0.range(from..=to) {
                days += 1;
                sums.merge(*reports);
            }
        }
        (days, sums)
    }

    /// The end of a record with five reports or more per period, two in each of the last four, and none in this one; or
    /// of one with a report nearly every day and none in the last three days or more.
    fn end(&self, (from, _, length): PeriodDays, over: i32) -> Option<End> {
        let (days, sums) = self.in_days(from - 4 * length, from - 1);
        let in_period = |back: i32| self.in_days(from - back * length, from - (back - 1) * length - 1).1;
        let steady = (1..=4).all(|back| in_period(back).reports >= 2);
        let last = self.0.keys().next_back().copied().unwrap_or(from);
        let daily = days * 10 >= u64::try_from(4 * length).unwrap_or(u64::MAX) * 9;
        let stopped = last < from && over >= from.saturating_add(2);
        let partly = last >= from && daily && last <= over.saturating_sub(3);
        (steady && sums.reports >= 20 && (stopped || partly)).then_some(End { last, sums, partly })
    }
}

/// Who reports when, over all chosen domains.
pub(crate) struct Attendance {
    /// By reporter, with its ID.
    records: BTreeMap<Foreign, (u32, ReporterRecord)>,
    /// By policy domain, with its ID.
    domains: BTreeMap<Foreign, (u32, ReporterRecord)>,
    /// Which reporters reported on which domains, history included: domain, reporter.
    pairs: BTreeSet<(u32, u32)>,
    /// `None`: everything was requested.
    current: Option<PeriodDays>,
    /// The last day that is over; reports about later ones may still arrive.
    over: i32,
}

impl Attendance {
    pub(crate) fn new(view: &View<'_>) -> Self {
        let (mut reporters, mut domains): (IdMap<u32, ReporterRecord>, IdMap<u32, ReporterRecord>) = Default::default();
        let mut pairs = BTreeSet::new();
        for ((domain, reporter, day), reports) in &view.added.common.heads.reports {
            reporters.entry(*reporter).or_default().add(*day, reports.all);
            domains.entry(*domain).or_default().add(*day, reports.all);
            pairs.insert((*domain, *reporter));
        }
        let name = |id: u32| Foreign::from(view.added.common.reporters.get(id).clone());
        let current =
            view.added.question.period.map(|period| (number(period.from()), number(period.to()), period.days()));
        // A report about yesterday may arrive tomorrow.
        let settled = view.added.question.today.map_or(i32::MAX, |today| number(today) - 2);
        Self {
            records: reporters.into_iter().map(|(id, record)| (name(id), (id, record))).collect(),
            domains: domains.into_iter().map(|(id, record)| (view.foreign(id), (id, record))).collect(),
            pairs,
            current,
            over: current.map_or(i32::MIN, |(_, to, _)| to.min(settled)),
        }
    }

    /// Reporters and domains whose steady records ended. A domain counts only if at least two reporters reported on it,
    /// and a reporter does not if it only ever reported on such domains: each end is listed once.
    pub(crate) fn silent(&self) -> ReporterSilence {
        let Some(current) = self.current else { return ReporterSilence::default() };
        let domains: Vec<(u32, SilentDomain)> = self.silent_domains(current).collect();
        let ended: BTreeSet<u32> = domains.iter().map(|(id, _)| *id).collect();
        let elsewhere: BTreeSet<u32> =
            self.pairs.iter().filter(|(domain, _)| !ended.contains(domain)).map(|(_, reporter)| *reporter).collect();
        let usual_all = self.records.values().fold(0_u64, |sum, (_, record)| {
            sum.saturating_add(record.in_days(current.0 - 4 * current.2, current.0 - 1).1.messages)
        });
        let mut silence = ReporterSilence {
            domains: domains.into_iter().map(|(_, domain)| domain).collect(),
            ..ReporterSilence::default()
        };
        for (org_name, (id, record)) in &self.records {
            let Some(end) = record.end(current, self.over) else { continue };
            if !end.partly {
                silence.ids.insert(*id);
            }
            if !elsewhere.contains(id) {
                continue;
            }
            let usual_share = Rate::of(end.sums.messages, usual_all).unwrap_or(Rate { part: 0, whole: 1 });
            silence.reporters.push(SilentReporter {
                org_name: org_name.clone(),
                last_report: date(end.last),
                usual_reports: end.sums.reports / 4,
                usual_share,
                partly: end.partly,
            });
        }
        silence.reporters.sort_by(|a, b| (b.usual_share.part, &a.org_name).cmp(&(a.usual_share.part, &b.org_name)));
        silence
    }

    fn silent_domains(&self, current: PeriodDays) -> impl Iterator<Item = (u32, SilentDomain)> {
        self.domains.iter().filter_map(move |(policy_domain, (id, record))| {
            let reporters = self.pairs.range((*id, 0)..=(*id, u32::MAX)).count();
            let end = record.end(current, self.over).filter(|_| reporters >= 2)?;
            let (last_report, usual_reports) = (date(end.last), end.sums.reports / 4);
            Some((
                *id,
                SilentDomain { policy_domain: policy_domain.clone(), last_report, usual_reports, partly: end.partly },
            ))
        })
    }

    /// Days of the period without a report from a receiver that has a tenth of all messages and otherwise reports
    /// daily; those that fell silent are listed elsewhere.
    pub(crate) fn missing_days(&self, silent: &[SilentReporter]) -> Vec<MissingDays> {
        let Some((from, _, length)) = self.current else { return Vec::new() };
        let since = from - 4 * length;
        let Ok(over) = u64::try_from(self.over.saturating_sub(since)) else { return Vec::new() };
        let from = self.first_told(from, length);
        let all = self
            .records
            .values()
            .fold(0_u64, |sum, (_, record)| sum.saturating_add(record.in_days(since, self.over).1.messages));
        let mut missing = Vec::new();
        for (org_name, (_, record)) in &self.records {
            let (days, sums) = record.in_days(since, self.over);
            let daily = days * 10 >= (over + 1) * 9;
            let told = silent.iter().any(|silent| silent.org_name == *org_name);
            if daily && !told && sums.messages >= all / 10 {
                let days: Vec<Date> = (from..=self.over).filter(|day| !record.0.contains_key(day)).map(date).collect();
                if !days.is_empty() {
                    missing.push(MissingDays { org_name: org_name.clone(), days });
                }
            }
        }
        missing
    }

    /// The days of the period, as far as it is over, on which nobody reported.
    pub(crate) fn empty_days(&self) -> Vec<Date> {
        let Some((from, _, length)) = self.current else { return Vec::new() };
        let seen: BTreeSet<i32> =
            self.records.values().flat_map(|(_, record)| record.0.range(from..)).map(|(day, _)| *day).collect();
        (self.first_told(from, length)..=self.over).filter(|day| !seen.contains(day)).map(date).collect()
    }

    /// The first day listed as without reports. In a period of years, days before the first report are not listed.
    fn first_told(&self, from: i32, length: i32) -> i32 {
        const YEAR: i32 = 366;
        if length <= YEAR { from } else { from.max(self.first_day().unwrap_or(i32::MAX)) }
    }

    /// The first day with a report.
    pub(crate) fn first_day(&self) -> Option<i32> {
        self.records.values().filter_map(|(_, record)| record.0.keys().next().copied()).min()
    }
}
