//! Derives the cause of a source or sender from its rows: the failing cause with most messages.

use crate::analyze::sums::Messages;
use crate::model::Cause;

/// Messages by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Causes {
    messages: [Messages; Cause::ALL.len()],
    /// Bit n: some row had cause n, even one of no messages.
    seen: u16,
    /// The same for rows that no verdict counts: used if there are no others.
    unjudged: u16,
}

impl Causes {
    /// Adds messages of a cause; `judged` is zero for rows that no verdict counts.
    pub(crate) fn add(&mut self, cause: Cause, messages: u64, judged: Messages) {
        if messages > 0 && judged.0 == 0 {
            self.unjudged |= 1 << (cause as u8);
        } else {
            self.messages[cause as usize] += judged;
            self.seen |= 1 << (cause as u8);
        }
    }

    /// Adds others.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.messages.iter_mut().zip(other.messages).for_each(|(sum, more)| *sum += more);
        self.seen |= other.seen;
        self.unjudged |= other.unjudged;
    }

    /// Messages of a cause.
    pub(crate) fn count(&self, cause: Cause) -> Messages {
        self.messages[cause as usize]
    }

    /// The failing cause with most messages, ties in the order of [`Cause::ALL`]; if none fails, how most messages
    /// pass.
    pub(crate) fn diagnosis(&self) -> Cause {
        let of = |seen| self.largest(seen, |cause| !is_pass(cause)).or_else(|| self.largest(seen, is_pass));
        of(self.seen).or_else(|| of(self.unjudged)).unwrap_or(Cause::Unknown)
    }

    fn largest(&self, seen: u16, wanted: fn(Cause) -> bool) -> Option<Cause> {
        let wanted = |cause: &Cause| wanted(*cause) && seen & (1 << (*cause as u8)) != 0;
        // `rev`, because `max_by_key` keeps the last of equals.
        Cause::ALL.into_iter().rev().filter(wanted).max_by_key(|cause| self.count(*cause))
    }
}

/// Whether a cause is a way to pass.
fn is_pass(cause: Cause) -> bool {
    matches!(cause, Cause::PassBoth | Cause::PassDkimOnly | Cause::PassSpfOnly)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(causes: &[(Cause, u64)]) -> Cause {
        let mut sums = Causes::default();
        for (cause, messages) in causes {
            sums.add(*cause, *messages, Messages(*messages));
        }
        sums.diagnosis()
    }

    #[test]
    fn the_cause_with_most_failing_messages_holds_however_many_pass() {
        let causes = [(Cause::PassBoth, 1000), (Cause::Transient, 2), (Cause::OwnSigningBroken, 3)];
        assert_eq!(diagnosis(&causes), Cause::OwnSigningBroken);
    }

    #[test]
    fn ties_go_to_the_class_that_comes_first() {
        assert_eq!(diagnosis(&[(Cause::Unknown, 5), (Cause::Transient, 5)]), Cause::Transient);
        assert_eq!(diagnosis(&[(Cause::PassSpfOnly, 5), (Cause::PassDkimOnly, 5)]), Cause::PassDkimOnly);
    }

    #[test]
    fn without_failures_the_way_most_messages_pass_is_named() {
        assert_eq!(diagnosis(&[(Cause::PassBoth, 1), (Cause::PassDkimOnly, 9)]), Cause::PassDkimOnly);
    }

    #[test]
    fn rows_of_no_messages_still_say_what_they_are() {
        assert_eq!(diagnosis(&[(Cause::Transient, 0)]), Cause::Transient);
        assert_eq!(diagnosis(&[]), Cause::Unknown);
    }

    #[test]
    fn rows_that_no_verdict_counts_decide_only_if_there_are_no_others() {
        let mut sums = Causes::default();
        sums.add(Cause::OwnSigningBroken, 50, Messages(0));
        assert_eq!(sums.diagnosis(), Cause::OwnSigningBroken);
        sums.add(Cause::PassBoth, 5, Messages(5));
        assert_eq!(sums.diagnosis(), Cause::PassBoth);
    }
}
