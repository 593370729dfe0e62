//! Actions in words: an instruction, the exact record, the evidence, and the confidence. The same in every format.

use super::{
    clean::Clean,
    numbers::{count, counted},
    reasons::why,
    repaired::RepairOutcome,
    words,
};
use crate::analyze::{Action, Change, Confidence, DomainSummary, Foreign, KeyProblem, Summary};
use serde::Serialize;
use std::net::IpAddr;

/// An action in words.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Instruction {
    pub(crate) domain: String,
    /// The instruction in one line.
    pub(crate) title: String,
    /// The steps; empty if the record is enough.
    pub(crate) how: String,
    /// The record to publish or to change, part by part.
    pub(crate) record: Vec<RecordPart>,
    /// Why.
    pub(crate) why: String,
    /// The evidence, as labels and values.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// The messages it concerns.
    pub(crate) messages: String,
    /// Whether it is a policy step rather than a repair.
    pub(crate) step: bool,
}

/// A part of a record.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RecordPart {
    pub(crate) label: &'static str,
    pub(crate) value: String,
    /// Whether it can be copied verbatim; else it is a description.
    pub(crate) exact: bool,
}

impl RecordPart {
    fn exact(label: &'static str, value: impl Into<String>) -> Self {
        Self { label, value: value.into(), exact: true }
    }

    fn described(label: &'static str, value: impl Into<String>) -> Self {
        Self { label, value: value.into(), exact: false }
    }
}

/// Describes an action, using the summary it is from.
pub(crate) fn instruction(action: &Action, summary: Option<&Summary>) -> Instruction {
    let is = |domain: &&DomainSummary| domain.policy_domain == action.policy_domain;
    let domain = summary.and_then(|summary| summary.domains.iter().find(is));
    let step = matches!(action.change, Change::PublishPolicy { .. });
    let affected = match domain {
        Some(domain) if step && domain.spoofing.messages > 0 => domain.spoofing.messages,
        _ => action.messages,
    };
    Instruction {
        domain: Clean::new(&action.policy_domain).to_string(),
        title: title(action),
        how: how(action),
        record: record(action),
        why: why(summary, action, domain),
        facts: facts(action, domain),
        messages: count(affected),
        step,
    }
}

/// The instruction in one line, with the domain and what it is about.
pub(crate) fn title(action: &Action) -> String {
    let domain = Clean::new(&action.policy_domain);
    let sources = addresses(&action.sources, action.addresses);
    if let Some(outcome) = RepairOutcome::of(action) {
        let subject = repaired(action);
        return match outcome {
            RepairOutcome::Fixed => format!("Fixed: {subject}"),
            RepairOutcome::Waiting => format!("Wait for reports about {subject}, now published"),
            RepairOutcome::Failing => format!("Check {subject} again: published, but mail still fails"),
        };
    }
    let unless_sure = |doubt: &'static str| if action.confidence == Confidence::High { "" } else { doubt };
    match &action.change {
        Change::PublishPolicy { tag, to, from, .. } => {
            let all = from.as_ref().is_some_and(|from| from.as_written() == *to);
            format!("Publish {tag}={to} for {}{domain}", if all { "all mail of " } else { "" })
        }
        Change::RepairKey { selector, fault, .. } => {
            let (key, doubt) = (key_name(selector.as_ref()), unless_sure(", if it is yours"));
            match fault {
                KeyProblem::Missing => format!("Publish {key} of {sources} for {domain}{doubt}"),
                KeyProblem::Weak => format!("Replace {key} of {sources} for {domain} with a longer one{doubt}"),
                KeyProblem::Mismatch => format!("Publish {key} that {sources} signs with for {domain}, if it is yours"),
            }
        }
        Change::CheckModification { .. } => {
            let doubt = unless_sure(", if it is yours");
            format!("Find what changes the mail of {sources} after it is signed as {domain}{doubt}")
        }
        Change::AlignSender { organization, .. } => {
            format!("Have {} sign as {domain}{}", Clean::new(organization), unless_sure(", if it sends for you"))
        }
        Change::RelaxAlignment { .. } => format!("Relax alignment for {domain}, so that mail of {sources} passes"),
        Change::AuthorizeSource { include, .. } => match include {
            Some(include) => format!("Put include:{include} back into SPF for {domain}, which {sources} needs"),
            None if action.since.is_some() => format!("Authorize {sources} again to send as {domain}"),
            None => format!("Authorize {sources} to send as {domain}{}", unless_sure(", if it is yours")),
        },
        Change::RepairSpf { .. } => format!("Repair the SPF record that {sources} is checked against for {domain}"),
        Change::Sign => format!("Sign the mail of {sources} with DKIM as {domain}"),
    }
}

/// What a repair in DNS restored: `the DKIM key inv2026 of 192.0.2.60 for example.com`.
fn repaired(action: &Action) -> String {
    let (domain, sources) = (Clean::new(&action.policy_domain), addresses(&action.sources, action.addresses));
    match &action.change {
        Change::RepairKey { selector, .. } | Change::CheckModification { selector, .. } => {
            format!("{} of {sources} for {domain}", key_name(selector.as_ref()))
        }
        Change::RelaxAlignment { .. } => format!("relaxed alignment for {domain}, which mail of {sources} needs"),
        _ => format!("the SPF record for {sources} as {domain}"),
    }
}

fn key_name(selector: Option<&Foreign>) -> String {
    match selector {
        Some(selector) => format!("the DKIM key {}", Clean::new(selector)),
        None => "the DKIM key".to_owned(),
    }
}

fn how(action: &Action) -> String {
    match RepairOutcome::of(action) {
        Some(RepairOutcome::Fixed) => return "There is nothing to do.".to_owned(),
        Some(RepairOutcome::Waiting) => {
            return "There is nothing to do until reports show whether it works.".to_owned();
        }
        Some(RepairOutcome::Failing) | None => {}
    }
    let domain = Clean::new(&action.policy_domain);
    if let Some(service) = &action.service {
        let guide = service.help.as_ref().map(|help| format!(" Guide: {help}")).unwrap_or_default();
        let first = match &action.change {
            Change::AuthorizeSource { include: Some(_), .. } => "Change this TXT record. Better: ",
            _ => "",
        };
        return format!("{first}{}{guide}", service.fix);
    }
    match &action.change {
        Change::PublishPolicy { .. } => "Change this TXT record. Keep its other tags.".to_owned(),
        Change::RepairKey { fault: KeyProblem::Weak, .. } => {
            "Make a new RSA key of 2,048 bits under a new selector, publish it, and sign with it.".to_owned()
        }
        Change::RepairKey { .. } => "Publish this TXT record.".to_owned(),
        Change::CheckModification { .. } => {
            "Look for a gateway, a virus scanner, or a disclaimer. Sign after it, or turn it off for outgoing mail."
                .to_owned()
        }
        Change::AlignSender { organization, .. } => format!(
            "Ask {} for a DKIM selector, and publish the record it gives you under this name. Or set a custom return path \
             (bounce domain) under {domain}.",
            Clean::new(organization)
        ),
        Change::RelaxAlignment { .. } => {
            format!("Change this TXT record. Or sign this mail as the domain in From instead of {domain}.")
        }
        Change::AuthorizeSource { include: Some(_), .. } => "Change this TXT record.".to_owned(),
        Change::AuthorizeSource { include: None, .. } => {
            format!("Better: sign its mail with DKIM as {domain}. If it cannot sign, change this TXT record.")
        }
        Change::RepairSpf { .. } => "Look for a syntax error, or for more than ten DNS lookups.".to_owned(),
        Change::Sign => "Turn DKIM signing on, and publish the key under this name.".to_owned(),
    }
}

fn record(action: &Action) -> Vec<RecordPart> {
    if matches!(RepairOutcome::of(action), Some(RepairOutcome::Fixed | RepairOutcome::Waiting)) {
        return Vec::new();
    }
    let domain = Clean::new(&action.policy_domain);
    match &action.change {
        Change::PublishPolicy { name, tag, from, to, remove } => {
            let mut parts = txt_record(Clean::new(name));
            match from {
                Some(from) if from.as_written() != *to => {
                    parts.push(RecordPart::exact("Replace", format!("{tag}={}", Clean::new(from))));
                    parts.push(RecordPart::exact("With", format!("{tag}={to}")));
                }
                Some(_) => {}
                None => parts.push(RecordPart::exact("Set", format!("{tag}={to}"))),
            }
            parts.extend(remove.iter().map(|tag| RecordPart::described("Remove", format!("the tag {tag}"))));
            parts
        }
        Change::RepairKey { dkim_domain, selector, .. } => {
            let name = match selector {
                Some(selector) => RecordPart::exact(
                    "Name",
                    format!("{}._domainkey.{}", Clean::new(selector), Clean::new(dkim_domain)),
                ),
                None => {
                    RecordPart::described("Name", format!("the selector under _domainkey.{}", Clean::new(dkim_domain)))
                }
            };
            if let Some(service) = &action.service {
                return vec![
                    name,
                    RecordPart::described("Value", format!("as {} shows it", Clean::new(&service.name))),
                ];
            }
            let value = "the public key of the server that signs; it begins with v=DKIM1";
            vec![name, RecordPart::exact("Type", "TXT"), RecordPart::described("Value", value)]
        }
        Change::AlignSender { .. } | Change::Sign => vec![RecordPart::exact("Under", format!("_domainkey.{domain}"))],
        Change::CheckModification { .. } => Vec::new(),
        Change::RelaxAlignment { tags } => {
            let mut parts = txt_record(format!("_dmarc.{domain}"));
            parts.extend(tags.iter().map(|tag| RecordPart::exact("Set", format!("{tag}=r"))));
            parts
        }
        Change::AuthorizeSource { spf_domain, include } => {
            let mut parts = txt_record(Clean::new(spf_domain));
            match include {
                Some(include) => parts.push(RecordPart::exact("Add", format!("include:{include}"))),
                // The servers of a service change: authorizing them one by one is no repair.
                None if action.service.is_some() => return Vec::new(),
                None => {
                    parts.extend(action.sources.iter().map(|address| RecordPart::exact("Add", mechanism(*address))));
                }
            }
            parts.push(RecordPart::described("Where", "before the final all"));
            parts
        }
        Change::RepairSpf { spf_domain } => txt_record(Clean::new(spf_domain)),
    }
}

fn txt_record(name: impl ToString) -> Vec<RecordPart> {
    vec![RecordPart::exact("Name", name.to_string()), RecordPart::exact("Type", "TXT")]
}

/// The term of an SPF record that authorizes an address.
fn mechanism(address: IpAddr) -> String {
    if address.is_ipv4() { format!("ip4:{address}") } else { format!("ip6:{address}") }
}

fn facts(action: &Action, domain: Option<&DomainSummary>) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let (Change::PublishPolicy { .. }, Some(domain)) = (&action.change, domain) {
        let spoofing = &domain.spoofing;
        if spoofing.messages > 0 {
            let spoofed = format!("{}, {} blocked", words::messages(spoofing.messages), count(spoofing.blocked));
            facts.push(("Spoofed", spoofed));
        }
        facts.push(("Your mail", format!("{} in eight weeks", words::messages(action.messages))));
    } else {
        let weeks = if matches!(action.change, Change::AlignSender { .. }) { " in eight weeks" } else { "" };
        // What a repair ended is past, whether or not it is proven.
        let (affects, fails_yet, fail) = match action.repair {
            Some(_) => ("Affected", "failed", "failed"),
            None => ("Affects", "fails yet", "fail"),
        };
        let affected = match action.failing {
            0 => format!("{}{weeks}; none {fails_yet}", words::messages(action.messages)),
            failing if failing == action.messages => format!("{}{weeks}; all {fail}", words::messages(failing)),
            failing => format!("{}{weeks}; {} {fail}", words::messages(action.messages), count(failing)),
        };
        facts.push((affects, affected));
        facts.push(("Source", addresses(&action.sources, action.addresses)));
    }
    if let Some(service) = &action.service {
        facts.push(("Service", format!("{}, {}", Clean::new(&service.name), words::proof(service.rung))));
    }
    if let Some(day) = action.since {
        facts.push((if action.repair.is_some() { "Began" } else { "Since" }, words::weekday(day)));
    }
    if let Some(change) = &action.explained_by {
        let (name, day) = (Clean::new(&change.name), words::weekday(change.day));
        facts.push(("In DNS", format!("{name} {} {} on {day}", change.record_type, change.change)));
    }
    facts.push(("Seen by", counted(action.reporters, "reporter", "reporters")));
    let confidence = match action.confidence {
        Confidence::High => "High",
        Confidence::Medium => "Medium",
    };
    facts.push(("Confidence", confidence.to_owned()));
    facts
}

/// `192.0.2.7`, `192.0.2.7 and 2 more addresses`.
fn addresses(shown: &[IpAddr], all: u64) -> String {
    let Some(first) = shown.first() else { return counted(all, "unknown source", "unknown sources") };
    match all {
        0 | 1 => first.to_string(),
        _ => format!("{first} and {} more", counted(all - 1, "address", "addresses")),
    }
}
