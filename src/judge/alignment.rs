//! Alignment: which domains belong together (RFC 7489 section 3.1, RFC 9990; `docs/standards.md` section 4).
//!
//! The organizational domain comes from the Public Suffix List, private section included. RFC 9989's tree walk needs
//! DNS, which this module does not use.

use crate::model::{Domain, PolicyPublished, Record, ReturnPath, SpfAuth, SpfScope, Text};
use std::cell::Cell;

/// The organizational domain: the public suffix plus one label. A domain that is itself a suffix is its own.
pub fn organizational(domain: &str) -> &str {
    psl::domain_str(domain).unwrap_or(domain)
}

/// Whether a domain is `parent` or below it. Both canonical.
pub fn is_within(domain: &str, parent: &str) -> bool {
    domain.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// How closely two domains must match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AlignmentMode {
    /// The same organizational domain. The default.
    Relaxed,
    /// The same domain.
    Strict,
}

impl AlignmentMode {
    /// `adkim` or `aspf`, by its first letter; anything but `s` is relaxed.
    fn of(tag: Option<&Text>) -> Self {
        if tag.is_some_and(|tag| tag.starts_with('s')) { Self::Strict } else { Self::Relaxed }
    }
}

/// The modes of a report, and the most recent organizational domains: reports repeat a few domains over and over.
pub(super) struct Alignment<'r> {
    pub(super) dkim: AlignmentMode,
    pub(super) spf: AlignmentMode,
    recent: [Cell<(&'r str, &'r str)>; RECENT],
}

/// A power of two. Each entry costs two machine words and saves a lookup.
const RECENT: usize = 64;

impl<'r> Alignment<'r> {
    pub(super) fn of(policy: &PolicyPublished) -> Self {
        Self {
            dkim: AlignmentMode::of(policy.adkim.as_ref()),
            spf: AlignmentMode::of(policy.aspf.as_ref()),
            recent: std::array::from_fn(|_| Cell::new(("", ""))),
        }
    }

    /// The organizational domain.
    pub(super) fn organization(&self, domain: &'r Domain) -> &'r str {
        let name = domain.as_str();
        let bytes = name.as_bytes();
        // Domains in one report differ in length and at the start more than at the end.
        let hash = bytes.iter().take(8).fold(bytes.len(), |hash, byte| hash.wrapping_mul(31) ^ usize::from(*byte));
        let slot = &self.recent[hash % RECENT];
        let (known, organization) = slot.get();
        if known == name {
            return organization;
        }
        let organization = organizational(name);
        slot.set((name, organization));
        organization
    }

    /// Whether a domain belongs to the organization of `header_from`.
    pub(super) fn is_own(&self, domain: &'r Domain, header_from: &'r Domain) -> bool {
        domain == header_from || self.organization(domain) == self.organization(header_from)
    }

    /// Whether a domain aligns with `header_from`.
    pub(super) fn aligned(&self, domain: &'r Domain, header_from: &'r Domain, mode: AlignmentMode) -> bool {
        match mode {
            AlignmentMode::Strict => domain == header_from,
            AlignmentMode::Relaxed => self.is_own(domain, header_from),
        }
    }
}

/// Whether an SPF result counts for DMARC, that is, is about MAIL FROM. HELO replaces a null return path only: if the
/// report does not say what the return path was, a MAIL FROM result beside it shows that there was one.
pub(super) fn spf_counts(spf: &SpfAuth, record: &Record) -> bool {
    match (&spf.scope, &record.envelope_from) {
        (None | Some(SpfScope::MailFrom), _) | (Some(SpfScope::Helo), ReturnPath::Null) => true,
        (Some(SpfScope::Helo), ReturnPath::Unsaid) => {
            record.spf.iter().all(|other| other.scope == Some(SpfScope::Helo))
        }
        (Some(SpfScope::Helo), ReturnPath::Domain(_)) | (Some(SpfScope::Other(_)), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_organizational_domain_is_a_label_below_the_suffix() {
        for (domain, organization) in [
            ("example.com", "example.com"),
            ("a.b.example.com", "example.com"),
            ("mail.example.co.uk", "example.co.uk"),
            ("co.uk", "co.uk"),
            ("com", "com"),
            ("a.b.unlisted-suffix", "b.unlisted-suffix"),
            // A wildcard rule, and the exception to it.
            ("a.b.c.ck", "b.c.ck"),
            ("a.www.ck", "www.ck"),
            // The private section counts.
            ("a.b.github.io", "b.github.io"),
            // In DNS, underscores are labels like any other.
            ("_spf.example.com", "example.com"),
        ] {
            assert_eq!(organizational(domain), organization, "{domain}");
        }
    }

    #[test]
    fn below_a_domain_means_whole_labels() {
        assert!(is_within("mail.example.com", "example.com"));
        assert!(is_within("example.com", "example.com"));
        assert!(!is_within("badexample.com", "example.com"));
    }
}
