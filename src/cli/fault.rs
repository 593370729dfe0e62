//! What the program says when something is wrong: `error: ORIGIN: what failed: expected X, found Y`, then `hint: ...`.
//!
//! Comes in: errors of every stage. Goes out: the lines for a person, one next step where there is one.
//! Must not print: that is `output`'s, which also cleans strangers' text.

use std::fmt;

/// An error with a next step for the person who reads it.
#[derive(Debug)]
struct Hinted {
    message: String,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Hinted {}

/// Errors that were found together and are told together, each on its own line.
#[derive(Debug)]
pub(crate) struct Several(pub(crate) Vec<anyhow::Error>);

impl fmt::Display for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{error:#}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Several {}

/// Standard output was closed by its reader (`| head`): an end, not an error.
#[derive(Debug)]
pub(crate) struct StdoutClosed;

impl fmt::Display for StdoutClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output was closed")
    }
}

impl std::error::Error for StdoutClosed {}

/// Give an error, or a failed result, its next step.
pub(crate) trait Hint {
    /// What comes out.
    type Out;
    /// Add the next step.
    fn hint(self, hint: impl Into<String>) -> Self::Out;
}

impl Hint for anyhow::Error {
    type Out = anyhow::Error;

    fn hint(self, hint: impl Into<String>) -> anyhow::Error {
        Hinted { message: format!("{self:#}"), hint: hint.into() }.into()
    }
}

impl<T, E: Into<anyhow::Error>> Hint for Result<T, E> {
    type Out = anyhow::Result<T>;

    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| error.into().hint(hint))
    }
}

/// The next step of an error, where somebody gave one.
pub(crate) fn hint_of(error: &anyhow::Error) -> Option<&str> {
    error.downcast_ref::<Hinted>().map(|hinted| hinted.hint.as_str())
}

#[cfg(test)]
mod tests {
    use super::{Hint, hint_of};
    use anyhow::{Context, anyhow};

    #[test]
    fn a_hint_is_found_below_later_context_and_the_message_keeps_its_chain() {
        let error = anyhow!("expected a folder, found a file").context("store /tmp/x").hint("give another --store");
        let error = Err::<(), _>(error).context("ingest").unwrap_err();
        assert_eq!(hint_of(&error), Some("give another --store"));
        assert_eq!(format!("{error:#}"), "ingest: store /tmp/x: expected a folder, found a file");
    }
}
