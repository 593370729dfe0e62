//! The cause of a row's result, from the row alone: the first one that matches (`docs/summary.md`, Causes).
//!
//! `analyze`, which sees more than one row, refines two of the causes.

use super::alignment::{Alignment, AlignmentMode, spf_counts};
use crate::model::{Cause, DkimResult, Domain, Reason, ReasonType, Record, SpfResult};

/// Returns the cause. `aligned` holds the results that count: DKIM's, then SPF's.
pub(super) fn cause<'r>(record: &'r Record, aligned: (bool, bool), alignment: &Alignment<'r>) -> Cause {
    match aligned {
        (true, true) => return Cause::PassBoth,
        (true, false) => return Cause::PassDkimOnly,
        (false, true) => return Cause::PassSpfOnly,
        (false, false) => {}
    }
    // Without a domain in From, the results are evidence of nothing.
    let from = record.header_from.as_ref();
    let evidence = from.map(|from| RecordEvidence::of(record, from, alignment)).unwrap_or_default();
    if evidence.own_temperror {
        Cause::Transient
    } else if evidence.refused_by_mode {
        Cause::StrictAlignment
    } else if record.reasons.iter().any(is_forwarded) {
        // `sampled_out` and `policy_test_mode` explain what the receiver did, not why the mail failed: they are no cause.
        Cause::ForwardedDeclared
    } else {
        evidence.cause()
    }
}

/// What the raw results say about the domain in `header_from`.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent observations, each asked for by one class")]
struct RecordEvidence {
    /// There is a result at all.
    any: bool,
    /// An own DKIM or SPF result was a temporary error.
    own_temperror: bool,
    /// An own signature did not verify: the mail was changed on the way.
    own_dkim_fail: bool,
    /// An own signature could not verify: key missing, too weak, malformed.
    own_dkim_broken: bool,
    /// An own domain passes, but did not count.
    own_pass: bool,
    /// It did not count because alignment is strict.
    refused_by_mode: bool,
    /// Another domain passes.
    other_pass: bool,
}

impl RecordEvidence {
    fn of<'r>(record: &'r Record, header_from: &'r Domain, alignment: &Alignment<'r>) -> Self {
        let mut evidence = Self { any: !record.dkim.is_empty(), ..Self::default() };
        for dkim in &record.dkim {
            let (Some(domain), Some(result)) = (&dkim.domain, &dkim.result) else { continue };
            let own = alignment.is_own(domain, header_from);
            match (result, own) {
                (DkimResult::Pass, true) => {
                    evidence.own_pass = true;
                    evidence.refused_by_mode |= alignment.dkim == AlignmentMode::Strict && domain != header_from;
                }
                (DkimResult::Pass, false) => evidence.other_pass = true,
                (DkimResult::TempError, true) => evidence.own_temperror = true,
                (DkimResult::Fail, true) => evidence.own_dkim_fail = true,
                (DkimResult::PermError | DkimResult::Neutral | DkimResult::Policy, true) => {
                    evidence.own_dkim_broken = true;
                }
                _ => {}
            }
        }
        for spf in record.spf.iter().filter(|spf| spf_counts(spf, record)) {
            evidence.any |= spf.result.is_some();
            let (Some(domain), Some(result)) = (&spf.domain, &spf.result) else { continue };
            let own = alignment.is_own(domain, header_from);
            match (result, own) {
                (SpfResult::Pass, true) => {
                    evidence.own_pass = true;
                    evidence.refused_by_mode |= alignment.spf == AlignmentMode::Strict && domain != header_from;
                }
                (SpfResult::Pass, false) => evidence.other_pass = true,
                (SpfResult::TempError, true) => evidence.own_temperror = true,
                _ => {}
            }
        }
        evidence
    }

    fn cause(&self) -> Cause {
        if self.own_dkim_fail && self.other_pass {
            Cause::ListOrModifyingForwarder
        } else if self.own_dkim_fail || self.own_dkim_broken {
            Cause::OwnSigningBroken
        } else if self.other_pass || self.own_pass {
            // An own pass that did not count although alignment is relaxed: the reporter judged it differently.
            Cause::AuthenticatedUnaligned
        } else if self.any {
            Cause::Unauthenticated
        } else {
            Cause::Unknown
        }
    }
}

/// The receiver says that the mail was forwarded, or came from a list.
fn is_forwarded(reason: &Reason) -> bool {
    match reason.kind {
        Some(ReasonType::Forwarded | ReasonType::MailingList | ReasonType::TrustedForwarder) => true,
        // Google and others mention an authenticated received chain in the comment.
        Some(ReasonType::LocalPolicy) => {
            reason.comment.as_deref().is_some_and(|comment| comment.to_ascii_lowercase().contains("arc=pass"))
        }
        _ => false,
    }
}
