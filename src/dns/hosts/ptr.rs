//! The reverse DNS name of an address, confirmed forward (RFC 8601 section 3, iprev). A failed lookup is never taken for a
//! missing name.

use crate::dns::finding as codes;
use crate::dns::finding::{CheckCode, Notes};
use crate::dns::lookup::answer::{self, Answer, Failure, Family, Lookup, QueryType};
use serde::Serialize;
use std::net::IpAddr;

/// Names of one address that are examined: a host needs one, and a zone may have thousands.
pub const NAME_LIMIT: usize = 5;

/// The reverse DNS names of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PtrName {
    /// Names that resolve back to the address, best first.
    Confirmed(Vec<String>),
    /// Names, none of which resolves back.
    Unconfirmed(Vec<String>),
    /// No name.
    Nameless,
}

impl PtrName {
    /// The name to show, and whether it is confirmed.
    pub fn name(&self) -> Option<(&str, bool)> {
        match self {
            Self::Confirmed(names) => names.first().map(|name| (name.as_str(), true)),
            Self::Unconfirmed(names) => names.first().map(|name| (name.as_str(), false)),
            Self::Nameless => None,
        }
    }
}

/// The name of an address.
///
/// # Errors
///
/// The failure, if the names or their addresses could not be looked up.
pub fn name_of(lookup: &dyn Lookup, address: IpAddr) -> Result<PtrName, Failure> {
    let names = lookup.ptr(address);
    let forward = |name: &str| lookup.addresses(name, Family::of(address));
    let back = first_names(&names).iter().map(|name| forward(name)).collect::<Vec<_>>();
    judge(address, names, &back)
}

/// The names to look up forward.
pub(crate) fn first_names(names: &Answer<Vec<String>>) -> &[String] {
    match names {
        Answer::Found(names) => &names[..names.len().min(NAME_LIMIT)],
        _ => &[],
    }
}

/// Combines the answers: `back` are the addresses of [`first_names`], in order.
pub(crate) fn judge(
    address: IpAddr,
    names: Answer<Vec<String>>,
    back: &[Answer<Vec<IpAddr>>],
) -> Result<PtrName, Failure> {
    let Some(names) = names.known()? else { return Ok(PtrName::Nameless) };
    let leads_back = |answer: &Answer<Vec<IpAddr>>| matches!(answer, Answer::Found(found) if found.contains(&address));
    let confirmed: Vec<String> =
        names.iter().zip(back).filter(|(_, answer)| leads_back(answer)).map(|(name, _)| name.clone()).collect();
    if !confirmed.is_empty() {
        return Ok(PtrName::Confirmed(confirmed));
    }
    match back.iter().find_map(Answer::failure) {
        Some(failure) => Err(failure.clone()),
        None => Ok(PtrName::Unconfirmed(names)),
    }
}

/// Checks the name of a source that sends for the domain. A private address has no name in public DNS, so nothing is
/// wrong there.
pub(crate) fn check(
    lookup: &dyn Lookup,
    address: IpAddr,
    notes: &mut Notes,
) -> (Option<PtrName>, Option<(&'static CheckCode, String)>) {
    let reverse = answer::reverse_name(address);
    let naming = match name_of(lookup, address) {
        Ok(naming) => naming,
        Err(failure) => {
            notes.unknown(&reverse, QueryType::Ptr, &failure);
            return (None, None);
        }
    };
    let finding: Option<(&'static CheckCode, String)> = match &naming {
        _ if !super::mx::is_public(address) => None,
        PtrName::Nameless => Some((&codes::PTR_MISSING, format!("Publish a PTR record for {address}: it has none."))),
        PtrName::Unconfirmed(names) => {
            let text =
                format!("Correct the PTR record of {address}: {} does not resolve back to it.", names.join(", "));
            Some((&codes::PTR_UNCONFIRMED, text))
        }
        PtrName::Confirmed(names) => names.iter().find(|name| is_generic(name, address)).map(|name| {
            let text = format!("Give {address} a name of your own: {name} is made from the address.");
            (&codes::PTR_GENERIC, text)
        }),
    };
    (Some(naming), finding)
}

/// Whether a name looks generic: it contains the address, or a word that providers use for home connections.
pub fn is_generic(name: &str, address: IpAddr) -> bool {
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let of_pool = ["dyn", "dynamic", "dhcp", "pool", "dsl", "adsl", "dialup", "dial", "cable", "ppp"];
    if words.iter().any(|word| of_pool.contains(word)) {
        return true;
    }
    let IpAddr::V4(four) = address else { return false };
    let octets = four.octets().map(|octet| octet.to_string());
    let runs = |octets: &[String]| words.windows(octets.len()).any(|run| run.iter().zip(octets).all(|(a, b)| a == b));
    let mut backward = octets.clone();
    backward.reverse();
    let hex = format!("{:08x}", four.to_bits());
    runs(&octets[1..]) || runs(&octets) || runs(&backward[..3]) || words.iter().any(|word| word.contains(&hex))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::lookup::test_zone::Zone;

    #[test]
    fn a_name_counts_only_if_it_leads_back() {
        let zone = Zone::new(
            "192.0.2.1 PTR mx.example.net\nmx.example.net A 192.0.2.1\n192.0.2.2 PTR mx.example.net\n\
             192.0.2.4 PTR broken.example.net\nbroken.example.net TIMEOUT\n5.2.0.192.in-addr.arpa SERVFAIL\n\
             2001:db8::1 PTR six.example.net\nsix.example.net AAAA 2001:db8::1",
        );
        let of = |address: &str| name_of(&zone, address.parse().unwrap());
        assert_eq!(of("192.0.2.1"), Ok(PtrName::Confirmed(vec!["mx.example.net".into()])));
        assert_eq!(of("192.0.2.2"), Ok(PtrName::Unconfirmed(vec!["mx.example.net".into()])));
        assert_eq!(of("192.0.2.3"), Ok(PtrName::Nameless));
        assert_eq!(of("192.0.2.4"), Err(Failure::TimedOut));
        assert_eq!(of("192.0.2.5"), Err(Failure::ServFail));
        assert_eq!(of("2001:db8::1"), Ok(PtrName::Confirmed(vec!["six.example.net".into()])));
    }

    #[test]
    fn names_made_of_the_address_are_generic() {
        let address = "192.0.2.7".parse().unwrap();
        for (name, generic) in [
            ("192-0-2-7.isp.example", true),
            ("7.2.0.192.isp.example", true),
            ("host-0-2-7.isp.example", true),
            ("c0000207.isp.example", true),
            ("pool.isp.example", true),
            ("mail7.isp.example", false),
            ("o192.mail.example", false),
        ] {
            assert_eq!(is_generic(name, address), generic, "{name}");
        }
    }
}
