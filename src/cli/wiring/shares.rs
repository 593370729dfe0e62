//! Distributes rows and reports to the sums of their customers, so that the store is read only once.

use super::rejections::Rejections;
use super::selection::Sum;
use crate::model::{Owners, ReportHead, Rows, TlsPolicyRow};

/// One sum per customer. None ever sees a row of another.
pub(crate) struct Shares<S> {
    owners: Owners,
    /// The requested policy domains; if empty, all.
    domains: Vec<String>,
    /// By the customer's number; `None` if not requested.
    sums: Vec<Option<S>>,
}

impl<S> Shares<S> {
    /// For the given customers, each with its number.
    pub(crate) fn new(owners: Owners, domains: Vec<String>, of: impl IntoIterator<Item = (usize, S)>) -> Self {
        let mut sums = Vec::new();
        for (owner, sum) in of {
            if sums.len() <= owner {
                sums.resize_with(owner + 1, || None);
            }
            sums[owner] = Some(sum);
        }
        Self { owners, domains, sums }
    }

    /// The sums with the customers' numbers. Each is finished and dropped before the next.
    pub(crate) fn into_sums(self) -> impl Iterator<Item = (usize, S)> {
        self.sums.into_iter().enumerate().filter_map(|(owner, sum)| Some((owner, sum?)))
    }

    fn sum(&self, owner: usize) -> Option<&S> {
        self.sums.get(owner).and_then(Option::as_ref)
    }
}

impl<S: Sum> Sum for Shares<S> {
    fn heads(&self, heads: &[ReportHead]) {
        for head in heads {
            let owner = self.owners.owner_of(head.policy.domain.as_str());
            if let Some(sum) = owner.and_then(|owner| self.sum(owner)) {
                sum.heads(std::slice::from_ref(head));
            }
        }
    }

    fn rows(&self, rows: &Rows) {
        for (owner, rows) in self.owners.divide(rows, |owner| self.sum(owner).is_some()) {
            if let Some(sum) = self.sum(owner) {
                sum.rows(&rows);
            }
        }
    }

    fn tls(&mut self, row: TlsPolicyRow) {
        let owner = row.policy.policy_domain.as_ref().and_then(|domain| self.owners.owner_of(domain.as_str()));
        if let Some(sum) = owner.and_then(|owner| self.sums.get_mut(owner)).and_then(Option::as_mut) {
            sum.tls(row);
        }
    }

    fn aside(&mut self, rejections: &Rejections, wanted: &dyn Fn(Option<&str>) -> bool) {
        let Self { owners, domains, sums } = self;
        for (owner, sum) in sums.iter_mut().enumerate() {
            let is_wanted = |domain: &str| domains.is_empty() || domains.iter().any(|wanted| wanted == domain);
            let own = |domain: Option<&str>| {
                wanted(domain)
                    && domain.is_some_and(|domain| owners.owner_of(domain) == Some(owner) && is_wanted(domain))
            };
            if let Some(sum) = sum {
                sum.aside(rejections, &own);
            }
        }
    }
}
