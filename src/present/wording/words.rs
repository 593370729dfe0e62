//! The wording of answers, the same in every format: short sentences with cleaned untrusted text. Each format's writer
//! escapes them.

use super::{
    clean::Clean,
    numbers::{count, counted, percent},
};
use crate::{
    analyze::{
        Comparison, Evidence, Foreign, HeldBy, Network, Rate, Readiness, ReadinessVerdict, Role, SenderName,
        ServerOrigin, SummaryPeriod,
    },
    model::Cause,
};
use jiff::civil::Date;
use std::net::IpAddr;

/// A cause in a short phrase, for a table.
pub(crate) const fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::PassBoth => "passes",
        Cause::PassDkimOnly => "passes by DKIM alone",
        Cause::PassSpfOnly => "passes by SPF alone",
        Cause::Transient => "temporary error while checking",
        Cause::ForwardedDeclared => "forwarded, according to the receiver",
        Cause::StrictAlignment => "your domain passes, but strict alignment refuses it",
        Cause::ListOrModifyingForwarder => "changed in transit by a mailing list or forwarder",
        Cause::OwnSigningBroken => "your DKIM signature does not verify",
        Cause::AuthenticatedUnaligned => "authenticated, but as another domain",
        Cause::Unauthenticated => "unauthenticated",
        Cause::SpfGap => "unsigned, and not in your SPF record",
        Cause::SpoofSuspect => "unauthenticated: probably spoofed",
        Cause::Unknown => "the reports do not say enough",
    }
}

/// The cause of a sender's failures, depending on its role.
pub(crate) const fn why(role: Role, of: Cause) -> &'static str {
    match (role, of) {
        (Role::Unclear, Cause::SpfGap) => "unauthenticated, from the network of one of your servers",
        (Role::Unclear, Cause::Unauthenticated) => "unauthenticated, but it sends steadily",
        _ => cause(of),
    }
}

/// The text with a capital first letter.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// What a sender is.
pub(crate) const fn role(role: Role) -> &'static str {
    match role {
        Role::Own => "yours",
        Role::Vendor => "a service, probably yours",
        Role::Forwarder => "forwarder",
        Role::List => "mailing list",
        Role::Unclear => "unclear",
        Role::Suspect => "suspect",
    }
}

/// Cleaned untrusted text, or nothing.
pub(crate) fn shown(text: Option<&Foreign>) -> String {
    text.map(|text| Clean::new(text).to_string()).unwrap_or_default()
}

/// Cleaned untrusted text, or another where it is empty.
pub(crate) fn shown_or(text: &Foreign, absent: &str) -> String {
    let text = Clean::new(text).to_string();
    if text.is_empty() { absent.to_owned() } else { text }
}

/// A text between two others, or nothing if it is empty.
pub(crate) fn between(before: &str, text: &str, after: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{before}{text}{after}") }
}

/// Each of them cleaned.
pub(crate) fn each_shown<'a>(texts: impl IntoIterator<Item = &'a Foreign>) -> Vec<String> {
    texts.into_iter().map(|text| Clean::new(text).to_string()).collect()
}

/// `1 message`, `2,345 messages`.
pub(crate) fn messages(number: u64) -> String {
    counted(number, "message", "messages")
}

/// `12 addresses`, where there are several.
pub(crate) fn several_addresses(number: u64) -> Option<String> {
    (number > 1).then(|| counted(number, "address", "addresses"))
}

/// `2026-W47`, `2026-11-16` or `2026-11-16 to 2026-11-18`; empty without data.
pub(crate) fn period(period: &SummaryPeriod) -> String {
    match (&period.week, period.from.zip(period.to)) {
        (Some(week), _) => week.clone(),
        (None, Some((from, to))) if from == to => from.to_string(),
        (None, Some((from, to))) => format!("{from} to {to}"),
        (None, None) => String::new(),
    }
}

/// An address or network: `192.0.2.7`, `192.0.2.0/24`.
pub(crate) fn network(address: Option<IpAddr>, prefix: u8) -> String {
    match address {
        None => "unknown source".to_owned(),
        Some(address) if prefix == if address.is_ipv4() { 32 } else { 128 } => address.to_string(),
        Some(address) => format!("{address}/{prefix}"),
    }
}

/// The host name of an address: `mx1.example.net, confirmed`.
pub(crate) fn host(name: Option<&Foreign>, confirmed: Option<bool>) -> Option<String> {
    let word = if confirmed == Some(true) { "confirmed" } else { "not confirmed" };
    name.map(|name| format!("{}, {word}", Clean::new(name)))
}

/// The owner of a network: `AS64500 EXAMPLE-AS, DE`.
pub(crate) fn announced(network: &Network) -> Option<String> {
    let asn = network.asn.map(|asn| format!("AS{asn}"));
    let name = network.as_name.as_ref().map(|name| Clean::new(name).to_string());
    let system: Vec<String> = asn.into_iter().chain(name).collect();
    let system = (!system.is_empty()).then(|| system.join(" "));
    let country = network.country.as_ref().map(|country| Clean::new(country).to_string());
    let parts: Vec<String> = system.into_iter().chain(country).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The name of a sender: its service and host name, else what it authenticates as, unless that is the domain itself. Where
/// nothing more is known, the owner of its network.
pub(crate) fn identity(who: &SenderName) -> Option<String> {
    let name = host(who.name.as_ref(), who.name_confirmed)
        .or_else(|| authenticated_as(who).map(|name| Clean::new(name).to_string()));
    let parts: Vec<String> = service(who).into_iter().chain(name).collect();
    let network = || who.origin.as_ref().filter(|origin| origin.rung > 4).map(origin);
    if parts.is_empty() { network() } else { Some(parts.join(", ")) }
}

/// The domain that a sender authenticates as, unless it is the domain itself.
pub(crate) fn authenticated_as(who: &SenderName) -> Option<&Foreign> {
    let other = |name: &&Foreign| **name != who.policy_domain;
    who.signs_as.as_ref().filter(other).or(who.returns_to.as_ref().filter(other))
}

/// The service of a sender, or another organization that DNS delegates to, with the evidence.
fn service(who: &SenderName) -> Option<String> {
    match (&who.origin, &who.service) {
        (Some(found), _) if found.rung == 2 => Some(origin(found)),
        (Some(found), Some(service)) if found.name == *service => Some(origin(found)),
        // Something stronger names a stranger; the service is known by its host name alone.
        (_, service) => service.as_ref().map(|service| origin(&ServerOrigin { name: service.clone(), rung: 4 })),
    }
}

/// Whose server an address is, with the evidence: `SendGrid, delegated in your DNS`.
pub(crate) fn origin(origin: &ServerOrigin) -> String {
    format!("{}, {}", Clean::new(&origin.name), proof(origin.rung))
}

/// The kind of evidence for the owner of an address, by its rung.
pub(crate) const fn proof(rung: u8) -> &'static str {
    match rung {
        1 => "by signature or return path",
        2 => "delegated in your DNS",
        3 => "by published range",
        4 => "by host name",
        _ => "by network",
    }
}

/// A sender in a sentence: `192.0.2.0/24 (esp.example) as example.com`.
pub(crate) fn sender(who: &SenderName) -> String {
    let name = identity(who).map(|name| format!(" ({name})")).unwrap_or_default();
    format!("{}{name} as {}", network(who.address, who.prefix), Clean::new(&who.policy_domain))
}

/// The evidence for a sender's role.
pub(crate) fn evidence(evidence: &Evidence) -> String {
    match evidence {
        Evidence::Confirmed { mine, note } => {
            let note = note.as_ref().map(|note| format!(" ({})", Clean::new(note))).unwrap_or_default();
            format!("you confirmed that it is {}yours{note}", if *mine { "" } else { "not " })
        }
        Evidence::Authorized => "listed in your SPF record".to_owned(),
        Evidence::WrongKey { messages } => {
            format!("{} signed as you with a key that never verified anywhere", count(*messages))
        }
        Evidence::ForwardedCopy { messages } => {
            format!("{} unsigned with your bounce domain, which passes SPF elsewhere", count(*messages))
        }
        Evidence::Neighbor => "in the network of one of your authorized servers".to_owned(),
        Evidence::Signs { messages } => format!("your signature verifies on {}", count(*messages)),
        Evidence::SignatureSurvives { messages } => {
            format!("your signature verifies on {}, from an address that is not in your SPF record", count(*messages))
        }
        Evidence::SignatureChanged { messages } => {
            format!("DKIM signature broken in transit on {}", self::messages(*messages))
        }
        Evidence::SaidForwarded { messages } => format!("receivers call {} forwarded", count(*messages)),
        Evidence::SaidList { messages } => format!("receivers call {} list mail", count(*messages)),
        Evidence::AuthenticatesAs { domain, messages } => {
            format!("{} authenticate as {}", count(*messages), Clean::new(domain))
        }
        Evidence::Steady { days, periods, .. } => format!(
            "on {}, in {}",
            counted(u64::try_from(*days).unwrap_or(0), "day", "days"),
            match periods {
                0 => "no earlier period".to_owned(),
                periods => counted(*periods, "earlier period", "earlier periods"),
            },
        ),
        Evidence::NothingPasses { messages } => format!("{} unauthenticated", count(*messages)),
    }
}

/// `Wed, Nov 18`.
pub(crate) fn weekday(day: Date) -> String {
    day.strftime("%a, %b %-d").to_string()
}

/// `Nov 18`.
pub(crate) fn month_day(day: Date) -> String {
    day.strftime("%b %-d").to_string()
}

/// `a, b and c`.
pub(crate) fn list(mut items: Vec<String>) -> String {
    let last = items.pop().unwrap_or_default();
    if items.is_empty() { last } else { format!("{} and {last}", items.join(", ")) }
}

/// `a, b and c`, `a, b and 3 more domains`: all of them, or the first few if at least two are left out.
pub(crate) fn list_some(mut items: Vec<String>, most: usize, what: &str) -> String {
    let more = items.len().saturating_sub(most);
    if more > 1 {
        items.truncate(most);
        items = vec![items.join(", "), format!("{} more{what}", count(more as u64))];
    }
    list(items)
}

/// Maximum number of ranges of days in a sentence.
const MOST_RANGES: usize = 7;

/// The days from the first to the last: `Nov 9`, or `Nov 16 to Nov 22`.
pub(crate) fn days_between(first: Date, last: Date) -> String {
    if first == last { month_day(first) } else { format!("{} to {}", month_day(first), month_day(last)) }
}

/// Days in order, consecutive ones as a range: `Wed, Nov 18`, or `Nov 16 and Nov 20 to Nov 22`.
pub(crate) fn days(days: &[Date]) -> String {
    let mut ranges: Vec<(Date, Date)> = Vec::new();
    for day in days {
        match ranges.last_mut() {
            Some((_, last)) if last.tomorrow().is_ok_and(|next| next == *day) => *last = *day,
            _ => ranges.push((*day, *day)),
        }
    }
    if let [(first, last)] = ranges[..] {
        return if first == last { weekday(first) } else { format!("{} to {}", weekday(first), weekday(last)) };
    }
    let rest = ranges.split_off(ranges.len().min(MOST_RANGES));
    let named = ranges.into_iter().map(|(first, last)| days_between(first, last));
    let more: u64 =
        rest.iter().map(|(first, last)| last.duration_since(*first).as_hours().unsigned_abs() / 24 + 1).sum();
    list(named.chain((more > 0).then(|| counted(more, "more day", "more days"))).collect())
}

/// `4-week median`, with the number of periods.
pub(crate) fn median_of(comparison: &Comparison, weeks: bool) -> String {
    format!("{}-{} median", comparison.periods, if weeks { "week" } else { "period" })
}

/// The pass rate against earlier ones: `4-week median 95.8%; both pass rate and volume changed significantly`.
pub(crate) fn comparison(comparison: &Comparison, weeks: bool) -> String {
    let note = match (comparison.rate_moved, comparison.volume_moved) {
        (true, true) => "; both pass rate and volume changed significantly",
        (true, false) => "; it changed significantly",
        (false, true) => "; the volume changed significantly",
        (false, false) => "",
    };
    format!("{} {}{note}", median_of(comparison, weeks), share(comparison.pass_rate_usual))
}

/// A share that is not a ratio of whole numbers.
pub(crate) fn share(share: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a million parts fits")]
    let part = (share * 1_000_000.0).round() as u64;
    // Rounding must not result in all or nothing.
    let part = if share < 1.0 { part.min(999_999) } else { 1_000_000 };
    percent(Rate::of(if share > 0.0 { part.max(1) } else { 0 }, 1_000_000))
}

/// The receivers that alone see mail of the user fail; `None` without any.
pub(crate) fn lone_reporters(readiness: &Readiness) -> Option<String> {
    let names = each_shown(readiness.lone_reporters.iter().map(|lone| &lone.org_name));
    (!names.is_empty()).then(|| list_some(names, 2, " receivers"))
}

/// The same as an exception, by what they report: `, except perhaps at GMX`.
pub(crate) fn except_lone(readiness: &Readiness) -> String {
    lone_reporters(readiness).map_or(String::new(), |receivers| format!(", except perhaps at {receivers}"))
}

/// Why the next step has to wait.
pub(crate) fn why_not(readiness: &Readiness) -> String {
    capital(&if readiness.verdict == ReadinessVerdict::TooLittle { missing(readiness) } else { held(readiness) })
}

/// `p=none`, or that it is in no report.
pub(crate) fn policy(p: Option<&Foreign>) -> String {
    p.map_or_else(|| "unknown".to_owned(), |p| format!("p={}", Clean::new(p)))
}

/// What blocks a policy step, worst first.
fn held(readiness: &Readiness) -> String {
    let up_to = if readiness.unconfirmed > 0 { "up to " } else { "" };
    let lost = || format!("{up_to}{} of your mail would be lost", percent(readiness.loss()));
    match readiness.held_by.first() {
        Some(HeldBy::OwnSender) => {
            let whole = readiness.losing.iter().find(|losing| losing.whole);
            whole.map_or_else(lost, |losing| {
                format!("all mail from {} fails", network(losing.who.address, losing.who.prefix))
            })
        }
        Some(HeldBy::UnclearSenders) => {
            format!("{} fail from senders that may be yours", messages(readiness.unclear))
        }
        Some(HeldBy::ForwardedMail) => {
            format!("{} through forwarders and mailing lists would be lost", messages(readiness.forwarded_at_risk))
        }
        Some(HeldBy::UnsignedMail) => {
            format!(
                "{} of unsigned mail are forwarded and would be lost; sign it first",
                messages(readiness.forwarded_at_risk)
            )
        }
        Some(HeldBy::Loss) | None => lost(),
    }
}

/// What is missing for a verdict, and when it will be available.
fn missing(readiness: &Readiness) -> String {
    let mut missing = Vec::new();
    if let Some(day) = readiness.enough_on {
        missing.push(format!("four weeks of reports are complete on {day}"));
    }
    if readiness.reporters < 2 {
        missing.push(format!("{} so far, it takes 2", counted(readiness.reporters, "reporter", "reporters")));
    }
    if readiness.legitimate < 100 {
        let legitimate = counted(readiness.legitimate, "legitimate message", "legitimate messages");
        missing.push(format!("{legitimate} so far, it takes 100"));
    }
    missing.join("; ")
}
