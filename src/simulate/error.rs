//! Why a simulation could not be run.

/// A simulation could not be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SimulationError {
    /// A zone file could not be read.
    #[error("line {line}: {why}")]
    Zone {
        /// Its number, from 1.
        line: usize,
        /// What was expected and found.
        why: String,
    },
    /// A proposed record, or the one to change, cannot be used.
    #[error("{place}: {why}")]
    Record {
        /// Its location.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// A required record could not be looked up.
    #[error("{place} could not be looked up: {why}")]
    Lookup {
        /// Its name.
        place: String,
        /// The server's error.
        why: String,
    },
}
