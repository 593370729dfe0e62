//! Which rows a command reads (the store, a folder of Parquet, or report files), and for which period and domains.

use super::period::Choice;
use super::rejections::Rejections;
use super::run::CommandContext;
use super::storeless;
use crate::analyze::{Acknowledged, Adder, Explainer, HostName, Network, Period, Question, Summary};
use crate::cli::settings::file::Settings;
use crate::cli::terminal::exit::Exit;
use crate::ingest::ReportSink;
use crate::model::{Accepted, AcceptedTls, ReportHead, Rows, TlsPolicyRow, utc_day};
use crate::store::{Collector, Filter, Store, StoreError, StoredName, head};
use std::path::PathBuf;
use std::sync::Arc;

/// Rows of files added up at once.
const AT_ONCE: usize = 1 << 14;

/// The source of the rows.
pub(crate) enum From<'a> {
    /// This store or folder of Parquet files.
    Store(Box<Store>),
    /// These report files, mails and folders.
    Paths(&'a [PathBuf]),
}

impl From<'_> {
    /// The store, unless files are read.
    pub(crate) fn store(&self) -> Option<&Store> {
        match self {
            From::Store(store) => Some(store),
            From::Paths(_) => None,
        }
    }
}

/// The question, and the rows it needs.
pub(crate) struct Selection {
    /// The question.
    pub(crate) question: Question,
    /// The rows it needs, including history.
    filter: Filter,
}

/// Adds up reports and rows, from several threads at once.
pub(crate) trait Sum: Sync {
    /// Adds reports.
    fn heads(&self, heads: &[ReportHead]);
    /// Adds rows.
    fn rows(&self, rows: &Rows);
    /// Adds a row about a TLS policy.
    fn tls(&mut self, row: TlsPolicyRow) {
        let _ = row;
    }
    /// Adds items without rows whose domain is wanted; `None` is an unknown domain.
    fn aside(&mut self, rejections: &Rejections, wanted: &dyn Fn(Option<&str>) -> bool);
}

impl Sum for Adder {
    fn heads(&self, heads: &[ReportHead]) {
        Adder::heads(self, heads);
    }

    fn rows(&self, rows: &Rows) {
        Adder::rows(self, rows);
    }

    fn tls(&mut self, row: TlsPolicyRow) {
        Adder::tls(self, &row);
    }

    fn aside(&mut self, rejections: &Rejections, wanted: &dyn Fn(Option<&str>) -> bool) {
        Adder::aside(self, rejections.count(wanted));
    }
}

impl Sum for Explainer {
    fn heads(&self, heads: &[ReportHead]) {
        Explainer::heads(self, heads);
    }

    fn rows(&self, rows: &Rows) {
        Explainer::rows(self, rows);
    }

    /// Items without rows do not explain one source.
    fn aside(&mut self, _: &Rejections, _: &dyn Fn(Option<&str>) -> bool) {}
}

impl Selection {
    /// Determines the days: as given, else the last complete week of a store, or all days of paths.
    pub(crate) fn new(run: &CommandContext, choice: &Choice, paths: &[PathBuf]) -> anyhow::Result<Self> {
        let today = run.today();
        let domains = &choice.domains;
        let days = choice.days(today).unwrap_or_else(|| {
            if paths.is_empty() {
                let week = Period::last_complete_week(run.now);
                (Some(week.from()), Some(week.to()))
            } else {
                (None, None)
            }
        });
        let period = match days {
            (Some(from), Some(to)) => Some(Period::new(from, to)?),
            // Open at one end: all rows within it.
            _ => None,
        };
        let question = Question {
            period,
            domains: domains.iter().map(|domain| domain.as_str().into()).collect(),
            today: Some(today),
            ..Question::default()
        };
        let (from, to) = question.reads().map_or(days, |reads| (Some(reads.from()), Some(reads.to())));
        Ok(Self { question, filter: Filter { from, to, domains: domains.clone(), ..Filter::default() } })
    }

    /// A period of a store, about all domains.
    pub(crate) fn of_period(question: Question, period: Period) -> Self {
        let question = Question { period: Some(period), ..question };
        let reads = question.reads().unwrap_or(period);
        Self { question, filter: Filter { from: Some(reads.from()), to: Some(reads.to()), ..Filter::default() } }
    }

    /// Restricts a store to these domains; at least one.
    pub(crate) fn read_only(&mut self, domains: Vec<String>) {
        self.filter.domains = domains;
    }

    /// Adds up the rows.
    pub(crate) fn gather<S: Sum>(&self, run: &CommandContext, from: &From<'_>, sum: S) -> anyhow::Result<(S, Exit)> {
        match from {
            From::Store(store) => Ok((self.of_store(store, sum)?, Exit::Handled)),
            From::Paths(paths) => self.of_paths(run, paths, sum),
        }
    }

    /// Adds up a store.
    fn of_store<S: Sum>(&self, store: &Store, mut sum: S) -> anyhow::Result<S> {
        sum.aside(&self.rejections(store)?, &|_| true);
        store.tls_policies(&self.filter, &mut |row| sum.tls(row))?;
        add_rows(store, &self.filter, &self.question, &sum)?;
        Ok(sum)
    }

    /// Adds up files, report by report.
    fn of_paths<S: Sum>(&self, run: &CommandContext, paths: &[PathBuf], mut sum: S) -> anyhow::Result<(S, Exit)> {
        let mut reports = SummedReports { selection: self, sum: &mut sum, rows: Collector::new() };
        let (tally, exit) = storeless::read(run, paths, &mut reports)?;
        reports.sum.rows(&reports.rows.take());
        sum.aside(&Rejections::of_run(&tally), &|_| true);
        Ok((sum, exit))
    }

    /// Items of the requested days without rows: those that arrived then, and reports in conflict with one of those
    /// days.
    fn rejections(&self, store: &Store) -> anyhow::Result<Rejections> {
        let contains = |day| self.question.period.is_none_or(|period| period.contains(day));
        let (rejected, conflicts) = (store.rejected()?, store.conflicts()?);
        let rejected = rejected.iter().filter(|entry| contains(utc_day(entry.arrival)));
        let is_of_then =
            |entry: &&crate::store::ConflictEntry| entry.day.is_some_and(contains) || contains(utc_day(entry.arrival));
        Ok(Rejections::kept(rejected, conflicts.iter().filter(is_of_then)))
    }
}

/// Adds up the reports in files as they are read.
struct SummedReports<'a, S> {
    selection: &'a Selection,
    sum: &'a mut S,
    rows: Collector,
}

impl<S: Sum> ReportSink for SummedReports<'_, S> {
    fn stored(&mut self, accepted: Accepted) -> Result<(), StoreError> {
        if self.selection.filter.has_day(accepted.report.day) {
            let head = head(&accepted);
            let judged = (accepted.verdicts.as_slice(), head.sender_auth);
            self.sum.heads(&[head]);
            self.rows.push(&accepted.report, judged, AT_ONCE, |rows| self.sum.rows(rows));
        }
        Ok(())
    }

    fn stored_tls(&mut self, accepted: AcceptedTls) -> Result<(), StoreError> {
        if self.selection.filter.has_day(accepted.report.day) {
            accepted.rows().for_each(|row| self.sum.tls(row));
        }
        Ok(())
    }
}

/// Adds up the rows and report heads of a store that a question is about, on all cores.
pub(crate) fn add_rows(store: &Store, filter: &Filter, question: &Question, sum: &impl Sum) -> Result<(), StoreError> {
    let columns = |last| question.columns(last);
    store.all(filter, &columns, |rows| sum.rows(&rows), &mut |head| sum.heads(&[head]))
}

/// The question of `summary` about all domains of a store, without a period.
pub(crate) fn question(run: &CommandContext, store: &Store) -> anyhow::Result<Question> {
    let mut question = Question { today: Some(run.today()), ..Question::default() };
    add_settings(run.settings()?, &mut question)?;
    add_store(store, &mut question)?;
    Ok(question)
}

/// The summary of a period of a store, about all domains.
pub(crate) fn summary(run: &CommandContext, store: Store, period: Period) -> anyhow::Result<Summary> {
    let selection = Selection::of_period(question(run, &store)?, period);
    let (adder, _) = selection.gather(run, &From::Store(Box::new(store)), Adder::new(&selection.question))?;
    Ok(adder.finish())
}

/// Adds data from the settings: services, confirmed sources, the user's domains.
pub(crate) fn add_settings(settings: &Settings, question: &mut Question) -> anyhow::Result<()> {
    question.services = settings.services()?;
    question.confirmed.clone_from(&settings.confirmed);
    question.own = settings.named_domains().iter().map(|own| own.as_str().into()).collect();
    Ok(())
}

/// Adds data from the store: names and networks of sources, acknowledgments, DNS history.
pub(crate) fn add_store(store: &Store, question: &mut Question) -> Result<(), StoreError> {
    let found = store.names()?.into_iter().filter_map(|looked_up| {
        let StoredName { names, confirmed } = looked_up.naming?;
        let name = names.into_iter().next()?;
        Some((looked_up.address, HostName { name: name.into(), confirmed }))
    });
    question.names = Arc::new(found.collect());
    let placed = store.networks()?.into_iter().map(|(address, network)| {
        let (as_name, country) = (network.as_name.map(Into::into), network.country.map(Into::into));
        (address, Network { asn: network.asn, as_name, country })
    });
    question.networks = Arc::new(placed.collect());
    question.origins = Arc::new(store.origins()?);
    let acknowledged = store.events()?.into_iter().filter_map(|event| {
        let said = Acknowledged { note: event.note?.into(), evidence: event.evidence };
        Some((event.id, said))
    });
    question.acknowledged = acknowledged.collect();
    question.dns = Arc::new(store.dns_history()?);
    Ok(())
}
