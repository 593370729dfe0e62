//! The threads of a run: one reads the source, workers on all cores process items, one takes the results in order.
//! Memory is bounded.
//!
//! Items are passed in small chunks, so that a thread is woken for a few dozen at once. Chunks are numbered and passed
//! to the taker in order: which report came first never depends on which worker was faster. Three things bound the
//! memory: the source is read only a little ahead of the workers, a worker takes no further chunk while results exceed
//! their limit, and large items wait for their turn.

use super::budget::Budget;
use crate::fetch::{FetchError, Fetched};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

/// Items per chunk.
pub(super) const CHUNK_ITEMS: usize = 32;
/// Bytes per chunk, unless a single item has more.
const CHUNK_BYTES: usize = 256 << 10;
/// Bytes of items read but not yet processed at which the source waits; more if there are more workers, so that each
/// can have a chunk.
const READ_AHEAD: usize = 4 << 20;
/// Bytes of a chunk's results that are passed on before the rest of it is done.
const PARTIAL: usize = 1 << 20;

/// Items passed together.
type ItemChunk = Vec<Result<Fetched, FetchError>>;

struct Numbered<T> {
    number: u64,
    items: Vec<T>,
    weight: usize,
    /// Nothing more of the chunk follows.
    last: bool,
}

/// What the workers do.
pub(super) struct Work<'a, S, B, W, R> {
    /// How many there are.
    pub(super) workers: usize,
    /// Creates the state of each worker.
    pub(super) state: &'a (dyn Fn() -> S + Sync),
    /// Called before any item of a chunk is processed.
    pub(super) begin: B,
    /// Processes one item: passes on the parts of a large one, then returns the result.
    pub(super) each: W,
    /// The memory its result takes.
    pub(super) weight: fn(&R) -> usize,
    /// The shared memory budget.
    pub(super) budget: &'a Budget,
}

/// Wakes all waiting threads if the thread that owns it panics, so that none waits forever.
struct PanicGuard<'a>(&'a Budget);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}

/// Runs all items of a source through the workers and passes the results to `take` in the source's order. Ends early
/// if `take` fails, or when the interrupt is set; then everything read so far is still passed on.
pub(super) fn run<S, T, R: Send, E>(
    source: impl Iterator<Item = Result<Fetched, FetchError>> + Send,
    interrupt: Option<&AtomicBool>,
    work: &Work<
        '_,
        S,
        impl Fn(&mut S, u64, ItemChunk) -> Vec<T> + Sync,
        impl Fn(&mut S, T, &mut dyn FnMut(R)) -> R + Sync,
        R,
    >,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let budget = work.budget;
    let (to_workers, from_source) = bounded(2 * work.workers);
    // Bounded by the budget: a limit on chunks would stop the workers long before they fill the memory they may use.
    let (to_taker, from_workers) = unbounded();
    std::thread::scope(|scope| {
        let ahead = READ_AHEAD.max(4 * work.workers * CHUNK_BYTES);
        scope.spawn(move || read(source, interrupt, &to_workers, (budget, ahead)));
        for _ in 0..work.workers {
            let (from_source, to_taker) = (from_source.clone(), to_taker.clone());
            scope.spawn(move || work_off(&from_source, &to_taker, work));
        }
        drop((from_source, to_taker));
        let _guard = PanicGuard(budget);
        let result = take_in_order(&from_workers, budget, &mut take);
        // Without a receiver every send fails, and the threads end.
        drop(from_workers);
        budget.close();
        result
    })
}

fn read(
    source: impl Iterator<Item = Result<Fetched, FetchError>>,
    interrupt: Option<&AtomicBool>,
    to_workers: &Sender<Numbered<Result<Fetched, FetchError>>>,
    (budget, ahead): (&Budget, usize),
) {
    let mut source = source;
    let mut next = || if budget.read_on(ahead) { source.next() } else { None };
    let send = |chunk: Numbered<_>| {
        budget.add_read(chunk.weight);
        to_workers.send(chunk).is_ok()
    };
    let mut chunk = Numbered { number: 0, items: Vec::new(), weight: 0, last: true };
    while let Some(item) = next() {
        chunk.weight += match &item {
            Ok(Fetched::Item(item)) => item.bytes.len(),
            _ => 0,
        };
        chunk.items.push(item);
        let stop = interrupt.is_some_and(|interrupt| interrupt.load(Ordering::Relaxed));
        if stop || chunk.items.len() >= CHUNK_ITEMS || chunk.weight >= CHUNK_BYTES {
            let number = chunk.number + 1;
            let full = std::mem::replace(&mut chunk, Numbered { number, items: Vec::new(), weight: 0, last: true });
            if !send(full) || stop {
                return;
            }
        }
    }
    if !chunk.items.is_empty() {
        send(chunk);
    }
}

fn work_off<S, T, R>(
    from_source: &Receiver<Numbered<Result<Fetched, FetchError>>>,
    to_taker: &Sender<Numbered<R>>,
    work: &Work<'_, S, impl Fn(&mut S, u64, ItemChunk) -> Vec<T>, impl Fn(&mut S, T, &mut dyn FnMut(R)) -> R, R>,
) {
    let (mut state, budget) = ((work.state)(), work.budget);
    let _guard = PanicGuard(budget);
    loop {
        budget.pass();
        let Ok(Numbered { number, items, weight: read, .. }) = from_source.recv() else { return };
        let hand_on = |items: Vec<R>, weight: usize, last: bool| {
            budget.add(number, weight);
            to_taker.send(Numbered { number, items, weight, last }).is_ok()
        };
        let (mut done, mut weight, mut closed) = (Vec::new(), 0, false);
        for item in (work.begin)(&mut state, number, items) {
            let mut give = |result: R| {
                if closed {
                    return;
                }
                weight += (work.weight)(&result);
                done.push(result);
                if weight > PARTIAL {
                    closed = !hand_on(std::mem::take(&mut done), std::mem::take(&mut weight), false);
                    if !closed {
                        budget.go_on(number);
                    }
                }
            };
            let last = (work.each)(&mut state, item, &mut give);
            give(last);
            if closed {
                return;
            }
        }
        budget.remove_read(read);
        if !hand_on(done, weight, true) {
            return;
        }
    }
}

fn take_in_order<R, E>(
    from_workers: &Receiver<Numbered<R>>,
    budget: &Budget,
    take: &mut impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let mut early: BTreeMap<u64, VecDeque<Numbered<R>>> = BTreeMap::new();
    let mut next = 0;
    for chunk in from_workers {
        early.entry(chunk.number).or_default().push_back(chunk);
        while let Some(chunk) = early.get_mut(&next).and_then(VecDeque::pop_front) {
            let Numbered { number, items, weight, last } = chunk;
            items.into_iter().try_for_each(&mut *take)?;
            if last {
                early.remove(&number);
                next += 1;
            }
            budget.remove(number, weight, last);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Item;
    use jiff::Timestamp;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    /// An item that is more than may be read ahead.
    fn large_item(number: usize) -> Fetched {
        let (origin, bytes) = (number.to_string(), vec![0; READ_AHEAD + 1]);
        Fetched::Item(Item { origin, name: None, bytes, arrival: Timestamp::UNIX_EPOCH, message: None })
    }

    #[test]
    fn a_run_ends_if_a_worker_or_the_taker_panics() {
        for taker_panics in [false, true] {
            let ended = std::panic::catch_unwind(|| {
                let budget = Budget::default();
                let work = Work {
                    workers: 2,
                    state: &|| (),
                    begin: |(): &mut (), _, items: ItemChunk| items,
                    each: |(): &mut (), _, _: &mut dyn FnMut(())| assert!(taker_panics, "a worker panics"),
                    weight: |()| 0,
                    budget: &budget,
                };
                let take = |()| -> Result<(), ()> { panic!("the taker panics") };
                run((0..6).map(|number| Ok(large_item(number))), None, &work, take)
            });
            assert!(ended.is_err());
        }
    }

    #[test]
    fn the_source_is_read_only_a_little_ahead_of_the_workers() {
        let read = AtomicUsize::new(0);
        let source = (0..6).map(|number| {
            read.fetch_add(1, Ordering::Relaxed);
            Ok(large_item(number))
        });
        let budget = Budget::default();
        let each = |(): &mut (), _, _: &mut dyn FnMut(usize)| {
            std::thread::sleep(Duration::from_millis(20));
            read.load(Ordering::Relaxed)
        };
        let work = Work {
            workers: 1,
            state: &|| (),
            begin: |(): &mut (), _, items: ItemChunk| items,
            each,
            weight: |_| 0,
            budget: &budget,
        };
        // How many had been read while each was worked on.
        let mut counts = Vec::new();
        let taken: Result<(), ()> = run(source, None, &work, |read: usize| {
            counts.push(read);
            Ok(())
        });
        assert_eq!((taken, counts, budget.state().read), (Ok(()), vec![1, 2, 3, 4, 5, 6], 0));
    }
}
