//! Examines the store once: what is new compared with earlier runs, and what the ledger has to remember.

use super::message::AlertEvent;
use super::operations::operations;
use crate::analyze::period::{date, number};
use crate::analyze::{
    EventChanges, EventFacts, EventKind, EventQuestion, EventSeverity, KnownEvent, Rhythm, compare, is_same,
    reporter_identity,
};
use crate::model::{Owners, utc_day};
use crate::store::{AlertMemory, AlertRun, Filter, Store, StoreError, StoredEvent};
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};

/// The first run treats everything that began more than this many days before it as known.
const FIRST_RUN_DAYS: i32 = 7;
/// Days of reports from which the first run learns how often each reporter sends.
const SEEDED_DAYS: i32 = 70;

/// The settings that decide what counts as an event.
#[derive(Debug, Clone)]
pub struct AlertRules {
    /// Kinds that are never reported.
    pub ignored: Vec<EventKind>,
    /// Less urgent events are not reported.
    pub least: EventSeverity,
    /// Messages from which on a new sender counts.
    pub sender_messages: u64,
    /// Scales the number of messages that makes a wave of spoofing.
    pub wave_scale: f64,
    /// The mailboxes of the settings.
    pub mailboxes: Vec<String>,
    /// The owner of each domain, as an index into `customers`.
    pub owners: Owners,
    /// The customers' names.
    pub customers: Vec<String>,
}

impl Default for AlertRules {
    fn default() -> Self {
        Self {
            ignored: Vec::new(),
            least: EventSeverity::Info,
            sender_messages: 20,
            wave_scale: 1.0,
            mailboxes: Vec::new(),
            owners: Owners::default(),
            customers: Vec::new(),
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct AlertLook {
    /// Events to report now.
    pub events: Vec<AlertEvent>,
    /// Events that a first run treats as known.
    pub known_before: usize,
    /// What the ledger has to remember, except the events to report.
    pub run: AlertRun,
}

/// Examines the store.
///
/// # Errors
/// If the store cannot be read.
pub fn look(store: &Store, now: Timestamp, rules: &AlertRules) -> Result<AlertLook, StoreError> {
    let today = utc_day(now);
    let memory = store.alert_memory()?;
    let stored: Vec<StoredEvent> = store.events()?.into_iter().filter(|event| !event.is_action()).collect();
    let known: Vec<KnownEvent> = stored.iter().filter_map(known).collect();
    let heard = LastHeard::new(store, &memory, today)?;
    let mut changes =
        if heard.is_news || memory.first_run || !known.iter().all(|known| known.ended) || heard.is_silence(today) {
            of_reports(store, today, &memory, &heard, (&known, rules), heard.is_news || memory.first_run)?
        } else {
            EventChanges::default()
        };
    let operations = operations(store, now, &rules.mailboxes, (!memory.first_run).then_some(memory.rejected))?;
    changes.ended.extend(operations.ended(&known, now));
    for incident in operations.found.iter().cloned() {
        match known.iter().find(|known| is_same(known, &incident)) {
            Some(known) if known.ended => {}
            Some(known) => changes.going_on.push((known.id.clone(), incident)),
            None => changes.begun.push(incident),
        }
    }
    let mut look = AlertLook::default();
    look.run.reports = heard.newest;
    look.run.rejected = operations.rejected;
    look.run.heard = heard.record;
    look.run.senders = std::mem::take(&mut changes.marks);
    look.run.today = number(today);
    look.begin(&changes, today, rules, memory.first_run, now);
    look.go_on(&changes, &stored);
    look.end(&changes, &known, &stored, now);
    Ok(look)
}

/// When runs heard from each reporter and about each domain, including this run.
struct LastHeard {
    newest: i64,
    is_news: bool,
    reporters: Rhythm,
    domains: Rhythm,
    record: Vec<(&'static str, String, i32)>,
}

impl LastHeard {
    fn new(store: &Store, memory: &AlertMemory, today: Date) -> Result<Self, StoreError> {
        let unseen = store.unseen_reports(memory.reports)?;
        let today = number(today);
        let mut record: BTreeSet<(&'static str, String, i32)> = BTreeSet::new();
        for report in &unseen {
            // On the first run, the days of the reports replace those of earlier runs.
            let run = if memory.first_run { (report.day + 1).min(today) } else { today };
            if run > today - SEEDED_DAYS {
                let reporter = reporter_identity(report.org_email.as_deref(), &report.org_name);
                record.insert(("reporter", reporter.to_string(), run));
                record.insert(("domain", report.policy_domain.clone(), run));
            }
        }
        let (mut reporters, mut domains) = (memory.reporters.clone(), memory.domains.clone());
        for (kind, name, run) in &record {
            let rhythm = if *kind == "reporter" { &mut reporters } else { &mut domains };
            let runs = rhythm.entry(name.clone()).or_default();
            if runs.last() != Some(run) {
                runs.push(*run);
            }
        }
        // Another run may have used a later `--now`.
        for runs in reporters.values_mut().chain(domains.values_mut()) {
            runs.retain(|run| *run <= today);
            runs.sort_unstable();
        }
        reporters.retain(|_, runs| !runs.is_empty());
        domains.retain(|_, runs| !runs.is_empty());
        let newest = unseen.last().map_or(memory.reports, |report| report.id);
        Ok(Self { newest, is_news: !unseen.is_empty(), reporters, domains, record: record.into_iter().collect() })
    }

    /// Whether anything was silent for more than a day.
    fn is_silence(&self, today: Date) -> bool {
        let today = number(today);
        self.reporters
            .values()
            .chain(self.domains.values())
            .any(|runs| runs.last().is_some_and(|last| today - last > 1))
    }
}

/// The incidents in the reports of the last weeks. If nothing was added, their rows show nothing new.
fn of_reports(
    store: &Store,
    today: Date,
    memory: &AlertMemory,
    heard: &LastHeard,
    (known, rules): (&[KnownEvent], &AlertRules),
    is_news: bool,
) -> Result<EventChanges, StoreError> {
    let filter = Filter { from: Some(EventFacts::first_day(today)), to: Some(today), ..Filter::default() };
    let mut facts = EventFacts::new(today);
    store.heads(&filter, &mut |head| facts.head(&head))?;
    if is_news {
        store.rows(&filter, EventFacts::COLUMNS, &mut |rows| facts.rows(&rows))?;
    }
    let is_known_mark = |domain: &str, mark: &str| memory.senders.contains(&(domain.to_owned(), mark.to_owned()));
    let question = EventQuestion {
        known,
        reporters: &heard.reporters,
        domains: &heard.domains,
        first_day: memory.first_day.map(date),
        is_known_mark: &is_known_mark,
        sender_messages: rules.sender_messages,
        wave_scale: rules.wave_scale,
    };
    Ok(compare(&facts, &question))
}

/// Converts an event of the ledger.
fn known(event: &StoredEvent) -> Option<KnownEvent> {
    let body = AlertEvent::stored(event)?;
    Some(KnownEvent {
        id: event.id.clone(),
        kind: EventKind::from_word(&event.kind)?,
        policy_domain: event.policy_domain.clone(),
        subject: event.subject.clone(),
        sources: body.sources,
        since: date(event.since?),
        seen: date(event.seen.or(event.since)?),
        ended: event.state == "resolved",
        ended_at: event.ended,
        usual: body.usual.unwrap_or(0.0),
    })
}

impl AlertLook {
    fn begin(&mut self, changes: &EventChanges, today: Date, rules: &AlertRules, first_run: bool, now: Timestamp) {
        for incident in &changes.begun {
            let mut event = AlertEvent::begun(incident);
            let domain = incident.policy_domain.as_ref();
            let owner = domain.and_then(|domain| rules.owners.owner_of(domain.as_written()));
            event.customer = owner.and_then(|owner| rules.customers.get(owner)).cloned();
            // A mailbox that still fails is reported, however long ago that began.
            let goes_on = incident.kind == EventKind::MailboxFailing;
            let old = first_run && !goes_on && number(incident.since) < number(today) - FIRST_RUN_DAYS;
            let unwanted = rules.ignored.contains(&incident.kind) || incident.severity < rules.least;
            let state = if old || unwanted { "known" } else { "new" };
            self.known_before += usize::from(old);
            self.run.events.push(StoredEvent {
                id: event.id.clone(),
                kind: event.kind.clone(),
                state: state.to_owned(),
                policy_domain: incident.policy_domain.as_ref().map(|domain| domain.as_written().to_owned()),
                subject: incident.subject.clone(),
                since: Some(number(incident.since)),
                seen: Some(number(incident.seen)),
                told: (state == "new").then_some(now),
                body: serde_json::to_string(&event).ok(),
                evidence: incident.messages,
                ..StoredEvent::default()
            });
            if state == "new" {
                self.events.push(event);
            }
        }
    }

    /// A continuing event is stored with its new numbers, but not reported again.
    fn go_on(&mut self, changes: &EventChanges, stored: &[StoredEvent]) {
        let by_id: BTreeMap<&str, &StoredEvent> = stored.iter().map(|event| (event.id.as_str(), event)).collect();
        for (id, incident) in &changes.going_on {
            let Some(event) = by_id.get(id.as_str()) else { continue };
            let Some(mut body) = AlertEvent::stored(event) else { continue };
            let more: Vec<_> =
                incident.sources.iter().filter(|source| !body.sources.contains(source)).copied().collect();
            body.sources.extend(more);
            body.sources.truncate(200);
            body.messages = body.messages.max(incident.messages);
            body.reporters = body.reporters.max(incident.reporters);
            let seen = event.seen.max(Some(number(incident.seen)));
            body.last_seen = seen.map_or(body.last_seen, |seen| date(seen).to_string());
            let kept = StoredEvent {
                seen,
                evidence: body.messages,
                body: serde_json::to_string(&body).ok(),
                ..(*event).clone()
            };
            if kept != **event {
                self.run.events.push(kept);
            }
        }
    }

    fn end(&mut self, changes: &EventChanges, known: &[KnownEvent], stored: &[StoredEvent], now: Timestamp) {
        for end in &changes.ended {
            let event = stored.iter().find(|event| event.id == end.id);
            let (Some(event), Some(known)) = (event, known.iter().find(|known| known.id == end.id)) else { continue };
            let Some(body) = AlertEvent::stored(event) else { continue };
            let ending = body.ended(known, end);
            // An event that was never reported needs no report of its end.
            let was_reported = event.state == "new";
            self.run.events.push(StoredEvent {
                state: "resolved".to_owned(),
                seen: Some(event.seen.unwrap_or(0).max(number(end.day) - 1)),
                ended: Some(now),
                body: serde_json::to_string(&ending).ok(),
                ..event.clone()
            });
            if was_reported {
                self.events.push(ending);
            }
        }
    }
}
