//! DNS questions and answers, with "does not exist" and "could not look up" kept apart.
//!
//! Every check asks through the trait [`Lookup`], so that it runs the same over a real resolver and over a table in a test.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// Records, at least one.
    Found(T),
    /// The name exists, but has no record of this type (RFC 2308 section 2.2).
    NoData,
    /// The name does not exist, nor does anything below it (RFC 8020). A name that is impossible in DNS counts as such.
    NxDomain,
    /// It could not be looked up: nothing is known about the name.
    Failed(Failure),
}

impl<T> Answer<T> {
    /// The records, if there are any.
    pub fn found(self) -> Option<T> {
        match self {
            Self::Found(records) => Some(records),
            _ => None,
        }
    }

    /// The failure, if the question has no answer.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// Converts the records; `None` makes it [`Answer::NoData`].
    pub fn and_then<U>(self, change: impl FnOnce(T) -> Option<U>) -> Answer<U> {
        match self {
            Self::Found(records) => change(records).map_or(Answer::NoData, Answer::Found),
            Self::NoData => Answer::NoData,
            Self::NxDomain => Answer::NxDomain,
            Self::Failed(failure) => Answer::Failed(failure),
        }
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// The server answered SERVFAIL: it could not resolve the name, or DNSSEC validation failed.
    ServFail,
    /// The server refuses to answer for this name.
    Refused,
    /// No answer in time, after all retries.
    TimedOut,
    /// The server is not responsible and points elsewhere.
    Lame,
    /// An answer that is unreadable, cut short, or about something else.
    Malformed,
    /// No server could be reached, or another response code.
    Other(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServFail => f.write_str("the server failed (SERVFAIL)"),
            Self::Refused => f.write_str("the server refused (REFUSED)"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Lame => f.write_str("the server is not responsible and points elsewhere (lame)"),
            Self::Malformed => f.write_str("the answer cannot be read"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// The type of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QueryType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Text.
    Txt,
    /// Mail exchangers.
    Mx,
    /// The name of an address.
    Ptr,
    /// The alias itself, not its target.
    Cname,
    /// The name servers of a zone.
    Ns,
    /// Which certificate a mail server has (RFC 6698).
    Tlsa,
    /// Type 99, the SPF type of RFC 4408 that RFC 7208 section 3.1 discontinued.
    OldSpf,
}

impl fmt::Display for QueryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Txt => "TXT",
            Self::Mx => "MX",
            Self::Ptr => "PTR",
            Self::Cname => "CNAME",
            Self::Ns => "NS",
            Self::Tlsa => "TLSA",
            Self::OldSpf => "SPF (type 99)",
        })
    }
}

/// A name and a type to query.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsQuestion {
    /// Absolute, lower case, without the final dot.
    pub name: String,
    /// The type.
    pub kind: QueryType,
}

impl DnsQuestion {
    /// A question for this name, in lower case and without its final dot.
    pub fn new(name: &str, kind: QueryType) -> Self {
        Self { name: name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase(), kind }
    }

    /// A question for the names of an address (RFC 1035 section 3.5, RFC 3596 section 2.5).
    pub fn ptr(address: IpAddr) -> Self {
        Self { name: reverse_name(address), kind: QueryType::Ptr }
    }
}

/// One TXT record: its strings as in the zone, each up to 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Txt {
    /// The strings.
    pub strings: Vec<Vec<u8>>,
}

impl Txt {
    /// The strings joined without separators (RFC 7208 section 3.3); invalid UTF-8 becomes U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.strings.concat()).into_owned()
    }
}

/// One MX record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// The host; empty for the null MX (RFC 7505).
    pub host: String,
}

/// One TLSA record (RFC 6698 section 2.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tlsa {
    /// What the data stand for.
    pub usage: u8,
    /// What of the certificate they are made from.
    pub selector: u8,
    /// How they are made.
    pub matching: u8,
    /// The data.
    pub data: Vec<u8>,
}

/// The data of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// TXT or SPF.
    Text(Txt),
    /// MX.
    Mx(Mx),
    /// PTR, CNAME or NS, lower case, without the final dot.
    Name(String),
    /// TLSA.
    Tlsa(Tlsa),
}

/// Something that answers questions: a resolver, or a table in a test.
pub trait Lookup {
    /// Asks one question and waits for the answer.
    fn ask(&self, question: &DnsQuestion) -> Answer<Vec<Data>>;

    /// Announces questions that will be asked, so that they can be looked up in parallel.
    fn announce(&self, _questions: &[DnsQuestion]) {}

    /// The TXT records of a name.
    fn txt(&self, name: &str) -> Answer<Vec<Txt>> {
        self.ask(&DnsQuestion::new(name, QueryType::Txt)).and_then(texts)
    }

    /// The SPF-type records of a name.
    fn old_spf(&self, name: &str) -> Answer<Vec<Txt>> {
        self.ask(&DnsQuestion::new(name, QueryType::OldSpf)).and_then(texts)
    }

    /// The mail exchangers of a name, best preference first.
    fn mx(&self, name: &str) -> Answer<Vec<Mx>> {
        self.ask(&DnsQuestion::new(name, QueryType::Mx)).and_then(|records| {
            let mut hosts: Vec<Mx> = pick(records, |data| if let Data::Mx(mx) = data { Some(mx) } else { None })?;
            hosts.sort();
            Some(hosts)
        })
    }

    /// The addresses of a name in one family.
    fn addresses(&self, name: &str, family: Family) -> Answer<Vec<IpAddr>> {
        let kind = if family == Family::V4 { QueryType::A } else { QueryType::Aaaa };
        self.ask(&DnsQuestion::new(name, kind)).and_then(|records| {
            pick(records, |data| if let Data::Address(address) = data { Some(address) } else { None })
        })
    }

    /// The addresses of a name in both families. A failure of one only counts if the other has nothing.
    fn all_addresses(&self, name: &str) -> Answer<Vec<IpAddr>> {
        self.announce(&[DnsQuestion::new(name, QueryType::A), DnsQuestion::new(name, QueryType::Aaaa)]);
        match (self.addresses(name, Family::V4), self.addresses(name, Family::V6)) {
            (Answer::Found(mut four), Answer::Found(six)) => {
                four.extend(six);
                Answer::Found(four)
            }
            (Answer::Found(some), _) | (_, Answer::Found(some)) => Answer::Found(some),
            (Answer::Failed(failure), _) | (_, Answer::Failed(failure)) => Answer::Failed(failure),
            (Answer::NxDomain, _) | (_, Answer::NxDomain) => Answer::NxDomain,
            _ => Answer::NoData,
        }
    }

    /// The names of an address.
    fn ptr(&self, address: IpAddr) -> Answer<Vec<String>> {
        self.ask(&DnsQuestion::ptr(address)).and_then(names)
    }

    /// The TLSA records of a name.
    fn tlsa(&self, name: &str) -> Answer<Vec<Tlsa>> {
        self.ask(&DnsQuestion::new(name, QueryType::Tlsa))
            .and_then(|records| pick(records, |data| if let Data::Tlsa(record) = data { Some(record) } else { None }))
    }

    /// Whether the server has verified the answer to a question by DNSSEC. `None` if it verifies nothing, or cannot be
    /// asked.
    fn is_signed(&self, _question: &DnsQuestion) -> Option<bool> {
        None
    }

    /// The name servers of the zone that begins at a name.
    fn ns(&self, name: &str) -> Answer<Vec<String>> {
        self.ask(&DnsQuestion::new(name, QueryType::Ns)).and_then(names)
    }

    /// What a name is an alias of.
    fn cname(&self, name: &str) -> Answer<String> {
        self.ask(&DnsQuestion::new(name, QueryType::Cname)).and_then(|records| names(records)?.into_iter().next())
    }
}

/// The two families of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// The data that `choose` accepts; none at all is no answer.
fn pick<T>(records: Vec<Data>, choose: impl FnMut(Data) -> Option<T>) -> Option<Vec<T>> {
    let some: Vec<T> = records.into_iter().filter_map(choose).collect();
    (!some.is_empty()).then_some(some)
}

fn texts(records: Vec<Data>) -> Option<Vec<Txt>> {
    pick(records, |data| if let Data::Text(txt) = data { Some(txt) } else { None })
}

fn names(records: Vec<Data>) -> Option<Vec<String>> {
    pick(records, |data| if let Data::Name(name) = data { Some(name) } else { None })
}

/// `192.0.2.7` is `7.2.0.192.in-addr.arpa`; IPv6 uses nibbles below `ip6.arpa`.
pub fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(four) => reverse_v4(four),
        IpAddr::V6(six) => reverse_v6(six),
    }
}

fn reverse_v4(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("{d}.{c}.{b}.{a}.in-addr.arpa")
}

fn reverse_v6(address: Ipv6Addr) -> String {
    let mut name = String::with_capacity(72);
    for octet in address.octets().into_iter().rev() {
        let _ = write!(name, "{:x}.{:x}.", octet & 15, octet >> 4);
    }
    name + "ip6.arpa"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_asked_for_backwards() {
        assert_eq!(reverse_name("192.0.2.7".parse().unwrap()), "7.2.0.192.in-addr.arpa");
        assert_eq!(
            reverse_name("2001:db8::567:89ab".parse().unwrap()),
            "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
        );
    }

    #[test]
    fn strings_join_without_a_space() {
        let txt = Txt { strings: vec![b"v=spf1 ip4:192.0.2".to_vec(), b".1 -all".to_vec()] };
        assert_eq!(txt.text(), "v=spf1 ip4:192.0.2.1 -all");
    }
}
