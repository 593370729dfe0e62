//! Actions derived from failures: changes that would repair legitimate mail, each with its evidence; none if the
//! evidence is thin.

use super::action::{Action, Change, Confidence, KeyProblem, Tracking};
use crate::analyze::Foreign;
use crate::analyze::period::date;
use crate::analyze::senders::{
    Breakage, FailureSums, Folded, History, Horizon, KeyTrouble, KeyUse, Role, SigningKey, SpfEntry, SpfLoss, View,
};
use crate::analyze::thresholds::{ENOUGH_REPORTERS, NO_CHANCE};
use crate::model::Cause;
use std::collections::{BTreeMap, BTreeSet};

/// The facts that actions are derived from.
pub(crate) struct ActionFacts<'a> {
    pub(crate) view: &'a View<'a>,
    pub(crate) folded: &'a Folded,
    pub(crate) history: &'a History,
    pub(crate) horizon: Horizon,
}

impl ActionFacts<'_> {
    /// Signatures of own senders that do not verify, even if SPF passes.
    pub(crate) fn repair_keys(&self) -> Vec<Action> {
        let troubles = self.folded.signing.troubles(self.horizon);
        troubles
            .map(|(domain, key, trouble)| {
                let since = trouble.since().or_else(|| {
                    // It never was good, and the sender is older than the selector: a rotation that went wrong.
                    trouble.days.first_bad(i32::MIN).filter(|day| *day > self.horizon.from)
                });
                self.repair_key((domain, key), trouble, &trouble.broken.now, since)
            })
            .collect()
    }

    /// The action on a key, by some of its failures.
    pub(super) fn repair_key(
        &self,
        (domain, key): (u32, SigningKey),
        trouble: &KeyTrouble,
        broken: &FailureSums,
        since: Option<i32>,
    ) -> Action {
        let (change, sure) = self.broken_key(domain, key, trouble, broken.breakage());
        let tracking = Tracking::since(trouble.days.first_bad(i32::MIN).map(date), String::new());
        Action {
            cause: Cause::OwnSigningBroken,
            since: since.map(date),
            confidence: if sure { Confidence::High } else { Confidence::Medium },
            tracking: tracking.of_break(&trouble.days),
            ..self.by_failures(domain, change, broken)
        }
    }

    fn broken_key(&self, domain: u32, key: SigningKey, trouble: &KeyTrouble, breakage: Breakage) -> (Change, bool) {
        let last_good = trouble.days.last_mostly_good();
        let known = self.history.key(domain, key);
        // Anybody can write the domain and an invented selector into a signature.
        let is_ours = trouble.proven || known.is_some_and(KeyUse::ever_verified);
        let text = |id: u32| Foreign::from(self.view.name(id).clone());
        let (dkim_domain, selector) = (text(key.0), Some(text(key.1)).filter(|text| !text.as_written().is_empty()));
        // If good signatures continue after the break, from other addresses, the key is good.
        let verifies_elsewhere = || {
            let after = last_good.map_or(self.horizon.from, |day| day + 1);
            known.is_some_and(|key| key.days.between(after, self.horizon.to).0.0 >= NO_CHANCE)
        };
        let repair = |fault| Change::RepairKey { dkim_domain: dkim_domain.clone(), selector: selector.clone(), fault };
        let check =
            |body| Change::CheckModification { dkim_domain: dkim_domain.clone(), selector: selector.clone(), body };
        match breakage {
            Breakage::NoKey => (repair(KeyProblem::Missing), is_ours),
            Breakage::Refused => (repair(KeyProblem::Weak), is_ours),
            Breakage::Body => (check(true), is_ours),
            Breakage::Mismatch if verifies_elsewhere() => (check(false), false),
            Breakage::Mismatch => (repair(KeyProblem::Mismatch), false),
        }
    }

    /// Services that send as the domain and authenticate with their own, in the eight weeks.
    pub(crate) fn align_senders(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (domain, fold) in &self.folded.domains {
            for ((name, role), holder) in &fold.vouchers {
                let Some(voucher) = self.history.voucher(*domain, *name) else { continue };
                let known = matches!(role, Role::Own | Role::Vendor);
                if !known || holder.all.weeks.0 < NO_CHANCE || holder.reporters.len() < ENOUGH_REPORTERS {
                    continue;
                }
                let proven = *role == Role::Own || voucher.aligned.0 >= NO_CHANCE;
                let new = voucher.days.first_bad(i32::MIN).filter(|day| *day > self.horizon.from);
                let change = Change::AlignSender {
                    organization: self.view.name(*name).clone().into(),
                    signs: voucher.signed.0 > voucher.failing.0 / 2,
                };
                let action = Action {
                    messages: holder.all.weeks.0,
                    failing: holder.all.weeks.0,
                    reporters: holder.reporters.len() as u64,
                    since: new.map(date),
                    confidence: if proven { Confidence::High } else { Confidence::Medium },
                    tracking: Tracking::since(voucher.days.first_bad(i32::MIN).map(date), String::new()),
                    ..Action::new(self.view.foreign(*domain), change, Cause::AuthenticatedUnaligned)
                };
                actions.push(action.at(&voucher.largest, voucher.addresses));
            }
        }
        actions
    }

    /// Sources that SPF authorized before and no longer does: listed even if DKIM hides it.
    pub(crate) fn lost_spf(&self) -> Vec<Action> {
        let mut actions: BTreeMap<(u32, u32, SpfEntry), Action> = BTreeMap::new();
        let broken: BTreeSet<(u32, u32)> =
            self.folded.spf.errors(self.horizon).map(|(domain, path, _)| (domain, path)).collect();
        for (domain, path, entry, lost) in self.folded.spf.lost(self.view, self.horizon) {
            // The evaluation ends in an error before it reaches this source: authorizing it would not help.
            if lost.lost.now.end_in_error() && broken.contains(&(domain, path)) {
                continue;
            }
            let action = self.authorize_again((domain, path, &entry), lost, &lost.lost.now, lost.since());
            actions.insert((domain, path, entry), action);
        }
        actions.into_values().collect()
    }

    /// The action on sources that lost SPF, by some of their failures.
    pub(super) fn authorize_again(
        &self,
        (domain, path, entry): (u32, u32, &SpfEntry),
        loss: &SpfLoss,
        lost: &FailureSums,
        since: Option<i32>,
    ) -> Action {
        let spf_domain = self.view.foreign(path);
        let include = match entry {
            SpfEntry::Service(name) => crate::analyze::known::Services::include_of(name),
            SpfEntry::Network(_) => None,
        };
        let change = if lost.end_in_error() {
            Change::RepairSpf { spf_domain }
        } else {
            Change::AuthorizeSource { spf_domain, include }
        };
        Action {
            cause: if lost.failing.0 > 0 { Cause::SpfGap } else { Cause::PassDkimOnly },
            since: since.map(date),
            tracking: Tracking::since(None, entry.name()).of_break(&loss.days),
            ..self.by_failures(domain, change, lost)
        }
    }

    /// SPF records with which most evaluations end in a permanent error.
    pub(crate) fn repair_spf(&self) -> Vec<Action> {
        let since = |errors: &SpfLoss| errors.days.last_mostly_good().and_then(|day| errors.days.first_bad(day + 1));
        let errors = self.folded.spf.errors(self.horizon);
        errors
            .map(|(domain, path, errors)| self.repair_record((domain, path), errors, &errors.lost.now, since(errors)))
            .collect()
    }

    /// The action on a record that cannot be evaluated, by some of the failures.
    pub(super) fn repair_record(
        &self,
        (domain, path): (u32, u32),
        loss: &SpfLoss,
        errors: &FailureSums,
        since: Option<i32>,
    ) -> Action {
        let tracking = Tracking::since(loss.days.first_bad(i32::MIN).map(date), String::new());
        Action {
            cause: if errors.failing.0 > 0 { Cause::Unauthenticated } else { Cause::PassDkimOnly },
            since: since.map(date),
            confidence: if errors.reporters.len() >= 3 { Confidence::High } else { Confidence::Medium },
            tracking: tracking.of_break(&loss.days),
            ..self.by_failures(domain, Change::RepairSpf { spf_domain: self.view.foreign(path) }, errors)
        }
    }

    /// An action, of high confidence, with the figures of the failures that ask for it.
    fn by_failures(&self, domain: u32, change: Change, failures: &FailureSums) -> Action {
        let action = Action {
            messages: failures.messages.0,
            failing: failures.failing.0,
            reporters: failures.reporters.len() as u64,
            ..Action::new(self.view.foreign(domain), change, Cause::Unknown)
        };
        action.at(&failures.largest, failures.addresses)
    }
}
