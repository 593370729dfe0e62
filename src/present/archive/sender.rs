//! The page of a sender (an address or network): its verdict and the reasons, its history, and its rows.

use super::domain::{OpenAction, StripCell, actions, history, nothing, rendered_page, strip};
use super::record::{RowWeek, SenderWeek, WeekRecord};
use crate::analyze::{FailingBy, Point};
use crate::present::page::shared::{Mark, share};
use crate::present::wording::branding::Branding;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Weeks in the table.
const TABLED: usize = 80;

/// Maximum number of domains with details on a page.
const DOMAINS: usize = 40;

/// The content of the page, and its JSON.
#[derive(Debug, Serialize)]
struct SenderPage<'a> {
    network: &'a str,
    name: &'a str,
    latest_week: &'a str,
    days: &'a str,
    addresses: u64,
    identities: Vec<SenderIdentity<'a>>,
    more_identities: u64,
    weeks: Vec<SenderTotals<'a>>,
    strip: Vec<StripCell>,
    actions: Vec<OpenAction<'a>>,
    explain: String,
}

/// A sender as one domain, in the last week it was seen.
#[derive(Debug, Serialize)]
struct SenderIdentity<'a> {
    domain: &'a str,
    file: &'a str,
    name: &'a str,
    role: &'a str,
    last_week: &'a str,
    messages: u64,
    dmarc_pass: u64,
    pass: String,
    dkim: String,
    spf: String,
    blocked: u64,
    mark: Mark,
    state: &'a str,
    why: &'a str,
    evidence: &'a [String],
    reporters: u64,
    first_seen: &'a str,
    last_seen: &'a str,
    rows: &'a [RowWeek],
    more_rows: u64,
}

/// A week of the sender, as one domain.
#[derive(Debug, Serialize)]
struct SenderTotals<'a> {
    week: &'a str,
    days: &'a str,
    domain: &'a str,
    messages: u64,
    dmarc_pass: u64,
    pass: String,
    blocked: u64,
    reporters: u64,
}

/// The files of senders that have a page, without extension.
pub fn archive_senders(weeks: &[WeekRecord], domains: &BTreeMap<String, String>) -> BTreeSet<String> {
    domains.keys().flat_map(|domain| super::domain::listed(weeks, domain)).map(str::to_owned).collect()
}

/// The page as HTML and JSON. `weeks` are all weeks, the newest last; `domains` are those that have a page.
pub fn sender_page(
    weeks: &[WeekRecord],
    file: &str,
    domains: &BTreeMap<String, String>,
    branding: &Branding,
) -> Option<(String, String)> {
    let (mut seen, mut identities) = (BTreeSet::new(), Vec::new());
    let mut totals: Vec<SenderTotals<'_>> = Vec::new();
    let mut newest: Option<(&WeekRecord, &SenderWeek)> = None;
    for week in weeks.iter().rev() {
        // Grouped by domain.
        let mut senders: Vec<&SenderWeek> = week.senders.iter().filter(|sender| sender.file == file).collect();
        senders.sort_by_key(|sender| &sender.domain);
        for sender in senders {
            newest = newest.or(Some((week, sender)));
            if seen.insert((&sender.domain, &sender.name)) && identities.len() < DOMAINS {
                identities.push(identity(week, sender, domains));
            }
            let same = |last: &&mut SenderTotals<'_>| last.week == week.week && last.domain == sender.domain;
            if let Some(last) = totals.last_mut().filter(same) {
                last.messages = last.messages.saturating_add(sender.messages);
                last.dmarc_pass = last.dmarc_pass.saturating_add(sender.dmarc_pass);
                last.blocked = last.blocked.saturating_add(sender.blocked);
                last.reporters = last.reporters.max(sender.reporters);
                last.pass = share(last.dmarc_pass, last.messages);
            } else if totals.len() < TABLED {
                totals.push(SenderTotals {
                    week: &week.week,
                    days: &week.days,
                    domain: &sender.domain,
                    messages: sender.messages,
                    dmarc_pass: sender.dmarc_pass,
                    pass: share(sender.dmarc_pass, sender.messages),
                    blocked: sender.blocked,
                    reporters: sender.reporters,
                });
            }
        }
    }
    let (week, sender) = newest?;
    let page = SenderPage {
        network: &sender.network,
        name: &sender.name,
        latest_week: &week.week,
        days: &week.days,
        addresses: sender.addresses,
        more_identities: (seen.len() - identities.len()) as u64,
        identities,
        weeks: totals,
        strip: strip(weeks, |other| other.file == file),
        actions: actions(weeks, |action| action.sources.contains(&sender.network)),
        explain: format!("dmarquet summary --week {} --explain {}", week.week, explained(&sender.network)),
    };
    let chart = history(weeks, |week| point(week, file), false);
    Some(rendered_page("sender.html", (&page, page.network), chart.as_ref(), branding))
}

/// In the form for `--explain`.
fn explained(network: &str) -> &str {
    if network == "unknown source" { "unknown" } else { network }
}

fn identity<'a>(
    week: &'a WeekRecord,
    sender: &'a SenderWeek,
    domains: &'a BTreeMap<String, String>,
) -> SenderIdentity<'a> {
    SenderIdentity {
        domain: &sender.domain,
        file: domains.get(&sender.domain).map_or("", String::as_str),
        name: &sender.name,
        role: &sender.role,
        last_week: &week.week,
        messages: sender.messages,
        dmarc_pass: sender.dmarc_pass,
        pass: share(sender.dmarc_pass, sender.messages),
        dkim: share(sender.dkim, sender.messages),
        spf: share(sender.spf, sender.messages),
        blocked: sender.blocked,
        mark: sender.mark,
        state: &sender.state,
        why: &sender.why,
        evidence: &sender.evidence,
        reporters: sender.reporters,
        first_seen: &sender.first_seen,
        last_seen: &sender.last_seen,
        rows: &sender.rows,
        more_rows: sender.more_rows,
    }
}

fn point(week: &WeekRecord, file: &str) -> Option<Point> {
    let mut point = nothing(week);
    let (mut seen, mut by) = (false, FailingBy::default());
    for sender in week.senders.iter().filter(|sender| sender.file == file) {
        let failing = sender.messages - sender.dmarc_pass.min(sender.messages);
        point.messages = point.messages.saturating_add(sender.messages);
        point.dmarc_pass = point.dmarc_pass.saturating_add(sender.dmarc_pass);
        let sum = match sender.role.as_str() {
            "unclear" => &mut by.unclear,
            _ if sender.yours => &mut by.yours,
            _ => &mut by.forwarded,
        };
        *sum = sum.saturating_add(failing);
        seen = true;
    }
    point.failing = Some(by);
    seen.then_some(point)
}
