//! Answers queries from the records of the last check, so that findings can be computed without DNS.

use super::consents::dmarc_of;
use crate::dns::dmarc::{self, WalkDifference};
use crate::dns::finding::{Notes, Severity};
use crate::dns::lookup::answer::{Answer, Data, DnsQuestion, Failure, Lookup, QueryType, Txt};
use crate::dns::spf;
use crate::model::{DnsHistory, DnsSpan, RecordType, WatchedName};
use std::collections::{BTreeSet, HashSet};

/// Answers with the TXT records in force at the last look. What was never looked up is a failed lookup.
#[derive(Debug)]
pub struct KeptRecords {
    history: DnsHistory,
    /// Names whose TXT records were looked up.
    names: HashSet<String>,
    domains: BTreeSet<String>,
}

impl KeptRecords {
    /// From the records that lookups found, and the names that were looked up.
    pub fn new(spans: Vec<DnsSpan>, watched: Vec<WatchedName>) -> Self {
        let history = DnsHistory::new(spans, &[]);
        let domains = watched.iter().map(|watch| watch.domain.clone()).collect();
        let of_text = watched.into_iter().filter(|watch| watch.record_type == RecordType::Txt);
        Self { history, names: of_text.map(|watch| watch.name).collect(), domains }
    }

    /// The domains that were looked at.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.domains.iter().map(String::as_str)
    }

    /// Where the tree walk and the public suffix list judge a domain differently.
    pub fn walk_difference(&self, domain: &str) -> Option<WalkDifference> {
        dmarc_of(self, domain).walk_difference()
    }

    /// What is wrong with the DMARC and SPF records of a domain: the first fault, if there is any.
    ///
    /// # Errors
    /// [`NeverLooked`] for a domain that was never looked at.
    pub fn fault(&self, domain: &str) -> Result<Option<String>, NeverLooked> {
        if !self.names.contains(&format!("_dmarc.{domain}")) {
            return Err(NeverLooked);
        }
        let mut notes = Notes::default();
        dmarc::check(self, domain, &mut notes);
        spf::check(self, domain, &mut notes);
        let fault = notes.findings.into_iter().find(|finding| finding.severity == Severity::Fault);
        Ok(fault.map(|fault| fault.text))
    }
}

/// The DNS records of a domain were never looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeverLooked;

impl Lookup for KeptRecords {
    fn ask(&self, question: &DnsQuestion) -> Answer<Vec<Data>> {
        if question.kind != QueryType::Txt || !self.names.contains(&question.name) {
            return Answer::Failed(Failure::Other("not kept".into()));
        }
        let spans = self.history.spans_of(&question.name).iter();
        let in_force = spans.filter(|span| span.ended.is_none() && span.record_type == RecordType::Txt);
        let found: Vec<Data> =
            in_force.map(|span| Data::Text(Txt { strings: vec![span.value.text.clone().into_bytes()] })).collect();
        if found.is_empty() { Answer::NoData } else { Answer::Found(found) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DnsValue;
    use jiff::Timestamp;

    /// What was looked up; if it has a text, it was found.
    fn kept(records: &[(&str, &str)], ended: Option<Timestamp>) -> KeptRecords {
        let at = Timestamp::UNIX_EPOCH;
        let found = records.iter().filter(|(_, text)| !text.is_empty());
        let span = |(name, text): &(&str, &str)| DnsSpan {
            name: (*name).to_owned(),
            record_type: RecordType::Txt,
            value: DnsValue { meaning: (*text).to_owned(), text: (*text).to_owned() },
            first_seen: at,
            last_seen: at,
            ended,
        };
        let watch = |(name, _): &(&str, &str)| {
            let (domain, name) = ("mail.shop.example.com".to_owned(), (*name).to_owned());
            WatchedName { domain, name, record_type: RecordType::Txt, since: at }
        };
        KeptRecords::new(found.map(span).collect(), records.iter().map(watch).collect())
    }

    const WALK: [(&str, &str); 4] = [
        ("_dmarc.mail.shop.example.com", ""),
        ("_dmarc.shop.example.com", "v=DMARC1; p=none; psd=n"),
        ("_dmarc.example.com", "v=DMARC1; p=reject"),
        ("_dmarc.com", ""),
    ];

    #[test]
    fn a_difference_follows_from_the_records_that_are_in_force() {
        let of = |records: &[(&str, &str)], ended| kept(records, ended).walk_difference("mail.shop.example.com");
        let (walk, list) = (Some("shop.example.com".to_owned()), Some("example.com".to_owned()));
        assert_eq!(of(&WALK, None), Some(WalkDifference::Record { walk, list }));
        assert_eq!(of(&WALK, Some(Timestamp::UNIX_EPOCH)), None, "they are gone");
        assert_eq!(of(&WALK[2..], None), None, "one step was never looked up");
    }

    #[test]
    fn faults_are_reported_only_about_what_was_looked_up() {
        let domain = "example.com";
        let of = |records: &[(&str, &str)]| kept(records, None).fault(domain);
        assert_eq!(of(&[("example.com", "v=spf1 -all")]), Err(NeverLooked));
        let dmarc = [("_dmarc.example.com", "v=DMARC1; p=reject; rua=mailto:d@example.com"), ("_dmarc.com", "")];
        let with = |spf| [&dmarc[..], &[("example.com", spf), ("_spf.example.net", "")]].concat();
        // Hosts are not kept: nothing is said of them.
        assert_eq!(of(&with("v=spf1 a mx -all")), Ok(None));
        assert!(of(&with("v=spf1 include:_spf.example.net -all")).unwrap().is_some());
        assert!(
            of(&[("_dmarc.example.com", ""), ("_dmarc.com", ""), ("example.com", "v=spf1 -all")]).unwrap().is_some()
        );
    }
}
