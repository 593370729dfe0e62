//! The pass over all senders, part by part and on all cores: each is cast in its role and folded at once, so that memory
//! does not grow with their number. In: facts, services, volumes. Out: [`Folded`].

use super::{
    changes::{self, Pools},
    groups::{self, Authorized, Group, NOTABLE},
    readiness::Losses,
    roles::{self, Role, Vendors},
    senders::{Cast, Spoofing, reading_order},
    shards::{Part, network},
    signing::Signing,
    view::View,
};
use crate::model::Cause;
use rayon::prelude::*;
use std::{cmp::Ordering, collections::BTreeMap};

/// How many senders of a kind are kept; what is summed is complete all the same.
const KEPT: usize = 500;

/// All senders, folded.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    /// By domain id.
    pub(crate) domains: BTreeMap<u32, DomainFold>,
    /// Those with messages in the period, the first in reading order.
    pub(crate) senders: Top,
    /// Those that may be new, gone or moved.
    pub(crate) changed: Top,
    /// Those whose SPF record may lack them.
    pub(crate) gaps: Top,
    /// Windows by what identifies a sender whose addresses change.
    pub(crate) pools: Pools,
    pub(crate) signing: Signing,
}

/// What the senders of one domain come to.
#[derive(Debug, Default)]
pub(crate) struct DomainFold {
    pub(crate) losses: Losses,
    pub(crate) spoofing: Spoofing,
    /// Messages of suspects.
    pub(crate) suspects: u64,
}

/// The first few of many senders, in some order. Whatever the order of adding, the same ones stay.
#[derive(Debug, Default)]
pub(crate) struct Top {
    kept: Vec<Cast>,
    /// As many as are kept were found, the last of them at its place: what comes after it is none of them.
    full: bool,
}

/// What the pass needs to know.
struct Pass<'a> {
    view: &'a View<'a>,
    vendors: &'a Vendors,
    volumes: &'a BTreeMap<u32, u64>,
}

/// Fold all senders. `volumes` are the domains' messages in the period.
pub(crate) fn fold(view: &View<'_>, vendors: &Vendors, volumes: &BTreeMap<u32, u64>) -> Folded {
    let pass = Pass { view, vendors, volumes };
    let parts = &view.added.facts;
    let add = |mut all: Folded, part: &Part| {
        pass.part(&mut all, part);
        all
    };
    let merge = |mut all: Folded, more: Folded| {
        all.merge(view, more);
        all
    };
    parts.par_iter().fold(Folded::default, add).reduce(Folded::default, merge)
}

impl Pass<'_> {
    fn part(&self, folded: &mut Folded, part: &Part) {
        let items = groups::items(self.view, part);
        let authorized = Authorized::of(&items);
        let place = |item: &groups::Item<'_>| (item.shape.pattern.domain, network(item.source));
        for network in items.chunk_by(|a, b| place(a) == place(b)) {
            let sources = network.chunk_by(|a, b| a.source == b.source);
            for group in groups::groups(self.view, sources, &authorized, &mut folded.signing) {
                self.add(folded, group);
            }
        }
    }

    fn add(&self, folded: &mut Folded, group: Group) {
        let volume = self.volumes.get(&group.domain).copied().unwrap_or(0);
        let (role, evidence) = roles::role(self.view, &group, self.vendors, volume);
        let cast = Cast { group, role, evidence };
        let (group, asked) = (&cast.group, self.view.added.scope.asked);
        changes::add_to_pool(&mut folded.pools, group);
        let domain = folded.domains.entry(group.domain).or_default();
        domain.losses.add(self.view, &cast);
        if role == Role::Suspect {
            domain.spoofing.add(group);
            domain.suspects = domain.suspects.saturating_add(group.sums.messages);
        }
        if changes::may_have_changed(group, asked) {
            folded.changed.push(self.view, cast.clone());
        }
        if role == Role::Own && group.causes.of(Cause::Unauthenticated) >= 20 {
            folded.gaps.push(self.view, cast.clone());
        }
        // A suspect below the least that can stand out is summed already.
        if group.sums.records > 0 && (role != Role::Suspect || group.sums.messages >= NOTABLE) {
            folded.senders.push(self.view, cast);
        }
    }
}

impl Folded {
    fn merge(&mut self, view: &View<'_>, other: Self) {
        for (id, more) in other.domains {
            let domain = self.domains.entry(id).or_default();
            domain.losses.merge(more.losses);
            domain.spoofing.merge(&more.spoofing);
            domain.suspects = domain.suspects.saturating_add(more.suspects);
        }
        for (top, more) in
            [(&mut self.senders, other.senders), (&mut self.changed, other.changed), (&mut self.gaps, other.gaps)]
        {
            more.kept.into_iter().for_each(|cast| top.push(view, cast));
        }
        changes::merge_pools(&mut self.pools, other.pools);
        self.signing.merge(other.signing);
    }
}

impl Top {
    fn push(&mut self, view: &View<'_>, cast: Cast) {
        if self.full && compare(view, &cast, &self.kept[KEPT - 1]).is_gt() {
            return;
        }
        self.kept.push(cast);
        if self.kept.len() >= 4 * KEPT {
            self.kept.select_nth_unstable_by(KEPT - 1, |a, b| compare(view, a, b));
            self.kept.truncate(KEPT);
            self.full = true;
        }
    }

    /// Those kept, in reading order.
    pub(crate) fn sorted(&self, view: &View<'_>) -> Vec<&Cast> {
        let mut sorted: Vec<&Cast> = self.kept.iter().collect();
        sorted.sort_unstable_by(|a, b| compare(view, a, b));
        sorted.truncate(KEPT);
        sorted
    }
}

/// Reading order; senders that are equal in it go by domain, network and identities. Of those gone, the last windows count.
fn compare(view: &View<'_>, a: &Cast, b: &Cast) -> Ordering {
    let identity = |cast: &Cast| (view.word(cast.group.domain).to_owned(), cast.group.network);
    reading_order(a)
        .cmp(&reading_order(b))
        .then_with(|| b.group.windows.iter().rev().cmp(a.group.windows.iter().rev()))
        .then_with(|| identity(a).cmp(&identity(b)))
        .then_with(|| (&a.group.signer, &a.group.returns_to).cmp(&(&b.group.signer, &b.group.returns_to)))
}
