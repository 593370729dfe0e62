//! DANE for SMTP: the TLSA records of the hosts that mail goes to, as far as DNS shows them (RFC 7672). Whether they
//! fit the certificate of a host is not known without connecting to it.

use super::mail_hosts;
use crate::dns::finding as codes;
use crate::dns::finding::{Notes, list};
use crate::dns::hosts::mx::Delivery;
use crate::dns::lookup::answer::{Answer, DnsQuestion, Lookup, QueryType, Tlsa};
use serde::Serialize;
use std::fmt::Write;

/// Hosts whose records are looked up.
const HOSTS: usize = 20;
/// Hosts quoted in a sentence.
const LISTED: usize = 5;

/// The TLSA records of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostTlsa {
    /// The host.
    pub host: String,
    /// Its records.
    pub records: Vec<TlsaRecord>,
    /// Whether the resolver has verified them by DNSSEC; null if it does not verify, or was not queried.
    pub signed: Option<bool>,
}

/// A TLSA record (RFC 6698 section 2.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsaRecord {
    /// 2 (an authority) or 3 (the certificate itself) for SMTP.
    pub usage: u8,
    /// 0 for the whole certificate, 1 for its public key.
    pub selector: u8,
    /// 0 for all of it, 1 for SHA-256, 2 for SHA-512.
    pub matching: u8,
    /// In hexadecimal digits, at most the first 64 bytes.
    pub data: String,
}

/// Checks the hosts of a domain. Hosts without records have no fault.
pub(crate) fn check(lookup: &dyn Lookup, domain: &str, mx: &Delivery, notes: &mut Notes) -> Vec<HostTlsa> {
    let mut hosts = mail_hosts(domain, mx).unwrap_or_default();
    hosts.truncate(HOSTS);
    let name = |host: &str| format!("_25._tcp.{host}");
    lookup.announce_each(hosts.iter().map(|host| name(host)), &[QueryType::Tlsa]);
    let (mut found, mut without) = (Vec::new(), Vec::new());
    for host in &hosts {
        let name = name(host);
        match lookup.tlsa(&name) {
            Answer::Found(records) => {
                let signed = lookup.is_signed(&DnsQuestion::new(&name, QueryType::Tlsa));
                found.push(of_host(host, &name, &records, signed, notes));
            }
            Answer::NoData | Answer::NxDomain => without.push(*host),
            Answer::Failed(failure) => notes.unknown(&name, QueryType::Tlsa, &failure),
        }
    }
    if !found.is_empty() && !without.is_empty() {
        let text = format!(
            "Publish TLSA records for {} as well: {} has some, and an attacker can lead mail to a host without.",
            list(&without, LISTED),
            found[0].host
        );
        notes.find(&codes::TLSA_PARTIAL, format!("{domain} MX"), text);
    }
    found
}

fn of_host(host: &str, name: &str, records: &[Tlsa], signed: Option<bool>, notes: &mut Notes) -> HostTlsa {
    let place = format!("{name} TLSA");
    for record in records {
        if let Some(wrong) = wrong(record) {
            let text = format!("Correct the record `{}`: {wrong}.", shown(record));
            notes.find(&codes::TLSA_INVALID, &place, text);
        } else if record.usage < 2 {
            let text = format!(
                "Replace the record `{}` with one of usage 3 or 2: for mail servers, senders do not use usage {}.",
                shown(record),
                record.usage
            );
            notes.find(&codes::TLSA_USAGE, &place, text);
        }
    }
    if signed == Some(false) {
        let text = format!("Sign the zone of {host} with DNSSEC, or remove the TLSA records: they are not signed.");
        notes.find(&codes::TLSA_UNSIGNED, place, text);
    }
    let record = |record: &Tlsa| TlsaRecord {
        usage: record.usage,
        selector: record.selector,
        matching: record.matching,
        data: hexadecimal(&record.data, 64),
    };
    HostTlsa { host: host.to_owned(), records: records.iter().map(record).collect(), signed }
}

/// What makes a record unusable.
fn wrong(record: &Tlsa) -> Option<String> {
    let length = record.data.len();
    match (record.usage, record.selector, record.matching) {
        (4.., ..) => Some(format!("usage {} is not defined", record.usage)),
        (_, 2.., _) => Some(format!("selector {} is not defined", record.selector)),
        (_, _, 3..) => Some(format!("matching type {} is not defined", record.matching)),
        (_, _, 1) if length != 32 => Some(format!("a SHA-256 digest has 32 bytes, and this one has {length}")),
        (_, _, 2) if length != 64 => Some(format!("a SHA-512 digest has 64 bytes, and this one has {length}")),
        _ if length == 0 => Some("it has no certificate data".to_owned()),
        _ => None,
    }
}

/// As in a zone file, with the beginning of the data.
fn shown(record: &Tlsa) -> String {
    let data = hexadecimal(&record.data, 8);
    format!("{} {} {} {data}…", record.usage, record.selector, record.matching)
}

/// The first bytes, as a zone file writes them.
pub(in crate::dns) fn hexadecimal(data: &[u8], most: usize) -> String {
    data.iter().take(most).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::hosts::mx;
    use crate::dns::lookup::test_zone::Zone;

    #[test]
    fn each_fault_has_its_code() {
        let digest = "ab".repeat(32);
        let base = "example.com MX 10 a.example.com\na.example.com A 192.0.2.25\n_25._tcp.a.example.com TLSA ";
        for (record, codes) in [
            (format!("3 1 1 {digest}"), vec![]),
            (format!("2 0 2 {}", "ab".repeat(64)), vec![]),
            ("3 0 0 30820100".to_owned(), vec![]),
            (format!("1 1 1 {digest}"), vec!["tlsa.usage"]),
            (format!("4 1 1 {digest}"), vec!["tlsa.invalid"]),
            (format!("3 2 1 {digest}"), vec!["tlsa.invalid"]),
            (format!("3 1 3 {digest}"), vec!["tlsa.invalid"]),
            ("3 1 1 abcd".to_owned(), vec!["tlsa.invalid"]),
            (format!("3 1 2 {digest}"), vec!["tlsa.invalid"]),
            (
                format!("3 1 1 {digest}\nexample.com MX 20 b.example.com\nb.example.com A 192.0.2.26"),
                vec!["tlsa.partial_hosts"],
            ),
        ] {
            let (zone, mut notes) = (Zone::new(&format!("{base}{record}")), Notes::default());
            let delivery = mx::check(&zone, "example.com", &mut notes);
            let found = check(&zone, "example.com", &delivery, &mut notes);
            let told: Vec<&str> = notes.findings.iter().map(|finding| finding.code.name).collect();
            assert_eq!((told, found.len(), found[0].signed), (codes, 1, None), "{record}");
        }
    }
}
