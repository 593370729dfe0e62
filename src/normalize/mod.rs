//! Turns reports as written into the model: keywords, period, addresses, domains, identity. Everything that had to be
//! guessed, repaired or dropped is a finding.
//!
//! [`reports`] returns one [`Read`] per document. It uses no clock and no network, and judges nothing.
//!
//! Without a finding, because they change nothing: case, white space, namespaces, a byte order mark, declared
//! encodings, unknown elements, missing optional elements, other spellings of addresses and domains.

mod address;
mod bounded;
mod context;
mod domain;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod identity;
mod instant;
mod long_texts;
mod period;
mod report;
mod row;
mod tls;
mod words;

pub use context::Context;
pub use domain::canonical_domain;
pub use identity::{content_hash, reporter_domain};
pub use period::is_no_longer_ahead;
pub use tls::{ReadTls, tls_report};

use crate::limits::{Bound, LimitExceeded, Limits};
use crate::model::{Finding, Report};
use crate::parse::{self, Decoded, Document};
use row::RecordReader;
use std::borrow::Cow;

/// What one document turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every value is a report")]
pub enum Read {
    /// A report.
    Report {
        /// The report.
        report: Report,
        /// What was odd about it.
        findings: Vec<Finding>,
    },
    /// Something that should have been a report and is not.
    Rejected {
        /// What was expected, what was found.
        reason: String,
    },
    /// XML of another kind.
    NotReport,
}

/// Reads all reports in an XML file: nearly always one. The result is never empty.
///
/// ```
/// use dmarquet::limits::Limits;
/// use dmarquet::normalize::{Context, Read, reports};
///
/// let xml = b"<feedback>
///   <report_metadata><org_name>receiver.example</org_name><report_id>1</report_id>
///     <date_range><begin>1772496000</begin><end>1772582399</end></date_range></report_metadata>
///   <policy_published><domain>Example.COM</domain><p>none</p></policy_published>
///   <record><row><source_ip>::ffff:192.0.2.7</source_ip><count>3</count></row></record>
/// </feedback>";
/// let context = Context { attachment: None, arrival: "2026-03-04T02:00:00Z".parse().unwrap() };
/// let read = reports(xml, &context, &Limits::default());
/// let [Read::Report { report, .. }] = &read[..] else { panic!("one report") };
/// assert_eq!(report.policy.domain.as_str(), "example.com");
/// assert_eq!(report.day.to_string(), "2026-03-03");
/// assert_eq!(report.records[0].source_ip, Some("192.0.2.7".parse().unwrap()));
/// ```
pub fn reports(xml: &[u8], context: &Context<'_>, limits: &Limits) -> Vec<Read> {
    let mut all = Vec::with_capacity(1);
    each_report(Cow::Borrowed(xml), 0, context, limits, |read, _| all.push(read));
    all
}

/// Reads the reports in the bytes of an XML file one after the other, as [`reports`] does: the caller may drop each before
/// the next is read. Bytes that are not UTF-8 are dropped, if they are owned, once they are decoded. With each comes its
/// document, from its first tag to its last, for [`content_hash`]; it is empty where there is no report.
///
/// `beside` is how many bytes the item has in memory beside the XML: they count toward [`Limits::report_bytes`].
pub fn each_report(
    xml: Cow<'_, [u8]>,
    beside: usize,
    context: &Context<'_>,
    limits: &Limits,
    mut each: impl FnMut(Read, &str),
) {
    let Decoded { text, mut finding } = match decoded(&xml, limits) {
        Ok(decoded) => decoded,
        Err(reason) => return each(Read::Rejected { reason }, ""),
    };
    let mut beside = beside;
    let text = match text {
        Cow::Owned(text) => {
            match xml {
                Cow::Owned(bytes) => drop(bytes),
                Cow::Borrowed(bytes) => beside += bytes.len(),
            }
            Cow::Owned(text)
        }
        Cow::Borrowed(text) => Cow::Borrowed(text),
    };
    let rows = RecordReader::expected(&text, limits);
    let reader = || RecordReader::new(rows, (text.len(), beside), limits);
    parse::each_document(&text, limits, reader, |document| {
        let whole = if let Document::Report { content, .. } = document { content } else { "" };
        each(read(document, context, limits, &mut finding), whole);
    });
}

/// The text of a report, or why it is rejected.
fn decoded<'b>(bytes: &'b [u8], limits: &Limits) -> Result<Decoded<'b>, String> {
    let most = usize::try_from(limits.inflated_bytes).unwrap_or(usize::MAX);
    parse::decode_within(bytes, most).ok_or_else(|| {
        let excess = LimitExceeded { bound: Bound::InflatedBytes, amount: None, limit: limits.inflated_bytes };
        format!("as UTF-8: {excess}")
    })
}

fn read(
    document: Document<'_, RecordReader<'_>>,
    context: &Context<'_>,
    limits: &Limits,
    encoding: &mut Option<Finding>,
) -> Read {
    match document {
        Document::Report { visitor, .. } if visitor.is_full() => {
            let excess = LimitExceeded { bound: Bound::ReportBytes, amount: None, limit: limits.report_bytes };
            Read::Rejected { reason: excess.to_string() }
        }
        Document::Report { report, visitor, content, mut findings } => {
            if let Some(finding) = encoding.take() {
                findings.note(finding.code, || finding.detail);
            }
            match report::report(report, visitor.records, content, context, &mut findings) {
                Ok(report) => Read::Report { report, findings: findings.into_vec() },
                Err(reason) => Read::Rejected { reason },
            }
        }
        Document::Rejected { reason } => Read::Rejected { reason },
        Document::NotReport => Read::NotReport,
    }
}

#[cfg(test)]
mod tests;
