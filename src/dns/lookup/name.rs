//! Domain names as checks need them: canonical text (lower-case A-labels without the final dot), what can exist in DNS,
//! and the organizational domain.

pub use crate::judge::{is_within, organizational};

/// The canonical form: trimmed, without the final dot, A-labels, lower case. `None` if the text is not a domain name.
pub fn canonical(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_suffix('.').unwrap_or(text);
    let name = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::EMPTY).ok()?.to_ascii_lowercase()
    };
    is_possible(&name).then_some(name)
}

/// Whether a name can exist in DNS: up to 253 bytes, labels of 1 to 63 (RFC 1035 section 2.3.4). It says nothing about
/// the characters, as service names begin with an underscore.
pub fn is_possible(name: &str) -> bool {
    !name.is_empty() && name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()))
}

/// Whether a canonical name is one that people register and publish under, not merely one that DNS could carry: labels of
/// letters, digits, `-` and `_`, and no address.
pub fn is_domain(name: &str) -> bool {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.bytes().all(usual) && name.parse::<std::net::IpAddr>().is_err()
}

/// The canonical form of a domain that people register and publish under; `None` if the text is none.
pub fn domain(text: &str) -> Option<String> {
    canonical(text).filter(|name| is_domain(name))
}

/// The name without its first label; `None` at the top.
pub fn parent(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, rest)| rest)
}

/// How many labels a name has.
pub fn labels(name: &str) -> usize {
    name.split('.').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_to_one_form() {
        assert_eq!(canonical(" Example.COM. ").as_deref(), Some("example.com"));
        assert_eq!(canonical("bücher.example").as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(canonical("_dmarc.example.com").as_deref(), Some("_dmarc.example.com"));
        for bad in ["", ".", "a..example", &"a".repeat(64), &["abcdefgh"; 40].join(".")] {
            assert_eq!(canonical(bad), None, "{bad}");
        }
    }
}
