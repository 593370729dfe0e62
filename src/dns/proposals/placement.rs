//! Whether a record can be published at a name without breaking anything: not beside an alias, and not below a wildcard
//! that synthesizes the domain, because the new name would hide all that the wildcard provides.

use crate::dns::lookup::answer::{Answer, DnsQuestion, Lookup, QueryType};
use crate::dns::lookup::name;

/// Types whose answers tell whether a wildcard synthesizes a name.
const TYPES: [QueryType; 5] = [QueryType::Mx, QueryType::A, QueryType::Aaaa, QueryType::Txt, QueryType::Cname];

/// Why no record can be published at `name`, which is `domain` or below it; `None` if one can.
pub(crate) fn obstacle(lookup: &dyn Lookup, domain: &str, name: &str) -> Option<String> {
    match lookup.txt(domain) {
        Answer::NxDomain => return Some(format!("{domain} does not exist in DNS")),
        Answer::Failed(failure) => return Some(format!("{domain} could not be looked up: {failure}")),
        Answer::Found(_) | Answer::NoData => {}
    }
    if let Some(wildcard) = wildcard_of(lookup, domain) {
        return Some(format!(
            "{domain} exists only through {wildcard}, and a record at or below {domain} would take away everything that \
             the wildcard provides, such as its MX"
        ));
    }
    match lookup.cname(name) {
        Answer::Found(target) if !is_made_up(lookup, name, QueryType::Cname) => Some(format!(
            "{name} is an alias of {target}, and nothing can be published beside an alias; ask the owner of {target}"
        )),
        Answer::Failed(failure) => Some(format!("{name} CNAME could not be looked up: {failure}")),
        Answer::Found(_) | Answer::NoData | Answer::NxDomain => None,
    }
}

/// The wildcard that synthesizes a domain, the topmost possible: the ones below are synthesized themselves. A domain
/// that exists is recognized by any answer that differs.
fn wildcard_of(lookup: &dyn Lookup, domain: &str) -> Option<String> {
    let organization = name::organizational(domain);
    let (mut above, mut found) = (domain, None);
    while above != organization
        && let Some(parent) = name::parent(above)
    {
        let wildcard = format!("*.{parent}");
        lookup.announce_each([wildcard.as_str(), domain], &TYPES);
        let there =
            TYPES.iter().any(|kind| matches!(lookup.ask(&DnsQuestion::new(&wildcard, *kind)), Answer::Found(_)));
        if there && TYPES.iter().all(|kind| same_answer(lookup, &wildcard, domain, *kind)) {
            found = Some(wildcard);
        }
        above = parent;
    }
    found
}

/// Whether a name gets its record of a type from a wildcard directly above it.
fn is_made_up(lookup: &dyn Lookup, name: &str, kind: QueryType) -> bool {
    name::parent(name).is_some_and(|parent| same_answer(lookup, &format!("*.{parent}"), name, kind))
}

fn same_answer(lookup: &dyn Lookup, wildcard: &str, name: &str, kind: QueryType) -> bool {
    let records = |name: &str| {
        let found = lookup.ask(&DnsQuestion::new(name, kind)).found().unwrap_or_default();
        let mut records: Vec<String> = found.iter().map(|record| format!("{record:?}")).collect();
        records.sort();
        records
    };
    records(wildcard) == records(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::lookup::test_zone::Zone;

    #[test]
    fn nothing_is_published_beside_an_alias_or_under_a_wildcard() {
        let zone = Zone::new(
            "*.example.com MX 10 mx.example.com\n*.example.com A 192.0.2.80\nmx.example.com A 192.0.2.25\n\
             www.example.com A 192.0.2.80\n_dmarc.example.com CNAME policy.example.net\npolicy.example.net TXT v=DMARC1; p=none\n\
             *.example.org CNAME web.example.org\nweb.example.org A 192.0.2.1\nexample.org A 192.0.2.1\nbroken.example TIMEOUT",
        );
        for (domain, name, why) in [
            ("example.com", "example.com", None),
            ("example.com", "_dmarc.example.com", Some("an alias of policy.example.net")),
            ("shop.example.com", "_dmarc.shop.example.com", Some("exists only through *.example.com")),
            ("a.shop.example.com", "a.shop.example.com", Some("exists only through *.example.com")),
            ("www.example.com", "_dmarc.www.example.com", None),
            ("example.org", "_dmarc.example.org", None),
            ("shop.example.org", "shop.example.org", Some("exists only through *.example.org")),
            ("gone.example", "gone.example", Some("does not exist")),
            ("broken.example", "broken.example", Some("could not be looked up")),
        ] {
            let found = obstacle(&zone, domain, name);
            match why {
                Some(why) => assert!(found.as_ref().is_some_and(|found| found.contains(why)), "{name}: {found:?}"),
                None => assert_eq!(found, None, "{name}"),
            }
        }
    }
}
