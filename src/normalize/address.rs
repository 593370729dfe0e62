//! Source addresses in every spelling seen, to one address.
//!
//! In: trimmed text. Out: an address, and whether more than an address stood there; or nothing. Never a guess: digits
//! with leading zeros are octal to some and decimal to others, and so no address.

use crate::model::Source;
use std::net::IpAddr;

/// An address that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    /// IPv4-mapped IPv6 folded to IPv4.
    pub(super) ip: IpAddr,
    /// Whether a zone id, a port or a whole-address prefix length was dropped.
    pub(super) dropped: bool,
}

/// Read an address: plain, in brackets, IPv4-mapped, with a zone id, a port or a `/32` behind it.
pub(super) fn address(text: &str) -> Option<Address> {
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

/// An address as the standard library reads it. The all-ones address stands for the unknown source and never sends.
fn plain(text: &str) -> Option<IpAddr> {
    let ip = text.parse::<IpAddr>().ok()?.to_canonical();
    (Source::from(Some(ip)) != Source::UNKNOWN).then_some(ip)
}

/// Take brackets off, also with an `IPv6:` tag (RFC 5321 section 4.1.3) within or a port behind.
fn unbracket(text: &str) -> (&str, bool) {
    let Some((inside, behind)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return (text, false);
    };
    let inside = match inside.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => &inside[5..],
        _ => inside,
    };
    match behind.strip_prefix(':') {
        Some(port) if is_digits(port) => (inside, true),
        _ if behind.is_empty() => (inside, false),
        _ => (text, false),
    }
}

/// Whether what follows `%` or `/` leaves the address whole: a zone id, or a prefix of all its bits.
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

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, bool)> {
        address(text).map(|address| (address.ip.to_string(), address.dropped))
    }

    #[test]
    fn spellings_of_one_address_are_one_and_silent() {
        for text in ["192.0.2.7", "::ffff:192.0.2.7", "::FFFF:C000:0207", "[192.0.2.7]", "[::ffff:192.0.2.7]"] {
            assert_eq!(read(text), Some(("192.0.2.7".into(), false)), "{text}");
        }
        for text in ["2001:db8::1", "2001:0DB8:0000:0000:0000:0000:0000:0001", "[2001:db8::1]", "[IPv6:2001:db8::1]"] {
            assert_eq!(read(text), Some(("2001:db8::1".into(), false)), "{text}");
        }
    }

    #[test]
    fn what_stands_behind_an_address_is_dropped_and_said() {
        for text in ["2001:db8::5%eth0", "[2001:db8::5%1]", "[2001:db8::5]:25", "2001:db8::5/128"] {
            assert_eq!(read(text), Some(("2001:db8::5".into(), true)), "{text}");
        }
        for text in ["192.0.2.7:25", "192.0.2.7/32", "[192.0.2.7]:25"] {
            assert_eq!(read(text), Some(("192.0.2.7".into(), true)), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_none() {
        for text in [
            "",
            "unknown",
            "192.0.2",
            "192.0.2.256",
            "192.000.002.007",
            "192.0.2.0/24",
            "2001:db8::/32",
            "192.0.2.7:x",
            "[192.0.2.7",
            "[192.0.2.7]x",
            "192.0.2.7, 192.0.2.8",
            "%",
            "/32",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
