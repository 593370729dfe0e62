//! The threads of a run: one source, workers on all cores, one taker; in order, and bounded in memory.
//!
//! Items travel in small chunks, so that a thread is woken for a few dozen of them at once. Chunks are numbered and
//! handed to the taker in order: which report came first never depends on which worker was quicker. Two things bound
//! the memory: the queue to the workers is a few chunks long, and a worker takes no further chunk while results
//! weigh more than they may.

use crate::fetch::{FetchError, Fetched};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// Items of a chunk.
pub(super) const CHUNK_ITEMS: usize = 32;
/// Bytes of a chunk, unless its one item has more.
const CHUNK_BYTES: usize = 256 << 10;
/// What finished results may weigh before the workers wait for the taker: more than a batch, so that the next one is worked
/// on while the taker waits for the disk.
const RESULTS: usize = 16 << 20;

/// Items that travel together.
type Chunk = Vec<Result<Fetched, FetchError>>;

struct Numbered<T> {
    number: u64,
    items: Vec<T>,
    weight: usize,
}

/// Results that wait for the taker, by weight.
#[derive(Default)]
struct Gate {
    weight: Mutex<(usize, bool)>,
    lighter: Condvar,
}

impl Gate {
    /// Wait until results weigh little enough. The chunk that the taker needs next was taken before any other that is
    /// waited for here, so it is being worked on or done: the wait ends.
    fn pass(&self) {
        let held = self.weight.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.lighter.wait_while(held, |(weight, closed)| *weight > RESULTS && !*closed);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }

    fn add(&self, weight: usize) {
        self.weight.lock().unwrap_or_else(PoisonError::into_inner).0 += weight;
    }

    fn remove(&self, weight: usize) {
        self.weight.lock().unwrap_or_else(PoisonError::into_inner).0 -= weight;
        self.lighter.notify_all();
    }

    /// Nobody takes any more.
    fn close(&self) {
        self.weight.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.lighter.notify_all();
    }
}

/// What the workers do.
pub(super) struct Work<'a, S, B, W, R> {
    /// How many there are.
    pub(super) workers: usize,
    /// What each keeps for itself.
    pub(super) state: &'a (dyn Fn() -> S + Sync),
    /// What comes before any item of a chunk is worked on.
    pub(super) begin: B,
    /// One item.
    pub(super) each: W,
    /// What its result weighs.
    pub(super) weight: fn(&R) -> usize,
}

/// Run all of a source's items through the workers, and hand the results to `take` in the source's order. Ends early
/// when `take` fails, or when the interrupt is set; then what was read is still handed over.
pub(super) fn run<S, T, R: Send, E>(
    source: impl Iterator<Item = Result<Fetched, FetchError>> + Send,
    interrupt: Option<&AtomicBool>,
    work: &Work<'_, S, impl Fn(&mut S, Chunk) -> Vec<T> + Sync, impl Fn(&mut S, T) -> R + Sync, R>,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let gate = Gate::default();
    let (to_workers, from_source) = bounded(2 * work.workers);
    // Bounded by the gate: a number of chunks would stop the workers long before they fill the memory they may use.
    let (to_taker, from_workers) = unbounded();
    std::thread::scope(|scope| {
        scope.spawn(move || read(source, interrupt, &to_workers));
        for _ in 0..work.workers {
            let (from_source, to_taker, gate) = (from_source.clone(), to_taker.clone(), &gate);
            scope.spawn(move || work_off(&from_source, &to_taker, gate, work));
        }
        drop((from_source, to_taker));
        let result = take_in_order(&from_workers, &gate, &mut take);
        // With its receiver gone every send fails, and the threads end.
        drop(from_workers);
        gate.close();
        result
    })
}

fn read(
    source: impl Iterator<Item = Result<Fetched, FetchError>>,
    interrupt: Option<&AtomicBool>,
    to_workers: &Sender<Numbered<Result<Fetched, FetchError>>>,
) {
    let mut chunk = Numbered { number: 0, items: Vec::new(), weight: 0 };
    for item in source {
        chunk.weight += match &item {
            Ok(Fetched::Item(item)) => item.bytes.len(),
            _ => 0,
        };
        chunk.items.push(item);
        let stop = interrupt.is_some_and(|interrupt| interrupt.load(Ordering::Relaxed));
        if stop || chunk.items.len() >= CHUNK_ITEMS || chunk.weight >= CHUNK_BYTES {
            let number = chunk.number + 1;
            let full = std::mem::replace(&mut chunk, Numbered { number, items: Vec::new(), weight: 0 });
            if to_workers.send(full).is_err() || stop {
                return;
            }
        }
    }
    if !chunk.items.is_empty() {
        let _ = to_workers.send(chunk);
    }
}

fn work_off<S, T, R>(
    from_source: &Receiver<Numbered<Result<Fetched, FetchError>>>,
    to_taker: &Sender<Numbered<R>>,
    gate: &Gate,
    work: &Work<'_, S, impl Fn(&mut S, Chunk) -> Vec<T>, impl Fn(&mut S, T) -> R, R>,
) {
    let mut state = (work.state)();
    loop {
        gate.pass();
        let Ok(chunk) = from_source.recv() else { return };
        let items = (work.begin)(&mut state, chunk.items);
        let items: Vec<R> = items.into_iter().map(|item| (work.each)(&mut state, item)).collect();
        let weight = items.iter().map(work.weight).sum();
        gate.add(weight);
        if to_taker.send(Numbered { number: chunk.number, items, weight }).is_err() {
            return;
        }
    }
}

fn take_in_order<R, E>(
    from_workers: &Receiver<Numbered<R>>,
    gate: &Gate,
    take: &mut impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let mut early: BTreeMap<u64, Numbered<R>> = BTreeMap::new();
    let mut next = 0;
    for chunk in from_workers {
        early.insert(chunk.number, chunk);
        while let Some(chunk) = early.remove(&next) {
            next += 1;
            let weight = chunk.weight;
            chunk.items.into_iter().try_for_each(&mut *take)?;
            gate.remove(weight);
        }
    }
    Ok(())
}
