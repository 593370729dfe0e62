//! What earlier runs know: whether an incident is a known event, and whether a known event has ended.

use super::breaks::{self, RepairedBreak};
use super::by_source::BySource;
use super::facts::EventFacts;
use super::incident::{Ended, EventKind, Incident, IncidentDetails, KnownEvent};
use super::silence::Rhythm;
use super::{rates, waves};
use crate::analyze::Foreign;
use crate::analyze::period::{date, number};
use crate::model::SourceAddress;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Addresses that lose SPF within this many days of each other belong together.
pub(super) const TOGETHER: i32 = 1;
/// Days within which reporters' dates of one change differ.
pub(super) const SAME_CHANGE: i32 = 10;

/// The context for comparing the facts.
pub struct EventQuestion<'a> {
    /// Events of earlier runs.
    pub known: &'a [KnownEvent],
    /// When runs saw new reports from each reporter.
    pub reporters: &'a Rhythm,
    /// The same for each domain.
    pub domains: &'a Rhythm,
    /// The first day of the store.
    pub first_day: Option<Date>,
    /// Whether a sender's mark was known before the examined weeks.
    pub is_known_mark: &'a dyn Fn(&str, &str) -> bool,
    /// Messages from which on a new sender is reported.
    pub sender_messages: u64,
    /// Scales how many times the usual number of messages a wave needs.
    pub wave_scale: f64,
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
            let (before, now) = (tags(&known.subject), tags(&incident.subject));
            let mut common = now.iter().filter_map(|(tag, value)| Some(before.get(tag)? == value)).peekable();
            let most = if common.peek().is_some() { SAME_CHANGE } else { 1 };
            (since - known_since).abs() <= most && common.all(|same| same)
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

/// The values by tag in the subject of a changed policy.
fn tags(subject: &str) -> BTreeMap<&str, &str> {
    subject.split(' ').filter_map(|part| part.split_once('=')).collect()
}

/// Whether an address has failures that another event explains: one of an earlier run, or one that was just `found`.
pub(super) fn explained(
    domain: &str,
    known: &[KnownEvent],
    found: &[Incident],
) -> impl Fn(SourceAddress) -> bool + use<> {
    let breaks = [EventKind::KeyBroken, EventKind::SpfLost];
    let is_of = |of: Option<&str>, kind: &EventKind| of == Some(domain) && breaks.contains(kind);
    let now = found.iter().filter(|one| is_of(one.policy_domain.as_ref().map(Foreign::as_written), &one.kind));
    let before = known.iter().filter(|one| is_of(one.policy_domain.as_deref(), &one.kind));
    let sources = now.flat_map(|one| &one.sources).chain(before.flat_map(|one| &one.sources));
    let explained: BTreeSet<IpAddr> = sources.copied().collect();
    move |source| source.address().is_some_and(|address| explained.contains(&address))
}

/// Whether a known event has ended.
pub(super) fn end(known: &KnownEvent, facts: &EventFacts, question: &EventQuestion<'_>) -> Option<Ended> {
    let since = number(known.since);
    let domain = known.policy_domain.as_deref().and_then(|domain| facts.name_id(domain));
    let ended =
        |day: i32, reporters: usize| Some(Ended { id: known.id.clone(), day: date(day), reporters: reporters as u64 });
    match known.kind {
        EventKind::KeyBroken => {
            let (signer, selector) = known.subject.split_once(' ')?;
            let key = (domain?, facts.name_id(signer)?, facts.name_id(selector)?);
            let repair = breaks::repaired(facts.keys.get(&key)?, since)?;
            ended(repair.day, repair.reporters.len())
        }
        EventKind::SpfLost => {
            let domain = domain?;
            let mut latest: Option<RepairedBreak> = None;
            let lost: BTreeSet<IpAddr> = known.sources.iter().copied().collect();
            for (_, sources) in facts.paths.iter().filter(|((of, _), _)| *of == domain) {
                for (source, facts) in sources.iter() {
                    if source.address().is_some_and(|address| lost.contains(&address)) {
                        let repair = breaks::repaired(&BySource::alone(*source, facts), since)?;
                        if latest.as_ref().is_none_or(|latest| latest.day < repair.day) {
                            latest = Some(repair);
                        }
                    }
                }
            }
            latest.and_then(|repair| ended(repair.day, repair.reporters.len()))
        }
        EventKind::SpoofWave => {
            let mail = facts.mail.get(&domain?)?;
            let wave = waves::wave(mail, facts.today(), question.wave_scale);
            let last = wave.map_or(number(known.seen), |wave| wave.shown.seen.max(number(known.seen)));
            let heard: BTreeSet<u32> = mail
                .values()
                .flatten()
                .filter(|fact| fact.day > last + waves::OVER)
                .map(|fact| fact.reporter)
                .collect();
            if heard.len() > 1 { ended(last + 1, heard.len()) } else { None }
        }
        EventKind::PassRate => {
            let mail = facts.mail.get(&domain?)?;
            let leave_out = explained(known.policy_domain.as_deref()?, question.known, &[]);
            let day = rates::recovered(mail, number(known.seen), known.usual, &leave_out)?;
            ended(day, 0)
        }
        // A late report about earlier days does not count as activity; one about the day before the last run does.
        EventKind::ReporterSilent => {
            let newest = facts.newest_of_reporter.get(&facts.reporter_id(&known.subject)?)?;
            if *newest >= number(known.seen) - 1 { ended(*newest, 1) } else { None }
        }
        EventKind::DomainSilent => {
            let newest = facts.newest_on_domain.get(&domain?)?;
            if *newest >= number(known.seen) - 1 { ended(*newest, 0) } else { None }
        }
        _ => None,
    }
}
