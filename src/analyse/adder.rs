//! Adding up: chunks of rows and report heads in, sums that merge, one [`Summary`] out. Adding is associative and
//! commutative: chunks may come in any order, in any number of adders.

use super::{
    Question, Summary,
    facts::Pattern,
    finish,
    heads::Heads,
    interner::{Column, Interner, NONE, Table},
    period::{DAYS, number},
    shards::{Entry, Shards},
    sums::Sums,
};
use crate::model::{Cause, Flags, ReportHead, Rows, SenderAuth, Text};

/// Sums of rows and reports for one question.
#[derive(Debug, Clone)]
pub struct Adder {
    pub(crate) question: Question,
    pub(crate) scope: Scope,
    /// Every word of every column but the reporter.
    pub(crate) texts: Interner<Text>,
    /// Every reporter's `org_name`.
    pub(crate) reporters: Interner<Text>,
    pub(crate) patterns: Interner<Pattern>,
    /// By source and pattern.
    pub(crate) facts: Shards,
    /// By policy domain and day: exact, whatever the periods.
    pub(crate) days: Table<(u32, i32), Sums>,
    pub(crate) heads: Heads,
}

/// Which rows count, and for which window.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// Ids of the domains asked for; empty: all.
    domains: Vec<u32>,
    /// The first day that counts.
    start: i32,
    /// Days a window; null: every row is in window 0.
    length: Option<i32>,
    /// The last window: the period asked for.
    pub(crate) asked: u8,
}

impl Scope {
    fn new(question: &Question, texts: &mut Interner<Text>) -> Self {
        let asked = question.windows();
        Self {
            domains: question.domains.iter().map(|domain| texts.id(domain.clone())).collect(),
            start: question.reads().map_or(i32::MIN, |period| number(period.from())),
            length: question.period.map(super::Period::days),
            asked,
        }
    }

    /// The window of a day; null where it does not count.
    pub(crate) fn window(&self, day: i32) -> Option<u8> {
        let Some(length) = self.length else { return Some(0) };
        let window = u8::try_from(day.checked_sub(self.start)?.div_euclid(length)).ok()?;
        (window <= self.asked).then_some(window)
    }

    /// Whether a policy domain was asked for.
    pub(crate) fn wants(&self, domain: u32) -> bool {
        self.domains.is_empty() || self.domains.contains(&domain)
    }
}

impl Adder {
    /// Nothing added yet.
    pub fn new(question: &Question) -> Self {
        let mut texts = Interner::default();
        let scope = Scope::new(question, &mut texts);
        Self {
            question: question.clone(),
            scope,
            texts,
            reporters: Interner::default(),
            patterns: Interner::default(),
            facts: Shards::default(),
            days: Table::default(),
            heads: Heads::default(),
        }
    }

    /// Add reports. Those of other days and domains are left out.
    pub fn heads(&mut self, heads: &[ReportHead]) {
        for head in heads {
            let domain = self.texts.id(head.policy.domain.as_str().into());
            if let Some(window) = self.scope.window(number(head.day)).filter(|_| self.scope.wants(domain)) {
                let reporter = self.reporters.id(head.org_name.clone());
                if window == self.scope.asked {
                    self.heads.odd(head, domain);
                }
                if !(self.question.authentic && head.sender_auth == SenderAuth::Fail) {
                    self.heads.add(head, (domain, reporter));
                }
            }
        }
    }

    /// Add rows. Those of other days and domains are left out; columns that were not read count as null.
    pub fn rows(&mut self, rows: &Rows) {
        let reporters = Column::new(&rows.org_name, &mut self.reporters);
        let columns = Columns::new(rows, &mut self.texts);
        let wanted: Vec<bool> = columns.domain_ids().map(|id| self.scope.wants(id)).collect();
        // Rows come sorted by day, domain and source: the sums of the row before are mostly those of this one.
        let (mut day_key, mut day_sums) = ((NONE, 0), Sums::default());
        let mut last: Option<(Pattern, u32)> = None;
        for row in 0..rows.len {
            let (day, source) = (rows.day[row].clamp(DAYS.0, DAYS.1), rows.source[row]);
            let domain_code = rows.policy_domain.codes.get(row).copied().unwrap_or(NONE);
            let wants = wanted.get(domain_code as usize).copied().unwrap_or_else(|| self.scope.wants(NONE));
            let Some(window) = self.scope.window(day).filter(|_| wants) else { continue };
            let messages = u64::try_from(rows.count[row]).unwrap_or(0);
            let pattern = columns.pattern(row, window);
            if self.question.authentic && pattern.unproven {
                continue;
            }
            if (pattern.domain, day) != day_key {
                self.flush(day_key, &mut day_sums);
                day_key = (pattern.domain, day);
            }
            day_sums.add(pattern.flags, messages, 1);
            let pattern = match last {
                Some((same, id)) if same == pattern => id,
                _ => {
                    let id = self.patterns.id(pattern);
                    last = Some((pattern, id));
                    id
                }
            };
            self.facts.add(Entry { source, messages, pattern, reporter: reporters.id(row), day });
        }
        self.flush(day_key, &mut day_sums);
    }

    /// Move the running sums of a day to their place.
    fn flush(&mut self, key: (u32, i32), sums: &mut Sums) {
        if sums.records > 0 {
            self.days.entry(key).or_default().merge(sums);
            *sums = Sums::default();
        }
    }

    /// What gave no rows, where it is only known once all was read.
    pub fn aside(&mut self, aside: super::Aside) {
        self.question.aside = aside;
    }

    /// Add what another adder of the same question added.
    pub fn merge(&mut self, other: Self) {
        let texts = self.texts.adopt(&other.texts);
        let reporters = self.reporters.adopt(&other.reporters);
        let patterns: Vec<u32> =
            other.patterns.items().iter().map(|pattern| self.patterns.id(pattern.translate(&texts))).collect();
        self.facts.merge(other.facts, &patterns, &reporters);
        let text = |id: u32| texts.get(id as usize).copied().unwrap_or(NONE);
        let reporter = |id: u32| reporters.get(id as usize).copied().unwrap_or(NONE);
        for ((domain, day), sums) in &other.days {
            self.days.entry((text(*domain), *day)).or_default().merge(sums);
        }
        self.heads.merge(other.heads, text, reporter);
    }

    /// The answer.
    pub fn finish(mut self) -> Summary {
        self.facts.settle();
        finish::summary(&self)
    }
}

/// The columns of a chunk, their dictionaries translated.
struct Columns<'a> {
    rows: &'a Rows,
    domain: Column<'a>,
    header_from: Column<'a>,
    envelope_from: Column<'a>,
    disposition: Column<'a>,
    dkim_domain: Column<'a>,
    dkim_selector: Column<'a>,
    dkim_result: Column<'a>,
    spf_domain: Column<'a>,
    spf_result: Column<'a>,
    mismatch: Column<'a>,
    sender_auth: Column<'a>,
    reason: Column<'a>,
    /// The id of the word for a proven forgery.
    forged: u32,
}

impl<'a> Columns<'a> {
    fn new(rows: &'a Rows, texts: &mut Interner<Text>) -> Self {
        let forged = texts.id(SenderAuth::Fail.as_str().into());
        let mut column = |words| Column::new(words, texts);
        Self {
            rows,
            domain: column(&rows.policy_domain),
            header_from: column(&rows.header_from),
            envelope_from: column(&rows.envelope_from),
            disposition: column(&rows.disposition),
            dkim_domain: column(&rows.dkim_domain),
            dkim_selector: column(&rows.dkim_selector),
            dkim_result: column(&rows.dkim_result),
            spf_domain: column(&rows.spf_domain),
            spf_result: column(&rows.spf_result),
            mismatch: column(&rows.mismatch),
            sender_auth: column(&rows.sender_auth),
            reason: column(&rows.reason),
            forged,
        }
    }

    /// The ids of the chunk's policy domains, by code.
    fn domain_ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.domain.ids()
    }

    /// All that is said of a row but who, where and how much.
    fn pattern(&self, row: usize, window: u8) -> Pattern {
        let spf_domain = self.spf_domain.id(row);
        Pattern {
            domain: self.domain.id(row),
            header_from: self.header_from.id(row),
            dkim_domain: self.dkim_domain.id(row),
            dkim_selector: self.dkim_selector.id(row),
            dkim_result: self.dkim_result.id(row),
            return_path: if spf_domain == NONE { self.envelope_from.id(row) } else { spf_domain },
            spf_result: self.spf_result.id(row),
            disposition: self.disposition.id(row),
            mismatch: self.mismatch.id(row),
            reason: self.reason.id(row),
            window,
            unproven: self.sender_auth.id(row) == self.forged,
            flags: Flags(self.rows.flags[row].0 & (Flags::PASS | Flags::DKIM | Flags::SPF)),
            cause: self.rows.cause.get(row).copied().unwrap_or(Cause::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::made::{self, Line};

    const DKIM: u8 = Flags::DKIM;
    const SPF: u8 = Flags::SPF;

    fn week() -> Question {
        Question { period: Some(made::week("2026-11-16")), ..Question::default() }
    }

    /// Two domains, three sources, all four buckets, and days before and after the week.
    fn lines() -> Vec<Line> {
        vec![
            Line::new("2026-11-16", "192.0.2.7", 8),
            Line::new("2026-11-17", "192.0.2.7", 3).spf("example.com", "fail").verdict(DKIM, Cause::PassDkimOnly),
            Line::new("2026-11-18", "192.0.2.8", 1).unsigned().verdict(SPF, Cause::PassSpfOnly).reporter("Yahoo"),
            Line::new("2026-11-22", "198.51.100.1", 7).unauthenticated().reporter("Yahoo"),
            Line::new("2026-11-22", "192.0.2.7", 5).domain("example.org"),
            Line::new("2026-11-22", "no address", 2).domain("example.org").verdict(0, Cause::Unknown),
            Line::new("2026-11-15", "198.51.100.1", 1000),
            Line::new("2026-11-23", "198.51.100.1", 1000),
            Line::new("2026-09-20", "192.0.2.9", 1000),
        ]
    }

    fn added(question: &Question, chunks: &[&[Line]]) -> Adder {
        let mut adder = Adder::new(question);
        for lines in chunks {
            adder.rows(&made::rows(lines));
            adder.heads(&made::heads(lines, |_, _| "none"));
        }
        adder
    }

    #[test]
    fn totals_count_messages_of_the_period_in_four_buckets() {
        let summary = added(&week(), &[&lines()]).finish();
        let sums = summary.totals.sums;
        assert_eq!((sums.messages, sums.dmarc_pass, sums.records), (26, 17, 6));
        assert_eq!((sums.both, sums.dkim_only, sums.spf_only, sums.neither), (13, 3, 1, 9));
        assert_eq!((sums.dkim_aligned, sums.spf_aligned), (16, 14));
        assert_eq!((summary.totals.reports, summary.totals.reporters), (5, 2));
    }

    #[test]
    fn a_source_is_one_entry_over_the_domains_and_failing_ones_come_first() {
        let summary = added(&week(), &[&lines()]).finish();
        let shown: Vec<_> = summary
            .sources
            .iter()
            .map(|source| {
                let address = source.source_ip.map_or("unknown".to_owned(), |address| address.to_string());
                (address, source.sums.messages, source.sums.dmarc_pass, source.cause)
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("198.51.100.1".to_owned(), 7, 0, Cause::SpfGap), // passed as example.com on the Sunday before
                ("unknown".to_owned(), 2, 0, Cause::Unknown),
                ("192.0.2.7".to_owned(), 16, 16, Cause::PassBoth),
                ("192.0.2.8".to_owned(), 1, 1, Cause::PassSpfOnly),
            ]
        );
        assert_eq!(summary.sources[0].first_seen.to_string(), "2026-11-15");
    }

    #[test]
    fn only_the_domains_asked_for_count() {
        let question = Question { domains: vec!["example.org".into()], ..week() };
        let summary = added(&question, &[&lines()]).finish();
        assert_eq!((summary.totals.sums.messages, summary.domains.len(), summary.sources.len()), (7, 1, 2));
        assert_eq!(summary.totals.reports, 1);
    }

    #[test]
    fn without_a_period_everything_counts_and_the_days_are_those_of_the_rows() {
        let summary = added(&Question::default(), &[&lines()]).finish();
        assert_eq!(summary.totals.sums.messages, 3026);
        let days = (summary.period.from.unwrap().to_string(), summary.period.to.unwrap().to_string());
        assert_eq!(days, ("2026-09-20".to_owned(), "2026-11-23".to_owned()));
    }

    #[test]
    fn forged_reports_are_left_out_when_asked_and_always_counted_as_odd() {
        let lines = lines();
        let rows = |auth: &str| crate::model::Rows {
            sender_auth: crate::model::Words { dictionary: vec![auth.into()], codes: vec![0; lines.len()] },
            ..made::rows(&lines)
        };
        let mut heads = made::heads(&lines, |_, _| "none");
        heads.iter_mut().for_each(|head| head.sender_auth = SenderAuth::Fail);
        for (authentic, messages, reports) in [(false, 52, 10), (true, 26, 5)] {
            let mut adder = Adder::new(&Question { authentic, ..week() });
            adder.rows(&rows("fail"));
            adder.rows(&rows("pass"));
            adder.heads(&heads);
            adder.heads(&made::heads(&lines, |_, _| "none"));
            let summary = adder.finish();
            assert_eq!((summary.totals.sums.messages, summary.totals.reports), (messages, reports));
            assert_eq!((summary.quality.unproven_reports, summary.quality.unproven_left_out), (5, authentic));
        }
    }

    #[test]
    fn nothing_added_is_an_answer_too() {
        let summary = Adder::new(&Question::default()).finish();
        assert_eq!((summary.totals.sums.messages, summary.period.from), (0, None));
    }

    #[test]
    fn neither_order_nor_chunks_nor_merging_change_the_answer() {
        let (lines, question) = (lines(), week());
        let expected = added(&question, &[&lines]).finish();
        let mut turned = lines.clone();
        for turn in 0..lines.len() {
            turned.rotate_left(1);
            let (front, back) = turned.split_at(turn);
            let mut one = Adder::new(&question);
            one.heads(&made::heads(&lines, |_, _| "none"));
            one.rows(&made::rows(back));
            let mut other = Adder::new(&question);
            for line in front {
                other.rows(&made::rows(std::slice::from_ref(line)));
            }
            one.merge(other);
            assert_eq!(one.finish(), expected, "turned by {turn}");
        }
    }

    #[test]
    fn columns_that_were_not_read_count_as_null() {
        let mut rows = made::rows(&lines());
        rows.dkim_domain = crate::model::Words::default();
        rows.cause.clear();
        let mut adder = Adder::new(&week());
        adder.rows(&rows);
        assert_eq!(adder.finish().totals.sums.messages, 26);
    }

    #[test]
    fn sums_never_wrap() {
        let lines = [Line::new("2026-11-16", "192.0.2.7", i64::MAX), Line::new("2026-11-16", "192.0.2.7", i64::MAX)];
        let three = added(&week(), &[&lines, &lines]).finish();
        assert_eq!(three.totals.sums.messages, u64::MAX);
        assert_eq!(three.sources[0].sums.both, u64::MAX);
    }
}
