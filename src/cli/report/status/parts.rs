//! The status of a part of the store: of one customer, or per domain.

use super::args::StatusArgs;
use super::lines::{
    DMARC_REPORT, MonthSums, REPORT, TLS_REPORT, TotalSums, ago, late, late_in, minute, reporters_text, totals_text,
};
use crate::cli::settings::Customer;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::{output, pager};
use crate::cli::wiring::customers;
use crate::cli::wiring::ingest_run::{count, grouped};
use crate::cli::wiring::rejections::domain_of;
use crate::cli::wiring::run::CommandContext;
use crate::model::Owners;
use crate::store::{ReporterTotals, Status, Store};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// One customer's reports, rejected items and conflicts.
#[derive(Debug, Serialize)]
struct CustomerStatus<'a> {
    customer: &'a str,
    domains: &'a [String],
    #[serde(flatten)]
    totals: TotalSums,
    rejected: usize,
    newest_rejected: Option<Timestamp>,
    conflicts: usize,
    months: Vec<MonthSums>,
    reporters: &'a [ReporterTotals],
}

/// The status of one customer, without data of any other.
pub(super) fn of_customer(
    run: &CommandContext,
    store: &Store,
    customer: &str,
    args: &StatusArgs,
) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let owner = customers::find(settings, customer)?;
    let (customer, owners) = (&settings.customers[owner], settings.owners());
    let own = |domain: &str| owners.owner_of(domain) == Some(owner);
    let status = store.status_of(&own)?;
    let rejected = store.rejected()?;
    let rejected = rejected.iter().filter(|entry| domain_of(entry).is_some_and(|domain| own(&domain)));
    let (rejected, newest_rejected) =
        rejected.fold((0, None), |(number, newest), entry| (number + 1, newest.max(Some(entry.ingested))));
    let conflicts = store.conflicts()?.iter().filter(|entry| own(&entry.policy_domain)).count();
    let silent = args.max_age.and_then(|age| late_in(age, run.now, &customer.name, &status));
    match args.format {
        OutputFormat::Json => {
            output::json(&CustomerStatus {
                customer: &customer.name,
                domains: &customer.domains,
                totals: TotalSums::of(&status),
                rejected,
                newest_rejected,
                conflicts,
                months: MonthSums::of(&status),
                reporters: &status.reporters,
            })?;
        }
        OutputFormat::Text if args.max_age.is_some() && !run.console.wants_tally() => {}
        OutputFormat::Text => {
            let text = customer_text(customer, &status, (rejected, newest_rejected), conflicts, run.now);
            pager::show(&output::clean_lines(&text))?;
        }
    }
    silent.iter().for_each(|message| run.console.warning(message));
    Ok(if silent.is_some() { Exit::Attention } else { Exit::Handled })
}

fn customer_text(
    customer: &Customer,
    status: &Status,
    (rejected, newest_rejected): (usize, Option<Timestamp>),
    conflicts: usize,
    now: Timestamp,
) -> String {
    let mut out = format!("customer   {}\ndomains    {}\n", customer.name, customer.domains.join(", "));
    totals_text(status, now, &mut out);
    // Writing to a `String` cannot fail.
    let _ = write!(out, "rejected   {}", grouped(rejected as u64));
    if let Some(newest) = newest_rejected {
        let _ = write!(out, " (the newest {})", ago(newest, now));
    }
    let _ = writeln!(out, "\nconflicts  {}", grouped(conflicts as u64));
    reporters_text(status, &mut out);
    out
}

/// A policy domain and its newest report.
#[derive(Debug, Serialize)]
struct DomainStatus {
    policy_domain: String,
    customer: Option<String>,
    /// The end of the newest report's period, or without any, of the newest day of TLS reports; `None` if there is none.
    newest_end: Option<Timestamp>,
    /// With `--max-age`: whether it is older than that, or missing.
    silent: Option<bool>,
}

#[derive(Debug, Serialize)]
struct DomainStatuses {
    domains: Vec<DomainStatus>,
}

/// The status per domain: of the domains in the settings and below them, or without any, of all.
pub(super) fn by_domain(run: &CommandContext, store: &Store, args: &StatusArgs) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let customer = args.customer.as_deref().map(|name| customers::find(settings, name)).transpose()?;
    let (owners, named) = (settings.owners(), settings.named_domains());
    let watched = Owners::new(named.iter().map(|domain| (domain.as_str(), 0)));
    // Anybody can send reports about a domain that is not in the settings, so it cannot be silent.
    let is_wanted = |domain: &str| match customer {
        Some(customer) => owners.owner_of(domain) == Some(customer),
        None => named.is_empty() || watched.owner_of(domain).is_some(),
    };
    let mut newest: BTreeMap<String, Option<Timestamp>> =
        named.iter().filter(|domain| is_wanted(domain)).map(|domain| (domain.clone(), None)).collect();
    for domain in store.domains()?.into_iter().filter(|domain| is_wanted(&domain.policy_domain)) {
        newest.insert(domain.policy_domain, Some(domain.newest_end));
    }
    let without: BTreeSet<String> =
        newest.iter().filter(|(_, newest)| newest.is_none()).map(|(domain, _)| domain.clone()).collect();
    let tls_only = store.newest_tls_days(&without)?;
    newest.extend(tls_only.iter().map(|(domain, day)| (domain.clone(), end_of(*day))));
    let status = |(policy_domain, newest): (String, Option<Timestamp>)| DomainStatus {
        customer: owners.owner_of(&policy_domain).map(|owner| settings.customers[owner].name.clone()),
        newest_end: newest,
        silent: args.max_age.map(|age| newest < Some(age.before_instant(run.now))),
        policy_domain,
    };
    let mut domains: Vec<DomainStatus> = newest.into_iter().map(status).collect();
    domains.sort_by(|a, b| (a.newest_end, &a.policy_domain).cmp(&(b.newest_end, &b.policy_domain)));
    let kind = |domain: &DomainStatus| match domain.newest_end {
        None => REPORT,
        Some(_) if tls_only.contains_key(&domain.policy_domain) => TLS_REPORT,
        Some(_) => DMARC_REPORT,
    };
    let is_late = |domain: &DomainStatus| {
        args.max_age.and_then(|age| late(age, run.now, (&called(domain), kind(domain)), domain.newest_end))
    };
    let silent: Vec<String> = domains.iter().filter(|domain| domain.silent == Some(true)).filter_map(is_late).collect();
    match args.format {
        OutputFormat::Json => output::json(&DomainStatuses { domains })?,
        OutputFormat::Text if args.max_age.is_some() && !run.console.wants_tally() => {}
        OutputFormat::Text => pager::show(&output::clean_lines(&domains_text(&domains, run.now)))?,
    }
    silent.iter().for_each(|message| run.console.warning(message));
    Ok(if silent.is_empty() { Exit::Handled } else { Exit::Attention })
}

/// The last second of a day.
fn end_of(day: Date) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(day.at(23, 59, 59, 0)).ok()
}

/// A domain, followed by its customer.
fn called(domain: &DomainStatus) -> String {
    match &domain.customer {
        Some(customer) => format!("{} ({customer})", domain.policy_domain),
        None => domain.policy_domain.clone(),
    }
}

fn domains_text(domains: &[DomainStatus], now: Timestamp) -> String {
    let mut out = format!("{}, longest silent first\n", count(domains.len() as u64, "domain"));
    let names: Vec<String> = domains.iter().map(called).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(60);
    for (domain, name) in domains.iter().zip(&names) {
        let newest = domain.newest_end.map_or("no report yet".to_owned(), |end| {
            format!("newest report up to {}, {}", minute(end), ago(end, now))
        });
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "{name:<width$}  {newest}");
    }
    out
}
