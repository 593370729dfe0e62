//! `status --reporters`: who reports, with what software, how each finds the policy, and the defects of its reports.

use crate::analyze::{Census, CensusTaker};
use crate::cli::settings::file::Settings;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::{output, pager};
use crate::cli::wiring::customers;
use crate::cli::wiring::rejections::receiver_of;
use crate::dns::dmarc::WalkDifference;
use crate::dns::posture::kept::KeptRecords;
use crate::model::Text;
use crate::present;
use crate::store::Store;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// Maximum number of senders of unreadable reports counted separately.
const UNREADABLE: usize = 1000;

/// The census as JSON, version 1.
#[derive(Serialize)]
struct CensusJson<'a> {
    schema: u8,
    #[serde(flatten)]
    census: &'a Census,
    walk_differs: &'a [DifferingDomain],
    unreadable: &'a [UnreadableReports],
}

/// A domain that the two ways to find a policy judge differently.
#[derive(Debug, Serialize)]
struct DifferingDomain {
    domain: String,
    /// Whose record, or which organizational domain, the tree walk finds.
    by_treewalk: Option<String>,
    /// The same by the public suffix list.
    by_psl: Option<String>,
    /// `record` or `organization`: what differs.
    differs: &'static str,
}

/// Items that could not be read, by the receiver in their file name.
#[derive(Debug, Serialize)]
struct UnreadableReports {
    receiver: String,
    items: u64,
    newest: Timestamp,
}

/// Runs `status --reporters`.
pub(super) fn run(
    settings: &Settings,
    store: &Store,
    customer: Option<&str>,
    format: OutputFormat,
) -> anyhow::Result<Exit> {
    let owner = customer.map(|name| customers::find(settings, name)).transpose()?;
    let owners = settings.owners();
    let is_wanted = |domain: &str| owner.is_none_or(|owner| owners.owner_of(domain) == Some(owner));
    let kept = KeptRecords::new(store.dns_spans()?, store.dns_names()?);
    let wanted = kept.domains().filter(|domain| is_wanted(domain));
    let differing: Vec<DifferingDomain> = wanted
        .filter_map(|domain| Some(DifferingDomain::new(kept.walk_difference(domain)?, domain.to_owned())))
        .collect();
    let mut taker = CensusTaker::new(differing.iter().flat_map(DifferingDomain::names).map(Text::from));
    store.report_notes(&mut |notes| {
        if is_wanted(&notes.policy_domain) {
            taker.add(&notes);
        }
    })?;
    let census = taker.finish();
    // An unreadable report cannot be assigned to a customer with certainty.
    let unreadable = if owner.is_none() { unreadable(store)? } else { Vec::new() };
    match format {
        OutputFormat::Json => {
            let (walk_differs, unreadable) = (&differing[..], &unreadable[..]);
            output::json(&CensusJson { schema: 1, census: &census, walk_differs, unreadable })?;
        }
        OutputFormat::Text => {
            let differing: Vec<_> = differing.iter().map(|of| (of.domain.as_str(), of.sentence())).collect();
            let unreadable: Vec<_> = unreadable.iter().map(|of| (of.receiver.as_str(), of.items)).collect();
            pager::show(&present::census(&census, &differing, &unreadable))?;
        }
    }
    Ok(Exit::Handled)
}

impl DifferingDomain {
    fn new(difference: WalkDifference, domain: String) -> Self {
        match difference {
            WalkDifference::Record { walk, list } => {
                Self { domain, by_treewalk: walk, by_psl: list, differs: "record" }
            }
            WalkDifference::Organization { walk, list } => {
                Self { domain, by_treewalk: Some(walk), by_psl: Some(list), differs: "organization" }
            }
        }
    }

    /// The policy domains that reports on it may name.
    fn names(&self) -> impl Iterator<Item = &str> {
        [Some(&self.domain), self.by_treewalk.as_ref(), self.by_psl.as_ref()].into_iter().flatten().map(String::as_str)
    }

    fn sentence(&self) -> String {
        let say = |found: &Option<String>| match found {
            Some(domain) if self.differs == "record" => format!("the record of {domain}"),
            Some(domain) => format!("the organizational domain {domain}"),
            None => "no record".to_owned(),
        };
        format!("{} by the tree walk, {} by the suffix list", say(&self.by_treewalk), say(&self.by_psl))
    }
}

fn unreadable(store: &Store) -> anyhow::Result<Vec<UnreadableReports>> {
    let mut by_receiver: BTreeMap<String, (u64, Timestamp)> = BTreeMap::new();
    for entry in store.rejected()? {
        let Some(receiver) = receiver_of(&entry) else { continue };
        if by_receiver.len() < UNREADABLE || by_receiver.contains_key(&receiver) {
            let (items, newest) = by_receiver.entry(receiver).or_insert((0, entry.ingested));
            (*items, *newest) = (*items + 1, (*newest).max(entry.ingested));
        }
    }
    let one = |(receiver, (items, newest))| UnreadableReports { receiver, items, newest };
    let mut unreadable: Vec<UnreadableReports> = by_receiver.into_iter().map(one).collect();
    unreadable.sort_by_key(|of| std::cmp::Reverse(of.items));
    Ok(unreadable)
}
