//! The report of an event: the documented JSON, stored in the ledger and sent unchanged.

use crate::analyze::{Ended, EventKind, Incident, IncidentDetails, KnownEvent, period};
use crate::present::{self, wording::clean::Clean};
use crate::store::StoredEvent;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The version of the JSON: raised when a key changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// Hexadecimal digits of an ID.
const DIGITS: usize = 12;
/// Days for which an event without an end counts as open.
const OPEN_DAYS: i32 = 7;

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertMessage {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The events, most urgent first.
    pub events: Vec<AlertEvent>,
}

/// An event as reported. All texts are cleaned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// Its ID: the same for its beginning and its end.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// `critical`, `warning` or `info`.
    pub severity: String,
    /// `new` or `resolved`.
    pub state: String,
    /// The domain it is about; `None` if it is not about a single one.
    pub policy_domain: Option<String>,
    /// The customer whose domain that is.
    pub customer: Option<String>,
    /// The addresses it is about, at most two hundred.
    pub sources: Vec<IpAddr>,
    /// The first day that shows it.
    pub since: String,
    /// The last day that shows it.
    pub last_seen: String,
    /// The first day without it; `None` while it continues.
    pub ended: Option<String>,
    /// Messages that show it.
    pub messages: u64,
    /// How many reporters show it.
    pub reporters: u64,
    /// What happened, in one line.
    pub text: String,
    /// What to do.
    pub action: String,
    /// For a pass rate, the lowest earlier rate: its end is measured by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<f64>,
}

impl AlertMessage {
    /// A message with these events, most urgent first.
    pub fn new(mut events: Vec<AlertEvent>) -> Self {
        let order = |event: &AlertEvent| {
            let severity = ["critical", "warning", "info"].iter().position(|word| *word == event.severity);
            let kind = EventKind::ALL.iter().position(|kind| kind.word() == event.kind);
            (event.state == "resolved", severity, kind, event.policy_domain.clone(), event.id.clone())
        };
        events.sort_by_cached_key(order);
        Self { schema: SCHEMA, events }
    }
}

impl AlertEvent {
    /// What the ledger has of an event, if it can be read.
    pub(super) fn stored(event: &StoredEvent) -> Option<Self> {
        serde_json::from_str(event.body.as_deref()?).ok()
    }

    /// The beginning of an incident.
    pub(super) fn begun(incident: &Incident) -> Self {
        let domain = incident.policy_domain.as_ref().map(|domain| Clean::new(domain).to_string());
        Self {
            id: id(incident),
            kind: incident.kind.word().to_owned(),
            severity: incident.severity.word().to_owned(),
            state: "new".to_owned(),
            policy_domain: domain,
            customer: None,
            sources: incident.sources.clone(),
            since: incident.since.to_string(),
            last_seen: incident.seen.to_string(),
            ended: None,
            messages: incident.messages,
            reporters: incident.reporters,
            text: present::alert_text(incident),
            action: present::alert_action(incident),
            usual: match incident.details {
                IncidentDetails::Rate { lowest, .. } => Some(lowest),
                _ => None,
            },
        }
    }

    /// The end of an event that was reported.
    pub(super) fn ended(&self, known: &KnownEvent, end: &Ended) -> Self {
        let days = (known.since, end.day);
        let text = present::alert_end(known.kind, known.policy_domain.as_deref(), &known.subject, days, end.reporters);
        Self {
            state: "resolved".to_owned(),
            ended: Some(end.day.to_string()),
            text,
            action: "Nothing more.".to_owned(),
            ..self.clone()
        }
    }
}

/// The ID of an incident: from its kind, domain and subject, and the day it began, so that a recurrence gets another
/// one.
fn id(incident: &Incident) -> String {
    let mut hash = blake3::Hasher::new();
    let domain = incident.policy_domain.as_ref().map_or("", |domain| domain.as_written());
    for part in [incident.kind.word(), domain, &incident.subject, &incident.since.to_string()] {
        hash.update(part.as_bytes()).update(b"\0");
    }
    // It may fail again on the same day.
    if let IncidentDetails::Mailbox { began, .. } = incident.details {
        hash.update(&began.as_millisecond().to_be_bytes());
    }
    hash.finalize().to_hex()[..DIGITS].to_owned()
}

/// Unacknowledged events that continue, or that have no end and are recent.
pub fn open_events(stored: &[StoredEvent], today: Date) -> Vec<AlertEvent> {
    let endless = |kind: &str| {
        let kinds = [EventKind::PolicyChanged, EventKind::SenderNew, EventKind::RejectedNew, EventKind::DnsChanged];
        kinds.iter().any(|endless| endless.word() == kind)
    };
    let open = stored.iter().filter(|event| {
        event.state == "new" && event.acknowledged.is_none() && (!endless(&event.kind) || is_recent(event.since, today))
    });
    open.filter_map(AlertEvent::stored).collect()
}

/// Whether an event began so few days ago that it still counts as open. `since` is what the ledger says, whatever that is.
fn is_recent(since: Option<i32>, today: Date) -> bool {
    period::number(today) - period::number(period::date(since.unwrap_or(0))) <= OPEN_DAYS
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_day_of_the_ledger_and_no_clock_panic(since: i32, today in period::DAYS.0 + 100..=period::DAYS.1, ago in 0..100) {
            is_recent(Some(since), period::date(today));
            let day = period::date(today);
            proptest::prop_assert_eq!(is_recent(Some(period::number(day) - ago), day), ago <= OPEN_DAYS);
        }
    }
}
