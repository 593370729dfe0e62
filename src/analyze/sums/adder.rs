//! Adds up chunks of rows and report heads, from any number of threads. Adding is associative and commutative: the
//! order does not matter.

use super::common::{Bounds, RowChunk, SharedSums};
use super::interner::NONE;
use super::scope::Scope;
use super::shards::{RowKey, ShardFacts, Shards};
use crate::analyze::question::{Aside, Question};
use crate::analyze::tls::TlsSums;
use crate::model::{ReportHead, Rows, TlsPolicyRow};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sums of rows and reports for one question.
#[derive(Debug)]
pub struct Adder {
    pub(crate) question: Question,
    pub(crate) scope: Scope,
    /// Locked for a moment per chunk.
    common: Mutex<SharedSums>,
    facts: Shards,
    pub(crate) tls: TlsSums,
}

/// Everything that was added.
#[derive(Debug)]
pub(crate) struct CollectedSums {
    pub(crate) question: Question,
    pub(crate) scope: Scope,
    pub(crate) common: SharedSums,
    /// By source and pattern.
    pub(crate) facts: Vec<ShardFacts>,
}

impl Adder {
    /// An empty adder.
    pub fn new(question: &Question) -> Self {
        let mut common = SharedSums::default();
        Self {
            question: question.clone(),
            scope: Scope::new(question, &mut common.texts),
            common: Mutex::new(common),
            facts: Shards::default(),
            tls: TlsSums::default(),
        }
    }

    /// One for each question. All of them share the bounds of one.
    pub fn several<'a>(questions: impl IntoIterator<Item = &'a Question>) -> Vec<Self> {
        let bounds = Bounds::default();
        let adder = |question| {
            let adder = Self::new(question);
            adder.common().bounds = bounds.clone();
            adder
        };
        questions.into_iter().map(adder).collect()
    }

    pub(crate) fn common(&self) -> MutexGuard<'_, SharedSums> {
        self.common.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds reports. Reports of other days and domains are ignored.
    pub fn heads(&self, heads: &[ReportHead]) {
        self.common().heads(heads, &self.scope, &self.question);
    }

    /// Adds rows. Rows of other days and domains are ignored; columns that were not read count as null.
    pub fn rows(&self, rows: &Rows) {
        let chunk = RowChunk::new(rows);
        let mut common = self.common();
        let (known, bounds) = (common.add(&chunk, &self.scope, &self.question), common.bounds.clone());
        drop(common);
        let is_watched = |source| self.question.watch.is_some_and(|watch| watch.holds(source));
        let untold = self.facts.add(rows, (&bounds, &is_watched), |row| {
            let (pattern, day) = known.classes[chunk.classes()[row] as usize];
            let code = rows.org_name.codes.get(row).copied().unwrap_or(NONE);
            RowKey { pattern, day, reporter: known.reporters.get(code as usize).copied().unwrap_or(NONE) }
        });
        if untold > 0 {
            let mut common = self.common();
            common.untold = common.untold.saturating_add(untold);
        }
    }

    /// Adds what a TLS report says of a policy. Other days and domains are left out.
    pub fn tls(&mut self, row: &TlsPolicyRow) {
        self.tls.add(row, &self.question);
    }

    /// Sets what gave no rows, if it is known only at the end.
    pub fn aside(&mut self, aside: Aside) {
        self.question.aside = aside;
    }

    /// Ends adding.
    pub(crate) fn into_added(self) -> CollectedSums {
        let mut common = self.common.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Self { question, scope, facts, .. } = self;
        let part_of = common.fold_smallest(&question);
        CollectedSums { question, scope, common, facts: facts.whole(part_of.as_deref()) }
    }
}
