//! Explains one source or one network: its rows in the period, how it is classified, and why. It uses the same rows and
//! reports as the summary, because the reasoning depends on the whole.

use super::senders::Sender;
use crate::analyze::actions::Action;
use crate::analyze::foreign::Foreign;
use crate::analyze::period::SummaryPeriod;
use crate::analyze::period::{DAYS, date};
use crate::analyze::question::{Question, Watched};
use crate::analyze::senders::source::SourceSummary;
use crate::analyze::sums::adder::Adder;
use crate::model::{Cause, Flags, ReportHead, Rows, SenderAuth, SourceAddress, Words};
use jiff::civil::Date;
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// How many rows an explanation shows.
const SHOWN: usize = 200;

/// How many different rows are kept while adding up; beyond that, failing rows and those with most messages.
const KEPT: usize = 50_000;

/// The answer to "why?".
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The address, or the first of the network; `None`: the unknown source.
    pub source_ip: Option<IpAddr>,
    /// How many leading bits of it count: all of them for one address.
    pub prefix: u8,
    /// The days it is about.
    pub period: SummaryPeriod,
    /// The sums of each source, most failing messages first; empty if none was seen in the period.
    pub sources: Vec<SourceSummary>,
    /// The senders it is part of, one per domain and identity.
    pub senders: Vec<Sender>,
    /// What to do about it.
    pub actions: Vec<Action>,
    /// Its rows, equal ones of a day and reporter added up: failing first, then by messages.
    pub rows: Vec<ExplainedRow>,
    /// How many more there are.
    pub more_rows: u64,
}

/// Identical rows of one day and reporter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ExplainedRow {
    /// Passes DMARC.
    pub dmarc_pass: bool,
    /// The day.
    pub day: Date,
    /// The reporter.
    pub org_name: Foreign,
    /// The policy domain.
    pub policy_domain: Foreign,
    /// The From domain.
    pub header_from: Foreign,
    /// The deciding signature's domain.
    pub dkim_domain: Foreign,
    /// Its selector.
    pub dkim_selector: Foreign,
    /// Its result.
    pub dkim_result: Foreign,
    /// It aligns.
    pub dkim_aligned: bool,
    /// The return path's domain.
    pub spf_domain: Foreign,
    /// The SPF result.
    pub spf_result: Foreign,
    /// It aligns.
    pub spf_aligned: bool,
    /// What the receiver did.
    pub disposition: Foreign,
    /// Why it did not follow the policy.
    pub reason: Foreign,
    /// Where reporter and recomputation disagree.
    pub mismatch: Foreign,
    /// The cause that the row alone shows.
    pub cause: Cause,
    /// Messages.
    pub messages: u64,
}

/// Adds up like an [`Adder`], and keeps the rows of one source.
#[derive(Debug)]
pub struct Explainer {
    adder: Adder,
    watched: Watched,
    /// Messages by row; the messages in the key are zero.
    rows: Mutex<KeptRows>,
}

/// Messages by row, and how many rows were too small to be kept.
#[derive(Debug, Default)]
struct KeptRows {
    kept: BTreeMap<ExplainedRow, u64>,
    more: u64,
}

impl KeptRows {
    fn add(&mut self, row: ExplainedRow, messages: u64) {
        let known = self.kept.entry(row).or_default();
        *known = known.saturating_add(messages);
        if self.kept.len() > KEPT {
            let mut rows: Vec<_> = std::mem::take(&mut self.kept).into_iter().collect();
            rows.sort_unstable_by(|(a, x), (b, y)| (a.dmarc_pass, Reverse(x), a).cmp(&(b.dmarc_pass, Reverse(y), b)));
            self.more += (rows.len() - KEPT / 2) as u64;
            rows.truncate(KEPT / 2);
            self.kept = rows.into_iter().collect();
        }
    }
}

impl Explainer {
    /// For these addresses.
    pub fn new(question: &Question, watched: Watched) -> Self {
        let question = Question { watch: Some(watched), ..question.clone() };
        Self { adder: Adder::new(&question), watched, rows: Mutex::default() }
    }

    /// Adds reports.
    pub fn heads(&self, heads: &[ReportHead]) {
        self.adder.heads(heads);
    }

    /// Adds rows.
    pub fn rows(&self, rows: &Rows) {
        self.adder.rows(rows);
        for row in (0..rows.len).filter(|row| self.watched.holds(rows.source[*row])) {
            let day = rows.day[row].clamp(DAYS.0, DAYS.1);
            if self.adder.scope.window(day) == Some(self.adder.scope.current) && wants(&self.adder.question, rows, row)
            {
                let mut known = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
                known.add(explained(rows, row), u64::try_from(rows.count[row]).unwrap_or(0));
            }
        }
    }

    /// The answer.
    pub fn finish(self) -> Explanation {
        let summary = self.adder.finish();
        let KeptRows { kept, more } = self.rows.into_inner().unwrap_or_else(PoisonError::into_inner);
        let watched = self.watched;
        let holds = |address: Option<IpAddr>| watched.holds(SourceAddress::from(address));
        let mut rows: Vec<ExplainedRow> =
            kept.into_iter().map(|(row, messages)| ExplainedRow { messages, ..row }).collect();
        rows.sort_by_cached_key(|row| (row.dmarc_pass, Reverse(row.messages), row.clone()));
        let more_rows = more + rows.len().saturating_sub(SHOWN) as u64;
        rows.truncate(SHOWN);
        let (source_ip, prefix) = match watched {
            Watched::Unknown => (None, 0),
            Watched::Network(address, bits) => (Some(address), bits),
        };
        Explanation {
            source_ip,
            prefix,
            period: summary.period,
            senders: summary.watched,
            actions: summary
                .actions
                .into_iter()
                .filter(|action| action.sources.iter().any(|address| holds(Some(*address))))
                .collect(),
            sources: summary.sources.into_iter().filter(|source| holds(source.source_ip)).collect(),
            rows,
            more_rows,
        }
    }
}

/// Whether a question is about a row, whatever its day.
pub(super) fn wants(question: &Question, rows: &Rows, row: usize) -> bool {
    let domains = &question.domains;
    let forged = || word(&rows.sender_auth, row) == Some(SenderAuth::Fail.as_str());
    if question.authentic && forged() {
        return false;
    }
    domains.is_empty() || word(&rows.policy_domain, row).is_some_and(|word| domains.iter().any(|domain| domain == word))
}

/// A row's word; `None` if it has none, or the column was not read.
fn word(words: &Words, row: usize) -> Option<&str> {
    if words.codes.len() > row { words.get(row) } else { None }
}

pub(super) fn explained(rows: &Rows, row: usize) -> ExplainedRow {
    let text = |words: &Words| Foreign::from(word(words, row).unwrap_or(""));
    let flags = rows.flags[row];
    ExplainedRow {
        dmarc_pass: flags.has(Flags::PASS),
        day: date(rows.day[row]),
        org_name: text(&rows.org_name),
        policy_domain: text(&rows.policy_domain),
        header_from: text(&rows.header_from),
        dkim_domain: text(&rows.dkim_domain),
        dkim_selector: text(&rows.dkim_selector),
        dkim_result: text(&rows.dkim_result),
        dkim_aligned: flags.has(Flags::DKIM),
        spf_domain: text(&rows.spf_domain),
        spf_result: text(&rows.spf_result),
        spf_aligned: flags.has(Flags::SPF),
        disposition: text(&rows.disposition),
        reason: text(&rows.reason),
        mismatch: text(&rows.mismatch),
        cause: rows.cause.get(row).copied().unwrap_or(Cause::Unknown),
        messages: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::fixtures::{self, Line};

    #[test]
    fn with_too_many_rows_the_largest_are_kept_and_the_rest_is_counted() {
        let row = explained(&fixtures::rows(&[Line::new("2026-11-16", "192.0.2.7", 1).unauthenticated()]), 0);
        let (mut rows, all) = (KeptRows::default(), KEPT + 100);
        for number in 0..all {
            let large = number == 7;
            let row = ExplainedRow { header_from: format!("d{number}.example").into(), ..row.clone() };
            rows.add(row, if large { 50 } else { 1 });
        }
        assert!(rows.kept.len() <= KEPT && rows.kept.values().any(|messages| *messages == 50));
        assert_eq!(rows.kept.len() as u64 + rows.more, all as u64);
    }
}
