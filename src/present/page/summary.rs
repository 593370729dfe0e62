//! The summary put into words and tables, in reading order.

use super::doubts::{self, Doubt};
use super::{answers, changes, domains, quality, senders};
use crate::analyze::{Point, Rate, Summary, Totals};
use crate::present::wording::branding::{Brand, Branding};
use crate::present::wording::clean::Clean;
use crate::present::wording::numbers::{count, counted, percent};
use crate::present::wording::words;
use serde::Serialize;

/// How many changes of a kind a page names.
pub(crate) const NAMED: usize = 5;

/// All that is shown.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Page {
    /// What stands around it.
    pub(crate) brand: Brand,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) answers: Vec<Answer>,
    pub(crate) numbers: Vec<String>,
    pub(crate) actions: Vec<Todo>,
    /// How many more things there are to do; empty where all are told.
    pub(crate) actions_note: String,
    pub(crate) doubts: Vec<Doubt>,
    pub(crate) changes: Vec<String>,
    pub(crate) domains: Vec<DomainLine>,
    /// So many domains that a table has a line for each, and only those that stand out are told of at length.
    pub(crate) tabled: bool,
    /// Where to find the rest; empty where there is none.
    pub(crate) domains_note: String,
    pub(crate) trend: Trend,
    pub(crate) senders: Vec<SenderLine>,
    /// More than one domain: each sender says which.
    pub(crate) many_domains: bool,
    pub(crate) senders_note: Vec<String>,
    pub(crate) quality: Vec<String>,
}

/// One of the four questions, answered.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Answer {
    pub(crate) question: &'static str,
    pub(crate) tone: Tone,
    pub(crate) text: String,
}

/// Whether an answer is good news. Every rendering says it in words too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tone {
    Good,
    Bad,
    Plain,
}

/// One thing to do.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Todo {
    pub(crate) domain: String,
    pub(crate) change: String,
    pub(crate) cause: String,
    pub(crate) evidence: String,
}

/// A domain in a line.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DomainLine {
    pub(crate) domain: String,
    pub(crate) policy: String,
    pub(crate) messages: String,
    /// `1 message`.
    pub(crate) volume: String,
    pub(crate) pass: String,
    pub(crate) usual: String,
    pub(crate) dkim: String,
    pub(crate) spf: String,
    pub(crate) readiness: String,
    /// The same in two words, for a table.
    pub(crate) brief: String,
    pub(crate) details: Vec<String>,
    /// It is told of at length.
    pub(crate) whole: bool,
    /// The trend in a few characters.
    pub(crate) bars: String,
    pub(crate) trend: Trend,
}

/// A series of periods.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Trend {
    pub(crate) points: Vec<TrendPoint>,
}

/// One period of a series.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TrendPoint {
    pub(crate) label: String,
    pub(crate) messages: u64,
    pub(crate) failing: u64,
    pub(crate) shown: String,
}

/// A sender in a line.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SenderLine {
    pub(crate) sender: String,
    pub(crate) name: String,
    pub(crate) domain: String,
    pub(crate) messages: String,
    pub(crate) pass: String,
    pub(crate) dkim: String,
    pub(crate) spf: String,
    pub(crate) other: String,
    pub(crate) reporters: String,
    pub(crate) seen: String,
    pub(crate) role: &'static str,
    pub(crate) cause: &'static str,
    pub(crate) evidence: String,
    pub(crate) fails: bool,
}

/// Put a summary into words.
pub(crate) fn page(summary: &Summary, branding: &Branding) -> Page {
    let kinds = changes::kinds(summary);
    let domains = domains::domains(summary);
    Page {
        brand: branding.into(),
        title: title(summary),
        subtitle: subtitle(summary),
        answers: answers::answers(summary, &kinds),
        numbers: numbers(summary),
        actions: unfolded(summary).take(NAMED).map(todo).collect(),
        actions_note: actions_note(summary),
        doubts: doubts::doubts(summary),
        changes: kinds.into_iter().flat_map(|kind| kind.lines).collect(),
        domains: domains.lines,
        tabled: domains.tabled,
        domains_note: domains.note,
        trend: trend(&summary.trend),
        senders: senders::senders(summary),
        many_domains: summary.domains.len() > 1,
        senders_note: senders::note(summary),
        quality: quality::quality(&summary.quality),
    }
}

fn title(summary: &Summary) -> String {
    summary
        .period
        .week
        .as_ref()
        .map_or_else(|| "DMARC summary".to_owned(), |week| format!("DMARC summary, week {week}"))
}

fn subtitle(summary: &Summary) -> String {
    let Some((from, to)) = summary.period.from.zip(summary.period.to) else { return "No reports".to_owned() };
    let days = format!("{} to {}, UTC", words::weekday(from), words::weekday(to));
    let (reports, reporters) = (summary.totals.reports, summary.totals.reporters);
    if reports == 0 {
        return format!("{days}. No reports.");
    }
    format!(
        "{days}. {} of {} on {}.",
        counted(reports, "report", "reports"),
        counted(reporters, "reporter", "reporters"),
        counted(summary.domains.len() as u64, "domain", "domains"),
    )
}

fn numbers(summary: &Summary) -> Vec<String> {
    let Totals { sums, .. } = &summary.totals;
    if sums.messages == 0 {
        return vec!["No data: no report speaks of a message in these days.".to_owned()];
    }
    let compared = summary.comparison.as_ref().map(|comparison| {
        let before = if summary.period.week.is_some() { "the week before" } else { "the period before" };
        format!(" ({})", words::comparison(comparison, before))
    });
    let share = |part| percent(Rate::of(part, sums.messages));
    let mut lines = vec![
        format!(
            "{}, {} pass DMARC{}.",
            words::messages(sums.messages),
            percent(sums.pass_rate()),
            compared.unwrap_or_default()
        ),
        format!(
            "DKIM aligned {}, SPF aligned {}: both {}, DKIM only {}, SPF only {}, neither {}.",
            share(sums.dkim_aligned),
            share(sums.spf_aligned),
            count(sums.both),
            count(sums.dkim_only),
            count(sums.spf_only),
            count(sums.neither),
        ),
    ];
    if sums.failing() > 0 {
        lines.push(format!(
            "Of {} failing, receivers rejected {}, quarantined {}, and did not block {}; {} of them authenticate as another domain.",
            count(sums.failing()),
            count(summary.totals.failing_rejected),
            count(summary.totals.failing_quarantined),
            count(summary.totals.failing_not_blocked),
            count(summary.totals.authenticated_unaligned),
        ));
    }
    lines
}

/// What the list of actions leaves out.
fn actions_note(summary: &Summary) -> String {
    let told = unfolded(summary).count();
    let more = (told.saturating_sub(NAMED) as u64).saturating_add(summary.more_actions);
    let folded = (summary.actions.len() - told) as u64;
    let mut notes = Vec::new();
    if more > 0 {
        notes.push(format!(
            "And {}; --format json has them all.",
            counted(more, "more thing to do", "more things to do")
        ));
    }
    if folded > 0 {
        notes.push(format!(
            "{} and not repeated here; `dmarquet ack list` has the notes.",
            counted(folded, "action is acknowledged", "actions are acknowledged")
        ));
    }
    notes.join(" ")
}

/// The actions that nobody has acknowledged, and those that have grown since.
fn unfolded(summary: &Summary) -> impl Iterator<Item = &crate::analyze::Action> {
    summary.actions.iter().filter(|action| !action.tracking.folded)
}

fn todo(action: &crate::analyze::Action) -> Todo {
    Todo {
        domain: Clean::new(&action.policy_domain).to_string(),
        change: words::change(action),
        cause: words::capital(words::cause(action.cause)),
        evidence: words::action_evidence(action),
    }
}

pub(crate) fn trend(points: &[Point]) -> Trend {
    let point = |point: &Point| TrendPoint {
        label: point.week.clone().unwrap_or_else(|| point.from.to_string()),
        messages: point.messages,
        failing: point.messages - point.dmarc_pass,
        shown: format!("{}, {}", words::messages(point.messages), percent(Rate::of(point.dmarc_pass, point.messages))),
    };
    Trend { points: points.iter().map(point).collect() }
}
