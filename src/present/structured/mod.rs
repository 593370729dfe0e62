//! JSON and CSV, for programs.

pub(crate) mod csv;
pub(crate) mod json;
pub(crate) mod metrics;
