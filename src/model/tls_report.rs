//! SMTP TLS reports (RFC 8460): what a sending domain reports about its TLS sessions with another domain's MX hosts.

use super::{Domain, Finding, Hash, Original, Provenance, ReportKey, SenderAuth, Text};
use jiff::{Timestamp, civil::Date};
use std::net::IpAddr;
use std::sync::Arc;

/// The result types of RFC 8460 section 4.3.
pub const TLS_RESULT_TYPES: [&str; 11] = [
    "starttls-not-supported",
    "certificate-host-mismatch",
    "certificate-expired",
    "certificate-not-trusted",
    "validation-failure",
    "tlsa-invalid",
    "dnssec-invalid",
    "dane-required",
    "sts-policy-fetch-error",
    "sts-policy-invalid",
    "sts-webpki-invalid",
];

/// One TLS report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsReport {
    /// Identity: a hash of organization, ID, policy domains and period.
    pub key: ReportKey,
    /// Hash of the JSON without white space between its values: tells a duplicate from a conflict.
    pub content: Hash,
    /// The UTC day of the period's midpoint: the day all its sessions count for.
    pub day: Date,
    /// The reporter's name for itself; if absent, derived with a finding.
    pub org_name: Text,
    /// The reporter's address.
    pub contact_info: Option<Text>,
    /// The reporter's ID; if absent, derived from the content with a finding.
    pub report_id: Text,
    /// Start of the period.
    pub begin: Timestamp,
    /// End of the period, never before `begin`.
    pub end: Timestamp,
    /// What it says about each policy, in order; never empty.
    pub policies: Vec<TlsPolicy>,
}

/// What a TLS report says about the sessions under one policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsPolicy {
    /// `sts`, `tlsa`, `no-policy-found`, or another word as written, in lower case.
    pub policy_type: Option<Text>,
    /// The domain whose policy was applied; `None` if the value is not a domain.
    pub policy_domain: Option<Domain>,
    /// The policy as the reporter saw it: lines of an STS policy, or TLSA records.
    pub policy_strings: Vec<Text>,
    /// The patterns of MX hosts in an STS policy.
    pub mx_hosts: Vec<Text>,
    /// Sessions that succeeded; `None` if the value is not a count.
    pub successful_sessions: Option<i64>,
    /// Sessions that failed; `None` if the value is not a count.
    pub failed_sessions: Option<i64>,
    /// Why sessions failed, in order. Their sum may differ from `failed_sessions`.
    pub failures: Vec<TlsFailure>,
}

/// Why some sessions failed: one entry of `failure-details`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFailure {
    /// `certificate-expired` and others (RFC 8460 section 4.3), as written.
    pub result_type: Option<Text>,
    /// The address of the sending server.
    pub sending_mta_ip: Option<IpAddr>,
    /// The MX host.
    pub receiving_mx_hostname: Option<Domain>,
    /// The name with which the MX host introduced itself.
    pub receiving_mx_helo: Option<Text>,
    /// The address of the MX host.
    pub receiving_ip: Option<IpAddr>,
    /// Sessions; `None` if the value is not a count.
    pub failed_sessions: Option<i64>,
    /// The sender's own code for the failure, often a text.
    pub reason_code: Option<Text>,
    /// Where to find more information.
    pub additional_information: Option<Text>,
}

/// A TLS report that may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedTls {
    /// The report.
    pub report: TlsReport,
    /// What was odd.
    pub findings: Vec<Finding>,
    /// Its original bytes.
    pub original: Arc<Original>,
    /// Where from.
    pub provenance: Provenance,
}

/// What a stored TLS report says about one policy, with the facts about the report that a summary needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsPolicyRow {
    /// Key of the report; several rows may share it.
    pub key: ReportKey,
    /// The reporter.
    pub org_name: Text,
    /// The day that its sessions count for.
    pub day: Date,
    /// Whether the mail that brought it was authentic: RFC 8460 says to ignore reports with `None` or `Fail`.
    pub sender_auth: SenderAuth,
    /// The policy, its sessions, and why some failed.
    pub policy: TlsPolicy,
}

impl AcceptedTls {
    /// Its policies, as stored.
    pub fn rows(&self) -> impl Iterator<Item = TlsPolicyRow> + '_ {
        self.report.policies.iter().map(|policy| TlsPolicyRow {
            key: self.report.key,
            org_name: self.report.org_name.clone(),
            day: self.report.day,
            sender_auth: self.provenance.sender_auth(),
            policy: policy.clone(),
        })
    }

    /// About how much memory it holds, in bytes, without its original.
    pub fn weight(&self) -> usize {
        let failures = self.report.policies.iter().map(|policy| policy.failures.len()).sum::<usize>();
        let texts = self.report.policies.iter().map(TlsPolicy::text_bytes).sum::<usize>();
        2048 + 384 * (self.report.policies.len() + failures) + texts
    }

    /// How much memory its original adds to that of the report before it: nothing if both came in one file.
    pub fn original_weight(&self, before: Option<&Self>) -> usize {
        let shared = before.is_some_and(|before| Arc::ptr_eq(&before.original, &self.original));
        if shared { 0 } else { self.original.bytes().len() }
    }
}

impl TlsReport {
    /// The policy domains, sorted, without duplicates.
    pub fn domains(&self) -> Vec<&str> {
        let mut domains: Vec<&str> =
            self.policies.iter().filter_map(|policy| Some(policy.policy_domain.as_ref()?.as_str())).collect();
        domains.sort_unstable();
        domains.dedup();
        domains
    }

    /// Entries of `failure-details` in all policies.
    pub fn failures(&self) -> usize {
        self.policies.iter().map(|policy| policy.failures.len()).sum()
    }
}

impl TlsPolicy {
    /// Bytes of its texts.
    fn text_bytes(&self) -> usize {
        let long = |text: &Option<Text>| text.as_ref().map_or(0, Text::len);
        let of_failure = |failure: &TlsFailure| {
            [&failure.reason_code, &failure.additional_information, &failure.receiving_mx_helo]
                .into_iter()
                .map(long)
                .sum::<usize>()
        };
        self.policy_strings.iter().chain(&self.mx_hosts).map(Text::len).sum::<usize>()
            + self.failures.iter().map(of_failure).sum::<usize>()
    }
}
