//! Plain words for what the answers say: the same in every rendering. In: answer types. Out: short sentences, all
//! strangers' text in them cleaned. Escaping for a format is its writer's.

use super::{
    clean::Clean,
    numbers::{count, counted, percent},
};
use crate::{
    analyze::{
        Action, Change, Comparison, Confidence, Evidence, Foreign, KeyFault, Network, Rate, Readiness, Role,
        SenderName, Verdict,
    },
    model::Cause,
};
use std::net::IpAddr;

/// A cause in a short phrase, for a table.
pub(crate) const fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::PassBoth => "passes",
        Cause::PassDkimOnly => "passes by DKIM alone",
        Cause::PassSpfOnly => "passes by SPF alone",
        Cause::Transient => "temporary error while checking",
        Cause::ForwardedDeclared => "forwarded, the receiver says",
        Cause::SampledOrTesting => "policy sampled or in test mode",
        Cause::ListOrModifyingForwarder => "changed on its way, by a list or forwarder",
        Cause::OwnSigningBroken => "your DKIM signature does not verify",
        Cause::AuthenticatedUnaligned => "authenticated, but as another domain",
        Cause::Unauthenticated => "nothing authenticates it",
        Cause::SpfGap => "your sender, but not in SPF and unsigned",
        Cause::SpoofSuspect => "nothing proves it is you: likely spoofed",
        Cause::Unknown => "the reports do not say enough",
    }
}

/// The cause of a sender's failures, as its role has it.
pub(crate) const fn why(role: Role, of: Cause) -> &'static str {
    match (role, of) {
        (Role::Unclear, Cause::SpoofSuspect) => "nothing proves it is you, but it sends steadily: yours, or a spoofer",
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

/// A stranger's text, or nothing.
pub(crate) fn shown(text: Option<&Foreign>) -> String {
    text.map(|text| Clean::new(text).to_string()).unwrap_or_default()
}

/// `messages`.
pub(crate) fn messages(number: u64) -> String {
    counted(number, "message", "messages")
}

/// An address or network: `192.0.2.7`, `192.0.2.0/24`.
pub(crate) fn network(who: &SenderName) -> String {
    match who.address {
        None => "unknown source".to_owned(),
        Some(address) if who.prefix == 32 || who.prefix == 128 => address.to_string(),
        Some(address) => format!("{address}/{}", who.prefix),
    }
}

/// What DNS calls an address: `mx1.example.net, confirmed`.
pub(crate) fn host(name: Option<&Foreign>, confirmed: Option<bool>) -> Option<String> {
    let word = if confirmed == Some(true) { "confirmed" } else { "not confirmed" };
    name.map(|name| format!("{}, {word}", Clean::new(name)))
}

/// Whose network it is: `AS64500 EXAMPLE-AS, DE`.
pub(crate) fn announced(network: &Network) -> Option<String> {
    let asn = network.asn.map(|asn| format!("AS{asn}"));
    let name = network.as_name.as_ref().map(|name| Clean::new(name).to_string());
    let system: Vec<String> = asn.into_iter().chain(name).collect();
    let system = (!system.is_empty()).then(|| system.join(" "));
    let country = network.country.as_ref().map(|country| Clean::new(country).to_string());
    let parts: Vec<String> = system.into_iter().chain(country).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The name a sender is known by: the service it is, and its looked-up name, else what it authenticates as, where that is not the domain.
pub(crate) fn identity(who: &SenderName) -> Option<String> {
    let other = |name: &&Foreign| **name != who.policy_domain;
    let proven = || who.signs_as.as_ref().filter(other).or(who.returns_to.as_ref().filter(other));
    let name =
        host(who.name.as_ref(), who.name_confirmed).or_else(|| proven().map(|name| Clean::new(name).to_string()));
    let parts = who.service.as_ref().map(|service| Clean::new(service).to_string()).into_iter().chain(name);
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// A sender in a sentence: `192.0.2.0/24 (esp.example) as example.com`.
pub(crate) fn sender(who: &SenderName) -> String {
    let name = identity(who).map(|name| format!(" ({name})")).unwrap_or_default();
    format!("{}{name} as {}", network(who), Clean::new(&who.policy_domain))
}

/// What speaks for a sender's role.
pub(crate) fn evidence(evidence: &Evidence) -> String {
    match evidence {
        Evidence::Known => "you named it".to_owned(),
        Evidence::Authorized => "your SPF record allows it".to_owned(),
        Evidence::AuthorizedElsewhere { domain } => format!("the SPF record of {} allows it", Clean::new(domain)),
        Evidence::Signs { messages } => format!("your signature verifies on {}", count(*messages)),
        Evidence::SignatureSurvives { messages } => {
            format!("your signature survives on {}, from an address SPF does not know", count(*messages))
        }
        Evidence::SignatureChanged { messages } => format!("your signature arrives broken on {}", count(*messages)),
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
        Evidence::NothingPasses { messages } => format!("{} prove nothing", count(*messages)),
    }
}

/// The change to make, as an order.
pub(crate) fn change(action: &Action) -> String {
    let domain = Clean::new(&action.policy_domain);
    match &action.change {
        Change::RepairKey { dkim_domain, selector, fault, works_elsewhere } => {
            let key = key(dkim_domain, selector.as_ref());
            match (fault, works_elsewhere) {
                (_, true) => format!(
                    "Check the DKIM signing at {}: its signatures with {key} do not verify, though that key works elsewhere.",
                    addresses(&action.sources, action.addresses)
                ),
                (KeyFault::Missing, _) => format!("Publish the DKIM key {key}: receivers cannot find or read it."),
                (KeyFault::Weak, _) => format!("Replace the DKIM key {key} by a longer one: receivers refuse it."),
                (KeyFault::Mismatch, _) => {
                    format!("Publish the DKIM key {key} that is signed with: signatures do not fit the one published.")
                }
            }
        }
        Change::AlignSender { organization, signs } => {
            let service = Clean::new(organization);
            let doubt = if action.confidence == Confidence::High { "" } else { "If it sends for you: " };
            let how = if *signs { "sign as" } else { "sign with DKIM as" };
            format!(
                "{doubt}let {service} {how} {domain} (publish the selector it gives you), or give it a return path below \
                 {domain}. It authenticates only as itself."
            )
        }
        Change::AuthorizeSource { spf_domain } => format!(
            "Add {} to the SPF record of {}, or let it sign with DKIM: it is yours, and nothing says so.",
            addresses(&action.sources, action.addresses),
            Clean::new(spf_domain)
        ),
        Change::RepairSpf { spf_domain } => format!(
            "Mend the SPF record of {}: receivers cannot evaluate it (a syntax error, or more than ten look-ups).",
            Clean::new(spf_domain)
        ),
    }
}

fn key(dkim_domain: &Foreign, selector: Option<&Foreign>) -> String {
    match selector {
        Some(selector) => format!("{}._domainkey.{}", Clean::new(selector), Clean::new(dkim_domain)),
        None => format!("of {}", Clean::new(dkim_domain)),
    }
}

/// What an action rests on.
pub(crate) fn action_evidence(action: &Action) -> String {
    let failing = match action.failing {
        0 => "none of them fails DMARC yet".to_owned(),
        failing if failing == action.messages => "all fail DMARC".to_owned(),
        failing => format!("{} of them fail DMARC", count(failing)),
    };
    let since = action.since.map(|day| format!(", since {}", weekday(day))).unwrap_or_default();
    format!(
        "{} from {}{since}; {failing}; seen by {}. Confidence: {}.",
        messages(action.messages),
        addresses(&action.sources, action.addresses),
        counted(action.reporters, "reporter", "reporters"),
        match action.confidence {
            Confidence::High => "high",
            Confidence::Medium => "medium",
        }
    )
}

/// `192.0.2.7`, `192.0.2.7 and 2 more addresses`.
fn addresses(shown: &[IpAddr], all: u64) -> String {
    let Some(first) = shown.first() else { return counted(all, "unknown source", "unknown sources") };
    match all {
        0 | 1 => first.to_string(),
        _ => format!("{first} and {} more", counted(all - 1, "address", "addresses")),
    }
}

/// `Wed 2026-11-18`.
pub(crate) fn weekday(day: jiff::civil::Date) -> String {
    use jiff::civil::Weekday;
    let name = match day.weekday() {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    };
    format!("{name} {day}")
}

/// The pass rate against earlier ones: `98.9 % the week before, 98.8 % usually`.
pub(crate) fn comparison(comparison: &Comparison, before: &str) -> String {
    let last = comparison.pass_rate_before.map(|rate| format!("{} {before}, ", percent(Some(rate))));
    let note = match (comparison.rate_moved, comparison.volume_moved) {
        (true, true) => "; rate and volume moved more than chance",
        (true, false) => "; the rate moved more than chance",
        (false, true) => "; the volume moved more than chance",
        (false, false) => "",
    };
    format!("{}{} usually{note}", last.unwrap_or_default(), share(comparison.pass_rate_usual))
}

/// A share that is no ratio of whole numbers any more.
fn share(share: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a million parts fits")]
    let part = (share * 1_000_000.0).round() as u64;
    // Rounding must not make all or nothing out of less.
    let part = if share < 1.0 { part.min(999_999) } else { 1_000_000 };
    percent(Rate::of(if share > 0.0 { part.max(1) } else { 0 }, 1_000_000))
}

/// The answer to "may we move on?", in a phrase.
pub(crate) fn readiness(readiness: &Readiness) -> String {
    let (next, lost) = (readiness.next.unwrap_or("a stricter policy"), readiness.loss());
    let loses = lost.is_some_and(|lost| lost.part > 0);
    match readiness.verdict {
        Verdict::Done => "already at p=reject".to_owned(),
        Verdict::Ready if !loses => format!("ready for {next}, nothing would be lost"),
        Verdict::Ready => format!("ready for {next}, {} of your mail would be lost", percent(lost)),
        Verdict::NotYet if loses => format!("not yet {next}, {} of your mail would be lost", percent(lost)),
        Verdict::NotYet => format!("not yet {next}, some senders are unclear"),
        Verdict::Parked => "nothing of yours sends as it: p=reject would cost nothing".to_owned(),
        Verdict::TooLittle => format!("too early to say for {next}: it takes four weeks of reports and more mail"),
    }
}

/// The same for a table; in brackets the share of legitimate mail that would be lost.
pub(crate) fn brief(readiness: &Readiness) -> String {
    match readiness.verdict {
        Verdict::Done => "done".to_owned(),
        Verdict::Ready => "ready".to_owned(),
        Verdict::NotYet if readiness.would_be_lost > 0 => format!("not yet ({})", percent(readiness.loss())),
        Verdict::NotYet => "unclear".to_owned(),
        Verdict::Parked => "parked: lock it".to_owned(),
        Verdict::TooLittle => "too early".to_owned(),
    }
}
