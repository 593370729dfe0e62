//! Processes one item as a trial: everything a run would do with it, keeping nothing.

use super::IngestOptions;
use super::work::{ItemContents, KnownItems, Piece, Worked, work};
use crate::fetch::{Fetched, Item};
use crate::model::Accepted;
use crate::store::{StoreError, rehearse};
use jiff::Timestamp;
use std::fmt::Debug;

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
}

/// What a trial needs to know about an item.
#[derive(Debug, Clone, Copy)]
pub struct TrialItem<'a> {
    /// The name of the file.
    pub name: Option<&'a str>,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// When it arrived.
    pub arrival: Timestamp,
}

/// Processes an item as a run does, in this process, without a store.
///
/// # Errors
/// If the result cannot be written.
pub fn attempt(item: &TrialItem<'_>, options: &IngestOptions) -> Result<(), StoreError> {
    let TrialItem { name, bytes, arrival } = *item;
    let item =
        Item { origin: "trial".into(), name: name.map(str::to_owned), bytes: bytes.to_vec(), arrival, message: None };
    let Ok(Worked { contents: ItemContents::Pieces(pieces), .. }) =
        work(Fetched::Item(item).into(), options, &KnownItems::default())?
    else {
        return Ok(());
    };
    let accepted: Vec<Accepted> = pieces
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Report(accepted) => Some(*accepted),
            _ => None,
        })
        .collect();
    rehearse(&accepted)
}
