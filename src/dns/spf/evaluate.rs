//! `check_host()` of RFC 7208 section 4: whether a host may send for a domain, and by which term.
//!
//! Returns the result with the path of terms that led to it and the number of lookups. A lookup that failed is a temporary
//! error, never a guess.

use super::macros::{MacroString, MacroValues};
use super::record::{Mechanism, Prefixes, Qualifier, SpfRecord, is_spf};
use crate::dns::finding::Unknown;
use crate::dns::lookup::answer::{Answer, Failure, Family, Lookup, QueryType};
use crate::dns::lookup::name;
use serde::Serialize;
use std::net::IpAddr;

/// Terms that look up DNS, over all records (section 4.6.4).
pub const LOOKUP_LIMIT: usize = 10;
/// Lookups that find nothing (section 4.6.4).
pub const VOID_LIMIT: usize = 2;
/// Hosts of one `mx` term, and names of one address (section 4.6.4).
pub(super) const HOST_LIMIT: usize = 10;

/// The SPF result for a mail (section 2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckHostResult {
    /// No record.
    None,
    /// The record makes no statement.
    Neutral,
    /// The host may send.
    Pass,
    /// The host may not.
    Fail,
    /// The host probably may not.
    SoftFail,
    /// A lookup failed: try later.
    TempError,
    /// The record has an error.
    PermError,
}

impl CheckHostResult {
    /// The word in answers and headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl From<Qualifier> for CheckHostResult {
    fn from(qualifier: Qualifier) -> Self {
        match qualifier {
            Qualifier::Pass => Self::Pass,
            Qualifier::Fail => Self::Fail,
            Qualifier::SoftFail => Self::SoftFail,
            Qualifier::Neutral => Self::Neutral,
        }
    }
}

/// The facts of a mail that SPF uses.
#[derive(Debug, Clone, Copy)]
pub struct SpfInput<'a> {
    /// Where it came from.
    pub ip: IpAddr,
    /// The return path, `local@domain`; without a local part, `postmaster` is used.
    pub sender: &'a str,
    /// The HELO name.
    pub helo: &'a str,
}

/// A term of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpfStep {
    /// The domain of the record.
    pub domain: String,
    /// The term as written.
    pub term: String,
}

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evaluation {
    /// The result.
    pub result: CheckHostResult,
    /// From the domain's own term down to the one that matched; empty if none did.
    pub path: Vec<SpfStep>,
    /// Why there is an error, or no record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Lookups used of [`LOOKUP_LIMIT`].
    pub lookups: usize,
    /// Lookups that found nothing, of [`VOID_LIMIT`].
    pub voids: usize,
    /// The domain's explanation to a refused sender (`exp=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
}

impl Evaluation {
    /// No term matched: why. The lookups are counted at the end.
    fn unmatched(result: CheckHostResult, why: String) -> Self {
        Self { result, path: Vec::new(), why: Some(why), lookups: 0, voids: 0, explanation: None }
    }

    /// What could not be looked up, to report at this place.
    pub fn unknown(&self, place: String) -> Option<Unknown> {
        let text = || self.why.clone().unwrap_or_default();
        (self.result == CheckHostResult::TempError).then(|| Unknown { place, text: text() })
    }
}

/// Evaluates the record of a domain for an address, with `postmaster` as the sender and the domain as HELO name.
pub fn check_address(lookup: &dyn Lookup, domain: &str, ip: IpAddr) -> Evaluation {
    let sender = format!("postmaster@{domain}");
    check_host(lookup, domain, &SpfInput { ip: ip.to_canonical(), sender: &sender, helo: domain })
}

/// Evaluates the record of a domain for a mail.
pub fn check_host(lookup: &dyn Lookup, domain: &str, mail: &SpfInput<'_>) -> Evaluation {
    let mut run = Evaluator { lookup, mail, lookups: 0, voids: 0, confirmed: None };
    let evaluation = run.check(domain, true).unwrap_or_else(|end| match end {
        EvaluationEnd::Temporary(why) => Evaluation::unmatched(CheckHostResult::TempError, why),
        EvaluationEnd::Permanent(why) => Evaluation::unmatched(CheckHostResult::PermError, why),
    });
    Evaluation { lookups: run.lookups, voids: run.voids, ..evaluation }
}

/// The SPF records of a name: none, one, or several (which is a permanent error).
pub fn records_of(lookup: &dyn Lookup, domain: &str) -> Answer<Vec<String>> {
    if !name::is_possible(domain) {
        return Answer::NxDomain;
    }
    lookup.texts(domain).and_then(|mut texts| {
        texts.retain(|text| is_spf(text));
        (!texts.is_empty()).then_some(texts)
    })
}

/// Why an evaluation ends at once.
enum EvaluationEnd {
    Temporary(String),
    Permanent(String),
}

struct Evaluator<'a> {
    lookup: &'a dyn Lookup,
    mail: &'a SpfInput<'a>,
    lookups: usize,
    voids: usize,
    /// The confirmed names of the source, once looked up.
    confirmed: Option<Vec<String>>,
}

impl<'a> Evaluator<'a> {
    /// Evaluates the record of one domain; `outermost` if an explanation would be returned.
    fn check(&mut self, domain: &str, outermost: bool) -> Result<Evaluation, EvaluationEnd> {
        let none = |why| Ok(Evaluation::unmatched(CheckHostResult::None, why));
        if !name::is_possible(domain) || !domain.contains('.') {
            return none(format!("`{domain}` is no domain name of two labels or more"));
        }
        let known = records_of(self.lookup, domain).known();
        let Some(records) = known.map_err(|failure| temporary(domain, QueryType::Txt, &failure))? else {
            return none(format!("{domain} has no SPF record"));
        };
        if records.len() > 1 {
            return Err(EvaluationEnd::Permanent(format!("{domain} has {} SPF records", records.len())));
        }
        let record = SpfRecord::parse(&records[0]);
        if let Some(error) = record.errors.first() {
            return Err(EvaluationEnd::Permanent(format!("{domain}: {error}")));
        }
        self.terms(domain, &record, outermost)
    }

    fn terms(&mut self, domain: &str, record: &SpfRecord, outermost: bool) -> Result<Evaluation, EvaluationEnd> {
        for (term, qualifier, mechanism) in record.directives() {
            if mechanism.looks_up() {
                self.spend(domain, &term.text)?;
            }
            if let Some(mut path) = self.matches(domain, mechanism)? {
                path.insert(0, SpfStep { domain: domain.to_owned(), term: term.text.clone() });
                let explains = outermost && qualifier == Qualifier::Fail;
                let explanation = if explains { self.explain(domain, record) } else { None };
                let result = CheckHostResult::from(qualifier);
                return Ok(Evaluation { result, path, why: None, lookups: 0, voids: 0, explanation });
            }
        }
        let Some((term, target)) = record.redirect() else {
            return Ok(Evaluation::unmatched(CheckHostResult::Neutral, "no term matches".into()));
        };
        self.spend(domain, &term.text)?;
        let target = self.expand(target, domain);
        let mut verdict = self.check(&target, outermost)?;
        if verdict.result == CheckHostResult::None {
            return Err(EvaluationEnd::Permanent(format!("{domain}: `{}`: {target} has no SPF record", term.text)));
        }
        verdict.path.insert(0, SpfStep { domain: domain.to_owned(), term: term.text.clone() });
        Ok(verdict)
    }

    fn spend(&mut self, domain: &str, term: &str) -> Result<(), EvaluationEnd> {
        if self.lookups == LOOKUP_LIMIT {
            return Err(EvaluationEnd::Permanent(format!("more than {LOOKUP_LIMIT} lookups, at `{term}` of {domain}")));
        }
        self.lookups += 1;
        Ok(())
    }

    /// `None` if it does not match; else the terms inside an include that did.
    fn matches(&mut self, domain: &str, mechanism: &Mechanism) -> Result<Option<Vec<SpfStep>>, EvaluationEnd> {
        let yes = match mechanism {
            Mechanism::All => true,
            Mechanism::Ip4(..) | Mechanism::Ip6(..) => mechanism.is_range_of(self.mail.ip),
            Mechanism::Include(target) => return self.include(domain, target),
            Mechanism::A(target, prefixes) => {
                let host = self.target(target.as_ref(), domain);
                self.host_holds(&host, *prefixes)?
            }
            Mechanism::Mx(target, prefixes) => {
                let host = self.target(target.as_ref(), domain);
                self.mx_holds(&host, *prefixes)?
            }
            Mechanism::Ptr(target) => {
                let within = self.target(target.as_ref(), domain);
                self.confirmed_names().iter().any(|name| name::is_within(name, &within))
            }
            Mechanism::Exists(target) => {
                let host = self.expand(target, domain);
                !self.addresses(&host, Family::V4)?.is_empty()
            }
        };
        Ok(yes.then(Vec::new))
    }

    fn include(&mut self, domain: &str, target: &MacroString) -> Result<Option<Vec<SpfStep>>, EvaluationEnd> {
        let target = self.expand(target, domain);
        let inner = self.check(&target, false)?;
        match inner.result {
            CheckHostResult::Pass => Ok(Some(inner.path)),
            CheckHostResult::None => {
                Err(EvaluationEnd::Permanent(format!("{domain} includes {target}, which has no SPF record")))
            }
            _ => Ok(None),
        }
    }

    fn mx_holds(&mut self, domain: &str, prefixes: Prefixes) -> Result<bool, EvaluationEnd> {
        let answer = if name::is_possible(domain) { self.lookup.mx(domain) } else { return Ok(false) };
        let hosts = self.counted(domain, QueryType::Mx, answer)?.unwrap_or_default();
        if hosts.len() > HOST_LIMIT {
            return Err(EvaluationEnd::Permanent(format!(
                "{domain} has {} MX hosts, more than {HOST_LIMIT}",
                hosts.len()
            )));
        }
        for mx in hosts {
            if self.host_holds(&mx.host, prefixes)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn host_holds(&mut self, host: &str, prefixes: Prefixes) -> Result<bool, EvaluationEnd> {
        let ip = self.mail.ip;
        Ok(self.addresses(host, Family::of(ip))?.into_iter().any(|address| prefixes.holds(address, ip)))
    }

    /// The addresses of a host; none if it has none or cannot exist.
    fn addresses(&mut self, host: &str, family: Family) -> Result<Vec<IpAddr>, EvaluationEnd> {
        if !name::is_possible(host) {
            return Ok(Vec::new());
        }
        let answer = self.lookup.addresses(host, family);
        Ok(self.counted(host, family.query_type(), answer)?.unwrap_or_default())
    }

    /// Checks an answer, and counts it if it is void.
    fn counted<T>(&mut self, host: &str, kind: QueryType, answer: Answer<T>) -> Result<Option<T>, EvaluationEnd> {
        let found = answer.known().map_err(|failure| temporary(host, kind, &failure))?;
        self.voids += usize::from(found.is_none());
        if self.voids > VOID_LIMIT {
            let why = format!("more than {VOID_LIMIT} lookups found nothing, at {host} {kind}");
            return Err(EvaluationEnd::Permanent(why));
        }
        Ok(found)
    }

    fn target(&mut self, target: Option<&MacroString>, domain: &str) -> String {
        target.map_or_else(|| domain.to_owned(), |target| self.expand(target, domain))
    }

    fn expand(&mut self, target: &MacroString, domain: &str) -> String {
        target.expand_domain(&self.values(target, domain))
    }

    /// What the macros of a text stand for.
    fn values<'v>(&mut self, text: &MacroString, domain: &'v str) -> MacroValues<'v>
    where
        'a: 'v,
    {
        let confirmed = if text.needs_confirmed() { self.best_confirmed(domain) } else { String::new() };
        MacroValues { sender: self.sender(), domain, ip: self.mail.ip, helo: self.mail.helo, confirmed }
    }

    fn sender(&self) -> String {
        let sender = self.mail.sender;
        match sender.rsplit_once('@') {
            Some(("", domain)) => format!("postmaster@{domain}"),
            Some(_) => sender.to_owned(),
            None if sender.is_empty() => format!("postmaster@{}", self.mail.helo),
            None => format!("postmaster@{sender}"),
        }
    }

    /// Names of the source that resolve back to it (section 5.5). A failed lookup confirms nothing.
    fn confirmed_names(&mut self) -> Vec<String> {
        if self.confirmed.is_none() {
            let ip = self.mail.ip;
            let names = self.lookup.ptr(ip).found().unwrap_or_default();
            let leads_back = |name: &String| {
                self.lookup.addresses(name, Family::of(ip)).found().is_some_and(|addresses| addresses.contains(&ip))
            };
            self.confirmed = Some(names.into_iter().take(HOST_LIMIT).filter(leads_back).collect());
        }
        self.confirmed.clone().unwrap_or_default()
    }

    /// What `%{p}` stands for (section 7.3): the domain itself, else a name below it, else any, else `unknown`.
    fn best_confirmed(&mut self, domain: &str) -> String {
        let names = self.confirmed_names();
        let best = names
            .iter()
            .find(|name| *name == domain)
            .or_else(|| names.iter().find(|name| name::is_within(name, domain)));
        best.or(names.first()).cloned().unwrap_or_else(|| "unknown".into())
    }

    /// The explanation of a fail (section 6.2); none if anything is wrong with it.
    fn explain(&mut self, domain: &str, record: &SpfRecord) -> Option<String> {
        let target = self.expand(record.explanation()?, domain);
        let texts = self.lookup.txt(&target).found()?;
        let [text] = texts.as_slice() else { return None };
        let text = text.text();
        let parsed = MacroString::parse(&text).ok().filter(|_| text.is_ascii())?;
        Some(parsed.expand(&self.values(&parsed, domain)))
    }
}

fn temporary(name: &str, kind: QueryType, failure: &Failure) -> EvaluationEnd {
    EvaluationEnd::Temporary(format!("{name} {kind}: {failure}"))
}
