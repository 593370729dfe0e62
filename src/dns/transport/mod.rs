//! TLS between mail servers, as far as the receiving domain can ask for it: MTA-STS (RFC 8461), DANE (RFC 7672), and where
//! reports about both go (RFC 8460).
//!
//! The policy file of MTA-STS is the only thing that a check fetches by HTTPS; the caller passes in the
//! [`PolicySource`]. No check connects to a mail server.

mod fetch;
mod mta_sts;
mod policy;
mod record;
mod tls_rpt;
mod tlsa;

pub use fetch::{PolicyAnswer, PolicyFetch, PolicySource};
pub use mta_sts::{MtaSts, PolicyState, any_id, policy_host, policy_url};
pub use policy::{PolicyMode, StsPolicy, matches_host};
pub use tls_rpt::TlsRpt;
pub use tlsa::{HostTlsa, TlsaRecord};

pub(super) use mta_sts::check as check_mta_sts;
pub(super) use tls_rpt::check as check_tls_rpt;
pub(super) use tlsa::{check as check_tlsa, hexadecimal};

use crate::dns::hosts::mx::Delivery;

/// The hosts that mail for a domain goes to; `None` if that could not be looked up.
fn mail_hosts<'a>(domain: &'a str, mx: &'a Delivery) -> Option<Vec<&'a str>> {
    match mx {
        Delivery::Hosts(groups) => {
            let mut hosts: Vec<&str> = Vec::new();
            for host in groups.iter().flat_map(|group| &group.hosts) {
                if !hosts.contains(&host.name.as_str()) {
                    hosts.push(&host.name);
                }
            }
            Some(hosts)
        }
        Delivery::Implicit(_) => Some(vec![domain]),
        Delivery::Refused | Delivery::Nowhere => Some(Vec::new()),
        Delivery::Unknown => None,
    }
}
