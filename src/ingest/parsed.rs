//! Reports that were read from bytes, new ones and kept ones, and what is stored of them.

use super::{IngestOptions, Trust};
use crate::judge::judge;
use crate::limits::{Limits, return_freed_memory};
use crate::model::{Accepted, AcceptedTls, Finding, Hash, Original, Provenance, Report};
use crate::normalize::{Context, Read, ReadTls, content_hash, each_report, tls_report};
use crate::unpack::{Content, unpack};
use std::borrow::Cow;
use std::sync::Arc;

/// Memory of a text of this size is returned to the system before what was read in it is stored.
const LARGE_TEXT: usize = 16 << 20;

/// Reads the reports of a text one after the other, as [`each_report`] does, and returns the memory of a large text.
pub(super) fn each_read(
    text: Cow<'_, [u8]>,
    beside: usize,
    context: &Context<'_>,
    limits: &Limits,
    each: impl FnMut(Read, &str),
) {
    let is_large = text.len() >= LARGE_TEXT;
    each_report(text, beside, context, limits, each);
    if is_large {
        // The text is dropped, and the rows now become columns.
        return_freed_memory();
    }
}

/// A report that was read.
pub(super) struct ParsedReport {
    pub(super) report: Report,
    pub(super) content: Hash,
    pub(super) findings: Vec<Finding>,
}

impl ParsedReport {
    /// What is stored of it. `around` are the findings about its mail and the layers around it.
    pub(super) fn accept(
        self,
        around: impl IntoIterator<Item = Finding>,
        original: Arc<Original>,
        provenance: Provenance,
        trust: &Trust,
    ) -> Accepted {
        let Self { report, content, findings } = self;
        let (verdicts, odd) = judge(&report);
        let foreign = trust.foreign(report.policy.domain.as_str());
        let findings = around.into_iter().chain(foreign).chain(findings).chain(odd).collect();
        Accepted { report, content, verdicts, findings, original, provenance }
    }
}

/// What is stored of a TLS report that was read. `around` are the findings about its mail and the layers around it.
pub(super) fn accept_tls(
    read: ReadTls,
    around: Vec<Finding>,
    original: Arc<Original>,
    provenance: Provenance,
    trust: &Trust,
) -> AcceptedTls {
    let ReadTls { report, findings } = read;
    let foreign = report.domains().into_iter().filter_map(|domain| trust.foreign(domain));
    let findings = around.into_iter().chain(foreign).chain(findings).collect();
    AcceptedTls { report, findings, original, provenance }
}

/// The XML in an original.
pub(super) fn texts(original: &Original, context: &Context<'_>, options: &IngestOptions) -> Vec<Vec<u8>> {
    let unpacked = unpack(original.bytes().to_vec(), context.attachment, &options.limits);
    let xml = |content| if let Content::Report { xml, .. } = content { Some(xml) } else { None };
    unpacked.items.into_iter().filter_map(|unit| xml(unit.content)).collect()
}

/// Reads the reports of a kept text, each with its findings and its document. What was stored once is read, however
/// much memory it takes.
pub(super) fn each_kept(
    text: Cow<'_, [u8]>,
    context: &Context<'_>,
    options: &IngestOptions,
    mut each: impl FnMut(Report, Vec<Finding>, &str),
) {
    let limits = Limits { report_bytes: u64::MAX, ..options.limits.clone() };
    each_read(text, 0, context, &limits, |read, document| {
        if let Read::Report { report, findings } = read {
            each(report, findings, document);
        }
    });
}

/// Reads the reports in an original one after the other: each may be dropped before the next is read.
pub(super) fn each_parsed(
    original: &Original,
    context: &Context<'_>,
    options: &IngestOptions,
    mut each: impl FnMut(ParsedReport),
) {
    for text in texts(original, context, options) {
        each_kept(Cow::Owned(text), context, options, |report, findings, document| {
            each(ParsedReport { report, content: content_hash(document), findings });
        });
    }
}

/// The TLS report in an original.
pub(super) fn read_tls(original: &Original, context: &Context<'_>, options: &IngestOptions) -> Option<ReadTls> {
    let unpacked = unpack(original.bytes().to_vec(), context.attachment, &options.limits);
    unpacked.items.into_iter().find_map(|unit| {
        let Content::TlsReport { json, .. } = unit.content else { return None };
        tls_report(&json, context, &options.limits).ok()
    })
}
