//! Events that do not come from reports: unreadable mailboxes, unreadable items, a damaged store, DNS records that
//! `check --all` saw change.

use crate::analyze::{Ended, EventKind, EventSeverity, Foreign, Incident, IncidentDetails, KnownEvent};
use crate::judge;
use crate::model::{DnsChange, utc_day};
use crate::store::{Store, StoreError};
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
#[derive(Debug, Default)]
pub struct Operations {
    /// What began or continues.
    pub found: Vec<Incident>,
    /// When the newest rejected item was rejected, in milliseconds.
    pub rejected: i64,
}

/// Examines the store. `rejected` is how far an earlier run got; `None` on the first run.
pub(super) fn operations(
    store: &Store,
    now: Timestamp,
    mailboxes: &[String],
    rejected: Option<i64>,
) -> Result<Operations, StoreError> {
    let mut operations = Operations::default();
    let today = utc_day(now);
    let incident = |kind, severity, subject: String, since, details| Incident {
        kind,
        severity,
        policy_domain: None,
        subject,
        sources: Vec::new(),
        since,
        seen: today,
        messages: 0,
        reporters: 0,
        details,
    };
    for run in store.mailbox_runs()?.into_iter().filter(|run| mailboxes.contains(&run.mailbox)) {
        let (Some(since), Some(error)) = (run.failing_since, run.error) else { continue };
        let failing = now.duration_since(since);
        if failing >= FAILING_LONG || run.failures >= FAILURES && failing >= FAILING {
            let details = IncidentDetails::Mailbox { name: run.mailbox.clone(), why: error.into(), began: since };
            let day = utc_day(since);
            let found = incident(EventKind::MailboxFailing, EventSeverity::Critical, run.mailbox, day, details);
            operations.found.push(found);
        }
    }
    let mut entries = store.rejected()?;
    entries.sort_by_key(|entry| entry.ingested);
    operations.rejected = entries.last().map_or(0, |entry| entry.ingested.as_millisecond()).max(rejected.unwrap_or(0));
    let new = entries.iter().filter(|entry| rejected.is_some_and(|seen| entry.ingested.as_millisecond() > seen));
    if let Some(newest) = new.clone().next_back() {
        let details = IncidentDetails::Rejected(new.count() as u64, newest.reason.as_str().into());
        let subject = newest.ingested.as_millisecond().to_string();
        let found = incident(EventKind::RejectedNew, EventSeverity::Warning, subject, today, details);
        operations.found.push(found);
    }
    let damaged = store.damaged_files(NAMED + 1)?;
    if !damaged.is_empty() {
        let more = if damaged.len() > NAMED { " and more" } else { "" };
        let named: Vec<&str> = damaged.iter().take(NAMED).map(String::as_str).collect();
        let what = format!("{}{more}: missing, or not as long as the ledger says", named.join(", "));
        let details = IncidentDetails::Store(what);
        operations.found.push(incident(
            EventKind::StoreDamaged,
            EventSeverity::Critical,
            "files".to_owned(),
            today,
            details,
        ));
    }
    let changes = store.dns_changes(None)?;
    let mut recent: Vec<&DnsChange> = changes.iter().filter(|change| is_recent(change, now)).collect();
    recent.sort_by_key(|change| (change.at, &change.name, change.record_type));
    // A record that several domains use is one event.
    for same in recent.chunk_by(|a, b| is_one_record(a, b)) {
        let change = same[0];
        // A policy has several lines, an alert one.
        let in_a_line = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let joined = |texts: &[String]| {
            (!texts.is_empty()).then(|| Foreign::from(texts.iter().map(in_a_line).collect::<Vec<_>>().join(" ")))
        };
        let record = format!("{} {}", change.name, change.record_type);
        let subject = format!("{record} {}", change.at.as_millisecond());
        let (before, after) = (joined(&change.before), joined(&change.after));
        let details = IncidentDetails::Dns { record, before, after, domains: same.len() as u64 };
        let mut found = incident(EventKind::DnsChanged, EventSeverity::Warning, subject, change.day(), details);
        found.policy_domain = owner(same).map(Foreign::from);
        found.seen = change.day();
        operations.found.push(found);
    }
    Ok(operations)
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
