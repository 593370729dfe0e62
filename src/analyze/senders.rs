//! Senders as the reader sees them: the failing first, in the order of what a person can fix, the spoofing tail folded.

use super::{
    Foreign, Sums,
    fold::Folded,
    groups::{Group, NOTABLE},
    period::date,
    roles::{Evidence, Role},
    summary::form,
    view::View,
};
use crate::model::Cause;
use jiff::civil::Date;
use serde::Serialize;
use std::{cmp::Reverse, collections::BTreeMap, net::IpAddr};

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
    /// Whether the name leads back to the address; only beside a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_confirmed: Option<bool>,
    /// The mail service it is, where a known one is proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Foreign>,
    /// The organization whose signature its mail bears.
    pub signs_as: Option<Foreign>,
    /// The organization that SPF proves for it.
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
    /// Add a suspect; whether it stands out is seen later.
    pub(crate) fn add(&mut self, group: &Group) {
        self.messages = self.messages.saturating_add(group.sums.failing());
        self.stopped = self.stopped.saturating_add(group.signs.stopped);
        self.addresses += group.addresses;
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

/// The senders of the period in reading order. Suspects that do not stand out are left to the tail.
pub(crate) fn senders(view: &View<'_>, folded: &Folded, volumes: &BTreeMap<u32, u64>) -> Vec<Sender> {
    let of_domain = |cast: &Cast| folded.domains.get(&cast.group.domain).map_or(0, |domain| domain.suspects);
    let listed = |cast: &&Cast| {
        let volume = volumes.get(&cast.group.domain).copied().unwrap_or(0);
        cast.role != Role::Suspect || stands_out(cast.group.sums.messages, volume, of_domain(cast))
    };
    let cast = folded.senders.sorted(view);
    cast.into_iter().filter(listed).map(|cast| sender(view, cast)).collect()
}

/// What the spoofing of a domain comes to, of all of which `listed` senders stand out.
pub(crate) fn spoofing(all: Spoofing, listed: &[Sender], domain: &Foreign) -> Spoofing {
    let mut spoofing =
        Spoofing { tail_messages: all.messages, tail_stopped: all.stopped, tail_addresses: all.addresses, ..all };
    let own = |sender: &&Sender| sender.who.role == Role::Suspect && sender.who.policy_domain == *domain;
    for sender in listed.iter().filter(own) {
        spoofing.tail_messages = spoofing.tail_messages.saturating_sub(sender.sums.failing());
        spoofing.tail_stopped = spoofing.tail_stopped.saturating_sub(sender.stopped);
        spoofing.tail_addresses = spoofing.tail_addresses.saturating_sub(sender.who.addresses);
    }
    spoofing
}

/// Whether a suspect is more than a drop in the tail: 50 messages or more, and a hundredth of all the domain's mail or a
/// fifth of its spoofing.
pub(crate) fn stands_out(messages: u64, volume: u64, suspects: u64) -> bool {
    messages >= NOTABLE && (messages >= volume / 100 || messages >= suspects / 5)
}

/// Failing ones first, in the order of what a person can fix; then by messages. Less is earlier.
pub(crate) fn reading_order(cast: &Cast) -> (u8, Reverse<u64>, Reverse<u64>) {
    let (failing, messages) = (cast.group.sums.failing(), cast.group.sums.messages);
    let matters = failing >= 100 || failing > 0 && failing.saturating_mul(100) >= messages;
    let rank = match (matters, cast.role) {
        (true, Role::Own | Role::Vendor) => 0,
        (true, Role::Unclear) => 1,
        (true, Role::Suspect) => 2,
        (true, Role::Forwarder | Role::List) => 3,
        (false, _) => 4,
    };
    (rank, Reverse(if rank < 4 { failing } else { 0 }), Reverse(messages))
}

/// Who a group is.
pub(crate) fn name(view: &View<'_>, group: &Group, role: Role) -> SenderName {
    let one = group.addresses == 1 || group.addresses == 0 && group.largest.len() == 1;
    let single = group.largest.first().filter(|_| one).map(|(_, source)| *source);
    let address = single.unwrap_or(group.network).address();
    let prefix = match (address, single.is_some()) {
        (Some(IpAddr::V4(_)), true) => 32,
        (Some(IpAddr::V4(_)), false) => 24,
        (_, true) => 128,
        (_, false) => 64,
    };
    let largest = group.largest.first().and_then(|(_, source)| source.address());
    let host = largest.and_then(|address| view.name(address));
    SenderName {
        policy_domain: view.foreign(group.domain),
        address,
        prefix,
        addresses: group.addresses,
        name: host.map(|host| host.name.clone()),
        name_confirmed: host.map(|host| host.confirmed),
        service: view.added.question.services.name(
            group.signer.as_deref().unwrap_or(""),
            group.returns_to.as_deref().unwrap_or(""),
            host,
        ),
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
