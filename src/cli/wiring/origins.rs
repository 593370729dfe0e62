//! Collects what the reports prove about source addresses, and keeps whose servers they are.

use crate::analyze::Services;
use crate::dns::hosts::origin::{OriginFinder, ServiceNames, SourceEvidence};
use crate::dns::lookup::answer::Lookup;
use crate::dns::lookup::name::organizational;
use crate::model::{ColumnSet, Rows, SourceAddress, SourceOrigin};
use crate::store::{Filter, Store, StoreError, Writer};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Proofs of each kind kept per address; those with most messages.
const PROOFS: usize = 8;
/// Proofs counted per address at most, so that a stranger's reports cannot fill memory.
const COUNTED: usize = 64;
/// Addresses written at once.
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

/// Something that passes for mail of an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum OriginProof {
    SignedBy(String),
    ReturnsTo(String),
    OwnKey(String, String),
    OwnPath(String),
}

impl ServiceNames for Services {
    fn of_domain(&self, domain: &str) -> Option<String> {
        Services::of_domain(self, domain).map(str::to_owned)
    }

    fn includes(&self) -> Vec<(String, String)> {
        Services::includes(self).iter().map(|(name, include)| ((*name).to_owned(), (*include).to_owned())).collect()
    }
}

/// Find out whose servers the sources of these rows are, and keep it.
pub(crate) fn keep(
    (store, filter): (&Store, &Filter),
    (lookup, services): (&dyn Lookup, &Services),
    writer: &mut Writer,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut proofs: HashMap<SourceAddress, BTreeMap<OriginProof, i64>> = HashMap::new();
    store.rows(filter, COLUMNS, &mut |rows| (0..rows.len).for_each(|row| add(&mut proofs, &rows, row)))?;
    let (names, networks) = (store.names()?, store.networks()?);
    let hosts: HashMap<IpAddr, String> = names
        .into_iter()
        .filter_map(|found| {
            Some((found.address, found.naming.filter(|naming| naming.confirmed)?.names.into_iter().next()?))
        })
        .collect();
    let mut finder = OriginFinder::new(lookup, services);
    let mut addresses: Vec<(IpAddr, SourceEvidence)> =
        proofs.into_iter().filter_map(|(source, proofs)| Some((source.address()?, evidence(proofs)))).collect();
    addresses.sort_by_key(|(address, _)| *address);
    for some in addresses.chunks(AT_ONCE) {
        let origin = |(address, evidence): &(IpAddr, SourceEvidence)| {
            let host = || {
                let host = hosts.get(address)?;
                let name = services.of_domain(host).map_or_else(|| host.clone(), str::to_owned);
                Some(SourceOrigin { name, rung: 4 })
            };
            let network = || Some(SourceOrigin { name: networks.get(address)?.as_name.clone()?, rung: 5 });
            (*address, finder.find(*address, evidence).or_else(host).or_else(network))
        };
        let found: Vec<(IpAddr, Option<SourceOrigin>)> = some.iter().map(origin).collect();
        writer.keep_origins(&found, now)?;
    }
    Ok(())
}

fn add(proofs: &mut HashMap<SourceAddress, BTreeMap<OriginProof, i64>>, rows: &Rows, row: usize) {
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
            count(OriginProof::SignedBy(domain));
        } else if !selector.is_empty() {
            count(OriginProof::OwnKey(selector.to_ascii_lowercase(), domain));
        }
    };
    if rows.dkim_result.get(row) == Some("pass") {
        signed(rows.dkim_domain.get(row).unwrap_or_default(), rows.dkim_selector.get(row).unwrap_or_default());
    }
    for line in rows.signatures.get(row).unwrap_or_default().lines() {
        let mut fields = line.split('\t');
        if let (Some(domain), Some(selector), Some("pass")) = (fields.next(), fields.next(), fields.next()) {
            signed(domain, selector);
        }
    }
    let path = rows.spf_domain.get(row).filter(|path| !path.is_empty() && rows.spf_result.get(row) == Some("pass"));
    if let Some(path) = path.map(str::to_ascii_lowercase) {
        count(if organizational(&path) == own { OriginProof::OwnPath(path) } else { OriginProof::ReturnsTo(path) });
    }
}

/// The proofs with most messages.
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
