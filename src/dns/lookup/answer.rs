//! DNS questions and answers, with "does not exist" and "could not look up" kept apart.
//!
//! Every check asks through the trait [`Lookup`], so that it runs the same over a real resolver and over a table in a test.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

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
        self.known().ok().flatten()
    }

    /// The failure, if the question has no answer.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// The records, `None` if there are none.
    ///
    /// # Errors
    ///
    /// The failure, if it could not be looked up.
    pub fn known(self) -> Result<Option<T>, Failure> {
        match self {
            Self::Found(records) => Ok(Some(records)),
            Self::NoData | Self::NxDomain => Ok(None),
            Self::Failed(failure) => Err(failure),
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

impl Answer<Vec<Data>> {
    /// The data that `choose` accepts; without any it is [`Answer::NoData`].
    pub(crate) fn pick<T>(self, choose: impl FnMut(Data) -> Option<T>) -> Answer<Vec<T>> {
        self.and_then(|records| {
            let some: Vec<T> = records.into_iter().filter_map(choose).collect();
            (!some.is_empty()).then_some(some)
        })
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The server could not resolve the name, or DNSSEC validation failed.
    #[error("the server failed (SERVFAIL)")]
    ServFail,
    /// The server refuses to answer for this name.
    #[error("the server refused (REFUSED)")]
    Refused,
    /// No answer in time, after all retries.
    #[error("no answer in time")]
    TimedOut,
    /// The server is not responsible and points elsewhere.
    #[error("the server is not responsible and points elsewhere (lame)")]
    Lame,
    /// An answer that is unreadable, cut short, or about something else.
    #[error("the answer cannot be read")]
    Malformed,
    /// No server could be reached, or another response code.
    #[error("{0}")]
    Other(String),
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

impl Data {
    /// The address, if it is one.
    pub(crate) fn address(self) -> Option<IpAddr> {
        if let Self::Address(address) = self { Some(address) } else { None }
    }

    /// The name, if it is one.
    pub(crate) fn name(self) -> Option<String> {
        if let Self::Name(name) = self { Some(name) } else { None }
    }

    fn text(self) -> Option<Txt> {
        if let Self::Text(txt) = self { Some(txt) } else { None }
    }
}

/// Something that answers questions: a resolver, or a table in a test.
pub trait Lookup {
    /// Asks one question and waits for the answer.
    fn ask(&self, question: &DnsQuestion) -> Answer<Vec<Data>>;

    /// Announces questions that will be asked, so that they can be looked up in parallel.
    fn announce(&self, _questions: &[DnsQuestion]) {}

    /// The TXT records of a name.
    fn txt(&self, name: &str) -> Answer<Vec<Txt>> {
        self.ask(&DnsQuestion::new(name, QueryType::Txt)).pick(Data::text)
    }

    /// The texts of the TXT records of a name.
    fn texts(&self, name: &str) -> Answer<Vec<String>> {
        self.txt(name).and_then(|records| Some(records.iter().map(Txt::text).collect()))
    }

    /// The texts of the SPF-type records of a name.
    fn old_spf(&self, name: &str) -> Answer<Vec<String>> {
        self.ask(&DnsQuestion::new(name, QueryType::OldSpf)).pick(|data| Some(data.text()?.text()))
    }

    /// The mail exchangers of a name, best preference first.
    fn mx(&self, name: &str) -> Answer<Vec<Mx>> {
        let answer = self.ask(&DnsQuestion::new(name, QueryType::Mx));
        let hosts = answer.pick(|data| if let Data::Mx(mx) = data { Some(mx) } else { None });
        hosts.and_then(|mut hosts| {
            hosts.sort();
            Some(hosts)
        })
    }

    /// The addresses of a name in one family.
    fn addresses(&self, name: &str, family: Family) -> Answer<Vec<IpAddr>> {
        self.ask(&DnsQuestion::new(name, family.query_type())).pick(Data::address)
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

    /// Whether anything accepts mail for a domain: a host in its MX records, or an address of its own if it has none.
    ///
    /// # Errors
    ///
    /// What could not be looked up, and why.
    fn accepts_mail(&self, domain: &str) -> Result<bool, (QueryType, Failure)> {
        match self.mx(domain).known() {
            Ok(Some(hosts)) => Ok(hosts.iter().any(|mx| !mx.host.is_empty())),
            Ok(None) => self.has_address(domain),
            Err(failure) => Err((QueryType::Mx, failure)),
        }
    }

    /// Whether a name has an address in either family.
    ///
    /// # Errors
    ///
    /// What could not be looked up, and why.
    fn has_address(&self, name: &str) -> Result<bool, (QueryType, Failure)> {
        let known = self.all_addresses(name).known();
        known.map(|addresses| addresses.is_some()).map_err(|failure| (QueryType::A, failure))
    }

    /// The names of an address.
    fn ptr(&self, address: IpAddr) -> Answer<Vec<String>> {
        self.ask(&DnsQuestion::ptr(address)).pick(Data::name)
    }

    /// The TLSA records of a name.
    fn tlsa(&self, name: &str) -> Answer<Vec<Tlsa>> {
        let answer = self.ask(&DnsQuestion::new(name, QueryType::Tlsa));
        answer.pick(|data| if let Data::Tlsa(record) = data { Some(record) } else { None })
    }

    /// Whether the server has verified the answer to a question by DNSSEC. `None` if it verifies nothing, or cannot be
    /// asked.
    fn is_signed(&self, _question: &DnsQuestion) -> Option<bool> {
        None
    }

    /// The name servers of the zone that begins at a name.
    fn ns(&self, name: &str) -> Answer<Vec<String>> {
        self.ask(&DnsQuestion::new(name, QueryType::Ns)).pick(Data::name)
    }

    /// What a name is an alias of.
    fn cname(&self, name: &str) -> Answer<String> {
        let answer = self.ask(&DnsQuestion::new(name, QueryType::Cname));
        answer.and_then(|records| records.into_iter().find_map(Data::name))
    }
}

impl dyn Lookup + '_ {
    /// Announces questions of these types for each of these names.
    pub(crate) fn announce_each(&self, names: impl IntoIterator<Item = impl AsRef<str>>, kinds: &[QueryType]) {
        let mut questions = Vec::new();
        for name in names {
            questions.extend(kinds.iter().map(|kind| DnsQuestion::new(name.as_ref(), *kind)));
        }
        self.announce(&questions);
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

    /// The record type that holds addresses of the family.
    pub const fn query_type(self) -> QueryType {
        match self {
            Self::V4 => QueryType::A,
            Self::V6 => QueryType::Aaaa,
        }
    }
}

/// `192.0.2.7` is `7.2.0.192.in-addr.arpa`; IPv6 uses nibbles below `ip6.arpa`.
pub fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(four) => {
            let [a, b, c, d] = four.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(six) => {
            let mut name = String::with_capacity(72);
            for octet in six.octets().into_iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", octet & 15, octet >> 4);
            }
            name + "ip6.arpa"
        }
    }
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
