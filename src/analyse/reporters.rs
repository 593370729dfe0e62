//! Who reports, and who used to. In: reports by reporter and day. Out: reporters gone silent, and days on which a big
//! receiver is missing.

use super::{
    Foreign,
    interner::Table,
    period::{date, number},
    summary::form,
    view::View,
};
use jiff::civil::Date;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A reporter that used to report and does not any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SilentReporter {
    /// Its name.
    pub org_name: Foreign,
    /// The last day it reported on.
    #[serde(serialize_with = "form::day")]
    pub last_report: Date,
    /// Reports of it in each of the last four periods with its reports, on average, rounded down.
    pub usual_reports: u64,
    /// Its share of the messages then, between 0 and 1.
    pub usual_share: super::Rate,
    /// It did report in the period, but not on its last days.
    pub partly: bool,
}

/// Days of the period on which a receiver that matters did not report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingDays {
    /// Its name.
    pub org_name: Foreign,
    /// The days.
    #[serde(serialize_with = "form::days")]
    pub days: Vec<Date>,
}

/// What one reporter sent, by day.
#[derive(Debug, Clone, Default)]
struct Record {
    /// Reports and messages by day, history included.
    days: BTreeMap<i32, (u64, u64)>,
}

impl Record {
    fn in_days(&self, from: i32, to: i32) -> (usize, u64, u64) {
        let days = self.days.range(from..=to);
        days.fold((0, 0, 0), |(days, reports, messages), (_, more)| {
            (days + 1, reports + more.0, messages.saturating_add(more.1))
        })
    }
}

/// Who reports when, over all chosen domains.
pub(crate) struct Attendance {
    records: BTreeMap<Foreign, (u32, Record)>,
    /// The first day, the last day and the length of the period; null: everything was asked for.
    asked: Option<(i32, i32, i32)>,
    /// The last day of the period that is over; reports of later ones may still come.
    over: i32,
}

impl Attendance {
    pub(crate) fn new(view: &View<'_>) -> Self {
        let mut by_id: Table<u32, Record> = Table::default();
        for ((_, reporter, day), reports) in &view.adder.heads.reports {
            let entry = by_id.entry(*reporter).or_default().days.entry(*day).or_default();
            *entry = (entry.0 + reports.number, entry.1.saturating_add(reports.messages));
        }
        let name = |id: u32| Foreign::from(view.adder.reporters.get(id).clone());
        let asked =
            view.adder.question.period.map(|period| (number(period.from()), number(period.to()), period.days()));
        // A report of yesterday may come tomorrow.
        let settled = view.adder.question.today.map_or(i32::MAX, |today| number(today) - 2);
        Self {
            records: by_id.into_iter().map(|(id, record)| (name(id), (id, record))).collect(),
            asked,
            over: asked.map_or(i32::MIN, |(_, to, _)| to.min(settled)),
        }
    }

    /// Reporters that sent five reports or more a period, in every one of the last four, and none in this one; or that
    /// reported nearly every day and stopped for the last three days or more. Those with most messages first.
    pub(crate) fn silent(&self) -> (Vec<SilentReporter>, BTreeSet<u32>) {
        let Some((from, _, length)) = self.asked else { return Default::default() };
        let usual_from = from - 4 * length;
        let usual_all = self
            .records
            .values()
            .fold(0_u64, |sum, (_, record)| sum.saturating_add(record.in_days(usual_from, from - 1).2));
        let (mut silent, mut ids) = (Vec::new(), BTreeSet::new());
        for (org_name, (id, record)) in &self.records {
            let (days, reports, messages) = record.in_days(usual_from, from - 1);
            let steady =
                (1..=4).all(|back| record.in_days(from - back * length, from - (back - 1) * length - 1).1 >= 2);
            let last = record.days.keys().next_back().copied().unwrap_or(from);
            let daily = days as u64 * 10 >= u64::try_from(4 * length).unwrap_or(u64::MAX) * 9;
            let stopped = last < from && self.over >= from + 2;
            let partly = last >= from && daily && last <= self.over - 3;
            if !(steady && reports >= 20 && (stopped || partly)) {
                continue;
            }
            let usual_share = super::Rate::of(messages, usual_all).unwrap_or(super::Rate { part: 0, whole: 1 });
            silent.push(SilentReporter {
                org_name: org_name.clone(),
                last_report: date(last),
                usual_reports: reports / 4,
                usual_share,
                partly,
            });
            if !partly {
                ids.insert(*id);
            }
        }
        silent.sort_by(|a, b| (b.usual_share.part, &a.org_name).cmp(&(a.usual_share.part, &b.org_name)));
        (silent, ids)
    }

    /// Days of the period without a report of a receiver that has a tenth of all messages and otherwise reports daily;
    /// those that fell silent are told elsewhere.
    pub(crate) fn missing_days(&self, silent: &[SilentReporter]) -> Vec<MissingDays> {
        let Some((from, _, length)) = self.asked else { return Vec::new() };
        let since = from - 4 * length;
        let all = self
            .records
            .values()
            .fold(0_u64, |sum, (_, record)| sum.saturating_add(record.in_days(since, self.over).2));
        let mut missing = Vec::new();
        for (org_name, (_, record)) in &self.records {
            let (days, _, messages) = record.in_days(since, self.over);
            let daily = days as u64 * 10 >= u64::try_from(self.over - since + 1).unwrap_or(u64::MAX) * 9;
            let told = silent.iter().any(|silent| silent.org_name == *org_name);
            if daily && !told && messages >= all / 10 {
                let days: Vec<Date> =
                    (from..=self.over).filter(|day| !record.days.contains_key(day)).map(date).collect();
                if !days.is_empty() {
                    missing.push(MissingDays { org_name: org_name.clone(), days });
                }
            }
        }
        missing
    }

    /// The days of the period, as far as it is over, on which nobody reported.
    pub(crate) fn empty_days(&self) -> Vec<Date> {
        let Some((from, _, _)) = self.asked else { return Vec::new() };
        (from..=self.over)
            .filter(|day| !self.records.values().any(|(_, record)| record.days.contains_key(day)))
            .map(date)
            .collect()
    }

    /// The first day of all that was read with a report.
    pub(crate) fn first_day(&self) -> Option<i32> {
        self.records.values().filter_map(|(_, record)| record.days.keys().next().copied()).min()
    }
}
