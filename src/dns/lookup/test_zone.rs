//! A table of DNS data for tests: no network, every kind of answer.
//!
//! Lines of `name TYPE data`; `name SERVFAIL` and `name TIMEOUT` fail for every type. A name exists if it or anything
//! below it has a line.

use super::answer::{Answer, Data, DnsQuestion, Failure, Lookup, Mx, QueryType, Tlsa, Txt};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// How often one question is followed through aliases.
const ALIASES: usize = 8;

pub(crate) struct Zone {
    records: BTreeMap<DnsQuestion, Vec<Data>>,
    failures: BTreeMap<String, Failure>,
    pub(crate) asked: RefCell<Vec<DnsQuestion>>,
}

impl Zone {
    pub(crate) fn new(text: &str) -> Self {
        let mut zone = Self { records: BTreeMap::new(), failures: BTreeMap::new(), asked: RefCell::default() };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            zone.add(line);
        }
        zone
    }

    fn add(&mut self, line: &str) {
        let mut words = line.splitn(3, ' ');
        let name = words.next().unwrap().trim_end_matches('.').to_ascii_lowercase();
        let kind = words.next().unwrap_or_else(|| panic!("no type: {line}"));
        let data = words.next().unwrap_or_default();
        let (kind, data) = match kind {
            "SERVFAIL" => return drop(self.failures.insert(name, Failure::ServFail)),
            "TIMEOUT" => return drop(self.failures.insert(name, Failure::TimedOut)),
            "A" => (QueryType::A, Data::Address(data.parse().unwrap())),
            "AAAA" => (QueryType::Aaaa, Data::Address(data.parse().unwrap())),
            "TXT" => (QueryType::Txt, Data::Text(strings(data))),
            "SPF" => (QueryType::OldSpf, Data::Text(strings(data))),
            "MX" => {
                let (preference, host) = data.split_once(' ').unwrap();
                let host = host.trim_end_matches('.').into();
                (QueryType::Mx, Data::Mx(Mx { preference: preference.parse().unwrap(), host }))
            }
            "PTR" => {
                let name = DnsQuestion::ptr(name.parse().unwrap()).name;
                let question = DnsQuestion { name, kind: QueryType::Ptr };
                return self.records.entry(question).or_default().push(Data::Name(data.trim_end_matches('.').into()));
            }
            "TLSA" => {
                let words: Vec<&str> = data.split(' ').collect();
                let byte = |at: usize| u8::from_str_radix(&words[3][at..at + 2], 16).unwrap();
                let digits = (0..words[3].len()).step_by(2).map(byte).collect();
                let [usage, selector, matching] = [0, 1, 2].map(|at| words[at].parse().unwrap());
                (QueryType::Tlsa, Data::Tlsa(Tlsa { usage, selector, matching, data: digits }))
            }
            "CNAME" => (QueryType::Cname, Data::Name(data.trim_end_matches('.').into())),
            "NS" => (QueryType::Ns, Data::Name(data.trim_end_matches('.').into())),
            other => panic!("type {other}: {line}"),
        };
        self.records.entry(DnsQuestion { name, kind }).or_default().push(data);
    }

    fn exists(&self, name: &str) -> bool {
        self.records.keys().any(|question| super::name::is_within(&question.name, name))
    }
}

impl Zone {
    /// RFC 4592: the wildcard just below the closest name that exists.
    fn wildcard(&self, question: &DnsQuestion) -> Answer<Vec<Data>> {
        let mut rest = question.name.as_str();
        while let Some(parent) = super::name::parent(rest) {
            if self.exists(parent) {
                let name = format!("*.{parent}");
                let there = self.exists(&name);
                let alias = self.records.get(&DnsQuestion { name: name.clone(), kind: QueryType::Cname });
                if let Some([Data::Name(target)]) = alias.map(Vec::as_slice)
                    && question.kind != QueryType::Cname
                {
                    return self.ask(&DnsQuestion::new(target, question.kind));
                }
                let records = self.records.get(&DnsQuestion { name, kind: question.kind });
                let none = if there { Answer::NoData } else { Answer::NxDomain };
                return records.map_or(none, |records| Answer::Found(records.clone()));
            }
            rest = parent;
        }
        Answer::NxDomain
    }
}

/// Quoted strings, or one plain text.
fn strings(data: &str) -> Txt {
    let strings = if data.starts_with('"') {
        let inner = data.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(data);
        inner.split("\" \"").map(|part| part.replace("\\\"", "\"").into_bytes()).collect()
    } else {
        vec![data.as_bytes().to_vec()]
    };
    Txt { strings }
}

impl Lookup for Zone {
    fn ask(&self, question: &DnsQuestion) -> Answer<Vec<Data>> {
        self.asked.borrow_mut().push(question.clone());
        if let Some(failure) = self.failures.get(&question.name) {
            return Answer::Failed(failure.clone());
        }
        if let Some(records) = self.records.get(question) {
            return Answer::Found(records.clone());
        }
        let alias = DnsQuestion { name: question.name.clone(), kind: QueryType::Cname };
        match self.records.get(&alias).map(Vec::as_slice) {
            Some([Data::Name(target)]) if question.kind != QueryType::Cname => {
                // Aliases that lead in a circle have no data.
                if self.asked.borrow().iter().filter(|asked| *asked == question).count() > ALIASES {
                    return Answer::NoData;
                }
                self.ask(&DnsQuestion::new(target, question.kind))
            }
            _ if self.exists(&question.name) => Answer::NoData,
            _ => self.wildcard(question),
        }
    }
}
