//! `check --consents`: which domains must publish that they accept reports about others, for all domains.

use super::dns_history;
use crate::cli::settings::file::Settings;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::output;
use crate::dns::dmarc::Dmarc;
use crate::dns::lookup::answer::{DnsQuestion, Lookup as _, QueryType};
use crate::dns::lookup::name;
use crate::dns::lookup::resolver::Resolver;
use crate::dns::posture::consents::{ReportConsents, consents, dmarc_of};
use crate::present;
use crate::store::Store;
use serde::Serialize;

/// Maximum number of policy domains checked besides those in the settings: anybody can send reports about any domain.
const OTHERS: usize = 2000;

/// Consents as JSON, version 1.
#[derive(Serialize)]
struct ConsentsJson<'a> {
    schema: u8,
    #[serde(flatten)]
    fleet: &'a ReportConsents,
}

/// Runs the command.
pub(super) fn run(
    settings: &Settings,
    store: &Store,
    resolver: &Resolver,
    format: OutputFormat,
) -> anyhow::Result<Exit> {
    let mut domains = dns_history::domains(settings, store)?;
    // Without domains in the settings, domains with passing mail are assumed to be the user's.
    let named = settings.named_domains();
    let ours = if named.is_empty() { domains.clone() } else { named };
    for other in store.domains()?.into_iter().take(OTHERS) {
        let other = name::domain(&other.policy_domain);
        domains.extend(other.filter(|other| !domains.contains(other)));
    }
    let questions = domains.iter().map(|domain| DnsQuestion::new(&format!("_dmarc.{domain}"), QueryType::Txt));
    resolver.announce(&questions.collect::<Vec<_>>());
    let found: Vec<(String, Dmarc)> =
        domains.into_iter().map(|domain| (domain.clone(), dmarc_of(resolver, &domain))).collect();
    let fleet = consents(resolver, found.iter().map(|(domain, dmarc)| (domain.as_str(), dmarc)), &ours);
    output::answer(format, &ConsentsJson { schema: 1, fleet: &fleet }, || present::report_consents(&fleet))?;
    Ok(Exit::from_code(fleet.exit_code()))
}
