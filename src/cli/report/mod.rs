//! Commands that show data: `summary`, `export`, `status`, `check` and others.

pub(crate) mod ack;
pub(crate) mod alert;
pub(crate) mod check;
pub(crate) mod consents;
pub(crate) mod digests;
pub(crate) mod dns_history;
pub(crate) mod export;
pub(crate) mod metrics;
pub(crate) mod observed;
pub(crate) mod overview;
mod policy_files;
pub(crate) mod query;
pub(crate) mod rhythm;
pub(crate) mod simulate;
pub(crate) mod site;
pub(crate) mod status;
pub(crate) mod summary;
