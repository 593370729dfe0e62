//! Why the verdict on some mail is not known.

use super::UndecidableReason;
use crate::analyze::Foreign;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Why a verdict is not known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Obstacle {
    /// It depends on the local part of the return path, or on the HELO name.
    SenderUnsaid,
    /// It depends on something else that the report leaves out, as a selector or an address.
    Unsaid,
    /// The key of this name has another value than in DNS: whether the sender signs with the new one is not in any report.
    KeyReplaced(String),
    /// It depends on a lookup that failed: the name, and why.
    LookupFailed(String),
}

/// What kind of reason it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObstacleKind {
    /// The local part of the return path, or the HELO name.
    SenderUnsaid,
    /// The report leaves something else out.
    ReportIncomplete,
    /// A key is another one than in DNS.
    KeyReplaced,
    /// A lookup failed.
    LookupFailed,
}

/// Names told of each kind.
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

/// Messages by obstacle, told by kind.
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
