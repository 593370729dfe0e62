//! Reads what the store knows about a domain, to be joined with its posture in DNS.

use crate::analyze::{Adder, Foreign, Period, Question, period};
use crate::dns::lookup::name;
use crate::dns::seen::{Observed, SeenPolicy, SeenSelector, SeenSource, SeenStsPolicy, SeenTlsFailure};
use crate::dns::transport::{any_id, policy_host};
use crate::model::{
    ColumnSet, DnsHistory, DnsSpan, Flags, RecordType, ReportHead, Rows, SenderAuth, SignatureColumns, SourceAddress,
    Text, utc_day,
};
use crate::store::{Filter, Store, StoreError};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Days to look back: longer than the time after which a key counts as unused.
const DAYS: i64 = 180;
/// Days of TLS reports: older failures may have been repaired.
const TLS_DAYS: i64 = 7;
/// Maximum number of selectors, those with the most passing mail first: anybody can sign with any selector.
const SELECTORS: usize = 200;
/// Maximum number of sources per selector.
const SOURCES: usize = 20;

/// Reads the last months of a domain.
pub(crate) fn last_months(store: &Store, domain: &str, now: Timestamp) -> Result<Observed, StoreError> {
    let mut all = last_months_of_all(store, std::slice::from_ref(&domain.to_owned()), now)?;
    Ok(all.pop().unwrap_or_default())
}

/// Reads the last months of several domains at once. The results are in the order of the domains.
pub(crate) fn last_months_of_all(
    store: &Store,
    domains: &[String],
    now: Timestamp,
) -> Result<Vec<Observed>, StoreError> {
    let today = utc_day(now);
    let from = today.saturating_sub(DAYS.days());
    let mut filtered: Vec<String> =
        domains.iter().flat_map(|domain| [domain.clone(), name::organizational(domain).to_owned()]).collect();
    filtered.sort();
    filtered.dedup();
    let filter = Filter { from: Some(from), domains: filtered, ..Filter::default() };
    let index: HashMap<&str, usize> = domains.iter().enumerate().map(|(at, domain)| (domain.as_str(), at)).collect();
    let mut sums: Vec<ObservedSums> = domains.iter().map(|_| ObservedSums::default()).collect();
    store.rows(&filter, COLUMNS, &mut |rows| {
        // Anybody can forge a report, to have an address authorized.
        let is_forged = |row: &usize| rows.sender_auth.get(*row) == Some(SenderAuth::Fail.as_str());
        for row in (0..rows.len).filter(|row| !is_forged(row)) {
            for at in concerned(&index, &rows, row) {
                sums[at].add_row(&rows, row, &domains[at]);
            }
        }
    })?;
    let mut policies: Vec<Option<ReportHead>> = domains.iter().map(|_| None).collect();
    store.heads(&filter, &mut |head| {
        let Some(at) = index.get(head.policy.domain.as_str()).copied() else { return };
        if head.sender_auth == SenderAuth::Fail {
            return;
        }
        if policies[at].as_ref().is_none_or(|newest| newest.day <= head.day) {
            policies[at] = Some(head);
        }
    })?;
    let text = |word: Option<Text>| word.map(|word| word.to_string());
    let seen = |(sums, policy): (ObservedSums, Option<ReportHead>)| Observed {
        today,
        selectors: sums.selectors(),
        sources: sums.sources(),
        policy: policy.map(|head| SeenPolicy {
            day: head.day,
            p: text(head.policy.p),
            sp: text(head.policy.sp),
            np: text(head.policy.np),
        }),
        sts_policies: Vec::new(),
        tls_failures: Vec::new(),
    };
    let history = store.dns_history()?;
    let mut seen: Vec<Observed> = sums.into_iter().zip(policies).map(seen).collect();
    for (domain, observed) in domains.iter().zip(&mut seen) {
        observed.sts_policies = sts_policies(&history, domain, now);
    }
    let filter = Filter { domains: domains.to_vec(), ..filter };
    for (domain, failure) in tls_failures(store, filter, today)? {
        if let Some(at) = index.get(domain.as_str()) {
            seen[*at].tls_failures.push(failure);
        }
    }
    Ok(seen)
}

/// Reasons why TLS sessions failed in the last days, with their domain.
fn tls_failures(store: &Store, filter: Filter, today: Date) -> Result<Vec<(String, SeenTlsFailure)>, StoreError> {
    let from = today.saturating_sub((TLS_DAYS - 1).days());
    let question = Question { period: Period::new(from, today).ok(), ..Question::default() };
    let mut adder = Adder::new(&question);
    store.tls_policies(&Filter { from: Some(from), ..filter }, &mut |row| adder.tls(&row))?;
    let mut found = Vec::new();
    for tls in adder.finish().tls {
        let Some(domain) = tls.policy_domain.as_ref().map(|domain| domain.as_written().to_owned()) else { continue };
        for cause in tls.causes.iter().filter(|cause| tls.is_fault(cause)) {
            let result_type = cause.result_type.as_ref().map_or("no reason given", Foreign::as_written).to_owned();
            let hosts = cause.mx.iter().map(|host| host.as_written().to_owned()).collect();
            let last = cause.last_seen.unwrap_or(today);
            let (sessions, reporters, advice) = (cause.failed_sessions, cause.reporters, cause.text.clone());
            let failure = SeenTlsFailure { result_type, hosts, sessions, reporters, last, advice };
            found.push((domain.clone(), failure));
        }
    }
    Ok(found)
}

/// MTA-STS policies that senders may still have cached, each with its ID at that time, one per pair observed together.
fn sts_policies(history: &DnsHistory, domain: &str, now: Timestamp) -> Vec<SeenStsPolicy> {
    let policies = history.spans_of(&policy_host(domain)).iter().filter(|span| {
        let age = span.value.text.split("; ").find_map(|line| line.strip_prefix("max_age: ")?.parse().ok());
        let kept = age.map(|age: u32| SignedDuration::from_secs(age.into()));
        span.record_type == RecordType::StsPolicy && kept.is_some_and(|kept| now - kept <= span.last_seen)
    });
    let records = history.spans_of(&format!("_mta-sts.{domain}"));
    let mut found = Vec::new();
    for policy in policies {
        let meets = |record: &&DnsSpan| record.first_seen <= policy.last_seen && record.last_seen >= policy.first_seen;
        found.extend(records.iter().filter(meets).filter_map(|record| {
            let day = utc_day(policy.last_seen.min(record.last_seen));
            Some(SeenStsPolicy { day, id: any_id(&record.value.text)?, file: policy.value.text.clone() })
        }));
    }
    found
}

/// The domains a row is about: its policy domain, and its From domain with all domains above it.
fn concerned(index: &HashMap<&str, usize>, rows: &Rows, row: usize) -> Vec<usize> {
    let mut found: Vec<usize> =
        rows.policy_domain.get(row).and_then(|domain| index.get(domain)).copied().into_iter().collect();
    let mut from = rows.header_from.get(row);
    while let Some(name) = from {
        found.extend(index.get(name).copied().filter(|at| !found.contains(at)));
        from = name.split_once('.').map(|(_, above)| above);
    }
    found
}

const COLUMNS: ColumnSet = ColumnSet::DAY
    .with(ColumnSet::SOURCE)
    .with(ColumnSet::COUNT)
    .with(ColumnSet::FLAGS)
    .with(ColumnSet::POLICY_DOMAIN)
    .with(ColumnSet::HEADER_FROM)
    .with(ColumnSet::DKIM_DOMAIN)
    .with(ColumnSet::DKIM_SELECTOR)
    .with(ColumnSet::DKIM_RESULT)
    .with(ColumnSet::SPF_DOMAIN)
    .with(ColumnSet::SENDER_AUTH)
    .with(ColumnSet::SIGNATURES);

/// The signatures of a row: domain, selector and result. A mail may be signed with several keys of a domain.
fn signatures(rows: &Rows, row: usize) -> impl Iterator<Item = (&str, &str, &str)> {
    let deciding = (rows.dkim_domain.get(row), rows.dkim_selector.get(row), rows.dkim_result.get(row));
    let deciding = match deciding {
        (Some(domain), Some(selector), result) => Some((domain, selector, result.unwrap_or_default())),
        _ => None,
    };
    let all = rows.signatures.get(row);
    let listed = all.into_iter().flat_map(SignatureColumns::all);
    let listed = listed.filter(|signature| !signature.selector.is_empty());
    let listed = listed.map(|signature| (signature.domain, signature.selector, signature.result));
    listed.chain(deciding.filter(|_| all.is_none()))
}

#[derive(Default)]
struct ObservedSums {
    selectors: BTreeMap<String, SelectorUse>,
    sources: HashMap<SourceAddress, SentMail>,
}

#[derive(Default)]
struct SelectorUse {
    last: i32,
    messages: i64,
    passed: i64,
    sources: HashMap<SourceAddress, SourceUse>,
}

/// How one address uses a selector.
#[derive(Default)]
struct SourceUse {
    last: i32,
    messages: i64,
    verifies: bool,
}

#[derive(Default)]
struct SentMail {
    last: i32,
    messages: i64,
    spf_aligned: i64,
    dmarc_pass: i64,
    spf_domain: Option<String>,
}

impl ObservedSums {
    fn add_row(&mut self, rows: &Rows, row: usize, domain: &str) {
        let (day, source, count, flags) = (rows.day[row], rows.source[row], rows.count[row], rows.flags[row]);
        for (_, selector, result) in signatures(rows, row).filter(|(signer, ..)| *signer == domain) {
            let seen = self.selectors.entry(selector.to_ascii_lowercase()).or_default();
            seen.last = seen.last.max(day);
            seen.messages = seen.messages.saturating_add(count);
            if result == "pass" {
                seen.passed = seen.passed.saturating_add(count);
            }
            let by = seen.sources.entry(source).or_default();
            by.messages = by.messages.saturating_add(count);
            by.last = by.last.max(day);
            by.verifies |= result == "pass";
        }
        let sent = self.sources.entry(source).or_default();
        sent.messages = sent.messages.saturating_add(count);
        if flags.has(Flags::PASS) {
            sent.dmarc_pass = sent.dmarc_pass.saturating_add(count);
        }
        if flags.has(Flags::SPF) {
            sent.spf_aligned = sent.spf_aligned.saturating_add(count);
            if day >= sent.last || sent.spf_domain.is_none() {
                sent.spf_domain = rows.spf_domain.get(row).map(str::to_owned);
            }
        }
        sent.last = sent.last.max(day);
    }

    fn selectors(&self) -> Vec<SeenSelector> {
        let one = |(selector, seen): (&String, &SelectorUse)| {
            let proven = seen.sources.values().filter(|by| by.verifies).map(|by| by.last).max();
            let mut sources: Vec<(&SourceAddress, &SourceUse)> = seen.sources.iter().collect();
            sources.sort_by_key(|(source, by)| (Reverse(by.messages), **source));
            let sources: Vec<IpAddr> =
                sources.into_iter().filter_map(|(source, _)| source.address()).take(SOURCES).collect();
            SeenSelector {
                selector: selector.clone(),
                last: period::date(seen.last),
                last_proven: proven.map(period::date),
                messages: seen.messages,
                passed: seen.passed,
                sources,
            }
        };
        let mut selectors: Vec<SeenSelector> = self.selectors.iter().map(one).collect();
        // A stable sort: ties stay in the order of their names.
        selectors.sort_by_key(|seen| Reverse((seen.passed, seen.messages)));
        selectors.truncate(SELECTORS);
        selectors.sort_by(|a, b| a.selector.cmp(&b.selector));
        selectors
    }

    fn sources(self) -> Vec<SeenSource> {
        let mut sources: Vec<SeenSource> = self
            .sources
            .into_iter()
            .filter_map(|(source, sent)| {
                Some(SeenSource {
                    address: source.address()?,
                    messages: sent.messages,
                    spf_aligned: sent.spf_aligned,
                    dmarc_pass: sent.dmarc_pass,
                    spf_domain: sent.spf_domain,
                    last: period::date(sent.last),
                })
            })
            .collect();
        sources.sort_by_key(|source| (Reverse(source.messages), source.address));
        sources
    }
}
