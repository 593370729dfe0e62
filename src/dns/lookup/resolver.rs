//! The resolver: asks over UDP, and over TCP if an answer is truncated.
//!
//! An [`Answer`] distinguishes NXDOMAIN, no data, and every failure. The interface is blocking, with a small runtime
//! inside. Each question is asked once per resolver. The hosts file and search lists are not used.

use super::answer::{Answer, Data, DnsQuestion, Failure, Lookup, Mx, QueryType, Tlsa, Txt};
use super::{authentic, name};
use futures::StreamExt as _;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolverOptions {
    /// Servers in the order to try them; empty means the system's.
    pub servers: Vec<SocketAddr>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Retries after the first attempt.
    pub retries: usize,
    /// Questions asked at the same time.
    pub in_flight: usize,
}

impl Default for ResolverOptions {
    fn default() -> Self {
        Self { servers: Vec::new(), timeout: Duration::from_secs(3), retries: 2, in_flight: 32 }
    }
}

/// Why there is no resolver.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolverError {
    /// The system's resolver settings cannot be used.
    #[error("system resolver: {0}")]
    System(String),
    /// No runtime could be started.
    #[error("resolver: could not start: {0}")]
    Start(#[from] std::io::Error),
    /// Text that is not a server address.
    #[error("dns server `{0}`: expected an address, with or without port")]
    Server(String),
}

/// Parses `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`; the default port is 53.
///
/// # Errors
///
/// [`ResolverError::Server`] for anything else, names included.
pub fn server(text: &str) -> Result<SocketAddr, ResolverError> {
    let bare = || text.trim_matches(['[', ']']).parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
    text.parse().or_else(|_| bare()).map_err(|_| ResolverError::Server(text.to_owned()))
}

/// Asks DNS servers.
pub struct Resolver {
    runtime: tokio::runtime::Runtime,
    hickory: TokioResolver,
    in_flight: usize,
    /// The first server and how long one question may take, to ask what hickory does not tell.
    first: Option<(SocketAddr, Duration)>,
    known: Mutex<HashMap<DnsQuestion, Answer<Vec<Data>>>>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}

/// An answer and how long it is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnswerWithTtl {
    pub(crate) answer: Answer<Vec<Data>>,
    /// Seconds; `None` for a failure, or if the server did not say.
    pub(crate) ttl: Option<u32>,
}

impl Resolver {
    /// A resolver that uses these servers. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ResolverError`] if the system's settings cannot be read or no runtime can be started.
    pub fn new(options: &ResolverOptions) -> Result<Self, ResolverError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let system = |error: NetError| ResolverError::System(error.to_string());
        let (config, system_options) = if options.servers.is_empty() {
            let (config, options) = read_system_conf().map_err(system)?;
            (config, Some(options))
        } else {
            (ResolverConfig::from_name_servers(options.servers.iter().copied().map(name_server).collect()), None)
        };
        let address = |server: &NameServerConfig| {
            Some((SocketAddr::new(server.ip, server.connections.first()?.port), options.timeout))
        };
        let first = config.name_servers.first().and_then(address);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        if let Some(system_options) = system_options {
            *builder.options_mut() = system_options;
        }
        let settings = builder.options_mut();
        settings.timeout = options.timeout;
        settings.attempts = options.retries;
        settings.use_hosts_file = ResolveHosts::Never;
        settings.max_active_requests = settings.max_active_requests.max(options.in_flight * 2);
        settings.num_concurrent_reqs = 1;
        settings.edns_payload_len = 1232;
        let hickory = builder.build().map_err(system)?;
        Ok(Self { runtime, hickory, in_flight: options.in_flight.max(1), first, known: Mutex::default() })
    }

    /// A resolver that uses these servers, or the system's if there are none, and the usual options.
    ///
    /// # Errors
    ///
    /// As [`Resolver::new`].
    pub fn of_servers(servers: &[SocketAddr]) -> Result<Self, ResolverError> {
        Self::new(&ResolverOptions { servers: servers.to_vec(), ..ResolverOptions::default() })
    }

    /// Asks without caching.
    pub(crate) async fn ask_now(&self, question: &DnsQuestion) -> AnswerWithTtl {
        let Some(name) = wire_name(&question.name) else {
            return AnswerWithTtl { answer: Answer::NxDomain, ttl: None };
        };
        match self.hickory.lookup(name, record_type(question.kind)).await {
            Ok(found) => {
                let ttl = found.valid_until().saturating_duration_since(Instant::now()).as_secs();
                let records = found.answers().iter().filter_map(|record| data(&record.data, question.kind)).collect();
                AnswerWithTtl { answer: found_or_none(records), ttl: Some(u32::try_from(ttl).unwrap_or(u32::MAX)) }
            }
            Err(error) => failed(error),
        }
    }

    /// Asks without caching, and waits no longer than this.
    pub(crate) fn ask_within(&self, question: &DnsQuestion, limit: Duration) -> Answer<Vec<Data>> {
        let asked = async { tokio::time::timeout(limit, self.ask_now(question)).await };
        self.block_on(asked).map_or(Answer::Failed(Failure::TimedOut), |found| found.answer)
    }

    /// Runs a future to its end on the resolver's own runtime.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn known(&self, question: &DnsQuestion) -> Option<Answer<Vec<Data>>> {
        self.known.lock().ok()?.get(question).cloned()
    }

    fn remember(&self, question: DnsQuestion, answer: Answer<Vec<Data>>) {
        if let Ok(mut known) = self.known.lock() {
            known.insert(question, answer);
        }
    }
}

impl Lookup for Resolver {
    fn ask(&self, question: &DnsQuestion) -> Answer<Vec<Data>> {
        if let Some(answer) = self.known(question) {
            return answer;
        }
        let answer = self.block_on(self.ask_now(question)).answer;
        self.remember(question.clone(), answer.clone());
        answer
    }

    fn is_signed(&self, question: &DnsQuestion) -> Option<bool> {
        let (server, patience) = self.first?;
        authentic::is_authentic(server, wire_name(&question.name)?, record_type(question.kind), patience)
    }

    fn announce(&self, questions: &[DnsQuestion]) {
        let new: Vec<&DnsQuestion> = questions.iter().filter(|question| self.known(question).is_none()).collect();
        if new.len() < 2 {
            return;
        }
        self.block_on(
            futures::stream::iter(new)
                .map(|question| async move { (question, self.ask_now(question).await.answer) })
                .buffer_unordered(self.in_flight)
                .for_each(|(question, answer)| {
                    self.remember(question.clone(), answer);
                    std::future::ready(())
                }),
        );
    }
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    NameServerConfig::new(server.ip(), true, connections.into())
}

/// A label may contain any bytes: SPF macros build names from untrusted input.
fn wire_name(text: &str) -> Option<Name> {
    if !name::is_possible(text) {
        return None;
    }
    let mut name = Name::from_labels(text.split('.').map(str::as_bytes)).ok()?;
    name.set_fqdn(true);
    Some(name)
}

const fn record_type(kind: QueryType) -> RecordType {
    match kind {
        QueryType::A => RecordType::A,
        QueryType::Aaaa => RecordType::AAAA,
        QueryType::Txt => RecordType::TXT,
        QueryType::Mx => RecordType::MX,
        QueryType::Ptr => RecordType::PTR,
        QueryType::Cname => RecordType::CNAME,
        QueryType::Ns => RecordType::NS,
        QueryType::Tlsa => RecordType::TLSA,
        QueryType::OldSpf => RecordType::Unknown(99),
    }
}

/// The data of a record, if it is of the type that was asked for.
fn data(record: &RData, kind: QueryType) -> Option<Data> {
    match (record, kind) {
        (RData::A(address), QueryType::A) => Some(Data::Address(IpAddr::V4(address.0))),
        (RData::AAAA(address), QueryType::Aaaa) => Some(Data::Address(IpAddr::V6(address.0))),
        (RData::TXT(txt), QueryType::Txt) => {
            Some(Data::Text(Txt { strings: txt.txt_data.iter().map(|string| string.to_vec()).collect() }))
        }
        (RData::MX(mx), QueryType::Mx) => {
            Some(Data::Mx(Mx { preference: mx.preference, host: plain_name(&mx.exchange) }))
        }
        (RData::PTR(name), QueryType::Ptr) => Some(Data::Name(plain_name(name))),
        (RData::CNAME(name), QueryType::Cname) => Some(Data::Name(plain_name(name))),
        (RData::NS(name), QueryType::Ns) => Some(Data::Name(plain_name(name))),
        (RData::TLSA(tlsa), QueryType::Tlsa) => Some(Data::Tlsa(Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        })),
        (RData::Unknown { rdata, .. }, QueryType::OldSpf) => Some(Data::Text(character_strings(&rdata.anything))),
        _ => None,
    }
}

fn plain_name(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    text.strip_suffix('.').map_or_else(|| text.clone(), str::to_owned)
}

/// Length-prefixed strings, the wire format of TXT data (RFC 1035 section 3.3).
fn character_strings(mut wire: &[u8]) -> Txt {
    let mut strings = Vec::new();
    while let Some((&length, rest)) = wire.split_first() {
        let (string, after) = rest.split_at(usize::from(length).min(rest.len()));
        strings.push(string.to_vec());
        wire = after;
    }
    Txt { strings }
}

fn found_or_none(records: Vec<Data>) -> Answer<Vec<Data>> {
    if records.is_empty() { Answer::NoData } else { Answer::Found(records) }
}

fn failed(error: NetError) -> AnswerWithTtl {
    let failure = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => return absent(&none),
        NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => Failure::ServFail,
        NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => Failure::Refused,
        NetError::Dns(DnsError::ResponseCode(code)) => Failure::Other(format!("the server answered {code}")),
        NetError::Timeout => Failure::TimedOut,
        NetError::Proto(_) | NetError::Truncated | NetError::ForeignClassRecord { .. } => Failure::Malformed,
        NetError::NoConnections => Failure::Other("no server could be reached".into()),
        NetError::Io(error) => Failure::Other(format!("no server could be reached: {error}")),
        other => Failure::Other(other.to_string()),
    };
    AnswerWithTtl { answer: Answer::Failed(failure), ttl: None }
}

/// NXDOMAIN, no data, or a referral: name servers in the authority section and no SOA (RFC 2308 section 2.2).
fn absent(none: &NoRecords) -> AnswerWithTtl {
    let answer = match none.response_code {
        ResponseCode::NXDomain => Answer::NxDomain,
        ResponseCode::NoError if none.ns.is_some() && none.soa.is_none() => Answer::Failed(Failure::Lame),
        _ => Answer::NoData,
    };
    AnswerWithTtl { answer, ttl: none.negative_ttl }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_address_with_or_without_port() {
        for (text, address) in [
            ("127.0.0.1:5353", "127.0.0.1:5353"),
            ("192.0.2.1", "192.0.2.1:53"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]", "[2001:db8::1]:53"),
            ("[::1]:5353", "[::1]:5353"),
        ] {
            assert_eq!(server(text).unwrap().to_string(), address);
        }
        assert_eq!(
            server("resolver.example").unwrap_err().to_string(),
            "dns server `resolver.example`: expected an address, with or without port"
        );
    }

    #[test]
    fn strings_on_the_wire_may_be_cut_short() {
        assert_eq!(character_strings(b"\x03abc\x02de").text(), "abcde");
        assert_eq!(character_strings(b"\x09abc").text(), "abc");
    }
}
