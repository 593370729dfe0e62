//! Proposes records for the findings of a check: one per name, by editing the published one.
//!
//! A record is shown only after it was checked as if it replaced the old one: it has no fault, loses nothing that was
//! right, and every source that passes SPF today still passes or is listed. If no such record is possible, the finding
//! says why.

mod dkim;
mod dmarc;
mod mx;
pub(crate) mod placement;
mod proposal;
mod spf;

pub(super) use proposal::Checked;
pub(super) use spf::is_empty_spf;

use crate::dns::finding::Notes;

/// Adds to each finding of a check the record to publish, or the reason why none is proposed.
pub(super) fn attach(checked: &Checked<'_>, notes: &mut Notes) {
    dmarc::record(checked, notes);
    dmarc::consent(checked, notes);
    spf::record(checked, notes);
    dkim::keys(checked, notes);
    mx::records(checked, notes);
}

#[cfg(test)]
mod tests;
