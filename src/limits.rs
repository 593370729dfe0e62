//! Every bound in one value, and the meter that enforces them across a whole item.
//!
//! Comes in: the bounds. Goes out: room, or a [`LimitExceeded`] that names the limit and the amount.
//! An item is one mail, or one file that is not a mailbox: all its archives and parts spend from one meter.

/// The bounds of one item and of one report. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The item as it comes: a mail or a file.
    pub item_bytes: u64,
    /// All that an item inflates or decodes to, over all layers and members.
    pub inflated_bytes: u64,
    /// Inflated over compressed bytes of one stream, once it is past [`Limits::RATIO_GRACE`].
    pub ratio: u64,
    /// Members of archives (zip entries, gzip members) in an item.
    pub members: u32,
    /// Archives within archives.
    pub archive_depth: u32,
    /// MIME parts in an item.
    pub mail_parts: u32,
    /// Multiparts and messages within each other.
    pub mail_depth: u32,
    /// `<record>` elements in a report.
    pub records: u32,
    /// DKIM or SPF results, or reasons, in one record; those beyond are dropped with a finding.
    pub results: u32,
    /// One text value in a report; longer text is cut with a finding.
    pub text_bytes: u32,
    /// XML elements within each other.
    pub element_depth: u32,
    /// Findings kept of one report; those beyond are counted in a last one.
    pub findings: u32,
}

impl Limits {
    /// What a stream may inflate to before its ratio counts.
    pub const RATIO_GRACE: u64 = 1 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            item_bytes: 64 << 20,
            inflated_bytes: 100 << 20,
            ratio: 1000,
            members: 1000,
            archive_depth: 3,
            mail_parts: 1000,
            mail_depth: 16,
            records: 250_000,
            results: 100,
            text_bytes: 8 << 10,
            element_depth: 32,
            findings: 100,
        }
    }
}
