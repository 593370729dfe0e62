//! After adding: the largest domains and patterns stay distinguished, and the rest becomes part of
//! [`OTHER`](super::interner::OTHER). Every sum stays exact.

use super::common::{PatternSums, SharedSums};
use super::facts::Pattern;
use super::interner::{IdMap, IdSet, Interner};
use crate::analyze::question::Question;
use crate::model::{Flags, Text};
use std::cmp::Reverse;

impl SharedSums {
    /// Merges the smallest domains and patterns. Returns the pattern that each is now part of; `None` if nothing
    /// changed.
    pub(crate) fn fold_smallest(&mut self, question: &Question) -> Option<Vec<u32>> {
        let of_tail = self.smallest_domains(question);
        let all = std::mem::take(&mut self.patterns).into_items();
        if of_tail.is_empty() && all.len() <= self.bounds.judged {
            self.patterns = Interner::of(all);
            return None;
        }
        let kept = self.largest(&all);
        let other = self.other();
        let part_of = all.into_iter().zip(kept).map(|(sums, kept)| {
            let mut pattern = sums.pattern;
            if of_tail.contains(&pattern.domain) {
                pattern.domain = other;
                pattern = self.folded(pattern, |_| other);
            } else if !kept {
                pattern = self.folded(pattern, |_| other);
            }
            self.add_rows(PatternSums { pattern, ..sums })
        });
        let part_of = part_of.collect();
        if !of_tail.is_empty() {
            self.fold_domains(&of_tail);
        }
        Some(part_of)
    }

    /// Whether each pattern is one of those with most messages.
    fn largest(&self, all: &[PatternSums]) -> Vec<bool> {
        let most = self.bounds.judged;
        if all.len() <= most {
            return vec![true; all.len()];
        }
        // Unproven reports must not push out others.
        let size = |sums: &PatternSums| Reverse(if sums.pattern.unproven { 0 } else { sums.messages });
        let mut ranked: Vec<u32> = (0..).take(all.len()).collect();
        ranked.select_nth_unstable_by(most, |a, b| {
            let (a, b) = (&all[*a as usize], &all[*b as usize]);
            size(a).cmp(&size(b)).then_with(|| self.words(&a.pattern).cmp(self.words(&b.pattern)))
        });
        let mut kept = vec![false; all.len()];
        ranked[..most].iter().for_each(|id| kept[*id as usize] = true);
        kept
    }

    /// The domains beyond the bound of the answer. A report may name any domain: those with evidence come first.
    fn smallest_domains(&self, question: &Question) -> IdSet<u32> {
        let most = self.bounds.told;
        if self.domains.len() <= most {
            return IdSet::default();
        }
        let mut sums: IdMap<u32, (bool, u64)> = self.domains.iter().map(|domain| (*domain, (false, 0))).collect();
        for one in self.patterns.items().iter().filter(|one| !one.pattern.unproven) {
            let (passes, messages) = sums.entry(one.pattern.domain).or_default();
            *passes |= one.pattern.flags.has(Flags::PASS) && one.messages > 0;
            *messages = messages.saturating_add(one.messages);
        }
        let is_named = |id: u32| question.names(self.texts.text(id));
        let mut ranked: Vec<_> = sums.into_iter().collect();
        ranked.sort_by_cached_key(|(id, (passes, messages))| {
            let evidence = (is_named(*id), self.heads.authentic.contains(id), *passes, *messages);
            (Reverse(evidence), Text::from(self.texts.text(*id)))
        });
        let tail = ranked.split_off(most).into_iter().map(|(id, _)| id);
        tail.filter(|id| !is_named(*id)).collect()
    }

    /// Adds up the sums by day and the reports of some domains under [`OTHER`](super::interner::OTHER).
    fn fold_domains(&mut self, of_tail: &IdSet<u32>) {
        let other = self.other();
        let now = |domain: u32| if of_tail.contains(&domain) { other } else { domain };
        for ((domain, day), sums) in std::mem::take(&mut self.days) {
            self.days.entry((now(domain), day)).or_default().merge(&sums);
        }
        self.heads.rename(now);
        self.more_domains = of_tail.len() as u64;
    }

    /// A pattern's words and other values: an order that does not depend on the order of arrival.
    fn words<'a>(&'a self, pattern: &Pattern) -> impl Iterator<Item = (&'a str, u32)> + use<'a> {
        let words = [
            pattern.domain,
            pattern.header_from,
            pattern.dkim_domain,
            pattern.dkim_selector,
            pattern.dkim_result,
            pattern.signatures,
            pattern.return_path,
            pattern.spf_result,
            pattern.disposition,
            pattern.mismatch,
            pattern.reason,
        ];
        let small = u32::from_be_bytes([pattern.window, pattern.flags.0, pattern.cause as u8, 0]);
        words.into_iter().map(move |id| (self.texts.text(id), small))
    }
}
