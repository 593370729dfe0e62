//! Recognizes large mail services by what their mail proves: the domain that signs, the domain of the return path, the
//! host name of the address.
//!
//! Names are for display; the judgment only uses that an address is shared. Each entry cites the public page it is
//! from, and the user's own entries come first. A host name that does not resolve back to its address is not trusted:
//! anybody can give an address any name.

use super::foreign::Foreign;
use super::question::HostName;
use crate::judge::{is_within, organizational};
use crate::model::{Text, is_in_network};
use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
};

/// A mail service. A domain counts with those below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: Text,
    /// Domains it signs with, in lower case.
    pub dkim: Vec<Text>,
    /// Domains of its return paths.
    pub bounce: Vec<Text>,
    /// Domains of its host names.
    pub ptr: Vec<Text>,
}

/// Services by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    own: Arc<Vec<Service>>,
}

impl Services {
    /// The table, preceded by the user's own entries.
    pub fn with(own: Vec<Service>) -> Self {
        Self { own: Arc::new(own) }
    }

    /// The service that a signature, a return path or a confirmed host name belongs to, by the strongest of them.
    pub(crate) fn name(&self, signs_as: &str, returns_to: &str, host: Option<&HostName>) -> Option<Foreign> {
        let host = host.filter(|host| host.confirmed).map_or("", |host| host.name.as_written());
        [(ServiceProof::Dkim, signs_as), (ServiceProof::Bounce, returns_to), (ServiceProof::Ptr, host)]
            .into_iter()
            .filter(|(_, domain)| !domain.is_empty())
            .find_map(|(proof, domain)| self.of(proof, domain))
            .map(Foreign::from)
    }

    /// The service that a domain belongs to, whatever it was seen as.
    pub fn of_domain(&self, domain: &str) -> Option<&str> {
        [ServiceProof::Dkim, ServiceProof::Bounce, ServiceProof::Ptr]
            .into_iter()
            .find_map(|proof| self.of(proof, domain))
    }

    /// Services and the SPF record that their customers include.
    pub const fn includes(&self) -> &'static [(&'static str, &'static str)] {
        SPF_INCLUDES
    }

    /// The service that an address belongs to, by a confirmed host name or the ranges that services publish: mail from
    /// there belongs to many customers.
    pub(crate) fn of_address(&self, address: IpAddr, host: Option<&HostName>) -> Option<SharedService> {
        let host = host.filter(|host| host.confirmed).map_or("", |host| host.name.as_written());
        let named = (!host.is_empty()).then(|| self.of(ServiceProof::Ptr, host)).flatten();
        let in_range =
            || RANGES.iter().find(|(network, bits, _)| is_in_network(address, *network, *bits)).map(|(.., name)| *name);
        let name = named.or_else(in_range)?;
        Some(SharedService { name: name.into(), include: Self::include_of(name) })
    }

    /// What customers of a service include in their SPF records.
    pub(crate) fn include_of(name: &str) -> Option<&'static str> {
        SPF_INCLUDES.iter().find(|(service, _)| *service == name).map(|(_, include)| *include)
    }

    fn of(&self, proof: ServiceProof, domain: &str) -> Option<&str> {
        let own = self.own.iter().find(|service| {
            let domains = match proof {
                ServiceProof::Dkim => &service.dkim,
                ServiceProof::Bounce => &service.bounce,
                ServiceProof::Ptr => &service.ptr,
            };
            domains.iter().any(|known| proof.fits(domain, known))
        });
        let built_in = || {
            KNOWN.iter().find(|known| {
                let domains = match proof {
                    ServiceProof::Dkim => known.dkim,
                    ServiceProof::Bounce => known.bounce,
                    ServiceProof::Ptr => known.ptr,
                };
                domains.iter().any(|known| proof.fits(domain, known))
            })
        };
        own.map(|service| service.name.as_str()).or_else(|| built_in().map(|known| known.name))
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

/// What customers of a service include in their SPF records, as its manual says.
const SPF_INCLUDES: &[(&str, &str)] = &[
    ("Amazon SES", "amazonses.com"),
    ("Google", "_spf.google.com"),
    ("Mailchimp", "servers.mcsv.net"),
    ("Microsoft 365", "spf.protection.outlook.com"),
    ("SendGrid", "sendgrid.net"),
];

/// Large ranges that services publish in the SPF records that their customers include, by service.
const PUBLISHED_RANGES: &[(&str, &[&str])] = &[
    ("Amazon SES", &["54.240.0.0/18", "69.169.224.0/20", "23.249.208.0/20", "23.251.224.0/19", "199.255.192.0/22"]),
    (
        "Google",
        &[
            "64.233.160.0/19",
            "66.102.0.0/20",
            "66.249.80.0/20",
            "72.14.192.0/18",
            "74.125.0.0/16",
            "108.177.8.0/21",
            "173.194.0.0/16",
            "209.85.128.0/17",
            "216.58.192.0/19",
            "216.239.32.0/19",
            "2001:4860:4000::/36",
            "2404:6800:4000::/36",
            "2607:f8b0:4000::/36",
            "2800:3f0:4000::/36",
            "2a00:1450:4000::/36",
            "2c0f:fb50:4000::/36",
        ],
    ),
    ("Mailchimp", &["148.105.8.0/21", "198.2.128.0/18", "205.201.128.0/20"]),
    (
        "Microsoft 365",
        &[
            "40.92.0.0/15",
            "40.107.0.0/16",
            "52.100.0.0/15",
            "52.102.0.0/16",
            "52.103.0.0/17",
            "104.47.0.0/17",
            "2a01:111:f400::/48",
        ],
    ),
    ("SendGrid", &["149.72.0.0/16", "159.183.0.0/16", "167.89.0.0/17", "168.245.0.0/17", "208.117.48.0/20"]),
];

static RANGES: LazyLock<Vec<(IpAddr, u8, &'static str)>> = LazyLock::new(|| {
    let range = |range: &&str| -> Option<(IpAddr, u8)> {
        let (network, bits) = range.split_once('/')?;
        Some((network.parse().ok()?, bits.parse().ok()?))
    };
    let of = |(name, ranges): &(&'static str, &'static [&'static str])| {
        let name = *name;
        ranges.iter().filter_map(range).map(move |(network, bits)| (network, bits, name)).collect::<Vec<_>>()
    };
    PUBLISHED_RANGES.iter().flat_map(of).collect()
});

/// What a domain was seen as.
#[derive(Debug, Clone, Copy)]
enum ServiceProof {
    Dkim,
    Bounce,
    Ptr,
}

impl ServiceProof {
    /// Whether a domain is a known one, or below it. For signatures and return paths only the organization is known.
    fn fits(self, domain: &str, known: &str) -> bool {
        is_within(domain, known) || !matches!(self, Self::Ptr) && domain == organizational(known)
    }
}

/// An entry of the table.
struct ServiceEntry {
    name: &'static str,
    dkim: &'static [&'static str],
    bounce: &'static [&'static str],
    ptr: &'static [&'static str],
}

/// The table, by name. The names of addresses are from `parsedmarc/resources/maps/base_reverse_dns_map.csv` in
/// github.com/domainaware/parsedmarc, where an entry names no other page for them.
const KNOWN: &[ServiceEntry] = &[
    // docs.aws.amazon.com/ses/latest/dg/mail-from.html: amazonses.com or one below it is the default MAIL FROM domain.
    ServiceEntry { name: "Amazon SES", dkim: &["amazonses.com"], bounce: &["amazonses.com"], ptr: &["amazonses.com"] },
    // knowledgebase.constantcontact.com, articles 5865 and 51400: the return path is in.constantcontact.com, the shared
    // signing domain ccsend.com.
    ServiceEntry {
        name: "Constant Contact",
        dkim: &["ccsend.com"],
        bounce: &["constantcontact.com"],
        ptr: &["constantcontact.com"],
    },
    // www.fastmail.help/hc/en-us/articles/360060591153 and fastmail.com/blog, "DKIM signing outgoing email with From
    // address domain": all mail is signed as messagingengine.com too.
    ServiceEntry { name: "Fastmail", dkim: &["messagingengine.com"], bounce: &[], ptr: &["messagingengine.com"] },
    // support.google.com/a/answer/174124: without a key of its own a domain's mail is signed as *.gappssmtp.com.
    // portal.smartertools.com/community/a97318: what a Gmail account sends under another address, as gmail.com.
    ServiceEntry { name: "Google", dkim: &["gappssmtp.com", "gmail.com"], bounce: &[], ptr: &["google.com"] },
    // dmarc.wiki/hubspot: the return path is below hubspotemail.net.
    ServiceEntry { name: "HubSpot", dkim: &["hubspotemail.net"], bounce: &["hubspotemail.net"], ptr: &[] },
    // dmarc.wiki/mailchimp: keys at mcsv.net, return paths below mcsv.net, mcdlv.net or rsgsv.net.
    ServiceEntry {
        name: "Mailchimp",
        dkim: &["mcsv.net", "mcdlv.net", "rsgsv.net"],
        bounce: &["mcsv.net", "mcdlv.net", "rsgsv.net"],
        ptr: &["mcsv.net", "mcdlv.net", "rsgsv.net"],
    },
    // www.senderclarity.com/guides/mandrill-spf-dkim-dmarc-setup: keys and return path are mandrillapp.com.
    ServiceEntry {
        name: "Mailchimp Transactional",
        dkim: &["mandrillapp.com"],
        bounce: &["mandrillapp.com"],
        ptr: &[],
    },
    // documentation.mailgun.com/en/latest/user_manual.html: the domains it gives out itself are below mailgun.org;
    // www.captaindns.com/es/blog/mailgun-transactional-email-technical-guide: the return path is of the sending domain.
    ServiceEntry {
        name: "Mailgun",
        dkim: &[],
        bounce: &["mailgun.org"],
        ptr: &["mailgun.info", "mailgun.net", "mailgun.us"],
    },
    // www.mailjet.com/blog/deliverability/mailjet-dmarcbis-is-dead-long-live-dmarc: the return path is bnc3.mailjet.com
    // where the customer sets none.
    ServiceEntry { name: "Mailjet", dkim: &[], bounce: &["mailjet.com"], ptr: &[] },
    // learn.microsoft.com/en-us/defender-office-365/email-authentication-dkim-configure: mail of a tenant's first domain,
    // *.onmicrosoft.com, is signed as that; app.dmarcit.io/learn/microsoft-365-dmarc: that of its other domains too, until
    // they have keys. github.com/ecederstrand/exchangelib/issues/788 shows the hosts.
    ServiceEntry {
        name: "Microsoft 365",
        dkim: &["onmicrosoft.com"],
        bounce: &["onmicrosoft.com"],
        ptr: &["outbound.protection.outlook.com"],
    },
    // postmarkapp.com/support, "Setting up a custom return path": the default one is pm.mtasv.net.
    ServiceEntry { name: "Postmark", dkim: &["mtasv.net"], bounce: &["mtasv.net"], ptr: &["mtasv.net"] },
    // help.salesforce.com, article 000381292: return paths are below bnc.salesforce.com.
    ServiceEntry {
        name: "Salesforce",
        dkim: &["salesforce.com"],
        bounce: &["salesforce.com"],
        ptr: &["salesforce.com"],
    },
    // support.sendgrid.kke.co.jp/hc/ja/articles/360000226322: the return path is sendgrid.net without a domain of one's
    // own; phishfence.io/learn/dmarc-sendgrid: so is the signature.
    ServiceEntry { name: "SendGrid", dkim: &["sendgrid.net"], bounce: &["sendgrid.net"], ptr: &["sendgrid.net"] },
    // support.sparkpost.com/docs/tech-resources/custom-bounce-domain: the default bounce domain is sparkpostmail.com.
    ServiceEntry { name: "SparkPost", dkim: &[], bounce: &["sparkpostmail.com"], ptr: &["sparkpostmail.com"] },
    // support.zendesk.com/hc/en-us/articles/6665707939482: mail as SUBDOMAIN.zendesk.com has SPF and DKIM of its own;
    // www.suped.com/knowledge, "What does the Mail From mean in DMARC reports ... for Zendesk?": so has the return path
    // of mail under customers' addresses.
    ServiceEntry { name: "Zendesk", dkim: &["zendesk.com"], bounce: &["zendesk.com"], ptr: &[] },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, confirmed: bool) -> HostName {
        HostName { name: name.into(), confirmed }
    }

    #[test]
    fn a_service_is_told_by_signature_then_return_path_then_confirmed_name() {
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
    fn the_readers_own_entries_go_before_the_table() {
        let own = Service { name: "Our shop".into(), bounce: vec!["amazonses.com".into()], ..Service::default() };
        let services = Services::with(vec![own]);
        assert_eq!(services.name("", "amazonses.com", None).unwrap().as_written(), "Our shop");
        let below = Service { name: "Our CRM".into(), bounce: vec!["bounce.crm.example".into()], ..Service::default() };
        assert_eq!(Services::with(vec![below]).name("", "crm.example", None).unwrap().as_written(), "Our CRM");
        assert_eq!(services.name("amazonses.com", "", None).unwrap().as_written(), "Amazon SES");
    }

    #[test]
    fn a_shared_address_is_told_by_range_or_confirmed_name() {
        let of = |address: &str, host: Option<&HostName>| {
            let service = Services::default().of_address(address.parse().unwrap(), host)?;
            Some((service.name.to_string(), service.include))
        };
        assert_eq!(RANGES.len(), PUBLISHED_RANGES.iter().map(|(_, ranges)| ranges.len()).sum::<usize>());
        assert_eq!(of("209.85.220.41", None), Some(("Google".to_owned(), Some("_spf.google.com"))));
        assert_eq!(of("192.0.2.1", None), None);
        let sendgrid = host("o1.sendgrid.net", true);
        assert_eq!(of("192.0.2.1", Some(&sendgrid)).unwrap().0, "SendGrid");
        assert!(SPF_INCLUDES.iter().all(|(name, _)| KNOWN.iter().any(|known| known.name == *name)));
    }

    #[test]
    fn the_table_is_sorted_and_its_domains_are_canonical() {
        assert!(KNOWN.is_sorted_by(|a, b| a.name < b.name));
        for known in KNOWN {
            for domain in known.dkim.iter().chain(known.bounce).chain(known.ptr) {
                assert!(domain.contains('.') && *domain == domain.to_ascii_lowercase(), "{domain}");
            }
        }
    }
}
