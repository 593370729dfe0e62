//! Collects evidence about source addresses from reports, and stores who operates them.

use crate::analyze::Services;
use crate::cli::wiring::run::CommandContext;
use crate::dns::hosts::network_class::{ClassFacts, classify};
use crate::dns::hosts::origin::{OriginFinder, ServiceNames, ServiceRange, SourceEvidence, expand};
use crate::dns::lookup::answer::Lookup;
use crate::dns::lookup::name::organizational;
use crate::model::{ColumnSet, Rows, SignatureColumns, SourceAddress, SourceOrigin};
use crate::store::{AddressRange, Filter, KeptRanges, Store, Writer};
use jiff::{SignedDuration, Timestamp};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

/// Maximum number of proofs of each kind stored per address, those with the most messages.
const PROOFS: usize = 8;
/// Maximum number of proofs counted per address, so that forged reports cannot fill memory.
const COUNTED: usize = 64;
/// Addresses per transaction.
const AT_ONCE: usize = 1000;

const COLUMNS: ColumnSet = ColumnSet::DAY
    .with(ColumnSet::SOURCE)
    .with(ColumnSet::COUNT)
    .with(ColumnSet::POLICY_DOMAIN)
    .with(ColumnSet::DKIM_DOMAIN)
    .with(ColumnSet::DKIM_SELECTOR)
    .with(ColumnSet::DKIM_RESULT)
    .with(ColumnSet::SPF_DOMAIN)
    .with(ColumnSet::SPF_RESULT)
    .with(ColumnSet::SIGNATURES);

/// Something that passes for mail from an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum OriginProof {
    SignedBy(String),
    ReturnsTo(String),
    OwnKey(String, String),
    OwnPath(String),
}

/// How long the ranges of a service are cached: about the TTL of most records, at most a day.
const RANGES_HOLD: SignedDuration = SignedDuration::from_hours(24);
/// SPF records expanded in parallel.
const WORKERS: usize = 8;

impl ServiceNames for Services {
    fn of_domain(&self, domain: &str) -> Option<String> {
        Services::of_domain(self, domain).map(str::to_owned)
    }

    fn of_target(&self, target: &str) -> Option<String> {
        Services::of_target(self, target).map(str::to_owned)
    }

    fn of_name_server(&self, host: &str) -> Option<String> {
        Services::of_name_server(self, host).map(str::to_owned)
    }
}

/// Determines who operates the sources of these rows, and stores it.
///
/// No source is named after a domain of a customer: its name is shown to every customer whose reports have the source.
pub(super) fn keep<L: Lookup + Sync>(
    run: &CommandContext,
    filter: &Filter,
    lookup: &L,
    writer: &mut Writer,
) -> anyhow::Result<()> {
    let (store, now) = (run.store()?, run.now);
    let (services, organizations) = (run.settings()?.services()?, run.settings()?.organizations());
    let mut proofs: HashMap<SourceAddress, BTreeMap<OriginProof, i64>> = HashMap::new();
    let is_customers = |name: &str| organizations.owner_of(&name.to_ascii_lowercase()).is_some();
    // A known service gives its own name, even if a customer lists one of its domains.
    let is_evidence = |domain: &str| !is_customers(domain) || services.of_domain(domain).is_some();
    store.rows(filter, COLUMNS, &mut |rows| {
        (0..rows.len).for_each(|row| add(&mut proofs, (&rows, row), &is_evidence));
    })?;
    let (names, networks, before) = (store.names()?, store.networks()?, store.origins()?);
    let hosts: HashMap<IpAddr, String> = names
        .into_iter()
        .filter_map(|found| {
            Some((found.address, found.naming.filter(|naming| naming.confirmed)?.names.into_iter().next()?))
        })
        .collect();
    let ranges = published((lookup, &services), &store, writer, now)?;
    let mut finder = OriginFinder::new(lookup, &services, ranges).without(&is_customers);
    let mut addresses: Vec<(IpAddr, SourceEvidence)> =
        proofs.into_iter().filter_map(|(source, proofs)| Some((source.address()?, evidence(proofs)))).collect();
    addresses.sort_by_key(|(address, _)| *address);
    for some in addresses.chunks(AT_ONCE) {
        let mut origin = |address: &IpAddr, evidence: &SourceEvidence| {
            let (host, network) = (hosts.get(address), networks.get(address));
            let by_host = || host.map(|host| (services.of_domain(host).unwrap_or(host).to_owned(), 4));
            let by_network = || Some((network?.as_name.clone()?, 5));
            let found = finder.find(*address, evidence);
            let is_shown = |(name, _): &(String, u8)| !is_customers(name);
            let by_mail = found.proven.filter(is_shown);
            let proven = by_mail.or_else(|| by_host().filter(is_shown)).or_else(|| by_network().filter(is_shown));
            let rung = proven.as_ref().map_or(u8::MAX, |(_, rung)| *rung);
            if let Some(known) =
                before.get(address).filter(|known| found.is_unsure && known.rung < rung && !is_customers(&known.name))
            {
                // DNS does not answer now: earlier evidence is kept.
                return Some(known.clone());
            }
            let (name, rung) = proven?;
            let facts = ClassFacts {
                service: services.get(&name).filter(|_| rung <= 4).map(|_| name.as_str()),
                host: host.map(String::as_str),
                as_name: network.and_then(|network| network.as_name.as_deref()),
            };
            let class = classify(*address, &facts);
            Some(SourceOrigin { name, rung, class })
        };
        let found: Vec<(IpAddr, Option<SourceOrigin>)> =
            some.iter().map(|(address, evidence)| (*address, origin(address, evidence))).collect();
        writer.keep_origins(&found, now)?;
    }
    Ok(())
}

/// The ranges that services publish: cached ones while they are valid, else looked up. If that fails, the cached ones
/// are kept.
fn published<L: Lookup + Sync>(
    (lookup, services): (&L, &Services),
    store: &Store,
    writer: &mut Writer,
    now: Timestamp,
) -> anyhow::Result<Vec<ServiceRange>> {
    let mut kept = store.service_ranges()?;
    let includes = services.includes();
    let stale: Vec<&str> = includes
        .iter()
        .map(|(_, record)| *record)
        .filter(|record| kept.get(*record).is_none_or(|known| known.until <= now))
        .collect();
    let workers = rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build()?;
    let look = |record: &&str| Some(((*record).to_owned(), expand(lookup, services, record)?));
    let fresh: Vec<(String, Vec<AddressRange>)> = workers.install(|| stale.par_iter().filter_map(look).collect());
    let until = now.saturating_add(RANGES_HOLD)?;
    writer.keep_service_ranges(&fresh, now, until)?;
    kept.extend(fresh.into_iter().map(|(record, ranges)| (record, KeptRanges { ranges, until })));
    let of_service = |(name, record): (&str, &str)| {
        let ranges = kept.get(record).map(|known| known.ranges.clone()).unwrap_or_default().into_iter();
        let name = name.to_owned();
        ranges.map(move |(network, bits)| ServiceRange { network, bits, name: name.clone() })
    };
    let mut ranges: Vec<ServiceRange> = includes.into_iter().flat_map(of_service).collect();
    // If DNS has no ranges of a service, use those of the built-in table.
    let known: HashSet<String> = ranges.iter().map(|range| range.name.clone()).collect();
    let built_in = services.ranges().filter(|(.., name)| !known.contains(*name));
    ranges.extend(built_in.map(|(network, bits, name)| ServiceRange { network, bits, name: name.to_owned() }));
    Ok(ranges)
}

/// Adds the proofs of a row. Domains of other organizations count only if they are evidence: those that are not would
/// displace others, which name the source.
fn add(
    proofs: &mut HashMap<SourceAddress, BTreeMap<OriginProof, i64>>,
    (rows, row): (&Rows, usize),
    is_evidence: &dyn Fn(&str) -> bool,
) {
    let own = organizational(rows.policy_domain.get(row).unwrap_or_default());
    let known = proofs.entry(rows.source[row]).or_default();
    let mut count = |proof: OriginProof| {
        if known.len() < COUNTED || known.contains_key(&proof) {
            let messages = known.entry(proof).or_default();
            *messages = messages.saturating_add(rows.count[row]);
        }
    };
    let mut signed = |domain: &str, selector: &str| {
        if domain.is_empty() {
            return;
        }
        let domain = domain.to_ascii_lowercase();
        if organizational(&domain) != own {
            if is_evidence(&domain) {
                count(OriginProof::SignedBy(domain));
            }
        } else if !selector.is_empty() {
            count(OriginProof::OwnKey(selector.to_ascii_lowercase(), domain));
        }
    };
    if rows.dkim_result.get(row) == Some("pass") {
        signed(rows.dkim_domain.get(row).unwrap_or_default(), rows.dkim_selector.get(row).unwrap_or_default());
    }
    for signature in SignatureColumns::all(rows.signatures.get(row).unwrap_or_default()) {
        if signature.result == "pass" {
            signed(signature.domain, signature.selector);
        }
    }
    let path = rows.spf_domain.get(row).filter(|path| !path.is_empty() && rows.spf_result.get(row) == Some("pass"));
    if let Some(path) = path.map(str::to_ascii_lowercase) {
        if organizational(&path) == own {
            count(OriginProof::OwnPath(path));
        } else if is_evidence(&path) {
            count(OriginProof::ReturnsTo(path));
        }
    }
}

/// The proofs with the most messages.
fn evidence(proofs: BTreeMap<OriginProof, i64>) -> SourceEvidence {
    let mut sorted: Vec<(OriginProof, i64)> = proofs.into_iter().collect();
    sorted.sort_by_key(|(_, messages)| Reverse(*messages));
    let mut evidence = SourceEvidence::default();
    for (proof, _) in sorted {
        match proof {
            OriginProof::SignedBy(domain) => evidence.signed_by.push(domain),
            OriginProof::ReturnsTo(domain) => evidence.returns_to.push(domain),
            OriginProof::OwnKey(selector, domain) => evidence.own_keys.push((selector, domain)),
            OriginProof::OwnPath(domain) => evidence.own_paths.push(domain),
        }
    }
    evidence.signed_by.truncate(PROOFS);
    evidence.returns_to.truncate(PROOFS);
    evidence.own_keys.truncate(PROOFS);
    evidence.own_paths.truncate(PROOFS);
    evidence
}
