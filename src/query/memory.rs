//! Limits how much of the tables one query may hold in memory.

use polars::prelude::{DataFrame, PolarsResult};
use polars_error::polars_err;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The limit, and the memory in use.
#[derive(Debug, Clone)]
pub(super) struct MemoryLimit {
    most: usize,
    used: Arc<AtomicUsize>,
}

impl MemoryLimit {
    /// A limit in bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { most, used: Arc::default() }
    }

    /// The same limit with nothing used.
    pub(super) fn fresh(&self) -> Self {
        Self::new(self.most)
    }

    /// Counts a frame that stays in memory.
    pub(super) fn take(&self, frame: DataFrame) -> PolarsResult<DataFrame> {
        let size = frame.estimated_size();
        let used = self.used.fetch_add(size, Ordering::Relaxed).saturating_add(size);
        if used <= self.most {
            return Ok(frame);
        }
        Err(polars_err!(
            ComputeError:
            "expected at most {} MiB of rows at a time, found more: this query needs all its rows at once; name fewer columns, or ask for fewer days with WHERE",
            self.most >> 20
        ))
    }
}

/// Half of the available memory; practically unlimited if the system does not tell.
pub(super) fn half_of_available() -> usize {
    let said = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = said.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<usize>().ok());
    kilobytes.map_or(usize::MAX, |kilobytes| kilobytes.saturating_mul(512))
}
