//! What happens to the DKIM keys that verified the mail: kept, removed, or unknown.

use super::proposed_dns::ProposedDns;
use super::{Obstacle, SimulationRequest};
use crate::analyze::MailResults;
use crate::dns::dkim::Key;
use crate::dns::lookup::answer::{Answer, DnsQuestion, Lookup, QueryType, Txt};
use crate::dns::lookup::name;
use crate::model::{Tags, Text};
use std::collections::{BTreeMap, BTreeSet};

/// What happens to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyFate {
    Kept,
    Gone,
    Unknown(Obstacle),
}

/// What happens to all keys.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyFates {
    /// By signing domain and selector as in reports; all others are kept.
    fates: BTreeMap<(Text, Text), KeyFate>,
    /// Whether a selector is removed, in reports or not.
    removes: bool,
}

impl KeyFates {
    /// Determines the fate of all keys that verified a signature.
    pub(super) fn new<'r>(
        request: &SimulationRequest,
        (dns, below): (&ProposedDns<'_>, &dyn Lookup),
        results: impl Iterator<Item = &'r MailResults>,
    ) -> Self {
        let signatures = results.flat_map(|results| &results.signatures).filter(|signature| signature.pass);
        let used: BTreeSet<(Text, Text)> =
            signatures.map(|signature| (signature.domain.clone(), signature.selector.clone())).collect();
        let mut fates = Self { removes: !request.removed_selectors.is_empty(), ..Self::default() };
        if let Some(zone) = &request.zone {
            let base = zone.apex.as_deref().unwrap_or(&request.domain);
            let named: Vec<&(Text, Text)> = used
                .iter()
                .filter(|(domain, selector)| name::is_within(domain, base) && !selector.is_empty())
                .collect();
            let questions: Vec<DnsQuestion> = named
                .iter()
                .map(|(domain, selector)| DnsQuestion::new(&place(domain, selector), QueryType::Txt))
                .collect();
            dns.announce(&questions);
            below.announce(&questions);
            for key in named {
                fates.fates.insert(key.clone(), in_zone((dns, below), &place(&key.0, &key.1)));
            }
            // A key not named in the report is assumed to be one that others name.
            for (domain, _) in
                used.iter().filter(|(domain, selector)| name::is_within(domain, base) && selector.is_empty())
            {
                let others: Vec<&KeyFate> = fates.of_domain(domain).collect();
                let touched = zone.covers(domain) || !others.is_empty();
                if touched && (others.is_empty() || others.iter().any(|fate| **fate != KeyFate::Kept)) {
                    fates.fates.insert((domain.clone(), Text::default()), KeyFate::Unknown(Obstacle::Unsaid));
                }
            }
        }
        for (domain, selector) in used.iter().filter(|(domain, _)| **domain == request.domain) {
            let removed = request.removed_selectors.iter().any(|removed| removed.eq_ignore_ascii_case(selector));
            if removed {
                fates.fates.insert((domain.clone(), selector.clone()), KeyFate::Gone);
            } else if selector.is_empty() && !request.removed_selectors.is_empty() {
                fates.fates.insert((domain.clone(), selector.clone()), KeyFate::Unknown(Obstacle::Unsaid));
            }
        }
        fates
    }

    /// What happens to a key.
    pub(super) fn get(&self, domain: &Text, selector: &Text) -> &KeyFate {
        self.fates.get(&(domain.clone(), selector.clone())).unwrap_or(&KeyFate::Kept)
    }

    /// Whether every key is kept, even one not in any report.
    pub(super) fn are_all_kept(&self) -> bool {
        !self.removes && self.fates.values().all(|fate| *fate == KeyFate::Kept)
    }

    /// The named keys of a domain.
    fn of_domain(&self, domain: &Text) -> impl Iterator<Item = &KeyFate> {
        self.fates.iter().filter(move |((of, selector), _)| of == domain && !selector.is_empty()).map(|(_, fate)| fate)
    }
}

fn place(domain: &str, selector: &str) -> String {
    format!("{selector}._domainkey.{domain}")
}

/// What a zone file does to a key.
fn in_zone((dns, below): (&ProposedDns<'_>, &dyn Lookup), place: &str) -> KeyFate {
    if !name::is_possible(place) {
        return KeyFate::Kept;
    }
    let (proposed, touched) = dns.tracked(|dns| dns.txt(place));
    if !touched {
        return KeyFate::Kept;
    }
    let proposed = match proposed {
        Answer::Found(texts) => keys(&texts),
        Answer::NoData | Answer::NxDomain => Vec::new(),
        Answer::Failed(failure) => {
            return KeyFate::Unknown(Obstacle::LookupFailed(format!("{place} TXT: {failure}")));
        }
    };
    if proposed.is_empty() {
        return KeyFate::Gone;
    }
    match below.txt(place) {
        Answer::Found(texts) => {
            let published = keys(&texts);
            let same = published.is_empty() || published.iter().any(|key| proposed.contains(key));
            if same { KeyFate::Kept } else { KeyFate::Unknown(Obstacle::KeyReplaced(place.to_owned())) }
        }
        // The published key cannot be compared: it is enough that the file has a key.
        Answer::NoData | Answer::NxDomain | Answer::Failed(_) => KeyFate::Kept,
    }
}

/// The public keys in the valid records.
fn keys(texts: &[Txt]) -> Vec<String> {
    let texts = texts.iter().map(Txt::text).filter(|text| Key::parse(text).is_ok());
    // A verifier ignores white space in a key (RFC 6376 section 3.6.1).
    texts.map(|text| Tags::parse(&text).get("p").unwrap_or_default().split_whitespace().collect()).collect()
}
