//! Finds the DMARC record that applies to a domain, by the tree walk of RFC 9989 and by the suffix list of RFC 7489.
//!
//! Returns both answers and every step. A failed lookup is never taken for a missing record.

use super::record::{DmarcRecord, is_dmarc};
use crate::dns::lookup::answer::{Answer, Failure, Lookup, QueryType};
use crate::dns::lookup::name;
use serde::Serialize;

/// Queries of one walk (RFC 9989 section 4.10).
const WALK_LIMIT: usize = 8;

/// One name that was queried, and its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeWalkStep {
    /// The domain: `_dmarc` below it was queried.
    pub domain: String,
    /// The record, if there is exactly one.
    pub record: Answer<DmarcRecord>,
}

/// A record found, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The domain it is published at.
    pub domain: String,
    /// The record.
    pub record: DmarcRecord,
}

/// What one method found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Discovered {
    /// The organizational domain.
    pub organization: String,
    /// The applicable record, if any.
    pub found: Option<Found>,
}

/// The result of both methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The steps of the walk, from the domain upwards.
    pub steps: Vec<TreeWalkStep>,
    /// By the tree walk; the first failure if a step could not be looked up.
    pub walk: Result<Discovered, (String, Failure)>,
    /// By the suffix list.
    pub list: Result<Discovered, (String, Failure)>,
}

/// Finds the record by both methods.
pub fn discover(lookup: &dyn Lookup, domain: &str) -> Discovery {
    let targets = targets(domain);
    lookup.announce_each(targets.iter().map(|name| format!("_dmarc.{name}")), &[QueryType::Txt]);
    let mut steps = Vec::new();
    for target in targets {
        let record = record_at(lookup, &target);
        let ends = matches!(&record, Answer::Found(record) if record.psd.is_some());
        steps.push(TreeWalkStep { domain: target, record });
        if ends {
            break;
        }
    }
    Discovery { walk: by_walk(domain, &steps), list: by_list(lookup, domain, &steps), steps }
}

/// The organizational domain of a name by the tree walk.
///
/// # Errors
///
/// The name that could not be looked up, and why.
pub fn organization(lookup: &dyn Lookup, domain: &str) -> Result<String, (String, Failure)> {
    discover(lookup, domain).walk.map(|discovered| discovered.organization)
}

/// The record at a name; several count as none.
pub fn record_at(lookup: &dyn Lookup, domain: &str) -> Answer<DmarcRecord> {
    lookup.texts(&format!("_dmarc.{domain}")).and_then(|texts| {
        let mut records = texts.iter().filter(|text| is_dmarc(text));
        let first = records.next()?;
        records.next().is_none().then(|| DmarcRecord::parse(first))
    })
}

/// The names of the walk: the domain, then one label less each, down to the top; of a long name only the last seven
/// labels follow the first step.
pub(in crate::dns) fn targets(domain: &str) -> Vec<String> {
    let labels: Vec<&str> = domain.split('.').collect();
    let next = if labels.len() > WALK_LIMIT { labels.len() - (WALK_LIMIT - 1) } else { 1 };
    let mut targets = vec![domain.to_owned()];
    targets.extend((next..labels.len()).map(|from| labels[from..].join(".")));
    targets
}

fn by_walk(domain: &str, steps: &[TreeWalkStep]) -> Result<Discovered, (String, Failure)> {
    let mut found: Vec<(&str, &DmarcRecord)> = Vec::new();
    for step in steps {
        match &step.record {
            Answer::Found(record) => found.push((&step.domain, record)),
            Answer::NoData | Answer::NxDomain => {}
            Answer::Failed(failure) => return Err((step.domain.clone(), failure.clone())),
        }
    }
    let organization = organization_of(domain, &found);
    let at = |name: &str| found.iter().find(|(domain, _)| *domain == name);
    let suffix = || found.iter().find(|(_, record)| record.psd == Some(true));
    let chosen = at(domain).or_else(|| at(&organization)).or_else(suffix);
    let found = chosen.map(|(domain, record)| Found { domain: (*domain).to_owned(), record: (*record).clone() });
    Ok(Discovered { organization, found })
}

/// From the longest name to the shortest: `psd=n` is the organization itself, `psd=y` above the start makes it the name
/// one label below; else the shortest name with a record; else the domain.
fn organization_of(domain: &str, found: &[(&str, &DmarcRecord)]) -> String {
    for (name, record) in found {
        match record.psd {
            Some(false) => return (*name).to_owned(),
            Some(true) if *name != domain => return below(domain, name),
            _ => {}
        }
    }
    found.last().map_or(domain, |(name, _)| name).to_owned()
}

/// The name on the way to `domain` that is one label below `parent`.
fn below(domain: &str, parent: &str) -> String {
    let labels: Vec<&str> = domain.split('.').collect();
    let keep = name::labels(parent) + 1;
    labels[labels.len().saturating_sub(keep)..].join(".")
}

/// RFC 7489 section 6.6.3: the domain's own record, else the organizational domain's.
fn by_list(lookup: &dyn Lookup, domain: &str, steps: &[TreeWalkStep]) -> Result<Discovered, (String, Failure)> {
    let organization = name::organizational(domain).to_owned();
    let mut found = None;
    for name in [domain, organization.as_str()] {
        let record = match steps.iter().find(|step| step.domain == name) {
            Some(step) => step.record.clone(),
            None => record_at(lookup, name),
        };
        if let Some(record) = record.known().map_err(|failure| (name.to_owned(), failure))? {
            found = Some(Found { domain: name.to_owned(), record });
            break;
        }
    }
    Ok(Discovered { organization, found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::lookup::test_zone::Zone;

    fn both(zone: &str, domain: &str) -> (String, Option<String>, String, Option<String>) {
        let found = discover(&Zone::new(zone), domain);
        let (walk, list) = (found.walk.unwrap(), found.list.unwrap());
        (
            walk.organization,
            walk.found.map(|found| found.domain),
            list.organization,
            list.found.map(|found| found.domain),
        )
    }

    #[test]
    fn the_two_ways_agree_on_an_ordinary_domain() {
        let zone = "_dmarc.example.com TXT v=DMARC1; p=none\nmail.example.com A 192.0.2.1";
        for domain in ["example.com", "mail.example.com", "a.b.c.example.com"] {
            let found = Some("example.com".to_owned());
            assert_eq!(both(zone, domain), ("example.com".into(), found.clone(), "example.com".into(), found));
        }
    }

    #[test]
    fn a_record_between_is_ignored_by_both() {
        let zone = "_dmarc.example.com TXT v=DMARC1; p=none\n_dmarc.mail.example.com TXT v=DMARC1; p=reject";
        let found = Some("example.com".to_owned());
        assert_eq!(
            both(zone, "a.mail.example.com"),
            ("example.com".into(), found.clone(), "example.com".into(), found)
        );
    }

    #[test]
    fn psd_moves_the_organization() {
        let zone = "_dmarc.example.com TXT v=DMARC1; p=none\n_dmarc.dept.example.com TXT v=DMARC1; p=reject; psd=n";
        let (walk, found, list, listed) = both(zone, "a.dept.example.com");
        assert_eq!((walk.as_str(), found.as_deref()), ("dept.example.com", Some("dept.example.com")));
        assert_eq!((list.as_str(), listed.as_deref()), ("example.com", Some("example.com")));

        let zone = "_dmarc.gov.example TXT v=DMARC1; p=reject; psd=y";
        let (walk, found, ..) = both(zone, "a.city.gov.example");
        assert_eq!((walk.as_str(), found.as_deref()), ("city.gov.example", Some("gov.example")));
    }

    #[test]
    fn a_long_name_takes_eight_queries() {
        let names = targets("a.b.c.d.e.f.g.h.i.example.com");
        assert_eq!(names.len(), 8);
        assert_eq!(names[1], "e.f.g.h.i.example.com");
        assert_eq!(names[7], "com");
    }

    #[test]
    fn two_records_count_as_none_and_a_failure_as_neither() {
        let zone = "_dmarc.example.com TXT v=DMARC1; p=none\n_dmarc.example.com TXT v=DMARC1; p=reject";
        assert_eq!(both(zone, "example.com").1, None);
        let found = discover(&Zone::new("_dmarc.example.com TIMEOUT"), "mail.example.com");
        assert_eq!(found.walk, Err(("example.com".into(), Failure::TimedOut)));
        assert_eq!(found.list, Err(("example.com".into(), Failure::TimedOut)));
    }
}
