//! Facts folded by source. In: the adder's facts. Out: one entry an address, diagnosed and sorted.

use super::{
    Adder, KnownSender, SourceSummary, Sums,
    diagnosis::Causes,
    facts::{Fact, Pattern, Reporters},
    interner::Table,
    period::date,
};
use crate::model::{Flags, Source};
use std::{cmp::Reverse, collections::BTreeSet, net::IpAddr};

/// What the facts of one source come to.
#[derive(Debug, Clone)]
pub(crate) struct SourceSums {
    pub(crate) sums: Sums,
    pub(crate) causes: Causes,
    /// Failing messages that pass something, but for another domain.
    pub(crate) unaligned: u64,
    pub(crate) reporters: Reporters,
    pub(crate) first: i32,
    pub(crate) last: i32,
    /// Whether any message passed, in the period or before it.
    pub(crate) confirmed: bool,
    /// Ids of its policy domains.
    pub(crate) domains: BTreeSet<u32>,
}

impl Default for SourceSums {
    fn default() -> Self {
        Self {
            sums: Sums::default(),
            causes: Causes::default(),
            unaligned: 0,
            reporters: Reporters::NOBODY,
            first: i32::MAX,
            last: i32::MIN,
            confirmed: false,
            domains: BTreeSet::new(),
        }
    }
}

impl SourceSums {
    /// Add a fact; one of the history only tells whether the source is older and ever passed.
    fn add(&mut self, pattern: &Pattern, fact: &Fact, unaligned: bool, asked: bool) {
        self.first = self.first.min(fact.first);
        self.last = self.last.max(fact.last);
        self.confirmed |= pattern.flags.has(Flags::PASS) && fact.messages > 0 && !pattern.unproven;
        if asked {
            self.sums.add(pattern.flags, fact.messages, fact.records);
            self.causes.add(pattern.cause, fact.messages);
            self.unaligned = self.unaligned.saturating_add(if unaligned { fact.messages } else { 0 });
            self.reporters.extend(&fact.reporters);
            self.domains.insert(pattern.domain);
        }
    }
}

/// Every source with rows in the period: most failing messages first, then most messages, then by address.
pub(crate) fn sources(adder: &Adder) -> Vec<SourceSummary> {
    let known = Known::new(adder);
    let mut folded: Table<u32, SourceSums> = Table::default();
    for ((source, pattern), fact) in &adder.facts {
        let pattern = adder.patterns.get(*pattern);
        let sums = folded.entry(*source).or_default();
        sums.add(pattern, fact, known.unaligned(pattern), pattern.window == adder.scope.asked);
        sums.confirmed |= known.holds(*adder.sources.get(*source), pattern);
    }
    folded.retain(|_, sums| sums.sums.records > 0);
    let mut sources: Vec<(Source, SourceSums)> =
        folded.into_iter().map(|(id, sums)| (*adder.sources.get(id), sums)).collect();
    sources.sort_unstable_by_key(|(source, sums)| (Reverse(sums.sums.failing()), Reverse(sums.sums.messages), *source));
    sources.into_iter().map(|(source, sums)| summarise(adder, source, &sums)).collect()
}

fn summarise(adder: &Adder, source: Source, sums: &SourceSums) -> SourceSummary {
    let address = source.address();
    let mut domains: Vec<_> = sums.domains.iter().map(|id| adder.foreign(*id)).collect();
    domains.sort_unstable();
    SourceSummary {
        source_ip: address,
        name: adder.question.names.iter().find(|(named, _)| Some(*named) == address).map(|(_, name)| name.clone()),
        sums: sums.sums,
        authenticated_unaligned: sums.unaligned,
        cause: sums.causes.diagnosis(sums.confirmed),
        reporters: sums.reporters.len() as u64,
        first_seen: date(sums.first),
        last_seen: date(sums.last),
        domains,
    }
}

/// What makes a sender known, and which raw results count as a pass.
pub(crate) struct Known<'a> {
    adder: &'a Adder,
    pass: Option<u32>,
}

impl<'a> Known<'a> {
    pub(crate) fn new(adder: &'a Adder) -> Self {
        let pass = adder.texts.items().iter().position(|word| word == "pass");
        Self { adder, pass: pass.and_then(|id| u32::try_from(id).ok()) }
    }

    /// Whether a failing row passes something, but for another domain.
    pub(crate) fn unaligned(&self, pattern: &Pattern) -> bool {
        let passes = |result: u32| Some(result) == self.pass;
        !pattern.flags.has(Flags::PASS) && (passes(pattern.dkim_result) || passes(pattern.spf_result))
    }

    /// Whether the reader named the sender: its address, or a domain that it proves.
    pub(crate) fn holds(&self, source: Source, pattern: &Pattern) -> bool {
        self.adder.question.known.iter().any(|known| match known {
            KnownSender::Network(network, bits) => {
                source.address().is_some_and(|address| within(address, *network, *bits))
            }
            KnownSender::Domain(domain) => {
                [(pattern.dkim_domain, pattern.dkim_result), (pattern.return_path, pattern.spf_result)].into_iter().any(
                    |(proven, result)| {
                        Some(result) == self.pass
                            && self.adder.texts.text(proven).is_some_and(|text| at_or_below(text, domain))
                    },
                )
            }
        })
    }
}

/// Whether an address is in a network.
fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let same_family = address.is_ipv4() == network.is_ipv4();
    let bits = u32::from(bits) + if network.is_ipv4() { 96 } else { 0 };
    let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
    same_family && (Source::from(Some(address)).0 ^ Source::from(Some(network)).0) & mask == 0
}

/// Whether a domain is another one or below it.
pub(crate) fn at_or_below(domain: &str, parent: &str) -> bool {
    domain.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_share_its_leading_bits() {
        let held =
            |address: &str, network: &str, bits| within(address.parse().unwrap(), network.parse().unwrap(), bits);
        assert!(held("192.0.2.77", "192.0.2.0", 24));
        assert!(!held("192.0.3.77", "192.0.2.0", 24));
        assert!(held("192.0.2.7", "192.0.2.7", 32));
        assert!(held("2001:db8::1", "2001:db8::", 64));
        assert!(!held("192.0.2.7", "::", 0), "an IPv6 network holds no IPv4 address");
        assert!(held("192.0.2.7", "198.51.100.1", 0));
    }

    #[test]
    fn below_a_domain_means_whole_labels() {
        assert!(at_or_below("mail.example.com", "example.com"));
        assert!(at_or_below("example.com", "example.com"));
        assert!(!at_or_below("badexample.com", "example.com"));
    }
}
