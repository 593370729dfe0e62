//! Checks where mail for a domain goes, in the order a sender tries (RFC 5321 section 5.1).

use crate::dns::finding as codes;
use crate::dns::finding::Notes;
use crate::dns::lookup::answer::{Answer, Lookup, Mx, QueryType};
use serde::Serialize;
use std::net::IpAddr;

/// How a domain receives mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// By MX records: groups of hosts of equal preference, best first.
    Hosts(Vec<Group>),
    /// No MX: mail goes to the domain's own addresses.
    Implicit(Vec<IpAddr>),
    /// A null MX: it receives none (RFC 7505).
    Refused,
    /// No MX and no address.
    Nowhere,
    /// It could not be looked up.
    Unknown,
}

/// Hosts of one preference, which share the load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Lower is tried first.
    pub preference: u16,
    /// The hosts.
    pub hosts: Vec<Host>,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its addresses; empty if it has none or they could not be looked up.
    pub addresses: Vec<IpAddr>,
}

impl Delivery {
    /// What a sender does, in sentences.
    pub fn order(&self, domain: &str) -> Vec<String> {
        match self {
            Self::Hosts(groups) => {
                let mut lines: Vec<String> =
                    groups.iter().enumerate().map(|(at, group)| group_line(at, group)).collect();
                lines.push("if none answers, senders retry, usually for several days, and then return the mail".into());
                lines
            }
            Self::Implicit(addresses) => {
                vec![format!("no MX record: senders use the address of {domain} itself ({})", list(addresses))]
            }
            Self::Refused => vec!["null MX: senders return the mail at once".into()],
            Self::Nowhere => vec!["no MX record and no address: senders return the mail at once".into()],
            Self::Unknown => vec!["could not be looked up: senders wait and retry".into()],
        }
    }
}

fn group_line(at: usize, group: &Group) -> String {
    let names: Vec<String> = group
        .hosts
        .iter()
        .map(|host| match host.addresses.as_slice() {
            [] => format!("{} (no address)", host.name),
            addresses => format!("{} ({})", host.name, list(addresses)),
        })
        .collect();
    let when = if at == 0 { "first" } else { "if those fail" };
    let how = if names.len() > 1 { ", in random order" } else { "" };
    format!("{when}: preference {}: {}{how}", group.preference, names.join(", "))
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Checks where mail for a domain goes.
pub fn check(lookup: &dyn Lookup, domain: &str, notes: &mut Notes) -> Delivery {
    let place = format!("{domain} MX");
    let records = match lookup.mx(domain) {
        Answer::Found(records) => records,
        Answer::NoData | Answer::NxDomain => return implicit(lookup, domain, notes),
        Answer::Failed(failure) => {
            notes.unknown(domain, QueryType::Mx, &failure);
            return Delivery::Unknown;
        }
    };
    let (null, hosts): (Vec<Mx>, Vec<Mx>) = records.into_iter().partition(|mx| mx.host.is_empty());
    if hosts.is_empty() {
        return Delivery::Refused;
    }
    if !null.is_empty() {
        let names: Vec<&str> = hosts.iter().map(|mx| mx.host.as_str()).collect();
        notes.find(
            &codes::MX_NULL_MIXED,
            &place,
            format!("Delete the null MX or the other records: it is published beside {}.", names.join(", ")),
        );
    }
    lookup.announce_each(hosts.iter().map(|mx| &mx.host), &[QueryType::A, QueryType::Aaaa, QueryType::Cname]);
    let mut groups: Vec<Group> = Vec::new();
    let mut unknown = false;
    for mx in &hosts {
        let again = groups.iter().any(|group| group.hosts.iter().any(|host| host.name == mx.host));
        if again {
            notes.find(
                &codes::MX_TWICE,
                format!("{place}, {}", mx.host),
                format!("Remove the second record for {}.", mx.host),
            );
        }
        let host = host(lookup, domain, mx, &mut unknown, notes);
        match groups.last_mut().filter(|group| group.preference == mx.preference) {
            Some(group) => group.hosts.push(host),
            None => groups.push(Group { preference: mx.preference, hosts: vec![host] }),
        }
    }
    let addresses: Vec<IpAddr> =
        groups.iter().flat_map(|group| &group.hosts).flat_map(|host| host.addresses.clone()).collect();
    if !unknown && !addresses.is_empty() && addresses.iter().all(IpAddr::is_ipv6) {
        notes.find(&codes::MX_V6_ONLY, place, "Add a host with an IPv4 address: no host has one.");
    }
    Delivery::Hosts(groups)
}

fn implicit(lookup: &dyn Lookup, domain: &str, notes: &mut Notes) -> Delivery {
    match lookup.all_addresses(domain) {
        Answer::Found(addresses) => {
            let text = format!(
                "Publish an MX record that names the host for mail, or a null MX (`0 .`) if the domain accepts none: mail goes \
                 to {}.",
                list(&addresses)
            );
            notes.find(&codes::MX_IMPLICIT, format!("{domain} MX"), text);
            Delivery::Implicit(addresses)
        }
        Answer::Failed(failure) => {
            notes.unknown(domain, QueryType::A, &failure);
            Delivery::Unknown
        }
        Answer::NoData | Answer::NxDomain => {
            let text =
                "Publish an MX record, or a null MX if the domain accepts no mail: it has no MX record and no address.";
            notes.find(&codes::MX_NONE, format!("{domain} MX"), text);
            Delivery::Nowhere
        }
    }
}

fn host(lookup: &dyn Lookup, domain: &str, mx: &Mx, unknown: &mut bool, notes: &mut Notes) -> Host {
    let place = format!("{domain} MX, {}", mx.host);
    let mut host = Host { name: mx.host.clone(), addresses: Vec::new() };
    if mx.host.parse::<IpAddr>().is_ok() {
        notes.find(&codes::MX_LITERAL, place, format!("Replace {} with the name of the host.", mx.host));
        return host;
    }
    match lookup.all_addresses(&mx.host) {
        Answer::Found(addresses) => {
            if let Some(address) = addresses.iter().find(|address| !is_public(**address)) {
                let text = format!("Give {} a public address: {address} is private.", mx.host);
                notes.find(&codes::MX_PRIVATE, &place, text);
            }
            host.addresses = addresses;
        }
        Answer::NxDomain => {
            notes.find(&codes::MX_MISSING, &place, format!("Remove or correct {}: it does not exist.", mx.host));
        }
        Answer::NoData => notes.find(
            &codes::MX_NO_ADDRESS,
            &place,
            format!("Give {} an address, or remove it: it has none.", mx.host),
        ),
        Answer::Failed(failure) => {
            *unknown = true;
            notes.unknown(&mx.host, QueryType::A, &failure);
        }
    }
    if let Answer::Found(target) = lookup.cname(&mx.host) {
        let text = format!("Replace {} with a host that is not an alias: it is an alias of {target}.", mx.host);
        notes.find(&codes::MX_CNAME, &place, text);
    }
    host
}

/// Whether a host on the Internet can be reached at an address. Addresses kept for documentation count as public.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(four) => {
            // 0.0.0.0/8 is this host, 100.64.0.0/10 lies behind carriers (RFC 6598), and 240.0.0.0/4 is not in use.
            let [first, second, ..] = four.octets();
            let reserved = first == 0 || first >= 224 || (first == 100 && (64..128).contains(&second));
            !(four.is_private() || four.is_loopback() || four.is_link_local() || reserved)
        }
        IpAddr::V6(six) => {
            // Prefixes that carry an IPv4 address lead to that one: ::/96 and 64:ff9b::/96 (RFC 6052).
            let carried = match six.segments() {
                [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                    Some(std::net::Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)))
                }
                _ => None,
            };
            let of_carried = carried.is_none_or(|four| is_public(IpAddr::V4(four)));
            of_carried && !(six.is_multicast() || six.is_unique_local() || six.is_unicast_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::lookup::test_zone::Zone;

    fn checked(zone: &str) -> (Delivery, Vec<&'static str>, usize) {
        let mut notes = Notes::default();
        let delivery = check(&Zone::new(zone), "example.com", &mut notes);
        (delivery, notes.findings.iter().map(|finding| finding.code.name).collect(), notes.unknown.len())
    }

    #[test]
    fn the_order_is_by_preference_and_equals_share() {
        let (delivery, codes, _) = checked(
            "example.com MX 20 c.example.net\nexample.com MX 10 a.example.net\nexample.com MX 10 b.example.net\n\
             a.example.net A 192.0.2.1\nb.example.net A 192.0.2.2\nc.example.net A 192.0.2.3",
        );
        assert_eq!(codes, [""; 0]);
        assert_eq!(
            delivery.order("example.com"),
            [
                "first: preference 10: a.example.net (192.0.2.1), b.example.net (192.0.2.2), in random order",
                "if those fail: preference 20: c.example.net (192.0.2.3)",
                "if none answers, senders retry, usually for several days, and then return the mail"
            ]
        );
    }

    #[test]
    fn each_fault_has_its_code() {
        let other = "b.example.net A 192.0.2.2";
        for (records, codes) in [
            ("example.com MX 10 gone.example.net", vec!["mx.target_missing"]),
            (
                "example.com MX 10 b.example.net\nexample.com MX 20 x.b.example.net\ny.x.b.example.net A 192.0.2.1",
                vec!["mx.target_no_address"],
            ),
            ("example.com MX 10 alias.example.net\nalias.example.net CNAME b.example.net", vec!["mx.target_cname"]),
            ("example.com MX 10 192.0.2.1", vec!["mx.target_literal"]),
            ("example.com MX 10 inside.example.net\ninside.example.net A 10.0.0.1", vec!["mx.target_private"]),
            ("example.com MX 0 .\nexample.com MX 10 b.example.net", vec!["mx.null_mixed"]),
            ("example.com MX 10 b.example.net\nexample.com MX 20 b.example.net", vec!["mx.duplicate_target"]),
            ("example.com MX 10 six.example.net\nsix.example.net AAAA 2001:db8::1", vec!["mx.v6_only"]),
            ("example.com A 192.0.2.1", vec!["mx.implicit"]),
            ("", vec!["mx.none"]),
            ("example.com MX 0 .", vec![]),
        ] {
            assert_eq!(checked(&format!("{other}\n{records}")).1, codes, "{records}");
        }
    }

    #[test]
    fn what_cannot_be_looked_up_is_not_missing() {
        assert_eq!(checked("example.com SERVFAIL"), (Delivery::Unknown, vec![], 1));
        let (_, codes, unknown) = checked("example.com MX 10 mx.example.net\nmx.example.net TIMEOUT");
        assert_eq!((codes.len(), unknown), (0, 1));
    }
}
