//! The DNS change that explains a failure.

use super::Foreign;
use crate::model::DnsChange;
use jiff::civil::Date;
use serde::Serialize;

/// A change in DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedBy {
    /// The day the new state was first seen.
    pub day: Date,
    /// The name of the record.
    pub name: Foreign,
    /// The type of the record.
    #[serde(rename = "type")]
    pub record_type: &'static str,
    /// `added`, `removed` or `changed`.
    pub change: &'static str,
}

impl From<&DnsChange> for ExplainedBy {
    fn from(change: &DnsChange) -> Self {
        Self {
            day: change.day(),
            name: change.name.as_str().into(),
            record_type: change.record_type.as_str(),
            change: change.kind(),
        }
    }
}
