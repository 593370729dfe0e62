//! Turns judged reports directly into rows and heads, for `summary PATH` without a store.

use super::schema::{Head, RecordRow, text_of};
use super::values::reasons_word;
use crate::model::{
    Accepted, DkimAuth, DkimResult, Domain, Flags, Record, Report, ReportHead, Rows, SIGNATURES_READ, SenderAuth,
    SourceAddress, Text, Verdict, Words, signature_line, speaks_of_body,
};
use jiff::Timestamp;
use std::collections::HashMap;

/// Gathers reports into [`Rows`].
#[derive(Debug, Default)]
pub struct Collector {
    rows: Rows,
    known: [HashMap<Text, u32>; 14],
}

impl Collector {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows are buffered.
    pub fn len(&self) -> usize {
        self.rows.len
    }

    /// Whether none are buffered.
    pub fn is_empty(&self) -> bool {
        self.rows.len == 0
    }

    /// Adds all rows of a report and passes them on in runs: a report may have hundreds of thousands.
    pub fn push(
        &mut self,
        report: &Report,
        (verdicts, sender_auth): (&[Verdict], SenderAuth),
        most: usize,
        mut hand_on: impl FnMut(&Rows),
    ) {
        let head = Head { key: "", report, sender_auth, ingested: Timestamp::UNIX_EPOCH };
        for (record, verdict) in report.records.iter().zip(verdicts) {
            self.push_row(&head, &RecordRow { record, verdict });
            if self.len() >= most {
                hand_on(&self.take());
            }
        }
    }

    fn push_row(&mut self, head: &Head<'_>, row: &RecordRow<'_>) {
        let Self { rows, known } = self;
        rows.len += 1;
        rows.day.push(super::values::days_since_epoch(head.report.day));
        rows.source.push(SourceAddress::from(row.record.source_ip));
        rows.count.push(row.record.count);
        rows.flags.push(flags(row.verdict));
        rows.cause.push(row.verdict.cause);
        let reason = reasons_word(
            row.record
                .reasons
                .iter()
                .map(|reason| (reason.kind.as_ref().map(crate::model::ReasonType::as_str), reason.comment.as_deref())),
        );
        let signatures = signatures(row.record);
        let words: [(&mut Words, Option<&str>); 14] = [
            (&mut rows.policy_domain, text_of("policy_domain", head, row)),
            (&mut rows.org_name, text_of("org_name", head, row)),
            (&mut rows.header_from, text_of("header_from", head, row)),
            (&mut rows.envelope_from, text_of("envelope_from", head, row)),
            (&mut rows.disposition, text_of("disposition", head, row)),
            (&mut rows.dkim_domain, text_of("dkim_domain", head, row)),
            (&mut rows.dkim_selector, text_of("dkim_selector", head, row)),
            (&mut rows.dkim_result, text_of("dkim_result", head, row)),
            (&mut rows.spf_domain, text_of("spf_domain", head, row)),
            (&mut rows.spf_result, text_of("spf_result", head, row)),
            (&mut rows.mismatch, text_of("mismatch", head, row)),
            (&mut rows.sender_auth, text_of("sender_auth", head, row)),
            (&mut rows.reason, reason.as_deref()),
            (&mut rows.signatures, signatures.as_deref()),
        ];
        for ((words, text), known) in words.into_iter().zip(known) {
            words.codes.push(text.map_or(Words::NULL, |text| code(&mut words.dictionary, known, text)));
        }
    }

    /// The rows so far; the collector is empty again.
    pub fn take(&mut self) -> Rows {
        std::mem::take(self).rows
    }
}

/// All signatures of a row, if the deciding one is not enough.
fn signatures(record: &Record) -> Option<String> {
    let body = |dkim: &DkimAuth| dkim.human_result.as_deref().is_some_and(speaks_of_body);
    if record.dkim.len() < 2 && !record.dkim.iter().any(body) {
        return None;
    }
    let mut lines: Vec<String> = Vec::new();
    for dkim in &record.dkim {
        let (domain, selector) = (dkim.domain.as_ref().map_or("", Domain::as_str), dkim.selector.as_deref());
        let result = dkim.result.as_ref().map_or("", DkimResult::as_str);
        let line = signature_line(domain, selector.unwrap_or(""), result, body(dkim));
        if lines.len() < SIGNATURES_READ && !lines.contains(&line) {
            lines.push(line);
        }
    }
    Some(lines.join("\n"))
}

fn code(dictionary: &mut Vec<Text>, known: &mut HashMap<Text, u32>, text: &str) -> u32 {
    if let Some(code) = known.get(text) {
        return *code;
    }
    let code = u32::try_from(dictionary.len()).expect("a run of rows is bounded far below 2^32");
    dictionary.push(text.into());
    known.insert(text.into(), code);
    code
}

fn flags(verdict: &Verdict) -> Flags {
    let recomputed = verdict.recomputed_dkim.is_some() || verdict.recomputed_spf.is_some();
    let bits = [
        (verdict.dmarc_pass, Flags::PASS),
        (verdict.dkim_aligned == Some(true), Flags::DKIM),
        (verdict.spf_aligned == Some(true), Flags::SPF),
        (verdict.recomputed_dkim == Some(true), Flags::RECOMPUTED_DKIM),
        (verdict.recomputed_spf == Some(true), Flags::RECOMPUTED_SPF),
        (recomputed, Flags::RECOMPUTED),
    ];
    Flags(bits.into_iter().filter(|(set, _)| *set).fold(0, |all, (_, bit)| all | bit))
}

/// The head of a report, as in the `reports` table.
pub fn head(accepted: &Accepted) -> ReportHead {
    let Accepted { report, findings, .. } = accepted;
    let (messages, dmarc_pass) = super::reports::sums(accepted);
    ReportHead {
        key: report.key,
        org_name: report.metadata.org_name.clone(),
        org_email: report.metadata.email.clone(),
        report_id: report.metadata.report_id.clone(),
        begin: report.metadata.begin,
        end: report.metadata.end,
        day: report.day,
        policy: report.policy.clone(),
        records: super::values::int(report.records.len()),
        messages,
        dmarc_pass,
        sender_auth: accepted.provenance.sender_auth(),
        findings: findings.iter().map(|finding| finding.code.as_str().into()).collect(),
    }
}
