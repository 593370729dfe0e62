//! Tracks an action over time: an ID that stays the same every week, when it began, and whether it was acknowledged.

use super::{Action, Change};
use crate::analyze::question::Acknowledged;
use crate::analyze::sums::DayCounts;
use crate::analyze::{Foreign, Period, Question, form};
use jiff::civil::Date;
use serde::Serialize;
use std::collections::HashSet;

/// An acknowledged action whose evidence has grown by this factor is shown again.
const GROWTH: u64 = 3;

/// Hexadecimal digits of an ID: enough that ten thousand actions do not collide.
const DIGITS: usize = 12;

/// Since when an action is known, and whether it was acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Tracking {
    /// Identifies the action: the same every week and for every user.
    pub id: String,
    /// Whether it is new.
    pub state: ActionState,
    /// The first day it was seen, among those that were read.
    #[serde(serialize_with = "form::day_or_null")]
    pub first_seen: Option<Date>,
    /// Acknowledged, and the evidence has not grown since: pages leave it out.
    pub folded: bool,
    /// The note of the acknowledgment.
    pub note: Option<Foreign>,
    /// What identifies it beside domain and change.
    #[serde(skip)]
    place: String,
    /// The first day of the last break, and the last day on which most of its mail failed.
    #[serde(skip)]
    pub(super) broke: Option<(i32, i32)>,
    /// It is listed only for its repair: nothing, or too little, fails in the period.
    #[serde(skip)]
    pub(super) ended: bool,
}

/// What identifies an action: the policy domain, what it is about, and where.
pub(super) type ActionIdentity = (String, [String; 2], String);

/// Whether an action is new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    /// It began in the period.
    New,
    /// It began before the period.
    #[default]
    Open,
    /// A change in DNS removed the cause; whether the mail passes since is not proven.
    Published,
    /// The repair worked: several reporters, several days, no failure.
    Fixed,
}

impl ActionState {
    /// Its name in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Open => "open",
            Self::Published => "published",
            Self::Fixed => "fixed",
        }
    }
}

impl Change {
    /// Its name in JSON.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::PublishPolicy { .. } => "publish_policy",
            Self::RepairKey { .. } => "repair_key",
            Self::CheckModification { .. } => "check_modification",
            Self::AlignSender { .. } => "align_sender",
            Self::RelaxAlignment { .. } => "relax_alignment",
            Self::AuthorizeSource { .. } => "authorize_source",
            Self::RepairSpf { .. } => "repair_spf",
            Self::Sign => "sign",
        }
    }
}

impl Tracking {
    /// For an action first seen on a day, if known. `place` distinguishes it from others of the same kind.
    pub(super) fn since(first_seen: Option<Date>, place: String) -> Self {
        Self { first_seen, place, ..Self::default() }
    }

    /// Whose mail was good and bad on these days.
    pub(super) fn of_break(mut self, days: &DayCounts) -> Self {
        self.broke = days.last_break();
        self
    }
}

impl Action {
    /// The messages that show it: the failing ones, or all if none fails.
    pub fn evidence(&self) -> u64 {
        if self.failing > 0 { self.failing } else { self.messages }
    }

    /// What identifies it, apart from the domain.
    fn subject(&self) -> [&str; 2] {
        fn maybe(text: Option<&Foreign>) -> &str {
            text.map_or("", Foreign::as_written)
        }
        match &self.change {
            Change::PublishPolicy { tag, to, .. } => [tag, to],
            Change::RepairKey { dkim_domain, selector, .. }
            | Change::CheckModification { dkim_domain, selector, .. } => {
                [dkim_domain.as_written(), maybe(selector.as_ref())]
            }
            Change::AlignSender { organization, .. } => [organization.as_written(), ""],
            Change::AuthorizeSource { spf_domain, include } => [spf_domain.as_written(), include.unwrap_or_default()],
            Change::RepairSpf { spf_domain } => [spf_domain.as_written(), ""],
            Change::RelaxAlignment { .. } | Change::Sign => ["", ""],
        }
    }

    /// What identifies it, whichever change it asks for.
    pub(super) fn identity(&self) -> ActionIdentity {
        let place = self.tracking.place.clone();
        (self.policy_domain.as_written().to_owned(), self.subject().map(str::to_owned), place)
    }

    fn id(&self, copy: usize) -> String {
        let mut hash = blake3::Hasher::new();
        let copy = if copy == 0 { String::new() } else { copy.to_string() };
        let kind = [self.change.word(), self.policy_domain.as_written()];
        for part in kind.into_iter().chain(self.subject()).chain([self.tracking.place.as_str(), copy.as_str()]) {
            hash.update(part.as_bytes()).update(b"\0");
        }
        hash.finalize().to_hex()[..DIGITS].to_owned()
    }
}

/// Gives each action its ID, and says what is known about it.
pub(super) fn track(actions: &mut [Action], question: &Question, period: Option<Period>) {
    let mut taken = HashSet::new();
    for action in actions {
        // Identical ones are distinguished by their order.
        let mut copy = 0;
        while !taken.insert(action.id(copy)) {
            copy += 1;
        }
        let id = action.id(copy);
        let acknowledged = question.acknowledged.get(&id);
        let grown = |said: &Acknowledged| action.evidence() >= said.evidence.max(1).saturating_mul(GROWTH);
        let first = action.since.into_iter().chain(action.tracking.first_seen).min();
        let first = first.or_else(|| period.map(Period::from));
        let folded = acknowledged.is_some_and(|said| !grown(said));
        let tracking = &mut action.tracking;
        tracking.folded = folded;
        tracking.note = acknowledged.map(|said| Foreign::from(said.note.clone()));
        tracking.first_seen = first.map(|first| period.map_or(first, |period| first.min(period.to())));
        tracking.state = match (first, period) {
            (Some(first), Some(period)) if first < period.from() => ActionState::Open,
            _ => ActionState::New,
        };
        tracking.id = id;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::question::Acknowledged;
    use crate::{
        analyze::{Confidence, KeyProblem},
        model::Cause,
    };

    fn action(selector: &str, failing: u64) -> Action {
        Action {
            policy_domain: "example.com".into(),
            change: Change::RepairKey {
                dkim_domain: "example.com".into(),
                selector: Some(selector.into()),
                fault: KeyProblem::Missing,
            },
            cause: Cause::OwnSigningBroken,
            sources: Vec::new(),
            addresses: 1,
            messages: failing,
            failing,
            reporters: 2,
            since: "2026-11-12".parse().ok(),
            confidence: Confidence::High,
            tracking: Tracking::default(),
            explained_by: None,
            repair: None,
            service: None,
        }
    }

    fn tracked(mut actions: Vec<Action>, question: &Question, week: (&str, &str)) -> Vec<Tracking> {
        let period = Period::new(week.0.parse().unwrap(), week.1.parse().unwrap()).unwrap();
        track(&mut actions, question, Some(period));
        actions.into_iter().map(|action| action.tracking).collect()
    }

    const FIRST: (&str, &str) = ("2026-11-09", "2026-11-15");
    const SECOND: (&str, &str) = ("2026-11-16", "2026-11-22");

    #[test]
    fn an_id_stays_from_week_to_week_and_belongs_to_one_action() {
        let question = Question::default();
        let first = tracked(vec![action("s1", 5), action("s2", 5)], &question, FIRST);
        let second = tracked(vec![action("s2", 900), action("s1", 7), action("s1", 3)], &question, SECOND);
        assert_eq!((&first[0].id, &first[1].id), (&second[1].id, &second[0].id));
        assert_ne!(first[0].id, first[1].id);
        assert_ne!(second[1].id, second[2].id, "two that nothing tells apart");
        assert_eq!((first[0].state, second[0].state), (ActionState::New, ActionState::Open));
        assert_eq!(second[0].first_seen, "2026-11-12".parse().ok());
    }

    #[test]
    fn an_acknowledged_action_is_folded_until_three_times_as_much_fails() {
        let mut question = Question::default();
        let id = tracked(vec![action("s1", 5)], &question, FIRST).remove(0).id;
        question.acknowledged.insert(id, Acknowledged { note: "ticket".into(), evidence: 5 });
        for (failing, folded) in [(1, true), (14, true), (15, false)] {
            let told = tracked(vec![action("s1", failing)], &question, SECOND).remove(0);
            assert_eq!((told.folded, told.note.is_some()), (folded, true), "{failing}");
        }
        assert!(!tracked(vec![action("s2", 1)], &question, SECOND).remove(0).folded, "another one");
    }
}
