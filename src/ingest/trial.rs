//! The interface to the process that tries an item which may crash this one: what it gets, and what it answers.

use super::{Stored, Trust};
use crate::fetch::Item;
use crate::store::Access;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::path::PathBuf;

/// What happened to an item in a separate process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Survival {
    /// The process survived.
    Survived,
    /// The item crashed it, in this way.
    Died(String),
    /// Unknown: something else ended the process, or it could not be started.
    Unknown(String),
}

/// Tries items that may have crashed an earlier run, each in a separate process. Called on many threads.
pub trait Trial: Debug + Send + Sync {
    /// Whether a process survives the item.
    fn survives(&self, item: &TrialItem<'_>) -> Survival;

    /// Lets another process store items, while this one does not use the store: each is committed before the next.
    /// Returns what became of each, or how it ended that process.
    fn store(&self, job: &StoreJob, items: &[TrialItem<'_>]) -> Vec<Result<StoredAlone, Survival>>;
}

/// What a trial needs to know about an item.
#[derive(Debug, Clone, Copy)]
pub struct TrialItem<'a> {
    /// Where it came from.
    pub origin: &'a str,
    /// The name of the file.
    pub name: Option<&'a str>,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// When it arrived.
    pub arrival: Timestamp,
}

impl<'a> From<&'a Item> for TrialItem<'a> {
    fn from(item: &'a Item) -> Self {
        let Item { origin, name, bytes, arrival, .. } = item;
        Self { origin, name: name.as_deref(), bytes, arrival: *arrival }
    }
}

impl TrialItem<'_> {
    pub(super) fn item(&self) -> Item {
        let Self { origin, name, bytes, arrival } = *self;
        let (origin, name) = (origin.to_owned(), name.map(str::to_owned));
        Item { origin, name, bytes: bytes.to_vec(), arrival, message: None }
    }
}

/// What another process needs to know to put items into the store as this run does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoreJob {
    /// The data folder.
    pub dir: PathBuf,
    /// Who may read it.
    pub access: Access,
    /// The time of the run, in milliseconds since 1970.
    pub now: i64,
    /// What the run trusts.
    pub trust: Trust,
}

/// What became of an item that another process put into the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAlone {
    /// New in the store.
    pub stored: Stored,
    /// There already.
    pub duplicates: u64,
    /// Another report with its key is there.
    pub conflicts: u64,
    /// New unreadable items: origin and reason.
    pub rejected: Vec<(String, String)>,
}
