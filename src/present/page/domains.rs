//! The domains: a line each, with details of notable ones, or of all if there are few.

use super::chart::Sparkline;
use super::results::{ResultColumns, columns};
use super::shared::{Mark, share};
use super::tiles::pass_rates;
use crate::analyze::{DomainSummary, Foreign, PolicySeen, ReadinessVerdict, Summary};
use crate::present::wording::clean::Clean;
use crate::present::wording::numbers::{count, counted, percent};
use crate::present::wording::words;
use serde::Serialize;

/// A line about a domain, and its details.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DomainLine {
    pub(crate) domain: String,
    /// Its page in an archive; empty if there is none.
    pub(crate) href: String,
    pub(crate) policy: String,
    pub(crate) messages: String,
    /// `1 message`.
    pub(crate) volume: String,
    pub(crate) pass: String,
    /// `4-week median 95.8%`, and whether the change is significant; empty without earlier periods.
    pub(crate) usual: String,
    /// The median alone.
    pub(crate) median: String,
    /// Spoofed messages, and what receivers did with them.
    pub(crate) spoofed: String,
    pub(crate) spoofed_fate: String,
    pub(crate) spoofed_mark: Mark,
    pub(crate) mark: Mark,
    /// The answer to "can it have a stricter policy?" in two words.
    pub(crate) state: String,
    /// And why.
    pub(crate) why: String,
    pub(crate) details: Vec<String>,
    /// Whether to show details.
    pub(crate) whole: bool,
    /// The pass rate of the last periods.
    pub(crate) trend: Option<Sparkline>,
    pub(crate) history: Option<ResultColumns>,
}

/// Maximum number of domains with details; if there are more, all are in a table, and only notable ones have details.
const FEW: usize = 8;
/// Maximum number of unauthenticated domains listed: one mail of 1.3 MiB can contain 60,000 invented ones.
const UNVOUCHED: usize = 20;
/// Maximum length of a table.
const LISTED: usize = 400;

/// The domains of a page.
pub(super) struct DomainTable {
    pub(super) lines: Vec<DomainLine>,
    /// Whether there is a table of them.
    pub(super) tabled: bool,
    /// Where to find the omitted details; empty if there are none.
    pub(super) note: String,
}

/// Describes the domains.
pub(super) fn domains(summary: &Summary) -> DomainTable {
    let alone = summary.domains.len() == 1;
    let weeks = summary.period.week.is_some();
    let (mut listed, folded) = listed(&summary.domains, summary.more_domains);
    let tabled = listed.len() > FEW;
    let mut note = String::new();
    if tabled {
        listed.sort_by_key(|domain| domain_rank(domain));
    }
    let mut lines: Vec<DomainLine> = listed.iter().map(|one| domain_line(one, alone, weeks)).collect();
    if tabled {
        let mut room = FEW;
        for (line, domain) in lines.iter_mut().zip(&listed) {
            line.whole = room > 0 && stands_out(domain);
            room -= usize::from(line.whole);
            if !line.whole {
                line.history = None;
            }
        }
        note = by_verdict(&summary.domains);
    }
    if let Some(folded) = folded {
        note = format!("{folded} {note}");
    }
    DomainTable { lines, tabled, note }
}

/// The urgency of a domain; lower is more urgent.
pub(crate) fn domain_rank(domain: &DomainSummary) -> u64 {
    let spoofed = domain.spoofing.is_alarming();
    match state(domain).0 {
        Mark::Fix if domain.readiness.lost_now > 0 => 0,
        _ if spoofed => 1,
        Mark::Fix | Mark::Spoof => 2,
        _ if matches!(domain.readiness.verdict, ReadinessVerdict::Ready | ReadinessVerdict::Parked) => 3,
        Mark::Calm => 4,
        Mark::Good => 5,
    }
}

/// The listed domains, and a note about the rest.
fn listed(domains: &[DomainSummary], more: u64) -> (Vec<&DomainSummary>, Option<String>) {
    let mut unvouched = 0;
    let (mut listed, mut folded): (Vec<&DomainSummary>, Vec<&DomainSummary>) = domains.iter().partition(|domain| {
        unvouched += usize::from(!domain.vouched);
        domain.vouched || unvouched <= UNVOUCHED
    });
    if listed.len() > LISTED {
        folded.extend(listed.split_off(LISTED));
    }
    let messages = folded.iter().fold(0_u64, |sum, domain| sum.saturating_add(domain.totals.sums.messages));
    let passing = folded.iter().fold(0_u64, |sum, domain| sum.saturating_add(domain.totals.sums.dmarc_pass));
    let told = (!folded.is_empty()).then(|| {
        format!(
            "{} with {} ({} pass) are not listed: they are not in the settings, and have no passing mail or little of it. \
             --format json lists them.",
            counted(folded.len() as u64 + more.saturating_sub(1), "more domain", "more domains"),
            words::messages(messages),
            share(passing, messages),
        )
    });
    (listed, told)
}

/// Whether legitimate mail fails, or the pass rate changed.
fn stands_out(domain: &DomainSummary) -> bool {
    let loses = domain.readiness.verdict == ReadinessVerdict::NotYet && !domain.readiness.losing.is_empty();
    loses || domain.comparison.as_ref().is_some_and(|comparison| comparison.rate_moved)
}

/// Number of domains per verdict.
fn by_verdict(domains: &[DomainSummary]) -> String {
    let of = |verdicts: &[ReadinessVerdict]| {
        domains.iter().filter(|domain| verdicts.contains(&domain.readiness.verdict)).count()
    };
    let kinds = [
        (of(&[ReadinessVerdict::Done]), "at p=reject"),
        (of(&[ReadinessVerdict::Ready]), "ready for the next step"),
        (of(&[ReadinessVerdict::Parked]), "without mail of their own, to be locked with p=reject"),
        (of(&[ReadinessVerdict::NotYet]), "not ready, because mail of yours would be lost or is unclear"),
        (of(&[ReadinessVerdict::TooLittle]), "too young or too small to judge"),
    ];
    let told: Vec<String> = kinds
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, text)| format!("{} {text}", count(number as u64)))
        .collect();
    format!("{}: {}.", counted(domains.len() as u64, "domain", "domains"), told.join("; "))
}

/// Describes a domain; `alone`: it is the only one of the page.
pub(crate) fn domain_line(domain: &DomainSummary, alone: bool, weeks: bool) -> DomainLine {
    let (sums, spoofing) = (&domain.totals.sums, &domain.spoofing);
    let policy = domain.policy.as_ref().map(policy).filter(|tags| !tags.is_empty());
    let comparison = domain.comparison.as_ref();
    let open = spoofing.not_blocked();
    let (mark, state) = state(domain);
    DomainLine {
        domain: Clean::new(&domain.policy_domain).to_string(),
        href: String::new(),
        policy: policy.unwrap_or_else(|| "not seen".to_owned()),
        messages: count(sums.messages),
        volume: words::messages(sums.messages),
        pass: percent(sums.pass_rate()),
        usual: comparison.map(|comparison| words::comparison(comparison, weeks)).unwrap_or_default(),
        median: comparison.map(|comparison| words::share(comparison.pass_rate_usual)).unwrap_or_default(),
        spoofed: count(spoofing.messages),
        spoofed_fate: match (spoofing.messages, open) {
            (0, _) => String::new(),
            (_, 0) => "all blocked".to_owned(),
            _ => format!("{} not blocked", count(open)),
        },
        spoofed_mark: if open > 0 { Mark::Spoof } else { Mark::Calm },
        mark,
        state,
        why: why(domain),
        details: details(domain, alone),
        whole: true,
        trend: pass_rates(&domain.trend, None, true),
        history: columns(&domain.trend, true),
    }
}

/// The readiness of a domain in two words.
fn state(domain: &DomainSummary) -> (Mark, String) {
    let readiness = &domain.readiness;
    let next = readiness.next.as_deref().unwrap_or("a stricter policy");
    match readiness.verdict {
        ReadinessVerdict::Done if readiness.lost_now > 0 => (Mark::Fix, "At p=reject, losing mail".to_owned()),
        ReadinessVerdict::Done => (Mark::Good, "At p=reject".to_owned()),
        ReadinessVerdict::Ready | ReadinessVerdict::Parked => (Mark::Good, format!("Ready for {next}")),
        ReadinessVerdict::NotYet => (Mark::Fix, format!("Not ready for {next}")),
        ReadinessVerdict::TooLittle => (Mark::Calm, format!("Too early for {next}")),
    }
}

fn why(domain: &DomainSummary) -> String {
    let readiness = &domain.readiness;
    match readiness.verdict {
        ReadinessVerdict::Done if readiness.lost_now > 0 => {
            format!("Receivers blocked {} of yours", words::messages(readiness.lost_now))
        }
        ReadinessVerdict::Done if domain.totals.sums.dmarc_pass == 0 => {
            "No mail of its own, so nothing has to pass".to_owned()
        }
        ReadinessVerdict::Done => String::new(),
        ReadinessVerdict::Parked => "No mail of its own".to_owned(),
        ReadinessVerdict::Ready => match readiness.loss().filter(|lost| lost.part > 0) {
            None => format!("No mail of yours would be lost{}", words::except_lone(readiness)),
            lost => format!("{} of your mail would be lost", percent(lost)),
        },
        ReadinessVerdict::NotYet | ReadinessVerdict::TooLittle => words::why_not(readiness),
    }
}

/// The published policy, without default values.
fn policy(policy: &PolicySeen) -> String {
    let word = |value: &Option<Foreign>| words::shown(value.as_ref());
    let (p, sp) = (word(&policy.p), word(&policy.sp));
    let subdomains = if sp.is_empty() { p.clone() } else { sp.clone() };
    let pct = policy.pct.map(|pct| pct.to_string()).unwrap_or_default();
    let tags = [
        ("p", p.clone(), ""),
        ("sp", sp, p.as_str()),
        ("np", word(&policy.np), subdomains.as_str()),
        ("pct", pct, "100"),
        ("adkim", word(&policy.adkim), "r"),
        ("aspf", word(&policy.aspf), "r"),
        ("t", word(&policy.testing), "n"),
    ];
    let said = tags.into_iter().filter(|(_, value, unsaid)| !value.is_empty() && value != unsaid);
    said.map(|(tag, value, _)| format!("{tag}={value}")).collect::<Vec<_>>().join(" ")
}

/// Details of a domain; if it is the only one, the answers already cover spoofing.
fn details(domain: &DomainSummary, alone: bool) -> Vec<String> {
    let readiness = &domain.readiness;
    let mut lines = Vec::new();
    let next = readiness.next.as_deref().unwrap_or("a stricter policy");
    if readiness.verdict != ReadinessVerdict::Done {
        for losing in readiness.losing.iter().take(3) {
            lines.push(format!(
                "{} from {} would be lost with {next}: {}",
                words::messages(losing.failing),
                words::sender(&losing.who),
                words::cause(losing.cause)
            ));
        }
        let more = (readiness.losing.len().saturating_sub(3) as u64).saturating_add(readiness.more_losing);
        if more > 0 {
            lines.push(format!("And {} that would lose mail", counted(more, "more sender", "more senders")));
        }
    }
    for unclear in readiness.unclear_senders.iter().filter(|unclear| unclear.failing > 0).take(3) {
        lines.push(format!(
            "May be yours: {}, {} in eight weeks fail",
            words::sender(&unclear.who),
            words::messages(unclear.failing)
        ));
    }
    let more =
        (readiness.unclear_senders.len().saturating_sub(3) as u64).saturating_add(readiness.more_unclear_senders);
    if more > 0 {
        lines.push(format!("And {} that may be yours", counted(more, "more sender", "more senders")));
    }
    if readiness.forwarded_at_risk > 0 {
        lines.push(format!(
            "{} fail through forwarders and mailing lists",
            words::messages(readiness.forwarded_at_risk)
        ));
    }
    if readiness.lost_now > 0 {
        lines.insert(0, format!("Receivers already blocked {} of yours", words::messages(readiness.lost_now)));
    }
    for reporter in readiness.silent_reporters.iter().take(3) {
        lines.push(format!(
            "{} used to see much of this mail and has gone silent, so what it would see is unknown",
            Clean::new(reporter)
        ));
    }
    let spoofing = &domain.spoofing;
    if spoofing.messages > 0 && !alone {
        let blocked = match spoofing.blocked {
            0 => "none".to_owned(),
            blocked if blocked >= spoofing.messages => "all".to_owned(),
            blocked => format!("{} of them", count(blocked)),
        };
        lines.push(format!("{} probably spoofed, {blocked} blocked", words::messages(spoofing.messages)));
    }
    let names: Vec<String> = domain
        .subdomains
        .iter()
        .take(3)
        .map(|name| {
            format!(
                "{} ({}, {} pass)",
                Clean::new(&name.header_from),
                words::messages(name.messages),
                share(name.dmarc_pass, name.messages)
            )
        })
        .collect();
    if !names.is_empty() {
        lines.push(format!("Also sent as {}", names.join(", ")));
    }
    lines
}
