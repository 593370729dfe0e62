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
use std::collections::BTreeMap;

/// Shows the overview.
pub(crate) fn show(overview: &Overview, form: SummaryForm, style: &Style) -> anyhow::Result<()> {
    match form {
        SummaryForm::Text => pager::show(&present::overview_text(overview, style)),
        SummaryForm::Markdown => output::data(present::overview_markdown(overview).as_bytes()),
        SummaryForm::Html => output::data(present::overview_html(overview).as_bytes()),
        SummaryForm::Json => output::data(present::json(overview).as_bytes()),
        SummaryForm::Csv => output::data(present::overview_csv(overview).as_bytes()),
    }
}

/// All known domains of a customer (`None`: of anyone), of which only these are wanted; if empty, all.
pub(crate) fn domains(
    settings: &Settings,
    source: &From<'_>,
    summary: &Summary,
    owner: Option<usize>,
    wanted: &[String],
) -> anyhow::Result<Vec<OverviewDomain>> {
    let owners = settings.owners();
    let is_asked = |domain: &String| {
        (wanted.is_empty() || wanted.contains(domain))
            && owner.is_none_or(|owner| owners.owner_of(domain) == Some(owner))
    };
    let named = settings.named_domains().into_iter().map(|domain| (domain, None));
    let mut last: BTreeMap<String, Option<Date>> = named.collect();
    let mut tls = BTreeMap::new();
    let mut kept = KeptRecords::new(Vec::new(), Vec::new());
    match source {
        From::Store(store) => {
            let reported = store.domains()?.into_iter();
            last.extend(reported.map(|domain| (domain.policy_domain, Some(last_day(domain.newest_end)))));
            let without = last.iter().filter(|(_, last)| last.is_none()).map(|(domain, _)| domain.clone());
            tls = store.newest_tls_days(&without.collect())?;
            kept = KeptRecords::new(store.dns_spans()?, store.dns_names()?);
        }
        // For files, only the summary is known.
        From::Paths(_) => {
            let seen = summary.domains.iter().map(|domain| domain.policy_domain.as_written().to_owned());
            last.extend(seen.map(|domain| (domain, summary.period.to)));
        }
    }
    let dns = |domain: &str| match kept.fault(domain) {
        Ok(None) => Some(DnsState::Sound),
        Ok(Some(fault)) => Some(DnsState::Faulty(fault.into())),
        Err(NeverLooked) => None,
    };
    let customer = |domain: &str| owners.owner_of(domain).map(|owner| settings.customers[owner].name.as_str().into());
    let known = last.into_iter().filter(|(domain, _)| is_asked(domain));
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

/// The last day of a period: one that ends at midnight does not include the next day.
fn last_day(end: Timestamp) -> Date {
    utc_day(end.saturating_sub(SignedDuration::from_secs(1)).unwrap_or(end))
}
