//! Commands that import data: `fetch`, `ingest`, `convert`, `enrich`.

pub(crate) mod convert;
pub(crate) mod enrich;
pub(crate) mod fetch;
mod geoip;
pub(crate) mod ingest;
mod origins;
mod outages;
