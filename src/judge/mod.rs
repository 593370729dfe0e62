//! Judges reports: alignment as reported and as recomputed, where the two differ, and the cause of each row.
//!
//! [`judge`] returns one [`Verdict`] per record, and findings. It uses no network and does not change the report.
//!
//! The reporter's own evaluation counts, because the reporter saw the mail and its DNS. The recomputation is kept
//! beside it and replaces it if it is missing.
//!
//! ```
//! use dmarquet::judge::judge;
//! use dmarquet::limits::Limits;
//! use dmarquet::model::Cause;
//! use dmarquet::normalize::{Context, Read, reports};
//!
//! let xml = b"<feedback>
//!   <report_metadata><org_name>receiver.example</org_name><report_id>1</report_id>
//!     <date_range><begin>1772496000</begin><end>1772582399</end></date_range></report_metadata>
//!   <policy_published><domain>example.com</domain><p>none</p></policy_published>
//!   <record><row><source_ip>192.0.2.7</source_ip><count>3</count>
//!     <policy_evaluated><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>
//!     <identifiers><header_from>news.example.com</header_from></identifiers>
//!     <auth_results><spf><domain>mailer.example.net</domain><result>pass</result></spf></auth_results>
//!   </record>
//! </feedback>";
//! let context = Context { attachment: None, arrival: "2026-03-04T02:00:00Z".parse().unwrap() };
//! let read = reports(xml, &context, &Limits::default());
//! let [Read::Report { report, .. }] = &read[..] else { panic!("one report") };
//! let (verdicts, findings) = judge(report);
//! assert_eq!(verdicts[0].org_domain.as_ref().unwrap().as_str(), "example.com");
//! assert_eq!(verdicts[0].cause, Cause::AuthenticatedUnaligned);
//! assert!(!verdicts[0].dmarc_pass && findings.is_empty());
//! ```

mod alignment;
mod cause;
mod rivals;

pub use alignment::{is_within, organizational};
pub use rivals::{Rivalry, rivalry, tls_rivalry};

use crate::model::{DkimResult, Domain, Evaluated, Finding, FindingCode, Mismatch, Record, Report, SpfResult, Verdict};
use alignment::{Alignment, spf_counts};

/// Judges each record of a report, in order.
pub fn judge(report: &Report) -> (Vec<Verdict>, Vec<Finding>) {
    let alignment = Alignment::of(&report.policy);
    let verdicts: Vec<_> = report.records.iter().map(|record| verdict(record, &alignment)).collect();
    let missing = verdicts.iter().filter(|verdict| verdict.mismatch == Some(Mismatch::NotEvaluated)).count();
    let finding = (missing > 0).then(|| {
        let detail = format!("{missing} of {} rows lack policy_evaluated dkim or spf: recomputed", verdicts.len());
        Finding::new(FindingCode::ROW_NOT_EVALUATED, detail)
    });
    (verdicts, finding.into_iter().collect())
}

fn verdict<'r>(record: &'r Record, alignment: &Alignment<'r>) -> Verdict {
    let recomputed = Recomputed::of(record, alignment);
    let reported = (passes(record.evaluated_dkim.as_ref()), passes(record.evaluated_spf.as_ref()));
    let dkim_aligned = reported.0.or(recomputed.dkim);
    let spf_aligned = reported.1.or(recomputed.spf);
    let aligned = (dkim_aligned == Some(true), spf_aligned == Some(true));
    let org_domain = record.header_from.as_ref().map(|from| {
        let organization = alignment.organization(from);
        if organization.len() == from.as_str().len() { from.clone() } else { Domain::from_canonical(organization) }
    });
    Verdict {
        org_domain,
        dkim_aligned,
        spf_aligned,
        dmarc_pass: aligned.0 || aligned.1,
        recomputed_dkim: recomputed.dkim,
        recomputed_spf: recomputed.spf,
        mismatch: mismatch(reported, &recomputed, record.header_from.is_some()),
        cause: cause::cause(record, aligned, alignment),
        deciding_dkim: recomputed.deciding_dkim,
        deciding_spf: recomputed.deciding_spf,
    }
}

/// The reporter's result for DKIM or SPF; `None` if it gives none. Anything but `pass` does not pass.
fn passes(evaluated: Option<&Evaluated>) -> Option<bool> {
    evaluated.map(|word| *word == Evaluated::Pass)
}

/// Alignment recomputed from the raw results. `dkim` and `spf` are `None` without a `header_from` or without any
/// result.
#[derive(Debug, Default)]
struct Recomputed {
    dkim: Option<bool>,
    spf: Option<bool>,
    deciding_dkim: Option<u32>,
    deciding_spf: Option<u32>,
}

/// How much a result says, strongest first. The strongest decides, and of equals the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    AlignedPass,
    Pass,
    Other,
}

impl Recomputed {
    fn of<'r>(record: &'r Record, alignment: &Alignment<'r>) -> Self {
        let from = record.header_from.as_ref();
        let weight = |pass: bool, domain: Option<&'r Domain>, mode| match (pass, domain, from) {
            (true, Some(domain), Some(from)) if alignment.aligned(domain, from, mode) => Weight::AlignedPass,
            (true, ..) => Weight::Pass,
            (false, ..) => Weight::Other,
        };
        let dkim = decide(
            record
                .dkim
                .iter()
                .map(|dkim| Some(weight(dkim.result == Some(DkimResult::Pass), dkim.domain.as_ref(), alignment.dkim))),
        );
        let spf = decide(record.spf.iter().map(|spf| {
            let pass = spf.result == Some(SpfResult::Pass);
            spf_counts(spf, record).then(|| weight(pass, spf.domain.as_ref(), alignment.spf))
        }));
        let known = from.is_some() && !(record.dkim.is_empty() && record.spf.is_empty());
        let aligned = |best: Option<(Weight, u32)>| {
            known.then_some(best.is_some_and(|(weight, _)| weight == Weight::AlignedPass))
        };
        Self {
            dkim: aligned(dkim),
            spf: aligned(spf),
            deciding_dkim: dkim.map(|(_, index)| index),
            deciding_spf: spf.map(|(_, index)| index),
        }
    }
}

/// The deciding result.
fn decide(weights: impl Iterator<Item = Option<Weight>>) -> Option<(Weight, u32)> {
    weights.zip(0_u32..).filter_map(|(weight, index)| Some((weight?, index))).min()
}

/// Where the two differ. Empty results do not support a pass; without a `header_from` there is nothing to compare.
fn mismatch(
    reported: (Option<bool>, Option<bool>),
    recomputed: &Recomputed,
    has_header_from: bool,
) -> Option<Mismatch> {
    let (Some(dkim), Some(spf)) = reported else { return Some(Mismatch::NotEvaluated) };
    if !has_header_from {
        return None;
    }
    let sides = [(dkim, recomputed.dkim), (spf, recomputed.spf)];
    if sides.iter().any(|(reported, recomputed)| *reported && *recomputed != Some(true)) {
        Some(Mismatch::PassWithoutEvidence)
    } else if sides.iter().any(|(reported, recomputed)| !*reported && *recomputed == Some(true)) {
        Some(Mismatch::FailButAligned)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
