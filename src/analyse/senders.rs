//! Senders as the reader sees them: the failing first, in the order of what a person can fix, the spoofing tail folded.

use super::{
    Foreign, Sums,
    groups::Group,
    period::date,
    roles::{self, Evidence, Role, Vendors},
    summary::form,
    view::View,
};
use crate::model::Cause;
use jiff::civil::Date;
use serde::Serialize;
use std::{cmp::Reverse, collections::BTreeMap, net::IpAddr};

/// How many senders an answer keeps; the sources are complete all the same.
const KEPT: usize = 500;

/// Who a sender is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SenderName {
    /// The domain it sends as.
    pub policy_domain: Foreign,
    /// Its only address, or the first of its /24 or /64; null for the unknown source.
    pub address: Option<IpAddr>,
    /// How many leading bits of `address` count: 24 or 64 for a network, 32 or 128 for a single address.
    pub prefix: u8,
    /// Addresses seen in the period.
    pub addresses: u64,
    /// Its name, where somebody looked it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Foreign>,
    /// The organisation whose signature its mail bears.
    pub signs_as: Option<Foreign>,
    /// The organisation that SPF proves for it.
    pub returns_to: Option<Foreign>,
    /// What it is.
    pub role: Role,
}

/// One sender of one domain: the addresses of a network that prove the same identities.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sender {
    /// Who.
    #[serde(flatten)]
    pub who: SenderName,
    /// The diagnosis.
    #[serde(serialize_with = "form::cause")]
    pub cause: Cause,
    /// Why it is taken for what it is.
    pub evidence: Vec<Evidence>,
    /// Its sums.
    #[serde(flatten)]
    pub sums: Sums,
    /// Failing messages that pass something, but for another domain.
    pub authenticated_unaligned: u64,
    /// Failing messages that receivers put aside or refused.
    pub stopped: u64,
    /// How many reporters saw it in the period.
    pub reporters: u64,
    /// The first day it was seen, in all that was read.
    #[serde(serialize_with = "form::day")]
    pub first_seen: Date,
    /// The last day.
    #[serde(serialize_with = "form::day")]
    pub last_seen: Date,
}

/// Mail that nothing proves to be the domain's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spoofing {
    /// Messages.
    pub messages: u64,
    /// Of them, those that receivers put aside or refused.
    pub stopped: u64,
    /// Addresses.
    pub addresses: u64,
    /// Of the messages, those of senders too small to be listed.
    pub tail_messages: u64,
    /// Of the tail's, those put aside or refused.
    pub tail_stopped: u64,
    /// The addresses of the tail.
    pub tail_addresses: u64,
}

impl Spoofing {
    fn add(&mut self, sender: &Sender, listed: bool) {
        let (messages, addresses) = (sender.sums.failing(), sender.who.addresses);
        self.messages = self.messages.saturating_add(messages);
        self.stopped = self.stopped.saturating_add(sender.stopped);
        self.addresses += addresses;
        if !listed {
            self.tail_messages = self.tail_messages.saturating_add(messages);
            self.tail_stopped = self.tail_stopped.saturating_add(sender.stopped);
            self.tail_addresses += addresses;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.messages = self.messages.saturating_add(other.messages);
        self.stopped = self.stopped.saturating_add(other.stopped);
        self.addresses += other.addresses;
        self.tail_messages = self.tail_messages.saturating_add(other.tail_messages);
        self.tail_stopped = self.tail_stopped.saturating_add(other.tail_stopped);
        self.tail_addresses += other.tail_addresses;
    }
}

/// A group with its role, while the answer is worked out.
#[derive(Debug, Clone)]
pub(crate) struct Cast {
    pub(crate) group: Group,
    pub(crate) role: Role,
    pub(crate) evidence: Vec<Evidence>,
}

/// Give every group its role. `volumes` are the domains' messages in the period.
pub(crate) fn cast(view: &View<'_>, groups: Vec<Group>, vendors: &Vendors, volumes: &BTreeMap<u32, u64>) -> Vec<Cast> {
    let role = |group: Group| {
        let volume = volumes.get(&group.domain).copied().unwrap_or(0);
        let (role, evidence) = roles::role(view, &group, vendors, volume);
        Cast { group, role, evidence }
    };
    groups.into_iter().map(role).collect()
}

/// The senders of the period in reading order, and by domain what the spoofing comes to.
pub(crate) fn senders(
    view: &View<'_>,
    cast: &[Cast],
    volumes: &BTreeMap<u32, u64>,
) -> (Vec<Sender>, BTreeMap<u32, Spoofing>) {
    let mut spoofing: BTreeMap<u32, Spoofing> = BTreeMap::new();
    let mut senders = Vec::new();
    let suspects = suspect_messages(cast);
    for cast in cast.iter().filter(|cast| cast.group.sums.records > 0) {
        let sender = sender(view, cast);
        let domain = cast.group.domain;
        let of = |sums: &BTreeMap<u32, u64>| sums.get(&domain).copied().unwrap_or(0);
        let listed = cast.role != Role::Suspect || stands_out(sender.sums.messages, of(volumes), of(&suspects));
        if cast.role == Role::Suspect {
            spoofing.entry(domain).or_default().add(&sender, listed);
        }
        if listed {
            senders.push(sender);
        }
    }
    senders.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
    senders.truncate(KEPT);
    (senders, spoofing)
}

fn suspect_messages(cast: &[Cast]) -> BTreeMap<u32, u64> {
    let mut messages: BTreeMap<u32, u64> = BTreeMap::new();
    for cast in cast.iter().filter(|cast| cast.role == Role::Suspect) {
        let sum = messages.entry(cast.group.domain).or_default();
        *sum = sum.saturating_add(cast.group.sums.messages);
    }
    messages
}

/// Whether a suspect is more than a drop in the tail: 50 messages or more, and a hundredth of all the domain's mail or a
/// fifth of its spoofing.
pub(crate) fn stands_out(messages: u64, volume: u64, suspects: u64) -> bool {
    messages >= 50 && (messages >= volume / 100 || messages >= suspects / 5)
}

/// Failing ones first, in the order of what a person can fix; then by messages.
fn order(sender: &Sender) -> impl Ord + use<> {
    let failing = sender.sums.failing();
    let matters = failing >= 100 || failing.saturating_mul(100) >= sender.sums.messages.max(1);
    let rank = match (matters, sender.who.role) {
        (true, Role::Own | Role::Vendor) => 0,
        (true, Role::Unclear) => 1,
        (true, Role::Suspect) => 2,
        (true, Role::Forwarder | Role::List) => 3,
        (false, _) => 4,
    };
    let who = &sender.who;
    let identity =
        (who.policy_domain.clone(), who.address.is_none(), who.address, who.signs_as.clone(), who.returns_to.clone());
    (rank, Reverse(if rank < 4 { failing } else { 0 }), Reverse(sender.sums.messages), identity)
}

/// Who a group is.
pub(crate) fn name(view: &View<'_>, group: &Group, role: Role) -> SenderName {
    let single = group.largest.first().filter(|_| group.addresses == 1).map(|(_, source)| *source);
    let address = single.unwrap_or(group.network).address();
    let prefix = match (address, single.is_some()) {
        (Some(IpAddr::V4(_)), true) => 32,
        (Some(IpAddr::V4(_)), false) => 24,
        (_, true) => 128,
        (_, false) => 64,
    };
    let largest = group.largest.first().and_then(|(_, source)| source.address());
    SenderName {
        policy_domain: view.foreign(group.domain),
        address,
        prefix,
        addresses: group.addresses,
        name: largest.and_then(|address| view.name(address)),
        signs_as: group.signer.clone().map(Foreign::from),
        returns_to: group.returns_to.clone().map(Foreign::from),
        role,
    }
}

fn sender(view: &View<'_>, cast: &Cast) -> Sender {
    let group = &cast.group;
    Sender {
        who: name(view, group, cast.role),
        cause: group.cause(),
        evidence: cast.evidence.clone(),
        sums: group.sums,
        authenticated_unaligned: group.signs.unaligned,
        stopped: group.signs.stopped,
        reporters: group.reporters.len() as u64,
        first_seen: date(group.first),
        last_seen: date(group.last),
    }
}
