//! Compares what the rules find with known events: each event is reported once, and its end once.

use super::breaks::{self, Break};
use super::by_source::{BySource, WORKING};
use super::facts::{EventFacts, TAGS};
use super::incident::{Ended, EventKind, EventSeverity, Incident, IncidentDetails};
use super::known::{EventQuestion, SAME_CHANGE, TOGETHER, end, explained, is_same};
use super::newcomers::{self, SenderMark};
use super::sighting::Sighting;
use super::{policies, rates, silence, waves};
use crate::analyze::Foreign;
use crate::analyze::period::{date, number};
use crate::model::SourceAddress;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// In the first days of a store every sender is new.
const FIRST_DAYS: i32 = 28;

/// What changed since earlier runs.
#[derive(Debug, Default)]
pub struct EventChanges {
    /// What began.
    pub begun: Vec<Incident>,
    /// What continues, by the ID of the known event.
    pub going_on: Vec<(String, Incident)>,
    /// What ended.
    pub ended: Vec<Ended>,
    /// Marks of senders to remember: domain, mark, last day.
    pub marks: Vec<(String, String, i32)>,
}

/// Compares the facts with what is known.
pub fn compare(facts: &EventFacts, question: &EventQuestion<'_>) -> EventChanges {
    let rules = ChangeRules { facts, question };
    let mut found = rules.key_breaks();
    found.extend(rules.lost_spf());
    found.extend(rules.waves());
    found.extend(rules.fallen_rates(&found));
    found.extend(rules.changed_policies());
    found.extend(rules.new_senders());
    found.extend(rules.silences());
    let mut changes = EventChanges { marks: rules.marks(), ..EventChanges::default() };
    for incident in found {
        match question.known.iter().find(|known| is_same(known, &incident)) {
            Some(known) if known.ended => {}
            Some(known) => changes.going_on.push((known.id.clone(), incident)),
            None => changes.begun.push(incident),
        }
    }
    changes.ended =
        question.known.iter().filter(|known| !known.ended).filter_map(|known| end(known, facts, question)).collect();
    // Ended events do not continue.
    let ended: BTreeSet<&str> = changes.ended.iter().map(|ended| ended.id.as_str()).collect();
    changes.going_on.retain(|(id, _)| !ended.contains(id.as_str()));
    changes
}

struct ChangeRules<'a> {
    facts: &'a EventFacts,
    question: &'a EventQuestion<'a>,
}

fn addresses(sources: &[SourceAddress]) -> Vec<IpAddr> {
    let told = sources.iter().filter(|source| **source != WORKING);
    told.filter_map(|source| source.address()).take(MOST_SOURCES).collect()
}

/// Addresses of an event that are listed.
const MOST_SOURCES: usize = 200;
/// The same of events that have any number of them.
const SOME_SOURCES: usize = 10;

impl ChangeRules<'_> {
    fn foreign(&self, id: u32) -> Foreign {
        self.facts.name(id).clone().into()
    }

    fn key_breaks(&self) -> Vec<Incident> {
        let mut found = Vec::new();
        for ((domain, signer, selector), sources) in &self.facts.keys {
            let passes = |source: SourceAddress| self.facts.passes(*domain, source);
            let Some(broken) = breaks::broken(sources, &passes) else { continue };
            let details = IncidentDetails::Key {
                dkim_domain: self.foreign(*signer),
                selector: self.foreign(*selector),
                lost: broken.lost,
            };
            let subject = format!("{} {}", self.facts.name(*signer), self.facts.name(*selector));
            let domain = Some(self.foreign(*domain));
            found.push(Incident {
                subject,
                ..incident(EventKind::KeyBroken, severity(&broken), domain, broken.shown, details)
            });
        }
        found
    }

    /// Addresses that lose SPF together are one incident.
    fn lost_spf(&self) -> Vec<Incident> {
        let mut found: Vec<Incident> = Vec::new();
        for ((domain, path), sources) in &self.facts.paths {
            for (source, facts) in sources.iter() {
                let Some(broken) = breaks::broken(&BySource::alone(*source, facts), &|_| false) else { continue };
                let policy_domain = self.foreign(*domain);
                let together = |one: &&mut Incident| {
                    one.policy_domain.as_ref() == Some(&policy_domain)
                        && (number(one.since) - broken.shown.since).abs() <= TOGETHER
                };
                if let Some(one) = found.iter_mut().find(together) {
                    join(one, &broken);
                } else {
                    let details = IncidentDetails::Spf { spf_domain: self.foreign(*path), lost: broken.lost };
                    found.push(Incident {
                        subject: self.facts.name(*path).to_string(),
                        ..incident(EventKind::SpfLost, severity(&broken), Some(policy_domain), broken.shown, details)
                    });
                }
            }
        }
        found
    }

    fn waves(&self) -> Vec<Incident> {
        let mut found = Vec::new();
        for (domain, mail) in &self.facts.mail {
            let Some(wave) = waves::wave(mail, self.facts.today(), self.question.wave_scale) else { continue };
            let stopped = wave.blocked.saturating_mul(2) > wave.shown.messages;
            let severity = if stopped { EventSeverity::Warning } else { EventSeverity::Critical };
            let details = IncidentDetails::Wave {
                blocked: wave.blocked,
                addresses: wave.shown.sources.len() as u64,
                more: self.facts.is_crowded(),
            };
            let mut one = incident(EventKind::SpoofWave, severity, Some(self.foreign(*domain)), wave.shown, details);
            one.sources.truncate(SOME_SOURCES);
            found.push(one);
        }
        found
    }

    fn fallen_rates(&self, found: &[Incident]) -> Vec<Incident> {
        let mut fallen = Vec::new();
        for (domain, mail) in &self.facts.mail {
            let leave_out = explained(self.facts.name(*domain), self.question.known, found);
            let Some(rate) = rates::fallen(mail, self.facts.today(), &leave_out) else { continue };
            let details = IncidentDetails::Rate { now: rate.rates.0, lowest: rate.rates.1 };
            let (domain, severity) = (self.foreign(*domain), EventSeverity::Warning);
            let mut one = incident(EventKind::PassRate, severity, Some(domain), rate.shown, details);
            one.sources.truncate(SOME_SOURCES);
            fallen.push(one);
        }
        fallen
    }

    /// Whether a change of the DMARC record itself was already reported: what reports show then has the same cause.
    fn is_told_of_dns(&self, domain: &str, since: i32) -> bool {
        let record = format!("_dmarc.{domain} ");
        self.question.known.iter().any(|known| {
            known.kind == EventKind::DnsChanged
                && known.subject.starts_with(&record)
                && (since - number(known.since)).abs() <= SAME_CHANGE
        })
    }

    fn changed_policies(&self) -> Vec<Incident> {
        let mut found = Vec::new();
        for (domain, shown) in &self.facts.policies {
            let Some(changed) = policies::changed(shown) else { continue };
            if self.is_told_of_dns(self.facts.name(*domain), changed.since) {
                continue;
            }
            let subject: Vec<String> = changed.tags.iter().map(|(tag, _, after)| format!("{tag}={after}")).collect();
            let weaker = changed.tags.iter().any(|(tag, before, after)| is_weaker(tag, before, after));
            let tags = changed.tags.into_iter().map(|(tag, before, after)| (tag, before.into(), after.into()));
            let details = IncidentDetails::Policy(tags.collect());
            let severity = if weaker { EventSeverity::Warning } else { EventSeverity::Info };
            let (since, reporters) = (changed.since, changed.reporters);
            let shown = Sighting { since, seen: since, reporters, ..Sighting::default() };
            found.push(Incident {
                subject: subject.join(" "),
                ..incident(EventKind::PolicyChanged, severity, Some(self.foreign(*domain)), shown, details)
            });
        }
        found
    }

    /// The stored form of a mark.
    fn mark(&self, mark: SenderMark) -> String {
        match mark {
            SenderMark::Key(signer, selector) => {
                format!("key {} {}", self.facts.name(signer), self.facts.name(selector))
            }
            SenderMark::Signer(name) => format!("signer {}", self.facts.name(name)),
            SenderMark::Path(name) => format!("path {}", self.facts.name(name)),
            SenderMark::Network(network) => {
                network.address().map_or_else(|| "unknown".to_owned(), |address| format!("network {address}"))
            }
        }
    }

    fn new_senders(&self) -> Vec<Incident> {
        let mut found = Vec::new();
        let today = self.facts.today();
        let first = self.question.first_day.map_or(today, number);
        if today - first < FIRST_DAYS {
            return found;
        }
        for (domain, senders) in &self.facts.senders {
            let name = self.facts.name(*domain).as_str();
            let is_known = |mark: SenderMark| (self.question.is_known_mark)(name, &self.mark(mark));
            for new in newcomers::newcomers(senders, today, self.question.sender_messages, &is_known) {
                // One that began with the domain's own first reports is not new.
                let domain_first =
                    self.facts.mail.get(domain).and_then(|mail| mail.values().flatten().map(|fact| fact.day).min());
                if domain_first.is_none_or(|first| new.shown.since < first + FIRST_DAYS / 2) {
                    continue;
                }
                let vouched = match new.mark {
                    SenderMark::Key(name, _) | SenderMark::Signer(name) | SenderMark::Path(name) => {
                        Some(self.foreign(name))
                    }
                    SenderMark::Network(_) => None,
                };
                let passes = new.passing.saturating_mul(2) > new.shown.messages;
                let severity = if passes { EventSeverity::Info } else { EventSeverity::Warning };
                let details = IncidentDetails::Sender { name: vouched, passing: new.passing };
                found.push(Incident {
                    subject: self.mark(new.mark),
                    ..incident(EventKind::SenderNew, severity, Some(self.foreign(*domain)), new.shown, details)
                });
            }
        }
        found
    }

    /// The marks of senders that are large enough, and no longer new.
    fn marks(&self) -> Vec<(String, String, i32)> {
        let mut marks = Vec::new();
        for (domain, senders) in &self.facts.senders {
            for (mark, (first, last, messages)) in newcomers::marks(senders) {
                let is_new = first > self.facts.today() - newcomers::NEW;
                if !is_new && messages >= self.question.sender_messages {
                    marks.push((self.facts.name(*domain).to_string(), self.mark(mark), last));
                }
            }
        }
        marks
    }

    fn silences(&self) -> Vec<Incident> {
        let today = self.facts.today();
        let since = |last: i32| Sighting { since: last, seen: today, ..Sighting::default() };
        let mut found = Vec::new();
        for (domain, runs) in self.question.domains {
            if let Some(silence) = silence::silent(runs, today) {
                let details = IncidentDetails::Silent { name: None, usual: silence.usual };
                let (domain, shown) = (Some(domain.as_str().into()), since(silence.last));
                found.push(incident(EventKind::DomainSilent, EventSeverity::Warning, domain, shown, details));
            }
        }
        for (reporter, runs) in self.question.reporters {
            let Some(silence) = silence::silent(runs, today) else { continue };
            let id = self.facts.reporter_id(reporter);
            let domains = id.and_then(|id| self.facts.reported.get(&id));
            // A reporter that only reported on silent domains is not reported in addition to them.
            let others_hear = domains.into_iter().flatten().any(|domain| {
                let runs = self.question.domains.get(self.facts.name(*domain).as_str());
                runs.and_then(|runs| runs.last()).is_some_and(|last| *last > silence.last)
            });
            if others_hear {
                let name = id.and_then(|id| self.facts.shown_names.get(&id)).map(|name| Foreign::from(name.clone()));
                let name = name.unwrap_or_else(|| reporter.as_str().into());
                let details = IncidentDetails::Silent { name: Some(name), usual: silence.usual };
                let shown = since(silence.last);
                found.push(Incident {
                    subject: reporter.clone(),
                    ..incident(EventKind::ReporterSilent, EventSeverity::Info, None, shown, details)
                });
            }
        }
        found
    }
}

/// An incident without a subject.
fn incident(
    kind: EventKind,
    severity: EventSeverity,
    policy_domain: Option<Foreign>,
    shown: Sighting,
    details: IncidentDetails,
) -> Incident {
    Incident {
        kind,
        severity,
        policy_domain,
        subject: String::new(),
        sources: addresses(&shown.sources),
        since: date(shown.since),
        seen: date(shown.seen),
        messages: shown.messages,
        reporters: shown.reporters.len() as u64,
        details,
    }
}

/// How urgent a break is.
fn severity(broken: &Break) -> EventSeverity {
    let loses_most = broken.lost.saturating_mul(2) > broken.shown.messages;
    if loses_most { EventSeverity::Critical } else { EventSeverity::Warning }
}

fn join(one: &mut Incident, broken: &Break) {
    let shown = &broken.shown;
    one.since = one.since.min(date(shown.since));
    one.seen = one.seen.max(date(shown.seen));
    one.messages = one.messages.saturating_add(shown.messages);
    one.reporters = one.reporters.max(shown.reporters.len() as u64);
    one.severity = one.severity.max(severity(broken));
    if let IncidentDetails::Spf { lost, .. } = &mut one.details {
        *lost = lost.saturating_add(broken.lost);
    }
    let mut more = addresses(&shown.sources);
    more.retain(|source| !one.sources.contains(source));
    one.sources.extend(more);
    one.sources.truncate(MOST_SOURCES);
}

/// Whether a change of a tag weakens the protection.
fn is_weaker(tag: &str, before: &str, after: &str) -> bool {
    let rank = |value: &str| match (tag, value) {
        ("adkim" | "aspf", "s") | (_, "quarantine") => 1,
        (_, "reject") => 2,
        ("pct", percent) => percent.parse().unwrap_or(0),
        _ => 0,
    };
    debug_assert!(TAGS.contains(&tag));
    rank(after) < rank(before)
}
