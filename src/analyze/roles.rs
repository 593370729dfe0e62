//! What a sender is: the domain's own, a service that sends for it, a forwarder, a list, or somebody who only claims to be
//! it. In: groups. Out: a [`Role`] each, with the [`Evidence`] for it. Where the evidence does not suffice the role is
//! `Unclear`: silence is better than a guess.

use super::{
    Foreign,
    groups::{Group, Item, NOTABLE},
    interner::Table,
    seen::Reporters,
    view::{Shape, Signed, View, organization},
};
use crate::model::{Cause, Source, Text};
use serde::Serialize;
use std::cmp::Reverse;

/// What a sender is for the domain it sends as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The domain's own: authorized by SPF, named by the reader, or signing as it.
    Own,
    /// A service that sends steadily as the domain, authenticated as itself.
    Vendor,
    /// Passes on what others sent.
    Forwarder,
    /// A mailing list, or a forwarder that changes mail.
    List,
    /// Too little to tell.
    Unclear,
    /// Nothing proves it has to do with the domain.
    Suspect,
}

/// Why a sender is taken for what it is. Messages are those of the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Evidence {
    /// The reader named it.
    Known,
    /// SPF authorizes it for the domain.
    Authorized,
    /// SPF authorizes it for another of the domains.
    AuthorizedElsewhere {
        /// That domain.
        domain: Foreign,
    },
    /// The domain's signature verifies on its mail.
    Signs {
        /// So many messages.
        messages: u64,
    },
    /// The domain's signature verifies though SPF does not know the address: what plain forwarding looks like.
    SignatureSurvives {
        /// So many messages.
        messages: u64,
    },
    /// The domain's signature is there but was broken on the way, and another domain vouches for the mail.
    SignatureChanged {
        /// So many messages.
        messages: u64,
    },
    /// Receivers say that the mail was forwarded.
    SaidForwarded {
        /// So many messages.
        messages: u64,
    },
    /// Receivers say that the mail came from a mailing list.
    SaidList {
        /// So many messages.
        messages: u64,
    },
    /// It authenticates, as another domain.
    AuthenticatesAs {
        /// The organization.
        domain: Foreign,
        /// So many messages.
        messages: u64,
    },
    /// It sends steadily.
    Steady {
        /// Days from the first to the last in the period.
        days: i32,
        /// Earlier periods in which it was seen.
        periods: u64,
        /// Reporters in the period.
        reporters: u64,
    },
    /// Nothing that the domain's owner controls passes.
    NothingPasses {
        /// So many messages.
        messages: u64,
    },
}

/// A service that authenticates as itself, over all its networks.
#[derive(Debug, Clone)]
pub(crate) struct Vendor {
    pub(crate) messages: u64,
    pub(crate) with_signature: u64,
    pub(crate) reporters: Reporters,
    pub(crate) first: i32,
    pub(crate) last: i32,
    /// Bit n: seen in window n.
    pub(crate) windows: u16,
    /// Messages by address.
    sources: Table<Source, u64>,
    /// Messages with the domain's own signature on them, good or broken: it passes on what others sent.
    pub(crate) own_signature: u64,
}

/// Services by domain and organization.
pub(crate) type Vendors = Table<(u32, Text), Vendor>;

/// The organization a failing sender authenticates as.
pub(crate) fn authenticates_as(group: &Group) -> Option<&Text> {
    group.signer.as_ref().or(group.returns_to.as_ref())
}

/// Every organization that unaligned mail authenticates as, over all networks.
pub(crate) fn vendors(view: &View<'_>) -> Vendors {
    let mut vendors = Vendors::default();
    for item in view.facts(|shape| shape.pattern.cause == Cause::AuthenticatedUnaligned) {
        let Some(organization) = item.shape.signer.as_ref().or(item.shape.returns_to.as_ref()) else { continue };
        let key = (item.shape.pattern.domain, organization.clone());
        vendors.entry(key).or_insert_with(Vendor::new).add(&item);
    }
    for (shape, of) in view.asked().filter(|(shape, _)| bears_own_signature(shape)) {
        let organizations = [shape.signer.as_ref(), shape.returns_to.as_ref()].into_iter().flatten();
        for organization in organizations {
            if let Some(vendor) = vendors.get_mut(&(shape.pattern.domain, organization.clone())) {
                vendor.own_signature = vendor.own_signature.saturating_add(of.messages);
            }
        }
    }
    vendors
}

fn bears_own_signature(shape: &Shape) -> bool {
    matches!(shape.signed, Signed::OwnPass | Signed::OwnBroken)
        || shape.pattern.cause == Cause::ListOrModifyingForwarder
}

impl Vendor {
    fn new() -> Self {
        Self {
            messages: 0,
            with_signature: 0,
            reporters: Reporters::default(),
            first: i32::MAX,
            last: i32::MIN,
            windows: 0,
            sources: Table::default(),
            own_signature: 0,
        }
    }

    fn add(&mut self, item: &Item<'_>) {
        let Item { source, shape, fact, .. } = item;
        self.windows |= u16::from(fact.messages > 0) << shape.pattern.window;
        if !shape.asked {
            return;
        }
        let add = |sum: &mut u64| *sum = sum.saturating_add(fact.messages);
        add(&mut self.messages);
        if shape.signed == Signed::OtherPass {
            add(&mut self.with_signature);
        }
        item.reporters(&mut self.reporters);
        self.first = self.first.min(fact.first);
        self.last = self.last.max(fact.last);
        add(self.sources.entry(*source).or_default());
    }

    /// How many addresses it has.
    pub(crate) fn addresses(&self) -> u64 {
        self.sources.len() as u64
    }

    /// The three addresses with most messages.
    pub(crate) fn largest(&self) -> Vec<(Reverse<u64>, Source)> {
        let mut largest: Vec<_> = self.sources.iter().map(|(source, messages)| (Reverse(*messages), *source)).collect();
        largest.sort_unstable();
        largest.truncate(3);
        largest
    }

    /// Earlier periods in which it was seen.
    pub(crate) fn past_windows(&self, asked: u8) -> u32 {
        (self.windows & ((1 << asked) - 1)).count_ones()
    }

    /// Whether it sends like a service somebody set up: not a handful, more than one reporter, on several days or for
    /// weeks. Mail with the domain's own signature on it was passed on, not sent, by it.
    pub(crate) fn is_steady(&self, asked: u8) -> bool {
        // One that only earlier periods saw has no days in this one: its first is after its last.
        let lasting = self.last.saturating_sub(self.first) >= 2 || self.past_windows(asked) >= 2;
        self.messages >= 20 && self.reporters.len() >= 2 && lasting && self.own_signature * 20 < self.messages
    }
}

/// The role of a group, and why. `volume` is the domain's messages in the period.
pub(crate) fn role(view: &View<'_>, group: &Group, vendors: &Vendors, volume: u64) -> (Role, Vec<Evidence>) {
    let role = decide(view, group, vendors, volume);
    (role, evidence(view, group, role))
}

fn decide(view: &View<'_>, group: &Group, vendors: &Vendors, volume: u64) -> Role {
    if group.known || group.authorized > 0 || group.broke > 0 {
        return Role::Own;
    }
    if group.sums.records == 0 {
        let steady = group.windows_seen(view.added.scope.asked) >= 3;
        return match (group.passed > 0, authenticates_as(group)) {
            (true, _) => Role::Own,
            (false, Some(_)) if steady => Role::Vendor,
            (false, _) => Role::Unclear,
        };
    }
    // Plain forwarding and an own server that SPF forgot look the same, but for their size.
    let surviving =
        || if group.signs.unauthorized > 0 && group.sums.messages < volume / 20 { Role::Forwarder } else { Role::Own };
    let passed_on =
        || if group.signs.said_list > 0 || authenticates_as(group).is_some() { Role::List } else { Role::Forwarder };
    match group.cause() {
        Cause::SpfGap if group.elsewhere.is_some() => Role::Own,
        Cause::PassBoth | Cause::PassDkimOnly | Cause::PassSpfOnly | Cause::SpfGap => surviving(),
        Cause::ForwardedDeclared if group.signs.said_list > group.signs.said_forwarded => Role::List,
        Cause::ForwardedDeclared => Role::Forwarder,
        Cause::ListOrModifyingForwarder => passed_on(),
        Cause::OwnSigningBroken if group.signs.signed > 0 => surviving(),
        Cause::OwnSigningBroken | Cause::Transient if group.passed > 0 => Role::Own,
        Cause::AuthenticatedUnaligned if group.signs.signed > 0 => Role::Forwarder,
        Cause::AuthenticatedUnaligned => {
            let vendor = authenticates_as(group).and_then(|name| vendors.get(&(group.domain, name.clone())));
            if vendor.is_some_and(|vendor| vendor.is_steady(view.added.scope.asked)) {
                Role::Vendor
            } else {
                Role::Unclear
            }
        }
        Cause::Unauthenticated | Cause::SpoofSuspect if is_steady_stranger(group, view.added.scope.asked) => {
            Role::Unclear
        }
        Cause::Unauthenticated | Cause::SpoofSuspect => Role::Suspect,
        Cause::OwnSigningBroken | Cause::Transient | Cause::SampledOrTesting | Cause::Unknown => Role::Unclear,
    }
}

/// Whether one address that proves nothing sends for weeks, and not little: it may be a machine of the domain's that was
/// forgotten, whose mail a stricter policy would stop. Who spoofs seldom stays.
fn is_steady_stranger(group: &Group, asked: u8) -> bool {
    let periods = group.past(asked).filter(|(messages, _)| *messages >= NOTABLE).count();
    group.addresses == 1 && group.sums.messages >= NOTABLE && group.reporters.len() >= 2 && periods >= 4
}

fn evidence(view: &View<'_>, group: &Group, role: Role) -> Vec<Evidence> {
    let signs = &group.signs;
    let mut evidence = Vec::new();
    let mut push = |messages: u64, found: Evidence| {
        if messages > 0 {
            evidence.push(found);
        }
    };
    push(u64::from(group.known), Evidence::Known);
    push(group.authorized, Evidence::Authorized);
    if let Some(domain) = group.elsewhere.filter(|_| role == Role::Own && group.authorized == 0) {
        push(1, Evidence::AuthorizedElsewhere { domain: view.foreign(domain) });
    }
    match role {
        Role::Own => push(signs.signed, Evidence::Signs { messages: signs.signed }),
        Role::Forwarder | Role::List => {
            push(signs.said_list, Evidence::SaidList { messages: signs.said_list });
            push(signs.said_forwarded, Evidence::SaidForwarded { messages: signs.said_forwarded });
            push(signs.broken, Evidence::SignatureChanged { messages: signs.broken });
            push(signs.signed, Evidence::SignatureSurvives { messages: signs.signed });
        }
        Role::Suspect => push(group.sums.neither, Evidence::NothingPasses { messages: group.sums.neither }),
        Role::Vendor | Role::Unclear => {}
    }
    // A broken signature names the domain itself, and that is not what vouches for the mail.
    let own = organization(view.word(group.domain));
    let other = [&group.signer, &group.returns_to].into_iter().flatten().find(|name| *name != own);
    if let Some(name) = other.or_else(|| authenticates_as(group)) {
        let domain = Foreign::from(name.clone());
        push(signs.unaligned, Evidence::AuthenticatesAs { domain, messages: signs.unaligned });
    }
    if role == Role::Vendor || role == Role::Unclear && is_steady_stranger(group, view.added.scope.asked) {
        let periods = group.windows_seen(view.added.scope.asked) as u64;
        let reporters = group.reporters.len() as u64;
        push(1, Evidence::Steady { days: group.days(), periods, reporters });
    }
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_only_earlier_periods_saw_is_not_steady_and_no_panic() {
        assert!(!Vendor::new().is_steady(7));
    }
}
