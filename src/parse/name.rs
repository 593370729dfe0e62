//! The element names of RFC 7489 and RFC 9990, recognized by their local part. Namespaces are ignored: hardly any
//! reporter declares the right one, and those that do write the same elements.

/// Looks for a name among those of its length, which are compared in one or two words each.
macro_rules! by_length {
    ($tag:ident, $($length:literal)+) => {
        match $tag.len() {
            $($length => $tag.first_chunk::<$length>().map_or(Self::Unknown, of_length),)+
            _ => Self::Unknown,
        }
    };
}

impl Name {
    /// The name of a tag: as written, else without its prefix, else in lower case, else however its words are joined.
    pub(super) fn of(tag: &[u8]) -> Self {
        match Self::exact(tag) {
            Self::Unknown => Self::inexact(tag),
            name => name,
        }
    }

    /// Kept out of line: nearly every tag of nearly every report is exact.
    #[cold]
    fn inexact(tag: &[u8]) -> Self {
        let lower = local(tag).to_ascii_lowercase();
        match Self::exact(&lower) {
            Self::Unknown => Self::joined(&lower),
            name => name,
        }
    }

    /// A name of several words that are joined in another way: `daterange`, `date-range`.
    fn joined(lower: &[u8]) -> Self {
        fn letters(name: &[u8]) -> impl Iterator<Item = &u8> {
            name.iter().filter(|byte| !matches!(byte, b'_' | b'-'))
        }
        // Longer names are none of ours.
        const LONGEST: usize = 24;
        if lower.len() > LONGEST {
            return Self::Unknown;
        }
        let mut compound = EXACT.iter().filter(|(name, _)| name.contains(&b'_'));
        let found = compound.find(|(name, _)| letters(name).eq(letters(lower)));
        found.map_or(Self::Unknown, |(_, name)| *name)
    }

    /// The name of a tag spelled exactly as in the standard.
    #[inline]
    pub(super) fn exact(tag: &[u8]) -> Self {
        by_length!(tag, 1 2 3 4 5 6 7 8 9 10 11 12 13 15 16 18)
    }
}

/// Declares the names, each with its spellings.
macro_rules! names {
    ($($($text:literal)|+ => $name:ident,)+) => {
        /// A known element; all others are [`Name::Unknown`] and skipped with their content.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(clippy::enum_variant_names, reason = "the standard's own names")]
        pub(super) enum Name {
            $($name,)+
            Unknown,
        }

        /// The name of a tag of a length.
        fn of_length<const LENGTH: usize>(tag: &[u8; LENGTH]) -> Name {
            $($(if $text.len() == LENGTH && tag[..] == $text[..] {
                return Name::$name;
            })+)+
            Name::Unknown
        }

        /// Every name as in the standard.
        const EXACT: &[(&[u8], Name)] = &[$($(($text, Name::$name),)+)+];
    };
}

names! {
    b"feedback" => Feedback,
    b"version" => Version,
    b"report_metadata" => ReportMetadata,
    b"org_name" => OrgName,
    b"email" => Email,
    b"extra_contact_info" => ExtraContactInfo,
    b"report_id" => ReportId,
    b"date_range" => DateRange,
    // KDDI wrote this in 2024.
    b"data_range" => DataRange,
    b"begin" => Begin,
    b"end" => End,
    b"error" => Error,
    b"generator" => Generator,
    b"policy_published" => PolicyPublished,
    b"domain" => Domain,
    b"p" => P,
    b"sp" => Sp,
    b"np" => Np,
    b"adkim" => Adkim,
    b"aspf" => Aspf,
    b"pct" => Pct,
    b"fo" => Fo,
    // Mail::DMARC writes the tag's own name.
    b"testing" | b"t" => Testing,
    b"discovery_method" => DiscoveryMethod,
    b"record" => Record,
    b"row" => Row,
    b"source_ip" => SourceIp,
    b"count" => Count,
    b"policy_evaluated" => PolicyEvaluated,
    b"disposition" => Disposition,
    b"dkim" => Dkim,
    b"spf" => Spf,
    b"reason" => Reason,
    b"type" => Type,
    b"comment" => Comment,
    // junc.org and others write `identities`.
    b"identifiers" | b"identities" => Identifiers,
    b"header_from" => HeaderFrom,
    b"envelope_from" => EnvelopeFrom,
    b"envelope_to" => EnvelopeTo,
    b"auth_results" => AuthResults,
    b"selector" => Selector,
    b"scope" => Scope,
    b"result" => Result,
    b"human_result" => HumanResult,
}

/// A tag name without its namespace prefix.
pub(super) fn local(tag: &[u8]) -> &[u8] {
    match memchr::memrchr(b':', tag) {
        Some(colon) => &tag[colon + 1..],
        None => tag,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_ignored_whatever_it_is() {
        assert_eq!(Name::of(b"dm:source_ip"), Name::SourceIp);
        assert_eq!(Name::of(b"a:b:count"), Name::Count);
    }

    #[test]
    fn every_name_is_found_and_only_whole() {
        for (tag, name) in EXACT {
            assert_eq!(Name::exact(tag), *name);
            assert_eq!(Name::exact(&[tag, &b"_"[..]].concat()), Name::Unknown);
            let mut other = tag.to_vec();
            other[tag.len() / 2] ^= 0x80;
            assert_eq!(Name::exact(&other), Name::Unknown);
        }
    }

    #[test]
    fn case_is_ignored() {
        assert_eq!(Name::of(b"Record"), Name::Record);
        assert_eq!(Name::of(b"ns1:RECORD"), Name::Record);
    }

    #[test]
    fn words_may_be_joined_in_any_way() {
        for tag in [&b"dateRange"[..], b"date-range", b"DATERANGE", b"x:Date_Range", b"date__range"] {
            assert_eq!(Name::of(tag), Name::DateRange);
        }
        assert_eq!(Name::of(b"sourceIp"), Name::SourceIp);
        assert_eq!(Name::of(b"s-p"), Name::Unknown, "short names are not taken apart");
    }

    #[test]
    fn other_names_are_unknown() {
        for tag in [&b""[..], b":", b"records", b"arc-results", b"source ip"] {
            assert_eq!(Name::of(tag), Name::Unknown);
        }
    }
}
