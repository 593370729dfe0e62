//! What changed, kind by kind: a line each, and a few words on all of a kind.

use super::summary::NAMED;
use crate::analyze::{Changes, PolicyChange, SenderChange, Summary};
use crate::present::wording::clean::Clean;
use crate::present::wording::numbers::{count, counted, percent};
use crate::present::wording::words;
use jiff::ToSpan as _;
use std::collections::BTreeSet;

/// The changes of one kind; there is one at least.
pub(super) struct Kind {
    /// How many there are and which matters most, in a few words that no line repeats.
    pub(super) brief: String,
    /// A line each.
    pub(super) lines: Vec<String>,
}

/// Every kind that there is a change of, the most urgent first.
pub(super) fn kinds(summary: &Summary) -> Vec<Kind> {
    let changes = &summary.changes;
    let senders = &changes.senders;
    let period = if summary.period.week.is_some() { "week" } else { "period" };
    let (domains, reporters) = if is_silent(summary) {
        (silence(changes, period), None)
    } else {
        (domains(changes, period), reporters(changes))
    };
    let of_senders = |changes: &[SenderChange], what: [&str; 2], line: &dyn Fn(&SenderChange) -> String| {
        let first = changes.first().map(|change| words::sender(&change.who))?;
        kind(what, &first, changes.iter().map(line).collect())
    };
    let kinds = [
        domains,
        policies(changes),
        of_senders(&senders.new, ["new sender", "new senders"], &new),
        of_senders(&senders.vanished, ["sender gone", "senders gone"], &|change| gone(change, period)),
        of_senders(&senders.moved, ["pass rate moved", "pass rates moved"], &moved),
        reporters,
    ];
    kinds.into_iter().flatten().collect()
}

/// `1 new sender, X`, or `3 new senders, above all X`, of lines each about one.
fn kind([one, many]: [&str; 2], first: &str, mut lines: Vec<String>) -> Option<Kind> {
    let number = lines.len() as u64;
    let brief = match number {
        0 => return None,
        1 => format!("1 {one}, {first}"),
        _ => format!("{} {many}, above all {first}", count(number)),
    };
    lines.truncate(NAMED);
    let more = number - lines.len() as u64;
    if more > 0 {
        lines.push(format!("And {} more {}, in --format json.", count(more), if more == 1 { one } else { many }));
    }
    Some(Kind { brief, lines })
}

/// Whether there is no report of anybody on anything any more: one fault, not one for each domain and reporter.
fn is_silent(summary: &Summary) -> bool {
    let last = summary.changes.silent_domains.iter().map(|domain| domain.last_report).max();
    let empty = &summary.quality.empty_days;
    summary.totals.reports == 0
        || last.is_some_and(|last| (1..=3).all(|days| empty.contains(&last.saturating_add(days.days()))))
}

/// Nobody reports on anything any more.
fn silence(changes: &Changes, period: &str) -> Option<Kind> {
    let last = changes.silent_domains.iter().map(|domain| domain.last_report).max();
    let last = last.max(changes.silent_reporters.iter().map(|reporter| reporter.last_report).max())?;
    let usual: u64 = changes.silent_domains.iter().map(|domain| domain.usual_reports).sum();
    let line = format!(
        "No report at all since {}: there used to be {} a {period}. Look at the mailbox they go to, and at rua= in the \
         DMARC records.",
        words::weekday(last),
        counted(usual, "report", "reports"),
    );
    Some(Kind { brief: "no reports any more, from anybody".to_owned(), lines: vec![line] })
}

fn domains(changes: &Changes, period: &str) -> Option<Kind> {
    let line = |domain: &crate::analyze::SilentDomain| {
        format!(
            "No report on {} since {}: there used to be {} a {period}. Is its DMARC record still there, and rua= in it?",
            Clean::new(&domain.policy_domain),
            words::weekday(domain.last_report),
            counted(domain.usual_reports, "report", "reports"),
        )
    };
    let first = changes.silent_domains.first().map(|domain| Clean::new(&domain.policy_domain).to_string())?;
    let what = ["domain nobody reports on any more", "domains nobody reports on any more"];
    kind(what, &first, changes.silent_domains.iter().map(line).collect())
}

fn policies(changes: &Changes) -> Option<Kind> {
    let line = |change: &PolicyChange| {
        let value = |value| match words::shown(value) {
            text if text.is_empty() => "absent".to_owned(),
            text => text,
        };
        let (tag, from, to) = (change.tag, value(change.from.as_ref()), value(change.to.as_ref()));
        let (domain, day) = (Clean::new(&change.policy_domain), words::weekday(change.day));
        format!("Policy of {domain}: {tag}={from} became {tag}={to}, first seen {day}.")
    };
    let first = changes.policies.first().map(|change| Clean::new(&change.policy_domain).to_string())?;
    let mut kind =
        kind(["change of policy", "changes of policy"], &first, changes.policies.iter().map(line).collect())?;
    let domains = changes.policies.iter().map(|change| &change.policy_domain).collect::<BTreeSet<_>>().len();
    kind.brief = match domains {
        1 => format!("the policy of {first} changed"),
        _ => format!("the policies of {} changed, as that of {first}", counted(domains as u64, "domain", "domains")),
    };
    Some(kind)
}

fn new(change: &SenderChange) -> String {
    format!(
        "New sender: {}, {} since {}, seen by {} ({}).",
        words::sender(&change.who),
        words::messages(change.messages),
        words::weekday(change.first_seen),
        counted(change.reporters, "reporter", "reporters"),
        change.cause.map_or("", words::cause),
    )
}

fn gone(change: &SenderChange, period: &str) -> String {
    format!(
        "No mail any more from {}: it used to send {} a {period}, the last on {}.",
        words::sender(&change.who),
        words::messages(change.messages_usual),
        words::weekday(change.last_seen),
    )
}

fn moved(change: &SenderChange) -> String {
    format!(
        "Pass rate of {}: {}, before {}.",
        words::sender(&change.who),
        percent(change.pass_rate),
        percent(change.pass_rate_usual),
    )
}

fn reporters(changes: &Changes) -> Option<Kind> {
    let line = |reporter: &crate::analyze::SilentReporter| {
        format!(
            "No reports from {} since {}; it used to bring {} of the messages.",
            Clean::new(&reporter.org_name),
            words::weekday(reporter.last_report),
            percent(Some(reporter.usual_share)),
        )
    };
    let first = changes.silent_reporters.first().map(|reporter| Clean::new(&reporter.org_name).to_string())?;
    kind(["reporter silent", "reporters silent"], &first, changes.silent_reporters.iter().map(line).collect())
}
