//! Determines what kind of network an address is in, and by which rule.
//!
//! 1. The proof names a known service: `mail_service`.
//! 2. The confirmed host name is under a domain of a provider that rents out servers: `rented_host`.
//! 3. The confirmed host name looks like that of an Internet access line: `isp`.
//! 4. The name of the autonomous system has a word for hosting (`rented_host`) or for telecommunication (`isp`).
//!
//! The first rule that applies decides; if none does, there is no answer. A host name that does not resolve back to its
//! address is ignored.

use crate::dns::lookup::name::is_within;
use crate::model::{NetworkClass, SourceClass};
use std::net::IpAddr;

/// What the rules look at.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClassFacts<'a> {
    /// The known service, if a proof of rung 1 to 4 names one.
    pub service: Option<&'a str>,
    /// The host name that leads back to the address.
    pub host: Option<&'a str>,
    /// The name of the autonomous system.
    pub as_name: Option<&'a str>,
}

/// Domains that providers of rented servers name their customers' addresses under: those that parsedmarc 11.1.0
/// (`base_reverse_dns_map.csv`, looked up on 2026-11-29) lists as `IaaS`, `PaaS` or `Web Host`.
const RENTED: &[&str] = &[
    "alibabacloud.com",
    "aliyun.com",
    "amazonaws.com",
    "cloudapp.net",
    "contabo.com",
    "contaboserver.net",
    "datapipe.com",
    "digitalocean.com",
    "dreamhost.com",
    "dreamhostps.com",
    "googleusercontent.com",
    "hetzner.com",
    "hetzner.de",
    "hostinger.com",
    "hstgr.cloud",
    "huaweicloud.com",
    "inmotionhosting.com",
    "kasserver.com",
    "keyweb.de",
    "linode.com",
    "linodeusercontent.com",
    "mtsvc.net",
    "onlinehome-server.info",
    "oraclecloud.com",
    "ovh.ca",
    "ovh.net",
    "ovh.us",
    "scaleway.com",
    "scw.cloud",
    "secureserver.net",
    "servconfig.com",
    "siteground.com",
    "stabletransit.com",
    "stratoserver.net",
    "transip.net",
    "vultrusercontent.com",
    "web-hosting.com",
    "yandexcloud.net",
    "your-server.de",
];

/// Words in the host names of Internet access lines.
const LINES: &[&str] = &[
    "adsl",
    "broadband",
    "cable",
    "cust",
    "dhcp",
    "dial",
    "dialin",
    "dialup",
    "dip",
    "dsl",
    "dyn",
    "dynamic",
    "ftth",
    "pool",
    "ppp",
    "pppoe",
    "res",
    "residential",
    "vdsl",
    "wimax",
];

/// Words in the name of an autonomous system that rents out servers.
const HOSTING: &[&str] = &[
    "alibaba",
    "aliyun",
    "amazon",
    "choopa",
    "cloud",
    "clouds",
    "colo",
    "colocation",
    "colocrossing",
    "contabo",
    "datacenter",
    "datacenters",
    "datacentre",
    "dedicated",
    "digitalocean",
    "dreamhost",
    "godaddy",
    "hetzner",
    "host",
    "hosting",
    "hostinger",
    "hostwinds",
    "ionos",
    "leaseweb",
    "linode",
    "ovh",
    "rackspace",
    "scaleway",
    "server",
    "servers",
    "softlayer",
    "strato",
    "upcloud",
    "vps",
    "vultr",
];

/// Words in the name of an autonomous system of an internet provider.
const PROVIDERS: &[&str] = &[
    "at&t",
    "bigpond",
    "broadband",
    "cable",
    "charter",
    "comcast",
    "communications",
    "cox",
    "dsl",
    "fiber",
    "fibre",
    "internet",
    "isp",
    "mobile",
    "rogers",
    "spectrum",
    "swisscom",
    "telco",
    "telecom",
    "telecommunications",
    "telefonica",
    "telekom",
    "telenor",
    "telia",
    "telstra",
    "verizon",
    "vodafone",
    "wireless",
];

/// Classifies an address.
pub fn classify(address: IpAddr, facts: &ClassFacts<'_>) -> Option<SourceClass> {
    let class = |class, ground: String| Some(SourceClass { class, ground });
    if let Some(service) = facts.service {
        return class(NetworkClass::MailService, format!("server of {service}"));
    }
    if let Some(host) = facts.host.map(str::to_ascii_lowercase) {
        if let Some(domain) = RENTED.iter().find(|domain| is_within(&host, domain)) {
            return class(NetworkClass::RentedHost, format!("host name under {domain}"));
        }
        if let Some(word) = said(&host, LINES).filter(|_| spells(&host, address)) {
            return class(NetworkClass::Isp, format!("host name spells the address and says {word}"));
        }
    }
    let name = facts.as_name?.to_ascii_lowercase();
    if let Some(word) = said(&name, HOSTING) {
        return class(NetworkClass::RentedHost, format!("the name of the network says {word}"));
    }
    said(&name, PROVIDERS).and_then(|word| class(NetworkClass::Isp, format!("the name of the network says {word}")))
}

/// The first of these words that a name says; digits end a word as well.
fn said(name: &str, list: &[&'static str]) -> Option<&'static str> {
    let mut words = list.iter().copied();
    words.find(|word| name.split(|char: char| !char.is_ascii_alphabetic() && char != '&').any(|said| said == *word))
}

/// Whether a host name contains the address, in either byte order, as the names of access lines do.
fn spells(host: &str, address: IpAddr) -> bool {
    let IpAddr::V4(address) = address.to_canonical() else {
        return host.bytes().filter(u8::is_ascii_hexdigit).count() > 16;
    };
    let octets = address.octets();
    let numbers: Vec<&str> =
        host.split(|char: char| !char.is_ascii_digit()).filter(|number| !number.is_empty()).collect();
    let is = |number: &&str, octet: u8| number.parse() == Ok(u32::from(octet));
    let last = |place: usize| numbers.iter().any(|number| is(number, octets[place]));
    last(2) && last(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(address: &str, facts: ClassFacts<'_>) -> Option<(&'static str, String)> {
        let found = classify(address.parse().unwrap(), &facts)?;
        Some((found.class.as_str(), found.ground))
    }

    #[test]
    fn each_rule_states_its_ground_and_the_first_decides() {
        let host = |host| ClassFacts { host: Some(host), ..ClassFacts::default() };
        let network = |as_name| ClassFacts { as_name: Some(as_name), ..ClassFacts::default() };
        let said = |class: &'static str, ground: &str| Some((class, ground.to_owned()));
        let service = ClassFacts { service: Some("Mailer"), as_name: Some("AMAZON-02"), ..ClassFacts::default() };
        assert_eq!(class("192.0.2.7", service), said("mail_service", "server of Mailer"));
        let rented = host("ec2-192-0-2-7.compute-1.amazonaws.com");
        assert_eq!(class("192.0.2.7", rented), said("rented_host", "host name under amazonaws.com"));
        assert_eq!(class("192.0.2.7", host("mail.evilamazonaws.com")), None);
        let line = host("p192-0-2-7.dip0.provider.example");
        assert_eq!(class("192.0.2.7", line), said("isp", "host name spells the address and says dip"));
        assert_eq!(class("192.0.2.7", host("mail.pool.example")), None, "a server may be called so");
        let as_said = |word: &str| format!("the name of the network says {word}");
        assert_eq!(class("2001:db8::1", network("HETZNER-AS")), said("rented_host", &as_said("hetzner")));
        assert_eq!(class("192.0.2.7", network("Example Telecom Ltd")), said("isp", &as_said("telecom")));
        assert_eq!(class("192.0.2.7", network("Example Cloud Telecom")), said("rented_host", &as_said("cloud")));
        assert_eq!(class("192.0.2.7", network("EXAMPLE-UNIVERSITY")), None);
        assert_eq!(class("192.0.2.7", network("GHOSTS-AS")), None, "whole words");
    }
}
