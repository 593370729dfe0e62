//! The first page: the state of the last week, all domains with the worst first, all weeks.

use super::record::{DomainWeek, TlsWeek, WeekRecord};
use crate::present::markup::html::rendered;
use crate::present::page::results::columns;
use crate::present::page::shared::{Mark, share};
use crate::present::structured::json::json;
use crate::present::wording::branding::{Brand, Branding};
use minijinja::{context, value::Serde};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Domains per page.
const DOMAINS: usize = 250;

/// Weeks in the table on the first page.
const WEEKS: usize = 260;

/// The content of the page, and its JSON.
#[derive(Debug, Serialize)]
struct IndexPage<'a> {
    latest_week: &'a str,
    days: &'a str,
    headline: &'a str,
    /// Those without DMARC reports last.
    domains: Vec<DomainEntry<'a>>,
    weeks: Vec<WeekEntry<'a>>,
}

/// A domain and its latest week.
#[derive(Debug, Clone, Serialize)]
struct DomainEntry<'a> {
    domain: &'a str,
    file: &'a str,
    week: &'a str,
    messages: u64,
    dmarc_pass: u64,
    pass: String,
    spoofed: u64,
    not_blocked: u64,
    policy: &'a str,
    mark: Mark,
    state: &'a str,
    why: Cow<'a, str>,
}

/// A line of the table of weeks.
#[derive(Debug, Serialize)]
struct WeekEntry<'a> {
    week: &'a str,
    days: &'a str,
    messages: u64,
    dmarc_pass: u64,
    pass: String,
    spoofed: u64,
    not_blocked: u64,
    senders_to_fix: u64,
    actions: u64,
}

/// The name, HTML and JSON of each page; the first is `index`. `latest` is the index of the latest complete week.
pub fn index_pages(weeks: &[WeekRecord], latest: usize, branding: &Branding) -> Vec<(String, String, String)> {
    let newest = weeks.get(latest);
    let mut all = domains(weeks, latest);
    let of_reports = all.len();
    all.extend(only_tls(weeks, latest));
    let chunks: Vec<&[DomainEntry<'_>]> = if all.is_empty() { vec![&[]] } else { all.chunks(DOMAINS).collect() };
    let start = (latest + 1).saturating_sub(26).min(weeks.len());
    let points: Vec<_> = weeks[start..weeks.len().min(latest + 1)].iter().map(super::domain::total).collect();
    let chart = columns(&points, false);
    let name = |at: usize| if at == 0 { "index".to_owned() } else { format!("domains-{}", at + 1) };
    let others: Vec<(String, usize)> = (1..chunks.len()).map(|at| (format!("{}.html", name(at)), at + 1)).collect();
    let mut pages = Vec::new();
    for (at, chunk) in chunks.iter().enumerate() {
        let page = IndexPage {
            latest_week: newest.map_or("", |week| &week.week),
            days: newest.map_or("", |week| &week.days),
            headline: newest.map_or("", |week| &week.headline),
            domains: chunk.to_vec(),
            weeks: if at == 0 { weeks.iter().rev().take(WEEKS).map(entry).collect() } else { Vec::new() },
        };
        let html = rendered(
            "index.html",
            context! {
                page => Serde(&page),
                lead => newest.map(|week| week.lead.clone()).unwrap_or_default(),
                first => at == 0,
                number => at + 1,
                all => all.len(),
                only_tls => all.len() - of_reports,
                others => Serde(&others),
                history => Serde(if at == 0 { chart.as_ref() } else { None }),
                brand => Serde(Brand::from(branding)),
            },
        );
        pages.push((name(at), html, json(&page)));
    }
    pages
}

/// The weeks from the latest back, then later ones, which are not over.
fn newest_first(weeks: &[WeekRecord], latest: usize) -> impl Iterator<Item = (usize, &WeekRecord)> {
    let until = weeks.iter().enumerate().rev().filter(move |(at, _)| *at <= latest);
    until.chain(weeks.iter().enumerate().filter(move |(at, _)| *at > latest))
}

/// All domains, the worst of the latest week first, then those of earlier weeks.
fn domains(weeks: &[WeekRecord], latest: usize) -> Vec<DomainEntry<'_>> {
    let mut found: BTreeMap<&str, (usize, &WeekRecord, &DomainWeek)> = BTreeMap::new();
    for (at, week) in newest_first(weeks, latest) {
        for domain in &week.domains {
            found.entry(&domain.domain).or_insert((at, week, domain));
        }
    }
    let mut all: Vec<(usize, &WeekRecord, &DomainWeek)> = found.into_values().collect();
    all.sort_by_key(|(at, _, domain)| (*at != latest, domain.rank, std::cmp::Reverse(domain.messages), &domain.domain));
    all.into_iter()
        .map(|(_, week, domain)| DomainEntry {
            domain: &domain.domain,
            file: &domain.file,
            week: &week.week,
            messages: domain.messages,
            dmarc_pass: domain.dmarc_pass,
            pass: share(domain.dmarc_pass, domain.messages),
            spoofed: domain.spoofed,
            not_blocked: domain.spoofed - domain.blocked.min(domain.spoofed),
            policy: &domain.policy,
            mark: domain.mark,
            state: &domain.state,
            why: Cow::Borrowed(&domain.why),
        })
        .collect()
}

/// The domains that only TLS reports are about, in the order of [`domains`].
fn only_tls(weeks: &[WeekRecord], latest: usize) -> Vec<DomainEntry<'_>> {
    let of_reports: BTreeSet<&str> =
        weeks.iter().flat_map(|week| &week.domains).map(|domain| domain.domain.as_str()).collect();
    let is_alone = |line: &&TlsWeek| !line.file.is_empty() && !of_reports.contains(line.domain.as_str());
    let mut found: BTreeMap<&str, (usize, Vec<&TlsWeek>)> = BTreeMap::new();
    for (at, week) in newest_first(weeks, latest) {
        for line in week.tls.iter().filter(is_alone) {
            let (newest, lines) = found.entry(&line.domain).or_insert((at, Vec::new()));
            if *newest == at {
                lines.push(line);
            }
        }
    }
    let mut all: Vec<(usize, Vec<&TlsWeek>)> = found.into_values().collect();
    let fails = |lines: &[&TlsWeek]| lines.iter().any(|line| line.mark == Mark::Fix);
    let told = |lines: &[&TlsWeek]| {
        let told = lines.iter().map(|line| format!("TLS ({}): {}", line.policy, line.state));
        told.collect::<Vec<_>>().join("; ")
    };
    all.sort_by_key(|(at, lines)| (*at != latest, !fails(lines)));
    all.into_iter()
        .map(|(at, lines)| DomainEntry {
            domain: &lines[0].domain,
            file: &lines[0].file,
            week: &weeks[at].week,
            messages: 0,
            dmarc_pass: 0,
            pass: share(0, 0),
            spoofed: 0,
            not_blocked: 0,
            policy: "",
            mark: if fails(&lines) { Mark::Fix } else { Mark::Calm },
            state: "No DMARC reports",
            why: Cow::Owned(told(&lines)),
        })
        .collect()
}

fn entry(week: &WeekRecord) -> WeekEntry<'_> {
    WeekEntry {
        week: &week.week,
        days: &week.days,
        messages: week.messages,
        dmarc_pass: week.dmarc_pass,
        pass: share(week.dmarc_pass, week.messages),
        spoofed: week.spoofed,
        not_blocked: week.spoofed - week.blocked.min(week.spoofed),
        senders_to_fix: week.senders_to_fix,
        actions: week.actions.len() as u64,
    }
}
