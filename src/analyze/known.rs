//! Recognizes sending services by their mail, their customers' DNS and their addresses, and knows how a customer aligns its
//! mail.
//!
//! The table is `services.toml`, with a dated source for each entry; the user's own entries come first. The judgment only
//! uses that an address is shared. A host name that does not resolve back to its address is not trusted: anybody can give an
//! address any name.

use super::foreign::Foreign;
use crate::judge::{is_within, organizational};
use crate::model::{Text, is_in_network, parse_network};
use serde::Deserialize;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

/// The host name of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName {
    /// The name.
    pub name: Foreign,
    /// It resolves back to the address, so the owner of the name confirms it.
    pub confirmed: bool,
}

impl HostName {
    /// The name, if it is confirmed; else empty.
    fn trusted(host: Option<&Self>) -> &str {
        host.filter(|host| host.confirmed).map_or("", |host| host.name.as_written())
    }
}

/// A sending service. A domain counts with those below it, and is in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: Text,
    /// Domains it signs with.
    pub dkim: Vec<Text>,
    /// Domains of its return paths.
    pub bounce: Vec<Text>,
    /// Domains that the CNAME of a customer's key or return path, or the MX of the return path, leads to.
    pub alias: Vec<Text>,
    /// Domains of the name servers of zones that customers delegate to it.
    pub name_servers: Vec<Text>,
    /// Domains of its host names.
    pub ptr: Vec<Text>,
    /// SPF records that its customers include.
    pub spf: Vec<Text>,
    /// What a customer does to align its mail.
    pub fix: Option<Text>,
    /// The page of the service that says so.
    pub help: Option<Text>,
}

/// Services by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    own: Arc<Vec<Service>>,
}

impl Services {
    /// The built-in table as it is written.
    pub const TABLE: &str = include_str!("services.toml");

    /// The table, preceded by the user's own entries.
    pub fn with(own: Vec<Service>) -> Self {
        Self { own: Arc::new(own) }
    }

    /// The service that a signature, a return path or a confirmed host name belongs to, by the strongest of them.
    pub(crate) fn name(&self, signs_as: &str, returns_to: &str, host: Option<&HostName>) -> Option<Foreign> {
        let by_host = || self.service_by(ServiceProof::Ptr, HostName::trusted(host));
        self.signed(signs_as, returns_to).or_else(by_host).map(Foreign::from)
    }

    /// The service that a signature or a return path belongs to.
    pub(crate) fn signed(&self, signs_as: &str, returns_to: &str) -> Option<&str> {
        self.service_by(ServiceProof::Dkim, signs_as).or_else(|| self.service_by(ServiceProof::Bounce, returns_to))
    }

    /// The service that a domain belongs to, seen in a signature, a return path or a host name.
    pub fn of_domain(&self, domain: &str) -> Option<&str> {
        [ServiceProof::Dkim, ServiceProof::Bounce, ServiceProof::Ptr]
            .into_iter()
            .find_map(|proof| self.service_by(proof, domain))
    }

    /// The service that a customer's DNS leads to, by the target of an alias or MX, or an included SPF record.
    pub fn of_target(&self, target: &str) -> Option<&str> {
        [ServiceProof::Alias, ServiceProof::Ptr].into_iter().find_map(|proof| self.service_by(proof, target))
    }

    /// The service that runs a customer's zone, by the name of a name server.
    pub fn of_name_server(&self, host: &str) -> Option<&str> {
        self.service_by(ServiceProof::NameServer, host)
    }

    /// Services and the SPF records that their customers include; those of the user come first.
    pub fn includes(&self) -> Vec<(&str, &str)> {
        let services = self.own.iter().chain(&BUILT_IN.services);
        services.flat_map(|service| service.spf.iter().map(|spf| (service.name.as_str(), spf.as_str()))).collect()
    }

    /// Large ranges of services, known without a lookup: the network, its leading bits, the service.
    pub fn ranges(&self) -> impl Iterator<Item = (IpAddr, u8, &'static str)> {
        BUILT_IN.ranges.iter().map(|(network, bits, name)| (*network, *bits, name.as_str()))
    }

    /// What is known of a service.
    pub fn get(&self, name: &str) -> Option<&Service> {
        self.own.iter().chain(&BUILT_IN.services).find(|service| service.name == name)
    }

    /// The service that an address belongs to, by a confirmed name or the ranges that services publish: what comes from
    /// there is many customers' mail.
    pub(crate) fn of_address(&self, address: IpAddr, host: Option<&HostName>) -> Option<SharedService> {
        let in_range = || {
            let mut ranges = BUILT_IN.ranges.iter();
            ranges.find(|(network, bits, _)| is_in_network(address, *network, *bits)).map(|(.., name)| name.as_str())
        };
        let name = self.service_by(ServiceProof::Ptr, HostName::trusted(host)).or_else(in_range)?;
        Some(SharedService { name: name.into(), include: Self::include_of(name) })
    }

    /// What customers of a built-in service include in their SPF records.
    pub(crate) fn include_of(name: &str) -> Option<&'static str> {
        let service = BUILT_IN.services.iter().find(|service| service.name == name)?;
        service.spf.first().map(Text::as_str)
    }

    fn service_by(&self, proof: ServiceProof, domain: &str) -> Option<&str> {
        if domain.is_empty() {
            return None;
        }
        let own = self.own.iter().find(|service| proof.domains(service).any(|known| proof.fits(domain, known)));
        own.map(|service| service.name.as_str()).or_else(|| BUILT_IN.service_by(proof, domain))
    }
}

/// A service whose addresses many customers share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedService {
    /// Its name.
    pub(crate) name: Text,
    /// What its customers include in their SPF records.
    pub(crate) include: Option<&'static str>,
}

/// What a domain was seen as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ServiceProof {
    Dkim,
    Bounce,
    Alias,
    NameServer,
    Ptr,
}

impl ServiceProof {
    const ALL: [Self; 5] = [Self::Dkim, Self::Bounce, Self::Alias, Self::NameServer, Self::Ptr];

    /// The domains of a service that it speaks for.
    fn domains(self, service: &Service) -> impl Iterator<Item = &Text> {
        let (domains, more): (&[Text], &[Text]) = match self {
            Self::Dkim => (&service.dkim, &[]),
            Self::Bounce => (&service.bounce, &[]),
            Self::Alias => (&service.alias, &service.spf),
            Self::NameServer => (&service.name_servers, &[]),
            Self::Ptr => (&service.ptr, &[]),
        };
        domains.iter().chain(more)
    }

    /// For signatures and return paths, only the organization is known here.
    const fn by_organization(self) -> bool {
        matches!(self, Self::Dkim | Self::Bounce)
    }

    /// Whether a domain is a known one, or below it.
    fn fits(self, domain: &str, known: &str) -> bool {
        is_within(domain, known) || self.by_organization() && domain == organizational(known)
    }
}

/// The table, indexed for lookups.
struct ServiceTable {
    services: Vec<Service>,
    ranges: Vec<(IpAddr, u8, Text)>,
    /// The index of the service, by kind of proof and domain. Also applies to the domains below it.
    below: HashMap<(ServiceProof, Text), usize>,
    /// The same for the domain itself only.
    exact: HashMap<(ServiceProof, Text), usize>,
}

static BUILT_IN: LazyLock<ServiceTable> = LazyLock::new(|| {
    let entries = entries().expect("services.toml is checked by a test");
    let mut table =
        ServiceTable { services: Vec::new(), ranges: Vec::new(), below: HashMap::new(), exact: HashMap::new() };
    for (place, entry) in entries.into_iter().enumerate() {
        let name = Text::from(entry.name.as_str());
        let ranges = entry.ranges.iter().filter_map(|range| parse_network(range));
        table.ranges.extend(ranges.map(|(network, bits)| (network, bits, name.clone())));
        let service = entry.service();
        for proof in ServiceProof::ALL {
            for known in proof.domains(&service) {
                table.below.insert((proof, known.clone()), place);
                if proof.by_organization() {
                    table.exact.entry((proof, organizational(known).into())).or_insert(place);
                }
            }
        }
        table.services.push(service);
    }
    table
});

impl ServiceTable {
    fn service_by(&self, proof: ServiceProof, domain: &str) -> Option<&str> {
        let exact = || self.exact.get(&(proof, domain.into()));
        let mut above = std::iter::successors(Some(domain), |domain| domain.split_once('.').map(|(_, above)| above));
        let place = above.find_map(|domain| self.below.get(&(proof, domain.into()))).or_else(exact)?;
        Some(self.services[*place].name.as_str())
    }
}

/// An entry of the table as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ServiceEntry {
    name: String,
    domains: Vec<String>,
    dkim: Vec<String>,
    bounce: Vec<String>,
    alias: Vec<String>,
    ptr: Vec<String>,
    spf: Vec<String>,
    ranges: Vec<String>,
    hosts_zones: bool,
    align: Vec<String>,
    fix: Option<String>,
    help: Option<String>,
    sources: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct ServiceFile {
    service: Vec<ServiceEntry>,
}

fn entries() -> Result<Vec<ServiceEntry>, toml::de::Error> {
    toml::from_str::<ServiceFile>(Services::TABLE).map(|file| file.service)
}

impl ServiceEntry {
    fn service(&self) -> Service {
        let with =
            |more: &[String]| self.domains.iter().chain(more).map(|domain| Text::from(domain.as_str())).collect();
        let text = |text: &Option<String>| text.as_deref().map(Text::from);
        Service {
            name: self.name.as_str().into(),
            dkim: with(&self.dkim),
            bounce: with(&self.bounce),
            alias: with(&self.alias),
            name_servers: if self.hosts_zones { Vec::new() } else { with(&self.alias) },
            ptr: with(&self.ptr),
            spf: self.spf.iter().map(|record| record.as_str().into()).collect(),
            fix: text(&self.fix),
            help: text(&self.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, confirmed: bool) -> HostName {
        HostName { name: name.into(), confirmed }
    }

    #[test]
    fn a_service_is_recognized_by_signature_then_return_path_then_confirmed_name() {
        let services = Services::default();
        let name = |signs: &str, returns: &str, of: Option<&HostName>| {
            services.name(signs, returns, of).map(|name| name.as_written().to_owned())
        };
        assert_eq!(name("gappssmtp.com", "amazonses.com", None).as_deref(), Some("Google"));
        assert_eq!(name("example.com", "eu-west-1.amazonses.com", None).as_deref(), Some("Amazon SES"));
        let sendgrid = host("o1.sendgrid.net", true);
        assert_eq!(name("", "", Some(&sendgrid)).as_deref(), Some("SendGrid"));
        assert_eq!(name("", "", Some(&host("mail-a.google.com", false))), None, "anybody may name his address so");
        assert_eq!(name("notamazonses.com", "", Some(&host("mx.evilgoogle.com", true))), None);
    }

    #[test]
    fn the_users_own_entries_come_before_the_table() {
        let own = Service { name: "Our shop".into(), bounce: vec!["amazonses.com".into()], ..Service::default() };
        let services = Services::with(vec![own]);
        assert_eq!(services.name("", "amazonses.com", None).unwrap().as_written(), "Our shop");
        let below = Service { name: "Our CRM".into(), bounce: vec!["bounce.crm.example".into()], ..Service::default() };
        assert_eq!(Services::with(vec![below]).name("", "crm.example", None).unwrap().as_written(), "Our CRM");
        assert_eq!(services.name("amazonses.com", "", None).unwrap().as_written(), "Amazon SES");
    }

    #[test]
    fn a_shared_address_is_recognized_by_range_or_confirmed_name() {
        let of = |address: &str, host: Option<&HostName>| {
            let service = Services::default().of_address(address.parse().unwrap(), host)?;
            Some((service.name.to_string(), service.include))
        };
        assert_eq!(BUILT_IN.ranges.len(), entries().unwrap().iter().map(|entry| entry.ranges.len()).sum::<usize>());
        assert_eq!(of("209.85.220.41", None), Some(("Google".to_owned(), Some("_spf.google.com"))));
        assert_eq!(of("192.0.2.1", None), None);
        let sendgrid = host("o1.sendgrid.net", true);
        assert_eq!(of("192.0.2.1", Some(&sendgrid)).unwrap().0, "SendGrid");
    }

    #[test]
    fn a_target_in_dns_names_a_service_only_below_a_known_name() {
        let services = Services::default();
        assert_eq!(services.of_target("s1.domainkey.u1.wl.sendgrid.net"), Some("SendGrid"));
        assert_eq!(services.of_target("spf.protection.outlook.com"), Some("Microsoft 365"));
        assert_eq!(services.of_target("outlook.com"), None, "the organization is at hand: it alone proves nothing");
        assert_eq!(services.of_target("evilsendgrid.net"), None);
        let own = Service { name: "Our CRM".into(), alias: vec!["crm.example".into()], ..Service::default() };
        assert_eq!(Services::with(vec![own]).of_target("k1.crm.example"), Some("Our CRM"));
    }

    #[test]
    fn every_entry_has_a_source() {
        let entries = entries().unwrap();
        let complete = entries.iter().filter(|entry| entry.fix.is_some()).count();
        assert!(complete >= 60, "{complete} of {}", entries.len());
        assert!(entries.is_sorted_by(|a, b| a.name.to_lowercase() < b.name.to_lowercase()));
        let day = |source: &str| source.split_once(' ').and_then(|(day, _)| day.parse::<jiff::civil::Date>().ok());
        for entry in &entries {
            let name = &entry.name;
            assert!(!entry.sources.is_empty(), "{name}: no source");
            for source in &entry.sources {
                assert!(day(source).is_some() && source[10..].starts_with(" https://"), "{name}: {source}");
                // Anybody can paste anything there, and nobody answers for it.
                assert!(
                    !["pastebin.com", "gist.github.com"].iter().any(|host| source.contains(host)),
                    "{name}: {source}"
                );
            }
            // The owner of a domain says nothing about how its customers' mail is aligned.
            let says_more = |source: &String| !source.contains("pypi.org/project/parsedmarc");
            assert!(entry.fix.is_none() || entry.sources.iter().any(says_more), "{name}: who says so?");
            let is_known = !entry.domains.is_empty() || !entry.dkim.is_empty() && !entry.alias.is_empty();
            assert!(entry.fix.is_none() || is_known, "{name}: nothing shows its mail");
            assert_eq!(entry.fix.is_some(), entry.help.is_some(), "{name}: a fix and its help page go together");
            assert!(entry.help.iter().all(|help| help.starts_with("https://")), "{name}");
            assert!(entry.fix.iter().all(|fix| fix.ends_with('.') && fix.chars().count() <= 200), "{name}");
            assert!(entry.align.iter().all(|way| ["dkim", "return_path"].contains(&way.as_str())), "{name}");
            assert!(entry.fix.is_none() || !entry.align.is_empty(), "{name}: a fix that aligns nothing");
        }
    }

    #[test]
    fn a_domain_is_canonical_and_of_one_service() {
        let mut owners: HashMap<Text, Text> = HashMap::new();
        for service in &BUILT_IN.services {
            let mut domains: Vec<&Text> = ServiceProof::ALL.iter().flat_map(|proof| proof.domains(service)).collect();
            domains.sort();
            domains.dedup();
            assert!(!domains.is_empty(), "{}", service.name);
            for domain in domains {
                let labels = domain.split('.').all(|label| {
                    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
                    !label.is_empty() && label.len() < 64 && label.bytes().all(letter) && !label.starts_with('-')
                });
                let is_registered = psl::suffix(domain.as_bytes()).is_some_and(|suffix| suffix.is_known());
                assert!(labels && domain.contains('.') && is_registered, "{domain}");
                let owner = owners.insert(domain.clone(), service.name.clone());
                assert_eq!(owner, None, "{domain} is also of {}", service.name);
            }
        }
        for entry in entries().unwrap() {
            for range in &entry.ranges {
                let (network, bits) = range.split_once('/').unwrap();
                let (network, bits): (IpAddr, u8) = (network.parse().unwrap(), bits.parse().unwrap());
                assert!(bits <= if network.is_ipv4() { 32 } else { 128 }, "{range}");
            }
        }
    }
}
