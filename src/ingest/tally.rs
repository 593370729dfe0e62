//! What a run did, with the field names of its JSON: every item counts in exactly one place.

use crate::model::Finding;
use crate::store::{Added, ReportSums};
use serde::{Deserialize, Serialize};

/// Entries of a list beyond this are counted, not kept: a flood must not fill the memory.
const KEPT: usize = 10_000;

/// How an item's content was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemOutcome {
    /// New reports.
    pub stored: u32,
    /// Reports and rejected items that are already known.
    pub duplicates: u32,
    /// Reports with the same key as another, different one.
    pub conflicts: u32,
    /// Items that are not reports.
    pub set_aside: u32,
    /// New and unreadable.
    pub rejected: u32,
}

/// The sums of what was stored: those of DMARC reports, and the number of TLS reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Reports.
    pub reports: u64,
    /// Their rows.
    pub records: u64,
    /// Sum of the rows' counts.
    pub messages: i64,
    /// Messages that pass.
    pub dmarc_pass: i64,
    /// SMTP TLS reports, which the numbers above do not count.
    pub tls_reports: u64,
}

/// Items that are neither aggregate reports nor errors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SetAside {
    /// SMTP TLS reports: always 0, they are stored.
    pub tls_rpt: u64,
    /// Failure reports.
    pub failure: u64,
    /// Bounces and automatic replies.
    pub bounce: u64,
    /// Any other mail or file.
    pub other: u64,
}

impl SetAside {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.tls_rpt + self.failure + self.bounce + self.other
    }
}

/// Something that should have been a report and could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectedItem {
    /// Where it came from.
    pub origin: String,
    /// What was expected and what was found.
    pub reason: String,
}

/// Something odd about a report that was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundItem {
    /// Where the report came from.
    pub origin: String,
    /// The kind.
    pub code: &'static str,
    /// What was expected, what was found, and where.
    pub detail: String,
}

/// The run's tally. Its JSON is a stable interface (`docs/design.md`); the last five fields are for the program alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All items: the sum of all the places.
    pub items: u64,
    /// New in the store.
    pub stored: Stored,
    /// Already stored, or rejected before.
    pub duplicates: u64,
    /// A different report with its key is stored.
    pub conflicts: u64,
    /// Stored reports that replaced another with the same key, which is now in conflict.
    #[serde(skip_serializing_if = "is_zero")]
    pub replaced: u64,
    /// Neither a report nor an error.
    pub set_aside: SetAside,
    /// New and unreadable; the first few thousand.
    pub rejected: Vec<RejectedItem>,
    /// Odd and stored; the first few thousand.
    pub findings: Vec<FoundItem>,
    /// Rejected items beyond those listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub rejected_more: u64,
    /// Findings beyond those listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub findings_more: u64,
    /// Symbolic links that lead out of the given folders. They are not followed and count as set aside.
    #[serde(skip)]
    pub links_out: u64,
    /// Whether the run was stopped early; everything read until then is stored.
    #[serde(skip)]
    pub interrupted: bool,
    /// Errors of the source, each reported when it happened: the run did not see everything.
    #[serde(skip)]
    pub faults: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Tally {
    /// New items that could not be read.
    pub fn rejected_count(&self) -> u64 {
        self.rejected.len() as u64 + self.rejected_more
    }

    /// Findings, kept or counted.
    pub fn findings_count(&self) -> u64 {
        self.findings.len() as u64 + self.findings_more
    }

    /// Adds another run's tally.
    pub fn add(&mut self, other: Self) {
        self.items += other.items;
        self.stored.reports += other.stored.reports;
        self.stored.records += other.stored.records;
        self.stored.messages = self.stored.messages.saturating_add(other.stored.messages);
        self.stored.dmarc_pass = self.stored.dmarc_pass.saturating_add(other.stored.dmarc_pass);
        self.stored.tls_reports += other.stored.tls_reports;
        self.duplicates += other.duplicates;
        self.conflicts += other.conflicts;
        self.replaced += other.replaced;
        self.set_aside.tls_rpt += other.set_aside.tls_rpt;
        self.set_aside.failure += other.set_aside.failure;
        self.set_aside.bounce += other.set_aside.bounce;
        self.set_aside.other += other.set_aside.other;
        self.rejected.extend(other.rejected);
        self.rejected_more += other.rejected_more + self.rejected.len().saturating_sub(KEPT) as u64;
        self.rejected.truncate(KEPT);
        self.findings.extend(other.findings);
        self.findings_more += other.findings_more + self.findings.len().saturating_sub(KEPT) as u64;
        self.findings.truncate(KEPT);
        self.links_out += other.links_out;
        self.interrupted |= other.interrupted;
        self.faults += other.faults;
    }

    /// A report has found its place; whether it counts now. A TLS report has no sums.
    pub(super) fn add_report(&mut self, added: Added, sums: Option<ReportSums>) -> bool {
        let stored = &mut self.stored;
        let reports = if sums.is_some() { &mut stored.reports } else { &mut stored.tls_reports };
        match added {
            Added::Stored => *reports += 1,
            Added::Duplicate => self.duplicates += 1,
            Added::Conflict => self.conflicts += 1,
            Added::Replaced(None) => {
                self.replaced += 1;
                *reports += 1;
            }
            // The one it replaced was stored in this run, and is in conflict now.
            Added::Replaced(Some(ReportSums { records, messages, dmarc_pass })) => {
                self.replaced += 1;
                self.conflicts += 1;
                stored.records = stored.records.saturating_sub(records);
                stored.messages = stored.messages.saturating_sub(messages);
                stored.dmarc_pass = stored.dmarc_pass.saturating_sub(dmarc_pass);
            }
        }
        let counts = matches!(added, Added::Stored | Added::Replaced(_));
        if let Some(ReportSums { records, messages, dmarc_pass }) = sums.filter(|_| counts) {
            stored.records += records;
            stored.messages = stored.messages.saturating_add(messages);
            stored.dmarc_pass = stored.dmarc_pass.saturating_add(dmarc_pass);
        }
        counts
    }

    pub(super) fn reject(&mut self, origin: &str, reason: &str) {
        if self.rejected.len() < KEPT {
            self.rejected.push(RejectedItem { origin: origin.to_owned(), reason: reason.to_owned() });
        } else {
            self.rejected_more += 1;
        }
    }

    pub(super) fn find(&mut self, origin: &str, findings: &[Finding]) {
        for Finding { code, detail } in findings {
            if self.findings.len() < KEPT {
                let (origin, code, detail) = (origin.to_owned(), code.as_str(), detail.clone());
                self.findings.push(FoundItem { origin, code, detail });
            } else {
                self.findings_more += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_exactly_the_keys_of_the_design() {
        let mut tally = Tally { items: 3, duplicates: 1, ..Tally::default() };
        tally.stored = Stored { reports: 2, records: 7, messages: 19, dmarc_pass: 12, tls_reports: 5 };
        tally.reject("inbox.mbox > message 2", "gzip: 200 MiB inflated, the limit is 100 MiB");
        tally.find("report.xml", &[Finding::new(crate::model::FindingCode::PERIOD_SWAPPED, "begin is after end")]);
        let expected = concat!(
            r#"{"items":3,"stored":{"reports":2,"records":7,"messages":19,"dmarc_pass":12,"tls_reports":5},"duplicates":1,"conflicts":0,"#,
            r#""set_aside":{"tls_rpt":0,"failure":0,"bounce":0,"other":0},"#,
            r#""rejected":[{"origin":"inbox.mbox > message 2","reason":"gzip: 200 MiB inflated, the limit is 100 MiB"}],"#,
            r#""findings":[{"origin":"report.xml","code":"period.swapped","detail":"begin is after end"}]}"#
        );
        assert_eq!(serde_json::to_string(&tally).unwrap(), expected);
    }

    #[test]
    fn a_flood_of_findings_is_counted_and_not_kept() {
        let mut tally = Tally::default();
        let finding = [Finding::new(crate::model::FindingCode::ROW_GAP, "")];
        (0..KEPT + 5).for_each(|_| tally.find("x", &finding));
        assert_eq!((tally.findings.len(), tally.findings_count()), (KEPT, KEPT as u64 + 5));
    }
}
