//! The overview of many domains in words: one line per domain, possibly thousands.

use crate::analyze::{DomainState, Overview, OverviewRow};
use crate::present::wording::clean::Clean;
use crate::present::wording::numbers::{count, counted, percent};
use crate::present::wording::words;
use serde::Serialize;

/// The content.
#[derive(Debug, Serialize)]
pub(crate) struct OverviewPage {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) lines: Vec<OverviewLine>,
}

/// Describes an overview.
pub(crate) fn overview_page(overview: &Overview) -> OverviewPage {
    let lines = overview.domains.iter().map(OverviewLine::new).collect();
    OverviewPage { title: title(overview), subtitle: subtitle(overview), lines }
}

/// A row in words.
#[derive(Debug, Serialize)]
pub(crate) struct OverviewLine {
    pub(crate) domain: String,
    pub(crate) customer: String,
    pub(crate) messages: u64,
    pub(crate) shown_messages: String,
    /// From 0, the worst.
    pub(crate) rank: usize,
    pub(crate) state: &'static str,
    pub(crate) findings: Vec<String>,
    pub(crate) last_report: String,
}

impl OverviewLine {
    fn new(row: &OverviewRow) -> Self {
        let customer = row.customer.as_ref().map(|customer| Clean::new(customer).to_string());
        Self {
            domain: Clean::new(&row.policy_domain).to_string(),
            customer: customer.unwrap_or_default(),
            messages: row.messages,
            shown_messages: count(row.messages),
            rank: DomainState::ALL.iter().position(|state| *state == row.state).unwrap_or(0),
            state: row.state.as_str(),
            findings: findings(row),
            last_report: row.last_report.map(|day| day.to_string()).unwrap_or_default(),
        }
    }
}

/// All problems of a domain, worst first.
fn findings(row: &OverviewRow) -> Vec<String> {
    let mut found = Vec::new();
    if row.lost_now > 0 {
        found.push(format!("loses {} now", words::messages(row.lost_now)));
    }
    if let Some(share) = row.next_step_share.filter(|share| share.part > 0 && row.state <= DomainState::WouldLose) {
        found.push(format!("the next policy step would lose {} of its mail", percent(Some(share))));
    }
    if row.spoofed_not_blocked > 0 && row.state <= DomainState::Spoofed {
        found.push(format!("{} unauthenticated and not blocked", words::messages(row.spoofed_not_blocked)));
    }
    match row.key_broken_since {
        Some(day) => found.push(format!("DKIM key broken since {day}")),
        None if row.key_broken => found.push("DKIM key broken".to_owned()),
        None => {}
    }
    match (row.state, row.last_report) {
        (DomainState::Silent, Some(day)) => found.push(format!("no reports since {day}")),
        (DomainState::Silent, None) => found.push("the reports have stopped".to_owned()),
        (DomainState::NeverReported, _) => {
            let only =
                row.last_tls_report.map_or(String::new(), |day| format!(", only TLS reports (the latest on {day})"));
            found.push(format!("no DMARC report yet{only}: check that its DMARC record has rua="));
        }
        _ => {}
    }
    found.extend(row.dns_fault.as_ref().map(|fault| Clean::new(fault).to_string()));
    if found.is_empty() {
        found.push("all well".to_owned());
    }
    found
}

fn title(overview: &Overview) -> String {
    match (&overview.period.week, overview.period.from.zip(overview.period.to)) {
        (Some(week), _) => format!("DMARC overview, week {week}"),
        (None, Some((from, to))) => format!("DMARC overview, {from} to {to}"),
        (None, None) => "DMARC overview".to_owned(),
    }
}

/// Number of domains per state.
fn subtitle(overview: &Overview) -> String {
    let in_state = |state: DomainState| overview.domains.iter().filter(|row| row.state == state).count() as u64;
    let told: Vec<String> = DomainState::ALL
        .into_iter()
        .map(|state| (in_state(state), state))
        .filter(|(number, _)| *number > 0)
        .map(|(number, state)| match state {
            DomainState::Loses => counted(number, "loses mail now", "lose mail now"),
            DomainState::WouldLose => {
                format!("{} lose mail at the next policy step", counted(number, "would", "would"))
            }
            DomainState::Spoofed => counted(number, "is spoofed", "are spoofed"),
            DomainState::KeyBroken => counted(number, "has a broken DKIM key", "have a broken DKIM key"),
            DomainState::Silent => counted(number, "has gone silent", "have gone silent"),
            DomainState::NeverReported => counted(number, "has no DMARC reports yet", "have no DMARC reports yet"),
            DomainState::DnsFault => counted(number, "has a DNS fault", "have a DNS fault"),
            DomainState::Well => counted(number, "is well", "are well"),
        })
        .collect();
    let all = counted(overview.domains.len() as u64, "domain", "domains");
    if told.is_empty() { format!("{all}.") } else { format!("{all}: {}.", told.join(", ")) }
}
