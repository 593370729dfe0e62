//! The same stages without a store: judged reports go to a [`ReportSink`], each once, on the caller's thread.
//!
//! A source may pause between stretches. Of each report only its key and hash are kept, to recognize it again.

use super::{IngestError, IngestOptions, Observer, RunMemory, Tally, interrupted, save, through};
use crate::fetch::{FetchError, Fetched};
use crate::model::{Accepted, AcceptedTls, ReportKey};
use crate::store::{Added, StoreError};
use crate::unpack::OtherContent;

/// Where a thing that was found ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// A report, handed on.
    Stored,
    /// Known.
    Duplicate,
    /// A report with the key of another.
    Conflict,
    /// No report, no error.
    SetAside,
    /// It should have been a report and could not be read.
    Rejected,
}

impl Destination {
    /// The word of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::SetAside => "set_aside",
            Self::Rejected => "rejected",
        }
    }
}

impl From<Added> for Destination {
    fn from(added: Added) -> Self {
        match added {
            Added::Stored | Added::Replaced(_) => Self::Stored,
            Added::Duplicate => Self::Duplicate,
            Added::Conflict => Self::Conflict,
        }
    }
}

/// What became of one thing found in an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed<'a> {
    /// Where it came from.
    pub origin: &'a str,
    /// Where it ended.
    pub place: Destination,
    /// Why, where that is not plain.
    pub reason: Option<&'a str>,
    /// Of a report.
    pub key: Option<ReportKey>,
}

impl<'a> Placed<'a> {
    pub(super) const fn aside(origin: &'a str, kind: OtherContent) -> Self {
        let reason = match kind {
            OtherContent::TlsRpt => "an SMTP TLS report",
            OtherContent::Failure => "a failure report",
            OtherContent::Bounce => "a bounce",
            OtherContent::Other => "no report",
        };
        Self { origin, place: Destination::SetAside, reason: Some(reason), key: None }
    }

    pub(super) const fn link_out(origin: &'a str) -> Self {
        let reason = "a symbolic link that leads out of its folder, not followed";
        Self { origin, place: Destination::SetAside, reason: Some(reason), key: None }
    }
}

/// Takes what a run finds. An error ends the run.
pub trait ReportSink {
    /// A report, the first of its key.
    ///
    /// # Errors
    /// If it cannot be handed on.
    fn stored(&mut self, accepted: Accepted) -> Result<(), StoreError>;

    /// A TLS report, the first of its key.
    ///
    /// # Errors
    /// Where it cannot be handed on.
    fn stored_tls(&mut self, accepted: AcceptedTls) -> Result<(), StoreError> {
        let _ = accepted;
        Ok(())
    }

    /// What became of a thing; of a report after it was handed over.
    ///
    /// # Errors
    /// If it cannot be noted.
    fn placed(&mut self, placed: &Placed<'_>) -> Result<(), StoreError> {
        let _ = placed;
        Ok(())
    }

    /// Whether what was found is forgotten at the end of a stretch, so that the same reports count again in the next.
    fn forgets(&self) -> bool {
        false
    }

    /// All of a stretch of the source was handed over.
    ///
    /// # Errors
    /// If what waits cannot be written.
    fn stretch(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A sink of reports alone.
pub(super) struct Each<'a>(pub(super) &'a mut dyn FnMut(Accepted));

impl ReportSink for Each<'_> {
    fn stored(&mut self, accepted: Accepted) -> Result<(), StoreError> {
        (self.0)(accepted);
        Ok(())
    }
}

/// Read a source into a sink, stretch by stretch: as long as `goes_on` says so, the source is asked again after its end.
///
/// # Errors
/// Those of the sink. Faults of the source are told to the observer and counted instead.
pub fn convert<S: Iterator<Item = Result<Fetched, FetchError>> + Send>(
    mut source: S,
    goes_on: impl Fn(&S) -> bool,
    options: &IngestOptions,
    observer: &mut dyn Observer,
    sink: &mut dyn ReportSink,
) -> Result<Tally, IngestError> {
    let mut reader = save::Deduplicator::new(observer, sink);
    loop {
        through(&mut source, options, &RunMemory::default(), |worked| reader.take(worked))?;
        reader.stretch()?;
        if !goes_on(&source) || interrupted(options) {
            break;
        }
    }
    let mut tally = reader.finish();
    tally.interrupted = interrupted(options);
    Ok(tally)
}
