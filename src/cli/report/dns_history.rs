//! `check --all`, `--history` and `--diff`: DNS with a memory.

use super::check::of_code;
use super::observed;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::output;
use crate::cli::wiring::period::Stretch;
use crate::cli::wiring::run::CommandContext;
use crate::dns::lookup::name;
use crate::dns::lookup::resolver::Resolver;
use crate::dns::posture::domain::{self, Posture, Request};
use crate::dns::posture::history::observe;
use crate::dns::seen::Observed;
use crate::dns::transport::PolicySource;
use crate::model::{DnsChange, DnsObservation, WatchedName};
use crate::present;
use crate::store::Store;
use jiff::Timestamp;
use rayon::prelude::*;
use serde::Serialize;

/// Domains checked at a time. Each waits for DNS most of the time, and no server is asked more than this at once.
const WORKERS: usize = 8;
/// Domains checked at most, those of the settings first, then those with the most mail.
const DOMAIN_LIMIT: usize = 2000;

/// Check all domains and keep what DNS says as seen at `now`.
pub(crate) fn look_at_all(
    run: &CommandContext,
    (resolver, policies): (&Resolver, Option<&dyn PolicySource>),
    now: Timestamp,
) -> anyhow::Result<(Vec<Posture>, Exit)> {
    let settings = run.settings()?;
    let path = run.store(&settings)?;
    let store = Store::open(&path)?;
    let mut domains: Vec<String> = Vec::new();
    for domain in settings.domains.iter().cloned().chain(store.domains_with_passing_mail(DOMAIN_LIMIT)?) {
        let Some(domain) = name::canonical(&domain).filter(|domain| name::is_domain(domain)) else { continue };
        if domains.len() < DOMAIN_LIMIT && !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    let seen = observed::of_all(&store, &domains, now)?;
    let watched = store.dns_names()?;
    drop(store);
    let requests: Vec<(String, Observed)> = domains.into_iter().zip(seen).collect();
    let workers = rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build()?;
    let look = |(domain, seen): &(String, Observed)| look((domain, seen), &watched, resolver, policies);
    let (postures, observations): (Vec<Posture>, Vec<Vec<DnsObservation>>) =
        workers.install(|| requests.par_iter().map(look).unzip());
    let mut writer = CommandContext::writer(&settings, &path, run.now)?;
    writer.keep_dns(now, &observations.concat())?;
    let exit = postures.iter().map(|posture| of_code(posture.exit_code())).max().unwrap_or(Exit::Handled);
    Ok((postures, exit))
}

fn look(
    (domain, seen): (&str, &Observed),
    watched: &[WatchedName],
    resolver: &Resolver,
    policies: Option<&dyn PolicySource>,
) -> (Posture, Vec<DnsObservation>) {
    let request = Request { domain: domain.to_owned(), ..Request::default() };
    let posture = domain::check_with(&request, resolver, policies, seen);
    let observations = observe(&posture, watched, resolver);
    (posture, observations)
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

/// Show how the records of one domain have changed.
pub(crate) fn show(store: &Store, domain: &str, format: OutputFormat) -> anyhow::Result<()> {
    print(&store.dns_changes(Some(domain))?, Some(domain), format)
}

/// Show what changed lately in the records of all domains.
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
    match format {
        OutputFormat::Text => output::data(present::dns_changes(changes, domain).as_bytes())?,
        OutputFormat::Json => {
            let changes = changes.iter().map(ChangeJson::new).collect();
            output::json(&ChangesJson { schema: 1, domain, changes })?;
        }
    }
    Ok(())
}
