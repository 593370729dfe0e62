//! What all parts of the page need.

use crate::analyze::{Action, Rate, Summary};
use crate::present::wording::numbers::percent;
use serde::{Deserialize, Serialize};

/// How many changes of a kind a page names.
pub(crate) const NAMED: usize = 5;

/// What a state means. Every rendering says it in words too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mark {
    /// As it should be.
    Good,
    /// Something to fix.
    Fix,
    /// Spoofed, and not blocked.
    Spoof,
    /// Nothing to act on.
    #[default]
    Calm,
}

impl Mark {
    /// The symbol of a mark in text, the same everywhere.
    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Fix => "!",
            Self::Spoof => "✗",
            Self::Calm => " ",
        }
    }
}

/// The actions that nobody has acknowledged, and those that have grown since.
pub(crate) fn unfolded(summary: &Summary) -> impl Iterator<Item = &Action> {
    summary.actions.iter().filter(|action| !action.tracking.folded)
}

/// A share of messages, for a table.
pub(crate) fn share(part: u64, whole: u64) -> String {
    percent(Rate::of(part, whole))
}
