//! Commands that import data: `fetch`, `ingest`, `convert`, `enrich`.

pub(crate) mod convert;
pub(crate) mod enrich;
pub(crate) mod fetch;
pub(crate) mod ingest;
mod outages;
