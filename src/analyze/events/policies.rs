//! Policies that changed according to two reporters, each compared with its own earlier reports: a tag that a reporter
//! always omits is no change.

use super::facts::{ShownPolicy, TAGS};
use std::collections::{BTreeMap, BTreeSet};

/// Days within which reporters apply a change.
const SPREAD: i32 = 10;

/// A change of one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    /// Tag, value before, value after.
    pub(crate) tags: Vec<(&'static str, String, String)>,
    pub(crate) since: i32,
    pub(crate) reporters: BTreeSet<u32>,
}

/// The latest change seen by two reporters.
pub(crate) fn changed(shown: &[ShownPolicy]) -> Option<Changed> {
    let mut reporters: BTreeMap<u32, BTreeMap<i32, &ShownPolicy>> = BTreeMap::new();
    for policy in shown {
        reporters.entry(policy.reporter).or_default().insert(policy.day, policy);
    }
    // By tag, value before and after: which reporters show it now, and since when.
    let mut changes: BTreeMap<(usize, String, String), BTreeMap<u32, i32>> = BTreeMap::new();
    for (reporter, days) in &reporters {
        for tag in 0..TAGS.len() {
            let mut now: Option<(&str, i32)> = None;
            for (day, policy) in days.iter().rev() {
                let value = policy.values[tag].as_str();
                match now {
                    Some((current, _)) if current != value => {
                        let key = (tag, value.to_owned(), current.to_owned());
                        changes.entry(key).or_default().insert(*reporter, now.map_or(*day, |(_, first)| first));
                        break;
                    }
                    Some((current, _)) => now = Some((current, *day)),
                    None => now = Some((value, *day)),
                }
            }
        }
    }
    let confirmed = changes.into_iter().filter_map(|(key, reporters)| {
        let newest = *reporters.values().max()?;
        let close: BTreeMap<u32, i32> = reporters.into_iter().filter(|(_, day)| newest - day <= SPREAD).collect();
        let since = *close.values().min()?;
        (close.len() > 1).then(|| (since, key, close.into_keys().collect::<BTreeSet<u32>>()))
    });
    let confirmed: Vec<_> = confirmed.collect();
    let latest = confirmed.iter().map(|(since, ..)| *since).max()?;
    let mut found = Changed { tags: Vec::new(), since: latest, reporters: BTreeSet::new() };
    for (since, (tag, before, after), reporters) in confirmed {
        if latest - since <= 1 {
            found.since = found.since.min(since);
            found.tags.push((TAGS[tag], before, after));
            found.reporters.extend(reporters);
        }
    }
    found.tags.sort();
    found.tags.sort_by_key(|(tag, ..)| TAGS.iter().position(|known| known == tag));
    // A consequence of `p` is not a separate change.
    let follows = |tags: &[(&'static str, String, String)], of: &str, from: &str| {
        let same = |name: &str| {
            tags.iter().find(|(tag, ..)| *tag == name).map(|(_, before, after)| (before.clone(), after.clone()))
        };
        same(of).is_some() && same(of) == same(from)
    };
    let (np, sp) =
        (follows(&found.tags, "np", "sp") || follows(&found.tags, "np", "p"), follows(&found.tags, "sp", "p"));
    found.tags.retain(|(tag, ..)| !(*tag == "np" && np || *tag == "sp" && sp));
    Some(found)
}
