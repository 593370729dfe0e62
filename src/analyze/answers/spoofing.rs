//! Spoofing, judged by its sum: three thousand addresses with one message each are an attack too.

use super::senders::Sender;
use crate::analyze::figures::trend::median;
use crate::analyze::senders::{DomainFold, View};
use crate::analyze::sums::Messages;
use crate::analyze::thresholds::{NO_STRAY, WAVE, WAVE_NOT_BLOCKED_ONE_IN, WAVE_TIMES};
use serde::{Serialize, Serializer, ser::SerializeMap as _};

/// How many earlier periods determine what is usual.
const USUAL: usize = 7;

/// Unauthenticated mail that is probably not the domain's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spoofing {
    /// Messages.
    pub messages: u64,
    /// Those of them that receivers rejected or quarantined. In JSON also as `stopped`, its name in version 1.
    #[serde(flatten, serialize_with = "both_names")]
    pub blocked: u64,
    /// Addresses.
    pub addresses: u64,
    /// The median of the seven periods before, of those with reports.
    pub usual: u64,
    /// Far more than usual.
    pub wave: bool,
    /// Messages of senders too small to be listed.
    pub tail_messages: u64,
    /// Those of them that were rejected or quarantined.
    pub tail_blocked: u64,
    /// The addresses of the tail.
    pub tail_addresses: u64,
}

/// A number of blocked messages, under both of its names.
fn both_names<S: Serializer>(blocked: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let mut names = serializer.serialize_map(Some(2))?;
    names.serialize_entry("blocked", blocked)?;
    names.serialize_entry("stopped", blocked)?;
    names.end()
}

impl Spoofing {
    /// For one domain, whose `listed` suspects stand out. `reported` says for each window whether there were reports.
    pub(super) fn of(view: &View<'_>, fold: &DomainFold, listed: Option<&Vec<&Sender>>, reported: &[bool]) -> Self {
        let (all, current) = (&fold.spoofing, usize::from(view.added.scope.current));
        let messages = all.windows[current].0;
        let past = all.windows[..current].iter().zip(reported).rev().take(USUAL);
        let past: Vec<u64> = past.filter(|(_, reported)| **reported).map(|(messages, _)| messages.0).collect();
        let (blocked, compared) = (all.blocked.0.min(messages), !past.is_empty());
        let usual = median(past).unwrap_or(0);
        let mut spoofing = Self {
            messages,
            blocked,
            addresses: all.addresses,
            usual,
            wave: compared && messages >= WAVE && messages > usual.saturating_mul(WAVE_TIMES),
            tail_messages: messages,
            tail_blocked: blocked,
            tail_addresses: all.addresses,
        };
        for sender in listed.into_iter().flatten() {
            spoofing.tail_messages = spoofing.tail_messages.saturating_sub(sender.sums.failing());
            spoofing.tail_blocked = spoofing.tail_blocked.saturating_sub(sender.blocked);
            spoofing.tail_addresses = spoofing.tail_addresses.saturating_sub(sender.who.addresses);
        }
        spoofing
    }

    /// Those that receivers did not block.
    pub fn not_blocked(&self) -> u64 {
        self.messages - self.blocked.min(self.messages)
    }

    /// A wave that gets through.
    pub fn is_alarming(&self) -> bool {
        let through = Messages(self.not_blocked());
        self.wave && through.0 >= NO_STRAY && through.is_one_in(WAVE_NOT_BLOCKED_ONE_IN, Messages(self.messages))
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.messages = self.messages.saturating_add(other.messages);
        self.blocked = self.blocked.saturating_add(other.blocked);
        self.addresses += other.addresses;
        self.usual = self.usual.saturating_add(other.usual);
        self.wave |= other.wave;
        self.tail_messages = self.tail_messages.saturating_add(other.tail_messages);
        self.tail_blocked = self.tail_blocked.saturating_add(other.tail_blocked);
        self.tail_addresses += other.tail_addresses;
    }
}
