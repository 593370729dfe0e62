//! Evaluates proposed SPF records for an address without the mail: reports do not contain the local part of the return
//! path or the HELO name, and lookups may fail. For each unknown, all answers that could matter are tried; if the
//! result is always the same, it is settled.

use super::Obstacle;
use super::proposed_dns::ProposedDns;
use crate::dns::lookup::answer::{Answer, Data, DnsQuestion, Failure, Lookup, Mx, QueryType, Txt};
use crate::dns::spf::{CheckHostResult, SpfInput, check_host};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr};

/// The result of the proposed records for an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SpfAnswer {
    /// No proposed record is involved: the reported result applies.
    AsReported,
    /// It passes.
    Pass,
    /// It does not pass.
    NoPass,
    /// It is unknown.
    Unknown(Obstacle),
}

/// A placeholder for the local part: a label that survives every macro transformation.
const LOCAL_PART: &str = "localpart0unknown0";
/// A placeholder for the HELO name.
const HELO_NAME: &str = "heloname0unknown0";
/// Maximum number of combinations of answers tried.
const TRIED: usize = 64;

/// Evaluates the records of a domain for an address.
pub(super) fn evaluate(dns: &ProposedDns<'_>, domain: &str, address: IpAddr) -> SpfAnswer {
    let sender = format!("{LOCAL_PART}@{domain}");
    let mail = SpfInput { ip: address, sender: &sender, helo: HELO_NAME };
    let (mut passes, mut touched, mut unsaid, mut failed) = (Vec::new(), false, false, None);
    let mut decisions: Vec<usize> = Vec::new();
    let complete = loop {
        let ((outcome, uncertain), touches) = dns.tracked(|dns| {
            let guesses = Guesses { dns, address, decisions: &decisions, uncertain: RefCell::default() };
            let outcome = check_host(&guesses, domain, &mail).result;
            (outcome, guesses.uncertain.into_inner())
        });
        touched |= touches;
        passes.push(outcome == CheckHostResult::Pass);
        unsaid |= uncertain.iter().any(|one| one.failure.is_none());
        failed = failed.or_else(|| uncertain.iter().find_map(|one| one.failure.clone()));
        // Host names of the address that could not be looked up might have been confirmed.
        if outcome != CheckHostResult::Pass && uncertain.iter().any(|one| one.question.kind == QueryType::Ptr) {
            passes.push(true);
        }
        // The next combination: the last query with another possible answer gets it.
        decisions = uncertain.iter().map(|one| one.chosen).collect();
        while let Some(chosen) = decisions.pop() {
            if chosen + 1 < uncertain[decisions.len()].answers {
                decisions.push(chosen + 1);
                break;
            }
        }
        let decided = touched && passes.contains(&true) && passes.contains(&false);
        if decisions.is_empty() || decided || passes.len() >= TRIED {
            break decisions.is_empty();
        }
    };
    let same = complete && passes.iter().all(|pass| *pass == passes[0]);
    match failed {
        _ if touched && same && passes[0] => SpfAnswer::Pass,
        _ if touched && same => SpfAnswer::NoPass,
        None if !touched => SpfAnswer::AsReported,
        Some(failed) => SpfAnswer::Unknown(Obstacle::LookupFailed(failed)),
        None => SpfAnswer::Unknown(if unsaid { Obstacle::SenderUnsaid } else { Obstacle::Unsaid }),
    }
}

/// A query with an unknown answer.
struct Uncertain {
    question: DnsQuestion,
    /// The index of the current answer.
    chosen: usize,
    /// The number of possible answers.
    answers: usize,
    /// The error, if a lookup failed.
    failure: Option<String>,
}

/// Answers uncertain queries with the chosen answers, and others from DNS.
struct Guesses<'a> {
    dns: &'a dyn Lookup,
    address: IpAddr,
    decisions: &'a [usize],
    uncertain: RefCell<Vec<Uncertain>>,
}

impl Guesses<'_> {
    /// The possible answers: a lookup that failed here may fail at the receiver, too.
    fn answers(&self, question: &DnsQuestion, failed: Option<&Failure>) -> Vec<Answer<Vec<Data>>> {
        let text = |text: &str| Answer::Found(vec![Data::Text(Txt { strings: vec![text.as_bytes().to_vec()] })]);
        let found = match question.kind {
            QueryType::Txt => vec![text("v=spf1 +all"), text("v=spf1 -all")],
            // `exists` queries IPv4 addresses even for IPv6 sources.
            QueryType::A if self.address.is_ipv6() => {
                vec![Answer::Found(vec![Data::Address(Ipv4Addr::LOCALHOST.into())])]
            }
            QueryType::A | QueryType::Aaaa => vec![Answer::Found(vec![Data::Address(self.address)])],
            QueryType::Mx => {
                vec![Answer::Found(vec![Data::Mx(Mx { preference: 0, host: format!("mx.{LOCAL_PART}") })])]
            }
            QueryType::Ptr | QueryType::Cname | QueryType::Ns | QueryType::Tlsa | QueryType::OldSpf => Vec::new(),
        };
        let absent = std::iter::once(Answer::NxDomain);
        found.into_iter().chain(absent).chain(failed.cloned().map(Answer::Failed)).collect()
    }
}

impl Lookup for Guesses<'_> {
    fn ask(&self, question: &DnsQuestion) -> Answer<Vec<Data>> {
        let failure = if is_unknown(&question.name) {
            None
        } else {
            match self.dns.ask(question) {
                Answer::Failed(failure) => Some(failure),
                answer => return answer,
            }
        };
        let mut answers = self.answers(question, failure.as_ref());
        let mut uncertain = self.uncertain.borrow_mut();
        let known = uncertain.iter().find(|one| one.question == *question).map(|one| one.chosen);
        let chosen = known.unwrap_or_else(|| {
            let chosen = self.decisions.get(uncertain.len()).copied().unwrap_or(0);
            let answers = answers.len();
            let failure = failure.map(|failure| format!("{} {}: {failure}", question.name, question.kind));
            uncertain.push(Uncertain { question: question.clone(), chosen, answers, failure });
            chosen
        });
        if chosen < answers.len() { answers.swap_remove(chosen) } else { Answer::NxDomain }
    }
}

fn is_unknown(name: &str) -> bool {
    name.contains(LOCAL_PART) || name.contains(HELO_NAME)
}

/// Rounds of queries: the maximum depth of includes, and the hosts below them.
const ROUNDS: usize = 14;

/// Sends the queries needed to evaluate these addresses in parallel.
pub(super) fn prefetch(dns: &ProposedDns<'_>, asked: &BTreeSet<(String, IpAddr)>) {
    let known: RefCell<HashSet<DnsQuestion>> = RefCell::default();
    for _ in 0..ROUNDS {
        let ahead = Ahead { dns, known: &known, wanted: RefCell::default() };
        for (domain, address) in asked {
            let sender = format!("{LOCAL_PART}@{domain}");
            check_host(&ahead, domain, &SpfInput { ip: *address, sender: &sender, helo: HELO_NAME });
        }
        let wanted: Vec<DnsQuestion> = ahead.wanted.into_inner().into_iter().collect();
        if wanted.is_empty() {
            return;
        }
        dns.announce(&wanted);
        known.borrow_mut().extend(wanted);
    }
}

/// Collects queries that were not sent yet.
struct Ahead<'a> {
    dns: &'a dyn Lookup,
    known: &'a RefCell<HashSet<DnsQuestion>>,
    wanted: RefCell<BTreeSet<DnsQuestion>>,
}

impl Lookup for Ahead<'_> {
    fn ask(&self, question: &DnsQuestion) -> Answer<Vec<Data>> {
        if is_unknown(&question.name) {
            return Answer::NxDomain;
        }
        if self.known.borrow().contains(question) {
            return self.dns.ask(question);
        }
        self.wanted.borrow_mut().insert(question.clone());
        Answer::NxDomain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::lookup::test_zone::Zone;

    fn answer(record: &str, address: &str) -> SpfAnswer {
        let below = Zone::new(
            "broken.example.net TIMEOUT\n_spf.example.net TXT v=spf1 ip4:198.51.100.0/24 -all\n\
             7.2.0.192.ok.example.com A 127.0.0.2\nmx.example.com A 192.0.2.25\nexample.com MX 10 mx.example.com",
        );
        let (dns, address) = (ProposedDns::new(&below, None, Some(("example.com", record))), address.parse().unwrap());
        prefetch(&dns, &BTreeSet::from([("example.com".to_owned(), address)]));
        let before = below.asked.borrow().len();
        let answer = evaluate(&dns, "example.com", address);
        assert!(below.asked.borrow().len() >= before);
        answer
    }

    #[test]
    fn an_address_is_judged_by_the_proposed_record() {
        for (record, passes, fails) in [
            ("v=spf1 ip4:192.0.2.0/26 -all", "192.0.2.7", "192.0.2.70"),
            ("v=spf1 include:_spf.example.net ~all", "198.51.100.9", "192.0.2.7"),
            ("v=spf1 exists:%{ir}.ok.%{d} -all", "192.0.2.7", "192.0.2.8"),
            ("v=spf1 mx -all", "192.0.2.25", "192.0.2.26"),
            ("v=spf1 -ip4:192.0.2.7 ip4:192.0.2.0/24", "192.0.2.8", "192.0.2.7"),
            ("v=spf1 ip6:2001:db8::/32 ?all", "2001:db8::1", "2001:db9::1"),
        ] {
            assert_eq!(answer(record, passes), SpfAnswer::Pass, "{record} {passes}");
            assert_eq!(answer(record, fails), SpfAnswer::NoPass, "{record} {fails}");
        }
    }

    #[test]
    fn a_verdict_that_an_earlier_or_later_term_decides_is_known() {
        for (record, expected) in [
            ("v=spf1 ip4:192.0.2.7 exists:%{l}.users.%{d} -all", Some(true)),
            ("v=spf1 exists:%{l}.users.%{d} ip4:192.0.2.7 -all", Some(true)),
            ("v=spf1 -exists:%{l}.users.%{d} -all", Some(false)),
            ("v=spf1 ?include:%{h}.example.org ~all", Some(false)),
            ("v=spf1 exists:%{l}.users.%{d} -all", None),
            ("v=spf1 include:%{l-}.%{d} -all", None),
            ("v=spf1 a:%{h} -all", None),
            ("v=spf1 mx:%{S} -all", None),
            ("v=spf1 redirect=%{l}.example.com", None),
            ("v=spf1 exists:%{o}.%{s1}.%{d} -all", Some(false)),
            ("v=spf1 ip4:192.0.2.7 include:broken.example.net -all", Some(true)),
            ("v=spf1 -include:broken.example.net -all", Some(false)),
        ] {
            let found = match answer(record, "192.0.2.7") {
                SpfAnswer::Pass => Some(true),
                SpfAnswer::NoPass => Some(false),
                SpfAnswer::Unknown(Obstacle::SenderUnsaid) => None,
                other => panic!("{record}: {other:?}"),
            };
            assert_eq!(found, expected, "{record}");
        }
    }

    #[test]
    fn a_failed_lookup_is_named_if_it_decides() {
        for record in [
            "v=spf1 include:broken.example.net -all",
            "v=spf1 include:broken.example.net ip4:192.0.2.7 -all",
            "v=spf1 a:broken.example.net -all",
            "v=spf1 mx:broken.example.net -all",
            "v=spf1 include:broken.example.net exists:%{l}.%{d} -all",
        ] {
            match answer(record, "192.0.2.7") {
                SpfAnswer::Unknown(Obstacle::LookupFailed(why)) => {
                    assert!(why.starts_with("broken.example.net "), "{why}");
                }
                other => panic!("{record}: {other:?}"),
            }
        }
    }

    /// A decided answer is that of the evaluator for every mail; the mails of the table have local parts and HELO names
    /// that the answer must not depend on.
    #[test]
    fn what_is_decided_agrees_with_the_table_of_the_evaluator() {
        let (mut decided, mut open, mut wrong) = (0, 0, Vec::new());
        for case in include_str!("../../tests/dns/spf.cases").split("\n== ").skip(1) {
            let (title, body) = case.split_once('\n').expect("a title");
            let (checked, zone): (Vec<&str>, Vec<&str>) =
                body.lines().filter(|line| !line.is_empty()).partition(|line| line.starts_with('>'));
            let below = Zone::new(&zone.join("\n"));
            for line in checked {
                let (given, expected) = line[1..].split_once(" = ").expect("a result");
                let words: Vec<&str> = given.split_whitespace().collect();
                let address: IpAddr = words[0].parse::<IpAddr>().expect("an address").to_canonical();
                let domain = words[1].rsplit_once('@').map_or(words[2], |(_, domain)| domain);
                let Some(record) = below.txt(domain).found().map(|texts| texts[0].text()) else { continue };
                let expected = expected.split_whitespace().next() == Some("pass");
                // One record is proposed; names with several are a separate case.
                if below.txt(domain).found().is_some_and(|texts| texts.len() > 1) {
                    continue;
                }
                match evaluate(&ProposedDns::new(&below, None, Some((domain, &record))), domain, address) {
                    SpfAnswer::Unknown(_) => open += 1,
                    answer if (answer == SpfAnswer::Pass) == expected => decided += 1,
                    answer => wrong.push(format!("{title}: {line}: {answer:?}")),
                }
            }
        }
        assert!(
            wrong.is_empty() && decided > 5 * open && decided > 50,
            "{decided} decided, {open} open, wrong: {wrong:#?}"
        );
    }

    #[test]
    fn records_that_nobody_proposes_keep_what_reports_say() {
        let below = Zone::new("bounce.example.com TXT v=spf1 ip4:192.0.2.7 -all");
        let dns = ProposedDns::new(&below, None, Some(("example.com", "v=spf1 -all")));
        assert_eq!(evaluate(&dns, "bounce.example.com", "192.0.2.7".parse().unwrap()), SpfAnswer::AsReported);
    }
}
