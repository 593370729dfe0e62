//! Checks a domain's SPF record. Only the domain's own record is judged for style; the records it includes only for
//! what breaks or opens it. `proposals` decides which record to publish instead.

use super::evaluate::{HOST_LIMIT, LOOKUP_LIMIT, VOID_LIMIT};
use super::record::{Mechanism, Qualifier, SpfRecord, TermKind, is_spf};
use super::tree::{self, Node, NodeState, TermFact};
use crate::dns::finding as codes;
use crate::dns::finding::{CheckFinding, Notes};
use crate::dns::lookup::answer::{Lookup, QueryType};
use crate::dns::tags::quoting_fault;
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Number of lookups from which on a record is near the limit.
const NEAR_LIMIT: usize = 8;
/// The longest record that leaves room in a UDP answer (RFC 7208 section 3.4).
const LONG: usize = 450;

/// The SPF side of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spf {
    /// The records at the domain, as published.
    pub records: Vec<String>,
    /// The include and redirect tree, if there is exactly one record.
    pub tree: Option<Node>,
    /// The result for a host that no term matches.
    pub others: Option<super::CheckHostResult>,
}

/// Checks the record of a domain.
pub fn check(lookup: &dyn Lookup, domain: &str, notes: &mut Notes) -> Spf {
    let mut spf = Spf { records: Vec::new(), tree: None, others: None };
    let texts = match lookup.texts(domain).known() {
        Ok(texts) => texts.unwrap_or_default(),
        Err(failure) => {
            notes.unknown(domain, QueryType::Txt, &failure);
            return spf;
        }
    };
    spf.records = texts.iter().filter(|text| is_spf(text)).cloned().collect();
    let near: Vec<&String> = texts.iter().filter(|text| looks_like_spf(text)).collect();
    for text in &near {
        notes.add(not_recognized(domain, text));
    }
    let old = lookup.old_spf(domain).found().unwrap_or_default();
    match spf.records.as_slice() {
        [] if !near.is_empty() => {}
        [] if !old.is_empty() => notes.find(
            &codes::SPF_OLD_ONLY,
            format!("{domain} SPF (type 99)"),
            format!("Publish the SPF record as TXT: {domain} has one only of the old SPF type."),
        ),
        [] => notes.find(
            &codes::SPF_MISSING,
            format!("{domain} TXT"),
            format!("Publish an SPF record at {domain}: there is none."),
        ),
        [record] => {
            if !old.is_empty() {
                notes.find(
                    &codes::SPF_OLD,
                    format!("{domain} SPF (type 99)"),
                    "Remove the record of the old SPF type; the TXT record is enough.",
                );
            }
            let tree = tree::draw(lookup, domain);
            own_record(lookup, domain, &SpfRecord::parse(record), notes);
            whole_tree(domain, &tree, notes);
            spf.others = others(&tree);
            spf.tree = Some(tree);
        }
        several => {
            let list: Vec<String> = several.iter().map(|text| format!("`{text}`")).collect();
            let text = format!("Join these {} records into one: {}.", several.len(), list.join(", "));
            notes.find(&codes::SPF_SEVERAL, format!("{domain} TXT"), text);
        }
    }
    spf
}

/// Text that was meant as an SPF record but is not one.
pub(in crate::dns) fn looks_like_spf(text: &str) -> bool {
    let bare: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '\u{201c}' | '\u{201d}'))
        .take(8)
        .collect();
    let bare = bare.to_ascii_lowercase();
    !is_spf(text) && ["v=spf1", "spf1", "v:spf1", "v=spf-1"].iter().any(|start| bare.starts_with(start))
}

fn not_recognized(domain: &str, text: &str) -> CheckFinding {
    let why = match quoting_fault(text) {
        Some(fault) => fault,
        None if text.starts_with(char::is_whitespace) => "there is a space before it",
        None => "it does not begin with `v=spf1 `",
    };
    let text = format!("Correct this record: `{text}`. Receivers do not recognize it as SPF because {why}.");
    CheckFinding::new(&codes::SPF_NEAR, format!("{domain} TXT"), text)
}

/// Judges the style of the domain's own record.
fn own_record(lookup: &dyn Lookup, domain: &str, record: &SpfRecord, notes: &mut Notes) {
    let place = format!("{domain} TXT");
    for error in &record.errors {
        notes.find(&codes::SPF_SYNTAX, &place, format!("Correct {error}."));
    }
    if let Some(fault) = quoting_fault(&record.text).filter(|_| record.errors.is_empty()) {
        notes.find(&codes::SPF_SYNTAX, &place, format!("Remove the marks from the record: {fault}."));
    }
    if record.text.len() > LONG {
        notes.find(&codes::SPF_LONG, &place, format!("Shorten the record: it has {} bytes.", record.text.len()));
    }
    all_and_redirect(domain, record, notes);
    for (index, (term, _, mechanism)) in record.directives().enumerate() {
        let place = format!("{place}, `{}`", term.text);
        let earlier = record.directives().take(index).any(|(other, _, _)| other.text.eq_ignore_ascii_case(&term.text));
        if earlier && *mechanism != Mechanism::All {
            notes.find(&codes::SPF_REPEATED, &place, format!("Remove the second `{}`.", term.text));
        }
        term_advice(&place, &term.text, mechanism, notes);
    }
    if let Some(target) = record.explanation().and_then(|target| tree::known(target, domain)) {
        match lookup.txt(&target).known().map(|texts| texts.map_or(0, |texts| texts.len())) {
            Ok(1) => {}
            Ok(found) => {
                let text = format!("Remove exp= or publish one TXT record at {target}: there are {found}.");
                notes.find(&codes::SPF_EXP, format!("{target} TXT"), text);
            }
            Err(failure) => notes.unknown(&target, QueryType::Txt, &failure),
        }
    }
}

fn all_and_redirect(domain: &str, record: &SpfRecord, notes: &mut Notes) {
    let place = format!("{domain} TXT");
    let all = record.terms.iter().position(|term| matches!(term.kind, TermKind::Directive(_, Mechanism::All)));
    if let Some(at) = all {
        let after: Vec<&str> = record.terms[at + 1..]
            .iter()
            .filter(|term| matches!(term.kind, TermKind::Directive(..)))
            .map(|term| term.text.as_str())
            .collect();
        let all = &record.terms[at].text;
        if !after.is_empty() {
            let text = format!("Move `{}` before `{all}`, or remove it.", after.join(" "));
            notes.find(&codes::SPF_AFTER_ALL, &place, text);
        }
        if let Some((term, _)) = record.redirect() {
            notes.find(&codes::SPF_REDIRECT_ALL, &place, format!("Remove `{}` or `{all}`.", term.text));
        }
    }
    let written = all.map_or_else(String::new, |at| record.terms[at].text.clone());
    match record.all() {
        Some(qualifier) => ending(&place, qualifier, &written, notes),
        None if record.redirect().is_none() && record.errors.is_empty() => no_ending(&place, notes),
        None => {}
    }
}

/// What the `all` at the end of a record says about servers that no term names.
fn ending(place: &str, qualifier: Qualifier, all: &str, notes: &mut Notes) {
    let list = "after you have listed every server that sends for you";
    match qualifier {
        Qualifier::Pass => notes.find(&codes::SPF_PLUS_ALL, place, format!("Replace `{all}` with ~all {list}.")),
        Qualifier::Neutral => notes.find(&codes::SPF_NEUTRAL, place, format!("Replace `{all}` with ~all {list}.")),
        Qualifier::SoftFail => {
            notes.find(&codes::SPF_SOFT, place, format!("Keep `{all}` and enforce DMARC; you do not need -all."));
        }
        Qualifier::Fail => {}
    }
}

fn no_ending(place: &str, notes: &mut Notes) {
    let text = "End the record with ~all after you have listed every server that sends for you.";
    notes.find(&codes::SPF_NO_ALL, place, text);
}

fn term_advice(place: &str, term: &str, mechanism: &Mechanism, notes: &mut Notes) {
    let has_macro = match mechanism {
        Mechanism::Include(target) | Mechanism::Exists(target) => target.fixed().is_none(),
        Mechanism::A(target, _) | Mechanism::Mx(target, _) => {
            target.as_ref().is_some_and(|name| name.fixed().is_none())
        }
        _ => false,
    };
    match mechanism {
        _ if has_macro => {
            notes.find(&codes::SPF_MACRO, place, format!("Check `{term}` yourself: it contains a macro."));
        }
        Mechanism::Ptr(_) => {
            notes.find(&codes::SPF_PTR, place, format!("Replace `{term}` with the addresses it stands for."));
        }
        Mechanism::Ip4(network, prefix) => {
            if *prefix == 32 && network.octets()[3] == 0 {
                let text = format!("Check `{term}`: it is one host. The network would be ip4:{network}/24.");
                notes.find(&codes::SPF_NETWORK, place, text);
            }
            let local = network.is_private() || network.is_loopback() || network.is_link_local();
            let is_private = local || network.is_unspecified() && *prefix > 8;
            range_advice(place, term, (*network).into(), *prefix, is_private, notes);
        }
        Mechanism::Ip6(network, prefix) => {
            let is_private = network.is_loopback() || network.is_unique_local() || network.is_unicast_link_local();
            range_advice(place, term, (*network).into(), *prefix, is_private, notes);
        }
        Mechanism::A(_, prefixes) | Mechanism::Mx(_, prefixes) if prefixes.v4 < 16 || prefixes.v6 < 32 => {
            let text = format!(
                "Narrow `{term}`: each address stands for a /{} of IPv4 and a /{} of IPv6.",
                prefixes.v4, prefixes.v6
            );
            notes.find(&codes::SPF_WIDE, place, text);
        }
        _ => {}
    }
}

fn range_advice(place: &str, term: &str, network: IpAddr, prefix: u8, is_private: bool, notes: &mut Notes) {
    let base = first_address(network, prefix);
    if prefix > 0 && base != network {
        notes.find(&codes::SPF_HOST_BITS, place, format!("Check `{term}`: this range begins at {base}."));
    }
    if is_private {
        notes.find(&codes::SPF_PRIVATE, place, format!("Remove `{term}`: it is not a public address."));
    } else if network.is_ipv4() && prefix > 1 && prefix < 16 {
        let text = format!("Narrow `{term}`: a /{prefix} contains {} addresses.", 1_u64 << (32 - prefix));
        notes.find(&codes::SPF_WIDE, place, text);
    } else if network.is_ipv6() && prefix > 1 && prefix < 32 {
        let text = format!("Narrow `{term}`: a /{prefix} is wider than any provider's own range.");
        notes.find(&codes::SPF_WIDE, place, text);
    }
}

/// The first address of the range that an address is in.
fn first_address(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(four) => {
            let hosts = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            Ipv4Addr::from_bits(four.to_bits() & !hosts).into()
        }
        IpAddr::V6(six) => {
            let hosts = u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
            Ipv6Addr::from_bits(six.to_bits() & !hosts).into()
        }
    }
}

/// Judges the whole tree: its cost, errors, and terms that let everybody pass.
fn whole_tree(domain: &str, tree: &Node, notes: &mut Notes) {
    let place = format!("{domain} TXT");
    let looping = broken_or_open(tree, tree, notes);
    if looping {
        return;
    }
    if tree.lookups > LOOKUP_LIMIT {
        let text = format!(
            "Remove terms until at most {LOOKUP_LIMIT} lookups are left: there are {}: {}.",
            tree.lookups,
            costs(tree)
        );
        notes.find(&codes::SPF_LOOKUPS, &place, text);
    } else if tree.lookups >= NEAR_LIMIT {
        let text = format!(
            "Remove terms you do not need: {} of {LOOKUP_LIMIT} lookups are used: {}.",
            tree.lookups,
            costs(tree)
        );
        notes.find(&codes::SPF_MANY, &place, text);
    }
    if tree.voids > VOID_LIMIT {
        let text = format!(
            "Remove terms that find nothing until at most {VOID_LIMIT} are left: there are {}: {}.",
            tree.voids,
            dead(tree).join(", ")
        );
        notes.find(&codes::SPF_VOIDS, &place, text);
    } else {
        for (term, name) in dead_terms(tree) {
            let text = format!("Remove or correct `{term}`: {name} has no address.");
            notes.find(&codes::SPF_DEAD, format!("{place}, `{term}`"), text);
        }
    }
}

/// `include:a.example 4, mx 1`.
fn costs(tree: &Node) -> String {
    let cost =
        |term: &tree::TermNode| usize::from(term.looks_up) + term.child.as_ref().map_or(0, |child| child.lookups);
    let terms: Vec<String> =
        tree.terms.iter().filter(|term| cost(term) > 0).map(|term| format!("`{}` {}", term.text, cost(term))).collect();
    terms.join(", ")
}

fn dead_terms(node: &Node) -> impl Iterator<Item = (&str, &str)> {
    node.terms.iter().filter_map(|term| match &term.fact {
        TermFact::Dead(name) => Some((term.text.as_str(), name.as_str())),
        _ => None,
    })
}

fn dead(node: &Node) -> Vec<String> {
    let mut names: Vec<String> = dead_terms(node).map(|(term, _)| format!("`{term}` of {}", node.domain)).collect();
    names.extend(node.terms.iter().filter_map(|term| term.child.as_deref()).flat_map(dead));
    names
}

/// Finds what makes the tree a permanent error or lets everybody pass. Returns whether it loops.
fn broken_or_open(root: &Node, node: &Node, notes: &mut Notes) -> bool {
    let mut looping = false;
    for term in &node.terms {
        let place = format!("{} TXT, `{}`", node.domain, term.text);
        match &term.fact {
            TermFact::TooManyHosts(hosts) => {
                let text = format!("Replace `{}`: it stands for {hosts} hosts; the limit is {HOST_LIMIT}.", term.text);
                notes.find(&codes::SPF_LIMIT_MX, &place, text);
            }
            TermFact::Unknown(name, kind, failure) => notes.unknown(name, *kind, failure),
            _ => {}
        }
        open_term(node, &term.text, &place, notes);
        let Some(child) = &term.child else { continue };
        match &child.state {
            NodeState::None => {
                let text = format!("Remove or correct `{}`: {} has no SPF record.", term.text, child.domain);
                notes.find(&codes::SPF_INCLUDE_NONE, &place, text);
            }
            NodeState::Several(records) => {
                let text = format!("{} has {} SPF records. Ask its owner to keep one.", child.domain, records.len());
                notes.find(&codes::SPF_INCLUDE_BROKEN, &place, text);
            }
            NodeState::Broken(_, error) => {
                let text =
                    format!("The SPF record of {} is invalid: {error}. Ask its owner to correct it.", child.domain);
                notes.find(&codes::SPF_INCLUDE_BROKEN, &place, text);
            }
            NodeState::Loop => {
                looping = true;
                let text = format!("Remove `{}`: {} includes this record again.", term.text, child.domain);
                notes.find(&codes::SPF_LOOP, &place, text);
            }
            NodeState::Unknown(failure) => notes.unknown(&child.domain, QueryType::Txt, failure),
            NodeState::Record(text) => {
                included_all(child, text, node.domain == root.domain && term.is_redirect(), notes);
            }
            NodeState::Cut => {}
        }
        looping |= broken_or_open(root, child, notes);
    }
    looping
}

/// An included `+all` lets everybody pass; the domain's own is reported already. The domain's record may be `redirected` to
/// this one.
fn included_all(child: &Node, text: &str, redirected: bool, notes: &mut Notes) {
    let record = SpfRecord::parse(text);
    let place = format!("{} TXT", child.domain);
    let all = record.directives().find(|(_, _, mechanism)| **mechanism == Mechanism::All);
    match all {
        Some((term, Qualifier::Pass, _)) if !redirected => {
            let text = format!(
                "Ask the owner of {} to correct its record, or remove the term: it ends with `{}`.",
                child.domain, term.text
            );
            notes.find(&codes::SPF_PLUS_ALL, place, text);
        }
        Some((term, qualifier, _)) if redirected => ending(&place, qualifier, &term.text, notes),
        None if redirected && record.redirect().is_none() => no_ending(&place, notes),
        _ => {}
    }
}

fn open_term(node: &Node, text: &str, place: &str, notes: &mut Notes) {
    let record = SpfRecord::parse(&format!("v=spf1 {text}"));
    for (_, qualifier, mechanism) in record.directives() {
        let prefix = match mechanism {
            Mechanism::Ip4(_, prefix) | Mechanism::Ip6(_, prefix) => *prefix,
            Mechanism::A(_, prefixes) | Mechanism::Mx(_, prefixes) => prefixes.v4.min(prefixes.v6),
            _ => continue,
        };
        if prefix <= 1 && qualifier == Qualifier::Pass {
            let text = format!(
                "Narrow `{text}` in the record of {}: a /{prefix} contains half of all addresses or more.",
                node.domain
            );
            notes.find(&codes::SPF_OPEN, place, text);
        }
    }
}

/// The result for a host that no term matches: the qualifier of the `all` that is reached.
fn others(node: &Node) -> Option<super::CheckHostResult> {
    let NodeState::Record(text) = &node.state else { return None };
    let record = SpfRecord::parse(text);
    match record.all() {
        Some(qualifier) => Some(qualifier.into()),
        None if record.redirect().is_none() => Some(super::CheckHostResult::Neutral),
        None => {
            others(node.terms.iter().rev().filter(|term| term.is_redirect()).find_map(|term| term.child.as_deref())?)
        }
    }
}
