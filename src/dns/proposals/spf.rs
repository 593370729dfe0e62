//! The SPF record to publish: an edit of the published one, or one for a domain that neither sends nor receives.

use super::proposal::{
    Checked, NAMED, Proposal, Proposed, codes_of, named, no_record, placeable, put, repairable, verdict,
};
use crate::dns::finding as codes;
use crate::dns::finding::{CheckCode, Notes, txt_record};
use crate::dns::hosts::mx::Delivery;
use crate::dns::lookup::answer::Lookup;
use crate::dns::lookup::overlay::Overlay;
use crate::dns::seen::SeenSource;
use crate::dns::spf::{self, CheckHostResult, Qualifier};
use std::net::IpAddr;

/// Sources that a proposed record is evaluated for, most mail first: a macro can cost a query for each.
const EVALUATED: usize = 1000;
/// Addresses that send for no one (RFC 2544, RFC 5180): no valid record authorizes them, so every term is evaluated.
const STRANGERS: [&str; 2] = ["198.18.0.1", "2001:2::1"];

const SPF_REPAIRED: [&CheckCode; 9] = [
    &codes::SPF_SEVERAL,
    &codes::SPF_NEAR,
    &codes::SPF_SYNTAX,
    &codes::SPF_LOOKUPS,
    &codes::SPF_INCLUDE_NONE,
    &codes::SPF_PLUS_ALL,
    &codes::SPF_NEUTRAL,
    &codes::SPF_NO_ALL,
    &codes::SPF_REPEATED,
];

pub(super) fn record(checked: &Checked<'_>, notes: &mut Notes) {
    let Checked { lookup, domain, .. } = *checked;
    let place = format!("{domain} TXT");
    let missing = repairable(notes, &place, &[&codes::SPF_MISSING]);
    if !missing.is_empty() {
        let outcome = first_spf(checked);
        return put(notes, &missing, outcome);
    }
    let old_type = repairable(notes, &format!("{domain} SPF (type 99)"), &[&codes::SPF_OLD_ONLY]);
    if !old_type.is_empty() {
        let old = lookup.old_spf(domain).found().unwrap_or_default();
        let outcome =
            spf::SpfEdit::merge(&old).map_err(|why| no_record(&why)).and_then(|edit| spf_proposal(checked, &edit, &[]));
        return put(notes, &old_type, outcome);
    }
    let at = repairable(notes, &place, &SPF_REPAIRED);
    if at.is_empty() {
        return;
    }
    let mut old = lookup.texts(domain).found().unwrap_or_default();
    old.retain(|text| is_spf_text(text));
    let outcome = edited_spf(checked, &old);
    put(notes, &at, outcome);
}

pub(super) fn is_spf_text(text: &str) -> bool {
    spf::is_spf(text) || spf::looks_like_spf(text)
}

/// A first record: only for a domain that neither sends nor receives, as only its owner knows who else sends.
fn first_spf(checked: &Checked<'_>) -> Proposed {
    let takes_mail = !matches!(checked.mx, Delivery::Refused | Delivery::Nowhere);
    let passing: Vec<(&SeenSource, i64)> =
        checked.seen.sources.iter().map(|source| (source, source.dmarc_pass)).filter(|(_, pass)| *pass > 0).collect();
    if !takes_mail && passing.is_empty() {
        let mut edit = spf::SpfEdit::default();
        edit.end_with(Qualifier::Fail);
        edit.changes = vec!["The domain accepts no mail, and no report shows mail from it that passes DMARC.".into()];
        return spf_proposal(checked, &edit, &[]);
    }
    let form = "Publish `v=spf1 ... ~all` with your provider's include, or ip4: and ip6: for servers of your own, in place of the dots";
    Err(if passing.is_empty() {
        format!("{form}. If the domain sends no mail, publish `v=spf1 -all`.")
    } else {
        format!("{form}. These sources sent mail that passed DMARC, so list those that are yours: {}.", named(&passing))
    })
}

/// The published record, edited.
fn edited_spf(checked: &Checked<'_>, old: &[String]) -> Proposed {
    let edit = if let [one] = old { spf::SpfEdit::repair(one) } else { spf::SpfEdit::merge(old) };
    let mut edit = edit.map_err(|why| no_record(&why))?;
    // Dead includes can only be found in a readable record.
    let drawn = |edit: &spf::SpfEdit| {
        let overlay = Overlay::txt(checked.lookup, checked.domain, &edit.text(), is_spf_text);
        spf::check(&overlay, checked.domain, &mut Notes::default()).tree
    };
    if let Some(tree) = drawn(&edit) {
        for term in tree.terms.iter().filter(|term| !term.is_redirect()) {
            if let Some(child) = term.child.as_ref().filter(|child| child.state == spf::NodeState::None) {
                edit.remove(&term.text, &format!("{} has no SPF record", child.domain));
            }
        }
    }
    if drawn(&edit).is_some_and(|tree| tree.lookups > spf::LOOKUP_LIMIT) {
        for term in edit.ptr_terms().into_iter().filter(|term| is_unused(checked, term)) {
            edit.remove(&term, "no source in the reports passes by it");
        }
    }
    let ending = edit.ending().unwrap_or(Qualifier::Neutral);
    let open = ending < Qualifier::SoftFail && !edit.redirects();
    if open && !checked.seen.sources.is_empty() {
        edit.end_with(Qualifier::SoftFail);
    } else if ending == Qualifier::Pass || (open && old.iter().all(|old| spf::readable(old) == edit.text())) {
        return Err(no_record(
            "no report shows who sends for the domain, and another ending could block your own mail",
        ));
    }
    spf_proposal(checked, &edit, old)
}

/// Whether reports show sources, and none of them passes by this term only.
fn is_unused(checked: &Checked<'_>, term: &str) -> bool {
    let overlay = Overlay::txt(checked.lookup, checked.domain, &format!("v=spf1 {term} -all"), is_spf_text);
    !checked.seen.sources.is_empty()
        && checked
            .seen
            .largest_sources(EVALUATED)
            .into_iter()
            .all(|source| result(checked, &overlay, source.address) == CheckHostResult::Fail)
}

fn result(checked: &Checked<'_>, lookup: &dyn Lookup, ip: IpAddr) -> CheckHostResult {
    spf::check_address(lookup, checked.domain, ip).result
}

/// A record at the domain, checked as if it replaced the old ones.
fn spf_proposal(checked: &Checked<'_>, edit: &spf::SpfEdit, old: &[String]) -> Proposed {
    let Checked { lookup, domain, .. } = *checked;
    let text = edit.text();
    placeable(lookup, domain, domain)?;
    let overlay = Overlay::txt(lookup, domain, &text, is_spf_text);
    let mut fresh = Notes::default();
    spf::check(&overlay, domain, &mut fresh);
    verdict(&fresh, |_| false)?;
    for stranger in STRANGERS.iter().filter_map(|address| address.parse().ok()) {
        match result(checked, &overlay, stranger) {
            CheckHostResult::Fail | CheckHostResult::SoftFail | CheckHostResult::Neutral => {}
            CheckHostResult::Pass => return Err(no_record("anyone would pass it")),
            other => return Err(no_record(&format!("its evaluation ends in {}", other.as_str()))),
        }
    }
    let dropped =
        |term: &String| edit.changes.iter().any(|change| change.starts_with(&format!("It leaves out `{term}`: ")));
    if let Some(lost) = old.iter().flat_map(|old| spf::lost(old, &text)).find(|term| !dropped(term)) {
        return Err(no_record(&format!("it would lose `{lost}`")));
    }
    let mut details = edit.changes.clone();
    details.extend(affected_sources(checked, &overlay, edit, old)?);
    Ok(Proposal { record: txt_record(domain, &text), details, left: codes_of(&fresh) })
}

/// The sources that the record treats worse than the old ones: listed if only its ending changes, otherwise a reason
/// not to propose it.
fn affected_sources(
    checked: &Checked<'_>,
    overlay: &Overlay<'_>,
    edit: &spf::SpfEdit,
    old: &[String],
) -> Result<Option<String>, String> {
    let before: Vec<String> = old.iter().map(|text| spf::readable(text)).collect();
    let endings: Vec<Qualifier> =
        before.iter().map(|text| spf::SpfRecord::parse(text).all().unwrap_or(Qualifier::Neutral)).collect();
    let ending = edit.ending().unwrap_or(Qualifier::Neutral);
    let same = !endings.is_empty() && endings.iter().all(|old| *old == ending);
    let takes_mail = !matches!(checked.mx, Delivery::Refused | Delivery::Nowhere);
    if ending == Qualifier::Fail && !same && checked.seen.sources.is_empty() && takes_mail {
        return Err(no_record("it would end with -all, and no report shows who sends for the domain"));
    }
    let passed = |address: IpAddr| {
        before.iter().any(|text| {
            let alone = Overlay::txt(checked.lookup, checked.domain, text, is_spf_text);
            result(checked, &alone, address) == CheckHostResult::Pass
        })
    };
    let mut affected = Vec::new();
    for source in checked.seen.largest_sources(EVALUATED) {
        let then = result(checked, overlay, source.address);
        let lost = then != CheckHostResult::Pass && passed(source.address);
        if lost && same {
            return Err(no_record(&format!("{} passes SPF now and would not pass any more", source.address)));
        }
        if lost || (then != CheckHostResult::Pass && source.dmarc_pass > 0 && !same) {
            affected.push((source, source.messages));
        }
    }
    if affected.len() > NAMED {
        return Err(no_record(&format!(
            "{} sources in the reports would not pass it; list yours first",
            affected.len()
        )));
    }
    Ok((!affected.is_empty()).then(|| {
        format!(
            "Add those of these sources that are yours before you publish it; they would not pass SPF: {}.",
            named(&affected)
        )
    }))
}

/// Whether an SPF record says that no one sends: `v=spf1 -all`.
pub(in crate::dns) fn is_empty_spf(record: &str) -> bool {
    let record = spf::SpfRecord::parse(record);
    record.errors.is_empty() && record.terms.len() == 1 && record.all() == Some(Qualifier::Fail)
}
