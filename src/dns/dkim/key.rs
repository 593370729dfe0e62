//! Parses a DKIM key record (RFC 6376 section 3.6.1, RFC 8301, RFC 8463): its type and size, or why verifiers cannot
//! use it.

use crate::dns::tags::quoting_fault;
use crate::model::Tags;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// Bits that an RSA key must have: verifiers refuse shorter ones (RFC 8301 section 3.2).
pub(super) const LEAST_BITS: u32 = 1024;

/// Where the key of a selector is.
pub(crate) fn key_name(selector: &str, domain: &str) -> String {
    format!("{selector}._domainkey.{domain}")
}

/// A key that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Key {
    /// `k`, and the size of an RSA key.
    pub kind: KeyKind,
    /// `t=y`: the domain is testing.
    pub testing: bool,
    /// `t=s`: `i=` must equal `d=`.
    pub strict: bool,
    /// `h`: the allowed hashes, lower case; empty means all.
    pub hashes: Vec<String>,
    /// `s`: the services, lower case; empty means all.
    pub services: Vec<String>,
}

/// What key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// RSA, with this many bits.
    Rsa(u32),
    /// Ed25519.
    Ed25519,
}

/// Why a record is not a usable key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyError {
    /// An empty `p`: revoked.
    Revoked,
    /// Quotation marks, backslashes.
    Quoting(&'static str),
    /// `v` is not DKIM1, or not first.
    Version(String),
    /// `k` is of no known type.
    Kind(String),
    /// Anything else.
    Malformed(String),
}

impl Key {
    /// Parses a record.
    ///
    /// # Errors
    ///
    /// The first reason why verifiers cannot use it.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if let Some(fault) = quoting_fault(text) {
            return Err(KeyError::Quoting(fault));
        }
        let tags = Tags::parse(text);
        if let Some(version) = tags.get("v") {
            if version != "DKIM1" {
                return Err(KeyError::Version(format!("expected v=DKIM1, found v={version}")));
            }
            if !tags.starts_with("v") {
                return Err(KeyError::Version("v=DKIM1 is not the first tag".into()));
            }
        }
        if let Some(piece) = tags.pieces.first() {
            return Err(KeyError::Malformed(format!("expected tag=value, found `{}`", shortened(piece))));
        }
        if let Some(tag) = tags.repeated.first() {
            return Err(KeyError::Malformed(format!("`{tag}` occurs more than once")));
        }
        let kind = key_kind(&tags)?;
        let list = |tag: &str| tags.get(tag).map(words).unwrap_or_default();
        let flags = list("t");
        let has = |flag: &str| flags.iter().any(|other| other == flag);
        Ok(Self { kind, testing: has("y"), strict: has("s"), hashes: list("h"), services: list("s") })
    }

    /// Whether SHA-256 may be used with it.
    pub fn allows_sha256(&self) -> bool {
        self.hashes.is_empty() || self.hashes.iter().any(|hash| hash == "sha256")
    }

    /// Whether it is for mail.
    pub fn is_for_mail(&self) -> bool {
        self.services.is_empty() || self.is_for("*") || self.is_for("email")
    }

    /// Whether its record names a service.
    pub fn is_for(&self, service: &str) -> bool {
        self.services.iter().any(|named| named == service)
    }
}

fn key_kind(tags: &Tags) -> Result<KeyKind, KeyError> {
    let malformed = |text: String| Err(KeyError::Malformed(text));
    let Some(text) = tags.get("p") else { return malformed("expected a key in p=, found no p".into()) };
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if text.is_empty() {
        return Err(KeyError::Revoked);
    }
    let kind = tags.get("k").unwrap_or("rsa");
    let bytes = match STANDARD.decode(&text) {
        Ok(bytes) => bytes,
        Err(error) => {
            return malformed(format!("p: expected base64, found {} characters that are not: {error}", text.len()));
        }
    };
    if kind.eq_ignore_ascii_case("ed25519") {
        return match bytes.len() {
            32 => Ok(KeyKind::Ed25519),
            length => malformed(format!("p: expected an Ed25519 key of 32 bytes, found {length} bytes")),
        };
    }
    if !kind.eq_ignore_ascii_case("rsa") {
        return Err(KeyError::Kind(kind.to_owned()));
    }
    match rsa_bits(&bytes) {
        Some(bits) => Ok(KeyKind::Rsa(bits)),
        None if bytes.len() == 32 => malformed("p: 32 bytes are an Ed25519 key: k=ed25519 is missing".into()),
        None => malformed(format!(
            "p: expected an RSA key in DER, found {} bytes of something else: is it cut short?",
            bytes.len()
        )),
    }
}

/// Whether the text of a key is an Ed25519 key (RFC 8463): 32 bytes; an RSA key has many more.
pub(super) fn is_ed25519(text: &str) -> bool {
    STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

fn words(value: &str) -> Vec<String> {
    value.split(':').map(|word| word.trim().to_ascii_lowercase()).filter(|word| !word.is_empty()).collect()
}

/// A long text cut for an error.
pub(super) fn shortened(text: &str) -> String {
    if text.chars().count() > 40 { text.chars().take(40).chain("...".chars()).collect() } else { text.to_owned() }
}

/// The size of the modulus: of a `SubjectPublicKeyInfo`, or of the bare PKCS #1 key that some publish.
fn rsa_bits(der: &[u8]) -> Option<u32> {
    let (outer, rest) = element(der, 0x30)?;
    if !rest.is_empty() {
        return None;
    }
    let key = match element(outer, 0x30) {
        Some((algorithm, after)) => {
            let (identifier, _) = element(algorithm, 0x06)?;
            if identifier != [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01] {
                return None;
            }
            let (bits, _) = element(after, 0x03)?;
            element(bits.strip_prefix(&[0])?, 0x30)?.0
        }
        None => outer,
    };
    let (modulus, after) = element(key, 0x02)?;
    element(after, 0x02)?;
    let modulus = &modulus[modulus.iter().take_while(|byte| **byte == 0).count()..];
    let first = modulus.first()?;
    u32::try_from(modulus.len() * 8).ok().map(|bits| bits - first.leading_zeros())
}

/// One DER element of this type: its content, and what follows.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [found, length, rest @ ..] = bytes else { return None };
    if *found != tag {
        return None;
    }
    let (length, rest) = if *length < 0x80 {
        (usize::from(*length), rest)
    } else {
        let count = usize::from(*length & 0x7f);
        if count == 0 || count > 3 {
            return None;
        }
        let (number, rest) = rest.split_at_checked(count)?;
        (number.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A public key whose modulus has this many bits, all ones: it is measured, not used.
    pub(in crate::dns) fn rsa(bits: usize) -> String {
        let wrap = |tag: u8, content: &[u8]| {
            let mut der =
                vec![tag, 0x82, u8::try_from(content.len() >> 8).unwrap(), u8::try_from(content.len() & 255).unwrap()];
            der.extend_from_slice(content);
            der
        };
        let mut modulus = vec![0];
        modulus.extend(vec![0xff; bits / 8]);
        let mut key = wrap(0x02, &modulus);
        key.extend([0x02, 3, 1, 0, 1]);
        let mut bit_string = vec![0];
        bit_string.extend(wrap(0x30, &key));
        let mut outer = vec![0x30, 13, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
        outer.extend(wrap(0x03, &bit_string));
        STANDARD.encode(wrap(0x30, &outer))
    }

    pub(in crate::dns) fn ed25519() -> String {
        STANDARD.encode([7; 32])
    }

    #[test]
    fn sizes_and_types_are_read() {
        for bits in [512, 1024, 2048, 4096] {
            assert_eq!(
                Key::parse(&format!("v=DKIM1; k=rsa; p={}", rsa(bits))).unwrap().kind,
                KeyKind::Rsa(u32::try_from(bits).unwrap())
            );
        }
        assert_eq!(Key::parse(&format!("k=ed25519;p={}", ed25519())).unwrap().kind, KeyKind::Ed25519);
        let key = Key::parse(&format!("v=DKIM1; t=y:s; h=sha1; s=other; p={}", rsa(2048))).unwrap();
        assert!(key.testing && key.strict && !key.allows_sha256() && !key.is_for_mail());
    }

    #[test]
    fn a_key_split_by_white_space_is_one_key() {
        let text = rsa(2048);
        let (head, tail) = text.split_at(100);
        assert!(Key::parse(&format!("v=DKIM1; p={head} {tail}")).is_ok());
    }

    #[test]
    fn a_key_that_cannot_be_used_says_why() {
        let good = rsa(2048);
        let fault = |text: &str| Key::parse(text).unwrap_err();
        assert_eq!(fault("v=DKIM1; p="), KeyError::Revoked);
        assert!(matches!(fault("v=DKIM1"), KeyError::Malformed(_)));
        assert!(matches!(fault(&format!("v=DKIM1; p={}", &good[..100])), KeyError::Malformed(_)));
        assert!(matches!(fault("v=DKIM1; p=not base64!"), KeyError::Malformed(_)));
        assert!(matches!(fault(&format!("v=DKIM2; p={good}")), KeyError::Version(_)));
        assert!(matches!(fault(&format!("p={good}; v=DKIM1")), KeyError::Version(_)));
        assert!(matches!(fault(&format!("v=DKIM1; k=dsa; p={good}")), KeyError::Kind(_)));
        assert!(matches!(fault(&format!("\"v=DKIM1; p={good}\"")), KeyError::Quoting(_)));
        assert!(matches!(fault(&format!("v=DKIM1\\; p={good}")), KeyError::Quoting(_)));
        assert!(
            matches!(fault(&format!("v=DKIM1; p={}", ed25519())), KeyError::Malformed(why) if why.contains("k=ed25519"))
        );
    }
}
