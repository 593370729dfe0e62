//! Canonicalizes domain names: A-labels, lower case, no final dot.

use crate::model::Domain;
use crate::parse::scan::trim;

/// The longest domain name, in octets, without the final dot (RFC 1035 section 2.3.4).
const LONGEST: usize = 253;
/// The longest label (RFC 1035 section 2.3.4).
const LONGEST_LABEL: usize = 63;

/// The canonical form; `None` if the text is no domain. Surrounding white space, case, a final dot and U-labels do not
/// matter.
///
/// Labels consist of letters, digits, hyphens and underscores (`_dmarc` and `_spf` are names in DNS, though not host
/// names); anything else (a path, a wildcard, an address literal) is not a domain.
///
/// ```
/// use dmarquet::normalize::canonical_domain;
/// let domain = canonical_domain(" BÜCHER.Example.COM. ").unwrap();
/// assert_eq!(domain.as_str(), "xn--bcher-kva.example.com");
/// assert_eq!(canonical_domain("../../tmp"), None);
/// ```
pub fn canonical_domain(text: &str) -> Option<Domain> {
    let text = trim(text);
    let text = text.strip_suffix('.').unwrap_or(text);
    match shape(text) {
        NameForm::Canonical => Some(Domain::from_canonical(text)),
        NameForm::Upper => Some(Domain::from_canonical(text.to_ascii_lowercase())),
        NameForm::International => international(text),
        NameForm::None => None,
    }
}

/// What has to be done to make a text canonical.
#[derive(Debug, PartialEq, Eq)]
enum NameForm {
    Canonical,
    Upper,
    International,
    None,
}

/// Character classes, one bit each.
const LOWER: u8 = 1;
const UPPER: u8 = 2;
const DOT: u8 = 4;
const HIGH: u8 = 8;
const OTHER: u8 = 16;

const CLASSES: [u8; 256] = {
    let mut classes = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let class = match byte as u8 {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => LOWER,
            b'A'..=b'Z' => UPPER,
            b'.' => DOT,
            0x80.. => HIGH,
            _ => OTHER,
        };
        classes[byte] = class;
        byte += 1;
    }
    classes
};

/// One pass without branches: it runs for every domain of every record.
fn shape(text: &str) -> NameForm {
    let (mut seen, mut empty_label, mut before) = (0, 0, DOT);
    for byte in text.bytes() {
        let class = CLASSES[usize::from(byte)];
        seen |= class;
        empty_label |= class & before;
        before = class;
    }
    empty_label = (empty_label | before) & DOT;
    let long = text.len() > LONGEST
        || (text.len() > LONGEST_LABEL && text.split('.').any(|label| label.len() > LONGEST_LABEL));
    match seen {
        _ if seen & OTHER != 0 => NameForm::None,
        _ if seen & HIGH != 0 => NameForm::International,
        _ if empty_label != 0 || long => NameForm::None,
        _ if seen & UPPER != 0 => NameForm::Upper,
        _ => NameForm::Canonical,
    }
}

/// Canonicalizes non-ASCII text by UTS 46. The length is checked first, because that work is not linear for every text.
fn international(text: &str) -> Option<Domain> {
    if text.len() > 4 * LONGEST {
        return None;
    }
    let ascii = idna::domain_to_ascii(text).ok()?;
    let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
    (shape(ascii) == NameForm::Canonical).then(|| Domain::from_canonical(ascii))
}

/// The domain of an address (`<user@example.com>`), or the text itself if it has no `@`.
pub(super) fn of_address(text: &str) -> &str {
    let text = trim(trim(text).trim_start_matches('<').trim_end_matches('>'));
    text.rsplit_once('@').map_or(text, |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Option<String> {
        canonical_domain(text).map(|domain| domain.to_string())
    }

    #[test]
    fn spellings_of_one_domain_are_equal() {
        for text in ["example.com", "Example.COM", " example.com\t", "example.com.", "EXAMPLE.com. "] {
            assert_eq!(canonical(text).as_deref(), Some("example.com"), "{text:?}");
        }
        for text in ["bücher.example.com", "BÜCHER.example.com", "xn--bcher-kva.example.com", "bücher。example.com"]
        {
            assert_eq!(canonical(text).as_deref(), Some("xn--bcher-kva.example.com"), "{text:?}");
        }
    }

    #[test]
    fn underscores_and_single_labels_are_names_in_dns() {
        assert_eq!(canonical("_dmarc.example.com").as_deref(), Some("_dmarc.example.com"));
        assert_eq!(canonical("localhost").as_deref(), Some("localhost"));
    }

    #[test]
    fn what_is_no_domain_is_none() {
        let label = "a".repeat(64);
        let long = "a.".repeat(127) + "a";
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "../../tmp/x=1",
            "a/b",
            "a b",
            "*.example.com",
            "[192.0.2.1]",
            "a@b",
            "a\0b",
            &label,
            &long,
            "ü..com",
            "\u{fffd}.com",
        ] {
            assert_eq!(canonical(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_domain_of_an_address_follows_its_last_at() {
        assert_eq!(of_address("user@example.com"), "example.com");
        assert_eq!(of_address(" <\"a@b\"@example.com> "), "example.com");
        assert_eq!(of_address("example.com"), "example.com");
        assert_eq!(of_address("<>"), "");
    }
}
