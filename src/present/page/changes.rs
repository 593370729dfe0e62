//! What changed, most urgent first: a short heading and a sentence.

use super::shared::{Mark, NAMED, News};
use super::tls;
use crate::analyze::{Changes, DomainSummary, PolicyChange, Role, SenderChange, SilentDomain, SilentReporter, Summary};
use crate::present::wording::clean::Clean;
use crate::present::wording::numbers::{count, counted, percent};
use crate::present::wording::words;
use jiff::ToSpan as _;

/// All of them.
pub(super) fn news(summary: &Summary) -> Vec<News> {
    let changes = &summary.changes;
    let senders = &changes.senders;
    let period = if summary.period.week.is_some() { "week" } else { "period" };
    let silent = is_silent(summary);
    let mut news = Vec::new();
    if silent {
        news.extend(silence(changes, period));
    } else {
        news.extend(first_of(&changes.silent_domains, "domains without reports", |domain| {
            silent_domain(domain, period)
        }));
    }
    news.extend(first_of(&senders.new, "new senders", new));
    let moved: Vec<&DomainSummary> = summary
        .domains
        .iter()
        .filter(|domain| domain.comparison.as_ref().is_some_and(|comparison| comparison.rate_moved))
        .collect();
    news.extend(first_of(&moved, "domains whose pass rate changed", |domain| {
        rate(domain, summary.period.week.is_some())
    }));
    news.extend(first_of(&senders.moved, "senders whose pass rate changed", sender_moved));
    news.extend(first_of(&changes.policies, "changes of a policy", policy));
    news.extend(first_of(&senders.vanished, "senders that stopped", |change| gone(change, period)));
    if !silent {
        news.extend(first_of(&changes.silent_reporters, "silent reporters", silent_reporter));
    }
    news.extend(tls::news(summary));
    // The worst first; a stable sort.
    news.sort_by_key(|news| match news.mark {
        Mark::Spoof => 0,
        Mark::Fix => 1,
        Mark::Good | Mark::Calm => 2,
    });
    if news.is_empty() && summary.totals.reports > 0 {
        news.push(nothing(summary));
    }
    news
}

fn nothing(summary: &Summary) -> News {
    if summary.comparison.is_none() {
        return News::new(Mark::Calm, "Nothing yet", "There is nothing earlier to compare with.".to_owned());
    }
    let text = "No sender is new or gone, no pass rate changed, no domain changed its policy, and no reporter has gone silent.";
    News::new(Mark::Good, "Unchanged", text.to_owned())
}

/// The first few of a kind, and the number of others.
fn first_of<T>(changes: &[T], what: &str, news: impl Fn(&T) -> News) -> Vec<News> {
    let mut told: Vec<News> = changes.iter().take(NAMED).map(news).collect();
    let more = changes.len().saturating_sub(NAMED) as u64;
    if more > 0 {
        let text = format!("{} more {what}; --format json has them.", count(more));
        told.push(News::new(Mark::Calm, "And more", text));
    }
    told
}

/// Whether all reports have stopped: one problem, not one per domain and reporter.
fn is_silent(summary: &Summary) -> bool {
    let last = summary.changes.silent_domains.iter().map(|domain| domain.last_report).max();
    let empty = &summary.quality.empty_days;
    summary.totals.reports == 0
        || last.is_some_and(|last| (1..=3).all(|days| empty.contains(&last.saturating_add(days.days()))))
}

/// The change if all reports have stopped.
fn silence(changes: &Changes, period: &str) -> Option<News> {
    let last = changes.silent_domains.iter().map(|domain| domain.last_report).max();
    let last = last.max(changes.silent_reporters.iter().map(|reporter| reporter.last_report).max())?;
    let usual: u64 = changes.silent_domains.iter().map(|domain| domain.usual_reports).sum();
    let text = format!(
        "No report at all since {}; there used to be {} a {period}. Check the mailbox they go to, and rua= in your DMARC \
         records.",
        words::weekday(last),
        counted(usual, "report", "reports"),
    );
    Some(News::new(Mark::Fix, "No reports", text))
}

fn silent_domain(domain: &SilentDomain, period: &str) -> News {
    let text = format!(
        "No report about {} since {}; there used to be {} a {period}. Check that its DMARC record still exists and has rua=.",
        Clean::new(&domain.policy_domain),
        words::weekday(domain.last_report),
        counted(domain.usual_reports, "report", "reports"),
    );
    News::new(Mark::Fix, "No reports", text)
}

fn policy(change: &PolicyChange) -> News {
    let value = |value| match words::shown(value) {
        text if text.is_empty() => "absent".to_owned(),
        text => text,
    };
    let (tag, from, to) = (change.tag, value(change.from.as_ref()), value(change.to.as_ref()));
    let (domain, day) = (Clean::new(&change.policy_domain), words::weekday(change.day));
    News::new(Mark::Calm, "Policy", format!("{domain}: {tag}={from} became {tag}={to}, first seen on {day}."))
}

fn new(change: &SenderChange) -> News {
    let failing = change.pass_rate.is_some_and(|rate| rate.part < rate.whole);
    let (mark, head) = match (change.who.role, failing) {
        (Role::Suspect, _) => (Mark::Spoof, "New, spoofed"),
        (Role::Own | Role::Vendor, true) => (Mark::Fix, "New, failing"),
        _ => (Mark::Calm, "New sender"),
    };
    let text = format!(
        "{}: {} since {}, seen by {}; {}.",
        words::sender(&change.who),
        words::messages(change.messages),
        words::weekday(change.first_seen),
        counted(change.reporters, "reporter", "reporters"),
        change.cause.map_or("", words::cause),
    );
    News::new(mark, head, text)
}

fn gone(change: &SenderChange, period: &str) -> News {
    let text = format!(
        "{} has stopped sending. It used to send about {} a {period}, the last on {}.",
        words::sender(&change.who),
        words::messages(change.messages_usual),
        words::weekday(change.last_seen),
    );
    News::new(Mark::Calm, "Stopped", text)
}

/// The pass rate of a whole domain.
fn rate(domain: &DomainSummary, weeks: bool) -> News {
    let now = domain.totals.sums.pass_rate();
    let (usual, median) = domain.comparison.as_ref().map_or((0.0, String::new()), |comparison| {
        let median = words::median_of(comparison, weeks);
        (comparison.pass_rate_usual, format!(", {median} {}", words::share(comparison.pass_rate_usual)))
    });
    let down = now.is_some_and(|now| now.share() < usual);
    // If the failing mail is not the user's, there is nothing to fix.
    let by = domain.trend.last().and_then(|point| point.failing).unwrap_or_default();
    let cause = match (by.spoofed, by.forwarded, by.yours + by.unclear) {
        (spoofed, forwarded, yours) if yours.saturating_mul(10) < spoofed && forwarded < spoofed => {
            ", because of spoofed mail"
        }
        (_, forwarded, yours) if yours.saturating_mul(10) < forwarded => ", because of forwarded mail",
        _ => "",
    };
    let (mark, head) = match (down, cause.is_empty()) {
        (true, true) => (Mark::Fix, "Pass rate down"),
        (true, false) => (Mark::Calm, "Pass rate down"),
        (false, _) => (Mark::Good, "Pass rate up"),
    };
    let text = format!(
        "{}: {} of {}{median}{}.",
        Clean::new(&domain.policy_domain),
        percent(now),
        words::messages(domain.totals.sums.messages),
        if down { cause } else { "" },
    );
    News::new(mark, head, text)
}

fn sender_moved(change: &SenderChange) -> News {
    let (now, usual) = (change.pass_rate, change.pass_rate_usual);
    let down = now.zip(usual).is_some_and(|(now, usual)| now.share() < usual.share());
    let yours = matches!(change.who.role, Role::Own | Role::Vendor);
    let mark = match (down, yours) {
        (true, true) => Mark::Fix,
        (false, true) => Mark::Good,
        _ => Mark::Calm,
    };
    let head = if down { "Pass rate down" } else { "Pass rate up" };
    let text = format!("{}: {}, before {}.", words::sender(&change.who), percent(now), percent(usual));
    News::new(mark, head, text)
}

fn silent_reporter(reporter: &SilentReporter) -> News {
    let text = format!(
        "No reports from {} since {}; it used to see {} of the messages.",
        Clean::new(&reporter.org_name),
        words::weekday(reporter.last_report),
        percent(Some(reporter.usual_share)),
    );
    News::new(Mark::Calm, "Silent", text)
}
