//! The DMARC policy in a report.

use super::{Domain, Text};

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
