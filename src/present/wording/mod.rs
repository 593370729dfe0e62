//! Wording and numbers for readers, and untrusted text made safe to show.

pub(crate) mod branding;
pub mod clean;
pub(crate) mod instructions;
pub(crate) mod numbers;
mod reasons;
pub(crate) mod repaired;
pub(crate) mod style;
pub(crate) mod words;
