//! Stored reports with the keys of new ones, cached for the batch.

use crate::model::{Accepted, Hash, Original, Report, ReportKey};
use crate::store::disk::layout::Month;
use crate::store::tables::reports;
use jiff::Timestamp;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Reads the reports in an original again, given its name and arrival, and passes each on with the hash of its content.
pub type OriginalReader = Arc<dyn Fn(&Original, Option<&str>, Timestamp, &mut dyn FnMut(Report, Hash)) + Send + Sync>;

/// Where the originals of a month's reports are: for each key the packs, and the batch of a replacement.
pub(super) type Places = HashMap<ReportKey, Vec<(usize, i64)>>;

/// Cached stored reports, as of the last commit.
#[derive(Debug, Default)]
pub(crate) struct Rivals {
    pub(super) known: HashMap<ReportKey, Option<Arc<Rival>>>,
    pub(super) months: HashMap<Month, Arc<(Vec<PathBuf>, Places)>>,
}

/// A stored report with the same key as a new one.
#[derive(Debug)]
pub(super) struct Rival {
    pub(super) accepted: Accepted,
    /// The user decided that it counts.
    pub(super) promoted: bool,
    pub(super) sums: Option<ReportSums>,
}

/// What a report adds to the sums of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReportSums {
    /// Its rows.
    pub records: u64,
    /// Their messages.
    pub messages: i64,
    /// Those of them that pass.
    pub dmarc_pass: i64,
}

impl ReportSums {
    /// The sums of a report.
    pub fn of(accepted: &Accepted) -> Self {
        let (messages, dmarc_pass) = reports::sums(accepted);
        Self { records: accepted.report.records.len() as u64, messages, dmarc_pass }
    }
}
