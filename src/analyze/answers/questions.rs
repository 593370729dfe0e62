//! The four questions an administrator has, answered by a level: fine, worth a look, or urgent.

use super::readiness::ReadinessVerdict;
use super::senders::Sender;
use super::summary::{Answers, Level, QuestionAnswer, Summary};
use crate::analyze::actions::{Action, ActionState, Change, Confidence};
use crate::analyze::senders::Role;
use crate::analyze::thresholds::NO_CHANCE;
use crate::model::is_in_network;
use jiff::civil::Date;
use std::collections::BTreeSet;
use std::net::IpAddr;

impl Summary {
    /// Answers the questions anew, once it is known which actions are already done, and so which senders are repaired.
    pub fn answer_again(&mut self) {
        for sender in &mut self.senders {
            sender.repaired = repaired(sender, &self.actions);
        }
        self.answers = answers(self);
    }
}

/// The day of the repair of one of the user's senders: all actions on failures at its addresses are done, they follow each of
/// these addresses, and nothing else fails.
fn repaired(sender: &Sender, actions: &[Action]) -> Option<Date> {
    let who = &sender.who;
    let is_here = |source: &IpAddr| who.address.is_some_and(|address| is_in_network(*source, address, who.prefix));
    let is_of_sender = |change: &Change| match change {
        // To sign is good advice, whatever failed.
        Change::PublishPolicy { .. } | Change::Sign => false,
        // A service may send from the same network.
        Change::AlignSender { organization, .. } => {
            [&who.signs_as, &who.returns_to].contains(&&Some(organization.clone()))
        }
        _ => true,
    };
    let concerns = |action: &&Action| {
        let of_domain = action.policy_domain == who.policy_domain && is_of_sender(&action.change);
        action.failing > 0 && of_domain && action.followed.iter().any(is_here)
    };
    let (mut day, mut explained, mut proven) = (None, 0_u64, BTreeSet::new());
    for action in actions.iter().filter(concerns) {
        let repair = action.repair.as_ref().filter(|_| action.tracking.state == ActionState::Fixed)?;
        day = day.max(Some(repair.published));
        explained = explained.saturating_add(action.failing);
        proven.extend(action.followed.iter().copied().filter(is_here));
    }
    let is_whole = who.role == Role::Own && proven.len() as u64 >= who.addresses;
    day.filter(|_| is_whole && !sender.fails_visibly(explained))
}

/// Answers them from the summary.
pub(super) fn answers(summary: &Summary) -> Answers {
    let answer = |level| QuestionAnswer { level };
    Answers {
        spoofing: answer(spoofing(summary)),
        own_senders: answer(own_senders(summary)),
        policy: answer(policy(summary)),
        news: answer(news(summary)),
    }
}

fn spoofing(summary: &Summary) -> Level {
    if summary.domains.iter().any(|domain| domain.spoofing.is_alarming()) {
        Level::Alert
    } else if summary.spoofing.not_blocked() > 0 || summary.spoofing.wave {
        Level::Notice
    } else {
        Level::Ok
    }
}

/// Legitimate messages that receivers blocked; a few of many thousands are normal.
fn lost_now(summary: &Summary) -> Level {
    let most = summary.domains.iter().map(|domain| domain.readiness.lost_now).max().unwrap_or(0);
    match most {
        0 => Level::Ok,
        lost if lost < NO_CHANCE => Level::Notice,
        _ => Level::Alert,
    }
}

fn own_senders(summary: &Summary) -> Level {
    let open = |action: &&Action| action.tracking.state != ActionState::Fixed;
    let of_senders = || {
        let actions = summary.actions.iter().filter(open);
        actions.filter(|action| !matches!(action.change, Change::PublishPolicy { .. }))
    };
    // A published repair without failures since then only needs time.
    let waits =
        |action: &Action| action.repair.as_ref().is_some_and(|repair| repair.failing == 0 && !repair.still_broken);
    let broke = of_senders()
        .filter(|action| !waits(action))
        .any(|action| action.since.is_some() && action.failing >= NO_CHANCE && action.confidence == Confidence::High);
    let action = if of_senders().next().is_some() { Level::Notice } else { Level::Ok };
    lost_now(summary).max(if broke { Level::Alert } else { action })
}

fn policy(summary: &Summary) -> Level {
    let done = summary.domains.iter().all(|domain| domain.readiness.verdict == ReadinessVerdict::Done);
    lost_now(summary).max(if done { Level::Ok } else { Level::Notice })
}

fn news(summary: &Summary) -> Level {
    let changes = &summary.changes;
    let moved = summary.domains.iter().filter_map(|domain| domain.comparison.as_ref());
    let changed = !changes.senders.new.is_empty()
        || !changes.senders.vanished.is_empty()
        || !changes.senders.moved.is_empty()
        || !changes.policies.is_empty()
        || !changes.silent_reporters.is_empty()
        || !changes.silent_domains.is_empty()
        || moved.into_iter().any(|comparison| comparison.rate_moved || comparison.volume_moved);
    let broke = summary.actions.iter().any(|action| action.since.is_some() || action.repair.is_some());
    let wave = summary.domains.iter().any(|domain| domain.spoofing.wave);
    if changed || broke || wave { Level::Notice } else { Level::Ok }
}
