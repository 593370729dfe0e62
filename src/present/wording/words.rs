//! Plain words for what the answers say: the same in every rendering. In: answer types. Out: short sentences, all
//! strangers' text in them cleaned. Escaping for a format is its writer's.

use super::{
    clean::Clean,
    numbers::{count, counted, percent},
};
use crate::{
    analyze::{
        Action, Change, Comparison, Confidence, Evidence, Foreign, HeldBy, KeyFault, Network, Rate, Readiness, Role,
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

/// The cause of a sender's failures, as its role has it.
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

/// The change to make, as an order.
pub(crate) fn change(action: &Action) -> String {
    let domain = Clean::new(&action.policy_domain);
    match &action.change {
        Change::PublishPolicy { name, tag, from, to, remove } => {
            let from = from.as_ref().map(|from| format!(" instead of {tag}={}", Clean::new(from))).unwrap_or_default();
            let remove = match remove.as_slice() {
                [] => String::new(),
                tags => format!(" and remove {}", tags.join(" and ")),
            };
            format!("Publish {tag}={to}{from} in the TXT record at {}{remove}. Keep its other tags.", Clean::new(name))
        }
        Change::RepairKey { dkim_domain, selector, fault } => {
            let key = key(dkim_domain, selector.as_ref());
            match fault {
                KeyFault::Missing => format!("Publish the DKIM key {key}: receivers cannot find or read it."),
                KeyFault::Weak => format!("Replace the DKIM key {key} by a longer one: receivers refuse it."),
                KeyFault::Mismatch => format!(
                    "If it is yours, publish the DKIM key {key} that {} signs with: its signatures do not match the \
                     published one.",
                    addresses(&action.sources, action.addresses)
                ),
            }
        }
        Change::CheckModification { dkim_domain, selector, body } => {
            let (key, why) = (
                key(dkim_domain, selector.as_ref()),
                if *body {
                    "receivers say that the message body was changed"
                } else {
                    "the same key verifies from other addresses"
                },
            );
            format!(
                "Find what changes the mail of {} after it is signed with {key}, such as a gateway or a disclaimer: {why}.",
                addresses(&action.sources, action.addresses)
            )
        }
        Change::AlignSender { organization, signs } => {
            let service = Clean::new(organization);
            let doubt = if action.confidence == Confidence::High { "" } else { "If it sends for you: " };
            let how = if *signs { "sign as" } else { "sign with DKIM as" };
            format!(
                "{doubt}let {service} {how} {domain} (publish the selector it gives you), or set a custom return path \
                 (bounce domain) under {domain}. It authenticates only with its own domain."
            )
        }
        Change::RelaxAlignment { tags } => {
            let tags = tags.iter().map(|tag| format!("{tag}=r")).collect::<Vec<_>>().join(" and ");
            format!(
                "Publish {tags} in the DMARC record of {domain}, or sign this mail as its From domain: your own domain \
                 passes, but strict alignment refuses it."
            )
        }
        Change::AuthorizeSource { spf_domain, include } => {
            let (spf_domain, sources) = (Clean::new(spf_domain), addresses(&action.sources, action.addresses));
            let before = action.since.is_some();
            match (include, before) {
                (Some(include), _) => format!(
                    "Put include:{include} back into the SPF record of {spf_domain}: {sources} passed SPF before and does \
                     not any more."
                ),
                (None, true) => format!(
                    "Authorize {sources} again in the SPF record of {spf_domain}: it passed SPF before and does not any \
                     more."
                ),
                (None, false) if action.confidence == Confidence::High => format!(
                    "Authorize {sources}: add it to the SPF record of {spf_domain} or, better, sign its mail with DKIM."
                ),
                (None, false) => format!(
                    "If {sources} is yours, add it to the SPF record of {spf_domain} or, better, sign its mail with DKIM. \
                     It is in the network of one of your authorized servers."
                ),
            }
        }
        Change::RepairSpf { spf_domain } => format!(
            "Repair the SPF record of {}: receivers cannot evaluate it (a syntax error, or more than ten lookups).",
            Clean::new(spf_domain)
        ),
        Change::Sign => format!(
            "Sign the mail of {} with DKIM as {domain}: it passes by SPF alone, which forwarding breaks.",
            addresses(&action.sources, action.addresses)
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
    if let Change::PublishPolicy { .. } = action.change {
        return format!(
            "No visible share of {} in eight weeks would be lost, seen by {}. Confidence: high.",
            legitimate(action.messages),
            counted(action.reporters, "reporter", "reporters")
        );
    }
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

/// `120 legitimate messages`.
fn legitimate(messages: u64) -> String {
    counted(messages, "legitimate message", "legitimate messages")
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
    let (next, lost) = (readiness.next.as_deref().unwrap_or("a stricter policy"), readiness.loss());
    let loses = lost.is_some_and(|lost| lost.part > 0);
    let up_to = if readiness.unconfirmed > 0 { "up to " } else { "" };
    match readiness.verdict {
        Verdict::Done => "already at p=reject".to_owned(),
        Verdict::Ready if !loses => format!("ready for {next}: no legitimate mail would be lost"),
        Verdict::Ready => format!("ready for {next}: {} of your mail would be lost", percent(lost)),
        Verdict::NotYet => format!("not ready for {next}: {}", held(readiness, up_to)),
        Verdict::Parked => format!("no legitimate mail: publish {next}"),
        Verdict::TooLittle => format!("too early to judge {next}: {}", missing(readiness)),
    }
}

/// What holds a policy, the worst first.
fn held(readiness: &Readiness, up_to: &str) -> String {
    let lost = || format!("{up_to}{} of your mail would be lost", percent(readiness.loss()));
    match readiness.held_by.first() {
        Some(HeldBy::OwnSender) => {
            let whole = readiness.losing.iter().find(|losing| losing.whole);
            whole.map_or_else(lost, |losing| format!("all mail from {} fails", network(&losing.who)))
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

/// What a verdict still lacks, and when there is enough.
fn missing(readiness: &Readiness) -> String {
    let mut missing = Vec::new();
    if let Some(day) = readiness.enough_on {
        missing.push(format!("four weeks of reports are complete on {day}"));
    }
    if readiness.reporters < 2 {
        missing.push(format!("{} so far, it takes 2", counted(readiness.reporters, "reporter", "reporters")));
    }
    if readiness.legitimate < 100 {
        missing.push(format!("{} so far, it takes 100", legitimate(readiness.legitimate)));
    }
    missing.join("; ")
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
