//! The MX records to publish: hosts instead of their aliases, or a null MX if nothing accepts mail.

use super::proposal::{Checked, Proposal, Proposed, no_record, placeable, put, repairable, verdict};
use super::spf::is_empty_spf;
use crate::dns::finding as codes;
use crate::dns::finding::{CheckFinding, Notes};
use crate::dns::hosts::mx::{self, Delivery};
use crate::dns::lookup::answer::{Data, Lookup, Mx, QueryType};
use crate::dns::lookup::overlay::Overlay;

/// Aliases that an MX host is followed through.
const ALIASES: usize = 8;

/// Replaces an MX host that is an alias with its target. The record stands for all hosts of its preference.
pub(super) fn records(checked: &Checked<'_>, notes: &mut Notes) {
    let Delivery::Hosts(groups) = checked.mx else { return mx_none(checked, notes) };
    for group in groups {
        let at: Vec<usize> = (0..notes.findings.len())
            .filter(|at| {
                let finding = &notes.findings[*at];
                let of_group = |host: &mx::Host| finding.place == format!("{} MX, {}", checked.domain, host.name);
                finding.code == &codes::MX_CNAME && group.hosts.iter().any(of_group)
            })
            .collect();
        if !at.is_empty() {
            let hosts: Vec<&str> = group.hosts.iter().map(|host| host.name.as_str()).collect();
            let outcome = hosts_proposal(checked, group.preference, &hosts);
            put(notes, &at, outcome);
        }
    }
}

fn hosts_proposal(checked: &Checked<'_>, preference: u16, hosts: &[&str]) -> Proposed {
    let Checked { lookup, domain, .. } = *checked;
    placeable(lookup, domain, domain)?;
    let mut targets: Vec<String> = Vec::new();
    for host in hosts {
        let target =
            alias_end(lookup, host).ok_or_else(|| no_record(&format!("the aliases of {host} lead nowhere")))?;
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    let others = lookup.mx(domain).found().unwrap_or_default().into_iter().filter(|mx| mx.preference != preference);
    let new = targets.iter().map(|host| Mx { preference, host: host.clone() });
    let overlay = Overlay::new(lookup, domain, QueryType::Mx, others.chain(new).map(Data::Mx).collect());
    let mut fresh = Notes::default();
    mx::check(&overlay, domain, &mut fresh);
    let ours = |finding: &CheckFinding| targets.iter().any(|host| finding.place == format!("{domain} MX, {host}"));
    verdict(&fresh, |fault| !ours(fault))?;
    let lines: Vec<String> = targets.iter().map(|host| format!("{domain}. MX {preference} {host}.")).collect();
    Ok(Proposal { record: lines.join("\n"), details: Vec::new(), left: Vec::new() })
}

/// The host at the end of a chain of aliases; `None` for a loop, or if it could not be looked up.
fn alias_end(lookup: &dyn Lookup, host: &str) -> Option<String> {
    let mut host = host.to_owned();
    for _ in 0..ALIASES {
        let answer = lookup.cname(&host);
        if answer.failure().is_some() {
            return None;
        }
        match answer.found() {
            Some(target) => host = target,
            None => return Some(host),
        }
    }
    None
}

/// A null MX, if nothing accepts mail now and nothing suggests that the domain sends.
fn mx_none(checked: &Checked<'_>, notes: &mut Notes) {
    let Checked { lookup, domain, .. } = *checked;
    let at = repairable(notes, &format!("{domain} MX"), &[&codes::MX_NONE]);
    if at.is_empty() || *checked.mx != Delivery::Nowhere {
        return;
    }
    let sends = checked.seen.sources.iter().any(|source| source.dmarc_pass > 0);
    let named = checked.spf.records.iter().any(|record| !is_empty_spf(record));
    let outcome = if sends || named {
        Err("If the domain should accept replies and bounces, publish an MX record for it.".to_owned())
    } else {
        let details = "It says that the domain accepts no mail. Publish it only if that is what you want.".to_owned();
        let proposal = Proposal { record: format!("{domain}. MX 0 ."), details: vec![details], left: Vec::new() };
        placeable(lookup, domain, domain).map(|()| proposal)
    };
    put(notes, &at, outcome);
}
