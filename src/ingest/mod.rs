//! All stages composed: from a source's items to a store, or to judged reports without one.
//!
//! Every item ends in exactly one place of the [`Tally`]. The source, the workers and the writer run side by side. An
//! [`Observer`] is told what is safe after each durable commit, never before. A disk error ends the run and loses nothing:
//! the next run continues.

mod again;
mod convert;
mod pipeline;
mod reporters;
mod save;
mod tally;
#[cfg(test)]
mod tests;
mod trial;
mod trust;
mod underway;
mod work;

pub use again::{promote, rebuild, retry};
pub use convert::{Destination, Placed, ReportSink, convert};
pub use save::ItemOutcome;
pub use tally::{FoundItem, RejectedItem, SetAside, Stored, Tally};
pub use trial::{Survival, Trial, TrialItem, attempt};
pub use trust::{Trust, Witness};

use crate::fetch::{FetchError, Fetched};
use crate::limits::{Growth, Limits};
use crate::model::{Accepted, Fate, Message};
use crate::store::{Memory, StoreError, Writer};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use underway::{Underway, WorkerSlot};

/// How a run is done.
#[derive(Debug, Clone, Default)]
pub struct IngestOptions {
    /// The bounds of an item.
    pub limits: Limits,
    /// Worker threads; `None`: one a core.
    pub workers: Option<usize>,
    /// Set from outside to end the run early: the batch under way is finished.
    pub interrupt: Option<Arc<AtomicBool>>,
    /// The time of the run, for what has no arrival of its own.
    pub now: Timestamp,
    /// Whose word on a report mail is believed, and which domains are the reader's.
    pub trust: Trust,
    /// Verifies the signatures of report mails; `None`: nobody does, and nothing waits for the network.
    pub witness: Option<Arc<dyn Witness>>,
    /// Works on items that an earlier run may have died of; `None` works on them as on all others.
    pub trial: Option<Arc<dyn Trial>>,
}

impl IngestOptions {
    fn workers(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
    }
}

/// Why a run could not be finished. What was committed before is safe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Told of a run as it goes, on the thread that called.
pub trait Observer {
    /// An item has found its places.
    fn item(&mut self, origin: &str, outcome: &ItemOutcome) {
        let _ = (origin, outcome);
    }

    /// A batch is durable; so is everything that these messages brought.
    fn committed(&mut self, messages: &[(Message, Fate)]) {
        let _ = messages;
    }

    /// The store has something to say that a person should hear of.
    fn notice(&mut self, notice: &str) {
        let _ = notice;
    }

    /// The source met a fault on this side; it may go on behind it.
    fn fault(&mut self, fault: &FetchError) {
        let _ = fault;
    }
}

/// An observer that does nothing.
impl Observer for () {}

/// Read a source into a store. What was rejected before only because it lay ahead, and does so no longer, is read first.
///
/// # Errors
/// If the store cannot be written or read. Faults of the source are told to the observer and counted instead.
pub fn run(
    source: impl Iterator<Item = Result<Fetched, FetchError>> + Send,
    writer: &mut Writer,
    options: &IngestOptions,
    observer: &mut dyn Observer,
) -> Result<Tally, IngestError> {
    writer.read_originals_with(again::reader(options));
    let ahead = again::retry_ahead(writer, options)?;
    let underway = Underway::open(writer.dir(), options.workers())?;
    let known = RunMemory { store: writer.has_memory()?.then(|| writer.dir().to_owned()), underway: Some(&underway) };
    writer.take_notices().iter().for_each(|notice| observer.notice(notice));
    let mut saver = save::Saver::new(writer, observer, &underway);
    through(source, options, &known, |worked| saver.take(worked))?;
    let mut tally = saver.finish()?;
    tally.add(ahead);
    tally.interrupted = interrupted(options);
    if !tally.interrupted {
        writer.compact(false)?;
        writer.take_notices().iter().for_each(|notice| observer.notice(notice));
    }
    Ok(tally)
}

/// The same journey without a store: each report once, in order.
///
/// # Errors
/// None of its own; those of the type are the store's.
pub fn read(
    source: impl Iterator<Item = Result<Fetched, FetchError>> + Send,
    options: &IngestOptions,
    observer: &mut dyn Observer,
    each: &mut dyn FnMut(Accepted),
) -> Result<Tally, IngestError> {
    convert(source, |_| false, options, observer, &mut convert::Each(each))
}

fn interrupted(options: &IngestOptions) -> bool {
    options.interrupt.as_ref().is_some_and(|interrupt| interrupt.load(std::sync::atomic::Ordering::Relaxed))
}

/// What is known of items from before.
#[derive(Default)]
struct RunMemory<'a> {
    /// Where seen items are looked up; `None` where none was ever seen.
    store: Option<std::path::PathBuf>,
    /// Where it is noted what is being worked on; `None` without a store.
    underway: Option<&'a Underway>,
}

/// What each worker keeps for itself.
struct Worker<'a> {
    /// Those of the run; whoever unpacks is told of what large items come to.
    options: IngestOptions,
    reservation: Arc<pipeline::Reservation>,
    memory: Option<Memory>,
    underway: Option<(&'a Underway, WorkerSlot)>,
}

impl<'a> RunMemory<'a> {
    fn worker(&self, options: &IngestOptions, budget: &Arc<pipeline::Budget>) -> Result<Worker<'a>, StoreError> {
        let reservation = Arc::new(pipeline::Reservation::new(budget));
        let told = reservation.clone();
        let growth = Growth::told(move |bytes| told.grow(bytes));
        Ok(Worker {
            options: IngestOptions { limits: Limits { growth, ..options.limits.clone() }, ..options.clone() },
            reservation,
            memory: self.store.as_deref().map_or(Ok(None), Memory::open)?,
            underway: self.underway.map(|underway| (underway, underway.slot())),
        })
    }
}

impl Worker<'_> {
    /// Note items, before anything is done with them.
    fn begin(&self, chunk: u64, items: &[Result<work::Hashed, FetchError>]) -> Result<(), StoreError> {
        self.reservation.begin(chunk);
        let Some((underway, slot)) = self.underway else { return Ok(()) };
        underway.begin(slot, items.iter().filter_map(|item| item.as_ref().ok()?.hash))
    }

    fn work(&self, item: work::Hashed) -> WorkerResult {
        let known =
            work::KnownItems { memory: self.memory.as_ref(), underway: self.underway.map(|(underway, _)| underway) };
        let done = work::work(item, &self.options, &known);
        self.reservation.end();
        match done {
            Ok(Ok(worked)) => WorkerResult::Worked(worked),
            Ok(Err(fault)) => WorkerResult::Fault(fault),
            Err(error) => WorkerResult::Failed(error),
        }
    }
}

/// What a worker hands on.
enum WorkerResult {
    Worked(work::Worked),
    Fault(FetchError),
    Failed(StoreError),
}

fn through(
    source: impl Iterator<Item = Result<Fetched, FetchError>> + Send,
    options: &IngestOptions,
    known: &RunMemory<'_>,
    mut take: impl FnMut(Result<work::Worked, FetchError>) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let budget = Arc::new(pipeline::Budget::default());
    let work = pipeline::Work {
        workers: options.workers(),
        budget: &budget,
        state: &|| known.worker(options, &budget),
        begin: |worker: &mut Result<Worker<'_>, StoreError>, chunk: u64, items: Vec<Result<Fetched, FetchError>>| {
            let items: Vec<_> = items.into_iter().map(|item| item.map(work::Hashed::from)).collect();
            if let Ok(able) = worker
                && let Err(error) = able.begin(chunk, &items)
            {
                *worker = Err(error);
            }
            items
        },
        each: |worker: &mut Result<Worker<'_>, StoreError>, item: Result<work::Hashed, FetchError>| match worker {
            Ok(worker) => item.map_or_else(WorkerResult::Fault, |item| worker.work(item)),
            // The run ends with the first of these.
            Err(error) => {
                let known = StoreError::Unknown { what: "its fault".to_owned(), expected: "a worker without a fault" };
                WorkerResult::Failed(std::mem::replace(error, known))
            }
        },
        weight: |done| match done {
            WorkerResult::Worked(worked) => worked.weight(),
            WorkerResult::Fault(_) | WorkerResult::Failed(_) => 0,
        },
    };
    pipeline::run(source, options.interrupt.as_deref(), &work, |done| match done {
        WorkerResult::Worked(worked) => take(Ok(worked)),
        WorkerResult::Fault(fault) => take(Err(fault)),
        WorkerResult::Failed(error) => Err(error.into()),
    })
}
