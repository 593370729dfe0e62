//! Properties that hold for any bytes as a zone file: a function that panics if they do not. Used by `fuzz/` and the
//! tests; not in builds for users.

#![allow(clippy::missing_panics_doc, reason = "to panic is what these are for")]

use super::proposed_dns::{NotAsked, ProposedDns};
use super::{SimulationError, ZoneFile};
use crate::dns::lookup::answer::Lookup as _;
use crate::dns::lookup::name;

const DOMAIN: &str = "example.com";

/// Parses it: either every record is at or below the zone and every alias can be followed to an end, or one of its
/// lines is wrong.
pub fn zone(bytes: &[u8]) {
    match ZoneFile::parse(bytes, DOMAIN) {
        Ok(zone) => {
            let base = zone.apex.as_deref().unwrap_or(DOMAIN);
            assert!(name::is_within(DOMAIN, base));
            let dns = ProposedDns::new(&NotAsked, Some(&zone), None);
            for question in zone.records.keys() {
                assert!(name::is_possible(&question.name) && name::is_within(&question.name, base), "{question:?}");
                assert!(zone.exists(&question.name) && dns.ask(question).failure().is_none(), "{question:?}");
                let (_, touched) = dns.tracked(|dns| dns.txt(&question.name));
                assert!(touched || !zone.covers(&question.name), "{question:?}");
            }
        }
        Err(SimulationError::Zone { line, why }) => {
            assert!((1..=bytes.split(|byte| *byte == b'\n').count()).contains(&line), "line {line}: {why}");
        }
        Err(other) => panic!("{other}"),
    }
}
