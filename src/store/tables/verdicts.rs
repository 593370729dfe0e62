//! The verdicts of a complete week, as rows of `senders` and `domains`.

use super::domains::DomainRow;
use super::senders::SenderRow;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What a summary says about a complete week.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeekVerdicts {
    /// The week's first day.
    #[serde(skip)]
    pub monday: Date,
    /// Its senders.
    pub senders: Vec<SenderRow>,
    /// Its domains.
    pub domains: Vec<DomainRow>,
}

/// The verdicts of a week as stored.
#[derive(Debug, Clone)]
pub struct KeptVerdicts {
    /// The last batch with a report they depend on.
    pub batch: i64,
    /// A hash of everything else they depend on.
    pub settings: Vec<u8>,
    /// The verdicts.
    pub verdicts: WeekVerdicts,
}

/// The reports of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayOfReports {
    /// How many.
    pub reports: i64,
    /// The last batch with one; 0 if batches are not known.
    pub last_batch: i64,
}
