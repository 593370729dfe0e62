//! The options of a run, and the trait of its observer.

use super::tally::ItemOutcome;
use super::trial::Trial;
use super::trust::{MailVerifier, Trust};
use crate::fetch::FetchError;
use crate::limits::Limits;
use crate::model::{Fate, Message};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    pub(super) fn workers(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
    }

    /// Whether the run was asked to end.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupt.as_ref().is_some_and(|interrupt| interrupt.load(Ordering::Relaxed))
    }
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
