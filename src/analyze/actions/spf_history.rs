//! Evaluates SPF with the records of an earlier day, as far as the history of DNS has them.
//!
//! Terms that need addresses of hosts (`a`, `mx`, `ptr`, `exists`) are not in the history: they may match. The
//! evaluator of `dns::spf` does not fit here: it treats such a term as a failed lookup and would stop before the term
//! that decides. The analysis also has to build without `dns` and its resolver.

use crate::model::{DnsHistory, RecordType, is_in_network, parse_network};
use jiff::Timestamp;
use std::net::IpAddr;

/// RFC 7208 section 4.6.4.
const LOOKUP_LIMIT: u32 = 10;

/// Whether an SPF record authorized an address, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Authorized {
    /// It could not be evaluated: `permerror`.
    Error,
    /// No.
    No,
    /// No term that is known matches, but there are others.
    Maybe,
    /// Yes.
    Yes,
}

/// Whether the SPF record of a domain authorized an address at a time.
pub(super) fn authorized(history: &DnsHistory, domain: &str, address: IpAddr, at: Timestamp) -> Authorized {
    PastEvaluation { history, address, at, lookups: 0 }.check(domain)
}

/// The SPF records at a name at a time.
fn records<'a>(history: &'a DnsHistory, name: &str, at: Timestamp) -> Vec<&'a str> {
    let there = |span: &&crate::model::DnsSpan| {
        span.record_type == RecordType::Txt
            && span.first_seen <= at
            && span.ended.is_none_or(|ended| ended > at)
            && is_spf(&span.value.text)
    };
    history.spans_of(name).iter().filter(there).map(|span| span.value.text.as_str()).collect()
}

/// Whether a text is an SPF record.
pub(super) fn is_spf(text: &str) -> bool {
    text.split_whitespace().next().is_some_and(|version| version.eq_ignore_ascii_case("v=spf1"))
}

struct PastEvaluation<'a> {
    history: &'a DnsHistory,
    address: IpAddr,
    at: Timestamp,
    lookups: u32,
}

impl PastEvaluation<'_> {
    fn check(&mut self, domain: &str) -> Authorized {
        let text = match records(self.history, domain, self.at).as_slice() {
            [text] => *text,
            [] if !self.history.spans_of(domain).is_empty() => return Authorized::No,
            [] => return Authorized::Maybe,
            _ => return Authorized::Error,
        };
        let refused = |maybe: bool| if maybe { Authorized::Maybe } else { Authorized::No };
        let (mut maybe, mut redirect) = (false, None);
        for term in text.split_whitespace().skip(1) {
            let term = term.to_ascii_lowercase();
            let (passes, mechanism) = match term.as_bytes().first() {
                Some(b'+') => (true, &term[1..]),
                Some(b'-' | b'~' | b'?') => (false, &term[1..]),
                _ => (true, term.as_str()),
            };
            let matched = if let Some(range) = mechanism.strip_prefix("ip4:").or_else(|| mechanism.strip_prefix("ip6:"))
            {
                parse_network(range).is_some_and(|(network, bits)| is_in_network(self.address, network, bits))
            } else if mechanism == "all" {
                true
            } else if let Some(name) = mechanism.strip_prefix("include:") {
                match self.follow(name) {
                    Authorized::Error => return Authorized::Error,
                    Authorized::No => false,
                    Authorized::Maybe => {
                        maybe = true;
                        false
                    }
                    Authorized::Yes => true,
                }
            } else if let Some(name) = mechanism.strip_prefix("redirect=") {
                redirect = Some(name.to_owned());
                false
            } else if ["a", "mx", "ptr", "exists"].contains(&mechanism.split([':', '/']).next().unwrap_or_default()) {
                self.lookups += 1;
                maybe = true;
                false
            } else {
                // A modifier, which authorizes nobody, or a term of a later standard.
                false
            };
            if self.lookups > LOOKUP_LIMIT {
                return Authorized::Error;
            }
            if matched {
                return if passes { Authorized::Yes } else { refused(maybe) };
            }
        }
        match redirect.map_or(Authorized::No, |name| self.follow(&name)) {
            Authorized::No => refused(maybe),
            found => found,
        }
    }

    fn follow(&mut self, name: &str) -> Authorized {
        self.lookups += 1;
        if self.lookups > LOOKUP_LIMIT {
            return Authorized::Error;
        }
        let known = !self.history.spans_of(name).is_empty();
        // An include without a record is an error (RFC 7208 section 5.2).
        if known && records(self.history, name, self.at).is_empty() {
            return Authorized::Error;
        }
        self.check(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DnsSpan, DnsValue};

    fn history(records: &[(&str, &str)]) -> DnsHistory {
        let span = |(name, text): &(&str, &str)| DnsSpan {
            name: (*name).to_owned(),
            record_type: RecordType::Txt,
            value: DnsValue { meaning: (*text).to_owned(), text: (*text).to_owned() },
            first_seen: Timestamp::UNIX_EPOCH,
            last_seen: Timestamp::UNIX_EPOCH,
            ended: None,
        };
        DnsHistory::new(records.iter().map(span).collect(), &[])
    }

    fn of(records: &[(&str, &str)]) -> Authorized {
        authorized(&history(records), "example.com", "192.0.2.7".parse().unwrap(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_first_term_that_matches_decides() {
        let include = ("_spf.example.net", "v=spf1 ip4:192.0.2.0/24 -all");
        for (text, expected) in [
            ("v=spf1 ip4:192.0.2.7 -all", Authorized::Yes),
            ("v=spf1 -ip4:192.0.2.7 +all", Authorized::No),
            ("v=spf1 mx -all", Authorized::Maybe),
            ("v=spf1 mx INCLUDE:_spf.example.net -all", Authorized::Yes),
            ("v=spf1 redirect=_spf.example.net", Authorized::Yes),
            ("v=spf1 include:unknown.example.net -all", Authorized::Maybe),
            ("v=spf1 include:empty.example.net -all", Authorized::Error),
            ("v=spf1 ip6:2001:db8::/32 ip4:192.0.2.0/33 ~all", Authorized::No),
        ] {
            assert_eq!(of(&[("example.com", text), include, ("empty.example.net", "other")]), expected, "{text}");
        }
        assert_eq!(of(&[("example.com", "v=spf1 ip4:192.0.2.7"), ("example.com", "v=spf1 -all")]), Authorized::Error);
        let many = format!("v=spf1 {} ip4:192.0.2.7 -all", "include:_spf.example.org ".repeat(11));
        assert_eq!(of(&[("example.com", &many), ("_spf.example.org", "v=spf1 -all")]), Authorized::Error);
        assert_eq!(of(&[("example.com", "v=spf1 include:example.com -all")]), Authorized::Error, "a loop ends");
    }
}
