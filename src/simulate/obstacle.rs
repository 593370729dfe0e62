//! Why the verdict on mail is unknown.

use super::outcome::{ObstacleKind, UndecidableReason};
use crate::analyze::Foreign;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Why a verdict is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Obstacle {
    /// It depends on the local part of the return path, or on the HELO name.
    SenderUnsaid,
    /// It depends on other data missing from the report, such as a selector or an address.
    Unsaid,
    /// The proposed key of this name differs from the one in DNS: no report shows whether the sender signs with the new
    /// one.
    KeyReplaced(String),
    /// It depends on a failed lookup: its name and the reason.
    LookupFailed(String),
}

/// Maximum number of names per kind.
const TOLD: usize = 10;

impl Obstacle {
    fn parts(self) -> (ObstacleKind, Option<String>) {
        match self {
            Self::SenderUnsaid => (ObstacleKind::SenderUnsaid, None),
            Self::Unsaid => (ObstacleKind::ReportIncomplete, None),
            Self::KeyReplaced(name) => (ObstacleKind::KeyReplaced, Some(name)),
            Self::LookupFailed(name) => (ObstacleKind::LookupFailed, Some(name)),
        }
    }
}

/// Messages by kind of obstacle.
pub(super) fn reasons(obstacles: BTreeMap<Obstacle, u64>) -> Vec<UndecidableReason> {
    let mut kinds: BTreeMap<ObstacleKind, (u64, Vec<(Reverse<u64>, String)>)> = BTreeMap::new();
    for (obstacle, messages) in obstacles {
        let (kind, detail) = obstacle.parts();
        let (sum, details) = kinds.entry(kind).or_default();
        *sum = sum.saturating_add(messages);
        details.extend(detail.map(|detail| (Reverse(messages), detail)));
    }
    let told = |(reason, (messages, mut details)): (ObstacleKind, (u64, Vec<(Reverse<u64>, String)>))| {
        details.sort_unstable();
        let more_details = details.len().saturating_sub(TOLD) as u64;
        let details = details.into_iter().take(TOLD).map(|(_, detail)| Foreign::from(detail)).collect();
        UndecidableReason { reason, details, more_details, messages }
    };
    let mut reasons: Vec<UndecidableReason> = kinds.into_iter().map(told).collect();
    reasons.sort_by_key(|reason| (Reverse(reason.messages), reason.reason));
    reasons
}
