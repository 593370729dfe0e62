//! The include and redirect tree of a domain's SPF record, seen without a particular mail.
//!
//! Has every record with its terms, the lookups each costs, and its errors. The counts are the worst case: a mail that
//! no term matches.

use super::evaluate::records_of;
use super::macros::MacroString;
use super::record::{Mechanism, SpfRecord, Term, TermKind};
use crate::dns::lookup::answer::{Answer, DnsQuestion, Failure, Lookup, QueryType};
use serde::Serialize;

/// Records drawn at most: a larger tree is far beyond every limit.
const NODE_LIMIT: usize = 80;

/// The record of one domain, and what it leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// The domain of the record.
    pub domain: String,
    /// What was found.
    pub state: NodeState,
    /// The terms up to the first `all`, in order.
    pub terms: Vec<TermNode>,
    /// Lookups, here and below.
    pub lookups: usize,
    /// Lookups that find nothing for any mail, here and below.
    pub voids: usize,
}

/// What was found for a domain in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// One valid record.
    Record(String),
    /// A record with an error: the first one.
    Broken(String, String),
    /// No record.
    None,
    /// More than one.
    Several(Vec<String>),
    /// The domain occurs above in the tree.
    Loop,
    /// It could not be looked up.
    #[serde(serialize_with = "as_text")]
    Unknown(Failure),
    /// Not followed: the tree is too big.
    Cut,
}

fn as_text<S: serde::Serializer>(failure: &Failure, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(failure)
}

/// A term in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TermNode {
    /// As written.
    pub text: String,
    /// Whether it counts toward the ten lookups.
    pub looks_up: bool,
    /// What it resolves to today.
    #[serde(skip_serializing_if = "TermFact::is_nothing")]
    pub fact: TermFact,
    /// The record it leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child: Option<Box<Node>>,
}

/// What a term resolves to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TermFact {
    /// Nothing to say.
    Nothing,
    /// Its addresses.
    Addresses(Vec<std::net::IpAddr>),
    /// This name, which has no address or no MX.
    Dead(String),
    /// An `mx` term with this many hosts.
    TooManyHosts(usize),
    /// It depends on the mail.
    Dynamic,
    /// It could not be looked up.
    #[serde(serialize_with = "as_text_of_three")]
    Unknown(String, QueryType, Failure),
}

impl TermNode {
    /// Whether the term is `redirect=`.
    pub(in crate::dns) fn is_redirect(&self) -> bool {
        self.text.to_ascii_lowercase().starts_with("redirect=")
    }
}

impl TermFact {
    const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

fn as_text_of_three<S: serde::Serializer>(
    name: &str,
    kind: &QueryType,
    failure: &Failure,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{name} {kind}: {failure}"))
}

/// Draws the tree of a domain.
pub(crate) fn draw(lookup: &dyn Lookup, domain: &str) -> Node {
    let mut printer = TreePrinter { lookup, above: Vec::new(), drawn: 0 };
    printer.node(domain)
}

struct TreePrinter<'a> {
    lookup: &'a dyn Lookup,
    above: Vec<String>,
    drawn: usize,
}

impl TreePrinter<'_> {
    fn node(&mut self, domain: &str) -> Node {
        let bare = |state| Node { domain: domain.to_owned(), state, terms: Vec::new(), lookups: 0, voids: 0 };
        if self.above.iter().any(|above| above == domain) {
            return bare(NodeState::Loop);
        }
        self.drawn += 1;
        if self.drawn > NODE_LIMIT {
            return bare(NodeState::Cut);
        }
        let text = match records_of(self.lookup, domain) {
            Answer::Found(records) => match <[String; 1]>::try_from(records) {
                Ok([text]) => text,
                Err(records) => return bare(NodeState::Several(records)),
            },
            Answer::NoData | Answer::NxDomain => return bare(NodeState::None),
            Answer::Failed(failure) => return bare(NodeState::Unknown(failure)),
        };
        let record = SpfRecord::parse(&text);
        let mut node = bare(match record.errors.first() {
            Some(error) => NodeState::Broken(text, error.to_string()),
            None => NodeState::Record(text),
        });
        self.above.push(domain.to_owned());
        self.announce(&record, domain);
        for term in &record.terms {
            self.term(term, &record, domain, &mut node);
            if matches!(&term.kind, TermKind::Directive(_, Mechanism::All)) {
                break;
            }
        }
        self.above.pop();
        node
    }

    fn term(&mut self, term: &Term, record: &SpfRecord, domain: &str, node: &mut Node) {
        let mut drawn = TermNode { text: term.text.clone(), looks_up: false, fact: TermFact::Nothing, child: None };
        match &term.kind {
            TermKind::Directive(_, mechanism) => {
                drawn.looks_up = mechanism.looks_up();
                match mechanism {
                    Mechanism::Include(target) => self.follow(target, domain, &mut drawn),
                    Mechanism::A(target, _) => drawn.fact = self.address_fact(target.as_ref(), domain),
                    Mechanism::Mx(target, _) => drawn.fact = self.mx_fact(target.as_ref(), domain, node),
                    Mechanism::Exists(target) => drawn.fact = self.address_fact(Some(target), domain),
                    Mechanism::Ptr(_) => drawn.fact = TermFact::Dynamic,
                    _ => {}
                }
            }
            TermKind::Redirect(target) if record.all().is_none() => {
                drawn.looks_up = true;
                self.follow(target, domain, &mut drawn);
            }
            _ => {}
        }
        node.lookups += usize::from(drawn.looks_up) + drawn.child.as_ref().map_or(0, |child| child.lookups);
        node.voids += usize::from(matches!(drawn.fact, TermFact::Dead(_)));
        node.voids += drawn.child.as_ref().map_or(0, |child| child.voids);
        node.terms.push(drawn);
    }

    fn follow(&mut self, target: &MacroString, domain: &str, drawn: &mut TermNode) {
        match known(target, domain) {
            Some(target) => drawn.child = Some(Box::new(self.node(&target))),
            None => drawn.fact = TermFact::Dynamic,
        }
    }

    fn address_fact(&self, target: Option<&MacroString>, domain: &str) -> TermFact {
        known_or_own(target, domain).map_or(TermFact::Dynamic, |host| self.addresses_of(&host))
    }

    fn addresses_of(&self, host: &str) -> TermFact {
        match self.lookup.all_addresses(host) {
            Answer::Found(addresses) => TermFact::Addresses(addresses),
            Answer::NoData | Answer::NxDomain => TermFact::Dead(host.to_owned()),
            Answer::Failed(failure) => TermFact::Unknown(host.to_owned(), QueryType::A, failure),
        }
    }

    fn mx_fact(&self, target: Option<&MacroString>, domain: &str, node: &mut Node) -> TermFact {
        let Some(host) = known_or_own(target, domain) else { return TermFact::Dynamic };
        let hosts = match self.lookup.mx(&host) {
            Answer::Found(hosts) => hosts,
            Answer::NoData | Answer::NxDomain => return TermFact::Dead(host),
            Answer::Failed(failure) => return TermFact::Unknown(host, QueryType::Mx, failure),
        };
        if hosts.len() > super::evaluate::HOST_LIMIT {
            return TermFact::TooManyHosts(hosts.len());
        }
        self.lookup.announce_each(hosts.iter().map(|mx| &mx.host), &[QueryType::A, QueryType::Aaaa]);
        let mut addresses = Vec::new();
        for mx in &hosts {
            match self.addresses_of(&mx.host) {
                TermFact::Addresses(some) => addresses.extend(some),
                TermFact::Dead(_) => node.voids += 1,
                unknown => return unknown,
            }
        }
        if addresses.is_empty() {
            node.voids -= 1;
            return TermFact::Dead(host);
        }
        TermFact::Addresses(addresses)
    }

    /// Announces everything that this record refers to, so that it is looked up in parallel.
    fn announce(&self, record: &SpfRecord, domain: &str) {
        let mut questions = Vec::new();
        for (_, _, mechanism) in record.directives() {
            let target = match mechanism {
                Mechanism::Include(target) | Mechanism::Exists(target) => known(target, domain),
                Mechanism::A(target, _) | Mechanism::Mx(target, _) => known_or_own(target.as_ref(), domain),
                _ => None,
            };
            let kinds: &[QueryType] = match mechanism {
                Mechanism::Include(_) => &[QueryType::Txt],
                Mechanism::Mx(..) => &[QueryType::Mx],
                _ => &[QueryType::A, QueryType::Aaaa],
            };
            questions.extend(target.iter().flat_map(|target| kinds.iter().map(|kind| DnsQuestion::new(target, *kind))));
        }
        self.lookup.announce(&questions);
    }
}

/// The name a term refers to, if it does not depend on the mail.
pub(super) fn known(target: &MacroString, domain: &str) -> Option<String> {
    target.for_domain(domain).map(|name| name.strip_suffix('.').unwrap_or(&name).to_ascii_lowercase())
}

/// The name a term refers to: the domain itself if the term names none.
fn known_or_own(target: Option<&MacroString>, domain: &str) -> Option<String> {
    target.map_or_else(|| Some(domain.to_owned()), |target| known(target, domain))
}
