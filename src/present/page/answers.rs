//! The four questions an administrator has, answered.

use super::changes::Kind;
use super::summary::{Answer, Tone};
use crate::analyze::{Change, DomainSummary, Role, Sender, Summary, Verdict};
use crate::present::wording::clean::Clean;
use crate::present::wording::numbers::{count, counted};
use crate::present::wording::words;

/// How many domains are answered for one by one.
const ONE_BY_ONE: usize = 4;

/// The answers; none where there was no mail.
pub(super) fn answers(summary: &Summary, changes: &[Kind]) -> Vec<Answer> {
    if summary.totals.sums.messages == 0 {
        return Vec::new();
    }
    vec![spoofing(summary), own_senders(summary), policy(summary), news(summary, changes)]
}

fn spoofing(summary: &Summary) -> Answer {
    let all = &summary.spoofing;
    let question = "Is anyone spoofing us?";
    if all.messages == 0 {
        return Answer { question, tone: Tone::Good, text: "No sign of it.".to_owned() };
    }
    let fate = format!(
        "{} unauthenticated {} from {} used your domains; receivers blocked {}",
        count(all.messages),
        if all.messages == 1 { "message" } else { "messages" },
        counted(all.addresses, "address", "addresses"),
        if all.blocked == 0 { "none of them".to_owned() } else { format!("{} of them", count(all.blocked)) },
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
    let to_do = summary.actions.iter().any(|action| !matches!(action.change, Change::PublishPolicy { .. }));
    if failing.is_empty() && !to_do {
        let readiness = || summary.domains.iter().map(|domain| &domain.readiness);
        let lost = readiness().fold(0_u64, |sum, of| sum.saturating_add(of.would_be_lost));
        let unclear = readiness().fold(0_u64, |sum, of| sum.saturating_add(of.unclear));
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
    let see = if to_do { " See what to do." } else { "" };
    let more = failing.len().saturating_sub(3);
    let more = if more > 0 { format!("; and {}", counted(more as u64, "more", "more")) } else { String::new() };
    Answer { question, tone: Tone::Bad, text: format!("{}{more}.{see}", named.join("; ")) }
}

/// More than a stray message fails.
pub(super) fn matters(sender: &Sender) -> bool {
    let failing = sender.sums.failing();
    failing >= 100 || failing > 0 && failing.saturating_mul(100) >= sender.sums.messages
}

fn policy(summary: &Summary) -> Answer {
    let question = "May we move to a stricter policy?";
    let left: Vec<&DomainSummary> =
        summary.domains.iter().filter(|domain| domain.readiness.verdict != Verdict::Done).collect();
    if left.is_empty() {
        return Answer { question, tone: Tone::Good, text: "Nothing is left to do: p=reject everywhere.".to_owned() };
    }
    let ready = |domain: &DomainSummary| matches!(domain.readiness.verdict, Verdict::Ready | Verdict::Parked);
    // Good news only where it is all good: a "not yet" in green is read as a yes.
    let tone = if left.iter().all(|domain| ready(domain)) { Tone::Good } else { Tone::Plain };
    let text = if left.len() <= ONE_BY_ONE { one_by_one(&left) } else { by_verdict(&left, summary.domains.len()) };
    Answer { question, tone, text }
}

fn one_by_one(domains: &[&DomainSummary]) -> String {
    let lines: Vec<String> = domains
        .iter()
        .map(|domain| format!("{}: {}", Clean::new(&domain.policy_domain), words::readiness(&domain.readiness)))
        .collect();
    format!("{}.", lines.join("; "))
}

/// Many domains: how many are how far, and the largest of each.
fn by_verdict(left: &[&DomainSummary], all: usize) -> String {
    let of = |head: &str, verdicts: &[Verdict]| {
        let domains: Vec<&&DomainSummary> =
            left.iter().filter(|domain| verdicts.contains(&domain.readiness.verdict)).collect();
        let mut named: Vec<String> =
            domains.iter().take(ONE_BY_ONE).map(|domain| Clean::new(&domain.policy_domain).to_string()).collect();
        let more = domains.len() - named.len();
        if more > 0 {
            named.push(format!("{more} more"));
        }
        let last = named.pop()?;
        let named = if named.is_empty() { last } else { format!("{} and {last}", named.join(", ")) };
        Some(format!("{head} {}: {named}.", domains.len()))
    };
    let done = all - left.len();
    let kinds = [
        (done > 0).then(|| format!("{done} of {all} domains are at p=reject.")),
        of("Ready for the next step,", &[Verdict::Ready]),
        of("Nothing sends as them, lock them with p=reject,", &[Verdict::Parked]),
        of("Not yet, mail of yours would be lost or is unclear,", &[Verdict::NotYet]),
        of("Too early to say,", &[Verdict::TooLittle]),
    ];
    kinds.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn news(summary: &Summary, changes: &[Kind]) -> Answer {
    let question = "What is new?";
    if changes.is_empty() && summary.comparison.is_none() {
        return Answer { question, tone: Tone::Plain, text: "There is nothing earlier to compare with.".to_owned() };
    }
    if changes.is_empty() {
        return Answer { question, tone: Tone::Good, text: "Nothing to speak of.".to_owned() };
    }
    let briefs: Vec<&str> = changes.iter().map(|kind| kind.brief.as_str()).collect();
    Answer { question, tone: Tone::Plain, text: format!("{}.", words::capital(&briefs.join("; "))) }
}
