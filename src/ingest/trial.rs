//! Processes one item in a process of its own: as a trial that keeps nothing, or all the way into the store.

use super::save::Saver;
use super::work::{Done, KnownItems, Piece, work};
use super::{IngestError, IngestOptions, Stored, Tally, Trust, again};
use crate::fetch::{Fetched, Item};
use crate::model::Accepted;
use crate::store::{Access, StoreError, Writer, rehearse};
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
    fn item(&self) -> Item {
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

/// Processes an item as a run does, in this process, without a store.
///
/// # Errors
/// If the result cannot be written.
pub fn attempt(item: &TrialItem<'_>, options: &IngestOptions) -> Result<(), StoreError> {
    let mut failed = None;
    let mut rehearsed = |pieces: Vec<Piece>| {
        let accepted = |piece| match piece {
            Piece::Report(accepted) => Some(*accepted),
            _ => None,
        };
        let accepted: Vec<Accepted> = pieces.into_iter().filter_map(accepted).collect();
        failed = failed.take().or(rehearse(&accepted).err());
    };
    let item = Fetched::Item(item.item()).into();
    let done = work(item, options, &KnownItems::default(), &mut |part| rehearsed(part.pieces))?;
    rehearsed(done.into_pieces());
    failed.map_or(Ok(()), Err)
}

/// Stores one item alone, and commits it.
///
/// # Errors
/// Where the store cannot be written or read.
pub fn store_alone(
    item: &TrialItem<'_>,
    writer: &mut Writer,
    options: &IngestOptions,
) -> Result<StoredAlone, IngestError> {
    writer.read_originals_with(again::reader(options));
    let observer = &mut ();
    let mut saver = Saver::new(writer, observer, None);
    let mut failed = None;
    let done = work(Fetched::Item(item.item()).into(), options, &KnownItems::default(), &mut |part| {
        if failed.is_none() {
            failed = saver.take(Done::Part(part)).err();
        }
    })?;
    failed.map_or(Ok(()), Err)?;
    saver.take(done)?;
    let (tally, _) = saver.finish()?;
    let Tally { stored, duplicates, conflicts, rejected, .. } = tally;
    let rejected = rejected.into_iter().map(|rejected| (rejected.origin, rejected.reason)).collect();
    Ok(StoredAlone { stored, duplicates, conflicts, rejected })
}
