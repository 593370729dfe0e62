//! Compares what the rules find with known events: each event is reported once, and its end once.

use super::{
    EventFacts, Rhythm,
    breaks::{self, Break},
    by_source::{BySource, WORKING},
    facts::TAGS,
    incident::{Ended, EventKind, EventSeverity, Incident, IncidentDetails, KnownEvent},
    newcomers::{self, SenderMark},
    policies, rates, silence, waves,
};
use crate::{
    analyze::{
        Foreign,
        period::{date, number},
    },
    model::SourceAddress,
};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// In the first days of a store every sender is new.
const FIRST_DAYS: i32 = 28;
/// Addresses that lose SPF within this many days of each other belong together.
const TOGETHER: i32 = 1;
/// Days within which reporters' dates of one change differ.
const SAME_CHANGE: i32 = 10;

/// The context for comparing the facts.
pub struct EventQuestion<'a> {
    /// Events of earlier runs.
    pub known: &'a [KnownEvent],
    /// When runs saw new reports from each reporter.
    pub reporters: &'a Rhythm,
    /// The same for each domain.
    pub domains: &'a Rhythm,
    /// The first day of the store.
    pub first_day: Option<jiff::civil::Date>,
    /// Whether a sender's mark was known before the examined weeks.
    pub is_known_mark: &'a dyn Fn(&str, &str) -> bool,
    /// Messages from which on a new sender is reported.
    pub sender_messages: u64,
    /// Scales how many times the usual number of messages a wave needs.
    pub wave_scale: f64,
}

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
    changes.ended = question.known.iter().filter(|known| !known.ended).filter_map(|known| rules.end(known)).collect();
    // Ended events do not continue.
    let ended: BTreeSet<&str> = changes.ended.iter().map(|ended| ended.id.as_str()).collect();
    changes.going_on.retain(|(id, _)| !ended.contains(id.as_str()));
    changes
}

/// Whether an incident is a known one. An ended one is found again in the examined weeks.
pub fn is_same(known: &KnownEvent, incident: &Incident) -> bool {
    let domain = incident.policy_domain.as_ref().map(Foreign::as_written);
    if known.kind != incident.kind || known.policy_domain.as_deref() != domain {
        return false;
    }
    let since = number(incident.since);
    let (known_since, known_seen) = (number(known.since), number(known.seen));
    let is_old = !known.ended || since <= known_seen;
    match incident.kind {
        EventKind::SpfLost => {
            let shares = incident.sources.iter().any(|source| known.sources.contains(source));
            is_old && (shares || (since - known_since).abs() <= TOGETHER)
        }
        EventKind::SpoofWave => !known.ended || since <= known_seen + 2,
        EventKind::PassRate => !known.ended || since <= known_seen + 14,
        EventKind::PolicyChanged => {
            let tags = |subject: &str| -> Vec<(String, String)> {
                let parts = subject.split(' ').filter_map(|part| part.split_once('='));
                parts.map(|(tag, value)| (tag.to_owned(), value.to_owned())).collect()
            };
            let (before, now) = (tags(&known.subject), tags(&incident.subject));
            let common = || {
                now.iter().filter_map(|(tag, value)| before.iter().find(|old| old.0 == *tag).map(|old| old.1 == *value))
            };
            let apart = (since - known_since).abs();
            common().all(|same| same) && apart <= if common().next().is_some() { SAME_CHANGE } else { 1 }
        }
        EventKind::SenderNew => known.subject == incident.subject,
        EventKind::MailboxFailing => {
            let began = match incident.details {
                IncidentDetails::Mailbox { began, .. } => Some(began),
                _ => None,
            };
            known.subject == incident.subject && (!known.ended || began <= known.ended_at)
        }
        _ => known.subject == incident.subject && is_old,
    }
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
            found.push(of_break(EventKind::KeyBroken, self.foreign(*domain), subject, &broken, details));
        }
        found
    }

    /// Addresses that lose SPF together are one incident.
    fn lost_spf(&self) -> Vec<Incident> {
        let mut found: Vec<Incident> = Vec::new();
        for ((domain, path), sources) in &self.facts.paths {
            for (source, facts) in sources.iter() {
                let alone = BySource::One(Some((*source, facts.clone())));
                let Some(broken) = breaks::broken(&alone, &|_| false) else { continue };
                let policy_domain = self.foreign(*domain);
                let together = |one: &&mut Incident| {
                    one.policy_domain.as_ref() == Some(&policy_domain)
                        && (number(one.since) - broken.since).abs() <= TOGETHER
                };
                if let Some(one) = found.iter_mut().find(together) {
                    join(one, &broken);
                } else {
                    let details = IncidentDetails::Spf { spf_domain: self.foreign(*path), lost: broken.lost };
                    let subject = self.facts.name(*path).to_string();
                    found.push(of_break(EventKind::SpfLost, policy_domain, subject, &broken, details));
                }
            }
        }
        found
    }

    fn waves(&self) -> Vec<Incident> {
        let mut found = Vec::new();
        for (domain, mail) in &self.facts.mail {
            let Some(wave) = waves::wave(mail, self.facts.today(), self.question.wave_scale) else { continue };
            let stopped = wave.blocked.saturating_mul(2) > wave.messages;
            found.push(Incident {
                kind: EventKind::SpoofWave,
                severity: if stopped { EventSeverity::Warning } else { EventSeverity::Critical },
                policy_domain: Some(self.foreign(*domain)),
                subject: String::new(),
                sources: addresses(&wave.sources).into_iter().take(10).collect(),
                since: date(wave.since),
                seen: date(wave.seen),
                messages: wave.messages,
                reporters: wave.reporters.len() as u64,
                details: IncidentDetails::Wave {
                    blocked: wave.blocked,
                    addresses: wave.addresses,
                    more: self.facts.is_crowded(),
                },
            });
        }
        found
    }

    /// Addresses whose failures another event explains.
    fn explained(&self, domain: &str, found: &[Incident]) -> BTreeSet<IpAddr> {
        let breaks = [EventKind::KeyBroken, EventKind::SpfLost];
        let now = found.iter().filter(|incident| {
            breaks.contains(&incident.kind)
                && incident.policy_domain.as_ref().is_some_and(|of| of.as_written() == domain)
        });
        let before = self
            .question
            .known
            .iter()
            .filter(|known| breaks.contains(&known.kind) && known.policy_domain.as_deref() == Some(domain));
        let sources = now.flat_map(|incident| &incident.sources);
        sources.chain(before.flat_map(|known| &known.sources)).copied().collect()
    }

    fn fallen_rates(&self, found: &[Incident]) -> Vec<Incident> {
        let mut fallen = Vec::new();
        for (domain, mail) in &self.facts.mail {
            let explained = self.explained(self.facts.name(*domain), found);
            let leave_out =
                |source: SourceAddress| source.address().is_some_and(|address| explained.contains(&address));
            let Some(rate) = rates::fallen(mail, self.facts.today(), &leave_out) else { continue };
            fallen.push(Incident {
                kind: EventKind::PassRate,
                severity: EventSeverity::Warning,
                policy_domain: Some(self.foreign(*domain)),
                subject: String::new(),
                sources: addresses(&rate.sources).into_iter().take(10).collect(),
                since: date(rate.since),
                seen: date(rate.seen),
                messages: rate.failing,
                reporters: rate.reporters.len() as u64,
                details: IncidentDetails::Rate { now: rate.rates.0, lowest: rate.rates.1 },
            });
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
            found.push(Incident {
                kind: EventKind::PolicyChanged,
                severity: if weaker { EventSeverity::Warning } else { EventSeverity::Info },
                policy_domain: Some(self.foreign(*domain)),
                subject: subject.join(" "),
                sources: Vec::new(),
                since: date(changed.since),
                seen: date(changed.since),
                messages: 0,
                reporters: changed.reporters.len() as u64,
                details: IncidentDetails::Policy(tags.collect()),
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
                if domain_first.is_none_or(|first| new.since < first + FIRST_DAYS / 2) {
                    continue;
                }
                let vouched = match new.mark {
                    SenderMark::Key(name, _) | SenderMark::Signer(name) | SenderMark::Path(name) => {
                        Some(self.foreign(name))
                    }
                    SenderMark::Network(_) => None,
                };
                let passes = new.passing.saturating_mul(2) > new.messages;
                found.push(Incident {
                    kind: EventKind::SenderNew,
                    severity: if passes { EventSeverity::Info } else { EventSeverity::Warning },
                    policy_domain: Some(self.foreign(*domain)),
                    subject: self.mark(new.mark),
                    sources: addresses(&new.sources),
                    since: date(new.since),
                    seen: date(new.seen),
                    messages: new.messages,
                    reporters: new.reporters.len() as u64,
                    details: IncidentDetails::Sender { name: vouched, passing: new.passing },
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
        let mut found = Vec::new();
        for (domain, runs) in self.question.domains {
            if let Some(silence) = silence::silent(runs, today) {
                let details = IncidentDetails::Silent { name: None, usual: silence.usual };
                let mut incident = of_silence(EventKind::DomainSilent, (silence.last, today), details);
                incident.policy_domain = Some(domain.as_str().into());
                incident.severity = EventSeverity::Warning;
                found.push(incident);
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
                let mut incident = of_silence(EventKind::ReporterSilent, (silence.last, today), details);
                incident.subject.clone_from(reporter);
                found.push(incident);
            }
        }
        found
    }

    /// Whether a known event has ended.
    fn end(&self, known: &KnownEvent) -> Option<Ended> {
        let since = number(known.since);
        let domain = known.policy_domain.as_deref().and_then(|domain| self.facts.name_id(domain));
        let ended = |day: i32, reporters: usize| {
            Some(Ended { id: known.id.clone(), day: date(day), reporters: reporters as u64 })
        };
        match known.kind {
            EventKind::KeyBroken => {
                let (signer, selector) = known.subject.split_once(' ')?;
                let key = (domain?, self.facts.name_id(signer)?, self.facts.name_id(selector)?);
                let repair = breaks::repaired(self.facts.keys.get(&key)?, since)?;
                ended(repair.day, repair.reporters.len())
            }
            EventKind::SpfLost => {
                let domain = domain?;
                let mut latest: Option<breaks::RepairedBreak> = None;
                let lost: BTreeSet<IpAddr> = known.sources.iter().copied().collect();
                for ((_, _), sources) in self.facts.paths.iter().filter(|((of, _), _)| *of == domain) {
                    for (source, facts) in sources.iter() {
                        if source.address().is_some_and(|address| lost.contains(&address)) {
                            let alone = BySource::One(Some((*source, facts.clone())));
                            let repair = breaks::repaired(&alone, since)?;
                            if latest.as_ref().is_none_or(|latest| latest.day < repair.day) {
                                latest = Some(repair);
                            }
                        }
                    }
                }
                latest.and_then(|repair| ended(repair.day, repair.reporters.len()))
            }
            EventKind::SpoofWave => {
                let mail = self.facts.mail.get(&domain?)?;
                let wave = waves::wave(mail, self.facts.today(), self.question.wave_scale);
                let last = wave.map_or(number(known.seen), |wave| wave.seen.max(number(known.seen)));
                let heard: BTreeSet<u32> = mail
                    .values()
                    .flatten()
                    .filter(|fact| fact.day > last + waves::OVER)
                    .map(|fact| fact.reporter)
                    .collect();
                if heard.len() > 1 { ended(last + 1, heard.len()) } else { None }
            }
            EventKind::PassRate => {
                let mail = self.facts.mail.get(&domain?)?;
                let explained = self.explained(known.policy_domain.as_deref()?, &[]);
                let leave_out =
                    |source: SourceAddress| source.address().is_some_and(|address| explained.contains(&address));
                let day = rates::recovered(mail, number(known.seen), known.usual, &leave_out)?;
                ended(day, 0)
            }
            // A late report about earlier days does not count as activity; one about the day before the last run does.
            EventKind::ReporterSilent => {
                let newest = self.facts.newest_of_reporter.get(&self.facts.reporter_id(&known.subject)?)?;
                if *newest >= number(known.seen) - 1 { ended(*newest, 1) } else { None }
            }
            EventKind::DomainSilent => {
                let newest = self.facts.newest_on_domain.get(&domain?)?;
                if *newest >= number(known.seen) - 1 { ended(*newest, 0) } else { None }
            }
            _ => None,
        }
    }
}

fn of_break(kind: EventKind, domain: Foreign, subject: String, broken: &Break, details: IncidentDetails) -> Incident {
    let lost = broken.lost.saturating_mul(2) > broken.bad;
    Incident {
        kind,
        severity: if lost { EventSeverity::Critical } else { EventSeverity::Warning },
        policy_domain: Some(domain),
        subject,
        sources: addresses(&broken.sources),
        since: date(broken.since),
        seen: date(broken.seen),
        messages: broken.bad,
        reporters: broken.reporters.len() as u64,
        details,
    }
}

fn join(one: &mut Incident, broken: &Break) {
    one.since = one.since.min(date(broken.since));
    one.seen = one.seen.max(date(broken.seen));
    one.messages = one.messages.saturating_add(broken.bad);
    one.reporters = one.reporters.max(broken.reporters.len() as u64);
    if broken.lost.saturating_mul(2) > broken.bad {
        one.severity = EventSeverity::Critical;
    }
    if let IncidentDetails::Spf { lost, .. } = &mut one.details {
        *lost = lost.saturating_add(broken.lost);
    }
    let more = addresses(&broken.sources).into_iter().filter(|source| !one.sources.contains(source));
    let more: Vec<IpAddr> = more.collect();
    one.sources.extend(more);
    one.sources.truncate(MOST_SOURCES);
}

fn of_silence(kind: EventKind, (last, today): (i32, i32), details: IncidentDetails) -> Incident {
    Incident {
        kind,
        severity: EventSeverity::Info,
        policy_domain: None,
        subject: String::new(),
        sources: Vec::new(),
        since: date(last),
        seen: date(today),
        messages: 0,
        reporters: 0,
        details,
    }
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
