//! Notes in the store which items are being processed, so that a run knows which items may have crashed the one before
//! it.
//!
//! The note has to outlive the process, not the machine: it is written before the work and never synced. A run removes
//! it unless it crashes or is killed.

use super::pipeline::CHUNK_ITEMS;
use crate::model::Hash;
use crate::store::{StoreError, short_hash};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An item, by the start of the hash of its bytes; all zeros mean none. The last bit is not part of the hash: it says
/// that the item survived its trial, and was then worked on by a run that died.
type ItemHash = [u8; 16];

const NONE: ItemHash = [0; 16];
const ITEM: usize = size_of::<ItemHash>();
/// The bit that says that an item survived its trial.
const TRIED: u8 = 1;
/// The note of a worker: the chunk it is processing.
const SLOT: usize = CHUNK_ITEMS * ITEM;
/// Items remembered from earlier runs: a batch has fewer, and each costs the next run some milliseconds.
const MOST: usize = 1 << 15;

/// The note of this run. The file contains what earlier runs left, then a slot for each worker, then the items being
/// committed.
#[derive(Debug)]
pub(super) struct Underway {
    path: PathBuf,
    file: File,
    /// Where the slots begin.
    slots: u64,
    /// Where the items being committed begin.
    commits: u64,
    next_slot: AtomicUsize,
    /// Items that were being processed when an earlier run died, and are not done yet.
    suspects: Mutex<HashMap<ItemHash, Suspect>>,
}

/// What is known about an item that was being processed when a run died.
#[derive(Debug, Clone, Copy)]
struct Suspect {
    /// Where it is noted.
    place: u64,
    /// It had survived its trial before.
    was_tried: bool,
}

/// What an earlier run that died says of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// It was being processed.
    UnderWay,
    /// It was being processed although it had survived its trial: no run processes it itself any more.
    Tried,
}

/// The hash under which an item is looked up.
fn item_hash(mut item: ItemHash) -> ItemHash {
    item[ITEM - 1] &= !TRIED;
    item
}

/// Where a worker notes what it is processing.
#[derive(Debug, Clone, Copy)]
pub(super) struct WorkerSlot(u64);

/// The note on an item.
fn noted(mut item: ItemHash, tried: bool) -> ItemHash {
    item[ITEM - 1] |= if tried { TRIED } else { 0 };
    item
}

impl Underway {
    /// Begins the note of a run, and takes over the note of one that died.
    pub(super) fn open(store: &Path, workers: usize) -> Result<Self, StoreError> {
        let path = store.join("underway");
        let run = || {
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            let mut left = Vec::new();
            (&mut file).take((MOST * ITEM) as u64).read_to_end(&mut left)?;
            let (items, _) = left.as_chunks::<ITEM>();
            let mut suspects: HashMap<ItemHash, Suspect> = HashMap::new();
            for item in items.iter().filter(|item| **item != NONE) {
                let place = (suspects.len() * ITEM) as u64;
                let suspect = suspects.entry(item_hash(*item)).or_insert(Suspect { place, was_tried: false });
                suspect.was_tried |= item[ITEM - 1] & TRIED != 0;
            }
            let slots = (suspects.len() * ITEM) as u64;
            let mut note = vec![NONE; suspects.len()];
            for (item, suspect) in &suspects {
                note[usize::try_from(suspect.place).unwrap_or(0) / ITEM] = noted(*item, suspect.was_tried);
            }
            file.write_all_at(note.as_flattened(), 0)?;
            file.set_len(slots)?;
            let commits = slots + (workers * SLOT) as u64;
            let (next_slot, suspects) = (AtomicUsize::new(0), Mutex::new(suspects));
            Ok(Self { path: path.clone(), file, slots, commits, next_slot, suspects })
        };
        run().map_err(StoreError::io(&path, "recording the items being processed"))
    }

    /// The slot of a starting worker.
    pub(super) fn slot(&self) -> WorkerSlot {
        let number = self.next_slot.fetch_add(1, Ordering::Relaxed);
        // There are as many slots as workers; were there not, the last ones would share.
        WorkerSlot((self.slots + (number * SLOT) as u64).min(self.commits - SLOT as u64))
    }

    /// Notes what a worker is processing, replacing its earlier note.
    pub(super) fn begin(&self, slot: WorkerSlot, hashes: impl Iterator<Item = Hash>) -> Result<(), StoreError> {
        let mut note = [0; SLOT];
        for (place, hash) in note.as_chunks_mut::<ITEM>().0.iter_mut().zip(hashes) {
            *place = item_hash(short_hash(hash));
        }
        self.write(&note, slot.0)
    }

    /// Notes what is about to be committed.
    pub(super) fn committing(&self, items: &[ItemHash]) -> Result<(), StoreError> {
        let items: Vec<ItemHash> = items.iter().copied().map(item_hash).collect();
        if items.is_empty() { Ok(()) } else { self.write(items.as_flattened(), self.commits) }
    }

    /// Notes that it is committed.
    pub(super) fn committed(&self, items: &[ItemHash]) -> Result<(), StoreError> {
        let mut suspects = self.suspects();
        for item in items {
            suspects.remove(&item_hash(*item));
        }
        drop(suspects);
        let cut = if items.is_empty() { Ok(()) } else { self.file.set_len(self.commits) };
        cut.map_err(StoreError::io(&self.path, "recording the items being processed"))
    }

    /// What the note of an earlier run that died says about the item; `None` if it was not being processed then.
    pub(super) fn suspicion(&self, hash: Hash) -> Option<Suspicion> {
        let suspect = self.suspects().get(&item_hash(short_hash(hash))).copied()?;
        Some(if suspect.was_tried { Suspicion::Tried } else { Suspicion::UnderWay })
    }

    /// The item survived its trial, and this run is about to work on it.
    pub(super) fn survived(&self, hash: Hash) -> Result<(), StoreError> {
        let item = item_hash(short_hash(hash));
        let suspect = self.suspects().get(&item).copied();
        suspect.map_or(Ok(()), |suspect| self.write(&noted(item, true), suspect.place))
    }

    /// The item is dealt with: it was committed by an earlier run, or by another process.
    pub(super) fn settle(&self, hash: Hash) {
        self.suspects().remove(&item_hash(short_hash(hash)));
    }

    fn suspects(&self) -> MutexGuard<'_, HashMap<ItemHash, Suspect>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<(), StoreError> {
        self.file.write_all_at(bytes, at).map_err(StoreError::io(&self.path, "recording the items being processed"))
    }
}

impl Drop for Underway {
    /// Leftovers of an earlier run stay noted; the items this run took did no harm.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let left = self.suspects.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Having survived a trial counts against an item only if the run died.
        let left: Vec<ItemHash> = left.iter().map(|(item, suspect)| noted(*item, suspect.was_tried)).collect();
        // If this fails, the next run merely tries some items in a process of their own.
        let _ = if left.is_empty() {
            std::fs::remove_file(&self.path)
        } else {
            self.file
                .write_all_at(left.as_flattened(), 0)
                .and_then(|()| self.file.set_len(self.slots.min((left.len() * ITEM) as u64)))
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u8) -> Hash {
        Hash([2 * number; 32])
    }

    fn suspects(dir: &Path) -> Vec<u8> {
        let underway = Underway::open(dir, 2).unwrap();
        let found = (1..100).filter(|number| underway.suspicion(hash(*number)).is_some()).collect();
        // As if this run died at once.
        std::mem::forget(underway);
        found
    }

    #[test]
    fn a_run_that_died_leaves_what_was_under_way_and_one_that_ended_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let run = || {
            let underway = Underway::open(dir.path(), 2).unwrap();
            let (one, other) = (underway.slot(), underway.slot());
            underway.begin(one, [1, 2, 3].map(hash).into_iter()).unwrap();
            underway.begin(other, [4].map(hash).into_iter()).unwrap();
            underway.begin(one, [5].map(hash).into_iter()).unwrap();
            underway.committing(&[short_hash(hash(1)), short_hash(hash(2))]).unwrap();
            underway
        };
        drop(run());
        assert_eq!(suspects(dir.path()), [0; 0]);
        std::mem::forget(run());
        assert_eq!(suspects(dir.path()), [1, 2, 4, 5], "3 was worked on, and is not being committed");
        assert_eq!(suspects(dir.path()), [1, 2, 4, 5], "and until they are dealt with");

        let underway = Underway::open(dir.path(), 1).unwrap();
        let slot = underway.slot();
        underway.begin(slot, [9].map(hash).into_iter()).unwrap();
        underway.committing(&[short_hash(hash(4))]).unwrap();
        underway.committed(&[short_hash(hash(4))]).unwrap();
        underway.settle(hash(5));
        drop(underway);
        assert_eq!(suspects(dir.path()), [1, 2], "what was not met again is still suspected");
    }
}
