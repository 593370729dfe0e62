//! What is published at `_dmarc` of a domain, and DMARC records at names where receivers do not look.

use super::record::is_dmarc;
use crate::dns::finding as codes;
use crate::dns::finding::{CheckFinding, Notes};
use crate::dns::lookup::answer::{Lookup, QueryType};
use crate::dns::tags::quoting_fault;
use crate::model::Tags;

/// Checks the texts at `_dmarc` of the domain itself, and looks where records are published by mistake. Returns whether none
/// of the texts is, or was meant as, a DMARC record; false if they could not be looked up.
pub(super) fn is_unpublished(lookup: &dyn Lookup, domain: &str, notes: &mut Notes) -> bool {
    let name = format!("_dmarc.{domain}");
    let Ok(texts) = lookup.texts(&name).known() else { return false };
    let texts = texts.unwrap_or_default();
    let (records, others): (Vec<&String>, Vec<&String>) = texts.iter().partition(|text| is_dmarc(text));
    for text in &others {
        notes.add(other_text(&name, text, !records.is_empty()));
    }
    if records.len() > 1 {
        let list: Vec<String> = records.iter().map(|text| format!("`{text}`")).collect();
        let text = format!("Keep one of these {} records and delete the others: {}.", records.len(), list.join(", "));
        notes.find(&codes::DMARC_SEVERAL, format!("{name} TXT"), text);
    }
    if let Some((place, text)) = misplaced(lookup, domain, records.is_empty()) {
        let text = if records.is_empty() {
            format!("Publish the DMARC record at {name}, not at {place}: `{text}` is not in force.")
        } else {
            format!("Delete the stray DMARC record at {place}: `{text}`. The record at {name} is in force.")
        };
        notes.find(&codes::DMARC_PLACE, format!("{place} TXT"), text);
    }
    !texts.iter().any(|text| looks_like_dmarc(text))
}

/// Whether a text is a DMARC record, or was meant as one.
pub(in crate::dns) fn looks_like_dmarc(text: &str) -> bool {
    let folded: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    folded.contains("v=dmarc")
}

/// Text at `_dmarc` that is not a record: either meant as one, or something else.
fn other_text(name: &str, text: &str, beside_record: bool) -> CheckFinding {
    let place = format!("{name} TXT");
    if !looks_like_dmarc(text) {
        let kind = if text.trim_start().to_ascii_lowercase().starts_with("v=spf") { "an SPF record" } else { "text" };
        return CheckFinding::new(
            &codes::DMARC_OTHER,
            place,
            format!("Remove {kind} from {name}; it is not a DMARC record: `{text}`."),
        );
    }
    let verb = if beside_record { "Delete this damaged copy" } else { "Correct this record" };
    let tags = Tags::parse(text);
    let (code, why) = if let Some(fault) = quoting_fault(text) {
        (&codes::DMARC_QUOTED, fault.to_owned())
    } else if is_dmarc(text.trim_start()) {
        (&codes::DMARC_LEADING, "there is white space before v=DMARC1".to_owned())
    } else if tags.get("v") == Some("DMARC1") {
        (&codes::DMARC_NOT_FIRST, "v=DMARC1 is not the first tag".to_owned())
    } else {
        let found = tags.get("v").unwrap_or_default();
        let missing =
            found.strip_prefix("DMARC1").is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphanumeric()));
        let why = if missing { "there is no semicolon after v=DMARC1" } else { "it does not begin with v=DMARC1" };
        (&codes::DMARC_VERSION, why.to_owned())
    };
    CheckFinding::new(code, place, format!("{verb}: `{text}`. Receivers ignore it because {why}."))
}

/// A DMARC record at a name where receivers do not look: the name and the record. Only the domain itself is examined,
/// or, with `everywhere`, every place where records are published by mistake.
pub(in crate::dns) fn misplaced(lookup: &dyn Lookup, domain: &str, everywhere: bool) -> Option<(String, String)> {
    let mut places = vec![domain.to_owned()];
    if everywhere {
        let usual = [format!("_dmarc.{domain}.{domain}"), format!("_dmarc._dmarc.{domain}"), format!("dmarc.{domain}")];
        places.extend(usual);
    }
    lookup.announce_each(&places, &[QueryType::Txt]);
    places.into_iter().find_map(|place| {
        let text = lookup.texts(&place).found()?.into_iter().find(|text| is_dmarc(text))?;
        Some((place, text))
    })
}
