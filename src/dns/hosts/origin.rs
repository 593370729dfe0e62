//! Names a source address by what its mail proves and what DNS delegates.
//!
//! Only what passes proves anything: a signature that does not verify can name any domain.

use crate::dns::dkim::key_name;
use crate::dns::lookup::answer::{Failure, Lookup, Mx};
use crate::dns::lookup::name::{organizational, parent};
use crate::dns::spf::{self, CheckHostResult, Mechanism, Node, NodeState, Qualifier, SpfRecord};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What the reports show about the mail from one address; most messages first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceEvidence {
    /// Domains of other organizations whose signatures verify.
    pub signed_by: Vec<String>,
    /// Return paths of other organizations that pass SPF.
    pub returns_to: Vec<String>,
    /// The domain's own keys that verify: selector and domain.
    pub own_keys: Vec<(String, String)>,
    /// The domain's own return paths that pass SPF.
    pub own_paths: Vec<String>,
}

/// Names of known services.
pub trait ServiceNames {
    /// The service that a domain in a signature, a return path or a host name belongs to.
    fn of_domain(&self, domain: &str) -> Option<String>;
    /// The service that the target of an alias or MX, or an included SPF record, belongs to.
    fn of_target(&self, target: &str) -> Option<String>;
    /// The service that a name server belongs to, if the zones on it hold the service's records, not those of its customers'
    /// choice.
    fn of_name_server(&self, host: &str) -> Option<String>;
}

/// A range of addresses that a service publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRange {
    /// The network.
    pub network: IpAddr,
    /// How many leading bits count.
    pub bits: u8,
    /// The service.
    pub name: String,
}

/// Names addresses; looks everything up once.
pub struct OriginFinder<'a> {
    lookup: &'a dyn Lookup,
    services: &'a dyn ServiceNames,
    /// Whether no address is named after a domain.
    is_withheld: &'a dyn Fn(&str) -> bool,
    aliases: BTreeMap<String, KnownTarget>,
    exchangers: BTreeMap<String, KnownTarget>,
    /// By the first name of a zone: the service that runs it.
    zones: BTreeMap<String, KnownTarget>,
    /// The networks and their owners, by family and number of leading bits, the most first.
    ranges: BTreeMap<(bool, Reverse<u8>), BTreeMap<u128, String>>,
}

/// What a name resolves to; an error if that could not be looked up.
type KnownTarget = Result<Option<String>, Failure>;

/// What was found of an address on the rungs 1 to 3.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundOrigin {
    /// The name, and the rung; `None` if nothing proves one.
    pub proven: Option<(String, u8)>,
    /// A lookup failed that could have proved more.
    pub is_unsure: bool,
}

/// Aliases of one name that are followed, at most: a chain may go on within the own domain before it leaves it.
const ALIASES: usize = 5;
/// Labels below the organizational domain at which a zone of a service may begin, at most.
const ZONES: usize = 5;
/// Ranges that one SPF record may hold, at most.
const RANGES: usize = 10_000;

impl<'a> OriginFinder<'a> {
    /// A finder that knows these ranges and has looked up nothing yet. Of two services that publish the same range the
    /// first counts.
    pub fn new(lookup: &'a dyn Lookup, services: &'a dyn ServiceNames, published: Vec<ServiceRange>) -> Self {
        let mut ranges: BTreeMap<(bool, Reverse<u8>), BTreeMap<u128, String>> = BTreeMap::new();
        for ServiceRange { network, bits, name } in published {
            let of_length = ranges.entry((network.is_ipv4(), Reverse(bits))).or_default();
            of_length.entry(leading(network, bits)).or_insert(name);
        }
        let (aliases, exchangers, zones) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { lookup, services, is_withheld: &|_| false, aliases, exchangers, zones, ranges }
    }

    /// Names no address after these domains: weaker proofs count instead.
    #[must_use]
    pub fn without(mut self, is_withheld: &'a dyn Fn(&str) -> bool) -> Self {
        self.is_withheld = is_withheld;
        self
    }

    /// Whose server an address is, on the rungs 1 to 3.
    pub fn find(&mut self, address: IpAddr, evidence: &SourceEvidence) -> FoundOrigin {
        if let Some(name) = self.foreign(evidence) {
            return FoundOrigin { proven: Some((name, 1)), is_unsure: false };
        }
        let (delegated, is_unsure) = self.delegated(address, evidence);
        let published = || self.published(address).map(|name| (name, 3));
        let proven = delegated.map(|name| (name, 2)).or_else(published);
        FoundOrigin { is_unsure: is_unsure && proven.as_ref().is_none_or(|(_, rung)| *rung > 2), proven }
    }

    fn foreign(&self, evidence: &SourceEvidence) -> Option<String> {
        let domains = || evidence.signed_by.iter().chain(&evidence.returns_to);
        let known = domains().find_map(|domain| self.services.of_domain(domain));
        known.or_else(|| self.stranger(domains()))
    }

    /// The organization that DNS of the own domain delegates to, and whether a lookup failed.
    fn delegated(&mut self, address: IpAddr, evidence: &SourceEvidence) -> (Option<String>, bool) {
        let mut targets = Vec::new();
        for (selector, domain) in &evidence.own_keys {
            targets.push(self.alias(&key_name(selector, domain), domain));
        }
        for path in &evidence.own_paths {
            targets.push(self.alias(path, path));
            targets.push(self.exchanger(path));
            targets.push(self.included(path, address));
        }
        let mut is_unsure = targets.iter().any(Result::is_err);
        let targets: Vec<String> = targets.into_iter().filter_map(|target| target.ok()?).collect();
        // A known service comes first: an unknown one may only host the keys or records of whoever sends.
        let mut known = targets.iter().find_map(|target| self.services.of_target(target));
        if known.is_none() {
            let zone = self.zone(evidence);
            is_unsure |= zone.is_err();
            known = zone.ok().flatten();
        }
        (known.or_else(|| self.stranger(targets.iter())), is_unsure)
    }

    /// The first organization of these domains that an address may be named after.
    fn stranger<'b>(&self, mut domains: impl Iterator<Item = &'b String>) -> Option<String> {
        domains.find(|domain| !(self.is_withheld)(domain)).map(|domain| organizational(domain).to_owned())
    }

    /// The other organization's name that a name is an alias of.
    fn alias(&mut self, name: &str, domain: &str) -> KnownTarget {
        let end = self.end_of_aliases(name, domain)?;
        Ok(Some(end).filter(|end| organizational(end) != organizational(domain)))
    }

    /// Where the aliases of a name lead: the first name of another organization, else the last of its own.
    fn end_of_aliases(&mut self, name: &str, domain: &str) -> Result<String, Failure> {
        let mut name = name.to_owned();
        for _ in 0..ALIASES {
            let lookup = self.lookup;
            let target = self.aliases.entry(name.clone()).or_insert_with(|| lookup.cname(&name).known()).clone()?;
            match target {
                Some(target) if organizational(&target) == organizational(domain) => name = target,
                Some(target) => return Ok(target),
                None => break,
            }
        }
        Ok(name)
    }

    /// The service that runs the zone of a key or a return path: it alone decides which keys and senders there are.
    fn zone(&mut self, evidence: &SourceEvidence) -> KnownTarget {
        let keys = evidence.own_keys.iter().map(|(selector, domain)| (key_name(selector, domain), domain));
        let paths = evidence.own_paths.iter().map(|path| (path.clone(), path));
        let mut failed = None;
        for (name, domain) in keys.chain(paths) {
            // What could not be looked up is counted with the aliases.
            let Ok(end) = self.end_of_aliases(&name, domain) else { continue };
            for zone in zones(&end) {
                let (lookup, services) = (self.lookup, self.services);
                let found = self.zones.entry(zone.clone()).or_insert_with(|| {
                    let hosts = lookup.ns(&zone).known()?.unwrap_or_default();
                    let mut whose = hosts.iter().map(|host| services.of_name_server(host));
                    let first = whose.next().flatten();
                    Ok(first.filter(|first| whose.all(|other| other.as_ref() == Some(first))))
                });
                match found {
                    Ok(Some(service)) => return Ok(Some(service.clone())),
                    Ok(None) => {}
                    Err(failure) => failed = Some(failure.clone()),
                }
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// The other organization's host that receives the bounces of a return path: only for a subdomain, since a domain's
    /// own mail is often received by others than those who send it.
    fn exchanger(&mut self, path: &str) -> KnownTarget {
        if organizational(path) == path {
            return Ok(None);
        }
        let lookup = self.lookup;
        let host = self.exchangers.entry(path.to_owned()).or_insert_with(|| {
            let first = |hosts: Vec<Mx>| hosts.into_iter().map(|mx| mx.host).find(|host| !host.is_empty());
            lookup.mx(path).and_then(first).known()
        });
        Ok(host.clone()?.filter(|host| organizational(host) != organizational(path)))
    }

    /// The other organization's domain whose included record makes an address pass. An include with a macro is not one
    /// of these: its owner may host records for its customers without sending their mail.
    fn included(&self, path: &str, address: IpAddr) -> KnownTarget {
        let evaluation = spf::check_address(self.lookup, path, address);
        match evaluation.result {
            CheckHostResult::Pass => {}
            CheckHostResult::TempError => return Err(Failure::Other(evaluation.why.unwrap_or_default())),
            _ => return Ok(None),
        }
        let foreign = |domain: &str| organizational(domain) != organizational(path);
        let includes = evaluation.path.iter().zip(evaluation.path.iter().skip(1));
        let mut plain = includes.filter(|(by, _)| !by.term.contains('%'));
        Ok(plain.find(|(_, included)| foreign(&included.domain)).map(|(_, included)| included.domain.clone()))
    }

    fn published(&self, address: IpAddr) -> Option<String> {
        let address = address.to_canonical();
        let mut of_family = self.ranges.iter().filter(|((is_v4, _), _)| *is_v4 == address.is_ipv4());
        of_family.find_map(|((_, Reverse(bits)), networks)| networks.get(&leading(address, *bits))).cloned()
    }
}

/// The names at which a separate zone with this name may begin: those below the organizational domain, whose own name
/// servers serve the whole domain.
fn zones(name: &str) -> Vec<String> {
    let own = organizational(name);
    let above = std::iter::successors(Some(name), |name| parent(name)).take_while(|zone| *zone != own);
    let mut zones: Vec<String> = above.map(str::to_owned).collect();
    zones.reverse();
    zones.truncate(ZONES);
    zones
}

/// The leading bits of an address.
fn leading(address: IpAddr, bits: u8) -> u128 {
    let (value, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32_u32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    value.checked_shr(width.saturating_sub(bits.into())).unwrap_or(0)
}

/// The ranges that an SPF record and those it includes authorize, none without a record; `None` if one of them cannot
/// be looked up. Ranges that another service publishes and this one includes belong to the other one.
pub fn expand(lookup: &dyn Lookup, services: &dyn ServiceNames, record: &str) -> Option<Vec<(IpAddr, u8)>> {
    let tree = spf::draw(lookup, record);
    let mut ranges = Vec::new();
    let whose = services.of_target(record);
    let is_its_own = |domain: &str| services.of_target(domain).is_none_or(|name| Some(name) == whose);
    let whole = authorized(&tree, &mut ranges, &is_its_own);
    ranges.truncate(RANGES);
    whole.then_some(ranges)
}

/// Adds what a record and those it includes authorize; false if one of them could not be looked up.
fn authorized(node: &Node, ranges: &mut Vec<(IpAddr, u8)>, is_its_own: &dyn Fn(&str) -> bool) -> bool {
    if let NodeState::Record(text) | NodeState::Broken(text, _) = &node.state {
        let record = SpfRecord::parse(text);
        let terms = record.directives().take_while(|(.., mechanism)| **mechanism != Mechanism::All);
        let passing = terms.filter(|(_, qualifier, _)| *qualifier == Qualifier::Pass);
        ranges.extend(passing.filter_map(|(.., mechanism)| match mechanism {
            Mechanism::Ip4(network, bits) => Some((IpAddr::V4(*network), *bits)),
            Mechanism::Ip6(network, bits) => Some((IpAddr::V6(*network), *bits)),
            _ => None,
        }));
    }
    let children = node.terms.iter().filter_map(|term| term.child.as_deref());
    children
        .filter(|child| is_its_own(&child.domain))
        .fold(!matches!(node.state, NodeState::Unknown(_)), |whole, child| {
            authorized(child, ranges, is_its_own) && whole
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::lookup::test_zone::Zone;

    struct Known;

    impl ServiceNames for Known {
        fn of_domain(&self, domain: &str) -> Option<String> {
            (domain.ends_with("mailer.example") || domain == "mailer.example").then(|| "Mailer".to_owned())
        }

        fn of_target(&self, target: &str) -> Option<String> {
            self.of_domain(target).or_else(|| (target == "spf.relay.example").then(|| "Relay".to_owned()))
        }

        fn of_name_server(&self, host: &str) -> Option<String> {
            self.of_domain(host)
        }
    }

    const ZONE: &str = "s1._domainkey.example.com CNAME s1.dkim.mailer.example\nexample.com MX 10 mx.other.example\n\
                        s2._domainkey.example.com CNAME s2.keys.example.com\ns2.keys.example.com CNAME s2.mailer.example\n\
                        loop._domainkey.example.com CNAME loop.example.com\nloop.example.com CNAME loop._domainkey.example.com\n\
                        example.com TXT v=spf1 include:_spf.erp.example -all\n_spf.erp.example TXT v=spf1 ip4:203.0.113.0/24 -all\n\
                        bounce.example.com TXT v=spf1 ip4:192.0.2.0/24 -all\nbounce.example.com MX 10 feedback.desk.example\n\
                        em.example.com CNAME u1.mailer.example\nu1.mailer.example TXT v=spf1 ip4:192.0.2.0/24 -all\n\
                        kept.example.com TXT v=spf1 include:%{i}._spf.keeper.example -all\n\
                        192.0.2.9._spf.keeper.example TXT v=spf1 ip4:192.0.2.9 -all\n\
                        203.0.113.9._spf.keeper.example TXT v=spf1 include:_spf.erp.example -all\n\
                        spf.mailer.example TXT v=spf1 include:_net.mailer.example include:spf.relay.example ip6:2001:db8:5::/48 ~all\n\
                        _net.mailer.example TXT v=spf1 ip4:198.51.100.64/27 ?ip4:192.0.2.0/24 -all\n\
                        spf.relay.example TXT v=spf1 ip4:198.51.100.96/27 -all";

    fn finder(zone: &Zone) -> OriginFinder<'_> {
        let records = [("Mailer", "spf.mailer.example"), ("Relay", "spf.relay.example"), ("None", "no.example")];
        let ranges = records.into_iter().flat_map(|(name, record)| {
            let expanded = expand(zone, &Known, record).unwrap_or_default().into_iter();
            expanded.map(move |(network, bits)| ServiceRange { network, bits, name: name.to_owned() })
        });
        OriginFinder::new(zone, &Known, ranges.collect())
    }

    fn found(address: &str, evidence: &SourceEvidence) -> Option<(String, u8)> {
        let found = finder(&Zone::new(ZONE)).find(address.parse().unwrap(), evidence);
        assert!(!found.is_unsure);
        found.proven
    }

    fn named(name: &str, rung: u8) -> (String, u8) {
        (name.to_owned(), rung)
    }

    fn words(word: &str) -> Vec<String> {
        vec![word.to_owned()]
    }

    #[test]
    fn the_strongest_proof_names_an_address() {
        let foreign = SourceEvidence {
            signed_by: words("crm.example.net"),
            returns_to: words("b.mailer.example"),
            own_paths: words("example.com"),
            ..SourceEvidence::default()
        };
        assert_eq!(found("203.0.113.7", &foreign), Some(named("Mailer", 1)), "a known service before a stranger");
        let stranger = SourceEvidence { signed_by: words("crm.example.net"), ..SourceEvidence::default() };
        assert_eq!(found("203.0.113.7", &stranger), Some(named("example.net", 1)));
        assert_eq!(found("198.51.100.70", &SourceEvidence::default()), Some(named("Mailer", 3)));
        assert_eq!(
            found("198.51.100.100", &SourceEvidence::default()),
            Some(named("Relay", 3)),
            "included by Mailer, but its own"
        );
        assert_eq!(found("2001:db8:5::1", &SourceEvidence::default()), Some(named("Mailer", 3)));
        assert_eq!(found("::ffff:198.51.100.70", &SourceEvidence::default()), Some(named("Mailer", 3)));
        assert_eq!(found("192.0.2.1", &SourceEvidence::default()), None, "neutral is no authorization");
    }

    #[test]
    fn dns_of_the_own_domain_delegates() {
        let key = |selector: &str| SourceEvidence {
            own_keys: vec![(selector.into(), "example.com".into())],
            ..SourceEvidence::default()
        };
        assert_eq!(found("192.0.2.1", &key("s1")), Some(named("Mailer", 2)));
        assert_eq!(found("192.0.2.1", &key("s2")), Some(named("Mailer", 2)), "behind an alias within the own domain");
        assert_eq!(found("192.0.2.1", &key("loop")), None);
        let path = |path: &str| SourceEvidence { own_paths: words(path), ..SourceEvidence::default() };
        assert_eq!(
            found("203.0.113.7", &path("example.com")),
            Some(named("erp.example", 2)),
            "by the include, not by its MX"
        );
        assert_eq!(found("192.0.2.7", &path("example.com")), None, "no longer authorized");
        assert_eq!(found("192.0.2.7", &path("bounce.example.com")), Some(named("desk.example", 2)));
        assert_eq!(found("192.0.2.7", &path("em.example.com")), Some(named("Mailer", 2)));
        assert_eq!(found("192.0.2.9", &path("kept.example.com")), None, "who keeps the record need not send");
        assert_eq!(found("203.0.113.9", &path("kept.example.com")), Some(named("erp.example", 2)));
    }

    #[test]
    fn a_zone_on_a_services_name_servers_is_the_services() {
        let zone = Zone::new(
            "example.com NS ns1.mailer.example\nexample.com TXT v=spf1 ip4:192.0.2.0/24 -all\n\
             em.example.com NS ns1.mailer.example\nem.example.com NS ns2.mailer.example\n\
             b.em.example.com TXT v=spf1 ip4:192.0.2.0/24 -all\n\
             s1._domainkey.em.example.com TXT v=DKIM1; p=AAAA\ns3._domainkey.example.com CNAME s3.em.example.com\n\
             s4._domainkey.example.com TXT v=DKIM1; p=AAAA\n\
             dept.example.com NS ns1.hoster.example\ndept.example.com TXT v=spf1 ip4:192.0.2.0/24 -all\n\
             both.example.com NS ns1.hoster.example\nboth.example.com NS ns1.mailer.example\n\
             both.example.com TXT v=spf1 ip4:192.0.2.0/24 -all\n\
             away.example.com SERVFAIL\nb.away.example.com TXT v=spf1 ip4:192.0.2.0/24 -all",
        );
        let mut finder = OriginFinder::new(&zone, &Known, Vec::new());
        let mut find = |evidence: &SourceEvidence| finder.find("192.0.2.7".parse().unwrap(), evidence);
        let path = |path: &str| SourceEvidence { own_paths: words(path), ..SourceEvidence::default() };
        let key = |selector: &str, domain: &str| SourceEvidence {
            own_keys: vec![(selector.into(), domain.into())],
            ..SourceEvidence::default()
        };
        assert_eq!(find(&path("b.em.example.com")).proven, Some(named("Mailer", 2)));
        assert_eq!(find(&key("s1", "em.example.com")).proven, Some(named("Mailer", 2)));
        assert_eq!(find(&key("s3", "example.com")).proven, Some(named("Mailer", 2)), "behind an alias into the zone");
        let nobody = FoundOrigin::default();
        assert_eq!(find(&key("s4", "example.com")), nobody, "who serves the whole domain need not send its mail");
        assert_eq!(find(&path("example.com")), nobody);
        assert_eq!(find(&path("dept.example.com")), nobody, "whoever hosts a zone need not send its mail");
        assert_eq!(find(&path("both.example.com")), nobody, "another one serves it, too");
        assert_eq!(find(&path("b.away.example.com")), FoundOrigin { proven: None, is_unsure: true });
    }

    #[test]
    fn a_failed_lookup_leaves_doubt_unless_something_stronger_is_proven() {
        let zone = Zone::new("s1._domainkey.example.com SERVFAIL\ns2._domainkey.example.com CNAME s2.mailer.example");
        let range = ServiceRange { network: "192.0.2.0".parse().unwrap(), bits: 24, name: "Relay".into() };
        let mut finder = OriginFinder::new(&zone, &Known, vec![range]);
        let mut find = |selectors: &[&str]| {
            let own_keys = selectors.iter().map(|selector| ((*selector).into(), "example.com".into())).collect();
            finder.find("192.0.2.1".parse().unwrap(), &SourceEvidence { own_keys, ..SourceEvidence::default() })
        };
        for _ in 0..2 {
            assert_eq!(find(&["s1"]), FoundOrigin { proven: Some(named("Relay", 3)), is_unsure: true });
        }
        assert_eq!(find(&["s1", "s2"]), FoundOrigin { proven: Some(named("Mailer", 2)), is_unsure: false });
    }

    #[test]
    fn a_record_is_expanded_to_what_it_authorizes_itself() {
        let zone = Zone::new(ZONE);
        let ranges = |record: &str| expand(&zone, &Known, record);
        let mailer = ranges("spf.mailer.example").unwrap();
        let range = |network: &str, bits| (network.parse::<IpAddr>().unwrap(), bits);
        assert_eq!(mailer, [range("2001:db8:5::", 48), range("198.51.100.64", 27)]);
        assert_eq!(ranges("no.example"), Some(Vec::new()));
        let zone = Zone::new(
            "spf.mailer.example TXT v=spf1 ip4:192.0.2.0/24 include:away.mailer.example -all\naway.mailer.example SERVFAIL",
        );
        assert_eq!(expand(&zone, &Known, "spf.mailer.example"), None, "half of it is not all");
    }
}
