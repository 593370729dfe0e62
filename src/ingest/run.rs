//! A run: a source's items through the workers, into a store.

use super::budget::{Budget, Reservation};
use super::pipeline;
use super::save::Saver;
use super::underway::{Underway, WorkerSlot};
use super::work::{Done, Hashed, KnownItems, work};
use super::{IngestOptions, Observer, Tally, again, alone};
use crate::fetch::{FetchError, Fetched};
use crate::limits::{Growth, Limits};
use crate::store::{Memory, StoreError, Writer};
use std::path::PathBuf;
use std::sync::Arc;

/// Reads a source into a store. Items rejected only because their period was in the future are retried first, if it no
/// longer is.
///
/// # Errors
/// If the store cannot be written or read. Errors of the source are reported to the observer and counted instead.
pub fn run(
    source: impl Iterator<Item = Result<Fetched, FetchError>> + Send,
    writer: &mut Writer,
    options: &IngestOptions,
    observer: &mut dyn Observer,
) -> Result<Tally, StoreError> {
    writer.read_originals_with(again::reader(options));
    let ahead = again::retry_ahead(writer, options)?;
    let underway = Underway::open(writer.dir(), options.workers())?;
    let known = RunMemory { store: writer.has_memory()?.then(|| writer.dir().to_owned()), underway: Some(&underway) };
    writer.take_notices().iter().for_each(|notice| observer.notice(notice));
    let mut saver = Saver::new(writer, observer, Some(&underway));
    through(source, options, &known, |done| saver.take(done))?;
    let (mut tally, for_another) = saver.finish()?;
    tally.add(ahead);
    if !for_another.is_empty() {
        tally.add(alone::in_another_process(for_another, writer, options, (observer, &underway))?);
    }
    tally.interrupted = options.is_interrupted();
    if !tally.interrupted {
        writer.compact(false)?;
        writer.take_notices().iter().for_each(|notice| observer.notice(notice));
    }
    Ok(tally)
}

/// What is known about items from earlier runs.
#[derive(Default)]
pub(super) struct RunMemory<'a> {
    /// Where seen items are looked up; `None` if there are none.
    store: Option<PathBuf>,
    /// Where the items being processed are noted; `None` without a store.
    underway: Option<&'a Underway>,
}

/// The state of each worker.
struct Worker<'a> {
    /// The options of the run, with a callback for the growth of large items.
    options: IngestOptions,
    reservation: Arc<Reservation>,
    memory: Option<Memory>,
    underway: Option<(&'a Underway, WorkerSlot)>,
}

impl<'a> RunMemory<'a> {
    fn worker(&self, options: &IngestOptions, budget: &Arc<Budget>) -> Result<Worker<'a>, StoreError> {
        let reservation = Arc::new(Reservation::new(budget));
        let told = reservation.clone();
        let growth = Growth::reported_to(move |grown| told.grow(grown));
        Ok(Worker {
            options: IngestOptions { limits: Limits { growth, ..options.limits.clone() }, ..options.clone() },
            reservation,
            memory: self.store.as_deref().map_or(Ok(None), Memory::open)?,
            underway: self.underway.map(|underway| (underway, underway.slot())),
        })
    }
}

impl Worker<'_> {
    /// Notes items before they are processed.
    fn begin(&self, chunk: u64, items: &[Result<Hashed, FetchError>]) -> Result<(), StoreError> {
        self.reservation.begin(chunk);
        let Some((underway, slot)) = self.underway else { return Ok(()) };
        underway.begin(slot, items.iter().filter_map(|item| item.as_ref().ok()?.hash))
    }

    fn work(&self, item: Hashed, give: &mut dyn FnMut(WorkerResult)) -> WorkerResult {
        let known = KnownItems { memory: self.memory.as_ref(), underway: self.underway.map(|(underway, _)| underway) };
        let done = work(item, &self.options, &known, &mut |part| {
            give(Ok(Done::Part(part)));
            self.reservation.handed_on();
        });
        self.reservation.end();
        done
    }
}

/// What a worker passes on.
type WorkerResult = Result<Done, StoreError>;

pub(super) fn through(
    source: impl Iterator<Item = Result<Fetched, FetchError>> + Send,
    options: &IngestOptions,
    known: &RunMemory<'_>,
    mut take: impl FnMut(Done) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let budget = Arc::new(Budget::default());
    let work = pipeline::Work {
        workers: options.workers(),
        budget: &budget,
        state: &|| known.worker(options, &budget),
        begin: |worker: &mut Result<Worker<'_>, StoreError>, chunk: u64, items: Vec<Result<Fetched, FetchError>>| {
            let items: Vec<_> = items.into_iter().map(|item| item.map(Hashed::from)).collect();
            if let Ok(able) = worker
                && let Err(error) = able.begin(chunk, &items)
            {
                *worker = Err(error);
            }
            items
        },
        each: |worker: &mut Result<Worker<'_>, StoreError>,
               item: Result<Hashed, FetchError>,
               give: &mut dyn FnMut(WorkerResult)| match worker {
            Ok(worker) => item.map_or_else(|fault| Ok(Done::Fault(fault)), |item| worker.work(item, give)),
            // The run ends with the first of these.
            Err(error) => {
                let known = StoreError::Unknown { what: "its fault".to_owned(), expected: "a worker without a fault" };
                Err(std::mem::replace(error, known))
            }
        },
        weight: |done: &WorkerResult| done.as_ref().map_or(0, Done::weight),
    };
    pipeline::run(source, options.interrupt.as_deref(), &work, |done| take(done?))
}
