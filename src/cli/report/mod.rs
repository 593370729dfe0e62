//! Commands that show data: `summary`, `export`, `status`, `check` and others.

pub(crate) mod ack;
pub(crate) mod alert;
mod channels;
pub(crate) mod check;
pub(crate) mod export;
pub(crate) mod metrics;
pub(crate) mod query;
pub(crate) mod simulate;
pub(crate) mod site;
pub(crate) mod status;
pub(crate) mod summary;
