//! The DNS change that explains a failure.

use super::{Foreign, form};
use jiff::civil::Date;
use serde::Serialize;

/// A change in DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedBy {
    /// The day the new state was first seen.
    #[serde(serialize_with = "form::day")]
    pub day: Date,
    /// The name of the record.
    pub name: Foreign,
    /// The type of the record.
    #[serde(rename = "type")]
    pub record_type: &'static str,
    /// `added`, `removed` or `changed`.
    pub change: &'static str,
}
