//! The element names of RFC 7489 and RFC 9990, recognized by their local part. Namespaces are ignored: hardly any
//! reporter declares the right one, and those that do write the same elements.
//!

/// A known element; all others are [`Name::Unknown`] and skipped with their content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the standard's own names")]
pub(super) enum Name {
    Feedback,
    Version,
    ReportMetadata,
    OrgName,
    Email,
    ExtraContactInfo,
    ReportId,
    DateRange,
    DataRange,
    Begin,
    End,
    Error,
    Generator,
    PolicyPublished,
    Domain,
    P,
    Sp,
    Np,
    Adkim,
    Aspf,
    Pct,
    Fo,
    Testing,
    DiscoveryMethod,
    Record,
    Row,
    SourceIp,
    Count,
    PolicyEvaluated,
    Disposition,
    Dkim,
    Spf,
    Reason,
    Type,
    Comment,
    Identifiers,
    HeaderFrom,
    EnvelopeFrom,
    EnvelopeTo,
    AuthResults,
    Selector,
    Scope,
    Result,
    HumanResult,
    Unknown,
}

/// The names of several words.
const COMPOUND: [&[u8]; 15] = [
    b"report_metadata",
    b"org_name",
    b"extra_contact_info",
    b"report_id",
    b"date_range",
    b"data_range",
    b"policy_published",
    b"discovery_method",
    b"source_ip",
    b"policy_evaluated",
    b"header_from",
    b"envelope_from",
    b"envelope_to",
    b"auth_results",
    b"human_result",
];

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
        let letters =
            |name: &[u8]| name.iter().copied().filter(|byte| !matches!(byte, b'_' | b'-')).collect::<Vec<_>>();
        // Longer names are none of ours.
        const LONGEST: usize = 24;
        if lower.len() > LONGEST {
            return Self::Unknown;
        }
        let wanted = letters(lower);
        COMPOUND.iter().find(|name| letters(name) == wanted).map_or(Self::Unknown, |name| Self::exact(name))
    }

    /// The name of a tag spelled exactly as in the standard.
    pub(super) fn exact(tag: &[u8]) -> Self {
        match tag {
            b"feedback" => Self::Feedback,
            b"version" => Self::Version,
            b"report_metadata" => Self::ReportMetadata,
            b"org_name" => Self::OrgName,
            b"email" => Self::Email,
            b"extra_contact_info" => Self::ExtraContactInfo,
            b"report_id" => Self::ReportId,
            b"date_range" => Self::DateRange,
            // KDDI wrote this in 2024.
            b"data_range" => Self::DataRange,
            b"begin" => Self::Begin,
            b"end" => Self::End,
            b"error" => Self::Error,
            b"generator" => Self::Generator,
            b"policy_published" => Self::PolicyPublished,
            b"domain" => Self::Domain,
            b"p" => Self::P,
            b"sp" => Self::Sp,
            b"np" => Self::Np,
            b"adkim" => Self::Adkim,
            b"aspf" => Self::Aspf,
            b"pct" => Self::Pct,
            b"fo" => Self::Fo,
            // Mail::DMARC writes the tag's own name.
            b"testing" | b"t" => Self::Testing,
            b"discovery_method" => Self::DiscoveryMethod,
            b"record" => Self::Record,
            b"row" => Self::Row,
            b"source_ip" => Self::SourceIp,
            b"count" => Self::Count,
            b"policy_evaluated" => Self::PolicyEvaluated,
            b"disposition" => Self::Disposition,
            b"dkim" => Self::Dkim,
            b"spf" => Self::Spf,
            b"reason" => Self::Reason,
            b"type" => Self::Type,
            b"comment" => Self::Comment,
            // junc.org and others write `identities`.
            b"identifiers" | b"identities" => Self::Identifiers,
            b"header_from" => Self::HeaderFrom,
            b"envelope_from" => Self::EnvelopeFrom,
            b"envelope_to" => Self::EnvelopeTo,
            b"auth_results" => Self::AuthResults,
            b"selector" => Self::Selector,
            b"scope" => Self::Scope,
            b"result" => Self::Result,
            b"human_result" => Self::HumanResult,
            _ => Self::Unknown,
        }
    }
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
