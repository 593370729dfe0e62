//! The data of a week stored with the archive: enough to write the pages of domains and senders without reading reports
//! again. It is made from a summary once, and stored as JSON with the pages.

use super::names;
use crate::analyze::{DomainSummary, ExplainedRow, Foreign, Role, SampledRow, Sender, Summary, TlsSummary};
use crate::model::is_in_network;
use crate::present::markup::mail::subject;
use crate::present::page::shared::{Mark, News};
use crate::present::page::summary::page;
use crate::present::page::tls;
use crate::present::page::{domain_line, domain_rank, sender_line};
use crate::present::wording::branding::Branding;
use crate::present::wording::clean::Clean;
use crate::present::wording::instructions::instruction;
use crate::present::wording::words::{self, between, shown, shown_or};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One week.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WeekRecord {
    /// `2026-W47`.
    pub week: String,
    /// The first day, as `2026-11-16`.
    pub from: String,
    /// The last day.
    pub to: String,
    /// In words.
    pub(super) days: String,
    /// The state in one line.
    pub(super) headline: String,
    pub(super) lead: Vec<String>,
    pub(super) messages: u64,
    pub(super) dmarc_pass: u64,
    pub(super) reports: u64,
    pub(super) reporters: u64,
    pub(super) spoofed: u64,
    pub(super) blocked: u64,
    pub(super) senders_to_fix: u64,
    pub(super) unfinished: bool,
    pub(super) domains: Vec<DomainWeek>,
    pub(super) senders: Vec<SenderWeek>,
    pub(super) actions: Vec<ActionWeek>,
    pub(super) news: Vec<News>,
    /// Missing in weeks from older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tls: Vec<TlsWeek>,
}

/// A domain in a week.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct DomainWeek {
    pub(super) domain: String,
    /// Its page, without extension.
    pub(super) file: String,
    pub(super) messages: u64,
    pub(super) dmarc_pass: u64,
    pub(super) reports: u64,
    pub(super) reporters: u64,
    /// The published policy: `p=quarantine pct=50`.
    pub(super) policy: String,
    /// `quarantine`; empty if in no report.
    pub(super) p: String,
    pub(super) mark: Mark,
    pub(super) state: String,
    pub(super) why: String,
    pub(super) details: Vec<String>,
    pub(super) yours: u64,
    pub(super) forwarded: u64,
    pub(super) unclear: u64,
    pub(super) spoofed: u64,
    pub(super) blocked: u64,
    /// Its rank among all domains, the worst first.
    pub(super) rank: u64,
}

/// A sender of a domain in a week.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SenderWeek {
    /// Its page, without extension.
    pub(super) file: String,
    /// An address or a network.
    pub(super) network: String,
    /// Its name; empty if unknown.
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) addresses: u64,
    pub(super) role: String,
    /// Whether it is the user's, or a service the user has.
    pub(super) yours: bool,
    pub(super) messages: u64,
    pub(super) dmarc_pass: u64,
    pub(super) dkim: u64,
    pub(super) spf: u64,
    pub(super) blocked: u64,
    pub(super) mark: Mark,
    pub(super) state: String,
    pub(super) why: String,
    pub(super) evidence: Vec<String>,
    pub(super) reporters: u64,
    pub(super) first_seen: String,
    pub(super) last_seen: String,
    /// The first of its rows.
    pub(super) rows: Vec<RowWeek>,
    pub(super) more_rows: u64,
}

/// An action in a week.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ActionWeek {
    pub(super) id: String,
    pub(super) domain: String,
    pub(super) title: String,
    pub(super) why: String,
    pub(super) messages: String,
    /// Its position on the week's page; 0 if omitted.
    pub(super) place: u64,
    pub(super) sources: Vec<String>,
}

/// The text about a domain and policy type in a week's TLS reports.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct TlsWeek {
    pub(super) domain: String,
    /// The domain's page, without extension; empty if it has none.
    #[serde(default)]
    pub(super) file: String,
    pub(super) policy: String,
    pub(super) sessions: String,
    pub(super) failed: String,
    pub(super) rate: String,
    pub(super) mark: Mark,
    pub(super) state: String,
    /// `Certificate expired at mx.example.com`.
    pub(super) causes: Vec<String>,
}

/// Rows of a day and reporter with equal results.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RowWeek {
    pub(super) day: String,
    pub(super) reporter: String,
    pub(super) messages: u64,
    pub(super) pass: bool,
    pub(super) from: String,
    pub(super) dkim: String,
    pub(super) spf: String,
    pub(super) disposition: String,
}

/// Maximum number of rows on a sender's page.
const ROWS: usize = 12;

/// Maximum number of changes stored per week.
const NEWS: usize = 30;

/// Maximum number of domains with pages per week: more than anybody has, but a limit on what forged reports can create.
const DOMAINS: usize = 5000;

/// Maximum number of actions stored per week.
const ACTIONS: usize = 500;

impl WeekRecord {
    /// Makes the record of a week's summary and a sample of its rows. Suspects have no pages.
    pub fn new(summary: &Summary, rows: &[SampledRow]) -> Self {
        let page = page(summary, &Branding::default());
        let day = |day: Option<jiff::civil::Date>| day.map(|day| day.to_string()).unwrap_or_default();
        let sums = &summary.totals.sums;
        let mut domains: Vec<&DomainSummary> = summary.domains.iter().collect();
        // Domains without authenticated reports or passing mail may be invented.
        domains.sort_by_key(|domain| !domain.vouched);
        domains.truncate(DOMAINS);
        let senders = summary.senders.iter().filter(|sender| sender.who.role != Role::Suspect);
        let mut place = 0;
        let actions = summary.actions.iter().take(ACTIONS).map(|action| {
            let told = !action.tracking.folded && place < page.actions.len() as u64;
            place += u64::from(told);
            let todo = instruction(action, Some(summary));
            ActionWeek {
                id: action.tracking.id.clone(),
                domain: todo.domain,
                title: todo.title,
                why: todo.why,
                messages: todo.messages,
                place: if told { place } else { 0 },
                sources: action.sources.iter().map(ToString::to_string).collect(),
            }
        });
        let actions = actions.collect();
        Self {
            week: summary.period.week.clone().unwrap_or_default(),
            from: day(summary.period.from),
            to: day(summary.period.to),
            days: page.days,
            headline: subject(summary),
            lead: page.lead,
            messages: sums.messages,
            dmarc_pass: sums.dmarc_pass,
            reports: summary.totals.reports,
            reporters: summary.totals.reporters,
            spoofed: summary.spoofing.messages,
            blocked: summary.spoofing.blocked,
            senders_to_fix: summary.senders.iter().filter(|sender| sender.needs_repair()).count() as u64,
            unfinished: summary.quality.unfinished,
            domains: domains.into_iter().map(domain_week).collect(),
            senders: senders.map(|sender| sender_week(sender, rows)).collect(),
            actions,
            tls: tls_weeks(summary),
            news: page.changes.into_iter().take(NEWS).collect(),
        }
    }

    /// Removes data that only a sender's newest week needs if the sender is in `seen`, then adds the other senders to
    /// it.
    pub fn slim(&mut self, seen: &mut BTreeSet<(String, String)>) {
        for sender in &mut self.senders {
            if !seen.insert((sender.file.clone(), sender.domain.clone())) {
                (sender.rows, sender.evidence) = (Vec::new(), Vec::new());
                (sender.why, sender.first_seen, sender.last_seen) = (String::new(), String::new(), String::new());
            }
        }
        for domain in &mut self.domains {
            if !seen.insert((String::new(), domain.domain.clone())) {
                (domain.details, domain.why) = (Vec::new(), String::new());
            }
        }
    }
}

fn domain_week(domain: &DomainSummary) -> DomainWeek {
    let sums = &domain.totals.sums;
    let by = domain.trend.last().and_then(|point| point.failing).unwrap_or_default();
    let line = domain_line(domain, false, true);
    DomainWeek {
        file: names::domain(&domain.policy_domain),
        domain: line.domain,
        messages: sums.messages,
        dmarc_pass: sums.dmarc_pass,
        reports: domain.totals.reports,
        reporters: domain.totals.reporters,
        policy: line.policy,
        p: domain.policy.as_ref().map(|policy| words::shown(policy.p.as_ref())).unwrap_or_default(),
        mark: line.mark,
        state: line.state,
        why: line.why,
        details: line.details,
        yours: by.yours,
        forwarded: by.forwarded,
        unclear: by.unclear,
        spoofed: domain.spoofing.messages,
        blocked: domain.spoofing.blocked,
        rank: domain_rank(domain),
    }
}

/// Of as many domains as have pages: those that DMARC reports vouch for, then those with most sessions.
fn tls_weeks(summary: &Summary) -> Vec<TlsWeek> {
    let vouched: BTreeSet<&Foreign> =
        summary.domains.iter().filter(|domain| domain.vouched).map(|domain| &domain.policy_domain).collect();
    let mut policies: Vec<(usize, &TlsSummary)> = summary.tls.iter().enumerate().collect();
    policies.sort_by_key(|(_, tls)| {
        let is_vouched = tls.policy_domain.as_ref().is_some_and(|domain| vouched.contains(domain));
        (!is_vouched, std::cmp::Reverse(tls.sessions()))
    });
    policies.truncate(DOMAINS);
    policies.sort_by_key(|(place, _)| *place);
    policies.into_iter().map(|(_, tls)| tls_week(tls)).collect()
}

fn tls_week(tls: &TlsSummary) -> TlsWeek {
    let (line, causes) = tls::told_of(tls);
    let tls::TlsLine { domain, policy, sessions, failed, rate, mark, state, .. } = line;
    let file = tls.policy_domain.as_ref().map(names::domain).unwrap_or_default();
    TlsWeek { domain, file, policy, sessions, failed, rate, mark, state, causes }
}

fn sender_week(sender: &Sender, rows: &[SampledRow]) -> SenderWeek {
    let (who, sums) = (&sender.who, &sender.sums);
    let line = sender_line(sender);
    let holds = |row: &&SampledRow| match (who.address, row.source) {
        (None, None) => true,
        (Some(network), Some(address)) => is_in_network(address, network, who.prefix),
        _ => false,
    };
    // Sorted by source, so that those of a network are adjacent.
    let own = |row: &&SampledRow| row.row.policy_domain == who.policy_domain;
    let mut found: Vec<&SampledRow> = rows.iter().filter(holds).filter(own).collect();
    found.sort_by_key(|row| (row.row.dmarc_pass, std::cmp::Reverse(row.row.messages)));
    SenderWeek {
        file: names::sender(who.address, who.prefix),
        network: words::network(who.address, who.prefix),
        name: words::identity(who).unwrap_or_default(),
        domain: line.domain,
        addresses: who.addresses,
        role: line.role.to_owned(),
        yours: matches!(who.role, Role::Own | Role::Vendor),
        messages: sums.messages,
        dmarc_pass: sums.dmarc_pass,
        dkim: sums.dkim_aligned,
        spf: sums.spf_aligned,
        blocked: sender.blocked,
        mark: line.mark,
        state: line.state,
        why: line.why,
        evidence: sender.evidence.iter().map(words::evidence).collect(),
        reporters: sender.reporters,
        first_seen: sender.first_seen.to_string(),
        last_seen: sender.last_seen.to_string(),
        more_rows: found.len().saturating_sub(ROWS) as u64,
        rows: found.into_iter().take(ROWS).map(|row| row_week(&row.row)).collect(),
    }
}

fn row_week(row: &ExplainedRow) -> RowWeek {
    let aligned = |aligned: bool| if aligned { ", aligned" } else { "" };
    let dkim = if row.dkim_domain.as_written().is_empty() {
        "unsigned".to_owned()
    } else {
        let selector = between(" (", &shown(Some(&row.dkim_selector)), ")");
        format!(
            "{} {}{selector}{}",
            shown_or(&row.dkim_result, "no result"),
            Clean::new(&row.dkim_domain),
            aligned(row.dkim_aligned)
        )
    };
    let reason = between(" (", &shown(Some(&row.reason)), ")");
    RowWeek {
        day: row.day.to_string(),
        reporter: shown_or(&row.org_name, "unknown"),
        messages: row.messages,
        pass: row.dmarc_pass,
        from: shown_or(&row.header_from, "unknown"),
        dkim,
        spf: format!(
            "{} {}{}",
            shown_or(&row.spf_result, "no result"),
            shown(Some(&row.spf_domain)),
            aligned(row.spf_aligned)
        ),
        disposition: format!("{}{reason}", shown_or(&row.disposition, "not said")),
    }
}
