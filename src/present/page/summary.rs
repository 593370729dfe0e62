//! The summary in words and tables, in reading order.

use super::changes;
use super::domains::{self, DomainLine};
use super::doubts::{self, Doubt};
use super::reporting::{self, ReporterStrip};
use super::results::{self, ResultBar, ResultColumns};
use super::senders::{self, SenderList, SuspectFold};
use super::shared::{News, unfolded};
use super::tiles::{self, Tile};
use super::tls::{self, TlsSection};
use super::{lead, quality};
use crate::analyze::Summary;
use crate::present::wording::branding::{Brand, Branding};
use crate::present::wording::instructions::{Instruction, instruction};
use crate::present::wording::numbers::{count, counted};
use crate::present::wording::words;
use serde::Serialize;

/// Maximum number of actions described on a page.
const INSTRUCTIONS: usize = 10;

/// The content.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Page {
    /// Title, logo and footer.
    pub(crate) brand: Brand,
    pub(crate) title: String,
    /// The days, and the number of reports about them.
    pub(crate) days: String,
    pub(crate) reports: String,
    /// What happened, in a few sentences.
    pub(crate) lead: Vec<String>,
    pub(crate) tiles: Vec<Tile>,
    pub(crate) actions: Vec<Instruction>,
    /// The number of actions, and how many are omitted.
    pub(crate) actions_note: String,
    pub(crate) doubts: Vec<Doubt>,
    /// Where the messages come from; `None` without messages.
    pub(crate) results: Option<ResultBar>,
    /// The same over the last periods.
    pub(crate) history: Option<ResultColumns>,
    pub(crate) changes: Vec<News>,
    pub(crate) domains: Vec<DomainLine>,
    /// Whether there are so many domains that only notable ones have details.
    pub(crate) tabled: bool,
    /// The readiness of the domains, and where to find the rest; may be empty.
    pub(crate) domains_note: String,
    /// TLS between mail servers; `None` without TLS reports.
    pub(crate) tls: Option<TlsSection>,
    /// Senders by role; the user's own come first.
    pub(crate) senders: Vec<SenderList>,
    pub(crate) suspects: Option<SuspectFold>,
    /// Whether there is more than one domain, so that each sender shows its own.
    pub(crate) many_domains: bool,
    pub(crate) senders_note: Vec<String>,
    /// Who reported on which day.
    pub(crate) reporting: Option<ReporterStrip>,
    pub(crate) quality: Vec<String>,
    /// How to see the records behind a source.
    pub(crate) explain: String,
}

/// Describes a summary.
pub(crate) fn page(summary: &Summary, branding: &Branding) -> Page {
    let domains = domains::domains(summary);
    let empty = summary.totals.sums.messages == 0;
    Page {
        brand: branding.into(),
        title: title(summary),
        days: days(summary),
        reports: reports(summary),
        lead: lead::lead(summary),
        tiles: if empty { Vec::new() } else { tiles::tiles(summary) },
        actions: unfolded(summary).take(INSTRUCTIONS).map(|action| instruction(action, Some(summary))).collect(),
        actions_note: actions_note(summary),
        doubts: doubts::doubts(summary),
        results: results::bar(summary),
        history: results::columns(&summary.trend, false),
        changes: changes::news(summary),
        domains: domains.lines,
        tabled: domains.tabled,
        domains_note: domains.note,
        tls: tls::section(summary),
        senders: senders::lists(summary),
        suspects: senders::suspects(summary),
        many_domains: summary.domains.len() > 1,
        senders_note: senders::note(summary),
        reporting: reporting::strip(summary),
        quality: quality::quality(summary),
        explain: explain(summary),
    }
}

/// `DMARC summary, 2026-W47`.
fn title(summary: &Summary) -> String {
    summary.period.week.as_ref().map_or_else(|| "DMARC summary".to_owned(), |week| format!("DMARC summary, {week}"))
}

/// `Mon, Nov 16 to Sun, Nov 22 (UTC)`; with years if they differ.
fn days(summary: &Summary) -> String {
    let Some((from, to)) = summary.period.from.zip(summary.period.to) else { return String::new() };
    if from == to {
        return format!("{}, {} (UTC)", words::weekday(from), from.year());
    }
    let year = if from.year() == to.year() { String::new() } else { format!(", {}", from.year()) };
    format!("{}{year} to {}, {} (UTC)", words::weekday(from), words::weekday(to), to.year())
}

fn reports(summary: &Summary) -> String {
    let (reports, reporters) = (summary.totals.reports, summary.totals.reporters);
    let of_tls = if summary.tls.is_empty() { "" } else { ", and TLS reports" };
    if reports == 0 {
        return format!("{} (0 messages)", if of_tls.is_empty() { "No reports" } else { "Only TLS reports" });
    }
    format!(
        "{} from {} about {}{of_tls}",
        counted(reports, "report", "reports"),
        counted(reporters, "reporter", "reporters"),
        counted(summary.domains.len() as u64, "domain", "domains"),
    )
}

/// The number of actions, and how many are omitted.
fn actions_note(summary: &Summary) -> String {
    let told = unfolded(summary).count() as u64;
    let all = told.saturating_add(summary.more_actions);
    let more = all.saturating_sub(INSTRUCTIONS as u64);
    let folded = (summary.actions.len() as u64).saturating_sub(told);
    let mut note = match (all, more) {
        (0, _) => String::new(),
        (1, _) => "1 action.".to_owned(),
        (_, 0) => format!("{}, the most important first.", counted(all, "action", "actions")),
        _ => format!(
            "{}, the most important first. The first {} are here; --format json has more.",
            counted(all, "action", "actions"),
            count(INSTRUCTIONS as u64)
        ),
    };
    if folded > 0 {
        let gap = if note.is_empty() { "" } else { " " };
        note = format!(
            "{note}{gap}{} and not repeated here; dmarquet ack list shows the notes.",
            counted(folded, "action is acknowledged", "actions are acknowledged")
        );
    }
    note
}

fn explain(summary: &Summary) -> String {
    let week = summary.period.week.as_ref().map(|week| format!(" --week {week}")).unwrap_or_default();
    format!("dmarquet summary{week} --explain ADDRESS")
}
