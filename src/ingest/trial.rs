//! Work on one item as a trial: all that a run would do with it, and nothing kept.

use super::IngestOptions;
use super::work::{ItemContents, KnownItems, Piece, Worked, work};
use crate::fetch::{Fetched, Item};
use crate::model::Accepted;
use crate::store::{StoreError, rehearse};
use jiff::Timestamp;
use std::fmt::Debug;

/// How an item fared that was worked on by a process of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Survival {
    /// The process went on.
    Survived,
    /// The item ended it, in this way.
    Died(String),
    /// Nobody knows: something else ended the process, or there was none.
    Unknown(String),
}

/// Works on items that an earlier run may have died of, each in a process that it may end. Asked on many threads.
pub trait Trial: Debug + Send + Sync {
    /// Whether a process survives the item.
    fn survives(&self, item: &TrialItem<'_>) -> Survival;
}

/// What a trial needs of an item.
#[derive(Debug, Clone, Copy)]
pub struct TrialItem<'a> {
    /// The name of the file.
    pub name: Option<&'a str>,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// When it arrived.
    pub arrival: Timestamp,
}

/// Do with an item what a run does, in this process, without a store.
///
/// # Errors
/// If what came of it cannot be written.
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
