//! Breaks that are over, but whose repair is not proven yet or was proven in the period: without them, an action would
//! vanish in the week in which somebody followed it. Only a change in DNS distinguishes a repair from an outage.

use super::action::{Action, ActionIdentity, order};
use super::failures::ActionFacts;
use super::repairs::explain;
use crate::analyze::Period;
use crate::analyze::period::date;
use crate::model::DnsHistory;
use std::collections::BTreeSet;

impl ActionFacts<'_> {
    /// Actions that are not listed because nothing, or too little, fails in the period, and that a change in DNS both explains
    /// and repairs. Whether the reports prove it is counted later.
    pub(crate) fn repaired(
        &self,
        listed: &BTreeSet<ActionIdentity>,
        history: &DnsHistory,
        period: Option<Period>,
    ) -> Vec<Action> {
        if history.changes.is_empty() {
            return Vec::new();
        }
        let (folded, horizon) = (self.folded, self.horizon);
        let keys = folded.signing.ended();
        let mut ended: Vec<Action> =
            keys.map(|(domain, key, trouble, broken)| self.repair_key((domain, key), trouble, broken, None)).collect();
        let mut records: BTreeSet<(u32, u32)> =
            folded.spf.errors(horizon).map(|(domain, path, _)| (domain, path)).collect();
        for (domain, path, loss, errors) in folded.spf.ended_errors(horizon) {
            records.insert((domain, path));
            ended.push(self.repair_record((domain, path), loss, errors, None));
        }
        for (domain, path, entry, loss, lost) in folded.spf.ended(self.view, horizon) {
            if !lost.end_in_error() || !records.contains(&(domain, path)) {
                ended.push(self.authorize_again((domain, path, &entry), loss, lost, None));
            }
        }
        ended.retain(|action| !listed.contains(&action.identity()));
        explain(&mut ended, history, period);
        ended.retain(|action| action.explained_by.is_some() && action.repair.is_some());
        for action in &mut ended {
            action.tracking.ended = true;
            action.tracking.first_seen = action.tracking.broke.map(|(first, _)| date(first));
        }
        ended.sort_by_cached_key(order);
        ended
    }
}
