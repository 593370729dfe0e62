//! SIGINT, SIGTERM and SIGHUP: the first asks the run to finish its batch, the second ends it at once.
//!
//! Committed data is safe either way.

use super::exit::Exit;
use super::output::Console;
use crate::fetch::mailbox::StopFlag;
use anyhow::Context as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The request to stop, in the two forms that ingestion and fetching use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    flag: Arc<AtomicBool>,
    stop: StopFlag,
}

impl Interrupt {
    /// Installs the signal handlers; once per process.
    pub(crate) fn listen(console: &Console) -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let (wish, console) = (interrupt.clone(), console.clone());
        ctrlc::set_handler(move || {
            if wish.flag.swap(true, Ordering::SeqCst) {
                std::process::exit(Exit::Failed.code().into());
            }
            wish.stop.set();
            console.warning("stopping after the current batch; interrupt again to stop at once");
        })
        .context("listening for signals")?;
        Ok(interrupt)
    }

    /// For ingestion.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }

    /// For the poller.
    pub(crate) fn stop(&self) -> StopFlag {
        self.stop.clone()
    }

    /// Whether a stop was requested.
    pub(crate) fn is_set(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }
}
