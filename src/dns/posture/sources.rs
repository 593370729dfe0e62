//! The sources that the reports show, beside what DNS says of them today: their names, and whether they pass SPF.

use crate::dns::finding as codes;
use crate::dns::finding::{CheckCode, Notes};
use crate::dns::hosts::ptr::{self, PtrName};
use crate::dns::lookup::answer::{DnsQuestion, Lookup};
use crate::dns::seen::{Observed, SeenSource};
use crate::dns::spf::{self, CheckHostResult, Evaluation, Spf};
use crate::model::counted;
use serde::Serialize;
use std::net::IpAddr;

/// Sources whose names are looked up in a check, most mail first.
const SOURCE_LIMIT: usize = 50;

/// A source that receivers cannot name: the finding, its address, and what to say if it is the only one.
type Unnamed = (&'static CheckCode, IpAddr, String);

/// A source and what DNS says about it today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceDns {
    /// What the reports show.
    #[serde(flatten)]
    pub seen: SeenSource,
    /// Its name; `None` if it could not be looked up.
    pub naming: Option<PtrName>,
    /// What SPF says about it today, for the domain it used.
    pub spf: Option<Evaluation>,
}

/// The sources with their names and what SPF says today, most mail first.
pub(super) fn check(lookup: &dyn Lookup, domain: &str, seen: &Observed, notes: &mut Notes) -> Vec<SourceDns> {
    let largest = seen.largest_sources(SOURCE_LIMIT);
    lookup.announce(&largest.iter().map(|source| DnsQuestion::ptr(source.address)).collect::<Vec<_>>());
    let mut unnamed = Vec::new();
    let all = largest.into_iter().map(|source| one_source(lookup, domain, source, &mut unnamed, notes)).collect();
    report_unnamed(&unnamed, notes);
    all
}

/// One finding for each code: many sources without a name are one thing to do.
fn report_unnamed(unnamed: &[Unnamed], notes: &mut Notes) {
    for (code, start, end) in [
        (&codes::PTR_MISSING, "Publish PTR records for", "sources that have none"),
        (&codes::PTR_UNCONFIRMED, "Correct the PTR records of", "sources: their names do not resolve back"),
        (&codes::PTR_GENERIC, "Give", "sources names that are not made from their addresses"),
    ] {
        let of_code: Vec<&Unnamed> = unnamed.iter().filter(|(other, ..)| *other == code).collect();
        match of_code.as_slice() {
            [] => {}
            [(_, address, text)] => notes.find(code, format!("{address} PTR"), text),
            several => {
                let addresses: Vec<IpAddr> = several.iter().map(|(_, address, _)| *address).collect();
                let list = codes::list(&addresses, SOURCE_LIMIT);
                notes.find(code, "sources PTR", format!("{start} {} {end}: {list}.", several.len()));
            }
        }
    }
}

/// Only sources that pass SPF aligned are judged by their name; for the others it is merely shown.
fn one_source(
    lookup: &dyn Lookup,
    domain: &str,
    source: &SeenSource,
    unnamed: &mut Vec<Unnamed>,
    notes: &mut Notes,
) -> SourceDns {
    if source.spf_aligned == 0 {
        return SourceDns { seen: source.clone(), naming: ptr::name_of(lookup, source.address).ok(), spf: None };
    }
    let (naming, finding) = ptr::check(lookup, source.address, notes);
    unnamed.extend(finding.map(|(code, text)| (code, source.address, text)));
    let checked = source.spf_domain.as_deref().unwrap_or(domain);
    let today = spf::check_address(lookup, checked, source.address);
    notes.unknown.extend(today.unknown(format!("SPF of {checked} for {}", source.address)));
    if !matches!(today.result, CheckHostResult::Pass | CheckHostResult::TempError) {
        let text = format!(
            "Authorize {} again if it is yours: it passed SPF for {checked} in the reports ({}, last on {}) and gets {} \
             today.",
            source.address,
            counted(source.spf_aligned.unsigned_abs(), "message", "messages"),
            source.last,
            today.result.as_str()
        );
        notes.find(&codes::SEEN_SPF_LOST, format!("{checked} TXT"), text);
    }
    SourceDns { seen: source.clone(), naming, spf: Some(today) }
}

/// Includes that make no source in the reports pass. Only reported if the reports show passes at all.
pub(super) fn unused_includes(domain: &str, spf: &Spf, sources: &[SourceDns], notes: &mut Notes) {
    let passing: Vec<&Evaluation> = sources
        .iter()
        .filter_map(|source| source.spf.as_ref())
        .filter(|evaluation| {
            evaluation.result == CheckHostResult::Pass
                && evaluation.path.first().is_some_and(|step| step.domain == domain)
        })
        .collect();
    let Some(tree) = spf.tree.as_ref().filter(|_| !passing.is_empty()) else { return };
    for term in
        tree.terms.iter().filter(|term| term.child.is_some() && term.text.to_ascii_lowercase().contains("include:"))
    {
        let used = passing.iter().any(|evaluation| evaluation.path[0].term == term.text);
        if !used {
            let who = match passing.len() {
                1 => "the one source that passes SPF does".to_owned(),
                number => format!("the {number} sources that pass SPF do"),
            };
            let text = format!("Remove `{}` if you no longer use that service: {who} not pass through it.", term.text);
            notes.find(&codes::SEEN_INCLUDE_UNUSED, format!("{domain} TXT, `{}`", term.text), text);
        }
    }
}
