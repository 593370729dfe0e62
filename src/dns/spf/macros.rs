//! SPF macros (RFC 7208 section 7): domains that depend on the mail.
//!
//! It performs no lookups; the caller supplies the value of `%{p}`.

use std::fmt::Write as _;
use std::net::IpAddr;

/// A text with macros in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacroString {
    parts: Vec<MacroPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum MacroPart {
    Text(String),
    Macro(Macro),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Macro {
    /// In lower case.
    letter: char,
    /// The letter was upper case: percent-encode.
    encode: bool,
    /// Keep this many labels from the right; 0 keeps all.
    keep: usize,
    reverse: bool,
    delimiters: String,
}

/// What macros stand for in one evaluation.
#[derive(Debug, Clone)]
pub struct MacroValues<'a> {
    /// `s`: the sender.
    pub sender: String,
    /// `d`: the domain whose record is read.
    pub domain: &'a str,
    /// `i`, `c`, `v`: the source.
    pub ip: IpAddr,
    /// `h`: the HELO name.
    pub helo: &'a str,
    /// `p`: the confirmed name of the source.
    pub confirmed: String,
}

/// What was expected in place of a character, or of the end.
fn expected(what: &str, found: Option<char>) -> String {
    let found = found.map_or("the end".to_owned(), |c| format!("`{c}`"));
    format!("expected {what}, found {found}")
}

impl MacroString {
    /// Parses a text.
    ///
    /// # Errors
    ///
    /// What was expected, and what was found.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            match rest.chars().next() {
                Some('%') => plain.push('%'),
                Some('_') => plain.push(' '),
                Some('-') => plain.push_str("%20"),
                Some('{') => {
                    if !plain.is_empty() {
                        parts.push(MacroPart::Text(std::mem::take(&mut plain)));
                    }
                    let (value, after) = Macro::parse(&rest[1..])?;
                    parts.push(MacroPart::Macro(value));
                    rest = after;
                    continue;
                }
                other => return Err(expected("`{`, `%`, `_` or `-` after `%`", other)),
            }
            rest = &rest[1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(MacroPart::Text(plain));
        }
        Ok(Self { parts })
    }

    /// The text, if it depends on nothing.
    pub fn fixed(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [MacroPart::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text for a domain, if it depends on nothing but the domain.
    pub fn for_domain(&self, domain: &str) -> Option<String> {
        let (sender, confirmed) = (String::new(), String::new());
        let values = MacroValues { sender, domain, ip: IpAddr::from([0; 4]), helo: "", confirmed };
        self.letters().all(|letter| letter == 'd').then(|| self.expand(&values))
    }

    /// The letters of the macros.
    fn letters(&self) -> impl Iterator<Item = char> {
        self.parts.iter().filter_map(|part| if let MacroPart::Macro(value) = part { Some(value.letter) } else { None })
    }

    /// Whether the last part is a macro.
    pub fn ends_in_macro(&self) -> bool {
        matches!(self.parts.last(), Some(MacroPart::Macro(_)))
    }

    /// Whether the confirmed name of the source is needed.
    pub fn needs_confirmed(&self) -> bool {
        self.letters().any(|letter| letter == 'p')
    }

    /// Whether it contains `c`, `r` or `t`, which are only valid in explanations (section 7.2).
    pub fn has_explanation_macros(&self) -> bool {
        self.letters().any(|letter| "crt".contains(letter))
    }

    /// The text for one mail.
    pub fn expand(&self, values: &MacroValues<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                MacroPart::Text(plain) => text.push_str(plain),
                MacroPart::Macro(value) => value.expand(values, &mut text),
            }
        }
        text
    }

    /// The text as a domain: over 253 bytes, labels are dropped from the left (section 7.3).
    pub fn expand_domain(&self, values: &MacroValues<'_>) -> String {
        let text = self.expand(values);
        let mut name = text.strip_suffix('.').unwrap_or(&text);
        while name.len() > 253 {
            match name.split_once('.') {
                Some((_, shorter)) => name = shorter,
                None => break,
            }
        }
        name.to_ascii_lowercase()
    }
}

impl Macro {
    /// `letter *DIGIT ["r"] *delimiter "}"`, and what follows.
    fn parse(text: &str) -> Result<(Self, &str), String> {
        let first = text.chars().next();
        let letter = first.filter(|c| "slodiphcrtv".contains(c.to_ascii_lowercase()));
        let letter = letter.ok_or_else(|| expected("a macro letter (s l o d i p h c r t v)", first))?;
        let rest = &text[1..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let keep = if digits == 0 {
            0
        } else {
            match rest[..digits].parse::<usize>().unwrap_or(usize::MAX) {
                0 => return Err("expected a number of labels above 0 in the macro, found 0".into()),
                number => number,
            }
        };
        let rest = &rest[digits..];
        let reverse = rest.starts_with(['r', 'R']);
        let rest = &rest[usize::from(reverse)..];
        let delimiters = rest.bytes().take_while(|byte| b".-+,/_=".contains(byte)).count();
        let after = rest[delimiters..].strip_prefix('}').ok_or("expected `}` at the end of the macro")?;
        let value = Self {
            letter: letter.to_ascii_lowercase(),
            encode: letter.is_ascii_uppercase(),
            keep,
            reverse,
            delimiters: if delimiters == 0 { ".".into() } else { rest[..delimiters].into() },
        };
        Ok((value, after))
    }

    fn expand(&self, values: &MacroValues<'_>, text: &mut String) {
        let value = self.value(values);
        let mut labels: Vec<&str> = value.split(|c| self.delimiters.contains(c)).collect();
        if self.reverse {
            labels.reverse();
        }
        if self.keep > 0 && labels.len() > self.keep {
            labels.drain(..labels.len() - self.keep);
        }
        let value = labels.join(".");
        if self.encode {
            percent_encode(&value, text);
        } else {
            text.push_str(&value);
        }
    }

    fn value(&self, values: &MacroValues<'_>) -> String {
        let (local, origin) = values.sender.rsplit_once('@').unwrap_or(("postmaster", &values.sender));
        match self.letter {
            's' => values.sender.clone(),
            'l' => local.to_owned(),
            'o' => origin.to_owned(),
            'd' => values.domain.to_owned(),
            'i' => dotted(values.ip),
            'p' => values.confirmed.clone(),
            'v' => if values.ip.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
            'h' => values.helo.to_owned(),
            'c' => values.ip.to_string(),
            // `r`, the receiving host, and `t`, the time, are for explanations alone, and no server answers with ours.
            'r' => "unknown".to_owned(),
            _ => "0".to_owned(),
        }
    }
}

/// An IPv4 address as it is; an IPv6 address by nibbles (section 7.3).
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(four) => four.to_string(),
        IpAddr::V6(six) => {
            let nibbles: Vec<String> = six
                .octets()
                .iter()
                .flat_map(|octet| [octet >> 4, octet & 15])
                .map(|nibble| format!("{nibble:x}"))
                .collect();
            nibbles.join(".")
        }
    }
}

/// All but the unreserved characters of RFC 3986.
fn percent_encode(value: &str, text: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(ip: &str) -> MacroValues<'static> {
        MacroValues {
            sender: "strong-bad@email.example.com".into(),
            domain: "email.example.com",
            ip: ip.parse().unwrap(),
            helo: "mx.example.org",
            confirmed: "mx.example.org".into(),
        }
    }

    /// The examples of RFC 7208 section 7.4 are facts of the standard.
    #[test]
    fn macros_expand_as_the_standard_shows() {
        for (text, expanded) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d3}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
            ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
            ("%{S}", "strong-bad%40email.example.com"),
            ("a%%b%_c%-d", "a%b c%20d"),
        ] {
            assert_eq!(MacroString::parse(text).unwrap().expand(&values("192.0.2.3")), expanded, "{text}");
        }
        let six = MacroString::parse("%{ir}.%{v}._spf.%{d2}").unwrap().expand(&values("2001:db8::cb01"));
        assert_eq!(six, "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com");
        assert_eq!(MacroString::parse("%{c}").unwrap().expand(&values("2001:db8::1")), "2001:db8::1");
    }

    #[test]
    fn what_is_no_macro_is_refused() {
        for text in ["%", "%a", "%{", "%{q}", "%{d", "%{d0}", "%{d2x}", "%{}"] {
            assert!(MacroString::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_long_domain_loses_labels_from_the_left() {
        let long = format!("{}.example.com", vec!["a"; 150].join("."));
        let domain = MacroString::parse(&long).unwrap().expand_domain(&values("192.0.2.3"));
        assert!(domain.len() <= 253 && domain.ends_with(".a.example.com"));
    }

    #[test]
    fn only_the_domain_macro_is_known_beforehand() {
        assert_eq!(
            MacroString::parse("_spf.%{d2}").unwrap().for_domain("a.example.com").as_deref(),
            Some("_spf.example.com")
        );
        assert_eq!(MacroString::parse("%{i}.example.com").unwrap().for_domain("example.com"), None);
    }
}
