//! Makes file names of pages from untrusted names: short, of few characters, and never reserved by an operating system.

use crate::analyze::Foreign;
use crate::present::wording::words::network;
use std::net::IpAddr;

/// Maximum length of the part taken from a name.
const LONGEST: usize = 80;

/// The file name of a domain's page, without extension.
pub(crate) fn domain(domain: &Foreign) -> String {
    safe_name(domain.as_written())
}

/// The file name of a page for an address or network, without extension: `192.0.2.7`, `192.0.2.0-24`, `2001-db8--25`.
pub(crate) fn sender(address: Option<IpAddr>, prefix: u8) -> String {
    if address.is_none() {
        return "unknown".to_owned();
    }
    let name = network(address, prefix).replace([':', '/'], "-");
    if name.starts_with('-') { format!("0{name}") } else { name }
}

/// Keeps lower-case letters, digits, dots and hyphens; if anything else was replaced, or the name is too long, appends
/// a hash.
fn safe_name(text: &str) -> String {
    let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || matches!(char, '.' | '-');
    let mut name: String = text.chars().take(LONGEST).map(|char| if plain(char) { char } else { '-' }).collect();
    let odd = !text.chars().all(plain)
        || text.chars().count() > LONGEST
        || text.contains("..")
        || name.starts_with(['.', '-'])
        || name.ends_with('.')
        || name.is_empty();
    if odd {
        name = name.split('.').filter(|label| !label.is_empty()).collect::<Vec<_>>().join(".");
        let hash = blake3::hash(text.as_bytes()).to_hex();
        name = format!("{}-{}", name.trim_matches(['.', '-']), &hash[..10]);
    }
    if is_reserved(&name) || name.starts_with('-') { format!("_{name}") } else { name }
}

/// Names that Windows reserves, with any extension.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let numbered = |word: &str| {
        stem.strip_prefix(word).is_some_and(|rest| rest.len() == 1 && rest.chars().all(|char| char.is_ascii_digit()))
    };
    matches!(stem, "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_stay_and_odd_ones_are_harmless_and_distinct() {
        assert_eq!(domain(&"news.example.org".into()), "news.example.org");
        assert_eq!(domain(&"xn--bcher-kva.example".into()), "xn--bcher-kva.example");
        assert_eq!(domain(&"con.example".into()), "_con.example");
        let mut seen = std::collections::BTreeSet::new();
        let long = "x".repeat(300);
        for odd in [
            "../../etc/passwd",
            "a/b.example",
            "a\\b.example",
            "A.example",
            "a..example",
            ".",
            "",
            "-x",
            &long,
            "ü.example",
        ] {
            let name = domain(&odd.into());
            assert!(name.len() <= 100 && seen.insert(name.clone()), "{name}");
            assert!(name.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_')), "{name}");
            assert!(!name.starts_with(['.', '-']) && !name.ends_with('.') && !name.contains(".."), "{name}");
        }
    }

    #[test]
    fn addresses_and_networks_have_names_of_their_own() {
        for (address, prefix, name) in [
            ("192.0.2.7", 32, "192.0.2.7"),
            ("192.0.2.0", 24, "192.0.2.0-24"),
            ("2001:db8::25", 128, "2001-db8--25"),
            ("::1", 128, "0--1"),
        ] {
            assert_eq!(sender(address.parse().ok(), prefix), name);
        }
        assert_eq!(sender(None, 64), "unknown");
    }
}
