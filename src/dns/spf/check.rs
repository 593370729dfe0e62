//! What is wrong with a domain's SPF record, and what to publish instead.
//!
//! Takes a domain and something to ask, gives the tree and the findings. Only the domain's own record is judged for
//! style; the records it includes only for what breaks or opens it.

use super::evaluate::{HOST_LIMIT, LOOKUP_LIMIT, VOID_LIMIT};
use super::record::{Mechanism, Qualifier, Record, TermKind, is_spf};
use super::tree::{self, Node, NodeState, TermFact};
use crate::dns::answer::{Answer, Kind, Lookup, Txt};
use crate::dns::finding::{self as codes, Finding, Notes, txt_record};
use crate::dns::tags::quoting_fault;
use serde::Serialize;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Look-ups from which on a record is near the limit.
const NEAR_LIMIT: usize = 8;
/// Bytes of a record that leave room in a UDP answer (RFC 7208 section 3.4).
const LONG: usize = 450;

/// The SPF side of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spf {
    /// The records at the domain, as published.
    pub records: Vec<String>,
    /// The include and redirect tree, where there is exactly one record.
    pub tree: Option<Node>,
    /// What holds for a host that no term names.
    pub others: Option<super::Outcome>,
}

/// Check the record of a domain.
pub fn check(lookup: &dyn Lookup, domain: &str, notes: &mut Notes) -> Spf {
    let mut spf = Spf { records: Vec::new(), tree: None, others: None };
    let texts = match lookup.txt(domain) {
        Answer::Found(texts) => texts,
        Answer::NoData | Answer::NxDomain => Vec::new(),
        Answer::Failed(failure) => {
            notes.unknown(domain, Kind::Txt, &failure);
            return spf;
        }
    };
    let texts: Vec<String> = texts.iter().map(Txt::text).collect();
    spf.records = texts.iter().filter(|text| is_spf(text)).cloned().collect();
    let near: Vec<&String> = texts.iter().filter(|text| looks_like_spf(text)).collect();
    for text in &near {
        notes.add(not_recognized(domain, text));
    }
    let old = lookup.old_spf(domain).found().unwrap_or_default();
    match spf.records.as_slice() {
        [] if !near.is_empty() => {}
        [] => notes.add(missing(lookup, domain, &old)),
        [record] => {
            if !old.is_empty() {
                notes.find(
                    &codes::SPF_OLD,
                    format!("{domain} SPF (type 99)"),
                    "a record of the SPF type stands beside the TXT record: remove it",
                );
            }
            let tree = tree::draw(lookup, domain);
            own_record(lookup, domain, &Record::parse(record), notes);
            whole_tree(domain, &tree, notes);
            spf.others = others(&tree);
            spf.tree = Some(tree);
        }
        several => notes.add(merged(domain, several)),
    }
    spf
}

/// Text that was meant as an SPF record and is none.
fn looks_like_spf(text: &str) -> bool {
    let bare: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '\u{201c}' | '\u{201d}'))
        .take(8)
        .collect();
    let bare = bare.to_ascii_lowercase();
    !is_spf(text)
        && (bare.starts_with("v=spf1")
            || bare.starts_with("spf1")
            || bare.starts_with("v:spf1")
            || bare.starts_with("v=spf-1"))
        && !text.to_ascii_lowercase().starts_with("v=spf10")
        || text.to_ascii_lowercase().starts_with("v=spf10")
}

fn not_recognized(domain: &str, text: &str) -> Finding {
    let why = quoting_fault(text).map_or_else(
        || {
            if text.starts_with(char::is_whitespace) {
                "a space stands before it".to_owned()
            } else {
                "it does not begin with `v=spf1 `".to_owned()
            }
        },
        str::to_owned,
    );
    let finding = Finding::new(
        &codes::SPF_NEAR,
        format!("{domain} TXT"),
        format!("`{text}` is not taken as an SPF record: {why}"),
    );
    let clean = text.replace(['"', '\'', '\u{201c}', '\u{201d}'], "").replace('\t', " ");
    let clean = clean.trim();
    if is_spf(clean) && Record::parse(clean).errors.is_empty() {
        finding.publish(txt_record(domain, clean))
    } else {
        finding
    }
}

fn missing(lookup: &dyn Lookup, domain: &str, old: &[Txt]) -> Finding {
    if let Some(old) = old.first() {
        return Finding::new(
            &codes::SPF_OLD_ONLY,
            format!("{domain} SPF (type 99)"),
            "the only SPF record is of the old SPF type",
        )
        .publish(txt_record(domain, &old.text()));
    }
    let sends = matches!(lookup.mx(domain), Answer::Found(hosts) if hosts.iter().any(|mx| !mx.host.is_empty()));
    let record = if sends { "v=spf1 mx -all" } else { "v=spf1 -all" };
    Finding::new(
        &codes::SPF_MISSING,
        format!("{domain} TXT"),
        "no v=spf1 record; to publish, at least (with the hosts that send added)",
    )
    .publish(txt_record(domain, record))
}

/// Several records, and the one they would be together.
fn merged(domain: &str, records: &[String]) -> Finding {
    let mut terms: Vec<String> = Vec::new();
    let mut all = None;
    for record in records.iter().map(|text| Record::parse(text)) {
        for term in &record.terms {
            match &term.kind {
                TermKind::Directive(qualifier, Mechanism::All) => all = all.max(Some(strictness(*qualifier))),
                _ if !terms.contains(&term.text) => terms.push(term.text.clone()),
                _ => {}
            }
        }
    }
    let all = ["+all", "?all", "~all", "-all"][all.unwrap_or(2).max(1)];
    let record = format!("v=spf1 {} {all}", terms.join(" ")).replace("  ", " ");
    let text = format!(
        "{} records where one may stand: {}",
        records.len(),
        records.iter().map(|r| format!("`{r}`")).collect::<Vec<_>>().join(", ")
    );
    Finding::new(&codes::SPF_SEVERAL, format!("{domain} TXT"), text).publish(txt_record(domain, &record))
}

const fn strictness(qualifier: Qualifier) -> usize {
    match qualifier {
        Qualifier::Pass => 0,
        Qualifier::Neutral => 1,
        Qualifier::SoftFail => 2,
        Qualifier::Fail => 3,
    }
}

/// Judge the writing of the domain's own record.
fn own_record(lookup: &dyn Lookup, domain: &str, record: &Record, notes: &mut Notes) {
    let place = format!("{domain} TXT");
    for error in &record.errors {
        let finding = Finding::new(&codes::SPF_SYNTAX, &place, error.to_string());
        notes.add(match repaired(record) {
            Some(text) => finding.publish(txt_record(domain, &text)),
            None => finding,
        });
    }
    if let Some(fault) = quoting_fault(&record.text).filter(|_| record.errors.is_empty()) {
        notes.find(&codes::SPF_SYNTAX, &place, fault);
    }
    if record.text.len() > LONG {
        notes.find(&codes::SPF_LONG, &place, format!("the record has {} bytes", record.text.len()));
    }
    all_and_redirect(domain, record, notes);
    for (index, (term, _, mechanism)) in record.directives().enumerate() {
        let place = format!("{place}, `{}`", term.text);
        let earlier = record.directives().take(index).any(|(other, _, _)| other.text.eq_ignore_ascii_case(&term.text));
        if earlier && *mechanism != Mechanism::All {
            notes.find(&codes::SPF_REPEATED, &place, "the term stands there twice");
        }
        term_advice(&place, mechanism, notes);
    }
    if let Some(target) = record.explanation().and_then(|target| tree::known(target, domain)) {
        match lookup.txt(&target) {
            Answer::Found(texts) if texts.len() == 1 => {}
            Answer::Found(texts) => {
                notes.find(&codes::SPF_EXP, &target, format!("expected one TXT record, found {}", texts.len()));
            }
            Answer::NoData | Answer::NxDomain => {
                notes.find(&codes::SPF_EXP, &target, "expected a TXT record, found none");
            }
            Answer::Failed(failure) => notes.unknown(&target, Kind::Txt, &failure),
        }
    }
}

fn all_and_redirect(domain: &str, record: &Record, notes: &mut Notes) {
    let place = format!("{domain} TXT");
    let all = record.terms.iter().position(|term| matches!(term.kind, TermKind::Directive(_, Mechanism::All)));
    if let Some(at) = all {
        let after: Vec<&str> = record.terms[at + 1..]
            .iter()
            .filter(|term| matches!(term.kind, TermKind::Directive(..)))
            .map(|term| term.text.as_str())
            .collect();
        if !after.is_empty() {
            notes.find(
                &codes::SPF_AFTER_ALL,
                &place,
                format!("`{}` stands after `{}` and is never read", after.join(" "), record.terms[at].text),
            );
        }
        if let Some((term, _)) = record.redirect() {
            notes.find(
                &codes::SPF_REDIRECT_ALL,
                &place,
                format!("`{}` stands beside `{}`", term.text, record.terms[at].text),
            );
        }
    }
    let with = |to: &str| all.map(|at| txt_record(domain, &replaced(record, &record.terms[at].text, to)));
    let finding = match record.all() {
        Some(Qualifier::Pass) => Finding::new(&codes::SPF_PLUS_ALL, &place, "the record ends with +all"),
        Some(Qualifier::Neutral) => Finding::new(&codes::SPF_NEUTRAL, &place, "the record ends with ?all"),
        Some(Qualifier::SoftFail) => Finding::new(&codes::SPF_SOFT, &place, "the record ends with ~all"),
        None if record.redirect().is_none() && record.errors.is_empty() => {
            let text = format!("{} -all", record.text.trim_end());
            let finding = Finding::new(&codes::SPF_NO_ALL, &place, "the record ends without all or redirect");
            return notes.add(finding.publish(txt_record(domain, &text)));
        }
        _ => return,
    };
    notes.add(match with("-all") {
        Some(publish) => finding.publish(publish),
        None => finding,
    });
}

fn replaced(record: &Record, term: &str, with: &str) -> String {
    let words: Vec<&str> = record.text.split(' ').map(|word| if word == term { with } else { word }).collect();
    words.join(" ")
}

fn term_advice(place: &str, mechanism: &Mechanism, notes: &mut Notes) {
    match mechanism {
        Mechanism::Ptr(_) => notes.find(&codes::SPF_PTR, place, "the record uses ptr"),
        Mechanism::Ip4(network, prefix) => ip4_advice(place, *network, *prefix, notes),
        Mechanism::Ip6(network, prefix) => ip6_advice(place, *network, *prefix, notes),
        Mechanism::Include(target) | Mechanism::Exists(target) if target.fixed().is_none() => {
            notes.find(&codes::SPF_MACRO, place, "the term holds a macro");
        }
        Mechanism::A(Some(target), _) | Mechanism::Mx(Some(target), _) if target.fixed().is_none() => {
            notes.find(&codes::SPF_MACRO, place, "the term holds a macro");
        }
        Mechanism::A(_, prefixes) | Mechanism::Mx(_, prefixes) if prefixes.v4 < 16 || prefixes.v6 < 32 => {
            notes.find(
                &codes::SPF_WIDE,
                place,
                format!("each address stands for a /{} of IPv4 and a /{} of IPv6", prefixes.v4, prefixes.v6),
            );
        }
        _ => {}
    }
}

fn ip4_advice(place: &str, network: Ipv4Addr, prefix: u8, notes: &mut Notes) {
    let hosts = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    if prefix > 0 && network.to_bits() & hosts != 0 {
        let base = Ipv4Addr::from_bits(network.to_bits() & !hosts);
        notes.find(&codes::SPF_HOST_BITS, place, format!("the range of {network}/{prefix} begins at {base}"));
    }
    if prefix == 32 && network.octets()[3] == 0 {
        notes.find(
            &codes::SPF_NETWORK,
            place,
            format!("{network} without a prefix length is one host; the network would be {network}/24"),
        );
    }
    if network.is_private()
        || network.is_loopback()
        || network.is_link_local()
        || (network.is_unspecified() && prefix > 8)
    {
        notes.find(&codes::SPF_PRIVATE, place, format!("{network} is not a public address"));
    } else if prefix > 1 && prefix < 16 {
        notes.find(&codes::SPF_WIDE, place, format!("/{prefix} holds {} addresses", 1_u64 << (32 - prefix)));
    }
}

fn ip6_advice(place: &str, network: Ipv6Addr, prefix: u8, notes: &mut Notes) {
    let hosts = u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    if prefix > 0 && network.to_bits() & hosts != 0 {
        let base = Ipv6Addr::from_bits(network.to_bits() & !hosts);
        notes.find(&codes::SPF_HOST_BITS, place, format!("the range of {network}/{prefix} begins at {base}"));
    }
    if network.is_loopback() || network.is_unique_local() || network.is_unicast_link_local() {
        notes.find(&codes::SPF_PRIVATE, place, format!("{network} is not a public address"));
    } else if prefix > 1 && prefix < 32 {
        notes.find(&codes::SPF_WIDE, place, format!("/{prefix} is wider than any provider's own range"));
    }
}

/// The record with the usual slips put right, if that leaves no error.
fn repaired(record: &Record) -> Option<String> {
    let mut words = Vec::new();
    for word in record.text.split([' ', ',']).filter(|word| !word.is_empty()) {
        if words.is_empty() || !record.errors.iter().any(|error| error.term == word || error.term.contains(word)) {
            words.push(word.to_owned());
        } else {
            words.extend(repaired_term(word)?);
        }
    }
    let text = words.join(" ");
    Record::parse(&text).errors.is_empty().then_some(text)
}

fn repaired_term(word: &str) -> Option<Vec<String>> {
    if Record::parse(&format!("v=spf1 {word}")).errors.is_empty() {
        return Some(vec![word.to_owned()]);
    }
    if word.eq_ignore_ascii_case("v=spf1") {
        return Some(Vec::new());
    }
    for all in ["-all", "~all", "?all", "+all"] {
        if let Some(head) = word.strip_suffix(all) {
            let mut terms = if head.is_empty() { Vec::new() } else { repaired_term(head)? };
            terms.push(all.to_owned());
            return Some(terms);
        }
    }
    let (name, value) = word.split_once([':', '=']).unwrap_or(("", word));
    let bare = if name.eq_ignore_ascii_case("ip4") || name.eq_ignore_ascii_case("ip6") || name.starts_with("ip") {
        value
    } else {
        word
    };
    let address = bare.split('/').next().unwrap_or(bare);
    if address.parse::<Ipv4Addr>().is_ok() {
        return Some(vec![format!("ip4:{bare}")]);
    }
    if address.parse::<Ipv6Addr>().is_ok() {
        return Some(vec![format!("ip6:{bare}")]);
    }
    let fixed = format!("{name}:{value}");
    Record::parse(&format!("v=spf1 {fixed}")).errors.is_empty().then(|| vec![fixed])
}

/// Judge what the whole tree costs, breaks and opens.
fn whole_tree(domain: &str, tree: &Node, notes: &mut Notes) {
    let place = format!("{domain} TXT");
    let looping = broken_or_open(tree, tree, notes);
    if looping {
        return;
    }
    if tree.lookups > LOOKUP_LIMIT {
        notes.find(
            &codes::SPF_LOOKUPS,
            &place,
            format!("{} look-ups, the limit is {LOOKUP_LIMIT}: {}", tree.lookups, costs(tree)),
        );
    } else if tree.lookups >= NEAR_LIMIT {
        notes.find(&codes::SPF_MANY, &place, format!("{} look-ups of {LOOKUP_LIMIT}: {}", tree.lookups, costs(tree)));
    }
    if tree.voids > VOID_LIMIT {
        notes.find(
            &codes::SPF_VOIDS,
            &place,
            format!("{} look-ups find nothing, the limit is {VOID_LIMIT}: {}", tree.voids, dead(tree).join(", ")),
        );
    } else {
        for (term, name) in dead_terms(tree) {
            notes.find(&codes::SPF_DEAD, format!("{place}, `{term}`"), format!("{name} has no address"));
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

fn dead_terms(node: &Node) -> Vec<(&str, &str)> {
    let own = node.terms.iter().filter_map(|term| match &term.fact {
        TermFact::Dead(name) => Some((term.text.as_str(), name.as_str())),
        _ => None,
    });
    own.collect()
}

fn dead(node: &Node) -> Vec<String> {
    let mut names: Vec<String> =
        dead_terms(node).into_iter().map(|(term, _)| format!("`{term}` of {}", node.domain)).collect();
    names.extend(node.terms.iter().filter_map(|term| term.child.as_deref()).flat_map(dead));
    names
}

/// Walk the tree for what makes it a permanent error or lets everybody pass. Says whether it runs in a circle.
fn broken_or_open(root: &Node, node: &Node, notes: &mut Notes) -> bool {
    let mut looping = false;
    for term in &node.terms {
        let place = format!("{} TXT, `{}`", node.domain, term.text);
        match &term.fact {
            TermFact::TooManyHosts(hosts) => {
                notes.find(&codes::SPF_LIMIT_MX, &place, format!("{hosts} hosts, the limit is {HOST_LIMIT}"));
            }
            TermFact::Unknown(name, kind, failure) => notes.unknown(name, *kind, failure),
            _ => {}
        }
        open_term(node, &term.text, &place, notes);
        let Some(child) = &term.child else { continue };
        match &child.state {
            NodeState::None => {
                notes.find(&codes::SPF_INCLUDE_NONE, &place, format!("{} has no SPF record", child.domain));
            }
            NodeState::Several(records) => {
                notes.find(
                    &codes::SPF_INCLUDE_BROKEN,
                    &place,
                    format!("{} has {} SPF records", child.domain, records.len()),
                );
            }
            NodeState::Broken(_, error) => {
                notes.find(&codes::SPF_INCLUDE_BROKEN, &place, format!("the record of {}: {error}", child.domain));
            }
            NodeState::Loop => {
                looping = true;
                notes.find(&codes::SPF_LOOP, &place, format!("{} stands above it in the tree", child.domain));
            }
            NodeState::Unknown(failure) => notes.unknown(&child.domain, Kind::Txt, failure),
            NodeState::Record(text) => included_all(root, node, child, text, &term.text, notes),
            NodeState::Cut => {}
        }
        looping |= broken_or_open(root, child, notes);
    }
    looping
}

/// An included `+all` passes everybody; the own one is reported already.
fn included_all(root: &Node, node: &Node, child: &Node, text: &str, term: &str, notes: &mut Notes) {
    let record = Record::parse(text);
    let redirected = node.domain == root.domain && term.to_ascii_lowercase().starts_with("redirect=");
    let place = format!("{} TXT", child.domain);
    match record.all() {
        Some(Qualifier::Pass) => {
            notes.find(&codes::SPF_PLUS_ALL, place, format!("the record of {} ends with +all", child.domain));
        }
        Some(Qualifier::SoftFail) if redirected => notes.find(&codes::SPF_SOFT, place, "the record ends with ~all"),
        Some(Qualifier::Neutral) if redirected => notes.find(&codes::SPF_NEUTRAL, place, "the record ends with ?all"),
        None if redirected && record.redirect().is_none() => {
            notes.find(&codes::SPF_NO_ALL, place, "the record ends without all or redirect");
        }
        _ => {}
    }
}

fn open_term(node: &Node, text: &str, place: &str, notes: &mut Notes) {
    let record = Record::parse(&format!("v=spf1 {text}"));
    for (_, qualifier, mechanism) in record.directives() {
        let prefix = match mechanism {
            Mechanism::Ip4(_, prefix) | Mechanism::Ip6(_, prefix) => *prefix,
            Mechanism::A(_, prefixes) | Mechanism::Mx(_, prefixes) => prefixes.v4.min(prefixes.v6),
            _ => continue,
        };
        if prefix <= 1 && qualifier == Qualifier::Pass {
            notes.find(&codes::SPF_OPEN, place, format!("/{prefix} in the record of {}", node.domain));
        }
    }
}

/// What holds for a host that no term names: the qualifier of the `all` that is reached.
fn others(node: &Node) -> Option<super::Outcome> {
    let NodeState::Record(text) = &node.state else { return None };
    let record = Record::parse(text);
    match record.all() {
        Some(qualifier) => Some(qualifier.into()),
        None if record.redirect().is_none() => Some(super::Outcome::Neutral),
        None => others(node.terms.iter().rev().find_map(|term| {
            term.text.to_ascii_lowercase().starts_with("redirect=").then_some(term.child.as_deref()).flatten()
        })?),
    }
}
