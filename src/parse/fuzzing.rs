//! Properties of the XML parser for any input. The functions panic if one does not hold; `fuzz/` and the tests run
//! them, and release builds leave them out.

#![allow(clippy::missing_panics_doc, reason = "to panic is what these are for")]

use super::{Document, RawRecord, RawReport, Value, Visitor, decode, documents, plain, tolerant};
use crate::limits::Limits;
use crate::model::{Finding, Findings};

/// Keeps every record as written.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Kept<'x>(Vec<RawRecord<'x>>);

impl<'x> Visitor<'x> for Kept<'x> {
    fn record(&mut self, record: &mut RawRecord<'x>, _: &mut Findings) {
        self.0.push(record.clone());
    }
}

/// A whole document: head, records, its text, findings.
pub(super) type Report<'x> = (RawReport<'x>, Vec<RawRecord<'x>>, &'x str, Vec<Finding>);

/// A document's parts, or why it was rejected.
pub(super) fn whole<'x>(document: Document<'x, Kept<'x>>) -> Result<Report<'x>, String> {
    match document {
        Document::Report { report, visitor, content, findings } => {
            Ok((report, visitor.0, content, findings.into_vec()))
        }
        Document::Rejected { reason } => Err(reason),
        Document::NotReport => Err("not a report".into()),
    }
}

/// If the plain parser reads a text, the tolerant one must read the same. Returns whether the plain one did.
pub(super) fn ways_agree(text: &str, limits: &Limits) -> bool {
    let Some(fast) = plain(text, limits, Kept::default()) else { return false };
    let mut slow = Vec::new();
    tolerant(text, limits, &mut Kept::default, &mut |document| slow.push(document));
    assert_eq!(slow.len(), 1, "{text:?}");
    assert_eq!(whole(fast), whole(slow.remove(0)), "{text:?}");
    true
}

/// Any bytes, decoded and parsed with normal and with tight limits: both parsers agree finding for finding, all limits
/// hold, and a document parsed alone equals the same document parsed among others.
pub fn xml(bytes: &[u8]) {
    let decoded = decode(bytes);
    let tight = Limits {
        text_bytes: 12,
        element_depth: 5,
        records: 2,
        results: 1,
        findings: 3,
        members: 2,
        ..Limits::default()
    };
    for limits in [Limits::default(), tight] {
        ways_agree(&decoded.text, &limits);
        let all = documents(&decoded.text, &limits, Kept::default);
        assert!(!all.is_empty() && all.len() <= limits.members as usize + 1);
        for document in all {
            let Ok(read) = whole(document) else { continue };
            hold(&read, &limits);
            if read.2.len() == decoded.text.len() {
                continue;
            }
            let alone = documents(read.2, &limits, Kept::default);
            let alone: Vec<_> = alone.into_iter().filter_map(|document| whole(document).ok()).collect();
            assert!(alone.iter().any(|alone| (&alone.0, &alone.1) == (&read.0, &read.1)), "{read:?} alone: {alone:?}");
        }
    }
}

fn hold((report, records, _, findings): &Report<'_>, limits: &Limits) {
    assert!(findings.len() <= limits.findings as usize + 1, "{findings:?}");
    assert!(records.len() <= limits.records as usize && records.len() == report.records as usize, "{records:?}");
    let text = |value: &Value<'_>| value.as_ref().is_none_or(|text| text.len() <= limits.text_bytes as usize);
    if let Some(metadata) = &report.metadata {
        assert!([&metadata.org_name, &metadata.report_id, &metadata.email, &metadata.begin].into_iter().all(text));
        assert!(metadata.errors.iter().all(|error| error.len() <= limits.text_bytes as usize));
    }
    if let Some(policy) = &report.policy {
        assert!([&policy.domain, &policy.p, &policy.fo].into_iter().all(text), "{policy:?}");
    }
    for record in records {
        assert!([&record.source_ip, &record.count, &record.header_from].into_iter().all(text), "{record:?}");
        for length in [record.dkim.len(), record.spf.len(), record.reasons.len()] {
            assert!(length <= limits.results as usize, "{record:?}");
        }
        assert!(record.dkim.iter().all(|dkim| text(&dkim.domain) && text(&dkim.human_result)), "{record:?}");
        assert!(record.reasons.iter().all(|reason| text(&reason.comment) && text(&reason.bare)), "{record:?}");
    }
}
