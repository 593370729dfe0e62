//! The sums with every pattern interpreted, and the text behind each ID.

use super::auth_pattern::{AuthPattern, understand};
use super::told_apart::tell_apart;
use super::weights::Weights;
use crate::analyze::sums::Messages;
use crate::analyze::sums::adder::CollectedSums;
use crate::analyze::sums::common::PatternSums;
use crate::analyze::sums::facts::Fact;
use crate::analyze::sums::interner::Interner;
use crate::analyze::sums::shards::{ShardFacts, network};
use crate::analyze::{Foreign, HostName, Network, Sums};
use crate::model::{NetworkClass, SourceAddress, Text};
use serde::Serialize;
use std::net::IpAddr;

/// Whose server an address is, and how that is proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerOrigin {
    /// The service, or the domain or network that is proven.
    pub name: Foreign,
    /// The kind of proof, see [`SourceOrigin::rung`](crate::model::SourceOrigin::rung).
    pub rung: u8,
}

/// The sums with every pattern interpreted.
pub(crate) struct View<'a> {
    pub(crate) added: &'a CollectedSums,
    patterns: Vec<AuthPattern>,
    names: Interner<Text>,
    /// The name of everything beyond the bounds.
    other: u32,
}

/// A fact with everything known about it.
#[derive(Clone, Copy)]
pub(crate) struct SourceFact<'a> {
    pub(crate) source: SourceAddress,
    pub(crate) pattern: &'a AuthPattern,
    pub(crate) fact: &'a Fact,
    /// The index of the fact in its part.
    pub(crate) at: u32,
    /// The messages that verdicts count: none of a lone reporter, repeated reports once.
    pub(crate) judged: Messages,
}

impl SourceFact<'_> {
    /// The policy domain.
    pub(crate) fn domain(&self) -> u32 {
        self.pattern.pattern.domain
    }
}

impl<'a> View<'a> {
    pub(crate) fn new(added: &'a CollectedSums) -> Self {
        let mut names = Interner::default();
        let services = &added.question.services;
        let is_service = |domain: &str| services.name(domain, "", None).is_some();
        let sums = added.common.patterns.items();
        let mut patterns: Vec<AuthPattern> =
            sums.iter().map(|sums| understand(added, sums.pattern, &mut names, is_service)).collect();
        let words = (&added.common.texts, &mut names);
        let other = tell_apart(&mut patterns, sums, words, added.common.bounds.identities);
        Self { added, patterns, names, other }
    }

    /// An interpreted pattern.
    pub(crate) fn pattern(&self, pattern: u32) -> &AuthPattern {
        &self.patterns[pattern as usize]
    }

    /// The word with an ID of the sums; empty for [`NONE`].
    pub(crate) fn word(&self, id: u32) -> &'a str {
        self.added.common.texts.text(id)
    }

    /// The text with an ID of the sums; empty for [`NONE`].
    pub(crate) fn foreign(&self, id: u32) -> Foreign {
        self.word(id).into()
    }

    /// The name of a reporter; `None` if a row has none.
    pub(crate) fn reporter(&self, id: u32) -> Option<Foreign> {
        self.added.common.reporters.items().get(id as usize).cloned().map(Foreign::from)
    }

    /// The name with an ID of a signature or return path.
    pub(crate) fn name(&self, id: u32) -> &Text {
        self.names.get(id)
    }

    /// Whether a name stands for everything beyond the bounds.
    pub(crate) fn is_other(&self, name: u32) -> bool {
        name == self.other
    }

    /// The PTR name of an address, if it was looked up.
    pub(crate) fn host(&self, address: IpAddr) -> Option<&HostName> {
        self.added.question.host(address)
    }

    /// The mail service that a signer, a return path or a confirmed host name belongs to.
    pub(crate) fn service(&self, signer: Option<u32>, path: Option<u32>, host: Option<&HostName>) -> Option<Foreign> {
        let domain = |id: Option<u32>| id.map_or("", |id| self.name(id).as_str());
        self.added.question.services.name(domain(signer), domain(path), host)
    }

    /// Whose server an address is, by the strongest proof: the signing domain and return path that its mail authenticates as,
    /// what `enrich` found, a confirmed host name.
    pub(crate) fn origin(&self, (signs_as, returns_to): (&str, &str), address: Option<IpAddr>) -> Option<ServerOrigin> {
        let question = &self.added.question;
        let of_name = |name: &str, rung| ServerOrigin { name: name.into(), rung };
        let found = || address.and_then(|address| question.origin(address));
        let host = || address.and_then(|address| self.host(address));
        let by_host = || question.services.name("", "", host()).map(|name| ServerOrigin { name, rung: 4 });
        let by_mail = question.services.signed(signs_as, returns_to).map(|name| of_name(name, 1));
        by_mail.or_else(|| found().map(|origin| of_name(&origin.name, origin.rung))).or_else(by_host)
    }

    /// What kind of network an address is in, if `enrich` found one.
    pub(crate) fn class(&self, address: IpAddr) -> Option<NetworkClass> {
        self.added.question.origin(address)?.class.as_ref().map(|class| class.class)
    }

    /// The network of an address, if a database has it.
    pub(crate) fn network(&self, address: IpAddr) -> Option<&Network> {
        self.added.question.networks.get(&address)
    }

    /// The patterns of the requested period, with their sums over all sources.
    pub(crate) fn current(&self) -> impl Iterator<Item = (&AuthPattern, &PatternSums)> {
        self.patterns.iter().zip(self.added.common.patterns.items()).filter(|(pattern, _)| pattern.current)
    }

    /// The sums by policy domain and day; of one domain, or of all.
    pub(crate) fn days(&self, domain: Option<u32>) -> impl Iterator<Item = (i32, &Sums)> {
        let (first, last) = domain.map_or((0, u32::MAX), |domain| (domain, domain));
        let days = self.added.common.days.range((first, i32::MIN)..=(last, i32::MAX));
        days.map(|((_, day), sums)| (*day, sums))
    }

    /// Whether a day is in the period asked for.
    pub(crate) fn is_current(&self, day: i32) -> bool {
        self.added.scope.window(day) == Some(self.added.scope.current)
    }

    /// The facts of a part, sorted so that those of a domain and network are together, and in them those of a source.
    pub(crate) fn items<'p>(&'p self, weights: &Weights, part: &'p ShardFacts) -> Vec<SourceFact<'p>> {
        let item = |(at, fact): (usize, &'p Fact)| {
            let at = u32::try_from(at).expect("4 billion facts do not fit into memory");
            let pattern = self.pattern(fact.pattern);
            let judged = weights.judged(&pattern.pattern, fact);
            SourceFact { source: part.sources[fact.source as usize], pattern, fact, at, judged }
        };
        let mut items: Vec<SourceFact<'p>> = part.facts.iter().enumerate().map(item).collect();
        // Addresses of a network are adjacent in this order: no need to sort by network too. The facts of a source stay
        // sorted by pattern; a stable sort would need half as much memory again.
        items.sort_unstable_by_key(|item| (item.domain(), item.source, item.at));
        items
    }
}

/// Items of one domain and network each.
pub(crate) fn by_network<'p>(items: &'p [SourceFact<'p>]) -> impl Iterator<Item = &'p [SourceFact<'p>]> {
    let place = |item: &SourceFact<'_>| (item.domain(), network(item.source));
    items.chunk_by(move |a, b| place(a) == place(b))
}

/// Items of one source each.
pub(crate) fn by_source<'p>(items: &'p [SourceFact<'p>]) -> impl Iterator<Item = &'p [SourceFact<'p>]> {
    items.chunk_by(|a, b| a.source == b.source)
}
