//! The batch that waits for the next commit, and what became of each thing added to it.

use super::rivals::ReportSums;
use super::seen::SeenItem;
use crate::model::{Accepted, AcceptedTls, Fate, Hash, Message, Original, ReportKey, ReportKind, SharedBytes};
use crate::store::pack::zip;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What became of a report that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It will be stored with the batch.
    Stored,
    /// The same report is already stored.
    Duplicate,
    /// A different report with its key is stored; this one is kept as a conflict.
    Conflict,
    /// It replaces another report with its key, which becomes a conflict; with what that one counted, if it was
    /// stored in this run.
    Replaced(Option<ReportSums>),
}

/// What became of bytes that were rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// Never seen before.
    New,
    /// Rejected before, in this run or another.
    Known,
}

/// Bytes that should have been a report and could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Where they came from.
    pub origin: String,
    /// The file or attachment name nearest to them.
    pub attachment: Option<String>,
    /// What was expected and what was found.
    pub reason: String,
    /// The bytes; `None` if they were too large to fetch.
    pub bytes: Option<SharedBytes>,
    /// The extension of the file they are kept in; never untrusted text.
    pub extension: &'static str,
    /// When they arrived.
    pub arrival: Timestamp,
}

impl Reject {
    /// Its identity: its bytes, else its origin and reason.
    pub fn identity(&self) -> Hash {
        match &self.bytes {
            Some(bytes) => bytes.sha256(),
            None => zip::hash(format!("{}\0{}", self.origin, self.reason).as_bytes()),
        }
    }
}

/// What waits for the next commit.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) keys: HashMap<ReportKey, Hash>,
    pub(crate) conflicts: Vec<Conflict<Accepted>>,
    pub(crate) conflicting: HashSet<(ReportKey, Hash)>,
    /// Keys whose stored report is replaced; its rows are removed with this commit.
    pub(crate) replaced: HashSet<ReportKey>,
    /// Keys of reports that the user chose.
    pub(crate) promoted: HashSet<ReportKey>,
    /// Former conflicts that count now.
    pub(crate) settled: HashSet<(ReportKey, Hash)>,
    /// In a rebuild: reports that were replaced, and the file with their bytes.
    pub(crate) replaced_before: Vec<Conflict<Accepted>>,
    pub(crate) rejects: Vec<(Hash, Reject)>,
    pub(crate) rejected: HashSet<Hash>,
    /// When reports were first committed, if before this run.
    pub(crate) ingested: HashMap<ReportKey, Timestamp>,
    pub(crate) seen: Vec<([u8; 16], SeenItem)>,
    pub(crate) messages: Vec<(Message, Fate)>,
    /// When the newest report of each mailbox arrived, known or not.
    pub(crate) heard: BTreeMap<String, Timestamp>,
    /// Origins that could not be fetched before, and now were.
    pub(crate) fetched: Vec<String>,
    pub(crate) tls: TlsBatch,
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

/// A report with the key of another, and the file with its original, which reports of one file share; empty if there is
/// none.
#[derive(Debug)]
pub(crate) struct Conflict<A> {
    pub(crate) accepted: A,
    pub(crate) file: String,
}

/// The conflicts whose files are to be written, one for each file.
pub(super) fn one_per_file<A>(conflicts: &[Conflict<A>]) -> impl Iterator<Item = &Conflict<A>> {
    let mut seen = HashSet::new();
    conflicts.iter().filter(move |conflict| seen.insert(conflict.file.as_str()))
}

impl Conflict<Accepted> {
    pub(super) fn new(accepted: Accepted, before: Option<&Self>) -> Self {
        let shared = before.filter(|before| Arc::ptr_eq(&before.accepted.original, &accepted.original));
        let file = shared
            .map_or_else(|| conflict_file(ReportKind::Aggregate, &accepted.original), |before| before.file.clone());
        Self { accepted, file }
    }
}

/// The file for the bytes of a report in conflict.
pub(crate) fn conflict_file(kind: ReportKind, original: &Original) -> String {
    format!("conflicts/{}.{}", zip::hash(original.bytes()), original.extension(kind))
}

impl Batch {
    /// When a report of the batch was first committed: before this run, or now.
    pub(super) fn first_stored(&self, key: ReportKey, now: Timestamp) -> Timestamp {
        self.ingested.get(&key).copied().unwrap_or(now)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.accepted.is_empty()
            && self.conflicts.is_empty()
            && self.replaced_before.is_empty()
            && self.rejects.is_empty()
            && self.seen.is_empty()
            && self.messages.is_empty()
            && self.tls.is_empty()
    }
}

/// TLS reports that wait for the next commit.
#[derive(Debug, Default)]
pub(crate) struct TlsBatch {
    pub(crate) accepted: Vec<AcceptedTls>,
    /// Where in `accepted` the report with a key is.
    pub(super) places: HashMap<ReportKey, usize>,
    pub(crate) conflicts: Vec<Conflict<AcceptedTls>>,
    pub(super) conflicting: HashSet<(ReportKey, Hash)>,
    /// Keys under which another report was stored; it is removed when this one is committed.
    pub(crate) replaced: HashSet<ReportKey>,
    /// In a rebuild: reports that were replaced, and the file with their bytes.
    pub(crate) replaced_before: Vec<Conflict<AcceptedTls>>,
}

impl TlsBatch {
    pub(crate) fn is_empty(&self) -> bool {
        self.accepted.is_empty() && self.conflicts.is_empty() && self.replaced_before.is_empty()
    }
}

/// When a batch is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Reports.
    pub reports: usize,
    /// Records of them.
    pub records: usize,
    /// Bytes held: reports as values, their originals, rejected items.
    pub bytes: usize,
    /// Items of any kind.
    pub items: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        // The batch is most of a run's memory; this size is about 1,500 typical reports, enough that its syncs cost
        // little compared with its rows.
        Self { reports: 8192, records: 1 << 16, bytes: 12 << 20, items: 1 << 15 }
    }
}
