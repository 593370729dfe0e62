//! The sums of one address, over all chosen domains.

use super::causes::Causes;
use super::reporter_set::ReporterSet;
use super::role::{Role, Roles};
use super::view::{ServerOrigin, View};
use super::weights::Weights;
use crate::analyze::day_span::DaySpan;
use crate::analyze::foreign::Foreign;
use crate::analyze::period::date;
use crate::analyze::question::Network;
use crate::analyze::sums::facts::Fact;
use crate::analyze::sums::interner::IdMap;
use crate::analyze::sums::{Messages, Sums};
use crate::model::{Cause, NetworkClass, SourceAddress};
use jiff::civil::Date;
use serde::{Serialize, Serializer};
use std::net::IpAddr;
use std::sync::Arc;

/// Sums of one address.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceSums {
    sums: Sums,
    causes: Causes,
    unaligned: Messages,
    roles: Roles,
    reporters: ReporterSet,
    span: DaySpan,
    /// The IDs of its policy domains.
    domains: Vec<u32>,
    /// The name of another domain that authenticates its mail, and the messages of that row: of the largest row.
    foreign: Option<(u64, u32)>,
}

impl SourceSums {
    /// Adds a row; one from the history only shows whether the source is older.
    pub(crate) fn add(&mut self, view: &View<'_>, fact: &Fact, weights: &Weights, (cause, role): (Cause, Role)) {
        let pattern = view.pattern(fact.pattern);
        self.span.add(fact.day);
        if pattern.current {
            self.sums.add(pattern.pattern.flags, fact.messages, u64::from(fact.records));
            self.causes.add(cause, fact.messages, weights.judged(&pattern.pattern, fact));
            self.unaligned += Messages(fact.messages).only_if(pattern.unaligned);
            self.roles.add(role);
            self.reporters.insert(fact.reporter);
            self.foreign = self.foreign.max(pattern.foreign().map(|name| (fact.messages, name)));
            // Duplicates are removed at the end: a source may send as thousands of domains.
            if self.domains.last() != Some(&pattern.pattern.domain) {
                self.domains.push(pattern.pattern.domain);
            }
        }
    }

    /// Whether it has rows in the period.
    pub(crate) fn is_current(&self) -> bool {
        self.sums.records > 0
    }
}

/// Lists of domains: most sources have the same few.
pub(crate) type DomainLists = IdMap<Vec<u32>, Arc<[Foreign]>>;

/// The entry of a source.
pub(crate) fn summarize(
    view: &View<'_>,
    source: SourceAddress,
    mut sums: SourceSums,
    lists: &mut DomainLists,
) -> SourceSummary {
    sums.domains.sort_unstable();
    sums.domains.dedup();
    let address = source.address();
    let host = address.and_then(|address| view.host(address));
    let list = |ids: &Vec<u32>| {
        let mut domains: Vec<_> = ids.iter().map(|id| view.foreign(*id)).collect();
        domains.sort_unstable();
        domains.into()
    };
    let day = |day: Option<i32>| date(day.unwrap_or_default());
    let foreign = sums.foreign.map_or("", |(_, name)| view.name(name).as_str());
    SourceSummary {
        source_ip: address,
        name: host.map(|host| host.name.clone()),
        name_confirmed: host.map(|host| host.confirmed),
        origin: view.origin((foreign, foreign), address).map(Box::new),
        class: address.and_then(|address| view.class(address)),
        network: address.and_then(|address| view.network(address)).cloned().map(Box::new),
        sums: sums.sums,
        authenticated_unaligned: sums.unaligned.0,
        cause: sums.causes.diagnosis(),
        roles: sums.roles,
        reporters: sums.reporters.len() as u64,
        first_seen: day(sums.span.first()),
        last_seen: day(sums.span.last()),
        domains: lists.entry(sums.domains).or_insert_with_key(list).clone(),
    }
}

/// One address over the chosen domains.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceSummary {
    /// The address; `None` for the unknown source.
    pub source_ip: Option<IpAddr>,
    /// Its name, if it was looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Foreign>,
    /// Whether the name resolves back to the address; only beside a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_confirmed: Option<bool>,
    /// Whose server it is, by the strongest proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Box<ServerOrigin>>,
    /// What kind of network it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<NetworkClass>,
    /// Its network, if a database has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Box<Network>>,
    /// Its sums.
    #[serde(flatten)]
    pub sums: Sums,
    /// Failing messages that pass something, but for another domain.
    pub authenticated_unaligned: u64,
    /// The diagnosis.
    pub cause: Cause,
    /// The roles of its senders in the period.
    pub roles: Roles,
    /// How many reporters saw it in the period.
    pub reporters: u64,
    /// The first day it was seen, in all that was read.
    pub first_seen: Date,
    /// The last day.
    pub last_seen: Date,
    /// The policy domains it sent as, sorted; sources that sent as the same share the list.
    #[serde(serialize_with = "shared_list")]
    pub domains: Arc<[Foreign]>,
}

fn shared_list<S: Serializer>(list: &Arc<[Foreign]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter())
}
