//! A whole report: who sent it, for which period and policy, and its records.

use super::{Domain, Record, Text};
use jiff::{Timestamp, civil::Date};

/// A hash of 32 bytes: SHA-256 of bytes as they arrived, BLAKE3 of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The identity of a report: a hash of (`org_name`, domain of `email`, `policy_domain`, `report_id`, `begin`, `end`),
/// trimmed; all but `report_id` ignore case. Two reports with the same key are the same report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReportKey(pub [u8; 16]);

impl std::fmt::Display for ReportKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// `report_metadata`, trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The reporter's name for itself, else the domain of `email`; never empty.
    pub org_name: Text,
    /// The reporter's address, as written.
    pub email: Option<Text>,
    /// A page or address for questions.
    pub extra_contact_info: Option<Text>,
    /// The reporter's ID; if absent, derived from the content, with a finding.
    pub report_id: Text,
    /// Start of the period.
    pub begin: Timestamp,
    /// End of the period, inclusive or exclusive as the reporter writes it; never before `begin`.
    pub end: Timestamp,
    /// Errors in the domain's record, according to the reporter.
    pub errors: Vec<Text>,
    /// RFC 9990: the software that wrote the report.
    pub generator: Option<Text>,
    /// `version`, as written.
    pub version: Option<Text>,
}

/// `policy_published`, as written (trimmed, lower case); `None` if absent or empty. `judge` applies the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyPublished {
    /// Where the DMARC record was found; may be a parent of `header_from`.
    pub domain: Domain,
    /// Policy for the domain.
    pub p: Option<Text>,
    /// Policy for subdomains; absent: as `p`.
    pub sp: Option<Text>,
    /// RFC 9990: policy for subdomains that do not exist; absent: as `sp`.
    pub np: Option<Text>,
    /// DKIM alignment, `r` or `s`; absent: `r`.
    pub adkim: Option<Text>,
    /// SPF alignment, `r` or `s`; absent: `r`.
    pub aspf: Option<Text>,
    /// RFC 7489: percentage of failing mail the policy is applied to.
    pub pct: Option<i32>,
    /// Failure reporting options, separated by colons.
    pub fo: Option<Text>,
    /// RFC 9990: the `t` tag, `y` or `n`.
    pub testing: Option<Text>,
    /// RFC 9990: `psl` or `treewalk`.
    pub discovery_method: Option<Text>,
}

/// One aggregate report (RFC 7489 section 7.2, RFC 9990).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Identity.
    pub key: ReportKey,
    /// The key used before version 3 of the store, if it differs: `report_id` was lower-cased.
    pub former_key: Option<ReportKey>,
    /// The UTC day of the period's midpoint: the day all its records count for.
    pub day: Date,
    /// Who sent it and for which period.
    pub metadata: Metadata,
    /// The policy the receiver saw.
    pub policy: PolicyPublished,
    /// The rows, in order; may be empty.
    pub records: Vec<Record>,
}
