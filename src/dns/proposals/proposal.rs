//! Proposed records, and adding them to findings.

use super::placement::obstacle;
use crate::dns::dmarc::Dmarc;
use crate::dns::finding::{CheckCode, CheckFinding, Notes, Severity, list};
use crate::dns::hosts::mx::Delivery;
use crate::dns::lookup::answer::Lookup;
use crate::dns::seen::{Observed, SeenSource};
use crate::dns::spf::Spf;
use crate::model::counted;

/// Sources listed beside a record. A record under which more would fail is not proposed.
pub(super) const NAMED: usize = 50;

/// What a check knows about a domain when records are proposed for it.
pub(in crate::dns) struct Checked<'a> {
    pub(in crate::dns) lookup: &'a dyn Lookup,
    pub(in crate::dns) domain: &'a str,
    pub(in crate::dns) seen: &'a Observed,
    pub(in crate::dns) dmarc: &'a Dmarc,
    pub(in crate::dns) spf: &'a Spf,
    pub(in crate::dns) mx: &'a Delivery,
    /// Whether the domain sends no mail, according to DNS and the reports.
    pub(in crate::dns) never_sends: bool,
}

/// A record to show, with notes.
pub(super) struct Proposal {
    pub(super) record: String,
    pub(super) details: Vec<String>,
    /// The findings that remain with it.
    pub(super) left: Vec<&'static CheckCode>,
}

/// A proposal, or why there is none.
pub(super) type Proposed = Result<Proposal, String>;

/// The findings of these codes at a place, the most serious first.
pub(super) fn repairable(notes: &Notes, place: &str, codes: &[&'static CheckCode]) -> Vec<usize> {
    let mut found: Vec<usize> = (0..notes.findings.len())
        .filter(|at| {
            let finding = &notes.findings[*at];
            codes.contains(&finding.code)
                && (finding.place == place || finding.place.starts_with(&format!("{place}, ")))
        })
        .collect();
    found.sort_by_key(|at| notes.findings[*at].severity);
    found
}

/// Adds a proposal to the first of these findings that it resolves, and refers the others to it.
pub(super) fn put(notes: &mut Notes, at: &[usize], proposed: Proposed) {
    let Some(first) = at.first() else { return };
    let Proposal { record, details, left } = match proposed {
        Ok(proposal) => proposal,
        Err(why) => return notes.findings[*first].details.push(why),
    };
    let mut resolved =
        at.iter().filter(|at| !left.contains(&notes.findings[**at].code)).copied().collect::<Vec<_>>().into_iter();
    let Some(first) = resolved.next() else {
        return notes.findings[*first].details.push(no_record("what to change is a decision that only you can make"));
    };
    let finding = &mut notes.findings[first];
    finding.publish = Some(record);
    finding.details.extend(details);
    let pointer = format!("The record under {} includes this change.", finding.code.name);
    for other in resolved {
        notes.findings[other].details.push(pointer.clone());
    }
}

/// The codes of these findings, to know which of them a proposed record leaves.
pub(super) fn codes_of(notes: &Notes) -> Vec<&'static CheckCode> {
    notes.findings.iter().map(|finding| finding.code).collect()
}

pub(super) fn no_record(why: &str) -> String {
    format!("No record is proposed: {why}.")
}

/// Why no record can be published at `name`, which is `domain` or below it.
pub(super) fn placeable(lookup: &dyn Lookup, domain: &str, name: &str) -> Result<(), String> {
    obstacle(lookup, domain, name).map_or(Ok(()), |why| Err(no_record(&why)))
}

/// What a check of a proposed record found wrong with it.
pub(super) fn verdict(fresh: &Notes, accepted: impl Fn(&CheckFinding) -> bool) -> Result<(), String> {
    if let Some(unknown) = fresh.unknown.first() {
        return Err(no_record(&format!("it would depend on {}, which could not be looked up", unknown.place)));
    }
    let fault = fresh.findings.iter().find(|finding| finding.severity == Severity::Fault && !accepted(finding));
    fault.map_or(Ok(()), |fault| {
        Err(no_record(&format!(
            "another fault would remain ({}): {}",
            fault.code.name,
            fault.text.trim_end_matches('.')
        )))
    })
}

/// Addresses with their messages, for a sentence.
pub(super) fn named(sources: &[(&SeenSource, i64)]) -> String {
    let all: Vec<String> = sources
        .iter()
        .map(|(source, messages)| {
            format!("{} ({})", source.address, counted(messages.unsigned_abs(), "message", "messages"))
        })
        .collect();
    list(&all, NAMED)
}
