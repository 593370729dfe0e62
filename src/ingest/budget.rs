//! The memory that the threads of a run share: what was read ahead, large items, and results that wait for the taker.

use crate::limits::Grown;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of finished results before the workers wait for the taker: more than a batch, so that the next batch is
/// processed while the taker waits for the disk.
const RESULTS: usize = 16 << 20;
/// Memory for large items and waiting results beside the item that the taker needs next: that one may take up to
/// [`Limits::report_bytes`](crate::limits::Limits::report_bytes).
const BUDGET: usize = 24 << 20;
/// Memory for an inflated byte besides rows: the byte, and as much again for its original and long texts.
const MADE_OF_BYTE: usize = 2;

/// The memory budget of a run: results that wait for the taker, and memory that workers reserved for large items.
///
/// The chunk that the taker needs next never waits for others: so the run always makes progress, and at most that chunk
/// exceeds the budget.
#[derive(Default)]
pub(super) struct Budget {
    state: Mutex<PipelineState>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct PipelineState {
    /// Bytes of items that were read and are not processed yet.
    pub(super) read: usize,
    /// Weights of results not taken yet, by chunk, and their sum.
    results: BTreeMap<u64, usize>,
    waiting: usize,
    /// Memory that workers have reserved.
    reserved: usize,
    /// The chunk that the taker needs next.
    turn: u64,
    /// No more results are taken.
    closed: bool,
}

impl Budget {
    pub(super) fn state(&self) -> MutexGuard<'_, PipelineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while this holds, or until no more results are taken.
    fn wait_while(&self, full: impl Fn(&PipelineState) -> bool) -> MutexGuard<'_, PipelineState> {
        let wait = self.changed.wait_while(self.state(), |state| !state.closed && full(state));
        wait.unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes whoever waits for that.
    fn update(&self, change: impl FnOnce(&mut PipelineState)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits until there is room to read another item; returns false if none is needed any more. It ends: all chunks before it
    /// are with the workers.
    pub(super) fn read_on(&self, most: usize) -> bool {
        !self.wait_while(|state| state.read > most).closed
    }

    pub(super) fn add_read(&self, bytes: usize) {
        self.state().read += bytes;
    }

    /// Items were processed.
    pub(super) fn remove_read(&self, bytes: usize) {
        self.update(|state| state.read -= bytes);
    }

    /// Waits until there is room to take another chunk. The chunk that the taker needs next was taken before any other
    /// that waits here, so it is being processed or done: the wait ends.
    pub(super) fn pass(&self) {
        drop(self.wait_while(|state| state.waiting > RESULTS));
    }

    /// Waits until there is room to continue a chunk; for the next chunk, until its own results were taken.
    pub(super) fn go_on(&self, number: u64) {
        drop(self.wait_while(|state| {
            let waiting = if state.turn == number { state.results.get(&number).copied() } else { Some(state.waiting) };
            waiting.is_some_and(|waiting| waiting > RESULTS)
        }));
    }

    /// Reserves more memory for an item of a chunk, and waits until there is room.
    fn reserve(&self, number: u64, more: usize) {
        let mut state = self.wait_while(|state| {
            let used = state.reserved.saturating_add(state.waiting).saturating_add(more);
            state.turn != number && used > BUDGET
        });
        state.reserved = state.reserved.saturating_add(more);
    }

    fn release(&self, bytes: usize) {
        self.update(|state| state.reserved = state.reserved.saturating_sub(bytes));
    }

    pub(super) fn add(&self, number: u64, weight: usize) {
        let mut state = self.state();
        *state.results.entry(number).or_default() += weight;
        state.waiting += weight;
    }

    /// Results of a chunk were taken.
    pub(super) fn remove(&self, number: u64, weight: usize, last: bool) {
        self.update(|state| {
            state.waiting -= weight;
            if last {
                state.results.remove(&number);
                state.turn = number + 1;
            } else if let Some(own) = state.results.get_mut(&number) {
                *own -= weight;
            }
        });
    }

    /// No more results are taken.
    pub(super) fn close(&self) {
        self.update(|state| state.closed = true);
    }
}

/// What one worker has reserved for the item it works on.
pub(super) struct Reservation {
    budget: Arc<Budget>,
    chunk: AtomicU64,
    inflated: AtomicUsize,
    rows: AtomicUsize,
}

impl Reservation {
    pub(super) fn new(budget: &Arc<Budget>) -> Self {
        let none = || AtomicUsize::new(0);
        Self { budget: budget.clone(), chunk: AtomicU64::new(0), inflated: none(), rows: none() }
    }

    /// The worker takes another chunk.
    pub(super) fn begin(&self, chunk: u64) {
        self.chunk.store(chunk, Ordering::Relaxed);
    }

    /// The item grows: reserves memory for its results.
    pub(super) fn grow(&self, grown: Grown) {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let (held, more) = match grown {
            Grown::Inflated(all) => {
                let wanted = bytes(all).saturating_mul(MADE_OF_BYTE);
                (&self.inflated, wanted.saturating_sub(self.inflated.load(Ordering::Relaxed)))
            }
            Grown::Rows(more) => (&self.rows, bytes(more)),
        };
        if more > 0 {
            self.budget.reserve(self.chunk.load(Ordering::Relaxed), more);
            held.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Rows of the item were passed on, and count as results from now on.
    pub(super) fn handed_on(&self) {
        self.release(self.rows.swap(0, Ordering::Relaxed));
    }

    /// The item is done.
    pub(super) fn end(&self) {
        self.release(self.inflated.swap(0, Ordering::Relaxed) + self.rows.swap(0, Ordering::Relaxed));
    }

    fn release(&self, held: usize) {
        if held > 0 {
            self.budget.release(held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_items_wait_for_each_other_but_the_next_one_for_nobody() {
        let budget = Arc::new(Budget::default());
        let (first, second) = (Reservation::new(&budget), Reservation::new(&budget));
        first.begin(0);
        second.begin(1);
        let large = (BUDGET / MADE_OF_BYTE) as u64;
        second.grow(Grown::Inflated(large));
        // More than there is, for the chunk that the taker waits for: at once.
        first.grow(Grown::Inflated(2 * large));
        second.end();
        let (told, wait) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                second.grow(Grown::Inflated(large));
                told.send(()).unwrap();
            });
            assert!(
                wait.recv_timeout(std::time::Duration::from_millis(100)).is_err(),
                "there is no room for the second"
            );
            first.end();
            wait.recv().unwrap();
        });
        assert_eq!(budget.state().reserved, BUDGET);
    }
}
