//! Distributes rows and reports to the sums of their customers, so that the store is read only once.

use super::rejections::Rejections;
use super::selection::Sum;
use crate::model::{Owners, ReportHead, Rows, TlsPolicyRow};
use std::collections::BTreeMap;

/// One sum per customer. None ever sees a row of another.
pub(crate) struct Shares<S> {
    owners: Owners,
    /// The requested policy domains; if empty, all.
    domains: Vec<String>,
    /// By the customer's number.
    sums: BTreeMap<usize, S>,
}

impl<S> Shares<S> {
    /// For the given customers, each with its number.
    pub(crate) fn new(owners: Owners, domains: Vec<String>, of: impl IntoIterator<Item = (usize, S)>) -> Self {
        Self { owners, domains, sums: of.into_iter().collect() }
    }

    /// The sums with the customers' numbers. Each is finished and dropped before the next.
    pub(crate) fn into_sums(self) -> impl Iterator<Item = (usize, S)> {
        self.sums.into_iter()
    }
}

impl<S: Sum> Sum for Shares<S> {
    fn heads(&self, heads: &[ReportHead]) {
        for head in heads {
            let owner = self.owners.owner_of(head.policy.domain.as_str());
            if let Some(sum) = owner.and_then(|owner| self.sums.get(&owner)) {
                sum.heads(std::slice::from_ref(head));
            }
        }
    }

    fn rows(&self, rows: &Rows) {
        for (owner, rows) in self.owners.divide(rows, |owner| self.sums.contains_key(&owner)) {
            if let Some(sum) = self.sums.get(&owner) {
                sum.rows(&rows);
            }
        }
    }

    fn tls(&mut self, row: TlsPolicyRow) {
        let owner = row.policy.policy_domain.as_ref().and_then(|domain| self.owners.owner_of(domain.as_str()));
        if let Some(sum) = owner.and_then(|owner| self.sums.get_mut(&owner)) {
            sum.tls(row);
        }
    }

    fn aside(&mut self, rejections: &Rejections, wanted: &dyn Fn(Option<&str>) -> bool) {
        let Self { owners, domains, sums } = self;
        for (owner, sum) in sums {
            let is_wanted = |domain: &str| domains.is_empty() || domains.iter().any(|wanted| wanted == domain);
            let own = |domain: Option<&str>| {
                wanted(domain)
                    && domain.is_some_and(|domain| owners.owner_of(domain) == Some(*owner) && is_wanted(domain))
            };
            sum.aside(rejections, &own);
        }
    }
}
