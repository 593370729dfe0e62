//! Adds up lost mail by sender and address, or by network if there are many addresses.

use super::{LossCause, LossExample, LostMail, LostSender, SimulatedSender, addresses::by_address};
use crate::analyze::{AttributedMail, Foreign, MailResults, MailRow, Role};
use crate::dns::dmarc::Policy;
use crate::model::SourceAddress;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Lost messages by sender and address.
#[derive(Debug, Default)]
pub(super) struct Losses<'a> {
    by_sender: BTreeMap<u32, BTreeMap<SourceAddress, LostAtAddress<'a>>>,
}

/// Lost messages of one address.
#[derive(Debug, Clone)]
struct LostAtAddress<'a> {
    messages: u64,
    causes: BTreeMap<LossCause, u64>,
    largest: LostRow<'a>,
}

/// A row of lost messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct LostRow<'a> {
    pub(super) row: &'a MailRow,
    pub(super) results: &'a MailResults,
    pub(super) cause: LossCause,
    /// The fate by the current record and by the proposed one.
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
    /// Adds a row.
    pub(super) fn add(&mut self, lost: LostRow<'a>) {
        let messages = lost.row.messages;
        let more = LostAtAddress { messages, causes: BTreeMap::from([(lost.cause, messages)]), largest: lost };
        match self.by_sender.entry(lost.row.sender).or_default().entry(lost.row.source) {
            std::collections::btree_map::Entry::Occupied(mut known) => known.get_mut().merge(more),
            std::collections::btree_map::Entry::Vacant(free) => drop(free.insert(more)),
        }
    }

    /// Everything lost.
    pub(super) fn finish(self, mail: &AttributedMail) -> LostMail {
        let mut lost = LostMail::default();
        for (sender, addresses) in self.by_sender {
            let at = by_address(addresses, LostAtAddress::merge);
            lost.senders
                .extend(at.into_iter().map(|(address, number, at)| lost_sender(mail, sender, (address, number), at)));
        }
        lost.senders
            .sort_by(|a, b| (Reverse(a.messages), &a.sender.address).cmp(&(Reverse(b.messages), &b.sender.address)));
        for sender in &lost.senders {
            let sum = if sender.sender.role == Role::Unclear { &mut lost.unclear } else { &mut lost.legitimate };
            *sum = sum.saturating_add(sender.messages);
        }
        lost.messages = lost.legitimate.saturating_add(lost.unclear);
        lost
    }
}

fn lost_sender(
    mail: &AttributedMail,
    sender: u32,
    (address, addresses): (Option<String>, u64),
    lost: LostAtAddress<'_>,
) -> LostSender {
    let cause = lost.causes.iter().max_by_key(|(cause, messages)| (**messages, Reverse(**cause)));
    LostSender {
        sender: SimulatedSender::at(&mail.senders[sender as usize], address, addresses),
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
