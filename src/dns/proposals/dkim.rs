//! The DKIM key record to publish: the published one, repaired.

use super::proposal::{Checked, Proposal, Proposed, codes_of, no_record, placeable, put, verdict};
use crate::dns::finding::{Notes, txt_record};
use crate::dns::lookup::overlay::Overlay;
use crate::dns::{dkim, finding as codes};

pub(super) fn keys(checked: &Checked<'_>, notes: &mut Notes) {
    let wanted = [&codes::DKIM_QUOTED, &codes::DKIM_VERSION, &codes::DKIM_MALFORMED];
    for at in 0..notes.findings.len() {
        let finding = &notes.findings[at];
        let Some(name) = finding.place.strip_suffix(" TXT").filter(|_| wanted.contains(&finding.code)) else {
            continue;
        };
        let outcome = key_proposal(checked, name);
        put(notes, &[at], outcome);
    }
}

fn key_proposal(checked: &Checked<'_>, name: &str) -> Proposed {
    let Checked { lookup, domain, .. } = *checked;
    placeable(lookup, domain, name)?;
    let texts = lookup.texts(name).found().unwrap_or_default();
    let [text] = texts.as_slice() else { return Err(no_record("the name has several records")) };
    let repaired = dkim::repaired(text).map_err(|why| no_record(&why))?;
    let overlay = Overlay::txt(lookup, name, &repaired, |_| true);
    let mut fresh = Notes::default();
    let selector = name.strip_suffix(&dkim::key_name("", domain)).unwrap_or(name).to_owned();
    dkim::check(&overlay, domain, &[selector], &[], checked.seen.today, &mut fresh);
    verdict(&fresh, |_| false)?;
    Ok(Proposal { record: txt_record(name, &repaired), details: Vec::new(), left: codes_of(&fresh) })
}
