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
            "its rows take more than {} MiB, and it needs all of them at once: ask for fewer days with WHERE, or name fewer columns",
            self.most >> 20
        ))
    }
}

/// Half of the memory that is available, or that the process's control group may use if that is less; practically
/// unlimited if the system does not tell.
pub(crate) fn half_of_available() -> usize {
    let available =
        kilobytes("/proc/meminfo", "MemAvailable:").map_or(usize::MAX, |kilobytes| kilobytes.saturating_mul(1024));
    available.min(group_limit().unwrap_or(usize::MAX)) / 2
}

/// The bytes that this process has in memory, if the system tells.
pub(crate) fn resident() -> Option<usize> {
    Some(kilobytes("/proc/self/status", "VmRSS:")?.saturating_mul(1024))
}

fn kilobytes(file: &str, label: &str) -> Option<usize> {
    let said = std::fs::read_to_string(file).ok()?;
    let line = said.lines().find_map(|line| line.strip_prefix(label))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

/// The limit of the control group (version 2), as containers and services have one.
fn group_limit() -> Option<usize> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let limit =
        |path: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{path}/memory.max")).ok()?.trim().parse().ok();
    limit(path)
}
