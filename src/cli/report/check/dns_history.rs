//! `check --all`, `--history` and `--diff`: records the history of DNS records and shows it.

use super::{observed, policy_files};
use crate::cli::settings::file::Settings;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::interrupt::Interrupt;
use crate::cli::terminal::output;
use crate::cli::wiring::ingest_run;
use crate::cli::wiring::period::Stretch;
use crate::cli::wiring::run::CommandContext;
use crate::dns::lookup::answer::Lookup;
use crate::dns::lookup::bounded::BoundedLookup;
use crate::dns::lookup::name;
use crate::dns::lookup::resolver::{Resolver, ResolverOptions};
use crate::dns::posture::domain::{self, Posture, Request};
use crate::dns::posture::history::observe;
use crate::dns::seen::Observed;
use crate::dns::transport::PolicySource;
use crate::model::{DnsChange, DnsObservation, utc_day};
use crate::present;
use crate::store::{Store, StoreError, Writer};
use jiff::Timestamp;
use rayon::prelude::*;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Domains checked in parallel. Each spends most of its time waiting for DNS, and this bounds the load on a server.
const WORKERS: usize = 8;
/// Maximum number of domains checked: those in the settings first, then those with the most mail.
const DOMAIN_LIMIT: usize = 2000;

/// Time limit for each kind of lookups after a fetch; the next fetch continues where they stopped.
pub(crate) const AFTER_FETCH: Duration = Duration::from_mins(5);

/// The current posture of a domain, and the records to store.
type Look = (Posture, Vec<DnsObservation>);

/// Checks all domains and stores their records as seen at `now`.
pub(crate) fn look_at_all(
    run: &CommandContext,
    resolver: &Resolver,
    policies: Option<&dyn PolicySource>,
    now: Timestamp,
) -> anyhow::Result<(Vec<Posture>, Exit)> {
    let store = run.store()?;
    let domains = domains(run.settings()?, &store)?;
    let looks = look_at(&store, domains, now, (resolver, policies), &|| false)?;
    drop(store);
    let (postures, observations): (Vec<Posture>, Vec<Vec<DnsObservation>>) = looks.into_iter().unzip();
    run.writer(run.now)?.keep_dns(now, &observations.concat())?;
    let exit = postures.iter().map(|posture| Exit::from_code(posture.exit_code())).max().unwrap_or(Exit::Handled);
    Ok((postures, exit))
}

/// Runs at the end of a `fetch`, after its mails are stored, for domains not yet checked today. Errors are only
/// reported. Returns whether records were kept.
pub(crate) fn after_fetch(
    run: &CommandContext,
    writer: &mut Writer,
    servers: &[SocketAddr],
    interrupt: &Interrupt,
) -> bool {
    match look_once_a_day(run, writer, servers, interrupt, Timestamp::now()) {
        Ok(AfterFetch { domains: 0, .. }) => false,
        Ok(AfterFetch { is_away: true, .. }) => {
            run.console.warning("DNS records were not looked up: DNS does not answer; the next fetch tries again");
            false
        }
        Ok(AfterFetch { domains, looked_at, .. }) => {
            let rest = match domains - looked_at {
                0 => String::new(),
                rest => format!("; the next fetch checks {rest} more"),
            };
            let count = ingest_run::count(looked_at as u64, "domain");
            run.console.note(&format!("DNS records of {count} were looked up and kept{rest}"));
            looked_at > 0
        }
        Err(error) => {
            run.console.warning(&format!("DNS records were not looked up: {error:#}"));
            false
        }
    }
}

/// The outcome of the lookups after a fetch.
struct AfterFetch {
    /// Domains to check.
    domains: usize,
    /// Domains that were checked.
    looked_at: usize,
    /// No DNS query was answered.
    is_away: bool,
}

/// A resolver for lookups after a fetch, which soon gives up a question: two attempts of two seconds.
pub(crate) fn brief_resolver(servers: &[SocketAddr]) -> anyhow::Result<Resolver> {
    let (servers, timeout) = (servers.to_vec(), Duration::from_secs(2));
    Ok(Resolver::new(&ResolverOptions { servers, timeout, retries: 1, ..ResolverOptions::default() })?)
}

fn look_once_a_day(
    run: &CommandContext,
    writer: &mut Writer,
    servers: &[SocketAddr],
    interrupt: &Interrupt,
    now: Timestamp,
) -> anyhow::Result<AfterFetch> {
    let store = run.store()?;
    let today = store.domains_looked_up_on(utc_day(now))?;
    let mut domains = domains(run.settings()?, &store)?;
    domains.retain(|domain| !today.contains(domain));
    let number = domains.len();
    if number == 0 {
        return Ok(AfterFetch { domains: 0, looked_at: 0, is_away: false });
    }
    let resolver = brief_resolver(servers)?;
    let is_stopped = || interrupt.is_set();
    let policies = policy_files::policies(servers, None, None)?;
    let bounded = BoundedLookup::new(&resolver, Instant::now() + AFTER_FETCH, &is_stopped);
    let looks = look_at(&store, domains, now, (&bounded, policies.as_deref()), &|| bounded.is_over())?;
    let observations: Vec<DnsObservation> = looks.iter().flat_map(|(_, observations)| observations).cloned().collect();
    writer.keep_dns(now, &observations)?;
    Ok(AfterFetch { domains: number, looked_at: looks.len(), is_away: bounded.is_away() })
}

/// The domains to check, in canonical form: those in the settings, then those with passing mail.
pub(super) fn domains(settings: &Settings, store: &Store) -> Result<Vec<String>, StoreError> {
    let mut domains: Vec<String> = Vec::new();
    for domain in settings.named_domains().into_iter().chain(store.domains_with_passing_mail(DOMAIN_LIMIT)?) {
        let Some(domain) = name::domain(&domain) else { continue };
        if domains.len() < DOMAIN_LIMIT && !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    Ok(domains)
}

/// Checks the domains in parallel until the time is over. The results are in the order of the domains.
fn look_at(
    store: &Store,
    domains: Vec<String>,
    now: Timestamp,
    (lookup, policies): (&(dyn Lookup + Sync), Option<&dyn PolicySource>),
    is_over: &(dyn Fn() -> bool + Sync),
) -> anyhow::Result<Vec<Look>> {
    let seen = observed::last_months_of_all(store, &domains, now)?;
    let watched = store.dns_names()?;
    let requests = domains.into_iter().map(|domain| Request { domain, ..Request::default() });
    let requests: Vec<(Request, Observed)> = requests.zip(seen).collect();
    let look = |(request, seen): &(Request, Observed)| {
        if is_over() {
            return None;
        }
        let posture = domain::check_with(request, lookup, policies, seen);
        let observations = observe(&posture, &watched, lookup);
        // A check that was cut short would count as today's.
        (!is_over()).then_some((posture, observations))
    };
    let workers = rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build()?;
    Ok(workers.install(|| requests.par_iter().filter_map(look).collect()))
}

/// Changes as JSON, version 1.
#[derive(Serialize)]
struct ChangesJson<'a> {
    schema: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    changes: Vec<ChangeJson<'a>>,
}

#[derive(Serialize)]
struct ChangeJson<'a> {
    day: String,
    domain: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    record_type: &'static str,
    change: &'static str,
    before: &'a [String],
    after: &'a [String],
}

impl<'a> ChangeJson<'a> {
    fn new(change: &'a DnsChange) -> Self {
        Self {
            day: change.day().to_string(),
            domain: &change.domain,
            name: &change.name,
            record_type: change.record_type.as_str(),
            change: change.kind(),
            before: &change.before,
            after: &change.after,
        }
    }
}

/// Shows how the records of one domain have changed.
pub(crate) fn show(store: &Store, domain: &str, format: OutputFormat) -> anyhow::Result<()> {
    print(&store.dns_changes(Some(domain))?, Some(domain), format)
}

/// Shows recent changes in the records of all domains.
pub(crate) fn show_since(
    store: &Store,
    stretch: Stretch,
    now: Timestamp,
    format: OutputFormat,
) -> anyhow::Result<Exit> {
    let since = stretch.before_instant(now);
    let mut changes = store.dns_changes(None)?;
    changes.retain(|change| change.at > since && change.at <= now);
    print(&changes, None, format)?;
    Ok(Exit::Handled)
}

fn print(changes: &[DnsChange], domain: Option<&str>, format: OutputFormat) -> anyhow::Result<()> {
    let json = ChangesJson { schema: 1, domain, changes: changes.iter().map(ChangeJson::new).collect() };
    output::answer(format, &json, || present::dns_changes(changes, domain))
}
