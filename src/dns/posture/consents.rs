//! Who agrees to receive whose reports (RFC 9990 section 4), for all domains at once: which records are missing, and who
//! has to publish them.

use crate::dns::dmarc::{self, Dmarc, Found, consent_name};
use crate::dns::lookup::answer::{Lookup, QueryType};
use crate::dns::lookup::name;
use serde::Serialize;
use std::collections::BTreeSet;

/// Receivers looked at per domain at most: reporters need not send to more than two addresses.
const RECEIVER_LIMIT: usize = 20;

/// Whether a receiver of reports says in DNS that it accepts those about a domain of another organization.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ReportConsent {
    /// Who has to publish it.
    pub publisher: ConsentPublisher,
    /// The domain of the address that the reports go to.
    pub receiver: String,
    /// The domain whose DMARC record names that address.
    pub domain: String,
    /// Where the consent is looked for, as a TXT record.
    pub name: String,
    /// Whether it is there.
    pub state: ConsentState,
}

/// Who publishes a consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsentPublisher {
    /// You: the reports come to a domain of yours.
    You,
    /// The owner of the receiving domain.
    They,
}

/// Whether a consent is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsentState {
    /// It is not: reporters send nothing.
    Missing,
    /// It could not be looked up.
    Unknown,
    /// It is.
    Published,
}

/// The consents of all checked domains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReportConsents {
    /// One for each pair of domain and receiver: yours first, by receiver and domain.
    pub consents: Vec<ReportConsent>,
    /// Domains whose DMARC record could not be looked up.
    pub unknown: Vec<String>,
}

impl ReportConsents {
    /// 2 if something could not be looked up, 1 if a consent is missing, else 0.
    pub fn exit_code(&self) -> u8 {
        let any = |state| self.consents.iter().any(|consent| consent.state == state);
        if !self.unknown.is_empty() || any(ConsentState::Unknown) { 2 } else { u8::from(any(ConsentState::Missing)) }
    }
}

/// The DMARC side of a domain, as far as consents need it.
pub fn dmarc_of(lookup: &dyn Lookup, domain: &str) -> Dmarc {
    let discovery = dmarc::discover(lookup, domain);
    Dmarc { walk: discovery.walk.ok(), list: discovery.list.ok(), ..Dmarc::default() }
}

/// Looks up the consents that the records of some domains need. `ours` are the user's domains: for any other domain,
/// only reports sent to them matter.
pub fn consents<'a>(
    lookup: &dyn Lookup,
    domains: impl IntoIterator<Item = (&'a str, &'a Dmarc)>,
    ours: &[String],
) -> ReportConsents {
    let organizations: BTreeSet<&str> = ours.iter().map(|domain| name::organizational(domain)).collect();
    let is_ours = |domain: &str| organizations.contains(name::organizational(domain));
    let mut fleet = ReportConsents::default();
    let mut pairs: BTreeSet<(ConsentPublisher, String, String)> = BTreeSet::new();
    for (domain, dmarc) in domains {
        match dmarc.record() {
            Some(found) => {
                for receiver in receivers(found) {
                    let publisher = if is_ours(receiver) { ConsentPublisher::You } else { ConsentPublisher::They };
                    if publisher == ConsentPublisher::You || is_ours(domain) {
                        pairs.insert((publisher, receiver.to_owned(), found.domain.clone()));
                    }
                }
            }
            None if dmarc.walk.is_none() || dmarc.list.is_none() => fleet.unknown.push(domain.to_owned()),
            None => {}
        }
    }
    lookup.announce_each(pairs.iter().map(|(_, receiver, domain)| consent_name(domain, receiver)), &[QueryType::Txt]);
    fleet.consents = pairs
        .into_iter()
        .map(|(publisher, receiver, domain)| {
            let name = consent_name(&domain, &receiver);
            let state = match dmarc::has_consent(lookup, &domain, &receiver) {
                Ok(true) => ConsentState::Published,
                Ok(false) => ConsentState::Missing,
                Err(_) => ConsentState::Unknown,
            };
            ReportConsent { publisher, receiver, domain, name, state }
        })
        .collect();
    fleet
}

/// The domains of other organizations that a record sends reports to.
pub(super) fn receivers(found: &Found) -> impl Iterator<Item = &str> {
    let targets = found.record.rua.iter().chain(&found.record.ruf);
    let hosts = targets.filter_map(|target| target.host.as_deref());
    hosts.filter(|host| name::organizational(host) != name::organizational(&found.domain)).take(RECEIVER_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::lookup::test_zone::Zone;

    fn told(zone: &str, domains: &[&str], ours: &[&str]) -> (Vec<String>, Vec<String>, u8) {
        let zone = Zone::new(zone);
        let found: Vec<(&str, Dmarc)> = domains.iter().map(|domain| (*domain, dmarc_of(&zone, domain))).collect();
        let ours: Vec<String> = ours.iter().map(|domain| (*domain).to_owned()).collect();
        let fleet = consents(&zone, found.iter().map(|(domain, dmarc)| (*domain, dmarc)), &ours);
        let line = |consent: &ReportConsent| {
            format!("{:?} {} {} {:?}", consent.publisher, consent.receiver, consent.domain, consent.state)
        };
        (fleet.consents.iter().map(line).collect(), fleet.unknown.clone(), fleet.exit_code())
    }

    const ZONE: &str = "_dmarc.example.com TXT v=DMARC1; p=none; rua=mailto:d@rua.example.net,mailto:d@example.com\n\
                        _dmarc.example.org TXT v=DMARC1; p=none; rua=mailto:d@mx.example.com\n\
                        _dmarc.other.example TXT v=DMARC1; p=none; rua=mailto:d@example.com,mailto:d@rua.example.net\n\
                        _dmarc.away.example TIMEOUT\n\
                        example.com._report._dmarc.rua.example.net TXT v=DMARC1\n\
                        other.example._report._dmarc.example.com TXT something else\n\
                        example.org._report._dmarc.mx.example.com TIMEOUT";

    #[test]
    fn consents_are_found_in_both_directions_and_those_of_others_are_ignored() {
        let all = ["example.com", "mail.example.com", "example.org", "other.example"];
        let (consents, unknown, code) = told(ZONE, &all, &["example.com", "example.org"]);
        assert_eq!(
            consents,
            [
                "You example.com other.example Missing",
                "You mx.example.com example.org Unknown",
                "They rua.example.net example.com Published",
            ]
        );
        assert_eq!((unknown.len(), code), (0, 2));
    }

    #[test]
    fn the_exit_code_tells_missing_from_unknown() {
        assert_eq!(told(ZONE, &["other.example"], &["example.com"]).2, 1);
        assert_eq!(told(ZONE, &["example.com"], &["example.com"]).2, 0);
        let (none, unknown, code) = told(ZONE, &["away.example"], &["example.com"]);
        assert_eq!((none.len(), unknown.as_slice(), code), (0, &["away.example".to_owned()][..], 2));
    }
}
