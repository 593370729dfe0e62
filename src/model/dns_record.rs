//! What DNS contained and when: time spans of records as the ledger keeps them, and the changes between them.

use super::days::utc_day;
use super::words::keywords;
use jiff::{Timestamp, civil::Date};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

keywords! {
    /// The record types whose history is kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum RecordType {
        /// DMARC, SPF, DKIM, TLS-RPT and MTA-STS records, and consents to reports.
        Txt = "TXT",
        /// Mail exchangers.
        Mx = "MX",
        /// Aliases of DKIM selectors.
        Cname = "CNAME",
        /// Certificates of MX hosts.
        Tlsa = "TLSA",
        /// The policy file of MTA-STS, which is no record: it is fetched from its address by HTTPS.
        StsPolicy = "MTA-STS",
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The result of one successful lookup; no values if DNS said that there is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsObservation {
    /// The domain that was checked.
    pub domain: String,
    /// The name that was looked up: lower case, no final dot.
    pub name: String,
    /// The type that was looked up.
    pub record_type: RecordType,
    /// The records, in no particular order.
    pub values: Vec<DnsValue>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DnsValue {
    /// The record without meaningless differences (white space, order of tags, case of host names): two records with
    /// the same meaning are the same record.
    pub meaning: String,
    /// As published: the strings of a TXT record joined, an MX record as `10 host`, a TLSA record with hexadecimal digits, a
    /// policy with its lines separated by `; `.
    pub text: String,
}

/// A record and the time during which lookups found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsSpan {
    /// The name the record is published at.
    pub name: String,
    /// Its type.
    pub record_type: RecordType,
    /// The record.
    pub value: DnsValue,
    /// The first lookup that found it.
    pub first_seen: Timestamp,
    /// The last lookup that found it.
    pub last_seen: Timestamp,
    /// The first later lookup that did not find it; `None` while it is published.
    pub ended: Option<Timestamp>,
}

/// A name that is looked up on behalf of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedName {
    /// The domain.
    pub domain: String,
    /// The name.
    pub name: String,
    /// The type.
    pub record_type: RecordType,
    /// The first successful lookup for this domain. Its result is the starting point, not a change.
    pub since: Timestamp,
}

/// A change between two successful lookups of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsChange {
    /// When the new state was first seen.
    pub at: Timestamp,
    /// The domain on whose behalf the name is looked up.
    pub domain: String,
    /// The name the record is published at.
    pub name: String,
    /// Its type.
    pub record_type: RecordType,
    /// The records before, sorted.
    pub before: Vec<String>,
    /// The records after, sorted.
    pub after: Vec<String>,
}

impl DnsChange {
    /// The day the new state was first seen, in UTC.
    pub fn day(&self) -> Date {
        utc_day(self.at)
    }

    /// `added`, `removed` or `changed`.
    pub fn kind(&self) -> &'static str {
        if self.before.is_empty() {
            "added"
        } else if self.after.is_empty() {
            "removed"
        } else {
            "changed"
        }
    }
}

/// Everything the ledger remembers about DNS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsHistory {
    /// By name.
    spans: BTreeMap<String, Vec<DnsSpan>>,
    /// What changed between lookups, oldest first.
    pub changes: Vec<DnsChange>,
}

impl DnsHistory {
    /// Builds the history from the records that lookups found and the names that were looked up.
    pub fn new(spans: Vec<DnsSpan>, watched: &[WatchedName]) -> Self {
        let changes = changes(&spans, watched);
        let mut by_name: BTreeMap<String, Vec<DnsSpan>> = BTreeMap::new();
        for span in spans {
            by_name.entry(span.name.clone()).or_default().push(span);
        }
        Self { spans: by_name, changes }
    }

    /// All records ever found, by name.
    pub fn spans(&self) -> impl Iterator<Item = &DnsSpan> {
        self.spans.values().flatten()
    }

    /// All records ever found at a name (lower case, no final dot).
    pub fn spans_of(&self, name: &str) -> &[DnsSpan] {
        self.spans.get(name).map_or(&[], Vec::as_slice)
    }
}

/// All changes of the watched names, oldest first. An alias that now points elsewhere is one change; the records seen
/// through it are not reported in addition.
pub fn changes(spans: &[DnsSpan], watched: &[WatchedName]) -> Vec<DnsChange> {
    let mut by_name: BTreeMap<(&str, RecordType), Vec<&DnsSpan>> = BTreeMap::new();
    for span in spans {
        by_name.entry((&span.name, span.record_type)).or_default().push(span);
    }
    let mut found = Vec::new();
    for watch in watched {
        let Some(spans) = by_name.get(&(watch.name.as_str(), watch.record_type)) else { continue };
        let times: BTreeSet<Timestamp> = spans
            .iter()
            .flat_map(|span| [Some(span.first_seen), span.ended])
            .flatten()
            .filter(|at| *at > watch.since)
            .collect();
        for at in times {
            let texts = |is_there: &dyn Fn(&DnsSpan) -> bool| {
                let mut texts: Vec<String> =
                    spans.iter().filter(|span| is_there(span)).map(|span| span.value.text.clone()).collect();
                texts.sort();
                texts
            };
            let before = texts(&|span| span.first_seen < at && span.ended.is_none_or(|ended| ended >= at));
            let after = texts(&|span| span.first_seen <= at && span.ended.is_none_or(|ended| ended > at));
            let (domain, name) = (watch.domain.clone(), watch.name.clone());
            found.push(DnsChange { at, domain, name, record_type: watch.record_type, before, after });
        }
    }
    let aliases: BTreeSet<(Timestamp, String, String)> = found
        .iter()
        .filter(|change| change.record_type == RecordType::Cname)
        .map(|change| (change.at, change.domain.clone(), change.name.clone()))
        .collect();
    found.retain(|change| {
        change.record_type == RecordType::Cname
            || !aliases.contains(&(change.at, change.domain.clone(), change.name.clone()))
    });
    found.sort_by(|a, b| (a.at, &a.domain, &a.name, a.record_type).cmp(&(b.at, &b.domain, &b.name, b.record_type)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(day * 86_400).unwrap()
    }

    fn span(record_type: RecordType, text: &str, first: i64, last: i64, ended: Option<i64>) -> DnsSpan {
        let value = DnsValue { meaning: text.to_owned(), text: text.to_owned() };
        let name = "s1._domainkey.example.com".to_owned();
        DnsSpan { name, record_type, value, first_seen: at(first), last_seen: at(last), ended: ended.map(at) }
    }

    fn watch(record_type: RecordType, since: i64) -> WatchedName {
        let (domain, name) = ("example.com".to_owned(), "s1._domainkey.example.com".to_owned());
        WatchedName { domain, name, record_type, since: at(since) }
    }

    fn told(spans: &[DnsSpan], watched: &[WatchedName]) -> Vec<String> {
        let line = |change: &DnsChange| {
            format!("{} {} {} {:?} {:?}", change.day(), change.record_type, change.kind(), change.before, change.after)
        };
        changes(spans, watched).iter().map(line).collect()
    }

    #[test]
    fn the_first_lookup_is_no_change_and_later_differences_are() {
        let txt = RecordType::Txt;
        let spans = [span(txt, "a", 1, 3, Some(5)), span(txt, "b", 5, 6, Some(7)), span(txt, "a", 9, 9, None)];
        assert_eq!(
            told(&spans, &[watch(txt, 1)]),
            [
                "1970-01-06 TXT changed [\"a\"] [\"b\"]",
                "1970-01-08 TXT removed [\"b\"] []",
                "1970-01-10 TXT added [] [\"a\"]"
            ]
        );
        assert_eq!(told(&spans, &[watch(txt, 6)]).len(), 2, "another domain began to look later");
    }

    #[test]
    fn an_alias_that_points_elsewhere_is_one_change() {
        let (txt, cname) = (RecordType::Txt, RecordType::Cname);
        let spans = [
            span(txt, "key1", 1, 2, Some(3)),
            span(txt, "key2", 3, 3, None),
            span(cname, "a.example.net", 1, 2, Some(3)),
            span(cname, "b.example.net", 3, 3, None),
        ];
        assert_eq!(
            told(&spans, &[watch(txt, 1), watch(cname, 1)]),
            ["1970-01-04 CNAME changed [\"a.example.net\"] [\"b.example.net\"]"]
        );
    }
}
