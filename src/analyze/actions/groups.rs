//! Actions for single senders of a domain: sign mail, authorize a source, relax the alignment.

use super::action::{Action, Change, Confidence, Tracking};
use super::failures::ActionFacts;
use crate::analyze::period::date;
use crate::analyze::senders::{
    Identity, LargestSources, ReporterSet, Role, SenderGroup, SpfEntry, View, add_largest, compare,
};
use crate::analyze::sums::Messages;
use crate::analyze::thresholds::{ENOUGH_REPORTERS, FOLLOWED, NO_CHANCE, UNSIGNED_ONE_IN, WORTH_A_LINE};
use crate::model::Cause;
use std::collections::BTreeMap;

impl ActionFacts<'_> {
    /// What the user's own senders and their neighbors lack.
    pub(crate) fn of_groups(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut strict: BTreeMap<u32, Strict> = BTreeMap::new();
        for group in self.folded.repairs.sorted(|a, b| compare(self.view, a, b)) {
            let several = group.counts.failing_reporters.len() >= ENOUGH_REPORTERS;
            if group.role == Role::Own && several && !group.repaired {
                strict.entry(group.domain).or_default().add(group);
            }
            actions.extend(self.sign(group));
            actions.extend(self.authorize(group).filter(|_| several));
        }
        actions.extend(strict.into_iter().filter_map(|(domain, strict)| self.relax(domain, strict)));
        actions
    }

    fn relax(&self, domain: u32, strict: Strict) -> Option<Action> {
        let (dkim, spf) = strict.messages;
        if (dkim + spf).0 < NO_CHANCE {
            return None;
        }
        let tags = [(dkim, "adkim"), (spf, "aspf")].into_iter().filter(|(messages, _)| messages.0 > 0);
        let change = Change::RelaxAlignment { tags: tags.map(|(_, tag)| tag).collect() };
        let action = Action {
            messages: (dkim + spf).0,
            failing: (dkim + spf).0,
            reporters: strict.reporters.len() as u64,
            tracking: Tracking::since(strict.first.map(date), String::new()),
            ..Action::new(self.view.foreign(domain), change, Cause::StrictAlignment)
        };
        Some(action.at(&strict.largest, strict.addresses))
    }

    /// An own sender that passes by SPF alone, or could.
    fn sign(&self, group: &SenderGroup) -> Option<Action> {
        let counts = &group.counts;
        let signed = counts.all.weeks - counts.unsigned;
        let unsigned = signed.0.saturating_mul(UNSIGNED_ONE_IN) <= counts.all.weeks.0;
        let by_spf = group.identity == Identity::Itself && counts.spf_pass.0 >= WORTH_A_LINE;
        // The user says that it is theirs, and it uses no return path that SPF could authorize.
        let confirmed = group.confirmed.is_some() && group.identity == Identity::Nobody && counts.unlisted.0 == 0;
        let told = group.role == Role::Own
            && unsigned
            && (by_spf || confirmed)
            && counts.all.period.0 >= NO_CHANCE
            && group.reporters.len() >= ENOUGH_REPORTERS;
        told.then(|| Action {
            messages: counts.all.period.0,
            failing: counts.failing.period.0,
            ..self.about(group, Change::Sign, group.cause())
        })
    }

    /// An unauthenticated source with the domain's own return path: confirmed by the user, or in the network of an own
    /// sender.
    fn authorize(&self, group: &SenderGroup) -> Option<Action> {
        let (counts, path) = (&group.counts, group.counts.unlisted_path?);
        let confirmed = group.role == Role::Own && group.confirmed.is_some();
        let told = counts.unlisted.0 >= NO_CHANCE && (confirmed || group.neighbor && group.role == Role::Unclear);
        let change = Change::AuthorizeSource { spf_domain: self.view.foreign(path), include: None };
        told.then(|| Action {
            messages: counts.unlisted.0,
            failing: counts.unlisted.0,
            confidence: if confirmed { Confidence::High } else { Confidence::Medium },
            ..self.about(group, change, Cause::SpfGap)
        })
    }

    /// An action on one sender, without its messages.
    fn about(&self, group: &SenderGroup, change: Change, cause: Cause) -> Action {
        let action = Action {
            reporters: group.reporters.len() as u64,
            tracking: of_group(self.view, group),
            ..Action::new(self.view.foreign(group.domain), change, cause)
        };
        action.at(&group.largest, group.addresses)
    }
}

/// What identifies an action on one sender: its network, and what it authenticates as.
fn of_group(view: &View<'_>, group: &SenderGroup) -> Tracking {
    let name = |id: Option<u32>| id.map_or_else(String::new, |id| view.name(id).to_string());
    let place = [SpfEntry::Network(group.network).name(), name(group.signer), name(group.returns_to)].join(" ");
    Tracking::since(group.span.first().map(date), place.trim_end().to_owned())
}

/// Mail of one domain that strict alignment refuses.
#[derive(Default)]
struct Strict {
    messages: (Messages, Messages),
    reporters: ReporterSet,
    addresses: u64,
    largest: LargestSources,
    first: Option<i32>,
}

impl Strict {
    fn add(&mut self, group: &SenderGroup) {
        let (dkim, spf) = group.counts.strict;
        if (dkim + spf).0 > 0 {
            self.messages = (self.messages.0 + dkim, self.messages.1 + spf);
            self.reporters.merge(&group.counts.failing_reporters);
            self.addresses += group.addresses;
            self.first = self.first.into_iter().chain(group.counts.strict_since).min();
            add_largest(&mut self.largest, &group.largest, FOLLOWED);
        }
    }
}
