//! `summary --overview`: one line per domain, for all domains in reports or settings.

use crate::analyze::{DnsState, Overview, OverviewDomain, Summary};
use crate::cli::settings::file::Settings;
use crate::cli::terminal::format::SummaryForm;
use crate::cli::terminal::{output, pager};
use crate::cli::wiring::selection::From;
use crate::dns::posture::kept::{KeptRecords, NeverLooked};
use crate::model::utc_day;
use crate::present::{self, Style};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Which domains it includes besides those in the summary.
pub(crate) struct OverviewScope<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) source: &'a From<'a>,
    /// Only domains of this customer.
    pub(crate) owner: Option<usize>,
    /// Only these domains; if empty, all.
    pub(crate) domains: &'a [String],
}

/// Shows the overview.
pub(crate) fn show(
    summary: &Summary,
    scope: &OverviewScope<'_>,
    (form, style): (SummaryForm, &Style),
) -> anyhow::Result<()> {
    let overview = Overview::new(summary, &scope.known(summary)?);
    match form {
        SummaryForm::Text => pager::show(&present::overview_text(&overview, style)),
        SummaryForm::Markdown => output::data(present::overview_markdown(&overview).as_bytes()),
        SummaryForm::Html => output::data(present::overview_html(&overview).as_bytes()),
        SummaryForm::Json => output::data(present::json(&overview).as_bytes()),
        SummaryForm::Csv => output::data(present::overview_csv(&overview).as_bytes()),
    }
}

impl OverviewScope<'_> {
    /// All known domains.
    fn known(&self, summary: &Summary) -> anyhow::Result<Vec<OverviewDomain>> {
        let owners = self.settings.owners();
        let is_asked = |domain: &str| {
            (self.domains.is_empty() || self.domains.iter().any(|wanted| wanted == domain))
                && self.owner.is_none_or(|owner| owners.owner_of(domain) == Some(owner))
        };
        let named = self.settings.named_domains().into_iter().map(|domain| (domain, None));
        // For files, only the summary is known.
        let seen =
            summary.domains.iter().map(|domain| (domain.policy_domain.as_written().to_owned(), summary.period.to));
        let mut last: BTreeMap<String, Option<Date>> = named.collect();
        match self.source {
            From::Store(store) => {
                last.extend(
                    store
                        .domains()?
                        .into_iter()
                        .map(|domain| (domain.policy_domain, Some(last_day(domain.newest_end)))),
                );
            }
            From::Paths(_) => last.extend(seen),
        }
        let without: BTreeSet<String> =
            last.iter().filter(|(_, last)| last.is_none()).map(|(domain, _)| domain.clone()).collect();
        let tls = match self.source {
            From::Store(store) => store.newest_tls_days(&without)?,
            From::Paths(_) => BTreeMap::new(),
        };
        let kept = match self.source {
            From::Store(store) => KeptRecords::new(store.dns_spans()?, store.dns_names()?),
            From::Paths(_) => KeptRecords::new(Vec::new(), Vec::new()),
        };
        let dns = |domain: &str| match kept.fault(domain) {
            Ok(None) => Some(DnsState::Sound),
            Ok(Some(fault)) => Some(DnsState::Faulty(fault.into())),
            Err(NeverLooked) => None,
        };
        let known = last.into_iter().filter(|(domain, _)| is_asked(domain));
        let customer =
            |domain: &str| owners.owner_of(domain).map(|owner| self.settings.customers[owner].name.as_str().into());
        Ok(known
            .map(|(domain, last_report)| OverviewDomain {
                customer: customer(&domain),
                dns: dns(&domain),
                last_tls_report: tls.get(&domain).copied(),
                policy_domain: domain.into(),
                last_report,
            })
            .collect())
    }
}

/// The last day of a period: one that ends at midnight does not include the next day.
fn last_day(end: Timestamp) -> Date {
    utc_day(end.saturating_sub(SignedDuration::from_secs(1)).unwrap_or(end))
}
