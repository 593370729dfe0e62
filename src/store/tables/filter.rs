//! Which rows to read.

use super::values::days_since_epoch;
use crate::model::WithheldNames;

use jiff::civil::Date;
use std::collections::HashSet;
use std::sync::Arc;

/// Which rows to read. The default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The first day.
    pub from: Option<Date>,
    /// The last day.
    pub to: Option<Date>,
    /// Policy domains in canonical form; empty means all.
    pub domains: Vec<String>,
    /// Only reports of later runs; `None` means all.
    pub new: Option<Arc<NewReports>>,
    /// Names of sources that are left out of `sources`; `None` means none. They do not decide which rows are read.
    pub withheld: Option<Arc<WithheldNames>>,
}

impl Filter {
    /// Whether it is about reports of this day.
    pub fn has_day(&self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }

    /// Whether it is about reports of this policy domain.
    pub fn has_domain(&self, domain: &str) -> bool {
        self.domains.is_empty() || self.domains.iter().any(|wanted| wanted == domain)
    }

    pub(crate) fn days(&self) -> (i32, i32) {
        (self.from.map_or(i32::MIN, days_since_epoch), self.to.map_or(i32::MAX, days_since_epoch))
    }

    /// Whether everything matches.
    pub fn is_all(&self) -> bool {
        self.from.is_none() && self.to.is_none() && self.domains.is_empty() && self.new.is_none()
    }
}

/// The reports of all runs after a given one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReports {
    /// The run after which they were stored.
    pub(crate) after: i64,
    /// The last run with a report, or `after` if there is none.
    pub(crate) last: i64,
    /// Their keys, as text.
    pub(crate) keys: HashSet<String>,
}

impl NewReports {
    /// The run to continue from, in the form of an export.
    pub fn json(&self) -> String {
        format!("{{\"run\": {}}}\n", self.last)
    }
}
