//! The order in which the findings of a check get their records.

use super::proposal::Checked;
use super::{dkim, dmarc, mx, spf};
use crate::dns::finding::Notes;

/// Adds to each finding the record to publish, or the reason why none is proposed.
pub(in crate::dns) fn attach(checked: &Checked<'_>, notes: &mut Notes) {
    dmarc::record(checked, notes);
    dmarc::consent(checked, notes);
    spf::record(checked, notes);
    dkim::keys(checked, notes);
    mx::records(checked, notes);
}
