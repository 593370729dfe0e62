//! The structure of a report: which element fills which field. One superset of RFC 7489 and RFC 9990, in any order.
//!
//! Each record goes to a visitor as soon as it ends, so memory does not grow with the number of records. If an element
//! that may occur once occurs again, the first one counts. Unknown elements are skipped with their content.

use super::name::Name;
use super::raw::{RawDkim, RawMetadata, RawPolicy, RawReason, RawRecord, RawReport, RawSpf, Value};
use super::tokens::{Halt, SourceSpan, TokenReader, XmlToken, note_text};
use crate::limits::Limits;
use crate::model::{FindingCode, Findings, Quoted};

/// Takes the records of a report one by one.
pub trait Visitor<'x> {
    /// One record, as written. The value is reused for the next record: take what you need.
    fn record(&mut self, record: &mut RawRecord<'x>, findings: &mut Findings);
}

/// Average results and reasons per record allowed over a whole report: bounds the memory when every record is full.
const RESULTS_A_RECORD: u64 = 4;

/// Reads a document from inside its root element to its end.
pub(super) fn read<'x, T: TokenReader<'x>, V: Visitor<'x>>(
    tokens: &mut T,
    limits: &Limits,
    visitor: &mut V,
    findings: &mut Findings,
) -> Result<RawReport<'x>, Halt> {
    let mut reader = FeedbackReader { tokens, limits, findings, record: 0, results: 0 };
    let mut report = RawReport::default();
    let mut record = RawRecord::default();
    while let Some(name) = reader.child("feedback")? {
        match name {
            Name::Version => reader.fill(&mut report.version, "version")?,
            Name::ReportMetadata => reader.metadata(report.metadata.get_or_insert_default())?,
            Name::PolicyPublished => reader.policy(report.policy.get_or_insert_default())?,
            Name::Record => {
                if report.records >= limits.records {
                    return Err(Halt::TooManyRecords);
                }
                report.records += 1;
                record.clear(report.records);
                reader.record = report.records;
                reader.record(&mut record)?;
                reader.record = 0;
                visitor.record(&mut record, reader.findings);
            }
            _ => reader.tokens.skip()?,
        }
    }
    Ok(report)
}

type ElementStep = Result<(), Halt>;

struct FeedbackReader<'l, T> {
    tokens: &'l mut T,
    limits: &'l Limits,
    findings: &'l mut Findings,
    /// The record being read, from 1; 0 outside of records.
    record: u32,
    /// Results and reasons kept so far.
    results: u64,
}

impl<'x, T: TokenReader<'x>> FeedbackReader<'_, T> {
    fn metadata(&mut self, metadata: &mut RawMetadata<'x>) -> ElementStep {
        while let Some(name) = self.child("report_metadata")? {
            match name {
                Name::OrgName => self.fill(&mut metadata.org_name, "report_metadata/org_name")?,
                Name::Email => self.fill(&mut metadata.email, "report_metadata/email")?,
                Name::ExtraContactInfo => {
                    self.fill(&mut metadata.extra_contact_info, "report_metadata/extra_contact_info")?;
                }
                Name::ReportId => self.fill(&mut metadata.report_id, "report_metadata/report_id")?,
                Name::DateRange => self.date_range(metadata)?,
                Name::DataRange => {
                    self.findings.note(
                        FindingCode::PERIOD_ELEMENT,
                        || "report_metadata: expected date_range, found data_range: read as that",
                    );
                    self.date_range(metadata)?;
                }
                Name::Error => {
                    let place = self.place("report_metadata/error");
                    let error = self.tokens.value(place, self.findings)?;
                    if self.has_room(metadata.errors.len(), place) {
                        metadata.errors.push(error);
                    }
                }
                Name::Generator => self.fill(&mut metadata.generator, "report_metadata/generator")?,
                _ => self.tokens.skip()?,
            }
        }
        Ok(())
    }

    fn date_range(&mut self, metadata: &mut RawMetadata<'x>) -> ElementStep {
        while let Some(name) = self.child("date_range")? {
            match name {
                Name::Begin => self.fill(&mut metadata.begin, "date_range/begin")?,
                Name::End => self.fill(&mut metadata.end, "date_range/end")?,
                _ => self.tokens.skip()?,
            }
        }
        Ok(())
    }

    fn policy(&mut self, policy: &mut RawPolicy<'x>) -> ElementStep {
        while let Some(name) = self.child("policy_published")? {
            match name {
                Name::Domain => self.fill(&mut policy.domain, "policy_published/domain")?,
                Name::P => self.fill(&mut policy.p, "policy_published/p")?,
                Name::Sp => self.fill(&mut policy.sp, "policy_published/sp")?,
                Name::Np => self.fill(&mut policy.np, "policy_published/np")?,
                Name::Adkim => self.fill(&mut policy.adkim, "policy_published/adkim")?,
                Name::Aspf => self.fill(&mut policy.aspf, "policy_published/aspf")?,
                Name::Pct => self.fill(&mut policy.pct, "policy_published/pct")?,
                Name::Fo => self.fill(&mut policy.fo, "policy_published/fo")?,
                Name::Testing => self.fill(&mut policy.testing, "policy_published/testing")?,
                Name::DiscoveryMethod => {
                    self.fill(&mut policy.discovery_method, "policy_published/discovery_method")?;
                }
                _ => self.tokens.skip()?,
            }
        }
        Ok(())
    }

    fn record(&mut self, record: &mut RawRecord<'x>) -> ElementStep {
        while let Some(name) = self.child("record")? {
            match name {
                Name::Row => self.row(record)?,
                Name::Identifiers => {
                    record.has_identifiers = true;
                    self.identifiers(record)?;
                }
                Name::AuthResults => {
                    record.has_auth_results = true;
                    self.auth_results(record)?;
                }
                _ => self.tokens.skip()?,
            }
        }
        Ok(())
    }

    fn row(&mut self, record: &mut RawRecord<'x>) -> ElementStep {
        while let Some(name) = self.child("row")? {
            match name {
                Name::SourceIp => self.fill(&mut record.source_ip, "source_ip")?,
                Name::Count => self.fill(&mut record.count, "count")?,
                Name::PolicyEvaluated => self.policy_evaluated(record)?,
                _ => self.tokens.skip()?,
            }
        }
        Ok(())
    }

    fn policy_evaluated(&mut self, record: &mut RawRecord<'x>) -> ElementStep {
        while let Some(name) = self.child("policy_evaluated")? {
            match name {
                Name::Disposition => self.fill(&mut record.disposition, "policy_evaluated/disposition")?,
                Name::Dkim => self.fill(&mut record.evaluated_dkim, "policy_evaluated/dkim")?,
                Name::Spf => self.fill(&mut record.evaluated_spf, "policy_evaluated/spf")?,
                Name::Reason => {
                    let reason = self.reason()?;
                    if self.has_room(record.reasons.len(), self.place("policy_evaluated/reason")) {
                        record.reasons.push(reason);
                    }
                }
                _ => self.tokens.skip()?,
            }
        }
        Ok(())
    }

    /// The only element with text of its own: some reporters write the type there.
    fn reason(&mut self) -> Result<RawReason<'x>, Halt> {
        let mut reason = RawReason::default();
        let place = self.place("policy_evaluated/reason");
        loop {
            match self.tokens.next(place, self.findings)? {
                XmlToken::Open(Name::Type) => self.fill(&mut reason.kind, "reason/type")?,
                XmlToken::Open(Name::Comment) => self.fill(&mut reason.comment, "reason/comment")?,
                XmlToken::Open(_) => self.tokens.skip()?,
                XmlToken::Text(text) if reason.bare.is_none() => reason.bare = Some(text),
                XmlToken::Text(text) => note_text(place, &text, self.findings),
                XmlToken::Close => return Ok(reason),
            }
        }
    }

    fn identifiers(&mut self, record: &mut RawRecord<'x>) -> ElementStep {
        while let Some(name) = self.child("identifiers")? {
            match name {
                Name::HeaderFrom => self.fill(&mut record.header_from, "identifiers/header_from")?,
                Name::EnvelopeFrom => self.fill(&mut record.envelope_from, "identifiers/envelope_from")?,
                Name::EnvelopeTo => self.fill(&mut record.envelope_to, "identifiers/envelope_to")?,
                _ => self.tokens.skip()?,
            }
        }
        Ok(())
    }

    fn auth_results(&mut self, record: &mut RawRecord<'x>) -> ElementStep {
        while let Some(name) = self.child("auth_results")? {
            match name {
                Name::Dkim => {
                    let dkim = self.dkim()?;
                    if dkim != RawDkim::default() && self.has_room(record.dkim.len(), self.place("auth_results/dkim")) {
                        record.dkim.push(dkim);
                    }
                }
                Name::Spf => {
                    let spf = self.spf()?;
                    if spf != RawSpf::default() && self.has_room(record.spf.len(), self.place("auth_results/spf")) {
                        record.spf.push(spf);
                    }
                }
                _ => self.tokens.skip()?,
            }
        }
        Ok(())
    }

    fn dkim(&mut self) -> Result<RawDkim<'x>, Halt> {
        let mut dkim = RawDkim::default();
        while let Some(name) = self.child("auth_results/dkim")? {
            match name {
                Name::Domain => self.fill(&mut dkim.domain, "dkim/domain")?,
                Name::Selector => self.fill(&mut dkim.selector, "dkim/selector")?,
                Name::Result => self.fill(&mut dkim.result, "dkim/result")?,
                Name::HumanResult => self.fill(&mut dkim.human_result, "dkim/human_result")?,
                _ => self.tokens.skip()?,
            }
        }
        Ok(dkim)
    }

    fn spf(&mut self) -> Result<RawSpf<'x>, Halt> {
        let mut spf = RawSpf::default();
        while let Some(name) = self.child("auth_results/spf")? {
            match name {
                Name::Domain => self.fill(&mut spf.domain, "spf/domain")?,
                Name::Scope => self.fill(&mut spf.scope, "spf/scope")?,
                Name::Result => self.fill(&mut spf.result, "spf/result")?,
                Name::HumanResult => self.fill(&mut spf.human_result, "spf/human_result")?,
                _ => self.tokens.skip()?,
            }
        }
        Ok(spf)
    }

    /// The next child of the open element; `None` at its end.
    fn child(&mut self, parent: &'static str) -> Result<Option<Name>, Halt> {
        self.tokens.child(self.place(parent), self.findings)
    }

    /// Reads an element that may occur once.
    #[inline]
    fn fill(&mut self, slot: &mut Value<'x>, path: &'static str) -> ElementStep {
        let place = self.place(path);
        let value = self.tokens.value(place, self.findings)?;
        if slot.is_none() {
            *slot = Some(value);
        } else {
            self.findings
                .note(FindingCode::XML_REPEATED, || format!("{place}: again {}, the first holds", Quoted(&value)));
        }
        Ok(())
    }

    /// Whether a list has room for one more; notes a finding if not.
    fn has_room(&mut self, length: usize, place: SourceSpan) -> bool {
        self.results += 1;
        let most = u64::from(self.limits.records) * RESULTS_A_RECORD;
        let room = length < self.limits.results as usize && self.results <= most;
        if !room {
            let limit = self.limits.results;
            self.findings.note(FindingCode::LIMIT_DROPPED, || {
                format!("{place}: more than {limit} here or {most} in the report, which are the limits: dropped")
            });
        }
        room
    }

    fn place(&self, path: &'static str) -> SourceSpan {
        SourceSpan { record: self.record, path }
    }
}
