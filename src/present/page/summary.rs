//! The summary put into words and tables, in reading order.

use super::changes::{self, News};
use super::domains::{self, DomainLine};
use super::doubts::{self, Doubt};
use super::reporting::{self, ReporterStrip};
use super::results::{self, ResultBar, ResultColumns};
use super::senders::{self, SenderList, SuspectFold};
use super::shared::unfolded;
use super::tiles::{self, Tile};
use super::tls::{self, TlsSection};
use super::{lead, quality};
use crate::analyze::Summary;
use crate::present::wording::branding::{Brand, Branding};
use crate::present::wording::instructions::{Instruction, instruction};
use crate::present::wording::numbers::{count, counted};
use crate::present::wording::words;
use serde::Serialize;

/// How many things to do a page tells at length.
const INSTRUCTIONS: usize = 10;

/// All that is shown.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Page {
    /// What stands around it.
    pub(crate) brand: Brand,
    pub(crate) title: String,
    /// The days, and how many reports speak of them.
    pub(crate) days: String,
    pub(crate) reports: String,
    /// What happened, in a few sentences.
    pub(crate) lead: Vec<String>,
    pub(crate) tiles: Vec<Tile>,
    pub(crate) actions: Vec<Instruction>,
    /// How many there are, and how many more than told.
    pub(crate) actions_note: String,
    pub(crate) doubts: Vec<Doubt>,
    /// Where the messages come from; `None` where there are none.
    pub(crate) results: Option<ResultBar>,
    /// The same over the last periods.
    pub(crate) history: Option<ResultColumns>,
    pub(crate) changes: Vec<News>,
    pub(crate) domains: Vec<DomainLine>,
    /// So many domains that they have a table, and only those that stand out are told of at length.
    pub(crate) tabled: bool,
    /// How far the domains are, and where to find the rest; empty where there is nothing to say.
    pub(crate) domains_note: String,
    /// TLS between mail servers; `None` where no report speaks of it.
    pub(crate) tls: Option<TlsSection>,
    /// Senders by what they are; those of the reader come first.
    pub(crate) senders: Vec<SenderList>,
    pub(crate) suspects: Option<SuspectFold>,
    /// More than one domain: each sender says which.
    pub(crate) many_domains: bool,
    pub(crate) senders_note: Vec<String>,
    /// Who reported on which day.
    pub(crate) reporting: Option<ReporterStrip>,
    pub(crate) quality: Vec<String>,
    /// How to see the records behind a source.
    pub(crate) explain: String,
}

/// Put a summary into words.
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

/// `Mon, Nov 16 to Sun, Nov 22 (UTC)`; with years where they are two.
fn days(summary: &Summary) -> String {
    let Some((from, to)) = summary.period.from.zip(summary.period.to) else { return String::new() };
    let year = if from.year() == to.year() { String::new() } else { format!(", {}", from.year()) };
    format!("{}{year} to {}, {} (UTC)", words::weekday(from), words::weekday(to), to.year())
}

fn reports(summary: &Summary) -> String {
    let (reports, reporters) = (summary.totals.reports, summary.totals.reporters);
    let of_tls = if summary.tls.is_empty() { "" } else { ", and TLS reports" };
    if reports == 0 {
        return if of_tls.is_empty() { "No reports".to_owned() } else { "Only TLS reports".to_owned() };
    }
    format!(
        "{} from {} about {}{of_tls}",
        counted(reports, "report", "reports"),
        counted(reporters, "reporter", "reporters"),
        counted(summary.domains.len() as u64, "domain", "domains"),
    )
}

/// How many actions there are, and what the page leaves out.
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
            "{note}{gap}{} and not repeated here; `dmarquet ack list` has the notes.",
            counted(folded, "action is acknowledged", "actions are acknowledged")
        );
    }
    note
}

fn explain(summary: &Summary) -> String {
    let week = summary.period.week.as_ref().map(|week| format!(" --week {week}")).unwrap_or_default();
    format!("dmarquet summary{week} --explain ADDRESS")
}
