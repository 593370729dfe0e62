//! Which records of a checked domain are kept as history, its MTA-STS policy among them, and what makes two of them the same.
//!
//! The ledger stores them; [`crate::model::changes`] computes what changed between two lookups.

use super::consents::receivers;
use super::domain::Posture;
use crate::dns::dkim::key_name;
use crate::dns::dmarc::{consent_name, is_dmarc, walk_targets};
use crate::dns::hosts::mx::Delivery;
use crate::dns::lookup::answer::{Data, DnsQuestion, Lookup, QueryType, Txt};
use crate::dns::lookup::name;
use crate::dns::spf::{Node, NodeState, draw, is_spf};
use crate::dns::transport::{hexadecimal, policy_host};
use crate::model::{DnsObservation, DnsValue, RecordType, WatchedName};
use std::collections::BTreeSet;

/// Names looked up per domain at most; a domain with more selectors than this has other problems.
const NAME_LIMIT: usize = 400;
/// Return paths per domain at most.
const RETURN_PATHS: usize = 5;
/// Records kept per name at most.
const VALUE_LIMIT: usize = 40;
/// Bytes kept per record at most. A DKIM key of 4096 bits has 736.
const TEXT_LIMIT: usize = 4096;

/// Looks up the records of a domain whose history is kept: DMARC, the SPF records of the domain and of return paths that
/// passed for it, with everything they include, DKIM selectors and their aliases, MX, TLS-RPT, MTA-STS, and the consent of
/// other domains to receive its reports.
///
/// Selectors that were watched before are looked up even if the reports no longer show them. Failed lookups are left
/// out: nothing is known about them.
pub fn observe(posture: &Posture, watched: &[WatchedName], lookup: &dyn Lookup) -> Vec<DnsObservation> {
    let names = names(posture, watched, lookup);
    let questions: Vec<DnsQuestion> = names.iter().map(|(name, kind)| DnsQuestion::new(name, *kind)).collect();
    lookup.announce(&questions);
    let looked_up = names.into_iter().zip(questions).filter_map(|((name, kind), question)| {
        let record_type = type_of(kind)?;
        let records = lookup.ask(&question).known().ok()?;
        let values = values(&name, record_type, records.unwrap_or_default());
        Some(DnsObservation { domain: posture.domain.clone(), name, record_type, values })
    });
    looked_up.chain(policy(posture)).collect()
}

/// The MTA-STS policy, if it was fetched.
fn policy(posture: &Posture) -> Option<DnsObservation> {
    let file = posture.mta_sts.file.as_deref()?;
    let text = file.to_owned();
    let (domain, name) = (posture.domain.clone(), policy_host(&posture.domain));
    let values = vec![DnsValue { meaning: text.clone(), text }];
    Some(DnsObservation { domain, name, record_type: RecordType::StsPolicy, values })
}

const fn type_of(kind: QueryType) -> Option<RecordType> {
    match kind {
        QueryType::Txt => Some(RecordType::Txt),
        QueryType::Mx => Some(RecordType::Mx),
        QueryType::Cname => Some(RecordType::Cname),
        QueryType::Tlsa => Some(RecordType::Tlsa),
        _ => None,
    }
}

/// The names to look up, each once.
fn names(posture: &Posture, watched: &[WatchedName], lookup: &dyn Lookup) -> BTreeSet<(String, QueryType)> {
    let domain = posture.domain.as_str();
    let mut names = BTreeSet::new();
    let mut add = |name: String, kind| {
        if names.len() < NAME_LIMIT && name::is_possible(&name) {
            names.insert((name, kind));
        }
    };
    for name in walk_targets(domain).iter().map(String::as_str).chain([name::organizational(domain)]) {
        add(format!("_dmarc.{name}"), QueryType::Txt);
    }
    add(domain.to_owned(), QueryType::Txt);
    add(domain.to_owned(), QueryType::Mx);
    for service in ["_smtp._tls", "_mta-sts"] {
        add(format!("{service}.{domain}"), QueryType::Txt);
    }
    if let Delivery::Hosts(groups) = &posture.mx {
        for host in groups.iter().flat_map(|group| &group.hosts) {
            add(format!("_25._tcp.{}", host.name), QueryType::Tlsa);
        }
    }
    if let Some(found) = posture.dmarc.record() {
        add(format!("_dmarc.{}", found.domain), QueryType::Txt);
        for receiver in receivers(found) {
            add(consent_name(&found.domain, receiver), QueryType::Txt);
        }
    }
    let selectors = posture.dkim.iter().map(|found| key_name(&found.selector, domain));
    let before = watched.iter().filter(|watch| watch.domain == domain).map(|watch| watch.name.clone());
    for name in selectors.chain(before.filter(|name| name.contains("._domainkey."))) {
        add(name.clone(), QueryType::Txt);
        add(name, QueryType::Cname);
    }
    if let Some(tree) = &posture.spf.tree {
        included(tree, &mut |name| add(name.to_owned(), QueryType::Txt));
    }
    // One that is checked itself has a history of its own.
    let is_checked = |path: &&str| watched.iter().any(|watch| watch.domain == *path);
    for path in return_paths(posture).into_iter().filter(|path| !is_checked(path)) {
        add(path.to_owned(), QueryType::Cname);
        included(&draw(lookup, path), &mut |name| add(name.to_owned(), QueryType::Txt));
    }
    names
}

/// The return paths, other than the domain itself, that passed SPF for it, those of most mail first.
fn return_paths(posture: &Posture) -> Vec<&str> {
    let mut paths: Vec<&str> = Vec::new();
    for path in posture.sources.iter().filter_map(|source| source.seen.spf_domain.as_deref()) {
        if path != posture.domain && !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths.truncate(RETURN_PATHS);
    paths
}

/// The domains of an SPF tree whose records were read or found missing.
fn included(node: &Node, add: &mut dyn FnMut(&str)) {
    if !matches!(node.state, NodeState::Loop | NodeState::Cut) {
        add(&node.domain);
    }
    node.terms.iter().filter_map(|term| term.child.as_deref()).for_each(|child| included(child, add));
}

/// The records of the kind expected at a name.
fn values(name: &str, record_type: RecordType, records: Vec<Data>) -> Vec<DnsValue> {
    let value = |data| match data {
        Data::Text(txt) if record_type == RecordType::Txt => {
            let text = Txt::text(&txt);
            let text = text.trim();
            let text = text[..text.floor_char_boundary(TEXT_LIMIT)].to_owned();
            is_of_kind(name, &text).then(|| DnsValue { meaning: meaning(&text), text })
        }
        Data::Mx(mx) if record_type == RecordType::Mx => {
            let text = format!("{} {}", mx.preference, if mx.host.is_empty() { "." } else { &mx.host });
            Some(DnsValue { meaning: text.to_ascii_lowercase(), text })
        }
        Data::Name(host) if record_type == RecordType::Cname => {
            Some(DnsValue { meaning: host.to_ascii_lowercase(), text: host })
        }
        Data::Tlsa(tlsa) if record_type == RecordType::Tlsa => {
            let digits = hexadecimal(&tlsa.data, TEXT_LIMIT / 2);
            let text = format!("{} {} {} {digits}", tlsa.usage, tlsa.selector, tlsa.matching);
            Some(DnsValue { meaning: text.clone(), text })
        }
        _ => None,
    };
    let mut values: Vec<DnsValue> = records.into_iter().filter_map(value).collect();
    values.sort();
    values.dedup_by(|a, b| a.meaning == b.meaning);
    values.truncate(VALUE_LIMIT);
    values
}

/// Whether a TXT record is of the kind its name is for. Site verifications and the like come and go.
fn is_of_kind(name: &str, text: &str) -> bool {
    let begins = |version: &str| text.get(..version.len()).is_some_and(|start| start.eq_ignore_ascii_case(version));
    if name.contains("._domainkey.") {
        true
    } else if name.starts_with("_dmarc.") || name.contains("._report._dmarc.") {
        is_dmarc(text) || begins("v=DMARC1")
    } else if name.starts_with("_smtp._tls.") {
        begins("v=TLSRPTv1")
    } else if name.starts_with("_mta-sts.") {
        begins("v=STSv1")
    } else {
        is_spf(text)
    }
}

/// The record without meaningless differences: white space, order of tags and case of tag names; for SPF (RFC 7208
/// section 4.6.1) case and repeated spaces, but not the order of terms.
///
/// No parser of a standard serves here: two damaged records are compared, too, down to what every parser skips, and the
/// ledger keeps what this returns.
fn meaning(text: &str) -> String {
    if is_spf(text) {
        let words: Vec<&str> = text.split_whitespace().collect();
        return words.join(" ").to_ascii_lowercase();
    }
    let tag = |tag: &str| {
        let (name, value) = tag.split_once('=').unwrap_or((tag, ""));
        let value: String = value.split_whitespace().collect();
        format!("{}={value}", name.trim().to_ascii_lowercase())
    };
    let mut tags: Vec<String> = text.split(';').filter(|part| !part.trim().is_empty()).map(tag).collect();
    tags.sort();
    tags.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::lookup::test_zone::Zone;
    use crate::dns::posture::domain;
    use crate::dns::posture::domain::Request;
    use crate::dns::seen::Observed;

    fn observed(zone: &str) -> Vec<String> {
        let zone = Zone::new(zone);
        let request = Request { domain: "example.com".into(), selectors: vec!["s1".into()], ..Request::default() };
        let posture = domain::check(&request, &zone, &Observed::default());
        let line = |found: &DnsObservation| {
            let texts: Vec<&str> = found.values.iter().map(|value| value.text.as_str()).collect();
            format!("{} {}: {}", found.name, found.record_type, texts.join(" | "))
        };
        observe(&posture, &[], &zone).iter().map(line).collect()
    }

    #[test]
    fn records_that_matter_are_kept_and_failures_are_not() {
        let zone = "example.com TXT site-verification=41\nexample.com TXT v=spf1 include:_spf.example.net -all\n\
                    _spf.example.net TXT v=spf1 ip4:198.51.100.0/24 -all\nexample.com MX 10 mx.example.com\n\
                    mx.example.com A 192.0.2.25\n_dmarc.example.com TXT v=DMARC1; p=none; rua=mailto:d@example.org\n\
                    example.com._report._dmarc.example.org TXT v=DMARC1\nexample.org MX 10 mx.example.com\n\
                    s1._domainkey.example.com CNAME s1.dkim.example.net\ns1.dkim.example.net TXT v=DKIM1; p=\n\
                    _25._tcp.mx.example.com TLSA 3 1 1 abcd\n_smtp._tls.example.com TIMEOUT";
        assert_eq!(
            observed(zone),
            [
                "_25._tcp.mx.example.com TLSA: 3 1 1 abcd",
                "_dmarc.com TXT: ",
                "_dmarc.example.com TXT: v=DMARC1; p=none; rua=mailto:d@example.org",
                "_mta-sts.example.com TXT: ",
                "_spf.example.net TXT: v=spf1 ip4:198.51.100.0/24 -all",
                "example.com TXT: v=spf1 include:_spf.example.net -all",
                "example.com MX: 10 mx.example.com",
                "example.com._report._dmarc.example.org TXT: v=DMARC1",
                "s1._domainkey.example.com TXT: v=DKIM1; p=",
                "s1._domainkey.example.com CNAME: s1.dkim.example.net",
            ]
        );
    }

    #[test]
    fn spellings_without_a_difference_are_one_record() {
        let same = |a: &str, b: &str| assert_eq!(meaning(a), meaning(b), "{a}");
        same("v=DMARC1;p=none;rua=mailto:d@example.com;", "v=DMARC1; rua=mailto:d@example.com; P=none");
        same("v=spf1  include:_SPF.example.net -all", "v=spf1 include:_spf.example.net -all");
        assert_ne!(meaning("v=spf1 mx a -all"), meaning("v=spf1 a mx -all"));
        assert_ne!(meaning("v=DMARC1; p=none"), meaning("v=DMARC1; p=reject"));
    }
}
