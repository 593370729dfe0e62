//! The simulation held against what receivers did: where they say that test mode (`t=y`) spared a message, they said what
//! the record would have asked for.

use super::{PolicyTags, TestModeCheck, rules::Certainty, rules::Rules};
use crate::analyze::{MailResults, MailRow};
use jiff::civil::Date;
use std::collections::HashMap;

/// Compares as rows come.
pub(super) struct TestModeComparison<'a> {
    rules: Rules<'a>,
    /// The record as the reports of each day show it.
    by_day: HashMap<Date, PolicyTags>,
    check: TestModeCheck,
}

impl<'a> TestModeComparison<'a> {
    pub(super) fn new(rules: Rules<'a>, by_day: HashMap<Date, PolicyTags>) -> Self {
        Self { rules, by_day, check: TestModeCheck::default() }
    }

    /// Add a row: it agrees where it fails by the record of its day, and what that asks for is what was done.
    pub(super) fn add(&mut self, row: &MailRow, results: &MailResults) {
        if !results.test_mode {
            return;
        }
        if let Some(tags) = self.by_day.get(&row.day) {
            self.rules.tags = *tags;
        }
        self.check.messages = self.check.messages.saturating_add(row.messages);
        let fails = self.rules.passes(&self.rules.dkim(results), results, row.source) == Certainty::No;
        let asked = self.rules.fate_of_failing(results);
        if fails && asked.is_ok_and(|asked| asked.as_str() == results.disposition) {
            self.check.agree = self.check.agree.saturating_add(row.messages);
        }
    }

    pub(super) fn finish(self) -> TestModeCheck {
        self.check
    }
}
