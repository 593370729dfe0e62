//! Sums of the period by domain, and over all.

use crate::analyze::foreign::Foreign;
use crate::analyze::senders::View;
use crate::analyze::sums::Sums;
use crate::analyze::sums::interner::IdMap;
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// How many names below a domain are listed.
const NAMES: usize = 10;

/// Totals of the period by domain id.
pub(crate) fn by_domain(view: &View<'_>) -> BTreeMap<u32, Totals> {
    let mut totals: BTreeMap<u32, Totals> = BTreeMap::new();
    for ((domain, day), sums) in &view.added.common.days {
        if view.is_current(*day) {
            totals.entry(*domain).or_default().sums.merge(sums);
        }
    }
    let mut reporters: BTreeSet<(u32, u32)> = BTreeSet::new();
    for ((domain, reporter, day), reports) in &view.added.common.heads.reports {
        if view.is_current(*day) {
            let totals = totals.entry(*domain).or_default();
            totals.reports += reports.all.reports;
            totals.reporters += u64::from(reporters.insert((*domain, *reporter)));
        }
    }
    for (row, of) in view.current().filter(|(row, _)| !row.passes) {
        let totals = totals.entry(row.pattern.domain).or_default();
        let add = |sum: &mut u64| *sum = sum.saturating_add(of.messages);
        if row.unaligned {
            add(&mut totals.authenticated_unaligned);
        }
        match view.word(row.pattern.disposition) {
            "reject" => add(&mut totals.failing_rejected),
            "quarantine" => add(&mut totals.failing_quarantined),
            _ => add(&mut totals.failing_not_blocked),
        }
    }
    totals
}

/// Totals over all domains. A reporter of two domains is one reporter.
pub(crate) fn whole(view: &View<'_>, by_domain: &BTreeMap<u32, Totals>) -> Totals {
    let mut whole = Totals::default();
    for totals in by_domain.values() {
        whole.sums.merge(&totals.sums);
        whole.reports += totals.reports;
        for (sum, more) in [
            (&mut whole.authenticated_unaligned, totals.authenticated_unaligned),
            (&mut whole.failing_rejected, totals.failing_rejected),
            (&mut whole.failing_quarantined, totals.failing_quarantined),
            (&mut whole.failing_not_blocked, totals.failing_not_blocked),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
    let heads = view.added.common.heads.reports.keys();
    let reporters: BTreeSet<u32> =
        heads.filter(|(_, _, day)| view.is_current(*day)).map(|(_, reporter, _)| *reporter).collect();
    whole.reporters = reporters.len() as u64;
    whole
}

/// The names below each domain that mail was sent as, most messages first.
pub(crate) fn subdomains(view: &View<'_>) -> BTreeMap<u32, Vec<Subdomain>> {
    let mut sums: IdMap<(u32, u32), Sums> = IdMap::default();
    for (row, of) in view.current() {
        let pattern = &row.pattern;
        if pattern.header_from != pattern.domain && !view.word(pattern.header_from).is_empty() {
            let sums = sums.entry((pattern.domain, pattern.header_from)).or_default();
            sums.add(pattern.flags, of.messages, of.records);
        }
    }
    let mut names: BTreeMap<u32, Vec<Subdomain>> = BTreeMap::new();
    for ((domain, name), sums) in sums {
        let header_from = Foreign::from(view.word(name));
        let name = Subdomain { header_from, messages: sums.messages, dmarc_pass: sums.dmarc_pass };
        names.entry(domain).or_default().push(name);
    }
    for names in names.values_mut() {
        names.sort_by(|a, b| (Reverse(a.messages), &a.header_from).cmp(&(Reverse(b.messages), &b.header_from)));
        names.truncate(NAMES);
    }
    names
}

/// Sums with the number of reports behind them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Messages and rows.
    #[serde(flatten)]
    pub sums: Sums,
    /// Reports.
    pub reports: u64,
    /// Distinct `org_name`s among them.
    pub reporters: u64,
    /// Failing messages that pass something, but for another domain: those that can be fixed.
    pub authenticated_unaligned: u64,
    /// Failing messages that receivers rejected.
    pub failing_rejected: u64,
    /// Failing messages that receivers quarantined.
    pub failing_quarantined: u64,
    /// Failing messages that receivers did not block. Whether they delivered them is not in the reports.
    pub failing_not_blocked: u64,
}

/// A name below the policy domain that mail was sent as.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Subdomain {
    /// The name.
    pub header_from: Foreign,
    /// Messages.
    pub messages: u64,
    /// Those that pass.
    pub dmarc_pass: u64,
}
