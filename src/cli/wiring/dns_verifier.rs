//! Verifies report mails with DKIM keys from DNS.

use crate::dns::lookup::keyring::Keyring;
use crate::dns::lookup::resolver::ResolverError;
use crate::dns::verify::proof;
use crate::ingest::MailVerifier;
use crate::model::{Proof, RawMail, ReportKind};
use jiff::Timestamp;
use std::net::SocketAddr;
use std::sync::Arc;

/// A verifier that looks up keys on these servers; without any, on the system's.
pub(super) fn over_dns(servers: Vec<SocketAddr>) -> Result<Arc<dyn MailVerifier>, ResolverError> {
    Ok(Arc::new(DnsVerifier(Keyring::new(servers)?)))
}

/// Verifies mails with DKIM keys from DNS.
#[derive(Debug)]
pub(super) struct DnsVerifier(pub(super) Keyring);

impl MailVerifier for DnsVerifier {
    fn proof(&self, mail: &RawMail, arrival: Timestamp, kind: ReportKind) -> Proof {
        proof::proof(mail, arrival, kind, &self.0)
    }
}
