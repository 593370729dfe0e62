//! Which rows are asked for.

use super::values::days_since_epoch;

use jiff::civil::Date;
use std::collections::HashSet;
use std::sync::Arc;

/// Which rows are asked for. The default asks for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The first day.
    pub from: Option<Date>,
    /// The last day.
    pub to: Option<Date>,
    /// Policy domains in canonical form; none means all.
    pub domains: Vec<String>,
    /// Only what later runs brought; `None` means all.
    pub new: Option<Arc<NewReports>>,
}

impl Filter {
    pub(crate) fn days(&self) -> (i32, i32) {
        (self.from.map_or(i32::MIN, days_since_epoch), self.to.map_or(i32::MAX, days_since_epoch))
    }

    /// Whether everything is asked for.
    pub fn is_all(&self) -> bool {
        self.from.is_none() && self.to.is_none() && self.domains.is_empty() && self.new.is_none()
    }
}

/// The reports that the runs after one brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReports {
    /// The run after which they came.
    pub(crate) after: i64,
    /// The last run of which there is a report, or `after` where there is none later.
    pub(crate) last: i64,
    /// Their keys, as text.
    pub(crate) keys: HashSet<String>,
}

impl NewReports {
    /// The run to go on from, as an export says it.
    pub fn json(&self) -> String {
        format!("{{\"run\": {}}}\n", self.last)
    }
}
