//! Items without rows and their domains: items that could not be read, and reports in conflict with a stored one.

use crate::analyze::{Aside, Contradicted};
use crate::ingest::Tally;
use crate::normalize::canonical_domain;
use crate::store::{ConflictEntry, RejectedEntry};

/// Items without rows in a period.
#[derive(Debug, Default)]
pub(crate) struct Rejections {
    /// The domains of unreadable items, if a file name contains them.
    unreadable: Vec<Option<String>>,
    conflicts: Vec<Contradicted>,
    /// Items and conflicts without details.
    more: (u64, u64),
}

impl Rejections {
    /// From the entries of a store.
    pub(crate) fn kept<'a>(
        rejected: impl Iterator<Item = &'a RejectedEntry>,
        conflicts: impl Iterator<Item = &'a ConflictEntry>,
    ) -> Self {
        let conflict = |entry: &ConflictEntry| Contradicted {
            org_name: entry.org_name.as_str().into(),
            report_id: entry.report_id.as_str().into(),
            policy_domain: entry.policy_domain.as_str().into(),
        };
        Self {
            unreadable: rejected.map(domain_of).collect(),
            conflicts: conflicts.map(conflict).collect(),
            more: (0, 0),
        }
    }

    /// From a run without a store.
    pub(crate) fn of_run(tally: &Tally) -> Self {
        let unreadable = tally.rejected.iter().map(|item| domain_in_name(&item.origin)).collect::<Vec<_>>();
        let more = tally.rejected_count().saturating_sub(unreadable.len() as u64);
        Self { unreadable, conflicts: Vec::new(), more: (more, tally.conflicts) }
    }

    /// Counts of wanted domains; `None` is an unknown domain.
    pub(crate) fn count(&self, wanted: &dyn Fn(Option<&str>) -> bool) -> Aside {
        let unreadable = self.unreadable.iter().filter(|domain| wanted(domain.as_deref())).count();
        let about = |conflict: &&Contradicted| wanted(Some(conflict.policy_domain.as_written()));
        let conflicts: Vec<&Contradicted> = self.conflicts.iter().filter(about).collect();
        let more = if wanted(None) { self.more } else { (0, 0) };
        Aside {
            unreadable: unreadable as u64 + more.0,
            conflicts: conflicts.len() as u64 + more.1,
            conflicting: conflicts.into_iter().take(Aside::NAMED).cloned().collect(),
        }
    }
}

/// The domain in the name of a rejected item.
pub(crate) fn domain_of(entry: &RejectedEntry) -> Option<String> {
    entry.attachment.as_deref().and_then(domain_in_name).or_else(|| domain_in_name(&entry.origin))
}

/// The receiver that the name of a rejected item says it comes from.
pub(crate) fn receiver_of(entry: &RejectedEntry) -> Option<String> {
    let names = entry.attachment.iter().chain([&entry.origin]);
    let name = names.filter(|name| domain_in_name(name).is_some()).find_map(|name| name.rsplit('/').next())?;
    let receiver = canonical_domain(name.split('!').next()?)?;
    Some(receiver.as_str().to_owned())
}

/// The domain in a file name of RFC 9990 and RFC 7489: `receiver!domain!begin!end`, then any additions of the reporter.
fn domain_in_name(name: &str) -> Option<String> {
    let file = name.rsplit('/').next()?;
    let mut parts = file.split('!').skip(1);
    let (domain, begin, end) = (parts.next()?, parts.next()?, parts.next()?);
    let is_time = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let end = end.split('.').next()?;
    canonical_domain(domain).filter(|_| is_time(begin) && is_time(end)).map(|domain| domain.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::domain_in_name;

    #[test]
    fn the_name_of_a_report_says_its_domain_and_no_other_name_does() {
        let said = |name: &str| domain_in_name(name);
        for name in [
            "/var/mail/in/google.com!Example.com!1700000000!1700086399.xml.gz",
            "google.com!example.com!1700000000!1700086399!42.zip",
            "google.com!example.com!1700000000!1700086399",
        ] {
            assert_eq!(said(name).as_deref(), Some("example.com"), "{name}");
        }
        for name in ["report.xml", "a!example.com!x!y.xml", "a!../etc!1!2.xml", "a!example.com!1", "!!!", ""] {
            assert_eq!(said(name), None, "{name}");
        }
    }
}
