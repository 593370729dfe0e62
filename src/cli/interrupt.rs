//! SIGINT, SIGTERM and SIGHUP: the first asks the run to finish its batch, the second ends it at once.
//!
//! Goes out: a flag that long work looks at. What was committed is safe either way.

use super::exit::Exit;
use super::output::Talk;
use anyhow::Context as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Start listening; the flag is set by the first signal.
pub(super) fn listen(talk: &Talk) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let (flag, talk) = (Arc::clone(&stop), talk.clone());
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(Exit::Failed.code().into());
        }
        talk.warning("stopping: the batch in hand is finished first; once more to stop at once");
    })
    .context("listening for signals")?;
    Ok(stop)
}
