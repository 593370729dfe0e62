//! Error messages: `error: ORIGIN: what failed: expected X, found Y`, then `hint: ...` with the next step.
//!
//! Only builds the lines; `output` cleans and prints them.

use crate::fetch::FetchError;
use crate::store::StoreError;
use thiserror::Error;

/// An error with a hint.
#[derive(Debug, Error)]
#[error("{message}")]
struct Hinted {
    message: String,
    hint: String,
}

/// Several errors, each printed on a line.
#[derive(Debug, Error)]
#[error("{}", .0.iter().map(one_line).collect::<Vec<_>>().join("; "))]
pub(crate) struct Several(pub(crate) Vec<anyhow::Error>);

/// Standard output was closed (`| head`): a normal end, not an error.
#[derive(Debug, Error)]
#[error("standard output was closed")]
pub(crate) struct StdoutClosed;

/// An error and its causes on one line. Errors that include their cause do not repeat it.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |line, cause| match line.as_str() {
        "" => cause,
        before if before.ends_with(&cause) => line,
        _ => format!("{line}: {cause}"),
    })
}

/// Adds a hint to an error or a failed result.
pub(crate) trait Hint {
    /// Adds a hint.
    fn hint(self, hint: impl Into<String>) -> Self;
}

impl Hint for anyhow::Error {
    fn hint(self, hint: impl Into<String>) -> Self {
        Hinted { message: one_line(&self), hint: hint.into() }.into()
    }
}

impl<T> Hint for anyhow::Result<T> {
    fn hint(self, hint: impl Into<String>) -> Self {
        self.map_err(|error| error.hint(hint))
    }
}

/// The hint of an error: one that was added, else the one for its kind, if any.
pub(crate) fn hint_of(error: &anyhow::Error) -> Option<String> {
    if let Some(hinted) = error.downcast_ref::<Hinted>() {
        return Some(hinted.hint.clone());
    }
    if let Some(store) = error.downcast_ref() {
        return of_store(store).map(str::to_owned);
    }
    error.downcast_ref().and_then(of_source).map(str::to_owned)
}

fn of_store(error: &StoreError) -> Option<&'static str> {
    match error {
        StoreError::Busy { .. } => {
            Some("wait until it ends; in cron, `dmarquet fetch --if-idle` exits without output instead")
        }
        StoreError::Version { .. } => Some("install a newer dmarquet; this version leaves the folder untouched"),
        StoreError::NoStore { .. } => {
            Some("`dmarquet fetch` and `dmarquet ingest PATH` create it; --store DIR names another")
        }
        StoreError::Damaged { .. } => {
            Some("`dmarquet verify` checks all files, `dmarquet rebuild` rebuilds the tables")
        }
        StoreError::Io { source, .. } => of_io(source),
        StoreError::Ledger { source, .. } if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) => {
            of_io(&std::io::ErrorKind::StorageFull.into())
        }
        _ => None,
    }
}

fn of_io(error: &std::io::Error) -> Option<&'static str> {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            Some("run as the user that owns the data folder, or set another with --store DIR")
        }
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Some("free some space and run again: what was committed is safe, and the run continues where it stopped")
        }
        _ => None,
    }
}

/// The hint for a fetch error.
pub(crate) fn of_source(fault: &FetchError) -> Option<&str> {
    match fault {
        FetchError::Mailbox(error) => error.hint.as_deref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Hint, hint_of, one_line};
    use crate::store::error::StoreError;
    use anyhow::{Context, anyhow};

    #[test]
    fn a_cause_that_an_error_repeats_is_printed_once() {
        let denied = std::io::Error::other("no room");
        let error = anyhow::Error::from(StoreError::io("s".as_ref(), "locking the store")(denied)).context("ingest");
        assert_eq!(one_line(&error), "ingest: s: locking the store failed: no room");
    }

    #[test]
    fn a_hint_is_found_below_later_context_and_the_message_keeps_its_chain() {
        let error = anyhow!("expected a folder, found a file").context("store /tmp/x").hint("give another --store");
        let error = Err::<(), _>(error).context("ingest").unwrap_err();
        assert_eq!(hint_of(&error).as_deref(), Some("give another --store"));
        assert_eq!(format!("{error:#}"), "ingest: store /tmp/x: expected a folder, found a file");
    }
}
