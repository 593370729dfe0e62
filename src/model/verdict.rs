//! The verdict on one record.

use super::Domain;

/// Alignment, as reported and as recomputed, and the cause of the row's fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The organizational domain of `header_from` (Public Suffix List).
    pub org_domain: Option<Domain>,
    /// From `policy_evaluated`, else recomputed; `None` if neither is possible.
    pub dkim_aligned: Option<bool>,
    /// The same for SPF.
    pub spf_aligned: Option<bool>,
    /// Either is aligned.
    pub dmarc_pass: bool,
    /// From the raw results, `adkim` and `header_from`; `None` if they are not sufficient.
    pub recomputed_dkim: Option<bool>,
    /// The same for SPF, with `aspf`.
    pub recomputed_spf: Option<bool>,
    /// Where reporter and recomputation disagree.
    pub mismatch: Option<Mismatch>,
    /// The cause as far as this row alone tells.
    pub cause: Cause,
    /// Index into `Record::dkim` of the signature that decides: aligned pass, else pass, else first.
    pub deciding_dkim: Option<u32>,
    /// Index into `Record::spf` of the MAIL FROM result that decides.
    pub deciding_spf: Option<u32>,
}

/// Why the reporter's evaluation and ours differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mismatch {
    /// The reporter says pass, but the raw results show none: the list is cut short, or a result left out.
    PassWithoutEvidence,
    /// The raw results align, but the reporter says fail: it used another organizational domain, mode or policy.
    FailButAligned,
    /// The reporter gave no evaluation.
    NotEvaluated,
}

impl Mismatch {
    /// The word as stored in the columns.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PassWithoutEvidence => "pe_pass_no_evidence",
            Self::FailButAligned => "pe_fail_but_aligned",
            Self::NotEvaluated => "pe_missing",
        }
    }
}

/// The cause class of a row, in order: the first that matches counts. Only `analyze`, which sees more than one row,
/// returns `SpfGap` and `SpoofSuspect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Cause {
    /// DKIM and SPF pass and align.
    PassBoth,
    /// Only DKIM does.
    PassDkimOnly,
    /// Only SPF does.
    PassSpfOnly,
    /// No aligned pass, and a result of the domain itself was a temporary error.
    Transient,
    /// The receiver says that the mail was forwarded or came from a list.
    ForwardedDeclared,
    /// One of the organization's domains passes, but `adkim=s` or `aspf=s` does not accept it.
    StrictAlignment,
    /// A signature of the domain broke on the way, and another domain passes.
    ListOrModifyingForwarder,
    /// A signature of the domain fails and nothing else passes.
    OwnSigningBroken,
    /// Something passes, but for another organization.
    AuthenticatedUnaligned,
    /// Nothing passes, and there is no signature of the domain.
    Unauthenticated,
    /// By `analyze`: `Unauthenticated`, from a known or confirmed sender.
    SpfGap,
    /// By `analyze`: `Unauthenticated`, from anyone else.
    SpoofSuspect,
    /// The row does not say enough.
    Unknown,
}

impl Cause {
    /// All, in order.
    pub const ALL: [Cause; 13] = [
        Self::PassBoth,
        Self::PassDkimOnly,
        Self::PassSpfOnly,
        Self::Transient,
        Self::ForwardedDeclared,
        Self::StrictAlignment,
        Self::ListOrModifyingForwarder,
        Self::OwnSigningBroken,
        Self::AuthenticatedUnaligned,
        Self::Unauthenticated,
        Self::SpfGap,
        Self::SpoofSuspect,
        Self::Unknown,
    ];

    /// The word as stored in columns and used in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PassBoth => "pass_both",
            Self::PassDkimOnly => "pass_dkim_only",
            Self::PassSpfOnly => "pass_spf_only",
            Self::Transient => "transient",
            Self::ForwardedDeclared => "forwarded_declared",
            Self::StrictAlignment => "strict_alignment",
            Self::ListOrModifyingForwarder => "list_or_modifying_forwarder",
            Self::OwnSigningBroken => "own_signing_broken",
            Self::AuthenticatedUnaligned => "authenticated_unaligned",
            Self::Unauthenticated => "unauthenticated",
            Self::SpfGap => "spf_gap",
            Self::SpoofSuspect => "spoof_suspect",
            Self::Unknown => "unknown",
        }
    }

    /// Parses the word. Older stores contain `sampled_or_testing`, which explained a disposition and hid the cause:
    /// those rows count as unknown until the tables are rebuilt.
    pub fn from_word(word: &str) -> Option<Self> {
        if word == "sampled_or_testing" {
            return Some(Self::Unknown);
        }
        Self::ALL.into_iter().find(|cause| cause.as_str() == word)
    }
}
