//! Shared by all parts of the page.

use crate::analyze::{Action, Rate, Summary};
use crate::present::wording::{numbers::percent, words};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Maximum number of changes of a kind on a page.
pub(crate) const NAMED: usize = 5;

/// The meaning of a state. Every format also has it in words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mark {
    /// As it should be.
    Good,
    /// Something to fix.
    Fix,
    /// Spoofed, and not blocked.
    Spoof,
    /// Nothing to do.
    #[default]
    Calm,
}

impl Mark {
    /// The symbol of a mark in text.
    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Fix => "!",
            Self::Spoof => "✗",
            Self::Calm => " ",
        }
    }
}

/// Actions that nobody has acknowledged, and those that have grown since.
pub(crate) fn unfolded(summary: &Summary) -> impl Iterator<Item = &Action> {
    summary.actions.iter().filter(|action| !action.tracking.folded)
}

/// Actions that somebody still has to do.
pub(crate) fn to_do(summary: &Summary) -> impl Iterator<Item = &Action> {
    summary.actions.iter().filter(|action| action.is_to_do())
}

/// A share of messages, for a table.
pub(crate) fn share(part: u64, whole: u64) -> String {
    percent(Rate::of(part, whole))
}

/// One change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct News {
    pub(crate) mark: Mark,
    pub(crate) head: Cow<'static, str>,
    pub(crate) text: String,
}

impl News {
    pub(super) fn new(mark: Mark, head: &'static str, text: String) -> Self {
        Self { mark, head: head.into(), text }
    }
}

/// How many senders or domains a sentence names.
const NAMED_IN_SENTENCE: usize = 2;

/// `a`, `a and b`, `a, b and 3 more domains`; each once.
pub(super) fn names(mut names: Vec<String>, what: &str) -> String {
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    words::list_some(names, NAMED_IN_SENTENCE, &format!(" {what}"))
}
