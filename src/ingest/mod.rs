//! Composes all stages: from a source's items to a store, or to judged reports without one.
//!
//! Every item ends in exactly one place of the [`Tally`]. The source, the workers and the writer run in parallel. An
//! [`Observer`] learns what is safe after each durable commit, never before. A disk error ends the run and loses
//! nothing: the next run continues.

mod again;
mod convert;
mod mailbox_domains;
mod pipeline;
mod reporters;
mod reread;
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
pub use trial::{StoreJob, StoredAlone, Survival, Trial, TrialItem, attempt, store_alone};
pub use trust::{MailVerifier, Trust};

use crate::fetch::{FetchError, Fetched};
use crate::limits::{Growth, Limits};
use crate::model::{Accepted, Fate, Message};
use crate::store::{Memory, StoreError, Writer};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use underway::{Underway, WorkerSlot};

/// Options of a run.
#[derive(Debug, Clone, Default)]
pub struct IngestOptions {
    /// The bounds of an item.
    pub limits: Limits,
    /// Worker threads; `None` means one per core.
    pub workers: Option<usize>,
    /// Set from outside to end the run early, after the current batch.
    pub interrupt: Option<Arc<AtomicBool>>,
    /// The time of the run, used for items without an arrival time.
    pub now: Timestamp,
    /// Which servers' authentication results are trusted, and which domains are the user's.
    pub trust: Trust,
    /// Verifies the signatures of report mails; `None` means that nothing waits for the network.
    pub verifier: Option<Arc<dyn MailVerifier>>,
    /// Tries items that may have crashed an earlier run; `None` treats them like all others.
    pub trial: Option<Arc<dyn Trial>>,
}

impl IngestOptions {
    fn workers(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
    }
}

/// Why a run could not finish. Everything committed before is safe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Observes a run, on the caller's thread.
pub trait Observer {
    /// An item was processed.
    fn item(&mut self, origin: &str, outcome: &ItemOutcome) {
        let _ = (origin, outcome);
    }

    /// A batch is durable, and so is everything from these messages.
    fn committed(&mut self, messages: &[(Message, Fate)]) {
        let _ = messages;
    }

    /// The store has a message for the user.
    fn notice(&mut self, notice: &str) {
        let _ = notice;
    }

    /// The source had an error; it may continue after it.
    fn fault(&mut self, fault: &FetchError) {
        let _ = fault;
    }
}

/// An observer that does nothing.
impl Observer for () {}

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
) -> Result<Tally, IngestError> {
    writer.read_originals_with(again::reader(options));
    let ahead = again::retry_ahead(writer, options)?;
    let underway = Underway::open(writer.dir(), options.workers())?;
    let known = RunMemory { store: writer.has_memory()?.then(|| writer.dir().to_owned()), underway: Some(&underway) };
    writer.take_notices().iter().for_each(|notice| observer.notice(notice));
    let mut saver = save::Saver::new(writer, observer, Some(&underway));
    through(source, options, &known, |done| saver.take(done))?;
    let (mut tally, for_another) = saver.finish()?;
    tally.add(ahead);
    if !for_another.is_empty() {
        tally.add(again::in_another_process(for_another, writer, options, (observer, &underway))?);
    }
    tally.interrupted = interrupted(options);
    if !tally.interrupted {
        writer.compact(false)?;
        writer.take_notices().iter().for_each(|notice| observer.notice(notice));
    }
    Ok(tally)
}

/// The same without a store: each report once, in order.
///
/// # Errors
/// None of its own; those of the type are the store's.
pub fn read(
    source: impl Iterator<Item = Result<Fetched, FetchError>> + Send,
    options: &IngestOptions,
    observer: &mut dyn Observer,
    each: &mut dyn FnMut(Accepted),
) -> Result<Tally, IngestError> {
    convert(source, |_| false, options, observer, &mut convert::ReportsOnly(each))
}

fn interrupted(options: &IngestOptions) -> bool {
    options.interrupt.as_ref().is_some_and(|interrupt| interrupt.load(std::sync::atomic::Ordering::Relaxed))
}

/// What is known about items from earlier runs.
#[derive(Default)]
struct RunMemory<'a> {
    /// Where seen items are looked up; `None` if there are none.
    store: Option<std::path::PathBuf>,
    /// Where the items being processed are noted; `None` without a store.
    underway: Option<&'a Underway>,
}

/// The state of each worker.
struct Worker<'a> {
    /// The options of the run, with a callback for the growth of large items.
    options: IngestOptions,
    reservation: Arc<pipeline::Reservation>,
    memory: Option<Memory>,
    underway: Option<(&'a Underway, WorkerSlot)>,
}

impl<'a> RunMemory<'a> {
    fn worker(&self, options: &IngestOptions, budget: &Arc<pipeline::Budget>) -> Result<Worker<'a>, StoreError> {
        let reservation = Arc::new(pipeline::Reservation::new(budget));
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
    fn begin(&self, chunk: u64, items: &[Result<work::Hashed, FetchError>]) -> Result<(), StoreError> {
        self.reservation.begin(chunk);
        let Some((underway, slot)) = self.underway else { return Ok(()) };
        underway.begin(slot, items.iter().filter_map(|item| item.as_ref().ok()?.hash))
    }

    fn work(&self, item: work::Hashed, give: &mut dyn FnMut(WorkerResult)) -> WorkerResult {
        let known =
            work::KnownItems { memory: self.memory.as_ref(), underway: self.underway.map(|(underway, _)| underway) };
        let done = work::work(item, &self.options, &known, &mut |part| {
            give(Ok(work::Done::Part(part)));
            self.reservation.handed_on();
        });
        self.reservation.end();
        done
    }
}

/// What a worker hands on.
type WorkerResult = Result<work::Done, StoreError>;

fn through(
    source: impl Iterator<Item = Result<Fetched, FetchError>> + Send,
    options: &IngestOptions,
    known: &RunMemory<'_>,
    mut take: impl FnMut(work::Done) -> Result<(), IngestError>,
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
        each: |worker: &mut Result<Worker<'_>, StoreError>,
               item: Result<work::Hashed, FetchError>,
               give: &mut dyn FnMut(WorkerResult)| match worker {
            Ok(worker) => item.map_or_else(|fault| Ok(work::Done::Fault(fault)), |item| worker.work(item, give)),
            // The run ends with the first of these.
            Err(error) => {
                let known = StoreError::Unknown { what: "its fault".to_owned(), expected: "a worker without a fault" };
                Err(std::mem::replace(error, known))
            }
        },
        weight: |done: &WorkerResult| done.as_ref().map_or(0, work::Done::weight),
    };
    pipeline::run(source, options.interrupt.as_deref(), &work, |done| take(done?))
}
