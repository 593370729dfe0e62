//! Reads source addresses in every spelling seen in reports.
//!
//! It never guesses: digits with leading zeros are octal to some programs and decimal to others, so they are no
//! address; a text with two addresses is none either.

use crate::model::SourceAddress;
use std::net::IpAddr;

/// An address that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    /// IPv4-mapped IPv6 folded to IPv4.
    pub(super) ip: IpAddr,
    /// Whether something beside the address was dropped: a zone ID, a port, a full-length prefix, a host name.
    pub(super) dropped: bool,
}

/// Reads an address: plain, in brackets, IPv4-mapped, followed by a zone ID, a port or `/32`; else the only address
/// among other words, as in `192.0.2.7 (mail.example.com)`.
pub(super) fn address(text: &str) -> Option<Address> {
    spelled(text).or_else(|| among_words(text))
}

/// An address without other words.
fn spelled(text: &str) -> Option<Address> {
    if let Some(ip) = plain(text) {
        return Some(Address { ip, dropped: false });
    }
    let (text, bracketed_port) = unbracket(text);
    if let (Some(ip), false) = (plain(text), bracketed_port) {
        return Some(Address { ip, dropped: false });
    }
    let core = text.split_once(['%', '/']).map_or(text, |(core, rest)| if is_whole(text, rest) { core } else { text });
    let ip = plain(core).or_else(|| with_port(core))?;
    Some(Address { ip, dropped: true })
}

/// The only address in a text with other words, such as a host name before or after it.
fn among_words(text: &str) -> Option<Address> {
    // A host name has up to 253 characters. Longer texts are not examined.
    const LONGEST: usize = 1024;
    let is_gap = |c: char| c.is_whitespace() || "()[]<>{},;=\"'".contains(c);
    // Java writes `name/address`, and `/address` without a name.
    let behind_name =
        |word: &str| word.rsplit_once('/').and_then(|(name, ip)| (spelled(name).is_none()).then(|| plain(ip))?);
    let mut found = None;
    for word in text[..text.floor_char_boundary(LONGEST)].split(is_gap).filter(|word| !word.is_empty()) {
        let Some(ip) =
            spelled(untagged(word.trim_end_matches('.'))).map(|address| address.ip).or_else(|| behind_name(word))
        else {
            continue;
        };
        if found.is_some_and(|other| other != ip) {
            return None;
        }
        found = Some(ip);
    }
    found.map(|ip| Address { ip, dropped: true })
}

/// Without the tag of an SMTP address literal (RFC 5321 section 4.1.3).
fn untagged(text: &str) -> &str {
    match text.get(..5) {
        Some(tag) if ["ipv6:", "ipv4:"].iter().any(|known| tag.eq_ignore_ascii_case(known)) => &text[5..],
        _ => text,
    }
}

/// An address as the standard library reads it. The all-ones address stands for the unknown source and never sends.
fn plain(text: &str) -> Option<IpAddr> {
    let ip = text.parse::<IpAddr>().ok()?.to_canonical();
    (SourceAddress::from(Some(ip)) != SourceAddress::UNKNOWN).then_some(ip)
}

/// Removes brackets, also with an `IPv6:` tag (RFC 5321 section 4.1.3) inside or a port after them.
fn unbracket(text: &str) -> (&str, bool) {
    let Some((inside, behind)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return (text, false);
    };
    let inside = untagged(inside);
    match behind.strip_prefix(':') {
        Some(port) if is_digits(port) => (inside, true),
        _ if behind.is_empty() => (inside, false),
        _ => (text, false),
    }
}

/// Whether the suffix after `%` or `/` leaves the address whole: a zone ID, or a prefix of all its bits.
fn is_whole(text: &str, rest: &str) -> bool {
    match text.as_bytes().get(text.len() - rest.len() - 1) {
        Some(b'/') => rest == if text.contains(':') { "128" } else { "32" },
        _ => true,
    }
}

/// IPv4 with a port. In IPv6 the colon is part of the address.
fn with_port(text: &str) -> Option<IpAddr> {
    let (ip, port) = text.split_once(':')?;
    is_digits(port).then(|| plain(ip)).flatten().filter(IpAddr::is_ipv4)
}

/// Whether a text is digits and nothing else.
pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, bool)> {
        address(text).map(|address| (address.ip.to_string(), address.dropped))
    }

    #[test]
    fn spellings_of_one_address_are_equal_without_a_finding() {
        for text in ["192.0.2.7", "::ffff:192.0.2.7", "::FFFF:C000:0207", "[192.0.2.7]", "[::ffff:192.0.2.7]"] {
            assert_eq!(read(text), Some(("192.0.2.7".into(), false)), "{text}");
        }
        for text in ["2001:db8::1", "2001:0DB8:0000:0000:0000:0000:0000:0001", "[2001:db8::1]", "[IPv6:2001:db8::1]"] {
            assert_eq!(read(text), Some(("2001:db8::1".into(), false)), "{text}");
        }
    }

    #[test]
    fn text_after_an_address_is_dropped_with_a_finding() {
        for text in ["2001:db8::5%eth0", "[2001:db8::5%1]", "[2001:db8::5]:25", "2001:db8::5/128"] {
            assert_eq!(read(text), Some(("2001:db8::5".into(), true)), "{text}");
        }
        for text in ["192.0.2.7:25", "192.0.2.7/32", "[192.0.2.7]:25"] {
            assert_eq!(read(text), Some(("192.0.2.7".into(), true)), "{text}");
        }
    }

    #[test]
    fn the_only_address_among_other_words_is_read_with_a_finding() {
        for text in [
            "192.0.2.7 (mail.example.com)",
            "mail.example.com [192.0.2.7]",
            "mail.example.com (192.0.2.7)",
            "192.0.2.7 192.0.2.7",
            "192.0.2.7,",
            "192.0.2.7.",
            "IPv4:192.0.2.7",
            "<192.0.2.7>",
            "ip=192.0.2.7",
            "mail.example.com/192.0.2.7",
            "/192.0.2.7",
            "[192.0.2.7",
            "[192.0.2.7]x",
            "mail.example.com:[::ffff:192.0.2.7]:25",
        ] {
            assert_eq!(read(text), Some(("192.0.2.7".into(), true)), "{text}");
        }
        for text in
            ["IPv6:2001:db8::1", "ipv6:2001:DB8::1", "mx.example.com (IPv6:2001:db8::1)", "[IPv6:2001:db8::1] (mx)"]
        {
            assert_eq!(read(text), Some(("2001:db8::1".into(), true)), "{text}");
        }
        assert_eq!(read(&format!("{} 192.0.2.7", "é".repeat(2000))), None);
    }

    #[test]
    fn text_that_is_no_address_is_none() {
        for text in [
            "",
            "unknown",
            "192.0.2",
            "192.0.2.256",
            "192.000.002.007",
            "192.0.2.0/24",
            "2001:db8::/32",
            "192.0.2.7:x",
            "192.0.2.7, 192.0.2.8",
            "192.0.2.7 (192.0.2.8)",
            "192.0.2.7.example.com",
            "ip-192-0-2-7.example.com",
            "192.0.2.7/192.0.2.8",
            "the answer is 7",
            "%",
            "/32",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
