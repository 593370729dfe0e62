//! What the store has seen of a domain, as plain values to compare with DNS. The caller reads the store.

use jiff::civil::Date;
use serde::Serialize;
use std::cmp::Reverse;
use std::net::IpAddr;

/// What the store has seen of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The day of the check.
    pub today: Date,
    /// Selectors in DKIM results of the domain.
    pub selectors: Vec<SeenSelector>,
    /// Addresses that sent in the domain's name.
    pub sources: Vec<SeenSource>,
    /// The policy of the newest report.
    pub policy: Option<SeenPolicy>,
    /// Why TLS sessions failed in the last seven days.
    pub tls_failures: Vec<SeenTlsFailure>,
    /// MTA-STS policies that were fetched before, and that senders may still keep.
    pub sts_policies: Vec<SeenStsPolicy>,
}

impl Observed {
    /// The sources with most mail, at most this many, most mail first.
    pub(super) fn largest_sources(&self, most: usize) -> Vec<&SeenSource> {
        let mut sources: Vec<&SeenSource> = self.sources.iter().collect();
        sources.sort_by_key(|source| (Reverse(source.messages), source.address));
        sources.truncate(most);
        sources
    }
}

/// A selector in the reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeenSelector {
    /// The selector.
    pub selector: String,
    /// The last day of a report with it.
    pub last: Date,
    /// The last day on which an address signed with it from which it has verified; `None` if it never verified. Anybody can
    /// write any selector into a signature.
    pub last_proven: Option<Date>,
    /// Messages signed with it.
    pub messages: i64,
    /// Of those, the ones whose signature passed.
    pub passed: i64,
    /// Addresses that used it, most mail first.
    pub sources: Vec<IpAddr>,
}

/// A source in the reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeenSource {
    /// The address.
    pub address: IpAddr,
    /// Messages.
    pub messages: i64,
    /// Those that passed SPF and aligned.
    pub spf_aligned: i64,
    /// Those that passed DMARC.
    pub dmarc_pass: i64,
    /// The domain SPF checked for the aligned ones.
    pub spf_domain: Option<String>,
    /// The last day of a report with it.
    pub last: Date,
}

/// The policy in the reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SeenPolicy {
    /// The day of the report.
    pub day: Date,
    /// `p`, lower case.
    pub p: Option<String>,
    /// `sp`, lower case.
    pub sp: Option<String>,
    /// `np`, lower case.
    pub np: Option<String>,
}

/// An MTA-STS policy as it was fetched before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenStsPolicy {
    /// The last day on which it was fetched.
    pub day: Date,
    /// The id in the record at that time.
    pub id: String,
    /// The file, as [`MtaSts::file`](crate::dns::transport::MtaSts::file).
    pub file: String,
}

/// Why TLS sessions failed, as TLS reports say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenTlsFailure {
    /// As reporters write it: `certificate-expired`.
    pub result_type: String,
    /// The MX hosts.
    pub hosts: Vec<String>,
    /// Sessions.
    pub sessions: u64,
    /// How many reporters see it.
    pub reporters: u64,
    /// The last day.
    pub last: Date,
    /// What it means and what to do.
    pub advice: String,
}
