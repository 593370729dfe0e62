//! Events in words: one line about what happened, and a sentence about what to do.

use crate::analyze::{EventKind, Incident, IncidentDetails};
use crate::present::wording::clean::Clean;
use crate::present::wording::numbers::{count, counted};
use crate::present::wording::words::{messages, shown, weekday};
use jiff::civil::Date;
use std::net::IpAddr;

/// What happens, in a line without control characters.
pub fn alert_text(incident: &Incident) -> String {
    let domain = shown(incident.policy_domain.as_ref());
    let since = weekday(incident.since);
    let by = format!("seen by {}", counted(incident.reporters, "reporter", "reporters"));
    let from = from(&incident.sources);
    let amount = messages(incident.messages);
    match &incident.details {
        IncidentDetails::Key { dkim_domain, selector, lost } => format!(
            "DKIM key broken: selector {} of {} has not verified since {since}: {amount}{from}, {by}; {}.",
            Clean::new(selector),
            Clean::new(dkim_domain),
            fail(*lost, incident.messages),
        ),
        IncidentDetails::Spf { spf_domain, lost } => format!(
            "SPF lost: the SPF record of {} has not authorized {} since {since}: {amount}, {by}; {}.",
            Clean::new(spf_domain),
            address_list(&incident.sources),
            fail(*lost, incident.messages),
        ),
        IncidentDetails::Sender { name, passing } => {
            let who = match name {
                Some(name) => format!("{} (authenticates as {})", address_list(&incident.sources), Clean::new(name)),
                None => address_list(&incident.sources),
            };
            let passing = if *passing == incident.messages {
                "all pass DMARC".to_owned()
            } else {
                format!("{passing} of them pass DMARC")
            };
            format!("New sender of {domain}: {who}, {amount} since {since}, {by}; {passing}.")
        }
        IncidentDetails::Wave { blocked, addresses, more } => format!(
            "Wave of spoofing: {} from {}{} used {domain} since {since}, {by}; receivers blocked {} of them.",
            counted(incident.messages, "unauthenticated message", "unauthenticated messages"),
            if *more { "at least " } else { "" },
            counted(*addresses, "address", "addresses"),
            if *blocked == 0 { "none".to_owned() } else { count(*blocked) },
        ),
        IncidentDetails::Rate { now, lowest } => format!(
            "Pass rate fallen: {now:.1}% of the mail of {domain}'s known senders passes DMARC since {since}; before, it was never below {lowest:.1}% \
             ({} fail, {by}).",
            messages(incident.messages),
        ),
        IncidentDetails::Policy(tags) => {
            let changed: Vec<String> = tags
                .iter()
                .map(|(tag, before, after)| format!("{tag} was {} and is {}", Clean::new(before), Clean::new(after)))
                .collect();
            format!("Policy of {domain} changed on {since}: {}, {by}.", changed.join(", "))
        }
        IncidentDetails::Dns { record, before, after, domains } => {
            let record = Clean::new(&record.as_str().into()).to_string();
            let used = if *domains > 1 { format!(", which {domains} domains use,") } else { String::new() };
            match (before, after) {
                (Some(before), Some(after)) => {
                    let (before, after) = differing(before.as_written(), after.as_written());
                    format!("DNS record changed: {record}{used} was \"{before}\" and is now \"{after}\".")
                }
                (Some(before), None) => format!("DNS record removed: {record}{used} was \"{}\".", Clean::new(before)),
                (None, Some(after)) => format!("DNS record added: {record}{used} is now \"{}\".", Clean::new(after)),
                (None, None) => format!("DNS record changed: {record}{used}."),
            }
        }
        IncidentDetails::Silent { name: Some(name), usual } => format!(
            "Reporter silent: {} ({}) has sent no report since {since}; before, the longest gap was {}.",
            Clean::new(name),
            Clean::new(&incident.subject.as_str().into()),
            days(*usual),
        ),
        IncidentDetails::Silent { name: None, usual } => {
            format!(
                "Domain silent: no report about {domain} since {since}; before, the longest gap was {}.",
                days(*usual)
            )
        }
        IncidentDetails::Mailbox { name, why, .. } => {
            format!("Mailbox failing: {name} could not be read since {since}: {}.", Clean::new(why))
        }
        IncidentDetails::Rejected(items, why) => {
            format!("{} could not be read; the newest: {}.", counted(*items, "new item", "new items"), Clean::new(why))
        }
        IncidentDetails::Store(what) => format!("Store damaged: {what}."),
    }
}

/// What to do about it.
pub fn alert_action(incident: &Incident) -> String {
    let domain = shown(incident.policy_domain.as_ref());
    match &incident.details {
        IncidentDetails::Key { dkim_domain, selector, .. } => format!(
            "Compare the TXT record at {}._domainkey.{} with the key that the sender signs with, and publish the right one.",
            Clean::new(selector),
            Clean::new(dkim_domain)
        ),
        IncidentDetails::Spf { spf_domain, .. } => format!(
            "Add {} to the SPF record of {} again, or sign its mail with DKIM.",
            address_list(&incident.sources),
            Clean::new(spf_domain)
        ),
        IncidentDetails::Sender { .. } => format!(
            "Find out whether it is yours. If it is, let it sign as {domain}; if not, say so with [[confirmed]] in the settings."
        ),
        IncidentDetails::Wave { blocked, .. } if blocked.saturating_mul(2) > incident.messages => {
            "Nothing to do if your own mail passes: receivers block most of it.".to_owned()
        }
        IncidentDetails::Wave { .. } => {
            format!("`dmarquet summary --domain {domain}` shows whether {domain} can enforce a stricter policy.")
        }
        IncidentDetails::Rate { .. } => {
            format!("`dmarquet summary --domain {domain}` shows which senders fail and why.")
        }
        IncidentDetails::Policy(_) => {
            format!("If this change was not yours, check the TXT record at _dmarc.{domain}.")
        }
        IncidentDetails::Dns { record, domains: 0 | 1, .. } if !domain.is_empty() => format!(
            "If this change was not yours, restore {}. `dmarquet check {domain} --history` shows all earlier records.",
            Clean::new(&record.as_str().into())
        ),
        IncidentDetails::Dns { .. } => {
            "If this change was not yours, ask the owner of the record. `dmarquet check --diff 14d` names the domains."
                .to_owned()
        }
        IncidentDetails::Silent { name: Some(_), .. } => {
            "Check whether its reports arrive in another folder or are rejected; otherwise it has stopped reporting."
                .to_owned()
        }
        IncidentDetails::Silent { name: None, .. } => {
            format!("Check `rua` in the TXT record at _dmarc.{domain}, and whether the mailbox accepts mail.")
        }
        IncidentDetails::Mailbox { .. } => {
            "`dmarquet config check` tests the mailbox and shows what is wrong.".to_owned()
        }
        IncidentDetails::Rejected(..) => "`dmarquet rejected list` lists them with reasons.".to_owned(),
        IncidentDetails::Store(_) => "`dmarquet verify` names each damaged file; restore it from a backup.".to_owned(),
    }
}

/// The text about its end. `was` is the text about its beginning.
pub fn alert_end(
    kind: EventKind,
    domain: Option<&str>,
    subject: &str,
    (since, day): (Date, Date),
    reporters: u64,
) -> String {
    let by = match reporters {
        0 => String::new(),
        reporters => format!(", seen by {}", counted(reporters, "reporter", "reporters")),
    };
    let domain = Clean::new(&domain.unwrap_or_default().into());
    let subject = Clean::new(&subject.into());
    let what = match kind {
        EventKind::KeyBroken => format!("signatures of {domain} with the key {subject} verify again"),
        EventKind::SpfLost => format!("SPF authorizes the senders of {domain} again"),
        EventKind::SpoofWave => format!("the wave of spoofing against {domain} is over"),
        EventKind::PassRate => format!("the pass rate of {domain} is back to normal"),
        EventKind::ReporterSilent => format!("{subject} sends reports again"),
        EventKind::DomainSilent => format!("reports about {domain} arrive again"),
        EventKind::MailboxFailing => format!("mailbox {subject} can be read again"),
        EventKind::StoreDamaged => "all files of the store are back".to_owned(),
        _ => format!("{} is over", kind.word()),
    };
    format!("Resolved: {what}, since {}{by}. It began on {}.", weekday(day), weekday(since))
}

/// Number of common characters shown before and after a difference.
const CONTEXT: usize = 20;

/// Two texts for comparison, cleaned: if long, without most of their common beginning and end.
fn differing(before: &str, after: &str) -> (Clean, Clean) {
    let (before, after): (Vec<char>, Vec<char>) = (before.chars().collect(), after.chars().collect());
    let same = |a: &mut dyn Iterator<Item = (&char, &char)>| a.take_while(|(a, b)| a == b).count();
    let start = same(&mut before.iter().zip(&after)).saturating_sub(CONTEXT);
    let end = same(&mut before[start..].iter().rev().zip(after[start..].iter().rev())).saturating_sub(CONTEXT);
    let cut = |text: &[char]| {
        if before.len().max(after.len()) <= Clean::LONGEST {
            return Clean::new(&text.iter().collect::<String>().into());
        }
        let (head, tail) = (if start > 0 { "…" } else { "" }, if end > 0 { "…" } else { "" });
        let middle: String = text[start..text.len() - end].iter().collect();
        Clean::new(&format!("{head}{middle}{tail}").into())
    };
    (cut(&before), cut(&after))
}

fn fail(lost: u64, all: u64) -> String {
    match lost {
        0 => "they still pass DMARC, by the other mechanism alone".to_owned(),
        lost if lost == all => "all fail DMARC".to_owned(),
        lost => format!("{lost} of them fail DMARC"),
    }
}

fn days(days: i32) -> String {
    counted(u64::try_from(days).unwrap_or(0), "day", "days")
}

fn from(sources: &[IpAddr]) -> String {
    if sources.is_empty() { String::new() } else { format!(" from {}", address_list(sources)) }
}

fn address_list(sources: &[IpAddr]) -> String {
    match sources {
        [] => "unknown addresses".to_owned(),
        [one] => one.to_string(),
        [one, two] => format!("{one} and {two}"),
        [one, rest @ ..] => format!("{one} and {} more addresses", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_records_are_shown_where_they_differ() {
        let record = |ip: &str| {
            let many: Vec<String> = (10..40).map(|n| format!("ip4:192.0.2.{n}")).collect();
            format!("v=spf1 {} {ip} {} -all", many.join(" "), many.join(" "))
        };
        let (before, after) = differing(&record("ip4:198.51.100.7"), &record("ip4:203.0.113.70 a"));
        assert_eq!(before.to_string(), "… ip4:192.0.2.39 ip4:198.51.100.7 ip4:192.0.2.10 ip4:…");
        assert_eq!(after.to_string(), "… ip4:192.0.2.39 ip4:203.0.113.70 a ip4:192.0.2.10 ip4:…");
        let (before, after) = differing("v=spf1 a -all", "v=spf1 -all");
        assert_eq!((before.to_string().as_str(), after.to_string().as_str()), ("v=spf1 a -all", "v=spf1 -all"));
        // Common beginning and end do not overlap.
        for (before, after) in [("a".repeat(200), "a".repeat(201)), (String::new(), "b".repeat(300))] {
            let (before, after) = differing(&before, &after);
            assert!(before != after, "{before} {after}");
        }
    }
}
