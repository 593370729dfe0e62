//! The page that text, Markdown and HTML all show: the summary put into words and tables, in reading order. In: a
//! [`Summary`]. Out: a [`Page`] of cleaned strings. A writer lays it out and escapes it, and has no words of its own.

use super::{
    clean::Clean,
    numbers::{count, counted, percent},
    words,
};
use crate::analyse::{
    DomainSummary, Evidence, Point, Quality, Rate, Role, Sender, SenderChange, Summary, Totals, Verdict,
};
use serde::Serialize;

/// How many senders a page lists.
const SENDERS: usize = 25;

/// How many changes of a kind a page names.
const NAMED: usize = 5;

/// All that is shown.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) answers: Vec<Answer>,
    pub(crate) numbers: Vec<String>,
    pub(crate) actions: Vec<Todo>,
    pub(crate) changes: Vec<String>,
    pub(crate) domains: Vec<DomainLine>,
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
    pub(crate) pass: String,
    pub(crate) usual: String,
    pub(crate) dkim: String,
    pub(crate) spf: String,
    pub(crate) readiness: String,
    pub(crate) details: Vec<String>,
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
pub(crate) fn page(summary: &Summary) -> Page {
    let mut page = Page {
        title: title(summary),
        subtitle: subtitle(summary),
        answers: Vec::new(),
        numbers: numbers(summary),
        actions: summary.actions.iter().map(todo).collect(),
        changes: changes(summary),
        domains: summary.domains.iter().map(domain).collect(),
        trend: trend(&summary.trend),
        senders: summary.senders.iter().take(SENDERS).map(sender).collect(),
        many_domains: summary.domains.len() > 1,
        senders_note: senders_note(summary),
        quality: quality(&summary.quality),
    };
    if summary.totals.sums.messages > 0 {
        page.answers = vec![spoofing(summary), own_senders(summary), policy(summary), news(summary, &page.changes)];
    }
    page
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
    let (reports, reporters) = (summary.totals.reports, summary.totals.reporters);
    format!(
        "{} to {}, UTC. {} of {} on {}.",
        words::weekday(from),
        words::weekday(to),
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
            "Of {} failing, receivers rejected {}, quarantined {}, delivered {}; {} of them authenticate as another domain.",
            count(sums.failing()),
            count(summary.totals.failing_rejected),
            count(summary.totals.failing_quarantined),
            count(summary.totals.failing_delivered),
            count(summary.totals.authenticated_unaligned),
        ));
    }
    lines
}

fn spoofing(summary: &Summary) -> Answer {
    let all = &summary.spoofing;
    let question = "Is anyone spoofing us?";
    if all.messages == 0 {
        return Answer { question, tone: Tone::Good, text: "No sign of it.".to_owned() };
    }
    let fate = format!(
        "{} from {} prove nothing; {} were refused or put aside, {} delivered",
        words::messages(all.messages),
        counted(all.addresses, "address", "addresses"),
        count(all.stopped),
        count(all.messages - all.stopped.min(all.messages)),
    );
    let largest: Vec<String> = summary
        .senders
        .iter()
        .filter(|sender| sender.who.role == Role::Suspect)
        .take(2)
        .map(|sender| format!("{} ({})", words::sender(&sender.who), count(sender.sums.messages)))
        .collect();
    if largest.is_empty() {
        return Answer { question, tone: Tone::Plain, text: format!("Only in small numbers: {fate}.") };
    }
    Answer { question, tone: Tone::Bad, text: format!("Most likely: {fate}. Above all {}.", largest.join(", ")) }
}

fn own_senders(summary: &Summary) -> Answer {
    let question = "Which of our own senders fail?";
    let failing: Vec<&Sender> = summary
        .senders
        .iter()
        .filter(|sender| matches!(sender.who.role, Role::Own | Role::Vendor) && matters(sender))
        .collect();
    if failing.is_empty() && summary.actions.is_empty() {
        let lost: u64 = summary.domains.iter().map(|domain| domain.readiness.would_be_lost).sum();
        let unclear: u64 = summary.domains.iter().map(|domain| domain.readiness.unclear).sum();
        if unclear.saturating_mul(100) >= summary.totals.sums.messages {
            let text = format!(
                "None that is known; {} fail whose sender is too little known to judge.",
                words::messages(unclear)
            );
            return Answer { question, tone: Tone::Plain, text };
        }
        let answer = if lost == 0 {
            "None: what you send passes.".to_owned()
        } else {
            format!("None to speak of: {} in all.", words::messages(lost))
        };
        return Answer { question, tone: Tone::Good, text: answer };
    }
    if failing.is_empty() {
        return Answer { question, tone: Tone::Plain, text: "None fails DMARC yet, but see what to do.".to_owned() };
    }
    let named: Vec<String> = failing
        .iter()
        .take(3)
        .map(|sender| {
            format!(
                "{} ({} of {}: {})",
                words::sender(&sender.who),
                count(sender.sums.failing()),
                count(sender.sums.messages),
                words::cause(sender.cause)
            )
        })
        .collect();
    let see = if summary.actions.is_empty() { "" } else { " See what to do." };
    let more = failing.len().saturating_sub(3);
    let more = if more > 0 { format!("; and {}", counted(more as u64, "more", "more")) } else { String::new() };
    Answer { question, tone: Tone::Bad, text: format!("{}{more}.{see}", named.join("; ")) }
}

/// More than a stray message fails.
fn matters(sender: &Sender) -> bool {
    let failing = sender.sums.failing();
    failing >= 100 || failing > 0 && failing.saturating_mul(100) >= sender.sums.messages
}

fn policy(summary: &Summary) -> Answer {
    let question = "May we move to a stricter policy?";
    let left_to_move: Vec<&DomainSummary> =
        summary.domains.iter().filter(|domain| domain.readiness.verdict != Verdict::Done).collect();
    let lines: Vec<String> = left_to_move
        .iter()
        .take(4)
        .map(|domain| format!("{}: {}", Clean::new(&domain.policy_domain), readiness(domain)))
        .collect();
    if lines.is_empty() {
        return Answer { question, tone: Tone::Good, text: "Nothing is left to do: p=reject everywhere.".to_owned() };
    }
    let left = left_to_move.len() - lines.len();
    let more = if left > 0 {
        format!("; and {} below", counted(left as u64, "more domain", "more domains"))
    } else {
        String::new()
    };
    let ready = |domain: &DomainSummary| matches!(domain.readiness.verdict, Verdict::Ready | Verdict::Parked);
    // Good news only where it is all good: a "not yet" in green is read as a yes.
    let tone = if left_to_move.iter().all(|domain| ready(domain)) { Tone::Good } else { Tone::Plain };
    Answer { question, tone, text: format!("{}{more}.", lines.join("; ")) }
}

fn readiness(domain: &DomainSummary) -> String {
    words::verdict(domain.readiness.verdict, domain.readiness.next, domain.readiness.loss())
}

fn news(summary: &Summary, changes: &[String]) -> Answer {
    let question = "What is new?";
    if summary.comparison.is_none() && changes.is_empty() {
        return Answer { question, tone: Tone::Plain, text: "There is nothing earlier to compare with.".to_owned() };
    }
    if changes.is_empty() {
        return Answer { question, tone: Tone::Good, text: "Nothing to speak of.".to_owned() };
    }
    let more = changes.len() - 1;
    let more = if more > 0 {
        format!(" And {} below.", counted(more as u64, "more change", "more changes"))
    } else {
        String::new()
    };
    Answer { question, tone: Tone::Plain, text: format!("{}{more}", changes[0]) }
}

fn changes(summary: &Summary) -> Vec<String> {
    let changes = &summary.changes;
    let period = if summary.period.week.is_some() { "week" } else { "period" };
    let mut lines = Vec::new();
    for change in changes.policies.iter().take(2 * NAMED) {
        let value = |value| match words::shown(value) {
            text if text.is_empty() => "absent".to_owned(),
            text => text,
        };
        lines.push(format!(
            "Policy of {}: {}={} became {}={}, first seen {}.",
            Clean::new(&change.policy_domain),
            change.tag,
            value(change.from.as_ref()),
            change.tag,
            value(change.to.as_ref()),
            words::weekday(change.day),
        ));
    }
    for change in changes.senders.new.iter().take(NAMED) {
        let cause = change.cause.map_or("", words::cause);
        lines.push(format!("New sender: {}, {} ({cause}).", words::sender(&change.who), seen(change)));
    }
    for change in changes.senders.vanished.iter().take(NAMED) {
        lines.push(format!(
            "No mail any more from {}: it used to send {} a {period}, the last on {}.",
            words::sender(&change.who),
            words::messages(change.messages_usual),
            words::weekday(change.last_seen),
        ));
    }
    for change in changes.senders.moved.iter().take(NAMED) {
        lines.push(format!(
            "Pass rate of {}: {}, before {}.",
            words::sender(&change.who),
            percent(change.pass_rate),
            percent(change.pass_rate_usual),
        ));
    }
    for reporter in changes.silent_reporters.iter().take(NAMED) {
        lines.push(format!(
            "No reports from {} since {}; it used to bring {} of the messages.",
            Clean::new(&reporter.org_name),
            words::weekday(reporter.last_report),
            percent(Some(reporter.usual_share)),
        ));
    }
    lines
}

fn seen(change: &SenderChange) -> String {
    format!(
        "{} since {}, seen by {}",
        words::messages(change.messages),
        words::weekday(change.first_seen),
        counted(change.reporters, "reporter", "reporters")
    )
}

fn todo(action: &crate::analyse::Action) -> Todo {
    Todo {
        domain: Clean::new(&action.policy_domain).to_string(),
        change: words::change(action),
        cause: words::capital(words::cause(action.cause)),
        evidence: words::action_evidence(action),
    }
}

fn domain(domain: &DomainSummary) -> DomainLine {
    let sums = &domain.totals.sums;
    let share = |part| percent(Rate::of(part, sums.messages));
    let policy = domain.policy.as_ref();
    let tag = |name: &str, value: String| if value.is_empty() { String::new() } else { format!("{name}={value}") };
    let tags = policy.map(|policy| {
        let pct = policy.pct.filter(|pct| *pct != 100).map(|pct| pct.to_string()).unwrap_or_default();
        [
            tag("p", words::shown(policy.p.as_ref())),
            tag("sp", words::shown(policy.sp.as_ref().filter(|sp| policy.p.as_ref() != Some(*sp)))),
            tag("pct", pct),
        ]
        .into_iter()
        .filter(|tag| !tag.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
    });
    DomainLine {
        domain: Clean::new(&domain.policy_domain).to_string(),
        policy: tags.filter(|tags| !tags.is_empty()).unwrap_or_else(|| "not seen".to_owned()),
        messages: count(sums.messages),
        pass: percent(sums.pass_rate()),
        usual: domain.comparison.as_ref().map(|comparison| words::comparison(comparison, "before")).unwrap_or_default(),
        dkim: share(sums.dkim_aligned),
        spf: share(sums.spf_aligned),
        readiness: readiness(domain),
        details: details(domain),
        trend: trend(&domain.trend),
    }
}

fn details(domain: &DomainSummary) -> Vec<String> {
    let readiness = &domain.readiness;
    let mut lines = Vec::new();
    if readiness.verdict != Verdict::Done {
        for losing in readiness.losing.iter().take(3) {
            lines.push(format!(
                "would lose {} of {}: {}",
                words::messages(losing.failing),
                words::sender(&losing.who),
                words::cause(losing.cause)
            ));
        }
    }
    for (number, what) in [
        (readiness.forwarded_at_risk, "of forwarders and lists fail; receivers often know better than to refuse them"),
        (readiness.unclear, "fail whose sender is too little known to judge"),
    ] {
        if number > 0 {
            lines.push(format!("{} {what}", words::messages(number)));
        }
    }
    let names: Vec<String> = domain
        .subdomains
        .iter()
        .take(3)
        .map(|name| {
            format!(
                "{} ({}, {})",
                Clean::new(&name.header_from),
                count(name.messages),
                percent(Rate::of(name.dmarc_pass, name.messages))
            )
        })
        .collect();
    if !names.is_empty() {
        lines.push(format!("also sent as {}", names.join(", ")));
    }
    lines
}

fn trend(points: &[Point]) -> Trend {
    let point = |point: &Point| TrendPoint {
        label: point.week.clone().unwrap_or_else(|| point.from.to_string()),
        messages: point.messages,
        failing: point.messages - point.dmarc_pass,
        shown: format!("{}, {}", words::messages(point.messages), percent(Rate::of(point.dmarc_pass, point.messages))),
    };
    Trend { points: points.iter().map(point).collect() }
}

fn sender(sender: &Sender) -> SenderLine {
    let sums = &sender.sums;
    let share = |part| percent(Rate::of(part, sums.messages));
    let more = if sender.who.addresses > 1 { format!(" ({})", sender.who.addresses) } else { String::new() };
    // The cause of a suspect says already that nothing passes.
    let said = |evidence: &&Evidence| !matches!(evidence, Evidence::NothingPasses { .. });
    let evidence: Vec<String> = sender.evidence.iter().filter(said).take(3).map(words::evidence).collect();
    SenderLine {
        sender: format!("{}{more}", words::network(&sender.who)),
        name: words::identity(&sender.who).unwrap_or_default(),
        domain: Clean::new(&sender.who.policy_domain).to_string(),
        messages: count(sums.messages),
        pass: percent(sums.pass_rate()),
        dkim: share(sums.dkim_aligned),
        spf: share(sums.spf_aligned),
        other: count(sender.authenticated_unaligned),
        reporters: count(sender.reporters),
        seen: format!("{} to {}", sender.first_seen, sender.last_seen),
        role: words::role(sender.who.role),
        cause: words::cause(sender.cause),
        evidence: evidence.join("; "),
        fails: matters(sender),
    }
}

fn senders_note(summary: &Summary) -> Vec<String> {
    let (all, mut lines) = (&summary.spoofing, Vec::new());
    if all.tail_messages > 0 {
        lines.push(format!(
            "Likely spoofed, in small numbers: {} from {}, {} of them refused or put aside.",
            words::messages(all.tail_messages),
            counted(all.tail_addresses, "address", "addresses"),
            count(all.tail_stopped),
        ));
    }
    let more = summary.senders.len().saturating_sub(SENDERS);
    if more > 0 {
        lines.push(format!(
            "And {}; --format csv lists every address.",
            counted(more as u64, "more sender", "more senders")
        ));
    }
    lines
}

fn quality(quality: &Quality) -> Vec<String> {
    let mut lines = Vec::new();
    let mut push = |number: u64, line: String| {
        if number > 0 {
            lines.push(line);
        }
    };
    push(u64::from(quality.unfinished), "The period is not over: all numbers will grow.".to_owned());
    push(
        u64::from(quality.reports_may_come && !quality.unfinished),
        "Reports of the last days may still come.".to_owned(),
    );
    let empty: Vec<String> = quality.empty_days.iter().take(7).map(|day| words::weekday(*day)).collect();
    push(empty.len() as u64, format!("No reports at all on {}.", empty.join(", ")));
    for missing in quality.missing_days.iter().take(NAMED) {
        let days: Vec<String> = missing.days.iter().take(7).map(|day| words::weekday(*day)).collect();
        push(1, format!("No report from {} on {}.", Clean::new(&missing.org_name), days.join(", ")));
    }
    push(quality.unreadable, format!("{} could not be read.", counted(quality.unreadable, "item", "items")));
    push(
        quality.conflicts,
        format!("{} came again with other content; the first counts.", counted(quality.conflicts, "report", "reports")),
    );
    for long in quality.long_reports.iter().take(3) {
        push(
            1,
            format!(
                "A report of {} covers {} to {}: its {} count for the day in the middle.",
                Clean::new(&long.org_name),
                long.from,
                long.to,
                words::messages(long.messages)
            ),
        );
    }
    let more = quality.long_reports.len().saturating_sub(3) as u64;
    push(more, format!("{} over two days long.", counted(more, "more report is", "more reports are")));
    push(
        quality.unproven_reports,
        format!(
            "{} came by forged mail, with {}: {}.",
            counted(quality.unproven_reports, "report", "reports"),
            words::messages(quality.unproven_messages),
            if quality.unproven_left_out { "left out of all other numbers" } else { "do not trust them" }
        ),
    );
    push(
        quality.foreign_reports,
        format!(
            "{} on domains that the settings do not name as yours.",
            counted(quality.foreign_reports, "report is", "reports are")
        ),
    );
    push(
        quality.not_evaluated,
        format!(
            "{} came without the reporter's verdict: alignment is worked out here.",
            words::messages(quality.not_evaluated)
        ),
    );
    push(
        quality.pass_without_evidence,
        format!(
            "{} pass, the reporter says, though its own results do not show why.",
            words::messages(quality.pass_without_evidence)
        ),
    );
    push(
        quality.fail_but_aligned,
        format!(
            "{} fail, the reporter says, though its own results pass and align.",
            words::messages(quality.fail_but_aligned)
        ),
    );
    if lines.is_empty() {
        lines.push("Nothing odd.".to_owned());
    }
    lines
}
