//! DNS with the proposal applied: the proposed records, and the servers' answers for all other names.

use super::zone_file::ZoneFile;
use crate::dns::lookup::answer::{Answer, Data, DnsQuestion, Failure, Lookup, QueryType, Txt};
use crate::dns::lookup::name;
use crate::dns::spf::is_spf;
use std::cell::Cell;

/// Maximum length of a chain of aliases.
const ALIASES: u8 = 8;

/// Answers from the proposed records first. Records whether any of them was used for an answer.
pub(super) struct ProposedDns<'a> {
    below: &'a dyn Lookup,
    zone: Option<&'a ZoneFile>,
    /// A domain and the SPF record proposed for it.
    spf: Option<(&'a str, &'a str)>,
    touched: Cell<bool>,
}

impl<'a> ProposedDns<'a> {
    pub(super) fn new(below: &'a dyn Lookup, zone: Option<&'a ZoneFile>, spf: Option<(&'a str, &'a str)>) -> Self {
        Self { below, zone, spf, touched: Cell::new(false) }
    }

    /// The same with a different SPF record at a domain.
    pub(super) fn with_spf(&self, domain: &'a str, record: &'a str) -> Self {
        Self::new(self.below, self.zone, Some((domain, record)))
    }

    /// Runs `act`, and returns whether it used a proposed record.
    pub(super) fn tracked<T>(&self, act: impl FnOnce(&Self) -> T) -> (T, bool) {
        self.touched.set(false);
        let result = act(self);
        (result, self.touched.get())
    }

    fn proposed(&self, question: &DnsQuestion, aliases: u8) -> Option<Answer<Vec<Data>>> {
        let DnsQuestion { name, kind } = question;
        if *kind == QueryType::Txt
            && let Some((_, record)) = self.spf.filter(|(domain, _)| domain == name)
        {
            return Some(Answer::Found(vec![Data::Text(text(record))]));
        }
        let zone = self.zone?;
        if let Some(records) = zone.get(name, *kind) {
            return Some(Answer::Found(if zone.covers(name) {
                records.clone()
            } else {
                self.completed(name, records)
            }));
        }
        let owner = if zone.covers(name) && !zone.exists(name) { wildcard(zone, name) } else { Some(name.clone()) };
        let Some(owner) = owner else { return Some(Answer::NxDomain) };
        if let Some(records) = zone.get(&owner, *kind) {
            return Some(Answer::Found(records.clone()));
        }
        if let Some(target) = zone.alias(&owner) {
            return Some(match aliases {
                0 => Answer::Failed(Failure::Other(format!("{name}: more than {ALIASES} aliases"))),
                _ => self.answer(&DnsQuestion::new(target, *kind), aliases - 1),
            });
        }
        zone.covers(name).then_some(Answer::NoData)
    }

    /// The texts of a name in a file with only some records: an SPF record not in the file is kept.
    fn completed(&self, name: &str, records: &[Data]) -> Vec<Data> {
        let spf = |data: &Data| matches!(data, Data::Text(txt) if is_spf(&txt.text()));
        let mut all = records.to_vec();
        let texts = records.iter().all(|data| matches!(data, Data::Text(_)));
        if texts && !records.iter().any(spf) {
            let there = self.below.txt(name).found().unwrap_or_default();
            all.extend(there.into_iter().map(Data::Text).filter(spf));
        }
        all
    }

    fn answer(&self, question: &DnsQuestion, aliases: u8) -> Answer<Vec<Data>> {
        match self.proposed(question, aliases) {
            Some(answer) => {
                self.touched.set(true);
                answer
            }
            None => self.below.ask(question),
        }
    }
}

impl Lookup for ProposedDns<'_> {
    fn ask(&self, question: &DnsQuestion) -> Answer<Vec<Data>> {
        self.answer(question, ALIASES)
    }

    fn announce(&self, questions: &[DnsQuestion]) {
        let touched = self.touched.get();
        let elsewhere: Vec<DnsQuestion> =
            questions.iter().filter(|question| self.proposed(question, 0).is_none()).cloned().collect();
        self.touched.set(touched);
        self.below.announce(&elsewhere);
    }
}

/// The wildcard that matches a name (RFC 4592): the one just below the closest existing name.
fn wildcard(zone: &ZoneFile, name: &str) -> Option<String> {
    let mut closest = name::parent(name)?;
    while !zone.exists(closest) {
        closest = name::parent(closest)?;
    }
    Some(format!("*.{closest}")).filter(|wildcard| zone.exists(wildcard))
}

fn text(record: &str) -> Txt {
    Txt { strings: record.as_bytes().chunks(255).map(<[u8]>::to_vec).collect() }
}

/// Stops querying when nobody answers: thousands of queries must not each wait for an unreachable server.
pub struct PatientLookup<'a> {
    below: &'a dyn Lookup,
    /// Unanswered queries since the last answer.
    silent: Cell<usize>,
}

/// Consecutive unanswered queries after which no more are sent.
const PATIENCE: usize = 8;
/// Queries sent ahead at a time.
const BATCH: usize = 64;

impl<'a> PatientLookup<'a> {
    /// Wraps a resolver.
    pub fn new(below: &'a dyn Lookup) -> Self {
        Self { below, silent: Cell::new(0) }
    }

    fn is_away(&self) -> bool {
        self.silent.get() >= PATIENCE
    }
}

impl std::fmt::Debug for PatientLookup<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PatientLookup").field("silent", &self.silent).finish_non_exhaustive()
    }
}

impl Lookup for PatientLookup<'_> {
    fn ask(&self, question: &DnsQuestion) -> Answer<Vec<Data>> {
        if self.is_away() {
            return Answer::Failed(Failure::Other("DNS does not answer and is no longer queried".into()));
        }
        let answer = self.below.ask(question);
        match &answer {
            Answer::Failed(Failure::TimedOut | Failure::Other(_)) => self.silent.set(self.silent.get() + 1),
            _ => self.silent.set(0),
        }
        answer
    }

    fn announce(&self, questions: &[DnsQuestion]) {
        for batch in questions.chunks(BATCH) {
            if self.is_away() {
                return;
            }
            self.below.announce(batch);
            if batch.len() > 1 {
                // The answers are cached now: these queries only count them.
                batch.iter().for_each(|question| drop(self.ask(question)));
            }
        }
    }
}

/// Answers no queries, for simulations that need none.
#[derive(Debug, Clone, Copy)]
pub struct NotAsked;

impl Lookup for NotAsked {
    fn ask(&self, _: &DnsQuestion) -> Answer<Vec<Data>> {
        Answer::Failed(Failure::Other("DNS was not asked".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::lookup::test_zone::Zone;

    #[test]
    fn a_whole_zone_hides_what_servers_say_and_a_part_adds_to_it() {
        let below = Zone::new(
            "example.com TXT v=spf1 a -all\ngone.example.com TXT old\nsub.example.com A 192.0.2.7\nkey.example.net TXT v=DKIM1; p=x",
        );
        let records = "@ TXT verification\nalias CNAME key.example.net.\n*.wild TXT made-up\nloop CNAME loop\n";
        let whole = ZoneFile::parse(
            format!("@ SOA a b 1 2 3 4 5\nsub NS ns.example.net.\n{records}").as_bytes(),
            "example.com",
        );
        let part = ZoneFile::parse(records.as_bytes(), "example.com").unwrap();
        let whole = whole.unwrap();
        let (whole, part) = (ProposedDns::new(&below, Some(&whole), None), ProposedDns::new(&below, Some(&part), None));
        let texts = |dns: &ProposedDns<'_>, name: &str| {
            let (answer, touched) = dns.tracked(|dns| dns.txt(name));
            let texts = |texts: Vec<Txt>| texts.iter().map(Txt::text).collect::<Vec<_>>().join("|");
            (
                match answer {
                    Answer::Found(found) => texts(found),
                    other => format!("{other:?}"),
                },
                touched,
            )
        };
        for (name, of_whole, of_part) in [
            ("example.com", ("verification", true), ("verification|v=spf1 a -all", true)),
            ("gone.example.com", ("NxDomain", true), ("old", false)),
            ("alias.example.com", ("v=DKIM1; p=x", true), ("v=DKIM1; p=x", true)),
            ("x.y.wild.example.com", ("made-up", true), ("NxDomain", false)),
            ("key.example.net", ("v=DKIM1; p=x", false), ("v=DKIM1; p=x", false)),
        ] {
            assert_eq!(texts(&whole, name), (of_whole.0.to_owned(), of_whole.1), "{name} of the whole");
            assert_eq!(texts(&part, name), (of_part.0.to_owned(), of_part.1), "{name} of the part");
        }
        assert!(texts(&whole, "loop.example.com").0.contains("more than 8 aliases"));
        assert!(
            whole.addresses("sub.example.com", crate::dns::lookup::answer::Family::V4).found().is_some(),
            "delegated"
        );
        let spf = whole.with_spf("example.com", "v=spf1 -all");
        assert_eq!(texts(&spf, "example.com").0, "v=spf1 -all");
    }

    #[test]
    fn an_unreachable_server_is_not_queried_forever() {
        let zone = Zone::new("example.com TIMEOUT");
        let patient = PatientLookup::new(&zone);
        for _ in 0..50 {
            assert!(patient.txt("example.com").failure().is_some());
        }
        assert_eq!(zone.asked.borrow().len(), PATIENCE);
    }
}
