//! Explains from the history of DNS why a sender began to fail on a certain day, and whether a repair worked.
//!
//! A change explains a break only if it removes what the sender passed with: the key of its selector, or its address in
//! the SPF records of its return path. The same day is not enough. Mail after a repair is counted in the rows of the
//! addresses that the action follows, in a second read that [`RepairCount`] requests.

use super::action::{Action, ActionState, Change, Repair};
use super::spf_history::{Authorized, authorized, is_spf};
use crate::analyze::Period;
use crate::analyze::explained_by::ExplainedBy;
use crate::analyze::period::{SummaryPeriod, date, number};
use crate::analyze::sums::Messages;
use crate::analyze::thresholds::BROKEN_ONE_IN;
use crate::model::{ColumnSet, DnsChange, DnsHistory, Flags, RecordType, Rows, SourceAddress, Tags};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan as _, tz::Offset};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// How many days a change may precede the first failing day: caches keep the old record for its TTL.
const DAYS_BEFORE: i32 = 3;
/// How many days after the first failing day a lookup may see the change.
const DAYS_AFTER: i32 = 1;
/// Days before a repair whose failures are compared.
const COMPARED: i64 = 7;
/// What proves a repair.
const PROVING_REPORTERS: usize = 2;
const PROVING_DAYS: usize = 3;

/// Adds to each action the change that explains it, and the one that repairs it.
pub(crate) fn explain(actions: &mut [Action], history: &DnsHistory, period: Option<Period>) {
    let Some(period) = period.filter(|_| !history.changes.is_empty()) else { return };
    for action in actions {
        let Some((cause, repaired)) = Join::new(action, history, period).map(|join| join.changes()) else { continue };
        action.explained_by = cause.map(ExplainedBy::from);
        let Some(published) = repaired.map(DnsChange::day).filter(|day| *day <= period.to()) else { continue };
        action.tracking.state = ActionState::Published;
        let since = published.saturating_add(1.day());
        let fails_after = action.tracking.broke.is_some_and(|(_, last)| last >= number(since));
        action.repair = Some(Repair {
            published,
            since,
            failing_before: 0,
            messages: 0,
            failing: 0,
            reporters: 0,
            still_failing: Vec::new(),
            // What is in trouble in a period that began after the repair was not repaired by it.
            still_broken: fails_after || !action.tracking.ended && since <= period.from(),
        });
    }
}

/// What an action's mail depends on.
enum Subject<'a> {
    /// The key at this name.
    Key(String),
    /// The SPF record of this domain.
    Spf(String),
    /// These tags of the DMARC record.
    Dmarc(&'a [&'static str]),
}

/// An action and the changes that concern it, oldest first, up to the end of the period.
struct Join<'a, 'h> {
    action: &'a Action,
    subject: Subject<'a>,
    history: &'h DnsHistory,
    changes: Vec<&'h DnsChange>,
}

impl<'a, 'h> Join<'a, 'h> {
    fn new(action: &'a Action, history: &'h DnsHistory, period: Period) -> Option<Self> {
        let subject = match &action.change {
            Change::RepairKey { dkim_domain, selector: Some(selector), .. }
            | Change::CheckModification { dkim_domain, selector: Some(selector), .. } => {
                let name = format!("{}._domainkey.{}", selector.as_written(), dkim_domain.as_written());
                Subject::Key(name.to_ascii_lowercase())
            }
            Change::AuthorizeSource { spf_domain, .. } | Change::RepairSpf { spf_domain } => {
                Subject::Spf(spf_domain.as_written().to_ascii_lowercase())
            }
            Change::RelaxAlignment { tags } => Subject::Dmarc(tags),
            _ => return None,
        };
        let policy_domain = action.policy_domain.as_written();
        let dmarc = format!("_dmarc.{policy_domain}");
        let last = period.to().saturating_add(DAYS_AFTER.days());
        let concerns = |change: &&DnsChange| {
            let of_subject = match &subject {
                Subject::Key(name) => change.name == *name && change.record_type != RecordType::Mx,
                Subject::Spf(domain) => {
                    let of_record = change.record_type == RecordType::Txt
                        && change.before.iter().chain(&change.after).any(|text| is_spf(text));
                    let of_alias = change.record_type == RecordType::Cname && change.name == *domain;
                    (change.domain == *domain || change.domain == policy_domain) && (of_record || of_alias)
                }
                Subject::Dmarc(_) => change.name == dmarc && change.record_type == RecordType::Txt,
            };
            of_subject && change.day() <= last
        };
        let mut changes: Vec<&'h DnsChange> = history.changes.iter().filter(concerns).collect();
        // The same record may be looked up on behalf of several domains.
        changes.dedup_by(|a, b| a.at == b.at && a.name == b.name && a.record_type == b.record_type);
        (!changes.is_empty()).then_some(Self { action, subject, history, changes })
    }

    /// The change that explains the action, and the one that repairs it.
    fn changes(&self) -> (Option<&'h DnsChange>, Option<&'h DnsChange>) {
        let cause = self.cause();
        (cause, self.repaired(cause))
    }

    /// The change that removed what the mail passed with: the nearest one.
    fn cause(&self) -> Option<&'h DnsChange> {
        let breaking = self.near().filter(|(_, change)| self.breaks(change));
        breaking.min_by_key(|(days, _)| *days).map(|(_, change)| change)
    }

    /// The changes near the first day of the current failures, the first failing day ever seen, or the first day of the last
    /// break, and how many days from it. The first of these is unknown once the mail passes again.
    fn near(&self) -> impl Iterator<Item = (i32, &'h DnsChange)> {
        let tracking = &self.action.tracking;
        let begun = [self.action.since, tracking.first_seen].into_iter().flatten().map(number);
        let begun = begun.chain(tracking.broke.map(|(first, _)| first));
        self.changes.iter().filter_map(move |change| {
            let day = number(change.day());
            let near = begun.clone().filter(|since| (since - DAYS_BEFORE..=since + DAYS_AFTER).contains(&day));
            near.map(|since| (day + 1 - since).abs()).min().map(|days| (days, *change))
        })
    }

    /// The last change after the cause that restores what the mail passes with, if nothing removed it again.
    fn repaired(&self, cause: Option<&DnsChange>) -> Option<&'h DnsChange> {
        let begun = match (cause, self.action.since) {
            (Some(cause), _) => cause.at,
            (None, Some(since)) => Offset::UTC.to_timestamp(since.at(0, 0, 0, 0)).ok()?,
            // It never passed: any change may be the requested one.
            (None, None) => Timestamp::MIN,
        };
        let lost = if cause.is_some() { self.lost() } else { Vec::new() };
        let after = || self.changes.iter().filter(|change| change.at > begun);
        let repair = after().rfind(|change| self.restores(change, &lost))?;
        let broken_again = after().any(|change| change.at > repair.at && self.breaks(change));
        (!broken_again).then_some(*repair)
    }

    /// Whether a change removes what the mail passed with.
    fn breaks(&self, change: &DnsChange) -> bool {
        match &self.subject {
            Subject::Key(_) => !change.before.is_empty(),
            Subject::Spf(domain) => self.named(domain, change).any(|(before, after)| after < before),
            Subject::Dmarc(tags) => {
                tags.iter().any(|tag| is_strict(&change.after, tag) && !is_strict(&change.before, tag))
            }
        }
    }

    /// The addresses, also those that the action only follows, that the changes at the break took from the SPF record. What
    /// failed for another reason is not among them, nor are strangers, for whom a record that cannot be evaluated fails too.
    fn lost(&self) -> Vec<IpAddr> {
        let (Subject::Spf(domain), Change::AuthorizeSource { .. }) = (&self.subject, &self.action.change) else {
            return Vec::new();
        };
        let taken = |source: &&IpAddr| {
            self.near().any(|(_, change)| {
                let (before, after) = self.compared(domain, **source, change);
                before == Authorized::Yes && after < before
            })
        };
        self.action.followed.iter().filter(taken).copied().collect()
    }

    /// Whether a change restores what the mail passes with: of SPF, each address that is named and each that was lost, in one
    /// step or several if it is known what was lost (`lost` is not empty).
    fn restores(&self, change: &DnsChange, lost: &[IpAddr]) -> bool {
        match &self.subject {
            Subject::Key(_) => change.after.iter().any(|text| !is_revoked(text)),
            Subject::Spf(domain) => {
                let of_lost = lost.iter().map(|source| self.compared(domain, *source, change));
                let compared: Vec<_> = self.named(domain, change).chain(of_lost).collect();
                let rises = |(before, after): &(Authorized, Authorized)| before < after;
                compared.iter().all(|(_, after)| *after == Authorized::Yes)
                    && compared.iter().any(rises)
                    && (!lost.is_empty() || compared.iter().all(rises))
            }
            Subject::Dmarc(tags) => {
                let strict = |texts: &[String]| tags.iter().any(|tag| is_strict(texts, tag));
                strict(&change.before) && !strict(&change.after)
            }
        }
    }

    /// Whether SPF authorized each address that the action names before and after a change.
    fn named<'b>(
        &'b self,
        domain: &'b str,
        change: &'b DnsChange,
    ) -> impl Iterator<Item = (Authorized, Authorized)> + 'b {
        self.action.sources.iter().map(move |source| self.compared(domain, *source, change))
    }

    /// Whether SPF authorized an address before and after a change.
    fn compared(&self, domain: &str, source: IpAddr, change: &DnsChange) -> (Authorized, Authorized) {
        let before = change.at.checked_sub(SignedDuration::from_millis(1)).unwrap_or(change.at);
        let at = |time| authorized(self.history, domain, source, time);
        (at(before), at(change.at))
    }
}

/// Whether one of these DMARC records asks for strict alignment by a tag; case makes no difference (RFC 7489 section 6.4).
fn is_strict(records: &[String], tag: &str) -> bool {
    records.iter().any(|text| Tags::parse(text).get(tag).is_some_and(|mode| mode.eq_ignore_ascii_case("s")))
}

/// A key record with an empty `p=` (RFC 6376 section 3.6.1).
fn is_revoked(text: &str) -> bool {
    Tags::parse(text).get("p").is_some_and(str::is_empty)
}

/// Counts the effect of the repairs of some actions, in rows that are read a second time.
#[derive(Debug)]
pub struct RepairCount {
    /// The actions with a repair, by source.
    by_source: HashMap<SourceAddress, Vec<usize>>,
    domains: Vec<(usize, String, i32)>,
    from: i32,
    to: i32,
    counts: Mutex<BTreeMap<usize, RepairRows>>,
}

/// What the rows say about one action.
#[derive(Debug, Default)]
struct RepairRows {
    failing_before: u64,
    /// Since the repair.
    days: BTreeMap<i32, RepairDay>,
    /// Reporters since the repair: a number for each, and the failing messages it saw.
    reporters: BTreeMap<String, (usize, u64)>,
}

/// One day since a repair.
#[derive(Debug, Default)]
struct RepairDay {
    messages: u64,
    failing: u64,
    reporters: BTreeSet<usize>,
}

impl RepairRows {
    fn add(&mut self, day: i32, reporter: &str, messages: u64, failing: u64) {
        let next = self.reporters.len();
        let (number, failures) = self.reporters.entry(reporter.to_owned()).or_insert((next, 0));
        *failures = failures.saturating_add(failing);
        let of_day = self.days.entry(day).or_default();
        of_day.messages = of_day.messages.saturating_add(messages);
        of_day.failing = of_day.failing.saturating_add(failing);
        of_day.reporters.insert(*number);
    }

    /// The day on which several reporters had seen mail pass on several days, one after the other. A stray failure does not
    /// begin it anew.
    fn proven_on(&self) -> Option<i32> {
        let (mut days, mut reporters): (usize, BTreeSet<usize>) = (0, BTreeSet::new());
        for (day, of_day) in &self.days {
            if of_day.is_bad() {
                (days, reporters) = (0, BTreeSet::new());
                continue;
            }
            days += 1;
            reporters.extend(&of_day.reporters);
            if days >= PROVING_DAYS && reporters.len() >= PROVING_REPORTERS {
                return Some(*day);
            }
        }
        None
    }

    /// How far the repair is proven at the end of a period that begins on a day; `None` if it was already proven before.
    fn state(&self, from: i32, ended: bool, still_broken: bool) -> Option<ActionState> {
        let proven = self.proven_on().filter(|_| !still_broken);
        let broken_again = self.days.range(from..).any(|(_, day)| day.is_bad());
        if ended && proven.is_some_and(|day| day < from) && !broken_again {
            return None;
        }
        let clean = self.days.values().all(|day| day.failing == 0);
        Some(if proven.is_some() && clean { ActionState::Fixed } else { ActionState::Published })
    }
}

impl RepairDay {
    /// Whether more failed than strays.
    fn is_bad(&self) -> bool {
        self.failing > 0 && Messages(self.failing).is_one_in(BROKEN_ONE_IN, Messages(self.messages))
    }
}

impl RepairCount {
    /// The columns that it needs.
    pub const COLUMNS: ColumnSet = ColumnSet::DAY
        .with(ColumnSet::SOURCE)
        .with(ColumnSet::COUNT)
        .with(ColumnSet::FLAGS)
        .with(ColumnSet::POLICY_DOMAIN)
        .with(ColumnSet::ORG_NAME);

    /// For the actions of a period; `None` if none of them has a repair.
    pub fn new(actions: &[Action], period: &SummaryPeriod) -> Option<Self> {
        let (from, to) = (number(period.from?), number(period.to?));
        let mut by_source: HashMap<SourceAddress, Vec<usize>> = HashMap::new();
        let mut domains = Vec::new();
        for (at, action) in actions.iter().enumerate() {
            let Some(repair) = &action.repair else { continue };
            domains.push((at, action.policy_domain.as_written().to_owned(), number(repair.since)));
            for source in &action.followed {
                by_source.entry(Some(*source).into()).or_default().push(domains.len() - 1);
            }
        }
        (!domains.is_empty()).then(|| Self { by_source, domains, from, to, counts: Mutex::default() })
    }

    /// The days that it needs, both inclusive, and the policy domains.
    pub fn reads(&self) -> (Date, Date, Vec<String>) {
        let first = self.domains.iter().map(|(_, _, since)| *since).min().unwrap_or(self.to);
        let mut domains: Vec<String> = self.domains.iter().map(|(_, domain, _)| domain.clone()).collect();
        domains.sort();
        domains.dedup();
        (date(first).saturating_sub(COMPARED.days()), date(self.to), domains)
    }

    /// Adds rows.
    pub fn rows(&self, rows: &Rows) {
        for row in 0..rows.len {
            for repair in self.by_source.get(&rows.source[row]).into_iter().flatten() {
                let (at, domain, since) = &self.domains[*repair];
                if rows.policy_domain.get(row) != Some(domain) || rows.day[row] > self.to {
                    continue;
                }
                let messages = u64::try_from(rows.count[row]).unwrap_or(0);
                let failing = if rows.flags[row].has(Flags::PASS) { 0 } else { messages };
                let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
                let counted = counts.entry(*at).or_default();
                if rows.day[row] >= *since {
                    counted.add(rows.day[row], rows.org_name.get(row).unwrap_or_default(), messages, failing);
                } else if i64::from(rows.day[row]) >= i64::from(*since) - COMPARED {
                    counted.failing_before = counted.failing_before.saturating_add(failing);
                }
            }
        }
    }

    /// Writes the counts into the same actions. A repair has worked if several reporters saw no failure for several days; one
    /// that was proven before the period is left out.
    pub fn finish(self, actions: &mut Vec<Action>) {
        let mut over = BTreeSet::new();
        for (at, counted) in self.counts.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let Some(action) = actions.get_mut(at) else { continue };
            let Some(repair) = &mut action.repair else { continue };
            match counted.state(self.from, action.tracking.ended, repair.still_broken) {
                Some(state) => action.tracking.state = state,
                None => {
                    over.insert(at);
                }
            }
            let sum = |of: fn(&RepairDay) -> u64| counted.days.values().map(of).fold(0, u64::saturating_add);
            repair.failing_before = counted.failing_before;
            repair.messages = sum(|day| day.messages);
            repair.failing = sum(|day| day.failing);
            repair.reporters = counted.reporters.len() as u64;
            let failing = counted.reporters.iter().filter(|(_, (_, failures))| *failures > 0);
            repair.still_failing = failing.map(|(name, _)| name.as_str().into()).collect();
        }
        let mut at = 0..;
        actions.retain(|_| at.next().is_none_or(|at| !over.contains(&at)));
        // What is still to be done goes before what is done.
        actions.sort_by_key(|action| action.tracking.state == ActionState::Fixed);
    }
}
