//! The verdict on one record.

use super::Domain;
use super::words::keywords;

/// Alignment, as reported and as recomputed, and the cause of the row's result.
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

keywords! {
    /// Why the reporter's evaluation and ours differ.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Mismatch {
        /// The reporter says pass, but the raw results show none: the list is cut short, or a result left out.
        PassWithoutEvidence = "pe_pass_no_evidence",
        /// The raw results align, but the reporter says fail: it used another organizational domain, mode or policy.
        FailButAligned = "pe_fail_but_aligned",
        /// The reporter gave no evaluation.
        NotEvaluated = "pe_missing",
    }
}

keywords! {
    /// The cause class of a row, in order: the first that matches counts. Only `analyze`, which sees more than one row,
    /// returns `SpfGap` and `SpoofSuspect`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    #[repr(u8)]
    pub enum Cause {
        /// DKIM and SPF pass and align.
        PassBoth = "pass_both",
        /// Only DKIM does.
        PassDkimOnly = "pass_dkim_only",
        /// Only SPF does.
        PassSpfOnly = "pass_spf_only",
        /// No aligned pass, and a result of the domain itself was a temporary error.
        Transient = "transient",
        /// The receiver says that the mail was forwarded or came from a list.
        ForwardedDeclared = "forwarded_declared",
        /// One of the organization's domains passes, but `adkim=s` or `aspf=s` does not accept it.
        StrictAlignment = "strict_alignment",
        /// A signature of the domain broke on the way, and another domain passes.
        ListOrModifyingForwarder = "list_or_modifying_forwarder",
        /// A signature of the domain fails and nothing else passes.
        OwnSigningBroken = "own_signing_broken",
        /// Something passes, but for another organization.
        AuthenticatedUnaligned = "authenticated_unaligned",
        /// Nothing passes, and there is no signature of the domain.
        Unauthenticated = "unauthenticated",
        /// By `analyze`: `Unauthenticated`, from a known or confirmed sender.
        SpfGap = "spf_gap",
        /// By `analyze`: `Unauthenticated`, from anyone else.
        SpoofSuspect = "spoof_suspect",
        /// The row does not say enough.
        Unknown = "unknown",
    }
}
