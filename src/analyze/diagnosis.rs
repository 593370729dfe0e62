//! From what single rows say to what a source is: the cause with most failing messages, and what `unauthenticated` means
//! there. In: messages by cause, and whether anything confirms the sender. Out: one cause.

use crate::model::Cause;

/// Messages by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Causes {
    messages: [u64; Cause::ALL.len()],
    /// Bit n: some row had cause n, even one of no messages.
    seen: u16,
}

impl Causes {
    /// Add messages of a cause.
    pub(crate) fn add(&mut self, cause: Cause, messages: u64) {
        let sum = &mut self.messages[cause as usize];
        *sum = sum.saturating_add(messages);
        self.seen |= 1 << (cause as u8);
    }

    /// Add others.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.messages.iter_mut().zip(other.messages).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        self.seen |= other.seen;
    }

    /// Count so many messages of one cause for another, as far as there are any.
    pub(crate) fn turn(&mut self, from: Cause, to: Cause, messages: u64) {
        let turned = messages.min(self.of(from));
        if turned > 0 {
            self.messages[from as usize] -= turned;
            self.add(to, turned);
        }
    }

    /// Messages of a cause.
    pub(crate) fn of(&self, cause: Cause) -> u64 {
        self.messages[cause as usize]
    }

    /// The diagnosis (DESIGN.md section 2): the failing class with most messages, ties in the order of the classes; the
    /// pass class with most messages where none fails. `Unauthenticated` becomes `SpfGap` for a `confirmed` sender, one
    /// that also passes as this domain or that the reader knows, else `SpoofSuspect`.
    pub(crate) fn diagnosis(&self, confirmed: bool) -> Cause {
        match self.largest(|cause| !is_pass(cause)).or_else(|| self.largest(is_pass)) {
            Some(Cause::Unauthenticated) if confirmed => Cause::SpfGap,
            Some(Cause::Unauthenticated) => Cause::SpoofSuspect,
            Some(cause) => cause,
            None => Cause::Unknown,
        }
    }

    fn largest(&self, wanted: fn(Cause) -> bool) -> Option<Cause> {
        let seen = |cause: &Cause| wanted(*cause) && self.seen & (1 << (*cause as u8)) != 0;
        // `rev`, because `max_by_key` keeps the last of equals.
        Cause::ALL.into_iter().rev().filter(seen).max_by_key(|cause| self.of(*cause))
    }
}

/// Whether a cause is a way to pass.
pub(crate) fn is_pass(cause: Cause) -> bool {
    matches!(cause, Cause::PassBoth | Cause::PassDkimOnly | Cause::PassSpfOnly)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(causes: &[(Cause, u64)], confirmed: bool) -> Cause {
        let mut sums = Causes::default();
        for (cause, messages) in causes {
            sums.add(*cause, *messages);
        }
        sums.diagnosis(confirmed)
    }

    #[test]
    fn the_cause_with_most_failing_messages_holds_however_many_pass() {
        let causes = [(Cause::PassBoth, 1000), (Cause::Transient, 2), (Cause::OwnSigningBroken, 3)];
        assert_eq!(diagnosis(&causes, false), Cause::OwnSigningBroken);
    }

    #[test]
    fn ties_go_to_the_class_that_comes_first() {
        assert_eq!(diagnosis(&[(Cause::Unknown, 5), (Cause::Transient, 5)], false), Cause::Transient);
        assert_eq!(diagnosis(&[(Cause::PassSpfOnly, 5), (Cause::PassDkimOnly, 5)], false), Cause::PassDkimOnly);
    }

    #[test]
    fn without_failures_the_way_most_messages_pass_is_named() {
        assert_eq!(diagnosis(&[(Cause::PassBoth, 1), (Cause::PassDkimOnly, 9)], false), Cause::PassDkimOnly);
    }

    #[test]
    fn unauthenticated_mail_is_a_gap_of_a_confirmed_sender_and_suspect_of_anyone_else() {
        assert_eq!(diagnosis(&[(Cause::Unauthenticated, 9)], true), Cause::SpfGap);
        assert_eq!(diagnosis(&[(Cause::Unauthenticated, 9)], false), Cause::SpoofSuspect);
    }

    #[test]
    fn rows_of_no_messages_still_say_what_they_are() {
        assert_eq!(diagnosis(&[(Cause::Transient, 0)], false), Cause::Transient);
        assert_eq!(diagnosis(&[], false), Cause::Unknown);
    }
}
