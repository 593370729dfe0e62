//! Compares the simulation with what receivers did: when they report that test mode (`t=y`) exempted a message, they
//! reveal what the record would have requested.

use super::{PolicyTags, TestModeCheck, rules::Certainty, rules::Rules};
use crate::analyze::{MailResults, MailRow};
use crate::dns::dmarc::Policy;
use jiff::civil::Date;
use std::collections::HashMap;

/// Compares row by row.
pub(super) struct TestModeComparison<'a> {
    rules: Rules<'a>,
    /// The record in the reports of each day.
    by_day: HashMap<Date, PolicyTags>,
    check: TestModeCheck,
}

impl<'a> TestModeComparison<'a> {
    pub(super) fn new(rules: Rules<'a>, by_day: HashMap<Date, PolicyTags>) -> Self {
        Self { rules, by_day, check: TestModeCheck::default() }
    }

    /// Adds a row: it agrees if its disposition is what the record of its day requests.
    pub(super) fn add(&mut self, row: &MailRow, results: &MailResults) {
        if !results.test_mode {
            return;
        }
        if let Some(tags) = self.by_day.get(&row.day) {
            self.rules.tags = *tags;
        }
        self.check.messages = self.check.messages.saturating_add(row.messages);
        let asked = match self.rules.passes(&self.rules.dkim(results), results, row.source) {
            Certainty::Yes => Some(Policy::None),
            Certainty::No => self.rules.fate_of_failing(results).ok(),
            Certainty::Unknown(_) => None,
        };
        // RFC 9990 has a separate value for passing mail.
        let done = if results.disposition == "pass" { Policy::None.as_str() } else { &results.disposition };
        if asked.is_some_and(|asked| asked.as_str() == done) {
            self.check.agree = self.check.agree.saturating_add(row.messages);
        }
    }

    pub(super) fn finish(self) -> TestModeCheck {
        self.check
    }
}
