//! What a pattern says in the terms of the diagnosis: whose signature, whose return path, what the receiver declared. In:
//! the patterns, each looked at once. Out: a [`Shape`] a pattern.

use super::{
    Foreign, HostName, KnownSender, Network, Sums, adder::Added, common::PatternSums, facts::Pattern, groups::Item,
};
use crate::model::{Flags, Source, Text};
use std::net::IpAddr;

/// The deciding signature of some mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signed {
    /// None.
    No,
    /// By the same organization, and it verifies.
    OwnPass,
    /// By the same organization, and it does not.
    OwnBroken,
    /// By another one, and it verifies.
    OtherPass,
    /// By another one, and it does not.
    OtherBroken,
}

/// The return path of some mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    /// Not said.
    Unsaid,
    /// The same organization's, and SPF passes.
    OwnPass,
    /// The same organization's, and the address is not authorized.
    OwnFail,
    /// The same organization's, and its record cannot be evaluated.
    OwnError,
    /// Another one's, and SPF passes.
    OtherPass,
    /// Another one's, and SPF does not pass.
    OtherFail,
}

/// What the receiver says the mail was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declared {
    Nothing,
    /// Forwarded, or from a forwarder it trusts, or its ARC chain passes.
    Forwarded,
    /// From a mailing list.
    List,
}

/// A pattern, understood.
#[expect(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) pattern: Pattern,
    /// It is of the period asked for, not of the history.
    pub(crate) asked: bool,
    pub(crate) passes: bool,
    pub(crate) signed: Signed,
    pub(crate) path: Path,
    pub(crate) declared: Declared,
    /// Fails, but passes something for another domain.
    pub(crate) unaligned: bool,
    /// The receiver put it aside or refused it.
    pub(crate) stopped: bool,
    /// The organization that signs, where the signature verifies.
    pub(crate) signer: Option<Text>,
    /// The organization of the return path, where SPF passes.
    pub(crate) returns_to: Option<Text>,
}

/// The sums with every pattern understood.
pub(crate) struct View<'a> {
    pub(crate) added: &'a Added,
    shapes: Vec<Shape>,
}

impl<'a> View<'a> {
    pub(crate) fn new(added: &'a Added) -> Self {
        let patterns = added.common.patterns.items();
        Self { added, shapes: patterns.iter().map(|sums| shape(added, sums.pattern)).collect() }
    }

    /// A pattern's shape.
    pub(crate) fn shape(&self, pattern: u32) -> &Shape {
        &self.shapes[pattern as usize]
    }

    /// The word of an id, empty for a null.
    pub(crate) fn word(&self, id: u32) -> &'a str {
        self.added.common.texts.text(id).map_or("", Text::as_str)
    }

    /// The stranger's text of an id, empty for a null.
    pub(crate) fn foreign(&self, id: u32) -> Foreign {
        self.word(id).into()
    }

    /// The name of an address, where somebody looked it up.
    pub(crate) fn name(&self, address: IpAddr) -> Option<&HostName> {
        self.added.question.names.get(&address)
    }

    /// The network of an address, where a database knows it.
    pub(crate) fn network(&self, address: IpAddr) -> Option<&Network> {
        self.added.question.networks.get(&address)
    }

    /// The patterns of the period asked for, with their sums over all sources.
    pub(crate) fn asked(&self) -> impl Iterator<Item = (&Shape, &PatternSums)> {
        self.shapes.iter().zip(self.added.common.patterns.items()).filter(|(shape, _)| shape.asked)
    }

    /// Every fact whose pattern is wanted, in no order.
    pub(crate) fn facts(&self, wanted: impl Fn(&Shape) -> bool) -> impl Iterator<Item = Item<'_>> {
        let wanted: Vec<bool> = self.shapes.iter().map(wanted).collect();
        let facts = self.added.facts.iter().flat_map(|part| part.facts.iter().map(move |fact| (part, fact)));
        facts.filter(move |(_, fact)| wanted[fact.pattern() as usize]).map(|(part, fact)| Item::new(self, part, fact))
    }

    /// The sums by policy domain and day; of one domain, or of all.
    pub(crate) fn days(&self, domain: Option<u32>) -> impl Iterator<Item = (i32, &Sums)> {
        let (first, last) = domain.map_or((0, u32::MAX), |domain| (domain, domain));
        let days = self.added.common.days.range((first, i32::MIN)..=(last, i32::MAX));
        days.map(|((_, day), sums)| (*day, sums))
    }

    /// Whether a day is in the period asked for.
    pub(crate) fn is_asked(&self, day: i32) -> bool {
        self.added.scope.window(day) == Some(self.added.scope.asked)
    }

    /// Whether the reader named the sender: its address, or a domain that it proves.
    pub(crate) fn is_known(&self, source: Source, shape: &Shape) -> bool {
        self.added.question.known.iter().any(|known| match known {
            KnownSender::Network(network, bits) => {
                source.address().is_some_and(|address| within(address, *network, *bits))
            }
            KnownSender::Domain(domain) => {
                let pattern = &shape.pattern;
                let proves = |proven: bool, id: u32| proven && at_or_below(self.word(id), domain);
                proves(shape.signer.is_some(), pattern.dkim_domain)
                    || proves(shape.returns_to.is_some(), pattern.return_path)
            }
        })
    }
}

fn shape(added: &Added, pattern: Pattern) -> Shape {
    let word = |id: u32| added.common.texts.text(id).map_or("", Text::as_str);
    let own = organization(if word(pattern.header_from).is_empty() {
        word(pattern.domain)
    } else {
        word(pattern.header_from)
    });
    let (signer, returns_to) = (organization(word(pattern.dkim_domain)), organization(word(pattern.return_path)));
    let (dkim, spf) = (word(pattern.dkim_result), word(pattern.spf_result));
    let passes = pattern.flags.has(Flags::PASS);
    Shape {
        pattern,
        asked: pattern.window == added.scope.asked,
        passes,
        signed: signed(signer, own, dkim),
        path: path(returns_to, own, spf),
        declared: declared(word(pattern.reason)),
        unaligned: !passes && (dkim == "pass" || spf == "pass"),
        stopped: matches!(word(pattern.disposition), "quarantine" | "reject"),
        signer: (dkim == "pass" && !signer.is_empty()).then(|| signer.into()),
        returns_to: (spf == "pass" && !returns_to.is_empty()).then(|| returns_to.into()),
    }
}

fn signed(signer: &str, own: &str, result: &str) -> Signed {
    match (signer.is_empty(), signer == own, result) {
        // A temporary error says nothing of the signature.
        (true, ..) | (_, _, "" | "none" | "temperror") => Signed::No,
        (_, true, "pass") => Signed::OwnPass,
        (_, true, _) => Signed::OwnBroken,
        (_, false, "pass") => Signed::OtherPass,
        (_, false, _) => Signed::OtherBroken,
    }
}

fn path(returns_to: &str, own: &str, result: &str) -> Path {
    match (returns_to.is_empty(), returns_to == own, result) {
        (true, ..) | (_, _, "" | "temperror") => Path::Unsaid,
        (_, true, "pass") => Path::OwnPass,
        (_, true, "permerror") => Path::OwnError,
        (_, true, _) => Path::OwnFail,
        (_, false, "pass") => Path::OtherPass,
        (_, false, _) => Path::OtherFail,
    }
}

/// An override reason is a weak word for legitimacy, but a good one for the way a mail took (STANDARDS.md 3.4).
fn declared(reason: &str) -> Declared {
    if reason.starts_with("mailing_list") {
        Declared::List
    } else if reason.starts_with("forwarded") || reason.starts_with("trusted_forwarder") || reason.contains("arc=pass")
    {
        Declared::Forwarded
    } else {
        Declared::Nothing
    }
}

/// The organizational domain of a canonical one (Public Suffix List).
pub(crate) fn organization(domain: &str) -> &str {
    psl::domain_str(domain).unwrap_or(domain)
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

    #[test]
    fn whose_a_signature_is_goes_by_the_organization() {
        assert_eq!(signed(organization("mail.example.com"), "example.com", "pass"), Signed::OwnPass);
        assert_eq!(signed("example.com", "example.com", "permerror"), Signed::OwnBroken);
        assert_eq!(signed("example.com", "example.com", "temperror"), Signed::No);
        assert_eq!(signed(organization("s.esp.example"), "example.com", "pass"), Signed::OtherPass);
        assert_eq!(path(organization("bounce.example.com"), "example.com", "softfail"), Path::OwnFail);
    }

    #[test]
    fn the_receivers_reason_tells_the_way() {
        assert_eq!(declared("forwarded"), Declared::Forwarded);
        assert_eq!(declared("local_policy arc=pass"), Declared::Forwarded);
        assert_eq!(declared("mailing_list"), Declared::List);
        assert_eq!(declared("local_policy"), Declared::Nothing);
    }
}
