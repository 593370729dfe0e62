//! Who loses mail: added up by sender and address, told by address, or by network where there are many.

use super::{LossCause, LossExample, LostMail, LostSender};
use crate::analyze::{AttributedMail, Foreign, MailResults, MailRow, Role};
use crate::dns::dmarc::Policy;
use crate::model::Source;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Up to so many addresses of a sender are told one by one.
const ONE_BY_ONE: usize = 4;

/// Lost messages by sender and address.
#[derive(Debug, Default)]
pub(super) struct Losses<'a> {
    by_sender: BTreeMap<u32, BTreeMap<Source, LostAtAddress<'a>>>,
}

/// Lost messages of one address.
#[derive(Debug, Clone)]
struct LostAtAddress<'a> {
    messages: u64,
    causes: BTreeMap<LossCause, u64>,
    largest: LostRow<'a>,
}

/// A row whose messages are lost.
#[derive(Debug, Clone, Copy)]
pub(super) struct LostRow<'a> {
    pub(super) row: &'a MailRow,
    pub(super) results: &'a MailResults,
    pub(super) cause: LossCause,
    /// What the record in force asks for it, and what the proposed one does.
    pub(super) fates: (Policy, Policy),
}

impl<'a> LostAtAddress<'a> {
    fn merge(&mut self, other: Self) {
        self.messages = self.messages.saturating_add(other.messages);
        for (cause, messages) in other.causes {
            let sum = self.causes.entry(cause).or_default();
            *sum = sum.saturating_add(messages);
        }
        let order = |lost: &LostRow<'a>| (lost.row.messages, lost.row.day);
        if order(&other.largest) > order(&self.largest) {
            self.largest = other.largest;
        }
    }
}

impl<'a> Losses<'a> {
    /// Add a row.
    pub(super) fn add(&mut self, lost: LostRow<'a>) {
        let messages = lost.row.messages;
        let more = LostAtAddress { messages, causes: BTreeMap::from([(lost.cause, messages)]), largest: lost };
        match self.by_sender.entry(lost.row.sender).or_default().entry(lost.row.source) {
            std::collections::btree_map::Entry::Occupied(mut known) => known.get_mut().merge(more),
            std::collections::btree_map::Entry::Vacant(free) => drop(free.insert(more)),
        }
    }

    /// All that is lost.
    pub(super) fn finish(self, mail: &AttributedMail) -> LostMail {
        let mut lost = LostMail::default();
        for (sender, addresses) in self.by_sender {
            if addresses.len() <= ONE_BY_ONE {
                lost.senders.extend(
                    addresses.into_iter().map(|(source, at)| told(mail, sender, (network_of(source, source), 1), at)),
                );
            } else {
                let (number, first, last) = (addresses.len() as u64, addresses.keys().next(), addresses.keys().last());
                let network = first.zip(last).and_then(|(first, last)| network_of(*first, *last));
                let all = addresses.into_values().reduce(|mut all, more| {
                    all.merge(more);
                    all
                });
                lost.senders.extend(all.map(|all| told(mail, sender, (network, number), all)));
            }
        }
        lost.senders.sort_by(|a, b| (Reverse(a.messages), &a.address).cmp(&(Reverse(b.messages), &b.address)));
        for sender in &lost.senders {
            let sum = if sender.role == Role::Unclear { &mut lost.unclear } else { &mut lost.legitimate };
            *sum = sum.saturating_add(sender.messages);
        }
        lost.messages = lost.legitimate.saturating_add(lost.unclear);
        lost
    }
}

fn told(
    mail: &AttributedMail,
    sender: u32,
    (address, addresses): (Option<String>, u64),
    lost: LostAtAddress<'_>,
) -> LostSender {
    let of = &mail.senders[sender as usize];
    let cause = lost.causes.iter().max_by_key(|(cause, messages)| (**messages, Reverse(**cause)));
    LostSender {
        address,
        addresses,
        service: of.service.clone(),
        signs_as: of.signs_as.clone(),
        returns_to: of.returns_to.clone(),
        role: of.role,
        messages: lost.messages,
        cause: cause.map_or(LossCause::Policy, |(cause, _)| *cause),
        example: example(mail, &lost.largest),
    }
}

fn example(mail: &AttributedMail, lost: &LostRow<'_>) -> LossExample {
    let LostRow { row, results, fates, .. } = lost;
    let word = |pass: bool| if pass { "pass" } else { "fail" };
    let signature = |signature: &crate::analyze::ReportedSignature| {
        let selector = if signature.selector.is_empty() { "?" } else { signature.selector.as_str() };
        Foreign::from(format!("{}/{selector} {}", signature.domain, word(signature.pass)))
    };
    let path = &results.return_path;
    LossExample {
        day: row.day,
        org_name: row.reporter.and_then(|place| mail.reporters.get(place as usize)).cloned().unwrap_or_default(),
        header_from: Foreign::from(results.header_from.clone()),
        dkim: results.signatures.iter().map(signature).collect(),
        spf: (!path.is_empty()).then(|| Foreign::from(format!("{path} {}", word(results.spf_pass)))),
        fate: fates.0,
        proposed_fate: fates.1,
    }
}

/// The address, or the smallest network that holds both.
fn network_of(first: Source, last: Source) -> Option<String> {
    let (first_address, last_address) = (first.address()?, last.address()?);
    if first == last {
        return Some(first_address.to_string());
    }
    let bits = (first.0 ^ last.0).leading_zeros();
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    let network = Source(first.0 & mask);
    let both_v4 = first_address.is_ipv4() && last_address.is_ipv4();
    match network.address()? {
        IpAddr::V4(address) if both_v4 => Some(format!("{address}/{}", bits - 96)),
        address => Some(format!("{address}/{bits}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_addresses_are_told_by_their_smallest_network() {
        let of = |first: &str, last: &str| {
            let source = |text: &str| Source::from(text.parse::<IpAddr>().ok());
            network_of(source(first), source(last)).unwrap_or_default()
        };
        assert_eq!(of("192.0.2.7", "192.0.2.7"), "192.0.2.7");
        assert_eq!(of("192.0.2.64", "192.0.2.127"), "192.0.2.64/26");
        assert_eq!(of("192.0.2.1", "192.0.2.200"), "192.0.2.0/24");
        assert_eq!(of("2001:db8::1", "2001:db8::f"), "2001:db8::/124");
        assert_eq!(of("no address", "192.0.2.1"), "");
    }
}
