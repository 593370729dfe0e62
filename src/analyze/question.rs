//! The question to answer: the period, the domains, and knowledge from outside. It determines what must be read.

use super::foreign::Foreign;
use super::known::{HostName, Services};
use super::period::{Period, date, number};
use super::thresholds::JUDGED_DAYS;
use crate::judge::is_within;
use crate::model::{ColumnSet, DnsHistory, SourceAddress, SourceOrigin, Text, WithheldNames, is_in_network};
use jiff::civil::Date;
use serde::Serialize;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// How many earlier periods serve as history, at most.
pub(crate) const HISTORY: u8 = 8;

/// A summary's question. By default it covers everything.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The requested days; `None`: all days of the rows, without history.
    pub period: Option<Period>,
    /// Policy domains in canonical form; empty: all.
    pub domains: Vec<Text>,
    /// The user's domains in lower case, as far as known; the summary names those without reports.
    pub own: Vec<Text>,
    /// Today in UTC, to tell whether the period is over; `None`: unknown.
    pub today: Option<Date>,
    /// Leave out reports whose mail was a proven forgery; the data quality counts them anyway.
    pub authentic: bool,
    /// Items that gave no rows.
    pub aside: Aside,
    /// What the user said about senders: it overrides all evidence.
    pub confirmed: Vec<Confirmed>,
    /// Names of addresses (PTR), if they were looked up.
    pub names: Arc<BTreeMap<IpAddr, HostName>>,
    /// Networks of addresses, if the user has a database of them.
    pub networks: Arc<BTreeMap<IpAddr, Network>>,
    /// Whose servers addresses are, as far as `enrich` could tell.
    pub origins: Arc<BTreeMap<IpAddr, SourceOrigin>>,
    /// Which of these names are not shown, if a customer asks.
    pub withheld: Option<Arc<WithheldNames>>,
    /// Mail services by name.
    pub services: Services,
    /// Acknowledgments of actions, by their IDs.
    pub acknowledged: BTreeMap<String, Acknowledged>,
    /// What earlier lookups found in DNS: it explains since when and why a sender fails.
    pub dns: Arc<DnsHistory>,
    /// The addresses to explain: the summary says which senders they belong to.
    pub watch: Option<Watched>,
    /// Judge reporters week by week within the period, as a summary of each week would: for periods of many weeks.
    pub weekly: bool,
}

/// Addresses to explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// The unknown source.
    Unknown,
    /// An address and how many leading bits count: all of them for one address.
    Network(IpAddr, u8),
}

impl Watched {
    /// Whether a source is one of them.
    pub(crate) fn holds(self, source: SourceAddress) -> bool {
        match self {
            Self::Unknown => source == SourceAddress::UNKNOWN,
            Self::Network(network, bits) => {
                source.address().is_some_and(|address| is_in_network(address, network, bits))
            }
        }
    }
}

/// The network of an address, according to a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// The number of the autonomous system that announces it.
    pub asn: Option<u32>,
    /// Its name.
    pub as_name: Option<Foreign>,
    /// The country's code.
    pub country: Option<Foreign>,
}

/// Items of the period that gave no rows; shown in the data quality.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aside {
    /// Items that should have been a report and could not be read.
    pub unreadable: u64,
    /// Reports that arrived again with different content.
    pub conflicts: u64,
    /// The first [`Aside::NAMED`] of those.
    pub conflicting: Vec<Contradicted>,
}

impl Aside {
    /// Reports in conflict that are named.
    pub const NAMED: usize = 100;
}

/// A report that arrived again with different content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contradicted {
    /// Who sent it.
    pub org_name: Foreign,
    /// Its ID.
    pub report_id: Foreign,
    /// The domain.
    pub policy_domain: Foreign,
}

/// What the user said about a sender. It applies to mail that matches all given fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confirmed {
    /// Whether the sender is the user's.
    pub mine: bool,
    /// A domain that signs, or that SPF proves for the return path, in canonical form; those below it too.
    pub signs_as: Option<Text>,
    /// An address, and how many leading bits count.
    pub network: Option<(IpAddr, u8)>,
    /// Only mail of this policy domain; `None`: of all.
    pub domain: Option<Text>,
    /// Why, in the user's words.
    pub note: Option<Text>,
    /// When it was said.
    pub date: Option<Date>,
}

impl Question {
    /// How many earlier periods of the same length the answer compares with: eight weeks of them at most.
    pub(crate) fn windows(&self) -> u8 {
        let Some(period) = self.period else { return 0 };
        let windows = match period.days() {
            days @ 1..=31 => u8::try_from(56 / days).unwrap_or(HISTORY).clamp(1, HISTORY),
            _ => 0,
        };
        // None if they are before the calendar's start.
        if period.before(windows).is_some() { windows } else { 0 }
    }

    /// Whether the user named a domain, or one above it.
    pub(crate) fn names(&self, domain: &str) -> bool {
        self.domains.iter().any(|wanted| wanted == domain) || self.own.iter().any(|own| is_within(domain, own))
    }

    /// The name of an address.
    pub(crate) fn host(&self, address: IpAddr) -> Option<&HostName> {
        let is_shown =
            |host: &&HostName| self.withheld.as_ref().is_none_or(|names| !names.has_host(host.name.as_written()));
        self.names.get(&address).filter(is_shown)
    }

    /// Whose server an address is.
    pub(crate) fn origin(&self, address: IpAddr) -> Option<&SourceOrigin> {
        let is_shown =
            |origin: &&SourceOrigin| self.withheld.as_ref().is_none_or(|names| !names.has_origin(&origin.name));
        self.origins.get(&address).filter(is_shown)
    }

    /// The days before the period that the answer compares with; `None`: none.
    pub fn history(&self) -> Option<Period> {
        let period = self.period?;
        let windows = self.windows();
        if windows == 0 {
            return None;
        }
        Some(period.before(windows)?.join(period.before(1)?))
    }

    /// The columns needed of rows up to a day; `None`: the day is unknown. For the history, neither the disposition nor
    /// its reason is needed.
    pub fn columns(&self, last: Option<Date>) -> ColumnSet {
        let all = ColumnSet::ALL.without(ColumnSet::FLAGS);
        let of_history = self.period.zip(last).is_some_and(|(period, last)| last < period.from());
        if of_history {
            all.without(ColumnSet::DISPOSITION).without(ColumnSet::MISMATCH).without(ColumnSet::REASON)
        } else {
            all
        }
    }

    /// The period and the earlier ones it is compared with; `None`: all there is.
    pub(crate) fn compares(&self) -> Option<Period> {
        let period = self.period?;
        Some(self.history().map_or(period, |history| history.join(period)))
    }

    /// All days that must be read: those compared with, and the eight weeks that senders and readiness are judged by;
    /// `None`: all days.
    pub fn reads(&self) -> Option<Period> {
        let (period, compares) = (self.period?, self.compares()?);
        let first = date(number(period.to()) - (JUDGED_DAYS - 1));
        Some(Period::new(first, period.to()).map_or(compares, |judged| judged.join(compares)))
    }
}

/// A user's acknowledgment of an action, and how much evidence there was then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// In the user's words.
    pub note: Text,
    /// The messages that showed it: [`Action::evidence`](crate::analyze::Action::evidence).
    pub evidence: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(from: &str, to: &str) -> Question {
        let period = Period::new(from.parse().unwrap(), to.parse().unwrap()).unwrap();
        Question { period: Some(period), ..Question::default() }
    }

    #[test]
    fn a_week_compares_with_eight_weeks_before_it() {
        let history = question("2026-11-16", "2026-11-22").history().unwrap();
        assert_eq!((history.from().to_string(), history.days()), ("2026-09-21".to_owned(), 56));
        assert_eq!(history.to().to_string(), "2026-11-15");
    }

    #[test]
    fn the_history_needs_fewer_columns() {
        let question = question("2026-11-16", "2026-11-22");
        for (last, needs) in [("2026-11-15", false), ("2026-11-16", true), ("2026-11-30", true)] {
            assert_eq!(question.columns(last.parse().ok()).has(ColumnSet::REASON), needs, "{last}");
        }
        assert!(question.columns(None).has(ColumnSet::REASON));
        assert!(Question::default().columns("2026-11-15".parse().ok()).has(ColumnSet::REASON));
    }

    #[test]
    fn longer_periods_compare_with_fewer_and_all_there_is_with_none() {
        assert_eq!(question("2026-11-01", "2026-11-30").windows(), 1);
        assert_eq!(question("2026-11-09", "2026-11-22").windows(), 4);
        assert_eq!(question("2026-11-22", "2026-11-22").windows(), 8);
        assert_eq!(question("2026-01-01", "2026-11-22").history(), None);
        assert_eq!(Question::default().reads(), None);
    }
}
