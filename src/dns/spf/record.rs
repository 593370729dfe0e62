//! Parses an SPF record (RFC 7208 sections 4.6.1, 5, 6 and 12): its terms in order, and every term that is invalid.
//!
//! One invalid term makes the whole record a permanent error, but a check wants to name all of them.

use super::macros::MacroString;
use crate::model::is_in_network;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Whether a TXT text is an SPF record: `v=spf1`, then a space or the end (section 4.5).
pub fn is_spf(text: &str) -> bool {
    text.get(..6).is_some_and(|version| version.eq_ignore_ascii_case("v=spf1"))
        && (text.len() == 6 || text.as_bytes()[6] == b' ')
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpfRecord {
    /// As published.
    pub text: String,
    /// The terms that can be read, in order.
    pub terms: Vec<Term>,
    /// Those that cannot.
    pub errors: Vec<TermError>,
}

/// A term, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// As written.
    pub text: String,
    /// What it means.
    pub kind: TermKind,
}

/// What a term can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TermKind {
    /// A mechanism and what it means to match.
    Directive(Qualifier, Mechanism),
    /// `redirect=`.
    Redirect(MacroString),
    /// `exp=`.
    Explanation(MacroString),
    /// A modifier of no known name, which is ignored.
    Unknown,
}

/// What matching a mechanism gives, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qualifier {
    /// `+`, or none.
    Pass,
    /// `?`.
    Neutral,
    /// `~`.
    SoftFail,
    /// `-`.
    Fail,
}

/// A test that a source passes or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mechanism {
    /// Always matches.
    All,
    /// Matches what the named domain's record passes.
    Include(MacroString),
    /// Matches the addresses of a name; `None` is the domain itself.
    A(Option<MacroString>, Prefixes),
    /// Matches the addresses of the mail exchangers of a name.
    Mx(Option<MacroString>, Prefixes),
    /// Matches a source whose confirmed name lies within a domain.
    Ptr(Option<MacroString>),
    /// Matches a range of IPv4 addresses.
    Ip4(Ipv4Addr, u8),
    /// Matches a range of IPv6 addresses.
    Ip6(Ipv6Addr, u8),
    /// Matches if a name has an A record.
    Exists(MacroString),
}

impl Mechanism {
    /// Whether it counts toward the ten lookups (section 4.6.4).
    pub const fn looks_up(&self) -> bool {
        !matches!(self, Self::All | Self::Ip4(..) | Self::Ip6(..))
    }

    /// Whether it is a range that contains an address.
    pub fn is_range_of(&self, address: IpAddr) -> bool {
        match self {
            Self::Ip4(network, prefix) => is_in_network(address, (*network).into(), *prefix),
            Self::Ip6(network, prefix) => is_in_network(address, (*network).into(), *prefix),
            _ => false,
        }
    }
}

/// Prefix lengths of `a` and `mx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefixes {
    /// Of IPv4, 0 to 32.
    pub v4: u8,
    /// Of IPv6, 0 to 128.
    pub v6: u8,
}

impl Prefixes {
    /// Whether two addresses are equal under these prefix lengths.
    pub fn holds(self, network: IpAddr, address: IpAddr) -> bool {
        is_in_network(address, network, if network.is_ipv4() { self.v4 } else { self.v6 })
    }
}

/// A term that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("term {position} `{term}`: {why}")]
pub struct TermError {
    /// As written.
    pub term: String,
    /// Its number, from 1 for the first term after the version.
    pub position: usize,
    /// What was wrong.
    pub why: String,
}

impl SpfRecord {
    /// Parses a text for which [`is_spf`] is true.
    pub fn parse(text: &str) -> Self {
        let mut record = Self { text: text.to_owned(), terms: Vec::new(), errors: Vec::new() };
        let rest = text.get(6..).unwrap_or_default();
        for (index, term) in rest.split(' ').filter(|term| !term.is_empty()).enumerate() {
            match parse_term(term).and_then(|kind| record.only_once(kind)) {
                Ok(kind) => record.terms.push(Term { text: term.to_owned(), kind }),
                Err(why) => record.errors.push(TermError { term: term.to_owned(), position: index + 1, why }),
            }
        }
        record
    }

    /// `redirect` and `exp` may occur once each (section 6).
    fn only_once(&self, kind: TermKind) -> Result<TermKind, String> {
        let repeated = match kind {
            TermKind::Redirect(_) => self.redirect().is_some(),
            TermKind::Explanation(_) => self.explanation().is_some(),
            _ => false,
        };
        if repeated { Err("expected this modifier once, found it again".into()) } else { Ok(kind) }
    }

    /// The mechanisms, with how they are written.
    pub fn directives(&self) -> impl Iterator<Item = (&Term, Qualifier, &Mechanism)> {
        self.terms.iter().filter_map(|term| match &term.kind {
            TermKind::Directive(qualifier, mechanism) => Some((term, *qualifier, mechanism)),
            _ => None,
        })
    }

    /// The target of `redirect=`, and the term.
    pub fn redirect(&self) -> Option<(&Term, &MacroString)> {
        self.terms.iter().find_map(|term| match &term.kind {
            TermKind::Redirect(target) => Some((term, target)),
            _ => None,
        })
    }

    /// The target of `exp=`.
    pub fn explanation(&self) -> Option<&MacroString> {
        self.terms.iter().find_map(|term| match &term.kind {
            TermKind::Explanation(target) => Some(target),
            _ => None,
        })
    }

    /// The qualifier of the first `all`.
    pub fn all(&self) -> Option<Qualifier> {
        self.directives().find(|(_, _, mechanism)| **mechanism == Mechanism::All).map(|(_, qualifier, _)| qualifier)
    }
}

fn parse_term(term: &str) -> Result<TermKind, String> {
    if !term.is_ascii() || term.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("expected visible ASCII, found another character".into());
    }
    let name_length = term.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte)).count();
    if term.as_bytes().get(name_length) == Some(&b'=') && term.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return parse_modifier(&term[..name_length], &term[name_length + 1..]);
    }
    let (qualifier, rest) = match term.as_bytes()[0] {
        b'+' => (Qualifier::Pass, &term[1..]),
        b'-' => (Qualifier::Fail, &term[1..]),
        b'~' => (Qualifier::SoftFail, &term[1..]),
        b'?' => (Qualifier::Neutral, &term[1..]),
        _ => (Qualifier::Pass, term),
    };
    parse_mechanism(rest).map(|mechanism| TermKind::Directive(qualifier, mechanism))
}

fn parse_modifier(name: &str, value: &str) -> Result<TermKind, String> {
    match name.to_ascii_lowercase().as_str() {
        "redirect" => domain_spec(value).map(TermKind::Redirect),
        "exp" => domain_spec(value).map(TermKind::Explanation),
        "all" | "include" | "a" | "mx" | "ptr" | "ip4" | "ip6" | "exists" => {
            Err(format!("expected `{name}:...`, found `{name}=`"))
        }
        _ => MacroString::parse(value).map(|_| TermKind::Unknown),
    }
}

fn parse_mechanism(text: &str) -> Result<Mechanism, String> {
    let end = text.find([':', '/']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    match name.to_ascii_lowercase().as_str() {
        "all" if rest.is_empty() => Ok(Mechanism::All),
        "all" => Err(format!("expected nothing after `all`, found `{rest}`")),
        "include" => required_domain(rest).map(Mechanism::Include),
        "exists" => required_domain(rest).map(Mechanism::Exists),
        "a" => domain_and_prefixes(rest).map(|(domain, prefixes)| Mechanism::A(domain, prefixes)),
        "mx" => domain_and_prefixes(rest).map(|(domain, prefixes)| Mechanism::Mx(domain, prefixes)),
        "ptr" if rest.is_empty() => Ok(Mechanism::Ptr(None)),
        "ptr" => required_domain(rest).map(|domain| Mechanism::Ptr(Some(domain))),
        "ip4" => network(rest, "IPv4", 32).map(|(address, prefix)| Mechanism::Ip4(address, prefix)),
        "ip6" => network(rest, "IPv6", 128).map(|(address, prefix)| Mechanism::Ip6(address, prefix)),
        other => Err(unknown_mechanism(other, text)),
    }
}

/// Says what was probably meant.
fn unknown_mechanism(name: &str, text: &str) -> String {
    let found = "expected a mechanism (all, include, a, mx, ptr, ip4, ip6, exists)";
    if name == "v=spf1" || text.to_ascii_lowercase().starts_with("v=spf1") {
        "the record contains a second v=spf1".into()
    } else if text.parse::<IpAddr>().is_ok() || text.split('/').next().is_some_and(|a| a.parse::<IpAddr>().is_ok()) {
        let family = if text.contains(':') { "ip6" } else { "ip4" };
        format!("{found}, found a bare address: write {family}:{text}")
    } else if name == "ipv4" || name == "ipv6" || name == "ip" {
        format!("{found}, found `{name}`: write ip4: or ip6:")
    } else if name.len() > 3 && name.contains('.') {
        format!("{found}, found a bare name: write include:{text} or a:{text}")
    } else {
        format!("{found}, found `{name}`")
    }
}

fn required_domain(rest: &str) -> Result<MacroString, String> {
    match rest.strip_prefix(':') {
        Some(domain) => domain_spec(domain),
        None => Err("expected `:` and a domain".into()),
    }
}

/// `[":" domain-spec] ["/" v4] ["//" v6]`: slashes are searched from the end, as macros may contain one.
fn domain_and_prefixes(rest: &str) -> Result<(Option<MacroString>, Prefixes), String> {
    let mut prefixes = Prefixes { v4: 32, v6: 128 };
    let mut head = rest;
    if let Some((before, length)) = head.rsplit_once("//") {
        if is_digits(length) {
            prefixes.v6 = prefix_length(length, 128)?;
            head = before;
        } else if !length.contains('}') {
            return Err(format!("expected an IPv6 prefix length after `//`, found `{length}`"));
        }
    }
    if let Some((before, length)) = head.rsplit_once('/') {
        if is_digits(length) {
            prefixes.v4 = prefix_length(length, 32)?;
            head = before;
        } else if !length.contains('}') {
            return Err(format!("expected a prefix length after `/`, found `{length}`"));
        }
    }
    match head.strip_prefix(':') {
        Some(domain) => domain_spec(domain).map(|domain| (Some(domain), prefixes)),
        None if head.is_empty() => Ok((None, prefixes)),
        None => Err(format!("expected `:` or `/`, found `{head}`")),
    }
}

/// An address of a family and its prefix length, at most this.
fn network<A: FromStr>(rest: &str, family: &str, most: u8) -> Result<(A, u8), String> {
    let text = rest.strip_prefix(':').ok_or("expected `:` and an address")?;
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let parsed = address.parse().map_err(|_| not_an_address(family, address))?;
    Ok((parsed, length.map_or(Ok(most), |text| prefix_length(text, most))?))
}

/// Says what is there instead of an address: the other family, or two terms without a space.
fn not_an_address(family: &str, found: &str) -> String {
    let other = match found.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => ": that is IPv4, write ip4:",
        Ok(IpAddr::V6(_)) => ": that is IPv6, write ip6:",
        Err(_) if found.contains(['~', '+', '?']) || found.contains("-all") => ": is a space missing?",
        Err(_) if found.contains(',') => ": terms are separated by spaces, not commas",
        Err(_) => "",
    };
    format!("expected an {family} address, found `{found}`{other}")
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn prefix_length(text: &str, most: u8) -> Result<u8, String> {
    let plain = is_digits(text) && (text == "0" || !text.starts_with('0'));
    match text.parse::<u8>() {
        Ok(length) if plain && length <= most => Ok(length),
        _ if text.contains(['~', '-', '+', '?']) => {
            Err(format!("expected a prefix length from 0 to {most}, found `{text}`: is a space missing?"))
        }
        _ => Err(format!("expected a prefix length from 0 to {most}, found `{text}`")),
    }
}

/// A macro-string that ends in a top label or a macro (section 7.1).
fn domain_spec(text: &str) -> Result<MacroString, String> {
    let spec = MacroString::parse(text)?;
    if spec.has_explanation_macros() {
        Err("expected no c, r or t macro outside an explanation".into())
    } else if spec.ends_in_macro() || has_top_label(text) {
        Ok(spec)
    } else if text.is_empty() {
        Err("expected a domain, found nothing".into())
    } else {
        Err(format!("expected a domain of at least two labels, found `{text}`"))
    }
}

/// `"." toplabel ["."]`, where the top label contains a letter or an inner hyphen and is not all digits.
fn has_top_label(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    text.rsplit_once('.').is_some_and(|(_, top)| {
        !top.is_empty()
            && top.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !top.starts_with('-')
            && !top.ends_with('-')
            && !is_digits(top)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_error(text: &str) -> String {
        SpfRecord::parse(text).errors.first().map(ToString::to_string).unwrap_or_default()
    }

    #[test]
    fn only_the_exact_version_makes_a_record() {
        for (text, yes) in [
            ("v=spf1", true),
            ("V=SPF1 -all", true),
            ("v=spf1 ", true),
            ("v=spf10 -all", false),
            (" v=spf1 -all", false),
            ("v=spf1\t-all", false),
            ("v=spf2.0/pra", false),
        ] {
            assert_eq!(is_spf(text), yes, "{text}");
        }
    }

    #[test]
    fn records_as_people_write_them_are_read() {
        let record = SpfRecord::parse("v=spf1 ip4:192.0.2.0 ip4:192.0.2.1 include:_spf.example.net  -all");
        assert!(record.errors.is_empty());
        assert_eq!(record.terms.len(), 4);
        assert_eq!(record.all(), Some(Qualifier::Fail));

        let record = SpfRecord::parse("v=spf1 ip6:1080::8:800:68.0.3.1/96 ~all +all");
        assert!(record.errors.is_empty());
        let (_, _, mechanism) = record.directives().next().unwrap();
        assert_eq!(*mechanism, Mechanism::Ip6("1080::8:800:4400:301".parse().unwrap(), 96));
        assert_eq!(record.all(), Some(Qualifier::SoftFail), "the first all decides");
    }

    #[test]
    fn every_term_in_error_is_named_with_what_was_expected() {
        for (record, error) in [
            (
                "v=spf1 ip4:192.0.2.1~all",
                "term 1 `ip4:192.0.2.1~all`: expected an IPv4 address, found `192.0.2.1~all`: is a space missing?",
            ),
            (
                "v=spf1 ip4:2001:db8::1 -all",
                "term 1 `ip4:2001:db8::1`: expected an IPv4 address, found `2001:db8::1`: that is IPv6, write ip6:",
            ),
            ("v=spf1 ip4:192.0.2.1/33", "term 1 `ip4:192.0.2.1/33`: expected a prefix length from 0 to 32, found `33`"),
            ("v=spf1 a/024", "term 1 `a/024`: expected a prefix length from 0 to 32, found `024`"),
            ("v=spf1 mx -all:x", "term 2 `-all:x`: expected nothing after `all`, found `:x`"),
            ("v=spf1 include: -all", "term 1 `include:`: expected a domain, found nothing"),
            ("v=spf1 include=example.com", "term 1 `include=example.com`: expected `include:...`, found `include=`"),
            (
                "v=spf1 192.0.2.1",
                "term 1 `192.0.2.1`: expected a mechanism (all, include, a, mx, ptr, ip4, ip6, exists), found a bare address: write ip4:192.0.2.1",
            ),
            ("v=spf1 a:museum", "term 1 `a:museum`: expected a domain of at least two labels, found `museum`"),
            ("v=spf1 a:192.0.2.1", "term 1 `a:192.0.2.1`: expected a domain of at least two labels, found `192.0.2.1`"),
            (
                "v=spf1 redirect=a.example redirect=b.example",
                "term 2 `redirect=b.example`: expected this modifier once, found it again",
            ),
            (
                "v=spf1 exists:%{x}.example.com",
                "term 1 `exists:%{x}.example.com`: expected a macro letter (s l o d i p h c r t v), found `x`",
            ),
            ("v=spf1 foo=%z -all", "term 1 `foo=%z`: expected `{`, `%`, `_` or `-` after `%`, found `z`"),
        ] {
            assert_eq!(first_error(record), error);
        }
    }

    #[test]
    fn a_good_term_is_read_whatever_its_case() {
        for text in [
            "v=spf1 A",
            "v=spf1 a/24//64",
            "v=spf1 a:%{d}",
            "v=spf1 mx:Example.com./28",
            "v=spf1 ptr",
            "v=spf1 A//64",
            "v=spf1 exists:%{ir}.%{l1r+-}._spf.%{d}",
            "v=spf1 a:foo:8080.example.com",
            "v=spf1 unknown=",
            "v=spf1 ip6:::/0",
            "v=spf1 a:example.com:8080.net",
            "v=spf1 a:foo-bar.-_x.example",
            "v=spf1 exists:%{i/}.example.net",
        ] {
            assert!(SpfRecord::parse(text).errors.is_empty(), "{text}: {}", first_error(text));
        }
    }
}
