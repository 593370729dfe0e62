//! The result of a repair in DNS, in words.

use super::{
    numbers::{count, counted},
    words,
};
use crate::analyze::{Action, ActionState, Repair};

/// How far a repair in DNS is proven: an instruction that was followed is no longer shown as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RepairOutcome {
    /// The reports prove it.
    Fixed,
    /// Too few reports since then.
    Waiting,
    /// Mail still fails.
    Failing,
}

impl RepairOutcome {
    /// The outcome for an action; `None` if no change in DNS removed its cause.
    pub(crate) fn of(action: &Action) -> Option<Self> {
        let repair = action.repair.as_ref()?;
        Some(match action.tracking.state {
            ActionState::Fixed => Self::Fixed,
            _ if repair.failing == 0 && !repair.still_broken => Self::Waiting,
            _ => Self::Failing,
        })
    }
}

/// The effect of a repair in DNS.
pub(crate) fn came_of(repair: &Repair, state: ActionState) -> String {
    let published = format!("published on {}", words::weekday(repair.published));
    match state {
        ActionState::Fixed => {
            let all = words::messages(repair.messages);
            let since = match repair.failing_before {
                0 => format!("none of {all} has failed since"),
                before => format!("{} failed in the seven days before, none of {all} since", words::messages(before)),
            };
            let reporters = counted(repair.reporters, "reporter", "reporters");
            format!("{published}, and it worked: {since}, seen by {reporters}")
        }
        _ if repair.failing == 0 && repair.still_broken => {
            format!("{published}, and still does not pass; the mail passes DMARC in another way")
        }
        _ if repair.messages == 0 => format!("{published}; no reports about later mail yet"),
        _ if repair.failing == 0 => format!(
            "{published}; none of {} has failed since, but too few reporters or days show it to be sure",
            words::messages(repair.messages)
        ),
        _ => {
            format!(
                "{published}; {} of {} still failed since then, at {}",
                count(repair.failing),
                words::messages(repair.messages),
                words::list(words::each_shown(&repair.still_failing))
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_of_a_repair_is_shown_as_far_as_it_is_known() {
        let day = |day: &str| day.parse().unwrap();
        let mut repair = Repair {
            published: day("2026-11-24"),
            since: day("2026-11-25"),
            failing_before: 1761,
            messages: 0,
            failing: 0,
            reporters: 0,
            still_failing: Vec::new(),
            still_broken: false,
        };
        let said = |repair: &Repair, state| came_of(repair, state);
        assert!(said(&repair, ActionState::Published).ends_with("no reports about later mail yet"));
        (repair.messages, repair.reporters) = (1804, 6);
        assert!(said(&repair, ActionState::Published).contains("none of 1,804 messages has failed since"));
        assert_eq!(
            said(&repair, ActionState::Fixed),
            "published on Tue, Nov 24, and it worked: 1,761 messages failed in the seven days before, none of 1,804 \
             messages since, seen by 6 reporters"
        );
        repair.still_broken = true;
        assert!(
            said(&repair, ActionState::Published)
                .ends_with("still does not pass; the mail passes DMARC in another way")
        );
        repair.still_broken = false;
        repair.failing_before = 0;
        assert_eq!(
            said(&repair, ActionState::Fixed),
            "published on Tue, Nov 24, and it worked: none of 1,804 messages has failed since, seen by 6 reporters"
        );
        (repair.failing, repair.still_failing) = (12, vec!["Yahoo".into(), "GMX".into()]);
        assert!(
            said(&repair, ActionState::Published)
                .ends_with("12 of 1,804 messages still failed since then, at Yahoo and GMX")
        );
    }
}
