//! Items that may crash the process that works on them: how another process works on one, as a trial that keeps nothing
//! or all the way into the store, and how a run lets it.

use super::pieces::Piece;
use super::save::Saver;
use super::trial::{StoreJob, StoredAlone, Survival, TrialItem};
use super::underway::Underway;
use super::work::{Done, ItemContents, KnownItems, Worked, deadly, work};
use super::{IngestOptions, Observer, Tally, again};
use crate::fetch::{FetchError, Fetched, Item};
use crate::model::{Accepted, Hash};
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
/// If the store cannot be written or read.
pub fn store_alone(
    item: &TrialItem<'_>,
    writer: &mut Writer,
    options: &IngestOptions,
) -> Result<StoredAlone, StoreError> {
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

/// Lets another process store items that survived their trial and were being processed when a run died all the same.
/// The waiting run continues whatever happens to them, and everything else is committed before.
pub(super) fn in_another_process(
    items: Vec<(Item, Hash)>,
    writer: &mut Writer,
    options: &IngestOptions,
    (observer, underway): (&mut dyn Observer, &Underway),
) -> Result<Tally, StoreError> {
    let Some(trial) = options.trial.clone() else { return Ok(Tally::default()) };
    let outcomes = writer.lend(|dir, access| {
        let trust = options.trust.clone();
        let job = StoreJob { dir: dir.to_owned(), access, now: options.now.as_millisecond(), trust };
        trial.store(&job, &items.iter().map(|(item, _)| TrialItem::from(item)).collect::<Vec<_>>())
    })?;
    writer.read_originals_with(again::reader(options));
    let mut saver = Saver::new(writer, observer, Some(underway));
    for ((item, hash), outcome) in items.into_iter().zip(outcomes) {
        saver.take(match outcome {
            Ok(alone) => {
                underway.settle(hash);
                Done::Whole(Worked::new(item, hash, ItemContents::Alone(alone)))
            }
            Err(Survival::Died(how)) => Done::Whole(deadly(item, hash, &how)),
            Err(Survival::Unknown(reason)) => Done::Fault(FetchError::Left { origin: item.origin, reason }),
            Err(Survival::Survived) => {
                let reason = "the process that handled it reported nothing about it".to_owned();
                Done::Fault(FetchError::Left { origin: item.origin, reason })
            }
        })?;
    }
    Ok(saver.finish()?.0)
}
