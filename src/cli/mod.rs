//! The program: the only place that uses clap, anyhow, standard output and exit codes.
//!
//! Data goes to standard output, messages to standard error. One file per command: its options as typed, then as resolved,
//! then the run. Nothing imports `cli`.

mod args;
mod collect;
mod maintain;
mod program;
mod report;
mod setup;
mod terminal;
mod wiring;

mod settings;

pub use program::run;
#[cfg(any(test, fuzzing))]
pub use settings::fuzzing;
