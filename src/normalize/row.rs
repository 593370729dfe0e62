//! Turns records into rows of the model, one by one. A damaged row costs only that row, and a finding says why.

use super::address::{address, is_digits};
use super::bounded::{FreeText, SELECTOR, bounded};
use super::domain::{canonical_domain, of_address};
use super::long_texts::long_texts;
use super::words::{Word, word};
use crate::limits::{Grown, Growth, Limits};
use crate::model::{
    DkimAuth, Domain, FindingCode, Findings, Quoted, Reason, ReasonType, Record, ReturnPath, SpfAuth, Text, Verdict,
};
use crate::parse::{RawDkim, RawReason, RawRecord, RawSpf, Value, Visitor};
use memchr::memmem;
use std::net::IpAddr;

/// More messages than this in one row are implausible: a row covers one address, one receiver and about one day, and
/// ten billion a day are 115,000 a second.
const PLAUSIBLE_IN_ROW: i64 = 10_000_000_000;
/// More messages than this in one report are implausible: the world sends an estimated 370 billion messages a day in
/// total.
const PLAUSIBLE_IN_REPORT: i128 = 100_000_000_000;

/// Texts from this size on are looked at for how many rows they have, before they are read.
const LARGE: usize = 1 << 20;
/// Memory of a row without its lists and long texts: the row and its verdict.
const ROW: usize = size_of::<Record>() + size_of::<Verdict>();

/// Takes the records of one report.
#[derive(Debug)]
pub(super) struct RecordReader<'l> {
    /// The rows that are kept, in order.
    pub(super) records: Vec<Record>,
    /// The sum of their counts.
    total: i128,
    free: FreeText,
    growth: &'l Growth,
    /// Bytes of the rows since growth was last reported.
    unreported: usize,
    /// Memory that the rows of a large text may still take; `None` for a small one, whose rows take little.
    room: Option<usize>,
}

impl<'l> RecordReader<'l> {
    /// A reader for a report with about this many rows in a text of this many bytes, while other bytes are in memory too.
    pub(super) fn new(rows: usize, (text, beside): (usize, usize), limits: &'l Limits) -> Self {
        let most = usize::try_from(limits.report_bytes).unwrap_or(usize::MAX);
        Self {
            records: Vec::with_capacity(rows),
            total: 0,
            free: FreeText::default(),
            growth: &limits.growth,
            unreported: 0,
            room: (text >= LARGE).then(|| most.saturating_sub(text.saturating_add(beside))),
        }
    }

    /// Whether the rows would have taken too much memory: then not all of them were kept.
    pub(super) fn is_full(&self) -> bool {
        self.room == Some(0)
    }

    /// Estimates the number of rows of a large text, because a list that grows is in memory twice while it is copied.
    pub(super) fn expected(text: &str, limits: &Limits) -> usize {
        if text.len() < LARGE {
            return 0;
        }
        memmem::find_iter(text.as_bytes(), b"<record").take(limits.records as usize).count()
    }

    fn grow(&mut self, record: &Record) {
        let mut bytes = ROW + size_of_val(&*record.dkim) + size_of_val(&*record.spf) + size_of_val(&*record.reasons);
        if let Some(room) = &mut self.room {
            bytes += long_texts(record);
            *room = room.saturating_sub(bytes);
        }
        self.unreported += bytes;
        if self.unreported as u64 >= Growth::STEP {
            self.growth.tell(Grown::Rows(self.unreported as u64));
            self.unreported = 0;
        }
    }
}

impl<'x> Visitor<'x> for RecordReader<'_> {
    fn record(&mut self, raw: &mut RawRecord<'x>, findings: &mut Findings) {
        let mut row = RowBuilder { number: raw.number, findings, free: &mut self.free };
        let Some((source_ip, count)) = row.source_and_count(raw) else { return };
        let before = self.total;
        self.total = before.saturating_add(count.into());
        if before <= PLAUSIBLE_IN_REPORT && self.total > PLAUSIBLE_IN_REPORT {
            row.note(FindingCode::ROW_COUNT_IMPLAUSIBLE, "count", || {
                format!("the report counts more than {PLAUSIBLE_IN_REPORT} messages: counted as written")
            });
        }
        if self.room == Some(0) {
            return;
        }
        let record = row.record(raw, source_ip, count);
        self.grow(&record);
        self.records.push(record);
    }
}

/// A row being built.
struct RowBuilder<'f> {
    number: u32,
    findings: &'f mut Findings,
    free: &'f mut FreeText,
}

impl RowBuilder<'_> {
    /// The source and the count. `None`: the row is dropped.
    fn source_and_count(&mut self, raw: &RawRecord<'_>) -> Option<(Option<IpAddr>, i64)> {
        let source = raw.source_ip.as_deref().unwrap_or_default();
        let Some(count) = raw.count.as_deref().and_then(count) else {
            self.note(FindingCode::ROW_COUNT, "count", || {
                format!("expected a number of messages, found {}: row set aside", found(&raw.count))
            });
            return None;
        };
        if count > PLAUSIBLE_IN_ROW {
            self.note(FindingCode::ROW_COUNT_IMPLAUSIBLE, "count", || {
                format!(
                    "expected at most {PLAUSIBLE_IN_ROW} messages from one source, found {count}: counted as written"
                )
            });
        }
        let Some(address) = address(source) else {
            if count == 0 {
                self.note(FindingCode::ROW_EMPTY, "source_ip", || "no source and count 0: row dropped".into());
                return None;
            }
            self.note(FindingCode::ROW_SOURCE, "source_ip", || {
                format!("expected an address, found {}: counts for the unknown source", found(&raw.source_ip))
            });
            return Some((None, count));
        };
        if address.dropped {
            self.note(FindingCode::ROW_SOURCE, "source_ip", || {
                format!("expected an address, found {}: read as {}", Quoted(source), address.ip)
            });
        }
        Some((Some(address.ip), count))
    }

    fn record(&mut self, raw: &RawRecord<'_>, source_ip: Option<IpAddr>, count: i64) -> Record {
        if !raw.has_auth_results {
            self.note(FindingCode::ROW_GAP, "auth_results", || "expected, found none".into());
        }
        Record {
            source_ip,
            count,
            disposition: self.word(&raw.disposition, "policy_evaluated/disposition"),
            evaluated_dkim: self.word(&raw.evaluated_dkim, "policy_evaluated/dkim"),
            evaluated_spf: self.word(&raw.evaluated_spf, "policy_evaluated/spf"),
            reasons: raw.reasons.iter().map(|reason| self.reason(reason)).collect(),
            header_from: self.header_from(raw),
            envelope_from: self.envelope_from(&raw.envelope_from),
            envelope_to: self.domain(&raw.envelope_to, "identifiers/envelope_to"),
            dkim: raw.dkim.iter().map(|dkim| self.dkim(dkim)).collect(),
            spf: raw.spf.iter().map(|spf| self.spf(spf)).collect(),
        }
    }

    fn header_from(&mut self, raw: &RawRecord<'_>) -> Option<Domain> {
        let path = if raw.has_identifiers { "identifiers/header_from" } else { "identifiers" };
        self.required_domain(&raw.header_from, path)
    }

    /// A null return path is written as an empty element or as `<>`; a report that does not say has no such element.
    fn envelope_from(&mut self, value: &Value<'_>) -> ReturnPath {
        let Some(text) = value else { return ReturnPath::Unsaid };
        // Nearly always there is no address around it.
        if let Some(domain) = canonical_domain(text) {
            return ReturnPath::Domain(domain);
        }
        let domain = of_address(text);
        if domain.is_empty() {
            return ReturnPath::Null;
        }
        if let Some(domain) = canonical_domain(domain) {
            return ReturnPath::Domain(domain);
        }
        self.invalid_domain(text, "identifiers/envelope_from");
        ReturnPath::Unsaid
    }

    fn dkim(&mut self, raw: &RawDkim<'_>) -> DkimAuth {
        // A third of real reports write such an element for unsigned mail.
        if is_empty(&[&raw.domain, &raw.selector, &raw.result, &raw.human_result]) {
            // The element contains white space only.
            let empty = |value: &Value<'_>| value.as_ref().map(|_| Text::default());
            let (selector, human_result) = (empty(&raw.selector), empty(&raw.human_result));
            return DkimAuth { domain: None, selector, result: None, human_result };
        }
        DkimAuth {
            domain: self.required_domain(&raw.domain, "dkim/domain"),
            selector: self.selector(&raw.selector),
            result: self.required_word(&raw.result, "dkim/result"),
            human_result: self.free_text(&raw.human_result, "dkim/human_result"),
        }
    }

    fn spf(&mut self, raw: &RawSpf<'_>) -> SpfAuth {
        if is_empty(&[&raw.domain, &raw.scope, &raw.result, &raw.human_result]) {
            let human_result = raw.human_result.as_ref().map(|_| Text::default());
            return SpfAuth { domain: None, scope: None, result: None, human_result };
        }
        SpfAuth {
            domain: self.required_domain(&raw.domain, "spf/domain"),
            scope: self.word(&raw.scope, "spf/scope"),
            result: self.required_word(&raw.result, "spf/result"),
            human_result: self.free_text(&raw.human_result, "spf/human_result"),
        }
    }

    /// An override reason in any form: with a type, with an empty type, as bare text, or empty.
    fn reason(&mut self, raw: &RawReason<'_>) -> Reason {
        const PATH: &str = "policy_evaluated/reason";
        let kind = self.word(&raw.kind, "reason/type");
        let mut reason = Reason { kind, comment: self.free_text(&raw.comment, "reason/comment") };
        if reason.kind.is_some() || *raw == RawReason::default() {
            return reason;
        }
        let bare = raw.bare.as_deref();
        if let Some((kind, false)) = bare.and_then(word) {
            reason.kind = Some(kind);
        } else {
            reason.kind = Some(ReasonType::Unspecified);
            if reason.comment.is_none() {
                reason.comment = self.free_text(&raw.bare, PATH);
            }
        }
        match bare {
            Some(bare) => {
                self.note(FindingCode::WORD_UNKNOWN, PATH, || {
                    format!("expected a type, found bare text {}", Quoted(bare))
                });
            }
            None => {
                self.note(FindingCode::WORD_UNKNOWN, PATH, || "expected a type, found nothing: taken as other".into());
            }
        }
        reason
    }

    /// A selector, as written.
    fn selector(&mut self, value: &Value<'_>) -> Option<Text> {
        let text = value.as_deref()?;
        if text.len() > SELECTOR {
            self.note(FindingCode::TEXT_CUT, "dkim/selector", || {
                format!("{} bytes, more than a name in DNS has: cut to {SELECTOR}", text.len())
            });
        }
        Some(bounded(text, SELECTOR).into())
    }

    /// Free text: an empty element is not the same as a missing one.
    fn free_text(&mut self, value: &Value<'_>, path: &'static str) -> Option<Text> {
        let (text, cut) = self.free.keep(value.as_deref()?);
        if cut {
            self.note(FindingCode::TEXT_CUT, path, || "the report brings too much free text: cut".into());
        }
        Some(text)
    }

    fn word<W: Word>(&mut self, value: &Value<'_>, path: &'static str) -> Option<W> {
        let text = value.as_deref()?;
        let (word, odd) = word::<W>(text)?;
        if odd {
            self.note(FindingCode::WORD_UNKNOWN, path, || {
                format!("{} is no word of the standard, taken as {word}", Quoted(text))
            });
        }
        Some(word)
    }

    fn required_word<W: Word>(&mut self, value: &Value<'_>, path: &'static str) -> Option<W> {
        let word = self.word(value, path);
        if word.is_none() {
            self.note(FindingCode::ROW_GAP, path, || "expected a word, found nothing".into());
        }
        word
    }

    /// A domain that may be absent or empty.
    fn domain(&mut self, value: &Value<'_>, path: &'static str) -> Option<Domain> {
        let text = value.as_deref().filter(|text| !text.is_empty())?;
        let domain = canonical_domain(text);
        if domain.is_some() {
            return domain;
        }
        self.invalid_domain(text, path);
        // An address where a domain is expected still names the domain.
        text.contains('@').then(|| canonical_domain(of_address(text))).flatten()
    }

    fn required_domain(&mut self, value: &Value<'_>, path: &'static str) -> Option<Domain> {
        if value.as_deref().is_none_or(str::is_empty) {
            self.note(FindingCode::ROW_GAP, path, || "expected a domain, found nothing".into());
            return None;
        }
        self.domain(value, path)
    }

    fn invalid_domain(&mut self, text: &str, path: &'static str) {
        self.note(FindingCode::DOMAIN_INVALID, path, || format!("expected a domain, found {}", Quoted(text)));
    }

    fn note(&mut self, code: FindingCode, path: &'static str, detail: impl FnOnce() -> String) {
        let number = self.number;
        self.findings.note(code, || format!("record {number}, {path}: {}", detail()));
    }
}

/// A number of messages: a nonnegative `xs:integer` that fits into 63 bits. Nothing else is guessed at.
fn count(text: &str) -> Option<i64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    is_digits(text).then(|| text.parse().ok()).flatten()
}

fn found(value: &Value<'_>) -> String {
    match value.as_deref() {
        Some(text) if !text.is_empty() => Quoted(text).to_string(),
        _ => "nothing".into(),
    }
}

/// Whether all values are missing or empty.
fn is_empty(values: &[&Value<'_>]) -> bool {
    values.iter().all(|value| value.as_deref().is_none_or(|text| text.trim().is_empty()))
}
