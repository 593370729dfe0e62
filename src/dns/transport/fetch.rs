//! How a check fetches a policy file: a trait, so that the same check runs over HTTPS, and over a table in a test.

use std::net::IpAddr;

/// Fetches the policy file of a host by HTTPS, with a bounded size and time. It follows no redirect, and connects to nothing
/// but the addresses it is given.
pub trait PolicySource: Sync {
    /// Fetch `https://HOST/.well-known/mta-sts.txt` from one of these addresses.
    fn fetch(&self, host: &str, addresses: &[IpAddr]) -> PolicyFetch;
}

/// The result of fetching a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyFetch {
    /// The server answered.
    Answer(PolicyAnswer),
    /// TLS was refused, because the certificate cannot be verified: why.
    Certificate(String),
    /// No answer: why. Nothing is known about the policy.
    Failed(String),
}

/// An answer by HTTPS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyAnswer {
    /// The status.
    pub status: u16,
    /// The header `Content-Type`.
    pub content_type: Option<String>,
    /// The header `Location`.
    pub location: Option<String>,
    /// The file, or the beginning of one that is too large.
    pub body: Vec<u8>,
}

impl PolicyAnswer {
    /// Bytes of a policy that are read. RFC 8461 section 3.3 suggests that senders read no more.
    pub const LIMIT: usize = 64 * 1024;
}
