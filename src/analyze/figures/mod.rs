//! The figures of a summary: totals, trend, policies, reporters, and the quality of the reports.

pub(crate) mod policies;
pub(crate) mod quality;
pub(crate) mod reporters;
pub(crate) mod totals;
pub(crate) mod trend;
