//! The domains: a line each, and what is told of those that stand out, or of all where they are few.

use super::summary::{DomainLine, Trend, trend};
use crate::analyze::{DomainSummary, PolicySeen, Rate, Summary, Verdict};
use crate::present::wording::clean::Clean;
use crate::present::wording::numbers::{count, counted, percent};
use crate::present::wording::words;

/// Up to so many domains each is told of at length; of more a table tells, and at length only of those that stand out.
const FEW: usize = 8;
/// So many domains are listed that nobody vouches for: 60,000 made up ones come in one mail of 1.3 MiB.
const UNVOUCHED: usize = 20;
/// No table is longer, whatever is claimed of the domains in it.
const LISTED: usize = 1000;

/// The domains of a page.
pub(super) struct Domains {
    pub(super) lines: Vec<DomainLine>,
    /// There is a table of them.
    pub(super) tabled: bool,
    /// Where to find what is not told; empty where all is.
    pub(super) note: String,
}

/// Put them into lines.
pub(super) fn domains(summary: &Summary) -> Domains {
    let alone = summary.domains.len() == 1;
    let (listed, folded) = listed(&summary.domains);
    let mut lines: Vec<DomainLine> = listed.iter().map(|one| domain(one, alone)).collect();
    let tabled = lines.len() > FEW;
    let mut note = String::new();
    if tabled {
        let mut room = FEW;
        for (line, domain) in lines.iter_mut().zip(&listed) {
            line.whole = room > 0 && stands_out(domain);
            room -= usize::from(line.whole);
        }
        let more = listed.iter().filter(|domain| stands_out(domain)).count() - (FEW - room);
        let others = if more > 0 { format!(" {} more of them stand out;", count(more as u64)) } else { String::new() };
        note = format!(
            "In brackets: the share of your mail that would be lost. At length only those that stand out;{others} --domain \
             NAME tells of any."
        );
    }
    if let Some(folded) = folded {
        note = format!("{folded} {note}");
    }
    Domains { lines, tabled, note }
}

/// The domains that are listed, and what is said of the rest.
fn listed(domains: &[DomainSummary]) -> (Vec<&DomainSummary>, Option<String>) {
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
             --format json lists all.",
            counted(folded.len() as u64, "more domain", "more domains"),
            words::messages(messages),
            percent(Rate::of(passing, messages)),
        )
    });
    (listed, told)
}

/// Mail of its own fails, or its pass rate is not what it was.
fn stands_out(domain: &DomainSummary) -> bool {
    let loses = domain.readiness.verdict == Verdict::NotYet && !domain.readiness.losing.is_empty();
    loses || domain.comparison.as_ref().is_some_and(|comparison| comparison.rate_moved)
}

fn domain(domain: &DomainSummary, alone: bool) -> DomainLine {
    let sums = &domain.totals.sums;
    let share = |part| percent(Rate::of(part, sums.messages));
    let trend = trend(&domain.trend);
    let policy = domain.policy.as_ref().map(policy).filter(|tags| !tags.is_empty());
    DomainLine {
        domain: Clean::new(&domain.policy_domain).to_string(),
        policy: policy.unwrap_or_else(|| "not seen".to_owned()),
        messages: count(sums.messages),
        volume: words::messages(sums.messages),
        pass: percent(sums.pass_rate()),
        usual: domain.comparison.as_ref().map(|comparison| words::comparison(comparison, "before")).unwrap_or_default(),
        dkim: share(sums.dkim_aligned),
        spf: share(sums.spf_aligned),
        readiness: words::readiness(&domain.readiness),
        brief: words::brief(&domain.readiness),
        details: details(domain, alone),
        whole: true,
        bars: sparkline(&trend),
        trend,
    }
}

/// The policy as published, without what goes without saying.
fn policy(policy: &PolicySeen) -> String {
    let word = |value: &Option<crate::analyze::Foreign>| words::shown(value.as_ref());
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

/// What there is to say of a domain; of one alone the answers said what is spoofed.
fn details(domain: &DomainSummary, alone: bool) -> Vec<String> {
    let readiness = &domain.readiness;
    let mut lines = Vec::new();
    if readiness.verdict != Verdict::Done {
        for losing in readiness.losing.iter().take(3) {
            lines.push(format!(
                "would lose {} from {}: {}",
                words::messages(losing.failing),
                words::sender(&losing.who),
                words::cause(losing.cause)
            ));
        }
        let more = (readiness.losing.len().saturating_sub(3) as u64).saturating_add(readiness.more_losing);
        if more > 0 {
            lines.push(format!("and {} that would lose mail", counted(more, "more sender", "more senders")));
        }
    }
    for unclear in readiness.unclear_senders.iter().filter(|unclear| unclear.failing > 0).take(3) {
        lines.push(format!(
            "may be yours: {}, {} in eight weeks fail",
            words::sender(&unclear.who),
            words::messages(unclear.failing)
        ));
    }
    let more =
        (readiness.unclear_senders.len().saturating_sub(3) as u64).saturating_add(readiness.more_unclear_senders);
    if more > 0 {
        lines.push(format!("and {} that may be yours", counted(more, "more sender", "more senders")));
    }
    if readiness.forwarded_at_risk > 0 {
        lines.push(format!(
            "{} fail through forwarders and mailing lists",
            words::messages(readiness.forwarded_at_risk)
        ));
    }
    if readiness.lost_now > 0 {
        lines
            .insert(0, format!("lost already: receivers blocked {} of your mail", words::messages(readiness.lost_now)));
    }
    for reporter in readiness.silent_reporters.iter().take(3) {
        lines.push(format!(
            "{} saw much of this mail and fell silent: what it would see is unknown",
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

/// A character a period: its messages against the largest. Empty where there are fewer than two periods, or no messages.
pub(crate) fn sparkline(trend: &Trend) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = trend.points.iter().map(|point| point.messages).max().unwrap_or(0);
    if most == 0 || trend.points.len() < 2 {
        return String::new();
    }
    let bar = |messages: u64| {
        let height = (u128::from(messages) * 7).div_ceil(u128::from(most));
        if messages == 0 { ' ' } else { BARS[usize::try_from(height).unwrap_or(7)] }
    };
    format!("[{}]", trend.points.iter().map(|point| bar(point.messages)).collect::<String>())
}
