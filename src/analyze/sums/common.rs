//! Sums that do not depend on sources: words, patterns and their sums, sums by domain and day, report heads. They are
//! small, and shared by all threads.

use super::classes::Classes;
use super::facts::Pattern;
use super::heads::Heads;
use super::interner::{InternedColumn, Interner, Keyed, NONE, OTHER};
use super::scope::Scope;
use super::statistics::Sums;
use crate::analyze::period::{self, DAYS};
use crate::analyze::question::Question;
use crate::judge::organizational;
use crate::model::{
    Cause, Disposition, DkimResult, Flags, Mismatch, ReasonType, ReportHead, Rows, SenderAuth, SpfResult, Text,
};
use foldhash::fast::RandomState;
use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The flags that a pattern has.
const FLAGS: u8 = Flags::PASS | Flags::DKIM | Flags::SPF;

/// How many things are distinguished. Everything beyond is added up under one name, so every sum stays exact.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// Patterns while rows are added: first come, first kept.
    pub(crate) patterns: usize,
    /// Patterns that are judged: those with most messages.
    pub(crate) judged: usize,
    /// Keys, vouchers and return paths by which senders are known: those with most messages.
    pub(crate) identities: usize,
    /// Policy domains while rows are added: the first ones, and all that the user named.
    pub(crate) domains: usize,
    /// Policy domains in the answer: those that the user named, then those of authentic reports, then those with
    /// passing mail, then those with most messages.
    pub(crate) told: usize,
    /// Bytes of the words of patterns.
    pub(crate) words: usize,
    /// Bytes of the names of reporters.
    pub(crate) reporters: usize,
    /// Addresses: further ones count as the unknown source.
    pub(crate) sources: usize,
    /// Patterns, word bytes and addresses used by all that share these bounds.
    pub(crate) used: Arc<(AtomicUsize, AtomicUsize, AtomicUsize)>,
}

impl Default for Bounds {
    /// A year of 500 domains and their services has about 40,000 patterns and 10,000 identities; more are an attack on
    /// memory. A pattern takes 100 bytes while rows are added and up to 2 KB when it is judged, an identity 1.5 KB, a
    /// domain 500 bytes, and 5 KB in the answer. An address takes 60 bytes; a year of 500 domains has 370,000.
    fn default() -> Self {
        Self {
            patterns: 400_000,
            judged: 1 << 16,
            identities: 20_000,
            domains: 1 << 18,
            told: 1 << 14,
            words: 32 << 20,
            reporters: 8 << 20,
            sources: 800_000,
            used: Arc::default(),
        }
    }
}

impl Bounds {
    /// How far one user of the shared bounds may grow, given what it has now.
    fn left(&self, (patterns, words): (usize, usize)) -> (usize, usize) {
        let far = |bound: usize, used: &AtomicUsize, own: usize| {
            bound.saturating_sub(used.load(Ordering::Relaxed).saturating_sub(own))
        };
        (far(self.patterns, &self.used.0, patterns), far(self.words, &self.used.1, words))
    }

    /// How many more addresses are told apart.
    pub(super) fn sources_left(&self) -> usize {
        self.sources.saturating_sub(self.used.2.load(Ordering::Relaxed))
    }

    /// Records additional addresses.
    pub(super) fn take_sources(&self, sources: usize) {
        self.used.2.fetch_add(sources, Ordering::Relaxed);
    }

    /// Records additional use.
    fn take(&self, (patterns, words): (usize, usize)) {
        self.used.0.fetch_add(patterns, Ordering::Relaxed);
        self.used.1.fetch_add(words, Ordering::Relaxed);
    }
}

/// Sums over all sources.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedSums {
    /// Every word of every column except the reporter.
    pub(crate) texts: Interner<Text>,
    /// Every reporter's `org_name`.
    pub(crate) reporters: Interner<Text>,
    pub(crate) patterns: Interner<PatternSums>,
    /// The policy domains that are distinguished.
    pub(super) domains: HashSet<u32, RandomState>,
    /// How many distinguished policy domains are now part of [`OTHER`].
    pub(crate) more_domains: u64,
    /// Messages of addresses that were not told apart.
    pub(crate) untold: u64,
    /// By policy domain and day: exact for any period.
    pub(crate) days: BTreeMap<(u32, i32), Sums>,
    pub(crate) heads: Heads,
    pub(crate) bounds: Bounds,
}

/// The rows of a pattern, over all sources.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PatternSums {
    pub(crate) pattern: Pattern,
    pub(crate) messages: u64,
    pub(crate) records: u64,
    /// The last day.
    pub(crate) last: i32,
}

impl Keyed for PatternSums {
    type Key = Pattern;

    fn key(&self) -> &Pattern {
        &self.pattern
    }
}

/// A chunk of rows, grouped by everything except source, reporter and count.
pub(crate) struct RowChunk<'a> {
    rows: &'a Rows,
    classes: Classes,
    /// Messages and rows by class.
    sums: Vec<(u64, u64)>,
}

/// A chunk's codes translated to common IDs.
pub(crate) struct ChunkIds {
    /// Pattern and day of each class; the pattern is [`NONE`] if its rows do not count.
    pub(crate) classes: Vec<(u32, i32)>,
    /// The reporters by their codes.
    pub(crate) reporters: Vec<u32>,
}

impl<'a> RowChunk<'a> {
    /// Groups the rows.
    pub(crate) fn new(rows: &'a Rows) -> Self {
        let mut classes = Classes::one(rows.len);
        classes.split(rows.day.iter().map(|day| clamped(*day).cast_unsigned()));
        classes.split(rows.flags.iter().map(|flags| u32::from(flags.0 & FLAGS)));
        classes.split(rows.cause.iter().map(|cause| *cause as u32));
        for words in [
            &rows.policy_domain,
            &rows.disposition,
            &rows.dkim_result,
            &rows.spf_result,
            &rows.mismatch,
            &rows.sender_auth,
            &rows.dkim_domain,
            &rows.header_from,
            &rows.dkim_selector,
            &rows.reason,
            &rows.spf_domain,
            &rows.signatures,
        ] {
            classes.split(words.codes.iter().copied());
        }
        let (spf_domain, envelope_from) = (&rows.spf_domain.codes, &rows.envelope_from.codes);
        let unsaid = |row: &usize| spf_domain.get(*row).is_none_or(|code| *code == NONE);
        classes.split(envelope_from.iter().enumerate().map(|(row, code)| if unsaid(&row) { *code } else { NONE }));
        let mut sums = vec![(0_u64, 0); classes.firsts().len()];
        for (class, count) in classes.per_row().iter().zip(&rows.count) {
            let sum = &mut sums[*class as usize];
            *sum = (sum.0.saturating_add(u64::try_from(*count).unwrap_or(0)), sum.1 + 1);
        }
        Self { rows, classes, sums }
    }

    /// The class of each row.
    pub(crate) fn classes(&self) -> &[u32] {
        self.classes.per_row()
    }
}

impl SharedSums {
    /// Adds reports. Reports of other days and domains are ignored.
    pub(crate) fn heads(&mut self, heads: &[ReportHead], scope: &Scope, question: &Question) {
        for head in heads {
            let domain = self.domain(head.policy.domain.as_str(), question);
            if let Some(window) = scope.window(period::number(head.day)).filter(|_| scope.wants(domain)) {
                let reporter = self.reporter(&head.org_name);
                if window == scope.current {
                    self.heads.odd(head, domain);
                }
                if !(question.authentic && head.sender_auth == SenderAuth::Fail) {
                    self.heads.add(head, (domain, reporter));
                }
            }
        }
    }

    /// Adds the sums of a chunk; columns that were not read count as null.
    pub(crate) fn add(&mut self, chunk: &RowChunk<'_>, scope: &Scope, question: &Question) -> ChunkIds {
        let mut columns = ChunkColumns::new(chunk.rows);
        let before = (self.patterns.items().len(), self.texts.bytes());
        let (patterns, words) = self.bounds.left(before);
        let classes = chunk.classes.firsts().iter().zip(&chunk.sums).map(|(row, (messages, records))| {
            let day = clamped(chunk.rows.day[*row]);
            let Some(window) = scope.window(day) else { return (NONE, day) };
            let crowded = self.patterns.items().len() >= patterns;
            let full = crowded || self.texts.bytes() >= words;
            let domain = columns.domain(*row).map_or(NONE, |domain| self.domain(domain, question));
            let mut pattern = columns.pattern(*row, domain, &mut self.texts, (window, window == scope.current), full);
            let other = self.other();
            if domain == other || full && self.patterns.find(&pattern).is_none() {
                let keep = |name: u32| if crowded || domain == other { other } else { name };
                pattern = self.folded(pattern, keep);
            }
            if !scope.wants(pattern.domain) || question.authentic && pattern.unproven {
                return (NONE, day);
            }
            self.days.entry((pattern.domain, day)).or_default().add(pattern.flags, *messages, *records);
            (self.add_rows(PatternSums { pattern, messages: *messages, records: *records, last: day }), day)
        });
        let classes = classes.collect();
        self.bounds.take((self.patterns.items().len() - before.0, self.texts.bytes() - before.1));
        let reporters = chunk.rows.org_name.dictionary.iter().map(|name| self.reporter(name)).collect();
        ChunkIds { classes, reporters }
    }

    /// Adds rows of a pattern, and returns its ID.
    pub(super) fn add_rows(&mut self, rows: PatternSums) -> u32 {
        let none = || PatternSums { messages: 0, records: 0, last: i32::MIN, ..rows };
        let id = self.patterns.id(&rows.pattern, none);
        let sums = self.patterns.get_mut(id);
        sums.messages = sums.messages.saturating_add(rows.messages);
        sums.records = sums.records.saturating_add(rows.records);
        sums.last = sums.last.max(rows.last);
        id
    }

    /// The ID of a policy domain; that of [`OTHER`] if there are too many and the user did not name it.
    fn domain(&mut self, domain: &str, question: &Question) -> u32 {
        if self.domains.len() < self.bounds.domains || question.names(domain) {
            let id = self.texts.word(domain);
            self.domains.insert(id);
            return id;
        }
        self.texts.find(domain).filter(|id| self.domains.contains(id)).unwrap_or_else(|| self.other())
    }

    /// The ID of a reporter; that of [`OTHER`] if there are too many.
    fn reporter(&mut self, name: &str) -> u32 {
        let full = self.reporters.bytes() >= self.bounds.reporters;
        if full { self.reporters.known_or_other(name) } else { self.reporters.word(name) }
    }

    /// The ID of [`OTHER`].
    pub(crate) fn other(&mut self) -> u32 {
        self.texts.word(OTHER)
    }

    /// A pattern without the names beyond the bounds: `keep` says which stay.
    pub(crate) fn folded(&mut self, pattern: Pattern, keep: impl Fn(u32) -> u32) -> Pattern {
        let other = self.other();
        let organization = |id: u32| organizational(self.texts.text(id));
        let from = if pattern.header_from == NONE { pattern.domain } else { pattern.header_from };
        pattern.folded(other, keep, |name| organization(name) == organization(from))
    }
}

/// A word of a column with few values: nonstandard ones are one value, because there may be as many as rows.
fn standard(word: &str, is_known: bool) -> &str {
    if is_known { word } else { OTHER }
}

fn is_mismatch(word: &str) -> bool {
    let known = [Mismatch::PassWithoutEvidence, Mismatch::FailButAligned, Mismatch::NotEvaluated];
    known.iter().any(|known| known.as_str() == word)
}

/// A nonstandard first reason becomes one value; the rest is kept.
fn reason(word: &str) -> &str {
    let known = |rest: &str| {
        rest.split(' ').count() <= REASON_WORDS
            && rest.split(' ').all(|word| ReasonType::known(word).is_some() || word == "arc=pass")
    };
    let after_blanks = word.match_indices(' ').map(|(at, _)| &word[at + 1..]);
    std::iter::once(word).chain(after_blanks).find(|rest| known(rest)).unwrap_or(OTHER)
}

/// Words of a reason: its type, `arc=pass`, and the two that exempt a message.
const REASON_WORDS: usize = 4;

/// A day of the calendar, whatever the column holds.
fn clamped(day: i32) -> i32 {
    day.clamp(DAYS.0, DAYS.1)
}

/// The columns of a chunk, their dictionaries translated.
struct ChunkColumns<'a> {
    rows: &'a Rows,
    header_from: InternedColumn<'a>,
    envelope_from: InternedColumn<'a>,
    disposition: InternedColumn<'a>,
    dkim_domain: InternedColumn<'a>,
    dkim_selector: InternedColumn<'a>,
    dkim_result: InternedColumn<'a>,
    spf_domain: InternedColumn<'a>,
    spf_result: InternedColumn<'a>,
    mismatch: InternedColumn<'a>,
    reason: InternedColumn<'a>,
    signatures: InternedColumn<'a>,
}

impl<'a> ChunkColumns<'a> {
    fn new(rows: &'a Rows) -> Self {
        Self {
            rows,
            header_from: InternedColumn::new(&rows.header_from),
            envelope_from: InternedColumn::new(&rows.envelope_from),
            disposition: InternedColumn::new(&rows.disposition),
            dkim_domain: InternedColumn::new(&rows.dkim_domain),
            dkim_selector: InternedColumn::new(&rows.dkim_selector),
            dkim_result: InternedColumn::new(&rows.dkim_result),
            spf_domain: InternedColumn::new(&rows.spf_domain),
            spf_result: InternedColumn::new(&rows.spf_result),
            mismatch: InternedColumn::new(&rows.mismatch),
            reason: InternedColumn::new(&rows.reason),
            signatures: InternedColumn::new(&rows.signatures),
        }
    }

    /// The policy domain of a row.
    fn domain(&self, row: usize) -> Option<&'a str> {
        let code = self.rows.policy_domain.codes.get(row).copied()?;
        self.rows.policy_domain.dictionary.get(code as usize).map(Text::as_str)
    }

    /// Everything about a row except reporter, source and count. Columns not needed for the history are left out of it.
    /// If the bounds are `full`, only known words are distinguished.
    fn pattern(
        &mut self,
        row: usize,
        domain: u32,
        texts: &mut Interner<Text>,
        (window, current): (u8, bool),
        full: bool,
    ) -> Pattern {
        let mut name = |column: &mut InternedColumn<'_>| {
            column.id(row, |word| if full { texts.known_or_other(word) } else { texts.word(word) })
        };
        let (header_from, signatures) = (name(&mut self.header_from), name(&mut self.signatures));
        let (dkim_domain, dkim_selector) = (name(&mut self.dkim_domain), name(&mut self.dkim_selector));
        let spf_domain = name(&mut self.spf_domain);
        let return_path = if spf_domain == NONE { name(&mut self.envelope_from) } else { spf_domain };
        let mut value = |column: &mut InternedColumn<'_>, wanted: bool, value: fn(&str) -> &str| {
            if wanted { column.id(row, |word| texts.word(value(word))) } else { NONE }
        };
        let auth = &self.rows.sender_auth;
        Pattern {
            domain,
            header_from,
            dkim_domain,
            dkim_selector,
            signatures,
            return_path,
            dkim_result: value(&mut self.dkim_result, true, |word| standard(word, DkimResult::known(word).is_some())),
            spf_result: value(&mut self.spf_result, true, |word| standard(word, SpfResult::known(word).is_some())),
            disposition: value(&mut self.disposition, current, |word| {
                standard(word, Disposition::known(word).is_some())
            }),
            mismatch: value(&mut self.mismatch, current, |word| standard(word, is_mismatch(word))),
            reason: value(&mut self.reason, current, reason),
            window,
            unproven: row < auth.codes.len() && auth.get(row) == Some(SenderAuth::Fail.as_str()),
            flags: Flags(self.rows.flags[row].0 & FLAGS),
            cause: self.rows.cause.get(row).copied().unwrap_or(Cause::Unknown),
        }
    }
}
