//! Compares organizations by the suffix list (RFC 7489), which reporters use today, with the tree walk of RFC 9989: if
//! they differ, the verdict depends on the receiver.

use super::PolicyTags;
use super::proposed_dns::ProposedDns;
use crate::dns::dmarc;
use crate::dns::lookup::answer::{Answer, DnsQuestion, Lookup as _, QueryType};
use crate::judge::organizational;
use crate::model::Text;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Maximum number of names for tree walks.
const WALKED: usize = 500;

/// A definition of which domains belong together.
#[derive(Debug, Clone, Default)]
pub(super) enum Organizations {
    /// By the public suffix list.
    #[default]
    SuffixList,
    /// By the tree walk: the organization of each name.
    TreeWalk(HashMap<Text, String>),
}

impl Organizations {
    /// Whether two domains belong to the same organization.
    pub(super) fn are_one(&self, one: &str, other: &str) -> bool {
        match self {
            Self::SuffixList => organizational(one) == organizational(other),
            Self::TreeWalk(known) => {
                let of =
                    |domain: &str| known.get(domain).map_or_else(|| organizational(domain).to_owned(), Clone::clone);
                one == other || of(one) == of(other)
            }
        }
    }
}

/// The result of tree walks for the names in the mail: their organizations, and records of From domains that differ
/// from that of `domain`.
pub(super) struct TreeWalkResult {
    pub(super) organizations: Organizations,
    pub(super) records: BTreeMap<Text, PolicyTags>,
}

/// Walks from all names; `None` if DNS does not have the record in the reports, or does not answer.
pub(super) fn walk(
    dns: &ProposedDns<'_>,
    domain: &str,
    (senders, names): (&BTreeSet<&Text>, &BTreeSet<&Text>),
) -> Option<TreeWalkResult> {
    let related: BTreeSet<&Text> = names.union(senders).copied().filter(|name| is_related(name, domain)).collect();
    if related.len() > WALKED || !matches!(dmarc::record_at(dns, domain), Answer::Found(_)) {
        return None;
    }
    let questions: Vec<DnsQuestion> =
        related.iter().map(|name| DnsQuestion::new(&format!("_dmarc.{name}"), QueryType::Txt)).collect();
    dns.announce(&questions);
    let (mut organizations, mut records) = (HashMap::new(), BTreeMap::new());
    for name in related {
        let walked = dmarc::discover(dns, name).walk.ok()?;
        organizations.insert(name.clone(), walked.organization);
        if !senders.contains(name) || name.as_str() == domain {
            continue;
        }
        match walked.found {
            Some(found) if found.domain == domain => {}
            Some(found) => {
                let tags = PolicyTags::of_record(&found.record, &found.domain).unwrap_or_default();
                records.insert(name.clone(), if found.domain == name.as_str() { tags } else { tags.inherited() });
            }
            None => drop(records.insert(name.clone(), PolicyTags::default())),
        }
    }
    Some(TreeWalkResult { organizations: Organizations::TreeWalk(organizations), records })
}

/// Whether two names share more than the top label, so that their walks may meet.
fn is_related(name: &str, domain: &str) -> bool {
    let top_two = |name: &str| {
        let mut labels = name.rsplit('.');
        (labels.next().map(str::to_owned), labels.next().map(str::to_owned))
    };
    top_two(name) == top_two(domain)
}
