//! Senders that are new, gone, or whose pass rate changed, with thresholds that small counts do not reach.

use super::senders::{SenderName, name, stands_out};
use crate::analyze::figures::trend::{WindowSums, median, rate_moved};
use crate::analyze::period::date;
use crate::analyze::senders::{Folded, Role, SenderGroup, View, WINDOWS, compare};
use crate::analyze::{Rate, Sums, Totals};
use crate::model::Cause;
use jiff::civil::Date;
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// A sender with this many messages per period is not small.
const NOT_SMALL: u64 = 20;

/// How a sender differs from what it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SenderChange {
    /// Who.
    #[serde(flatten)]
    pub who: SenderName,
    /// Its cause now; `None` if it vanished.
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
    pub first_seen: Date,
    /// The last day it was seen.
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
    /// Its pass rate changed.
    pub moved: Vec<SenderChange>,
}

/// Whether a sender is big enough to be listed as new, gone or changed, and may be one of them.
pub(super) fn may_have_changed(group: &SenderGroup, current: u8) -> bool {
    let new = group.sums.messages >= NOT_SMALL && group.windows_seen(current) == 0;
    let gone = group.sums.messages == 0 && group.past(current).any(|(messages, _)| messages >= NOT_SMALL);
    new || gone || has_moved(group, current)
}

/// What the comparison has to know besides the sender.
pub(super) struct Surroundings<'a> {
    /// Silent reporters, which explain why something is no longer seen.
    pub(super) silent: &'a BTreeSet<u32>,
    /// Totals of the period, by domain.
    pub(super) totals: &'a BTreeMap<u32, Totals>,
    /// The period is over.
    pub(super) complete: bool,
}

/// Compares every sender with its history.
pub(super) fn changes(view: &View<'_>, folded: &Folded, around: &Surroundings<'_>) -> SenderChanges {
    let current = view.added.scope.current;
    let mut changes = SenderChanges::default();
    // Earlier periods with data, by domain.
    let mut with_data: BTreeMap<u32, usize> = BTreeMap::new();
    for group in folded.changed.sorted(|a, b| compare(view, a, b)) {
        // A domain without any reports is listed as such.
        let Some(totals) = around.totals.get(&group.domain) else { continue };
        let with_data = with_data.entry(group.domain);
        if *with_data.or_insert_with(|| WindowSums::new(view, Some(group.domain)).with_data()) < 2 {
            continue;
        }
        let pool = folded.pools.get(&(group.domain, group.signer, group.returns_to)).copied().unwrap_or_default();
        let suspects = folded.domains.get(&group.domain).map_or(0, |domain| domain.suspects);
        let notable = group.role != Role::Suspect || stands_out(group.sums.messages, totals.sums.messages, suspects);
        if notable && is_new(group, &pool, current) {
            changes.new.push(change(view, group));
        } else if around.complete && has_vanished(group, &pool, around.silent, current) {
            changes.vanished.push(change(view, group));
        } else if has_moved(group, current) {
            changes.moved.push(change(view, group));
        }
    }
    for list in [&mut changes.new, &mut changes.vanished, &mut changes.moved] {
        list.sort_by_cached_key(order);
        list.truncate(50);
    }
    changes
}

fn order(change: &SenderChange) -> impl Ord + use<> {
    let who = &change.who;
    let identity = (who.policy_domain.clone(), who.address, who.signs_as.clone(), who.returns_to.clone());
    (Reverse(change.messages.max(change.messages_usual)), identity)
}

/// Never seen before, nor its pool, and not small.
fn is_new(group: &SenderGroup, pool: &[u64; WINDOWS], current: u8) -> bool {
    let proves_nothing = group.signer.is_none() && group.returns_to.is_none();
    let pool_is_old = pool[..usize::from(current)].iter().any(|messages| *messages > 0);
    group.sums.messages >= NOT_SMALL
        && group.windows_seen(current) == 0
        && if proves_nothing { !group.seen_before } else { !pool_is_old }
}

/// Not small in at least three of the last four periods, absent in this one although a reporter that saw it still
/// reports, and not replaced by another address of its pool.
fn has_vanished(group: &SenderGroup, pool: &[u64; WINDOWS], silent: &BTreeSet<u32>, current: u8) -> bool {
    let last_four: Vec<u64> = group.past(current).take(4).map(|(messages, _)| messages).collect();
    let pool_four: Vec<u64> = pool[..usize::from(current)].iter().rev().take(4).copied().collect();
    let times = last_four.iter().filter(|messages| **messages >= NOT_SMALL).count();
    let (usual, pool_usual) = (median(last_four).unwrap_or(0), median(pool_four).unwrap_or(0));
    group.sums.messages == 0
        && matches!(group.role, Role::Own | Role::Vendor)
        && times >= 3
        && usual >= NOT_SMALL
        && group.past_reporters.ids().any(|reporter| !silent.contains(&reporter))
        && pool[usize::from(current)] <= pool_usual.saturating_sub(usual / 2)
}

/// Its pass rate changed by ten points or more.
fn has_moved(group: &SenderGroup, current: u8) -> bool {
    if group.sums.messages < NOT_SMALL {
        return false;
    }
    let past: Vec<Sums> = group.past(current).map(sums).collect();
    rate_moved(&group.sums, &past.iter().collect::<Vec<_>>(), 0.1)
}

fn sums((messages, dmarc_pass): (u64, u64)) -> Sums {
    Sums { messages, dmarc_pass, ..Sums::default() }
}

fn change(view: &View<'_>, group: &SenderGroup) -> SenderChange {
    let current = view.added.scope.current;
    let mut past = Sums::default();
    group.past(current).for_each(|window| past.merge(&sums(window)));
    SenderChange {
        who: name(view, &group.profile()),
        cause: (group.sums.records > 0).then(|| group.cause()),
        messages: group.sums.messages,
        pass_rate: group.sums.pass_rate(),
        messages_usual: median(group.past(current).take(4).map(|(messages, _)| messages).collect()).unwrap_or(0),
        pass_rate_usual: past.pass_rate(),
        first_seen: date(group.span.first().unwrap_or_default()),
        last_seen: date(group.span.last().unwrap_or_default()),
        reporters: group.reporters.len() as u64,
    }
}
