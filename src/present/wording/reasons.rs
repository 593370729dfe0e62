//! Why an action helps: what receivers see and did, and why a policy can be stricter.

use super::{
    clean::Clean,
    numbers::{count, percent},
    repaired::came_of,
    words,
};
use crate::analyze::{Action, Change, Confidence, DomainSummary, KeyProblem, Readiness, ReadinessVerdict, Summary};
use std::net::IpAddr;

/// The reasons for an action, in sentences.
pub(super) fn why(summary: Option<&Summary>, action: &Action, domain: Option<&DomainSummary>) -> String {
    if let Some(repair) = &action.repair {
        return format!("It was {}.", came_of(repair, action.tracking.state));
    }
    let fate = summary.map(|summary| fate(summary, action)).unwrap_or_default();
    let reason = match &action.change {
        Change::PublishPolicy { .. } => {
            return domain.map(|domain| why_stricter(domain, when(summary))).unwrap_or_default();
        }
        Change::RepairKey { fault: KeyProblem::Missing, .. } => "Receivers cannot find or read this key",
        Change::RepairKey { fault: KeyProblem::Weak, .. } => "Receivers refuse this key as too short",
        Change::RepairKey { fault: KeyProblem::Mismatch, .. } => "Its signatures do not match the published key",
        Change::CheckModification { body: true, .. } => "Receivers say that the body was changed after signing",
        Change::CheckModification { body: false, .. } => "The same key verifies from other addresses",
        Change::AlignSender { .. } => "It authenticates only with its own domain",
        Change::RelaxAlignment { .. } => "Your own domain passes, but strict alignment refuses it",
        Change::AuthorizeSource { .. } if action.since.is_some() => "It passed SPF before and no longer does",
        Change::AuthorizeSource { .. } if action.confidence == Confidence::High => "You confirmed that it is yours",
        Change::AuthorizeSource { .. } => "It is in the network of one of your authorized servers",
        Change::RepairSpf { .. } => "Receivers cannot evaluate this record",
        Change::Sign => "It passes by SPF alone, which forwarding breaks",
    };
    match (fate.is_empty(), reason.starts_with("Receivers")) {
        (true, _) => format!("{reason}."),
        (false, true) => format!("{reason}. They {fate}"),
        (false, false) => format!("{reason}. Receivers {fate}"),
    }
}

/// The period, if it is a week.
fn when(summary: Option<&Summary>) -> &'static str {
    if summary.is_some_and(|summary| summary.period.week.is_some()) { " this week" } else { "" }
}

/// What receivers did with the messages of an action, as far as known.
fn fate(summary: &Summary, action: &Action) -> String {
    let is = |address: Option<IpAddr>| address.is_some_and(|address| action.sources.contains(&address));
    let of = summary.senders.iter().filter(|sender| {
        sender.who.policy_domain == action.policy_domain && is(sender.who.address) && sender.sums.failing() > 0
    });
    let (failing, blocked) = of.fold((0_u64, 0_u64), |(failing, blocked), sender| {
        (failing.saturating_add(sender.sums.failing()), blocked.saturating_add(sender.blocked))
    });
    let when = when(Some(summary));
    match (failing, blocked) {
        (0, _) | (_, 0) => String::new(),
        (1, 1) => format!("blocked its message{when}."),
        (failing, blocked) if blocked >= failing => {
            format!("blocked all {} that failed{when}.", words::messages(failing))
        }
        (failing, blocked) => {
            format!("blocked {} of {} that failed{when}.", count(blocked), words::messages(failing))
        }
    }
}

/// Why a domain can have a stricter policy.
fn why_stricter(domain: &DomainSummary, when: &str) -> String {
    let (readiness, spoofing) = (&domain.readiness, &domain.spoofing);
    let mut sentences = Vec::new();
    let open = spoofing.not_blocked();
    if open > 0 {
        let name = Clean::new(&domain.policy_domain);
        let verb = if open == 1 { "that probably spoofs" } else { "that probably spoof" };
        sentences.push(format!("Receivers did not block {} {verb} {name}.", words::messages(open)));
    }
    sentences.push(match readiness.verdict {
        ReadinessVerdict::Parked => {
            "Nothing legitimate sends as this domain, so no mail of yours would be lost.".to_owned()
        }
        _ => lost(readiness),
    });
    if readiness.forwarded_at_risk > 0 {
        let fails = if readiness.forwarded_at_risk == 1 { "fails" } else { "fail" };
        sentences.push(format!(
            "{} from forwarders and mailing lists {fails} too.",
            words::messages(readiness.forwarded_at_risk)
        ));
    }
    sentences.extend(lone(readiness, when));
    sentences.join(" ")
}

/// What receivers would do, by their own reports, with mail that they alone see fail.
fn lone(readiness: &Readiness, when: &str) -> Option<String> {
    let receivers = words::lone_reporters(readiness)?;
    let messages = readiness.lone_reporters.iter().map(|lone| lone.messages).fold(0, u64::saturating_add);
    let rejects = readiness.next.as_deref().is_some_and(|next| next.contains("reject"));
    let (reports, it) = if readiness.lone_reporters.len() == 1 { ("reports", "It") } else { ("report", "They") };
    let (fail, them, they) = if messages == 1 { ("fails", "it", "it does") } else { ("fail", "them", "they do") };
    Some(format!(
        "{receivers} alone {reports} that {} of yours {fail} there{when}. {it} would {} {them}. The other receivers see this \
         mail pass, so {they} not count against this step.",
        words::messages(messages),
        if rejects { "reject" } else { "quarantine" },
    ))
}

fn lost(readiness: &Readiness) -> String {
    let legitimate = words::messages(readiness.legitimate);
    match readiness.would_be_lost {
        0 => format!("All {legitimate} from your senders in eight weeks pass, so none would be lost."),
        lost => format!(
            "Of {legitimate} from your senders in eight weeks, {} ({}) would be lost.",
            count(lost),
            percent(readiness.loss())
        ),
    }
}
