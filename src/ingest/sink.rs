//! Where a run without a store passes on what it finds.

use crate::model::{Accepted, AcceptedTls, ReportKey};
use crate::store::{Added, StoreError};
use crate::unpack::OtherContent;

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// A report, passed to the sink.
    Stored,
    /// Known.
    Duplicate,
    /// A report with the same key as another, different one.
    Conflict,
    /// Neither a report nor an error.
    SetAside,
    /// It should have been a report and could not be read.
    Rejected,
}

impl Destination {
    /// Its name in the output.
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

/// What became of one item, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed<'a> {
    /// Where it came from.
    pub origin: &'a str,
    /// What became of it.
    pub place: Destination,
    /// Why, if that is not obvious.
    pub reason: Option<&'a str>,
    /// The key of a report.
    pub key: Option<ReportKey>,
}

impl<'a> Placed<'a> {
    pub(super) const fn aside(origin: &'a str, kind: OtherContent) -> Self {
        let reason = match kind {
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

/// Receives what a run finds. An error ends the run.
pub trait ReportSink {
    /// A report, the first with its key.
    ///
    /// # Errors
    /// If it cannot be passed on.
    fn stored(&mut self, accepted: Accepted) -> Result<(), StoreError>;

    /// A TLS report, the first of its key.
    ///
    /// # Errors
    /// Where it cannot be handed on.
    fn stored_tls(&mut self, accepted: AcceptedTls) -> Result<(), StoreError> {
        let _ = accepted;
        Ok(())
    }

    /// What became of an item; called for a report after it was passed on.
    ///
    /// # Errors
    /// If it cannot be noted.
    fn placed(&mut self, placed: &Placed<'_>) -> Result<(), StoreError> {
        let _ = placed;
        Ok(())
    }

    /// Whether known reports are forgotten at the end of a stretch, so that the same reports count again in the next.
    fn forgets(&self) -> bool {
        false
    }

    /// A whole stretch of the source was passed on.
    ///
    /// # Errors
    /// If buffered output cannot be written.
    fn stretch(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
