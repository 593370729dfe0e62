//! Fetches MTA-STS policies by HTTPS, only from the addresses in DNS of the policy host, without redirects or proxies,
//! with limits on size and time.

use crate::dns::transport::{PolicyAnswer, PolicyFetch, PolicySource};
use crate::fetch::mailbox::oauth::http_config;
use anyhow::anyhow;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio_rustls::rustls::{self, CertificateError};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

/// Timeout for one policy. Senders wait up to a minute.
const PATIENCE: Duration = Duration::from_secs(15);
/// Maximum number of addresses of each family tried per host: this machine may have only one of them.
const ADDRESSES: usize = 4;
/// The port of HTTPS.
const HTTPS: u16 = 443;

/// Fetches policies.
#[derive(Debug)]
struct PolicyFiles {
    config: Config,
    /// The address that all policies are fetched from instead: for tests on loopback.
    instead: Option<SocketAddr>,
}

impl PolicyFiles {
    /// Trusts the usual roots, and one more if given.
    fn new(instead: Option<SocketAddr>, ca_file: Option<&Path>) -> Result<Self, String> {
        let config = http_config(ca_file, PATIENCE)?.https_only(true).proxy(None).build();
        Ok(Self { config, instead })
    }
}

/// How policies are fetched. The answers of a DNS server on this machine are not trusted as an address to fetch from,
/// so nothing is fetched then unless a test gives the address.
pub(crate) fn policies(
    dns_servers: &[SocketAddr],
    instead: Option<SocketAddr>,
    ca_file: Option<&Path>,
) -> anyhow::Result<Option<Box<dyn PolicySource>>> {
    if instead.is_none() && dns_servers.iter().any(|server| server.ip().to_canonical().is_loopback()) {
        return Ok(None);
    }
    let files = PolicyFiles::new(instead, ca_file).map_err(|why| anyhow!(why))?;
    Ok(Some(Box::new(files)))
}

impl PolicySource for PolicyFiles {
    fn fetch(&self, host: &str, addresses: &[IpAddr]) -> PolicyFetch {
        let servers = match self.instead {
            Some(server) => vec![server],
            None => tried(addresses),
        };
        let agent = ureq::Agent::with_parts(self.config.clone(), DefaultConnector::default(), Addresses(servers));
        let mut answer = match agent.get(format!("https://{host}/.well-known/mta-sts.txt")).call() {
            Ok(answer) => answer,
            Err(error) => return failed(host, error),
        };
        let header = |name: HeaderName| {
            let value = answer.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let (content_type, location) = (header(CONTENT_TYPE), header(LOCATION));
        let (status, mut body) = (answer.status().as_u16(), Vec::new());
        let most = PolicyAnswer::LIMIT as u64 + 1;
        if let Err(error) = answer.body_mut().as_reader().take(most).read_to_end(&mut body) {
            return failed(host, ureq::Error::Io(error));
        }
        PolicyFetch::Answer(PolicyAnswer { status, content_type, location, body })
    }
}

/// Where to connect, in this order.
fn tried(addresses: &[IpAddr]) -> Vec<SocketAddr> {
    let of_family = |is_v6| addresses.iter().filter(move |address| address.is_ipv6() == is_v6).take(ADDRESSES);
    of_family(false).chain(of_family(true)).map(|address| SocketAddr::new(*address, HTTPS)).collect()
}

fn failed(host: &str, error: ureq::Error) -> PolicyFetch {
    let tls = match &error {
        ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()),
        ureq::Error::Rustls(error) => Some(error),
        _ => None,
    };
    match tls {
        Some(rustls::Error::InvalidCertificate(why)) => PolicyFetch::Certificate(match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("it is not valid for {host}")
            }
            CertificateError::UnknownIssuer => "no authority that this machine trusts has signed it".to_owned(),
            other => other.to_string(),
        }),
        Some(rustls::Error::AlertReceived(alert)) => {
            PolicyFetch::Certificate(format!("the server refuses TLS for this name ({alert:?})"))
        }
        _ => PolicyFetch::Failed(match error {
            ureq::Error::Timeout(_) => format!("no answer within {} s", PATIENCE.as_secs()),
            error => error.to_string(),
        }),
    }
}

/// Addresses that were already looked up: a second lookup could return different ones.
#[derive(Debug)]
struct Addresses(Vec<SocketAddr>);

impl Resolver for Addresses {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        if self.0.is_empty() {
            return Err(ureq::Error::HostNotFound);
        }
        let mut addresses = self.empty();
        self.0.iter().for_each(|address| addresses.push(*address));
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_many_addresses_is_tried_over_both_families() {
        let four = (1..9).map(|last| IpAddr::from([192, 0, 2, last]));
        let six = (1..9).map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
        let all = tried(&four.chain(six).collect::<Vec<_>>());
        assert_eq!(all.iter().filter(|address| address.is_ipv6()).count(), all.len() / 2);
        // As many as the client takes.
        assert!(all.len() <= 16 && all.iter().all(|address| address.port() == HTTPS));
    }
}
