//! What to do: at most five changes that would mend legitimate mail, each with its evidence. In: broken signatures,
//! services that do not align, senders that SPF forgot. Out: [`Action`]s, or silence where the evidence is thin.

use super::{
    Foreign,
    fold::Folded,
    groups::Item,
    interner::{NONE, Table},
    period::date,
    roles::Vendors,
    seen::Reporters,
    signing::{Break, Signing},
    summary::form,
    view::{Path, Shape, Signed, View},
};
use crate::model::{Cause, Source};
use jiff::civil::Date;
use serde::Serialize;
use std::{cmp::Reverse, net::IpAddr};

/// How many actions are told: more would not be done in a week.
const MOST: usize = 5;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Action {
    /// For which domain.
    pub policy_domain: Foreign,
    /// The change to make.
    #[serde(flatten)]
    pub change: Change,
    /// The cause it mends.
    #[serde(serialize_with = "form::cause")]
    pub cause: Cause,
    /// The sources with most messages, three at most.
    pub sources: Vec<IpAddr>,
    /// How many addresses there are.
    pub addresses: u64,
    /// Messages in the period that show it.
    pub messages: u64,
    /// Of them, those that fail DMARC.
    pub failing: u64,
    /// Reporters that saw it.
    pub reporters: u64,
    /// The first day of the period that shows it; null where the whole period does.
    #[serde(serialize_with = "form::day_or_null")]
    pub since: Option<Date>,
    /// How sure it is.
    pub confidence: Confidence,
}

/// How sure an action is. What is less sure is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Several independent signs.
    High,
    /// It fits, and little else would.
    Medium,
}

/// A change to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// Mend the key of a selector, or the signing with it.
    RepairKey {
        /// The signing domain, `d=`.
        dkim_domain: Foreign,
        /// The selector, `s=`.
        selector: Option<Foreign>,
        /// What is wrong with it.
        fault: KeyFault,
        /// The same key verifies from other sources at the same time: the key is good, these sources are not.
        works_elsewhere: bool,
    },
    /// Let a service sign, or return mail, as the domain.
    AlignSender {
        /// What the service authenticates as.
        organization: Foreign,
        /// It signs as itself; else only its return path passes.
        signs: bool,
    },
    /// Authorize addresses in the SPF record.
    AuthorizeSource {
        /// The domain of the return path.
        spf_domain: Foreign,
    },
    /// Mend an SPF record that cannot be evaluated.
    RepairSpf {
        /// The domain of the return path.
        spf_domain: Foreign,
    },
}

/// What is wrong with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFault {
    /// It cannot be found or read.
    Missing,
    /// It is refused as too weak.
    Weak,
    /// Signatures do not fit it.
    Mismatch,
}

/// Everything worth doing, most failing legitimate messages first, five at most.
pub(crate) fn actions(view: &View<'_>, folded: &Folded, vendors: &Vendors) -> Vec<Action> {
    let mut actions = repair_keys(view, &folded.signing);
    actions.extend(align_senders(view, vendors));
    actions.extend(authorize(view, folded));
    actions.extend(repair_spf(view));
    actions.sort_by_cached_key(order);
    actions.truncate(MOST);
    actions
}

fn order(action: &Action) -> impl Ord + use<> {
    let what = format!("{:?}", action.change);
    (
        Reverse(action.failing),
        Reverse(action.messages),
        action.policy_domain.clone(),
        what,
        action.sources.first().copied(),
    )
}

/// The start of something, where it started within the period.
fn since(view: &View<'_>, first: i32) -> Option<Date> {
    let start = view.added.question.period.map(|period| super::period::number(period.from()))?;
    (first > start).then(|| date(first))
}

fn addresses(largest: &[(Reverse<u64>, Source)]) -> Vec<IpAddr> {
    largest.iter().filter(|(messages, _)| messages.0 > 0).filter_map(|(_, source)| source.address()).collect()
}

fn repair_keys(view: &View<'_>, signing: &Signing) -> Vec<Action> {
    let good = good_days(view);
    let action = |((domain, dkim_domain, selector), found): ((u32, u32, u32), &Break)| {
        let alive = good.get(&(domain, dkim_domain, selector));
        // Good signatures that go on for two days after the break, in like numbers, are from other sources.
        let works_elsewhere =
            alive.is_some_and(|(last, messages)| *last >= found.first + 2 && *messages >= found.messages / 2);
        let confident = found.direct && found.good_before > 0 && found.reporters.len() >= 2;
        Action {
            policy_domain: view.foreign(domain),
            change: Change::RepairKey {
                dkim_domain: view.foreign(dkim_domain),
                selector: (selector != NONE).then(|| view.foreign(selector)),
                fault: fault(view, found),
                works_elsewhere,
            },
            cause: Cause::OwnSigningBroken,
            sources: addresses(&found.largest),
            addresses: found.addresses,
            messages: found.messages,
            failing: found.failing,
            reporters: found.reporters.len() as u64,
            since: if found.good_before > 0 { since(view, found.first) } else { None },
            confidence: if confident { Confidence::High } else { Confidence::Medium },
        }
    };
    // One reporter alone may be the one that is wrong: without a history it takes two.
    let told = |found: &Break| found.messages >= 20 && (found.reporters.len() >= 2 || found.good_before > 0);
    signing.breaks().filter(|(_, found)| told(found)).map(action).collect()
}

/// By key: the last day of the period with good signatures, and their messages.
fn good_days(view: &View<'_>) -> Table<(u32, u32, u32), (i32, u64)> {
    let mut good: Table<(u32, u32, u32), (i32, u64)> = Table::default();
    for (shape, of) in view.asked().filter(|(shape, _)| shape.signed == Signed::OwnPass) {
        let key = (shape.pattern.domain, shape.pattern.dkim_domain, shape.pattern.dkim_selector);
        let entry = good.entry(key).or_insert((i32::MIN, 0));
        *entry = (entry.0.max(of.last), entry.1.saturating_add(of.messages));
    }
    good
}

fn fault(view: &View<'_>, found: &Break) -> KeyFault {
    let named = found.results.iter().filter(|(word, _)| **word != NONE);
    let most =
        named.max_by_key(|(word, messages)| (**messages, Reverse(view.word(**word)))).map(|(word, _)| view.word(*word));
    match most {
        Some("permerror") => KeyFault::Missing,
        Some("policy") => KeyFault::Weak,
        _ => KeyFault::Mismatch,
    }
}

fn align_senders(view: &View<'_>, vendors: &Vendors) -> Vec<Action> {
    let asked = view.added.scope.asked;
    let mut actions = Vec::new();
    for ((domain, name), vendor) in vendors.iter().filter(|(_, vendor)| vendor.is_steady(asked)) {
        let lasting = vendor.past_windows(asked) >= 3 && vendor.reporters.len() >= 3;
        actions.push(Action {
            policy_domain: view.foreign(*domain),
            change: Change::AlignSender {
                organization: name.clone().into(),
                signs: vendor.with_signature > vendor.messages / 2,
            },
            cause: Cause::AuthenticatedUnaligned,
            sources: addresses(&vendor.largest()),
            addresses: vendor.addresses(),
            messages: vendor.messages,
            failing: vendor.messages,
            reporters: vendor.reporters.len() as u64,
            since: if vendor.past_windows(asked) == 0 { since(view, vendor.first) } else { None },
            confidence: if lasting { Confidence::High } else { Confidence::Medium },
        });
    }
    actions
}

/// Senders that are confirmed, use the domain's own return path, and are not in its SPF record.
fn authorize(view: &View<'_>, folded: &Folded) -> Vec<Action> {
    let mut paths: Table<(u32, Source), (u32, u64)> = Table::default();
    let lacking =
        |shape: &Shape| shape.asked && shape.path == Path::OwnFail && shape.pattern.cause == Cause::Unauthenticated;
    for Item { source, shape, fact, .. } in view.facts(lacking) {
        let entry = paths
            .entry((shape.pattern.domain, super::shards::network(source)))
            .or_insert((shape.pattern.return_path, 0));
        if (fact.messages, Reverse(view.word(shape.pattern.return_path))) > (entry.1, Reverse(view.word(entry.0))) {
            *entry = (shape.pattern.return_path, fact.messages);
        }
    }
    let mut actions = Vec::new();
    for cast in folded.gaps.sorted(view).into_iter().filter(|cast| cast.group.cause() == Cause::SpfGap) {
        let group = &cast.group;
        let (messages, reporters) = (group.causes.of(Cause::Unauthenticated), group.reporters.len());
        let Some((path, _)) = paths.get(&(group.domain, group.network)) else { continue };
        // Whoever passes only by a signature could be a forwarder: then it takes a history, or the reader's word.
        let lasting = group.signs.signed > 0 && group.windows_seen(view.added.scope.asked) >= 3;
        let confirmed = group.known || group.elsewhere.is_some() || lasting;
        if messages < 20 || reporters < 2 || !confirmed {
            continue;
        }
        actions.push(Action {
            policy_domain: view.foreign(group.domain),
            change: Change::AuthorizeSource { spf_domain: view.foreign(*path) },
            cause: Cause::SpfGap,
            sources: addresses(&group.largest),
            addresses: group.addresses,
            messages,
            failing: messages,
            reporters: reporters as u64,
            since: None,
            confidence: if group.known { Confidence::High } else { Confidence::Medium },
        });
    }
    actions
}

/// What receivers could make of one SPF record.
struct SpfHealth {
    errors: u64,
    failing: u64,
    evaluated: u64,
    first: i32,
    reporters: Reporters,
    largest: Vec<(Reverse<u64>, Source)>,
}

/// SPF records that most evaluations end at with a permanent error.
fn repair_spf(view: &View<'_>) -> Vec<Action> {
    let mut records: Table<(u32, u32), SpfHealth> = Table::default();
    let evaluated = |shape: &Shape| matches!(shape.path, Path::OwnError | Path::OwnPass | Path::OwnFail);
    for (shape, of) in view.asked().filter(|(shape, _)| evaluated(shape)) {
        let nobody = || SpfHealth {
            errors: 0,
            failing: 0,
            evaluated: 0,
            first: i32::MAX,
            reporters: Reporters::default(),
            largest: Vec::new(),
        };
        let health = records.entry((shape.pattern.domain, shape.pattern.return_path)).or_insert_with(nobody);
        health.evaluated = health.evaluated.saturating_add(of.messages);
    }
    for item in view.facts(|shape| shape.asked && shape.path == Path::OwnError) {
        let Item { source, shape, fact, .. } = item;
        let Some(health) = records.get_mut(&(shape.pattern.domain, shape.pattern.return_path)) else { continue };
        health.errors = health.errors.saturating_add(fact.messages);
        health.failing = health.failing.saturating_add(if shape.passes { 0 } else { fact.messages });
        health.first = health.first.min(fact.first);
        item.reporters(&mut health.reporters);
        health.largest.push((Reverse(fact.messages), source));
    }
    let broken = records.into_iter().filter(|(_, health)| {
        health.errors >= 20 && health.errors * 2 >= health.evaluated && health.reporters.len() >= 2
    });
    let action = |((domain, path), mut health): ((u32, u32), SpfHealth)| {
        health.largest.sort_unstable();
        let mut sources: Vec<Source> = health.largest.iter().map(|(_, source)| *source).collect();
        let mut seen = std::collections::BTreeSet::new();
        sources.retain(|source| seen.insert(*source));
        let addresses = sources.len() as u64;
        sources.truncate(3);
        Action {
            policy_domain: view.foreign(domain),
            change: Change::RepairSpf { spf_domain: view.foreign(path) },
            cause: if health.failing > 0 { Cause::Unauthenticated } else { Cause::PassDkimOnly },
            sources: sources.into_iter().filter_map(Source::address).collect(),
            addresses,
            messages: health.errors,
            failing: health.failing,
            reporters: health.reporters.len() as u64,
            since: since(view, health.first),
            confidence: if health.reporters.len() >= 3 { Confidence::High } else { Confidence::Medium },
        }
    };
    broken.map(action).collect()
}
