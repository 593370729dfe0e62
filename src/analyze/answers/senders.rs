//! Senders as the user sees them: failing ones first, most fixable first, the spoofing tail folded.

use crate::analyze::period::date;
use crate::analyze::senders::{
    Evidence, Folded, Identity, NOTABLE, Role, SenderGroup, SenderProfile, View, compare, fails_visibly,
};
use crate::analyze::sums::interner::NONE;
use crate::analyze::thresholds::{ENOUGH_REPORTERS, NO_CHANCE, STAYING_WEEKS};
use crate::analyze::{Foreign, Network, ServerOrigin, Sums, Totals};
use crate::model::{Cause, NetworkClass, Text};
use jiff::civil::Date;
use serde::Serialize;
use std::{collections::BTreeMap, net::IpAddr};

/// Who a sender is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SenderName {
    /// The domain it sends as.
    pub policy_domain: Foreign,
    /// Its only address, or the first of its /24 or /64; `None` for the unknown source.
    pub address: Option<IpAddr>,
    /// How many leading bits of `address` count: 24 or 64 for a network, 32 or 128 for a single address.
    pub prefix: u8,
    /// Addresses seen in the period.
    pub addresses: u64,
    /// Its name, if it was looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Foreign>,
    /// Whether the name resolves back to the address; only beside a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_confirmed: Option<bool>,
    /// The mail service, if a known one is proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Foreign>,
    /// Whose server it is, by the strongest proof; with several addresses, by that of the one with most messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<ServerOrigin>,
    /// What kind of network that address is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<NetworkClass>,
    /// Whose network that address is in, if the user has a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// The domain that signs its mail.
    pub signs_as: Option<Foreign>,
    /// The organization of the return path that SPF proves for it.
    pub returns_to: Option<Foreign>,
    /// Its role.
    pub role: Role,
}

/// One sender of one domain: the addresses of a network with the same identity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sender {
    /// Who.
    #[serde(flatten)]
    pub who: SenderName,
    /// The diagnosis.
    pub cause: Cause,
    /// The evidence for its role.
    pub evidence: Vec<Evidence>,
    /// Its sums.
    #[serde(flatten)]
    pub sums: Sums,
    /// Failing messages that pass something, but for another domain.
    pub authenticated_unaligned: u64,
    /// Failing messages that receivers rejected or quarantined.
    pub blocked: u64,
    /// Failing messages of the eight weeks that receivers would block after the next policy step; of own senders and
    /// vendors.
    pub would_be_lost: u64,
    /// Failing messages of the period that receivers blocked; of own senders and vendors.
    pub lost_now: u64,
    /// How many reporters saw it in the period.
    pub reporters: u64,
    /// The only one of several reporters that sees its mail fail: nothing is asked for on the word of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fails_only_at: Option<Foreign>,
    /// The first day it was seen, in all that was read.
    pub first_seen: Date,
    /// The last day.
    pub last_seen: Date,
    /// The day on which a change in DNS repaired it, if the reports of the period prove that.
    #[serde(skip)]
    pub repaired: Option<Date>,
}

impl Sender {
    /// Whether it is the user's, and enough of its mail fails to be worth a repair that was not made yet.
    pub fn needs_repair(&self) -> bool {
        self.fails_visibly(0) && self.repaired.is_none()
    }

    /// Whether it is the user's, and was repaired after enough of its mail of the period had failed.
    pub fn was_repaired(&self) -> bool {
        self.fails_visibly(0) && self.repaired.is_some()
    }

    /// Whether it is the user's, and much of its mail fails besides so many messages.
    pub(super) fn fails_visibly(&self, besides: u64) -> bool {
        let failing = self.sums.failing().saturating_sub(besides);
        matches!(self.who.role, Role::Own | Role::Vendor) && fails_visibly(failing, self.sums.messages)
    }
}

/// The senders of the period in reading order. Suspects that do not stand out are left to the tail.
pub(super) fn senders(view: &View<'_>, folded: &Folded, totals: &BTreeMap<u32, Totals>) -> Vec<Sender> {
    let of_domain = |group: &SenderGroup| folded.domains.get(&group.domain).map_or(0, |domain| domain.suspects);
    let listed = |group: &&SenderGroup| {
        let volume = totals.get(&group.domain).map_or(0, |totals| totals.sums.messages);
        group.role != Role::Suspect || stands_out(group.sums.messages, volume, of_domain(group))
    };
    folded
        .senders
        .sorted(|a, b| compare(view, a, b))
        .into_iter()
        .filter(listed)
        .map(|group| sender(view, group))
        .collect()
}

/// The senders that include a watched source, in reading order.
pub(super) fn watched(view: &View<'_>, folded: &Folded) -> Vec<Sender> {
    folded.watched.sorted(|a, b| compare(view, a, b)).into_iter().map(|group| sender(view, group)).collect()
}

/// Whether a suspect is listed instead of folded: 50 messages or more, and a hundredth of all the domain's mail or a
/// fifth of its spoofing.
pub(super) fn stands_out(messages: u64, volume: u64, suspects: u64) -> bool {
    messages >= NOTABLE && (messages >= volume / 100 || messages >= suspects / 5)
}

/// Who a group is.
pub(super) fn name(view: &View<'_>, group: &SenderProfile) -> SenderName {
    let single = group.single();
    let address = single.unwrap_or(group.network).address();
    let prefix = match (address, single.is_some()) {
        (Some(IpAddr::V4(_)), true) => 32,
        (Some(IpAddr::V4(_)), false) => 24,
        (_, true) => 128,
        (_, false) => 64,
    };
    let largest = group.largest.first().and_then(|(_, source)| source.address());
    let host = largest.and_then(|address| view.host(address));
    let name = |id: Option<u32>| id.map(|id| view.name(id));
    let (signer, returns_to) = (name(group.signer), name(group.returns_to));
    let services = &view.added.question.services;
    let (signs_as, returned) = (signer.map_or("", Text::as_str), returns_to.map_or("", Text::as_str));
    let origin = view.origin((signs_as, returned), largest);
    let is_service = |origin: &&ServerOrigin| origin.rung <= 4 && services.get(origin.name.as_written()).is_some();
    let service = origin.as_ref().filter(is_service).map(|origin| origin.name.clone());
    SenderName {
        policy_domain: view.foreign(group.domain),
        address,
        prefix,
        addresses: group.addresses,
        name: host.map(|host| host.name.clone()),
        name_confirmed: host.map(|host| host.confirmed),
        service: service.or_else(|| services.name("", "", host)),
        origin,
        class: largest.and_then(|address| view.class(address)),
        network: largest.and_then(|address| view.network(address)).cloned(),
        signs_as: signer.cloned().map(Foreign::from),
        returns_to: returns_to.cloned().map(Foreign::from),
        role: group.role,
    }
}

fn sender(view: &View<'_>, group: &SenderGroup) -> Sender {
    let legitimate = |messages: u64| if matches!(group.role, Role::Own | Role::Vendor) { messages } else { 0 };
    let day = |day: Option<i32>| date(day.unwrap_or_default());
    Sender {
        who: name(view, &group.profile()),
        cause: group.cause(),
        evidence: evidence(view, group),
        sums: group.sums,
        authenticated_unaligned: group.signs.unaligned.0,
        blocked: group.signs.blocked.0,
        would_be_lost: legitimate(group.would_fail().weeks.0),
        lost_now: legitimate(group.counts.lost_now.0),
        reporters: group.reporters.len() as u64,
        fails_only_at: fails_only_at(view, group),
        first_seen: day(group.span.first()),
        last_seen: day(group.span.last()),
        repaired: None,
    }
}

fn fails_only_at(view: &View<'_>, group: &SenderGroup) -> Option<Foreign> {
    let is_ours = matches!(group.role, Role::Own | Role::Vendor);
    let seen_by = &group.counts.failing_reporters;
    let is_alone = seen_by.len() == 1 && group.reporters.len() >= ENOUGH_REPORTERS;
    let fails = is_ours && group.sums.failing() >= NO_CHANCE;
    if fails && is_alone { seen_by.ids().next().and_then(|id| view.reporter(id)) } else { None }
}

fn evidence(view: &View<'_>, group: &SenderGroup) -> Vec<Evidence> {
    let (signs, current) = (&group.signs, view.added.scope.current);
    let mut evidence = Vec::new();
    let mut push = |messages: u64, found: Evidence| {
        if messages > 0 {
            evidence.push(found);
        }
    };
    if let Some(said) = group.confirmed.and_then(|at| view.added.question.confirmed.get(at)) {
        push(1, Evidence::Confirmed { mine: said.mine, note: said.note.clone().map(Foreign::from) });
    }
    match group.role {
        Role::Own => {
            push(signs.authorized.0.max(group.counts.spf_pass.0), Evidence::Authorized);
            push(signs.signed.0, Evidence::Signs { messages: signs.signed.0 });
            let never = signs.signed.0 == 0 && !group.counts.ever_passed;
            push(if never { signs.broken.0 } else { 0 }, Evidence::WrongKey { messages: signs.broken.0 });
        }
        Role::Forwarder | Role::List => {
            push(signs.said_list.0, Evidence::SaidList { messages: signs.said_list.0 });
            push(signs.said_forwarded.0, Evidence::SaidForwarded { messages: signs.said_forwarded.0 });
            push(signs.broken.0, Evidence::SignatureChanged { messages: signs.broken.0 });
            push(signs.signed.0, Evidence::SignatureSurvives { messages: signs.signed.0 });
            let copies = if group.identity == Identity::ForwardedCopy { group.sums.messages } else { 0 };
            push(copies, Evidence::ForwardedCopy { messages: copies });
        }
        Role::Suspect if group.identity == Identity::Nobody => {
            push(group.sums.neither, Evidence::NothingPasses { messages: group.sums.neither });
        }
        Role::Vendor | Role::Unclear | Role::Suspect => {}
    }
    let named = match group.identity {
        Identity::Voucher(name) if name != NONE => Some(name),
        Identity::Voucher(_) => group.signer.or(group.returns_to),
        _ if group.role == Role::List => group.returns_to,
        _ => None,
    };
    if let Some(name) = named {
        let domain = Foreign::from(view.name(name).clone());
        push(signs.unaligned.0, Evidence::AuthenticatesAs { domain, messages: signs.unaligned.0 });
    }
    push(u64::from(group.neighbor), Evidence::Neighbor);
    let periods = group.windows_seen(current);
    if group.role == Role::Vendor || group.role == Role::Unclear && periods + 1 >= STAYING_WEEKS {
        let reporters = group.reporters.len() as u64;
        push(1, Evidence::Steady { days: group.current.days(), periods: periods as u64, reporters });
    }
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::fixtures::Line;
    use crate::analyze::tests::weeks::{World, day};

    #[test]
    fn a_failure_that_only_one_of_several_reporters_sees_has_its_name() {
        let fails_only_at = |reporters: &[&str], messages: i64| {
            let mut world = World::new();
            let broken = Line::new(&day(2), "192.0.2.10", messages).dkim("example.com", "mail", "fail");
            let broken = broken.spf("example.com", "fail").verdict(0, Cause::OwnSigningBroken);
            world.lines.extend(reporters.iter().map(|reporter| broken.clone().reporter(reporter)));
            let summary = world.summary();
            let is_own = |sender: &&Sender| sender.who.role == Role::Own && sender.sums.failing() > 0;
            let own = summary.senders.iter().find(is_own).expect("the own server fails");
            own.fails_only_at.as_ref().map(|name| name.as_written().to_owned())
        };
        assert_eq!(fails_only_at(&["GMX"], 12).as_deref(), Some("GMX"));
        assert_eq!(fails_only_at(&["GMX"], 9), None, "a few are chance");
        assert_eq!(fails_only_at(&["GMX", "Yahoo"], 12), None);
    }
}
