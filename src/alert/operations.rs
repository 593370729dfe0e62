//! Events that do not come from reports: unreadable mailboxes, unreadable items, a damaged store, DNS records that
//! `check --all` saw change.

use crate::analyze::{Ended, EventKind, EventSeverity, Foreign, Incident, IncidentDetails, KnownEvent};
use crate::judge;
use crate::model::{DnsChange, utc_day};
use crate::store::{Store, StoreError};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

/// How many attempts in a row must fail, and for how long, before a mailbox counts as failing.
const FAILURES: u32 = 3;
const FAILING: SignedDuration = SignedDuration::from_mins(15);
/// A mailbox that fails for this long counts as failing however seldom it is read.
const FAILING_LONG: SignedDuration = SignedDuration::from_hours(1);
/// How far back changes of DNS records are considered.
const DNS_CHANGES: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Damaged files listed by name.
const NAMED: usize = 3;

/// What was found, and up to where rejected items were examined.
pub(super) struct Operations {
    /// What began or continues.
    pub(super) found: Vec<Incident>,
    /// When the newest rejected item was rejected, in milliseconds.
    pub(super) rejected: i64,
}

/// Examines the store. `rejected` is how far an earlier run got; `None` on the first run.
pub(super) fn operations(
    store: &Store,
    now: Timestamp,
    mailboxes: &[String],
    rejected: Option<i64>,
) -> Result<Operations, StoreError> {
    let mut found = failing_mailboxes(store, now, mailboxes)?;
    let (new, rejected) = new_rejected(store, utc_day(now), rejected)?;
    found.extend(new);
    found.extend(damage(store, utc_day(now))?);
    found.extend(dns_changes(store, now)?);
    Ok(Operations { found, rejected })
}

/// An incident about no domain, with the first and last day that show it.
fn incident(kind: EventKind, subject: String, (since, seen): (Date, Date), details: IncidentDetails) -> Incident {
    let severity = match kind {
        EventKind::MailboxFailing | EventKind::StoreDamaged => EventSeverity::Critical,
        _ => EventSeverity::Warning,
    };
    Incident {
        kind,
        severity,
        policy_domain: None,
        subject,
        sources: Vec::new(),
        since,
        seen,
        messages: 0,
        reporters: 0,
        details,
    }
}

fn failing_mailboxes(store: &Store, now: Timestamp, mailboxes: &[String]) -> Result<Vec<Incident>, StoreError> {
    let mut found = Vec::new();
    for run in store.mailbox_runs()?.into_iter().filter(|run| mailboxes.contains(&run.mailbox)) {
        let (Some(since), Some(error)) = (run.failing_since, run.error) else { continue };
        let failing = now.duration_since(since);
        if failing >= FAILING_LONG || run.failures >= FAILURES && failing >= FAILING {
            let details = IncidentDetails::Mailbox { name: run.mailbox.clone(), why: error.into(), began: since };
            found.push(incident(EventKind::MailboxFailing, run.mailbox, (utc_day(since), utc_day(now)), details));
        }
    }
    Ok(found)
}

/// The items rejected since an earlier run, and how far this one got.
fn new_rejected(store: &Store, today: Date, rejected: Option<i64>) -> Result<(Option<Incident>, i64), StoreError> {
    let mut entries = store.rejected()?;
    entries.sort_by_key(|entry| entry.ingested);
    let newest = entries.last().map_or(0, |entry| entry.ingested.as_millisecond()).max(rejected.unwrap_or(0));
    let mut new = entries.iter().filter(|entry| rejected.is_some_and(|seen| entry.ingested.as_millisecond() > seen));
    let number = new.clone().count() as u64;
    let found = new.next_back().map(|entry| {
        let details = IncidentDetails::Rejected(number, entry.reason.as_str().into());
        let subject = entry.ingested.as_millisecond().to_string();
        incident(EventKind::RejectedNew, subject, (today, today), details)
    });
    Ok((found, newest))
}

fn damage(store: &Store, today: Date) -> Result<Option<Incident>, StoreError> {
    let damaged = store.damaged_files(NAMED + 1)?;
    let more = if damaged.len() > NAMED { " and more" } else { "" };
    let named: Vec<&str> = damaged.iter().take(NAMED).map(String::as_str).collect();
    let what = format!("{}{more}: missing, or not as long as the ledger says", named.join(", "));
    let (subject, details) = ("files".to_owned(), IncidentDetails::Store(what));
    Ok((!named.is_empty()).then(|| incident(EventKind::StoreDamaged, subject, (today, today), details)))
}

fn dns_changes(store: &Store, now: Timestamp) -> Result<Vec<Incident>, StoreError> {
    let changes = store.dns_changes(None)?;
    let mut recent: Vec<&DnsChange> = changes.iter().filter(|change| is_recent(change, now)).collect();
    recent.sort_by_key(|change| (change.at, &change.name, change.record_type));
    // A policy has several lines, an alert one.
    let in_a_line = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let joined = |texts: &[String]| {
        (!texts.is_empty()).then(|| Foreign::from(texts.iter().map(in_a_line).collect::<Vec<_>>().join(" ")))
    };
    // A record that several domains use is one event.
    let of_record = |same: &[&DnsChange]| {
        let change = same[0];
        let record = format!("{} {}", change.name, change.record_type);
        let subject = format!("{record} {}", change.at.as_millisecond());
        let (before, after) = (joined(&change.before), joined(&change.after));
        let details = IncidentDetails::Dns { record, before, after, domains: same.len() as u64 };
        let found = incident(EventKind::DnsChanged, subject, (change.day(), change.day()), details);
        Incident { policy_domain: owner(same).map(Foreign::from), ..found }
    };
    Ok(recent.chunk_by(|a, b| is_one_record(a, b)).map(of_record).collect())
}

/// Whether two changes are of one record, on behalf of two domains.
fn is_one_record(a: &DnsChange, b: &DnsChange) -> bool {
    (a.at, &a.name, a.record_type) == (b.at, &b.name, b.record_type)
}

/// The domain a record belongs to, among those that use it: the closest one above, else the only one.
fn owner<'a>(same: &[&'a DnsChange]) -> Option<&'a str> {
    let is_above = |domain: &str| judge::is_within(&same[0].name, domain);
    let domains = || same.iter().map(|change| change.domain.as_str());
    let closest = domains().filter(|domain| is_above(domain)).max_by_key(|domain| domain.len());
    closest.or_else(|| if same.len() == 1 { domains().next() } else { None })
}

/// Whether `check --all` saw a change recently. Older changes were reported, or are known.
fn is_recent(change: &DnsChange, now: Timestamp) -> bool {
    change.at <= now && now.duration_since(change.at) <= DNS_CHANGES
}

impl Operations {
    /// The known events that are over because they are no longer found.
    pub(super) fn ended(&self, known: &[KnownEvent], now: Timestamp) -> Vec<Ended> {
        let day = utc_day(now);
        let ends = [EventKind::MailboxFailing, EventKind::StoreDamaged];
        let over = known.iter().filter(|known| !known.ended && ends.contains(&known.kind)).filter(|known| {
            !self.found.iter().any(|found| (found.kind, &found.subject) == (known.kind, &known.subject))
        });
        over.map(|known| Ended { id: known.id.clone(), day, reporters: 0 }).collect()
    }
}
