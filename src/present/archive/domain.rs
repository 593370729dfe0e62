//! The page of a domain: its state, its history, open actions, its senders and the TLS of its mail servers.

use super::record::{ActionWeek, DomainWeek, SenderWeek, TlsWeek, WeekRecord};
use crate::analyze::{FailingBy, Point};
use crate::present::markup::html::rendered;
use crate::present::page::results::{ResultColumns, columns};
use crate::present::page::shared::{Mark, share};
use crate::present::structured::json::json;
use crate::present::wording::branding::{Brand, Branding};
use jiff::civil::Date;
use minijinja::{context, value::Serde};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Weeks in the chart.
const CHARTED: usize = 26;

/// Weeks in the table.
const TABLED: usize = 104;

/// Weeks in the strip of a sender.
const STRIP: usize = 8;

/// Maximum number of senders that a domain's page lists and that have a page.
const SENDERS: usize = 150;

/// Maximum number of rows of the TLS table.
const TLS_ROWS: usize = 52;

/// Maximum number of actions on a page.
const ACTIONS: usize = 40;

/// The content of the page, and its JSON.
#[derive(Debug, Serialize)]
pub(super) struct DomainPage<'a> {
    domain: &'a str,
    latest_week: &'a str,
    days: &'a str,
    /// `None` if only TLS reports are about the domain.
    latest: Option<&'a DomainWeek>,
    weeks: Vec<DomainPageRow<'a>>,
    policies: Vec<PolicyStep<'a>>,
    actions: Vec<OpenAction<'a>>,
    senders: Vec<SenderPageRow<'a>>,
    more_senders: u64,
    tls: Vec<TlsPageRow<'a>>,
}

/// A week of a domain.
#[derive(Debug, Serialize)]
struct DomainPageRow<'a> {
    week: &'a str,
    days: &'a str,
    messages: u64,
    dmarc_pass: u64,
    pass: String,
    spoofed: u64,
    blocked: u64,
    failing_yours: u64,
    policy: &'a str,
    reporters: u64,
}

/// A policy type in a week.
#[derive(Debug, Serialize)]
struct TlsPageRow<'a> {
    week: &'a str,
    #[serde(flatten)]
    line: &'a TlsWeek,
}

/// A policy, and the first day it was in reports.
#[derive(Debug, Serialize)]
struct PolicyStep<'a> {
    policy: &'a str,
    since_week: &'a str,
    first: bool,
}

/// An action over several weeks.
#[derive(Debug, Serialize)]
pub(super) struct OpenAction<'a> {
    id: &'a str,
    title: &'a str,
    why: &'a str,
    open: bool,
    first_week: &'a str,
    last_week: &'a str,
    weeks: u64,
    /// The link to it on the last week's page; empty if that page omits it.
    href: String,
    messages: &'a str,
}

/// A sender of the domain.
#[derive(Debug, Serialize)]
struct SenderPageRow<'a> {
    file: &'a str,
    network: &'a str,
    name: &'a str,
    role: &'a str,
    last_week: &'a str,
    messages: u64,
    dmarc_pass: u64,
    pass: String,
    mark: Mark,
    state: &'a str,
    why: &'a str,
    strip: Vec<StripCell>,
}

/// A week in a strip.
#[derive(Debug, Serialize)]
pub(super) struct StripCell {
    week: String,
    messages: u64,
    pass: String,
    /// `c-pass`, `c-fix`; empty without messages.
    class: &'static str,
}

/// The domains that have a page: their names and files, by name.
pub fn archive_domains(weeks: &[WeekRecord]) -> BTreeMap<String, String> {
    let of_reports = weeks.iter().flat_map(|week| &week.domains).map(|domain| (&domain.domain, &domain.file));
    let of_tls = weeks.iter().flat_map(|week| &week.tls).map(|line| (&line.domain, &line.file));
    let with_page = of_reports.chain(of_tls).filter(|(_, file)| !file.is_empty());
    with_page.map(|(domain, file)| (domain.clone(), file.clone())).collect()
}

/// The page as HTML and JSON. `weeks` are all weeks, the newest last; the domain is in one of them.
pub fn domain_page(weeks: &[WeekRecord], domain: &str, branding: &Branding) -> Option<(String, String)> {
    let find = |week: &'_ WeekRecord| week.domains.iter().position(|found| found.domain == domain);
    let of_reports = weeks.iter().rev().find_map(|week| Some((week, Some(&week.domains[find(week)?]))));
    let of_tls = |week: &&'_ WeekRecord| week.tls.iter().any(|line| line.domain == domain);
    let (newest, latest) = of_reports.or_else(|| Some((weeks.iter().rev().find(of_tls)?, None)))?;
    let rows: Vec<DomainPageRow<'_>> =
        weeks.iter().rev().filter_map(|week| find(week).map(|at| row(week, &week.domains[at]))).take(TABLED).collect();
    let (senders, more_senders) = senders(weeks, domain);
    let page = DomainPage {
        domain,
        latest_week: &newest.week,
        days: &newest.days,
        latest,
        policies: policies(weeks, domain),
        actions: actions(weeks, |action| action.domain == domain),
        senders,
        more_senders,
        tls: tls(weeks, domain),
        weeks: rows,
    };
    let history = history(weeks, |week| find(week).map(|at| point(week, &week.domains[at])), true);
    Some(rendered_page("domain.html", (&page, domain), history.as_ref(), branding))
}

/// A page of the archive as HTML and JSON; `here` is its name.
pub(super) fn rendered_page(
    template: &str,
    (page, here): (&impl Serialize, &str),
    history: Option<&ResultColumns>,
    branding: &Branding,
) -> (String, String) {
    let values = context! {
        page => Serde(page),
        history => Serde(history),
        brand => Serde(Brand::from(branding)),
        crumbs => vec![("../index.html", "Archive")],
        here,
    };
    (rendered(template, values), json(page))
}

/// The names of the sender pages that a domain's page links to.
pub(super) fn listed<'a>(weeks: &'a [WeekRecord], domain: &str) -> Vec<&'a str> {
    senders(weeks, domain).0.into_iter().map(|row| row.file).collect()
}

/// Results of TLS reports, newest week first.
fn tls<'a>(weeks: &'a [WeekRecord], domain: &str) -> Vec<TlsPageRow<'a>> {
    let of_week = |week: &'a WeekRecord| {
        let own = week.tls.iter().filter(|line| line.domain == domain);
        own.map(|line| TlsPageRow { week: &week.week, line })
    };
    weeks.iter().rev().flat_map(of_week).take(TLS_ROWS).collect()
}

fn row<'a>(week: &'a WeekRecord, domain: &'a DomainWeek) -> DomainPageRow<'a> {
    DomainPageRow {
        week: &week.week,
        days: &week.days,
        messages: domain.messages,
        dmarc_pass: domain.dmarc_pass,
        pass: share(domain.dmarc_pass, domain.messages),
        spoofed: domain.spoofed,
        blocked: domain.blocked,
        failing_yours: domain.yours,
        policy: &domain.policy,
        reporters: domain.reporters,
    }
}

fn point(week: &WeekRecord, domain: &DomainWeek) -> Point {
    let failing = FailingBy {
        yours: domain.yours,
        forwarded: domain.forwarded,
        unclear: domain.unclear,
        spoofed: domain.spoofed,
    };
    Point {
        messages: domain.messages,
        dmarc_pass: domain.dmarc_pass,
        failing: Some(failing),
        policy: (!domain.p.is_empty()).then(|| domain.p.as_str().into()),
        ..nothing(week)
    }
}

/// A week without messages.
pub(super) fn nothing(week: &WeekRecord) -> Point {
    Point {
        from: week.from.parse().unwrap_or(Date::MIN),
        week: Some(week.week.clone()),
        messages: 0,
        dmarc_pass: 0,
        failing: Some(FailingBy::default()),
        senders_to_fix: None,
        policy: None,
    }
}

/// The chart of the last half year.
pub(super) fn history(
    weeks: &[WeekRecord],
    of: impl Fn(&WeekRecord) -> Option<Point>,
    policies: bool,
) -> Option<ResultColumns> {
    let start = weeks.len().saturating_sub(CHARTED);
    let points: Vec<Point> = weeks[start..].iter().map(|week| of(week).unwrap_or_else(|| nothing(week))).collect();
    // Starts at the first week with data.
    let first = points.iter().position(|point| point.messages > 0)?;
    columns(&points[first.min(points.len().saturating_sub(2))..], policies)
}

/// The policies in reports, newest first.
fn policies<'a>(weeks: &'a [WeekRecord], domain: &str) -> Vec<PolicyStep<'a>> {
    let mut steps: Vec<PolicyStep<'a>> = Vec::new();
    for week in weeks {
        let Some(found) = week.domains.iter().find(|found| found.domain == domain && !found.p.is_empty()) else {
            continue;
        };
        if steps.last().is_none_or(|last| last.policy != found.policy) {
            steps.push(PolicyStep { policy: &found.policy, since_week: &week.week, first: steps.is_empty() });
        }
    }
    steps.reverse();
    steps.truncate(20);
    steps
}

/// Actions over several weeks, open ones first.
pub(super) fn actions<'a>(weeks: &'a [WeekRecord], is: impl Fn(&ActionWeek) -> bool) -> Vec<OpenAction<'a>> {
    let newest = weeks.last().map_or("", |week| week.week.as_str());
    let mut known: BTreeMap<&str, OpenAction<'a>> = BTreeMap::new();
    let mut order = Vec::new();
    for week in weeks.iter().rev() {
        for action in week.actions.iter().filter(|action| is(action)) {
            let place = |place: u64| format!("../weeks/{}.html#a{place}", week.week);
            let entry = known.entry(&action.id).or_insert_with(|| {
                order.push(action.id.as_str());
                OpenAction {
                    id: &action.id,
                    title: &action.title,
                    why: &action.why,
                    open: week.week == newest,
                    first_week: &week.week,
                    last_week: &week.week,
                    weeks: 0,
                    href: if action.place > 0 { place(action.place) } else { String::new() },
                    messages: &action.messages,
                }
            });
            entry.first_week = &week.week;
            entry.weeks += 1;
        }
    }
    order.into_iter().take(ACTIONS).filter_map(|id| known.remove(id)).collect()
}

/// The senders of a domain, most recently seen first, and the number of others.
fn senders<'a>(weeks: &'a [WeekRecord], domain: &str) -> (Vec<SenderPageRow<'a>>, u64) {
    let (mut seen, mut rows) = (BTreeSet::new(), Vec::new());
    for week in weeks.iter().rev() {
        for sender in week.senders.iter().filter(|sender| sender.domain == domain) {
            if seen.insert(sender.file.as_str()) && rows.len() < SENDERS {
                let strip = strip(weeks, |other| other.file == sender.file && other.domain == domain);
                rows.push(sender_row(week, sender, strip));
            }
        }
    }
    let more = (seen.len() - rows.len()) as u64;
    (rows, more)
}

fn sender_row<'a>(week: &'a WeekRecord, sender: &'a SenderWeek, strip: Vec<StripCell>) -> SenderPageRow<'a> {
    SenderPageRow {
        file: &sender.file,
        network: &sender.network,
        name: &sender.name,
        role: &sender.role,
        last_week: &week.week,
        messages: sender.messages,
        dmarc_pass: sender.dmarc_pass,
        pass: share(sender.dmarc_pass, sender.messages),
        mark: sender.mark,
        state: &sender.state,
        why: &sender.why,
        strip,
    }
}

/// One cell for each of the last weeks: whether all mail passes.
pub(super) fn strip(weeks: &[WeekRecord], is: impl Fn(&SenderWeek) -> bool) -> Vec<StripCell> {
    let cell = |week: &WeekRecord| {
        let found = week.senders.iter().filter(|sender| is(sender));
        let (messages, passing) = found.fold((0_u64, 0_u64), |(messages, passing), sender| {
            (messages.saturating_add(sender.messages), passing.saturating_add(sender.dmarc_pass))
        });
        let class = match messages {
            0 => "",
            all if passing.saturating_mul(100) >= all.saturating_mul(99) => "c-pass",
            _ => "c-fix",
        };
        let week = week.week.rsplit('-').next().unwrap_or_default().to_owned();
        StripCell { week, messages, pass: share(passing, messages), class }
    };
    weeks[weeks.len().saturating_sub(STRIP)..].iter().map(cell).collect()
}

/// The sums of a week over all domains.
pub(super) fn total(week: &WeekRecord) -> Point {
    let sum =
        |of: fn(&DomainWeek) -> u64| week.domains.iter().fold(0_u64, |sum, domain| sum.saturating_add(of(domain)));
    let failing = week.messages - week.dmarc_pass.min(week.messages);
    let spoofed = week.spoofed.min(failing);
    let yours = sum(|domain| domain.yours).min(failing - spoofed);
    let forwarded = sum(|domain| domain.forwarded).min(failing - spoofed - yours);
    let by = FailingBy { yours, forwarded, unclear: failing - spoofed - yours - forwarded, spoofed };
    Point { messages: week.messages, dmarc_pass: week.dmarc_pass, failing: Some(by), ..nothing(week) }
}
