//! Runs one item through the pure stages. It runs on any thread, and no input makes it fail.

use super::IngestOptions;
use super::pieces::{ItemPart, PartSink, Piece, pieces, weight};
use super::trial::{StoredAlone, Survival, TrialItem};
use super::underway::{Suspicion, Underway};
use crate::fetch::{FetchError, Fetched, Item};
use crate::limits::{Bound, Grown, LimitExceeded};
use crate::model::{Hash, Message, SharedBytes};
use crate::store::{Memory, Reject, SeenItem, StoreError};
use crate::unpack::OtherContent;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The largest item whose bytes are copied before processing, so that they survive a panic.
const COPIED: usize = 16 << 20;
/// More than any item needs: a request for this much gets everything.
const WHOLE: u64 = 1 << 40;

/// An item processed as far as possible without a store.
#[derive(Debug)]
pub(super) struct Worked {
    pub(super) origin: String,
    pub(super) message: Option<Message>,
    /// The hash of its bytes; `None` if there were none.
    pub(super) hash: Option<Hash>,
    /// When it arrived.
    pub(super) arrival: Timestamp,
    pub(super) contents: ItemContents,
}

impl Worked {
    pub(super) fn new(item: Item, hash: Hash, contents: ItemContents) -> Self {
        let Item { origin, message, arrival, .. } = item;
        Self { origin, message, hash: Some(hash), arrival, contents }
    }
}

/// What became of the bytes.
#[derive(Debug)]
pub(super) enum ItemContents {
    /// They were read now.
    Pieces(Vec<Piece>),
    /// They were read before, and were counted like this.
    Seen(SeenItem),
    /// Stored by another process.
    Alone(StoredAlone),
}

/// Results of an item.
#[derive(Debug)]
pub(super) enum Done {
    /// A part of them.
    Part(ItemPart),
    /// The rest; the item is done.
    Whole(Worked),
    /// This run does not process it: another process stores it.
    ForAnother(Item, Hash),
    /// It is left to a later run.
    Fault(FetchError),
}

impl Done {
    /// What was found.
    pub(super) fn into_pieces(self) -> Vec<Piece> {
        match self {
            Self::Part(part) => part.pieces,
            Self::Whole(Worked { contents: ItemContents::Pieces(pieces), .. }) => pieces,
            Self::Whole(_) | Self::ForAnother(..) | Self::Fault(_) => Vec::new(),
        }
    }

    /// About how much memory it holds, in bytes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Part(part) => weight(&part.pieces),
            Self::Whole(Worked { contents: ItemContents::Pieces(pieces), .. }) => weight(pieces) + 256,
            Self::Whole(_) | Self::Fault(_) => 256,
            Self::ForAnother(item, _) => item.bytes.len(),
        }
    }
}

/// What a source returned, with the hash of its bytes, if any.
#[derive(Debug)]
pub(super) struct Hashed {
    fetched: Fetched,
    pub(super) hash: Option<Hash>,
}

impl From<Fetched> for Hashed {
    fn from(fetched: Fetched) -> Self {
        let hash = match &fetched {
            Fetched::Item(item) => Some(Hash(Sha256::digest(&item.bytes).into())),
            _ => None,
        };
        Self { fetched, hash }
    }
}

/// What is known about items from earlier runs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KnownItems<'a> {
    /// Those that were committed.
    pub(super) memory: Option<&'a Memory>,
    /// Those that may have crashed a run.
    pub(super) underway: Option<&'a Underway>,
}

/// Runs an item through the pure stages.
pub(super) fn work(
    hashed: Hashed,
    options: &IngestOptions,
    known: &KnownItems<'_>,
    hand_on: PartSink<'_>,
) -> Result<Done, StoreError> {
    let (now, Hashed { fetched, hash }) = (options.now, hashed);
    let (origin, message, piece) = match fetched {
        Fetched::Item(item) => {
            let hash = hash.unwrap_or_else(|| Hash(Sha256::digest(&item.bytes).into()));
            return work_item(item, hash, options, known, hand_on);
        }
        Fetched::SetAside { origin } => (origin, None, Piece::SetAside(OtherContent::Other)),
        Fetched::LinkOut { origin } => (origin, None, Piece::LinkOut),
        Fetched::TooLarge { origin, size, limit, message } => {
            let excess = LimitExceeded { bound: Bound::ItemBytes, amount: Some(size), limit };
            let piece = rejected((origin.clone(), None), excess.to_string(), None, now);
            (origin, message, piece)
        }
        // Not processed: the cursor does not pass the message, and a later run requests it again.
        Fetched::Unfetched { origin, reason, .. } => {
            let piece = rejected((origin.clone(), None), reason, None, now);
            (origin, None, piece)
        }
    };
    let contents = ItemContents::Pieces(vec![piece]);
    Ok(Done::Whole(Worked { origin, message, hash: None, arrival: now, contents }))
}

/// An item of a name that is rejected as a whole; without its bytes if there are none.
fn rejected(
    (origin, attachment): (String, Option<String>),
    reason: String,
    bytes: Option<Vec<u8>>,
    arrival: Timestamp,
) -> Piece {
    let extension = if bytes.is_some() { "bin" } else { "" };
    let bytes = bytes.map(SharedBytes::from);
    Piece::Rejected(Reject { origin, attachment, reason, bytes, extension, arrival }, Vec::new())
}

fn work_item(
    item: Item,
    hash: Hash,
    options: &IngestOptions,
    known: &KnownItems<'_>,
    hand_on: PartSink<'_>,
) -> Result<Done, StoreError> {
    if let Some(seen) = known.memory.map_or(Ok(None), |memory| memory.seen(hash))? {
        if let Some(underway) = known.underway {
            underway.settle(hash);
        }
        return Ok(Done::Whole(Worked::new(item, hash, ItemContents::Seen(seen))));
    }
    if let (Some(trial), Some(underway)) = (&options.trial, known.underway) {
        match underway.suspicion(hash) {
            Some(Suspicion::Tried) => return Ok(Done::ForAnother(item, hash)),
            Some(Suspicion::UnderWay) => match trial.survives(&TrialItem::from(&item)) {
                Survival::Died(how) => return Ok(Done::Whole(deadly(item, hash, &how))),
                Survival::Unknown(reason) => {
                    return Ok(Done::Fault(FetchError::Left { origin: item.origin, reason }));
                }
                Survival::Survived => {
                    // If this run dies of it all the same, no later run processes it: another process does.
                    underway.survived(hash)?;
                    // Alone in memory, as it was in the trial.
                    options.limits.growth.tell(Grown::Inflated(WHOLE));
                }
            },
            None => {}
        }
    }
    let Item { origin, name, bytes, arrival, message } = item;
    let copy = (bytes.len() <= COPIED).then(|| bytes.clone());
    let read = || pieces((&origin, name.as_deref()), bytes, arrival, options, hand_on);
    let pieces = match catch_unwind(AssertUnwindSafe(read)) {
        Ok(pieces) => pieces,
        // One item triggered a bug: it is kept as rejected, named, and the run continues.
        Err(panic) => {
            let reason = format!("internal error: {}", panic_text(panic.as_ref()));
            if copy.is_none() {
                // Only its source still has it: there it stays.
                return Ok(Done::Fault(FetchError::Left { origin, reason }));
            }
            vec![rejected((origin.clone(), name), reason, copy, arrival)]
        }
    };
    Ok(Done::Whole(Worked { origin, message, hash: Some(hash), arrival, contents: ItemContents::Pieces(pieces) }))
}

/// An item that ended a process that had no other: it is kept, and not processed again unless a user requests it.
pub(super) fn deadly(item: Item, hash: Hash, how: &str) -> Worked {
    let Item { origin, name, bytes, arrival, message } = item;
    let piece = rejected((origin.clone(), name), deadly_reason(how), Some(bytes), arrival);
    Worked { origin, message, hash: Some(hash), arrival, contents: ItemContents::Pieces(vec![piece]) }
}

/// Why an item is rejected that ended a process in this way.
pub(super) fn deadly_reason(how: &str) -> String {
    format!("ended the program: {how}")
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
