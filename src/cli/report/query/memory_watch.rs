//! Ends a query whose memory grows without bound.
//!
//! The memory of the tables is counted where they are read. Only the engine knows how much joins and window functions
//! add, so the memory of the whole process is watched while it works.

use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::output::Console;
use crate::query::memory;
use anyhow::anyhow;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Pause between two measurements: in that time, an engine on a few cores fills some hundred MiB.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs a query. If the process uses more than `most` bytes meanwhile, it ends with an error, after removing the
/// temporary `folder`.
pub(super) fn watched<T>(console: &Console, most: usize, folder: Option<PathBuf>, work: impl FnOnce() -> T) -> T {
    let Some(before) = memory::resident() else { return work() };
    let (done, waiting) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while waiting.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                let used = memory::resident().unwrap_or_default().saturating_sub(before);
                if used <= most {
                    continue;
                }
                let error = anyhow!("query: stopped, because it takes more than {} MiB of memory", most >> 20);
                console.error(&error.hint("ask for fewer days with WHERE, name fewer columns, or join on a key"));
                if let Some(folder) = &folder {
                    let _ = std::fs::remove_dir_all(folder);
                }
                std::process::exit(Exit::Failed.code().into());
            }
        });
        let answer = work();
        drop(done);
        answer
    })
}
