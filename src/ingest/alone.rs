//! Processes one item in a process of its own: as a trial that keeps nothing, or all the way into the store.

use super::save::Saver;
use super::work::{Done, KnownItems, Piece, work};
use super::{IngestError, IngestOptions, StoredAlone, Tally, TrialItem, again};
use crate::fetch::Fetched;
use crate::model::Accepted;
use crate::store::{StoreError, Writer, rehearse};

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
