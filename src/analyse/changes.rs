//! Senders that are new, gone, or whose pass rate moved, against a baseline that small counts cannot trip. In: senders with
//! their windows. Out: [`SenderChange`]s.

use super::{
    Rate, Sums,
    period::date,
    roles::Role,
    senders::{Cast, SenderName, name, stands_out},
    summary::form,
    trend::{median, rate_moved},
    view::View,
};
use crate::model::{Cause, Text};
use jiff::civil::Date;
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// A sender is not small from so many messages a period.
const NOT_SMALL: u64 = 20;

/// How a sender differs from what it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SenderChange {
    /// Who.
    #[serde(flatten)]
    pub who: SenderName,
    /// What it is now; of a vanished one, nothing.
    #[serde(serialize_with = "form::cause_or_null")]
    pub cause: Option<Cause>,
    /// Messages in the period.
    pub messages: u64,
    /// Its pass rate in the period.
    pub pass_rate: Option<Rate>,
    /// The median of its messages in the last four periods.
    pub messages_usual: u64,
    /// Its pass rate in the history.
    pub pass_rate_usual: Option<Rate>,
    /// The first day it was seen, in all that was read.
    #[serde(serialize_with = "form::day")]
    pub first_seen: Date,
    /// The last day it was seen.
    #[serde(serialize_with = "form::day")]
    pub last_seen: Date,
    /// Reporters in the period.
    pub reporters: u64,
}

/// The three lists, each with most messages first.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SenderChanges {
    /// Not seen in the history.
    pub new: Vec<SenderChange>,
    /// Steady in the history, not seen in the period.
    pub vanished: Vec<SenderChange>,
    /// Its pass rate moved.
    pub moved: Vec<SenderChange>,
}

/// What identifies a sender whose addresses change, as those of a pool do: the domain and the proven identities.
type Identity = (u32, Option<Text>, Option<Text>);

fn identity(cast: &Cast) -> Identity {
    (cast.group.domain, cast.group.signer.clone(), cast.group.returns_to.clone())
}

/// Compare every sender with its history. `silent` are reporters whose silence explains what is not seen any more;
/// `with_data` the number of earlier periods with data by domain; `complete` that the period is over.
pub(crate) fn changes(
    view: &View<'_>,
    cast: &[Cast],
    silent: &BTreeSet<u32>,
    (with_data, complete): (&BTreeMap<u32, usize>, bool),
) -> SenderChanges {
    let asked = view.adder.scope.asked;
    let mut pools: BTreeMap<Identity, Vec<(u64, u64)>> = BTreeMap::new();
    let (mut volumes, mut suspects): (BTreeMap<u32, u64>, BTreeMap<u32, u64>) = Default::default();
    for cast in cast {
        let pool = pools.entry(identity(cast)).or_insert_with(|| vec![(0, 0); cast.group.windows.len()]);
        for (sum, more) in pool.iter_mut().zip(cast.group.windows) {
            *sum = (sum.0.saturating_add(more.0), sum.1.saturating_add(more.1));
        }
        let messages = cast.group.sums.messages;
        let add = |sums: &mut BTreeMap<u32, u64>| {
            let sum = sums.entry(cast.group.domain).or_default();
            *sum = sum.saturating_add(messages);
        };
        add(&mut volumes);
        if cast.role == Role::Suspect {
            add(&mut suspects);
        }
    }
    let mut changes = SenderChanges::default();
    for cast in cast {
        let of = |sums: &BTreeMap<u32, u64>| sums.get(&cast.group.domain).copied().unwrap_or(0);
        if with_data.get(&cast.group.domain).copied().unwrap_or(0) < 2 {
            continue;
        }
        let pool = &pools[&identity(cast)];
        let notable = cast.role != Role::Suspect || stands_out(cast.group.sums.messages, of(&volumes), of(&suspects));
        if notable && is_new(cast, pool, asked) {
            changes.new.push(change(view, cast));
        } else if complete && has_vanished(cast, pool, silent, asked) {
            changes.vanished.push(change(view, cast));
        } else if has_moved(cast, asked) {
            changes.moved.push(change(view, cast));
        }
    }
    for list in [&mut changes.new, &mut changes.vanished, &mut changes.moved] {
        list.sort_by(|a, b| order(a).cmp(&order(b)));
        list.truncate(50);
    }
    changes
}

fn order(change: &SenderChange) -> impl Ord + use<> {
    let who = &change.who;
    let identity = (who.policy_domain.clone(), who.address, who.signs_as.clone(), who.returns_to.clone());
    (Reverse(change.messages.max(change.messages_usual)), identity)
}

/// Never seen before, nor its pool, and not small. Whoever proves the domain's own identities by SPF is no news.
fn is_new(cast: &Cast, pool: &[(u64, u64)], asked: u8) -> bool {
    let proves_nothing = cast.group.signer.is_none() && cast.group.returns_to.is_none();
    let pool_is_old = pool[..usize::from(asked)].iter().any(|(messages, _)| *messages > 0);
    cast.group.sums.messages >= NOT_SMALL && cast.group.windows_seen(asked) == 0 && (proves_nothing || !pool_is_old)
}

/// Not small in at least three of the last four periods, nothing in this one, though somebody still reports who saw it,
/// and no other address of its pool took over.
fn has_vanished(cast: &Cast, pool: &[(u64, u64)], silent: &BTreeSet<u32>, asked: u8) -> bool {
    let last_four: Vec<u64> = cast.group.past(asked).take(4).map(|(messages, _)| messages).collect();
    let usual = median(last_four.clone()).unwrap_or(0);
    let mut still_reports = false;
    cast.group.past_reporters.each(|reporter| still_reports |= !silent.contains(&reporter));
    let pool_usual =
        median(pool[..usize::from(asked)].iter().rev().take(4).map(|(messages, _)| *messages).collect()).unwrap_or(0);
    let pool_now = pool[usize::from(asked)].0;
    cast.group.sums.messages == 0
        && matches!(cast.role, Role::Own | Role::Vendor)
        && last_four.iter().filter(|messages| **messages >= NOT_SMALL).count() >= 3
        && usual >= NOT_SMALL
        && still_reports
        && pool_now <= pool_usual.saturating_sub(usual / 2)
}

/// Its pass rate moved by ten points or more.
fn has_moved(cast: &Cast, asked: u8) -> bool {
    let past: Vec<Sums> = cast.group.past(asked).map(sums).collect();
    rate_moved(&cast.group.sums, &past.iter().collect::<Vec<_>>(), 0.1)
}

fn sums((messages, dmarc_pass): (u64, u64)) -> Sums {
    Sums { messages, dmarc_pass, ..Sums::default() }
}

fn change(view: &View<'_>, cast: &Cast) -> SenderChange {
    let (group, asked) = (&cast.group, view.adder.scope.asked);
    let mut past = Sums::default();
    group.past(asked).for_each(|window| past.merge(&sums(window)));
    SenderChange {
        who: name(view, group, cast.role),
        cause: (group.sums.records > 0).then(|| group.cause()),
        messages: group.sums.messages,
        pass_rate: group.sums.pass_rate(),
        messages_usual: median(group.past(asked).take(4).map(|(messages, _)| messages).collect()).unwrap_or(0),
        pass_rate_usual: past.pass_rate(),
        first_seen: date(group.first),
        last_seen: date(group.last),
        reporters: group.reporters.len() as u64,
    }
}
