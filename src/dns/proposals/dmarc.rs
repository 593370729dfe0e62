//! The DMARC record to publish: an edit of the published one, a first one, or a subdomain's own.

use super::placement::obstacle;
use super::proposal::{Checked, Proposal, Proposed, codes_of, named, no_record, placeable, put, repairable, verdict};
use crate::dns::dmarc::{self, Policy};
use crate::dns::finding as codes;
use crate::dns::finding::{CheckCode, Notes, txt_record};
use crate::dns::lookup::name;
use crate::dns::lookup::overlay::Overlay;
use crate::dns::seen::{Observed, SeenSource};

const DMARC_REPAIRED: [&CheckCode; 18] = [
    &codes::DMARC_MISSING,
    &codes::DMARC_SEVERAL,
    &codes::DMARC_VERSION,
    &codes::DMARC_NOT_FIRST,
    &codes::DMARC_LEADING,
    &codes::DMARC_QUOTED,
    &codes::DMARC_SYNTAX,
    &codes::DMARC_REPEATED,
    &codes::DMARC_EMPTY,
    &codes::DMARC_UNKNOWN,
    &codes::DMARC_TYPO,
    &codes::DMARC_P_MISSING,
    &codes::DMARC_P_INVALID,
    &codes::DMARC_SP_INVALID,
    &codes::DMARC_NP_INVALID,
    &codes::DMARC_VALUE,
    &codes::DMARC_URI,
    &codes::DMARC_PSD,
];

pub(super) fn record(checked: &Checked<'_>, notes: &mut Notes) {
    let Checked { lookup, domain, .. } = *checked;
    let place = format!("_dmarc.{domain} TXT");
    let wanted = [DMARC_REPAIRED.as_slice(), &[&codes::DMARC_NO_RUA, &codes::DMARC_NONMAIL]].concat();
    let at = repairable(notes, &place, &wanted);
    let mut own = lookup.texts(&format!("_dmarc.{domain}")).found().unwrap_or_default();
    own.retain(|text| dmarc::looks_like_dmarc(text));
    if !at.is_empty() {
        let missing = notes.findings[at[0]].code == &codes::DMARC_MISSING;
        let outcome = match own.is_empty() {
            false => edited_policy(checked, notes, &own),
            true if missing => first_policy(checked, notes),
            true => own_policy(checked, notes),
        };
        put(notes, &at, outcome);
    }
    let inherited = checked.dmarc.record().filter(|found| found.domain != domain).map(|found| found.domain.clone());
    if let Some(parent) = inherited {
        for at in repairable(notes, &format!("_dmarc.{parent} TXT"), &wanted) {
            let pointer =
                format!("This record belongs to {parent}: run `dmarquet check {parent}` for the record to publish.");
            notes.findings[at].details.push(pointer);
        }
    }
}

/// The published record, edited.
fn edited_policy(checked: &Checked<'_>, notes: &Notes, own: &[String]) -> Proposed {
    let domain = checked.domain;
    let mut edit = dmarc::DmarcEdit::merge(own).map_err(|why| no_record(&why))?;
    if notes.has(&codes::DMARC_PSD) {
        edit.remove("psd");
    }
    let stricter = notes.has(&codes::DMARC_NONMAIL);
    if stricter {
        edit.reject_all();
    }
    let without_rua = edit.clone();
    if edit.get("rua").is_none() {
        let addresses = parent_addresses(checked).unwrap_or_else(|| format!("mailto:dmarc@{domain}"));
        edit.set("rua", &addresses);
    }
    let first = policy_proposal(checked, notes, domain, &edit, own, stricter);
    let place = format!("_dmarc.{domain} TXT");
    let only_rua = !stricter && repairable(notes, &place, &DMARC_REPAIRED).is_empty();
    if first.is_ok() || edit == without_rua || only_rua {
        return first.map(|mut proposal| {
            if edit != without_rua {
                proposal.details.push(addresses_note(checked, &edit));
            }
            proposal
        });
    }
    policy_proposal(checked, notes, domain, &without_rua, own, stricter)
}

/// A first record for the organizational domain: it asks for reports only, unless the domain never sends.
fn first_policy(checked: &Checked<'_>, notes: &Notes) -> Proposed {
    let Checked { lookup, domain, dmarc, .. } = *checked;
    let at = dmarc.list.as_ref().map_or(domain, |list| list.organization.as_str());
    let mut edit = dmarc::DmarcEdit::default();
    let mut details = Vec::new();
    if at == domain && checked.never_sends {
        edit.set("p", Policy::Reject.as_str());
        details.push(format!(
            "{at} says that it sends no mail, so p=reject loses none of its own. Subdomains without a DMARC record of their own \
             are rejected, too: if one of them sends mail, add sp=none first."
        ));
        return policy_proposal(checked, notes, at, &edit, &[], true).map(|proposal| with(details, proposal));
    }
    edit.set("p", Policy::None.as_str());
    let stray = dmarc::misplaced(lookup, at, true)
        .and_then(|(place, text)| Some((place, dmarc::DmarcEdit::repair(&text).ok()?)));
    if let Some((place, stray)) = &stray
        && let Some(rua) = stray.get("rua")
    {
        edit.set("rua", rua);
        let policy = stray.get("p").unwrap_or_default();
        let start = "It starts with p=none, because no policy was in force";
        details.push(format!(
            "It keeps the report addresses of the record at {place}, which asks for p={policy}. {start}."
        ));
    } else {
        edit.set("rua", &format!("mailto:dmarc@{at}"));
        details.push(mailbox_note(&edit));
    }
    policy_proposal(checked, notes, at, &edit, &[], false).map(|proposal| with(details, proposal))
}

/// A separate record for a subdomain that never sends: the parent's, with p=reject.
fn own_policy(checked: &Checked<'_>, notes: &Notes) -> Proposed {
    let parent = checked.dmarc.record().ok_or_else(|| no_record("the record in force could not be looked up"))?;
    let mut edit = dmarc::DmarcEdit::repair(&parent.record.text).map_err(|why| no_record(&why))?;
    if edit.get("psd").is_some() {
        let why = format!("the record of {} has psd, which must not be copied", parent.domain);
        return Err(no_record(&why));
    }
    edit.reject_all();
    let detail = format!("It is the record of {} with p=reject, for {} alone.", parent.domain, checked.domain);
    let old = [parent.record.text.clone()];
    policy_proposal(checked, notes, checked.domain, &edit, &old, true).map(|proposal| with(vec![detail], proposal))
}

fn with(mut details: Vec<String>, mut proposal: Proposal) -> Proposal {
    details.append(&mut proposal.details);
    Proposal { details, ..proposal }
}

/// The report addresses of the organizational domain's record, if a subdomain can use them.
fn parent_addresses(checked: &Checked<'_>) -> Option<String> {
    let organization = name::organizational(checked.domain);
    let parent =
        (organization != checked.domain).then(|| dmarc::record_at(checked.lookup, organization).found()).flatten()?;
    dmarc::DmarcEdit::repair(&parent.text).ok()?.get("rua").map(str::to_owned)
}

/// What to say about report addresses that were added.
fn addresses_note(checked: &Checked<'_>, edit: &dmarc::DmarcEdit) -> String {
    if parent_addresses(checked).is_some() {
        format!("It uses the report addresses of {}.", name::organizational(checked.domain))
    } else {
        mailbox_note(edit)
    }
}

fn mailbox_note(edit: &dmarc::DmarcEdit) -> String {
    let address = edit.get("rua").unwrap_or_default().trim_start_matches("mailto:");
    format!("Make sure that {address} exists, or put in another address of yours, before you publish it.")
}

/// A record at `_dmarc` of a domain, checked as if it replaced the old ones.
fn policy_proposal(
    checked: &Checked<'_>,
    notes: &Notes,
    at: &str,
    edit: &dmarc::DmarcEdit,
    old: &[String],
    stricter: bool,
) -> Proposed {
    let lookup = checked.lookup;
    let (name, text) = (format!("_dmarc.{at}"), edit.text());
    placeable(lookup, at, &name)?;
    let lost: Vec<String> = old.iter().flat_map(|old| dmarc::lost(old, &text, stricter)).collect();
    if let Some(lost) = lost.first() {
        return Err(no_record(&format!("it would lose `{lost}`")));
    }
    let overlay = Overlay::txt(lookup, &name, &text, dmarc::looks_like_dmarc);
    let mut fresh = Notes::default();
    let after = dmarc::check(&overlay, at, &mut fresh);
    // Another domain has to publish the consent, and a stray copy elsewhere is another record.
    verdict(&fresh, |fault| {
        fault.code == &codes::DMARC_PLACE
            || (fault.code == &codes::DMARC_UNAUTHORIZED
                && notes.findings.iter().any(|known| known.place == fault.place))
    })?;
    let now = if at == checked.domain { checked.dmarc.policy.unwrap_or(Policy::None) } else { Policy::None };
    let then = after.policy.unwrap_or(Policy::None);
    let mut details = Vec::new();
    if then > now {
        details.push(format!(
            "Receivers {} mail that fails DMARC now; with this record they {} it.",
            treatment(now),
            treatment(then)
        ));
        details.extend(blocked_sources(checked.seen, then));
    }
    Ok(Proposal { record: txt_record(&name, &text), details, left: codes_of(&fresh) })
}

/// What receivers do with failing mail under a policy.
const fn treatment(policy: Policy) -> &'static str {
    match policy {
        Policy::None => "do not block",
        Policy::Quarantine => "quarantine",
        Policy::Reject => "reject",
    }
}

/// The sources whose mail a stricter policy would block.
fn blocked_sources(seen: &Observed, policy: Policy) -> Option<String> {
    let mut failing: Vec<(&SeenSource, i64)> = seen
        .sources
        .iter()
        .map(|source| (source, source.messages.saturating_sub(source.dmarc_pass)))
        .filter(|(_, failing)| *failing > 0)
        .collect();
    failing.sort_by_key(|(source, failing)| (std::cmp::Reverse(*failing), source.address));
    (!failing.is_empty()).then(|| {
        format!(
            "Check first which of these are yours: receivers would {} their mail, which failed DMARC in the reports: {}.",
            treatment(policy),
            named(&failing)
        )
    })
}

/// RFC 9990 section 4: the record that another organization publishes to accept reports.
pub(super) fn consent(checked: &Checked<'_>, notes: &mut Notes) {
    let prefix = dmarc::consent_name(checked.domain, "");
    for finding in notes.findings.iter_mut().filter(|finding| finding.code == &codes::DMARC_UNAUTHORIZED) {
        let Some(name) = finding.place.strip_suffix(" TXT").filter(|name| name.starts_with(&prefix)) else { continue };
        let host = &name[prefix.len()..];
        match obstacle(checked.lookup, host, name) {
            None => finding.publish = Some(txt_record(name, "v=DMARC1")),
            Some(why) => finding.details.push(no_record(&why)),
        }
    }
}
