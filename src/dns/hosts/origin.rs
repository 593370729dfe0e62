//! Names a source address by what its mail proves and what DNS delegates.
//!
//! Only what passes proves anything: a signature that does not verify can name any domain.

use crate::dns::finding::Notes;
use crate::dns::lookup::answer::Lookup;
use crate::dns::lookup::name::organizational;
use crate::dns::spf::{self, CheckHostResult, Mechanism, Node, NodeState, Qualifier, SpfInput, SpfRecord};
use crate::model::SourceOrigin;
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
    /// The service that a domain belongs to.
    fn of_domain(&self, domain: &str) -> Option<String>;
    /// Services and the SPF record that their customers include.
    fn includes(&self) -> Vec<(String, String)>;
}

/// Names addresses; looks everything up once.
pub struct OriginFinder<'a> {
    lookup: &'a dyn Lookup,
    services: &'a dyn ServiceNames,
    aliases: BTreeMap<String, Option<String>>,
    exchangers: BTreeMap<String, Option<String>>,
    ranges: Option<Vec<(Mechanism, String)>>,
}

impl<'a> OriginFinder<'a> {
    /// A new finder.
    pub fn new(lookup: &'a dyn Lookup, services: &'a dyn ServiceNames) -> Self {
        Self { lookup, services, aliases: BTreeMap::new(), exchangers: BTreeMap::new(), ranges: None }
    }

    /// The origin of an address by proofs 1 to 3; `None` if nothing proves one.
    pub fn find(&mut self, address: IpAddr, evidence: &SourceEvidence) -> Option<SourceOrigin> {
        self.foreign(evidence)
            .map(|name| SourceOrigin { name, rung: 1 })
            .or_else(|| self.delegated(address, evidence).map(|name| SourceOrigin { name, rung: 2 }))
            .or_else(|| self.published(address).map(|name| SourceOrigin { name, rung: 3 }))
    }

    /// The name of a domain: its service, else its organizational domain.
    fn called(&self, domain: &str) -> String {
        self.services.of_domain(domain).unwrap_or_else(|| organizational(domain).to_owned())
    }

    fn foreign(&self, evidence: &SourceEvidence) -> Option<String> {
        let domains = || evidence.signed_by.iter().chain(&evidence.returns_to);
        let known = domains().find_map(|domain| self.services.of_domain(domain));
        known.or_else(|| domains().next().map(|domain| self.called(domain)))
    }

    fn delegated(&mut self, address: IpAddr, evidence: &SourceEvidence) -> Option<String> {
        for (selector, domain) in &evidence.own_keys {
            if let Some(target) = self.alias(&format!("{selector}._domainkey.{domain}"), domain) {
                return Some(self.called(&target));
            }
        }
        for path in &evidence.own_paths {
            if let Some(target) = self.alias(path, path).or_else(|| self.exchanger(path)) {
                return Some(self.called(&target));
            }
            if let Some(included) = self.included(path, address) {
                return Some(self.called(&included));
            }
        }
        None
    }

    /// The other organization's name that a name is an alias of.
    fn alias(&mut self, name: &str, domain: &str) -> Option<String> {
        let lookup = self.lookup;
        let target = self.aliases.entry(name.to_owned()).or_insert_with(|| lookup.cname(name).found());
        target.clone().filter(|target| organizational(target) != organizational(domain))
    }

    /// The other organization's host that receives the bounces of a return path: only for a subdomain, since a domain's
    /// own mail is often received by others than those who send it.
    fn exchanger(&mut self, path: &str) -> Option<String> {
        if organizational(path) == path {
            return None;
        }
        let lookup = self.lookup;
        let host = self.exchangers.entry(path.to_owned()).or_insert_with(|| {
            lookup.mx(path).found().and_then(|hosts| hosts.into_iter().map(|mx| mx.host).find(|host| !host.is_empty()))
        });
        host.clone().filter(|host| organizational(host) != organizational(path))
    }

    /// The other organization's domain whose included record makes an address pass.
    fn included(&self, path: &str, address: IpAddr) -> Option<String> {
        let sender = format!("postmaster@{path}");
        let evaluation = spf::check_host(self.lookup, path, &SpfInput { ip: address, sender: &sender, helo: path });
        let passes = evaluation.result == CheckHostResult::Pass;
        let mut records = evaluation.path.into_iter().filter(|_| passes).map(|step| step.domain);
        records.find(|domain| organizational(domain) != organizational(path))
    }

    fn published(&mut self, address: IpAddr) -> Option<String> {
        if self.ranges.is_none() {
            let mut ranges = Vec::new();
            for (name, include) in self.services.includes() {
                if let Some(tree) = spf::check(self.lookup, &include, &mut Notes::default()).tree {
                    authorized(&tree, &name, &mut ranges);
                }
            }
            self.ranges = Some(ranges);
        }
        let (address, ranges) = (address.to_canonical(), self.ranges.as_ref()?);
        ranges.iter().find(|(range, _)| range.is_range_of(address)).map(|(_, name)| name.clone())
    }
}

/// The ranges that a record and those it includes authorize.
fn authorized(node: &Node, name: &str, ranges: &mut Vec<(Mechanism, String)>) {
    if let NodeState::Record(text) | NodeState::Broken(text, _) = &node.state {
        let record = SpfRecord::parse(text);
        let passes = record.directives().take_while(|(.., mechanism)| **mechanism != Mechanism::All);
        let is_range = |mechanism: &Mechanism| matches!(mechanism, Mechanism::Ip4(..) | Mechanism::Ip6(..));
        let passing = passes.filter(|(_, qualifier, mechanism)| *qualifier == Qualifier::Pass && is_range(mechanism));
        ranges.extend(passing.map(|(.., range)| (range.clone(), name.to_owned())));
    }
    node.terms.iter().filter_map(|term| term.child.as_deref()).for_each(|child| authorized(child, name, ranges));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::lookup::zone::Zone;

    struct Known;

    impl ServiceNames for Known {
        fn of_domain(&self, domain: &str) -> Option<String> {
            (domain.ends_with("mailer.example") || domain == "mailer.example").then(|| "Mailer".to_owned())
        }

        fn includes(&self) -> Vec<(String, String)> {
            vec![("Mailer".into(), "spf.mailer.example".into())]
        }
    }

    const ZONE: &str = "s1._domainkey.example.com CNAME s1.dkim.mailer.example\nexample.com MX 10 mx.other.example\n\
                        example.com TXT v=spf1 include:_spf.erp.example -all\n_spf.erp.example TXT v=spf1 ip4:203.0.113.0/24 -all\n\
                        bounce.example.com TXT v=spf1 ip4:192.0.2.0/24 -all\nbounce.example.com MX 10 feedback.desk.example\n\
                        spf.mailer.example TXT v=spf1 include:_net.mailer.example ~all\n_net.mailer.example TXT v=spf1 ip4:198.51.100.64/27 -all";

    fn found(address: &str, evidence: &SourceEvidence) -> Option<(String, u8)> {
        let zone = Zone::new(ZONE);
        let origin = OriginFinder::new(&zone, &Known).find(address.parse().unwrap(), evidence)?;
        Some((origin.name, origin.rung))
    }

    fn named(name: &str, rung: u8) -> (String, u8) {
        (name.to_owned(), rung)
    }

    #[test]
    fn the_strongest_proof_names_an_address() {
        let words = |word: &str| vec![word.to_owned()];
        let foreign = SourceEvidence {
            signed_by: words("crm.example.net"),
            returns_to: words("b.mailer.example"),
            own_paths: words("example.com"),
            ..SourceEvidence::default()
        };
        assert_eq!(found("203.0.113.7", &foreign), Some(named("Mailer", 1)), "a known service before a stranger");
        let key = SourceEvidence { own_keys: vec![("s1".into(), "example.com".into())], ..SourceEvidence::default() };
        assert_eq!(found("192.0.2.1", &key), Some(named("Mailer", 2)));
        let own = SourceEvidence { own_paths: words("example.com"), ..SourceEvidence::default() };
        assert_eq!(
            found("203.0.113.7", &own),
            Some(named("erp.example", 2)),
            "by the include, not by who receives its mail"
        );
        assert_eq!(found("192.0.2.7", &own), None, "no longer authorized");
        let bounce = SourceEvidence { own_paths: words("bounce.example.com"), ..SourceEvidence::default() };
        assert_eq!(found("192.0.2.7", &bounce), Some(named("desk.example", 2)));
        assert_eq!(found("198.51.100.70", &SourceEvidence::default()), Some(named("Mailer", 3)));
        assert_eq!(found("198.51.100.100", &SourceEvidence::default()), None);
    }
}
