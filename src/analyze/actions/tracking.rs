//! Tracks an action over time: an ID that stays the same every week, when it began, and whether it was acknowledged.

use super::action::{Action, ActionState};
use crate::analyze::question::Acknowledged;
use crate::analyze::{Foreign, Period, Question};
use std::collections::HashSet;

/// An acknowledged action whose evidence has grown by this factor is shown again.
const GROWTH: u64 = 3;

/// Gives each action its ID, and says what is known about it.
pub(crate) fn track(actions: &mut [Action], question: &Question, period: Option<Period>) {
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
    use crate::analyze::actions::{Change, KeyProblem, Tracking};
    use crate::model::Cause;

    fn action(selector: &str, failing: u64) -> Action {
        let change = Change::RepairKey {
            dkim_domain: "example.com".into(),
            selector: Some(selector.into()),
            fault: KeyProblem::Missing,
        };
        Action {
            addresses: 1,
            messages: failing,
            failing,
            reporters: 2,
            since: "2026-11-12".parse().ok(),
            ..Action::new("example.com".into(), change, Cause::OwnSigningBroken)
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
