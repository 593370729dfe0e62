//! Queries DNS for a limited time, and stops if it does not answer at all.
//!
//! For lookups that must not delay a run. Queries that are not sent count as failed, never as missing.

use super::answer::{Answer, Data, DnsQuestion, Failure, Lookup};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// Questions without an answer, before any had one, after which DNS counts as away.
const PATIENCE: usize = 4;

/// Asks another lookup while there is time.
pub struct BoundedLookup<'a> {
    below: &'a (dyn Lookup + Sync),
    until: Instant,
    stop: &'a (dyn Fn() -> bool + Sync),
    answered: AtomicBool,
    unanswered: AtomicUsize,
}

impl std::fmt::Debug for BoundedLookup<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoundedLookup").field("until", &self.until).finish_non_exhaustive()
    }
}

impl<'a> BoundedLookup<'a> {
    /// Asks until this instant, or until `stop` says so.
    pub fn new(below: &'a (dyn Lookup + Sync), until: Instant, stop: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self { below, until, stop, answered: AtomicBool::new(false), unanswered: AtomicUsize::new(0) }
    }

    /// Whether DNS was given up because it answered nothing.
    pub fn is_away(&self) -> bool {
        !self.answered.load(Ordering::Relaxed) && self.unanswered.load(Ordering::Relaxed) >= PATIENCE
    }

    /// Whether nothing is asked any more.
    pub fn is_over(&self) -> bool {
        self.is_away() || (self.stop)() || Instant::now() >= self.until
    }
}

impl Lookup for BoundedLookup<'_> {
    fn ask(&self, question: &DnsQuestion) -> Answer<Vec<Data>> {
        if self.is_over() {
            return Answer::Failed(Failure::Other("not queried: the time for lookups is over".into()));
        }
        let answer = self.below.ask(question);
        match &answer {
            Answer::Failed(Failure::TimedOut | Failure::Other(_)) => {
                self.unanswered.fetch_add(1, Ordering::Relaxed);
            }
            _ => self.answered.store(true, Ordering::Relaxed),
        }
        answer
    }

    fn announce(&self, questions: &[DnsQuestion]) {
        // One question shows whether anybody answers; a whole list would wait for each of them.
        if let Some(first) = questions.first().filter(|_| !self.answered.load(Ordering::Relaxed)) {
            self.ask(first);
        }
        if self.answered.load(Ordering::Relaxed) && !self.is_over() {
            self.below.announce(questions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Answers that there is nothing, but for one name that nobody answers for.
    struct Table;

    impl Lookup for Table {
        fn ask(&self, question: &DnsQuestion) -> Answer<Vec<Data>> {
            if question.name == "away.example" { Answer::Failed(Failure::TimedOut) } else { Answer::NoData }
        }
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    #[test]
    fn nothing_is_queried_after_the_time_limit_or_a_stop() {
        let asked = |until, stop: &(dyn Fn() -> bool + Sync)| {
            let bounded = BoundedLookup::new(&Table, until, stop);
            (bounded.txt("example.com").failure().is_some(), bounded.is_over(), bounded.is_away())
        };
        assert_eq!(asked(later(), &|| false), (false, false, false));
        assert_eq!(asked(Instant::now(), &|| false), (true, true, false));
        assert_eq!(asked(later(), &|| true), (true, true, false));
    }

    #[test]
    fn dns_is_given_up_only_if_it_never_answered() {
        let bounded = BoundedLookup::new(&Table, later(), &|| false);
        let ask = |bounded: &BoundedLookup<'_>| (0..PATIENCE).for_each(|_| _ = bounded.txt("away.example"));
        ask(&bounded);
        assert!(bounded.is_away() && bounded.txt("example.com").failure().is_some());
        let bounded = BoundedLookup::new(&Table, later(), &|| false);
        bounded.txt("example.com");
        ask(&bounded);
        assert!(!bounded.is_away());
    }
}
