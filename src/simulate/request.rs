//! The proposal, and the resulting records.

use super::proposed_dns::ProposedDns;
use super::{PolicyTags, SimulationError, TagChanges, ZoneFile};
use crate::dns::dmarc;
use crate::dns::lookup::answer::{Answer, Lookup, Txt};
use crate::dns::lookup::name;
use crate::dns::spf::{Mechanism, SpfRecord, is_spf, records_of};
use crate::model::Text;
use jiff::civil::Date;
use std::collections::BTreeMap;

/// A proposal for a domain, and the days to evaluate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulationRequest {
    /// The policy domain, in canonical form.
    pub domain: String,
    /// The first and last day to evaluate.
    pub days: (Date, Date),
    /// The number of weeks.
    pub weeks: u16,
    /// Tags of the DMARC record to replace.
    pub tags: TagChanges,
    /// The SPF record of the domain.
    pub spf: Option<String>,
    /// Includes to remove from the domain's SPF record.
    pub dropped_includes: Vec<String>,
    /// Selectors of the domain whose keys are removed.
    pub removed_selectors: Vec<String>,
    /// Records that replace those in DNS.
    pub zone: Option<ZoneFile>,
}

/// The records after the proposal is applied.
#[derive(Debug, Clone)]
pub(super) struct ResolvedRequest {
    /// The DMARC record of the domain.
    pub(super) tags: PolicyTags,
    /// Proposed DMARC records of From domains below it.
    pub(super) records: BTreeMap<Text, PolicyTags>,
    /// The SPF record of the domain, if changed.
    pub(super) spf: Option<String>,
}

impl SimulationRequest {
    /// Whether lookups may be needed: a proposal that only changes tags needs none.
    pub fn needs_dns(&self) -> bool {
        self.spf.is_some() || !self.dropped_includes.is_empty() || self.zone.is_some() || self.tags.np.is_some()
    }

    /// Whether the SPF record of the domain itself is replaced.
    pub(super) fn replaces_spf(&self) -> bool {
        self.spf.is_some() || !self.dropped_includes.is_empty()
    }

    /// Determines the proposed records. `senders` are the From domains of the mail.
    ///
    /// # Errors
    /// If a record is invalid, an include to remove does not exist, or a record to be changed cannot be looked up.
    pub(super) fn resolve<'s>(
        &self,
        dns: &ProposedDns<'_>,
        in_force: PolicyTags,
        senders: impl Iterator<Item = &'s Text>,
    ) -> Result<ResolvedRequest, SimulationError> {
        let tags = self.dmarc(dns)?.unwrap_or(in_force).with(self.tags);
        let mut records = BTreeMap::new();
        for sender in senders.filter(|sender| self.zone.is_some() && **sender != self.domain && !sender.is_empty()) {
            let (found, touched) = dns.tracked(|dns| dmarc::record_at(dns, sender));
            if let (Answer::Found(record), true) = (found, touched) {
                records.insert(sender.clone(), PolicyTags::of_record(&record, &format!("_dmarc.{sender}"))?);
            }
        }
        Ok(ResolvedRequest { tags, records, spf: self.spf_record(dns)? })
    }

    /// The DMARC record of a zone file; `None` if the file does not determine it.
    fn dmarc(&self, dns: &ProposedDns<'_>) -> Result<Option<PolicyTags>, SimulationError> {
        if self.zone.is_none() {
            return Ok(None);
        }
        let place = format!("_dmarc.{}", self.domain);
        let (found, touched) = dns.tracked(|dns| dns.txt(&place));
        if !touched {
            return Ok(None);
        }
        let texts = match found {
            Answer::Found(texts) => texts.iter().map(Txt::text).filter(|text| dmarc::is_dmarc(text)).collect(),
            Answer::Failed(failure) => return Err(SimulationError::Lookup { place, why: failure.to_string() }),
            Answer::NoData | Answer::NxDomain => Vec::new(),
        };
        match texts.as_slice() {
            [text] => PolicyTags::of_record(&dmarc::DmarcRecord::parse(text), &place).map(Some),
            // The policy of a parent domain applies, if any.
            [] => match dmarc::discover(dns, &self.domain).list {
                Ok(discovered) => match discovered.found {
                    Some(found) => {
                        let place = format!("_dmarc.{}", found.domain);
                        PolicyTags::of_record(&found.record, &place).map(|tags| Some(tags.inherited()))
                    }
                    None => Ok(Some(PolicyTags::default())),
                },
                Err((above, failure)) => {
                    Err(SimulationError::Lookup { place: format!("_dmarc.{above}"), why: failure.to_string() })
                }
            },
            several => Err(SimulationError::Record {
                place,
                why: format!("expected one DMARC record, found {}: receivers then ignore all of them", several.len()),
            }),
        }
    }

    /// The SPF record of the domain, if the proposal contains it.
    fn spf_record(&self, dns: &ProposedDns<'_>) -> Result<Option<String>, SimulationError> {
        let error = |why: String| SimulationError::Record { place: self.domain.clone(), why };
        if let Some(text) = &self.spf
            && !is_spf(text)
        {
            return Err(error(format!("expected an SPF record that begins with `v=spf1 `, found `{text}`")));
        }
        let published = match (&self.spf, self.dropped_includes.is_empty() && self.zone.is_none()) {
            (Some(text), _) => Some(text.clone()),
            (None, true) => return Ok(None),
            (None, false) => self.published_spf(dns)?,
        };
        let Some(text) = published else {
            return if self.dropped_includes.is_empty() {
                Ok(None)
            } else {
                Err(error("expected an SPF record to drop an include from, found none".into()))
            };
        };
        let record = SpfRecord::parse(&text);
        if let Some(fault) = record.errors.first() {
            return Err(error(format!("the SPF record cannot be read: {fault}")));
        }
        if !self.replaces_spf() {
            return Ok(None);
        }
        self.without_includes(&record).map(Some)
    }

    /// The SPF record in DNS or the zone file; of a zone file, only if it differs.
    fn published_spf(&self, dns: &ProposedDns<'_>) -> Result<Option<String>, SimulationError> {
        let (found, touched) = dns.tracked(|dns| match &self.zone {
            Some(zone) if self.dropped_includes.is_empty() && !zone.may_change_spf() => Answer::NoData,
            _ => records_of(dns, &self.domain),
        });
        match found {
            _ if !touched && self.dropped_includes.is_empty() => Ok(None),
            Answer::Found(texts) if texts.len() > 1 => Err(SimulationError::Record {
                place: self.domain.clone(),
                why: format!("expected one SPF record, found {}: receivers then accept none of them", texts.len()),
            }),
            Answer::Found(texts) => Ok(texts.into_iter().next()),
            Answer::Failed(failure) => {
                Err(SimulationError::Lookup { place: format!("{} TXT", self.domain), why: failure.to_string() })
            }
            Answer::NoData | Answer::NxDomain => Ok(None),
        }
    }

    fn without_includes(&self, record: &SpfRecord) -> Result<String, SimulationError> {
        let mut dropped: Vec<&str> = Vec::new();
        for wanted in &self.dropped_includes {
            let before = dropped.len();
            for (term, _, mechanism) in record.directives() {
                let Mechanism::Include(_) = mechanism else { continue };
                let target = term.text.split_once(':').map_or("", |(_, target)| target);
                let same = target.eq_ignore_ascii_case(wanted)
                    || name::canonical(target).is_some_and(|target| name::canonical(wanted) == Some(target));
                if same {
                    dropped.push(&term.text);
                }
            }
            if dropped.len() == before {
                let includes =
                    record.directives().filter(|(_, _, mechanism)| matches!(mechanism, Mechanism::Include(_)));
                let includes: Vec<&str> = includes.map(|(term, ..)| term.text.as_str()).collect();
                let found = if includes.is_empty() { "no include".to_owned() } else { includes.join(", ") };
                return Err(SimulationError::Record {
                    place: self.domain.clone(),
                    why: format!("expected include:{wanted} in its SPF record, found {found}"),
                });
            }
        }
        let kept = record.terms.iter().filter(|term| !dropped.contains(&term.text.as_str()));
        Ok(kept.fold("v=spf1".to_owned(), |text, term| text + " " + &term.text))
    }
}
