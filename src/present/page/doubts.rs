//! Senders that only the user can tell: each with the lines to paste into the settings.

use super::shared::NAMED;
use crate::analyze::{Foreign, Losing, ReadinessVerdict, Role, SenderName, Summary};
use crate::present::wording::clean::Clean;
use crate::present::wording::words;
use serde::Serialize;

/// A sender in doubt.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Doubt {
    /// Who it is, and what hangs on it.
    pub(crate) text: String,
    /// The lines for the settings, in TOML.
    pub(crate) lines: Vec<String>,
}

/// The doubts of all domains, those with most failing messages first in each.
pub(super) fn doubts(summary: &Summary) -> Vec<Doubt> {
    let undone = summary
        .domains
        .iter()
        .filter(|domain| domain.readiness.verdict != ReadinessVerdict::Done || domain.readiness.lost_now > 0);
    let of_domain = undone.flat_map(|domain| {
        let readiness = &domain.readiness;
        let vendors = readiness.losing.iter().filter(|losing| losing.who.role == Role::Vendor);
        vendors.chain(&readiness.unclear_senders)
    });
    of_domain.take(NAMED).map(doubt).collect()
}

fn doubt(losing: &Losing) -> Doubt {
    let text = format!(
        "Is {} yours? {} failed{}.",
        words::sender(&losing.who),
        words::messages(losing.failing.max(losing.lost_now)),
        losing.last_failing.map(|day| format!(", the last on {}", words::weekday(day))).unwrap_or_default(),
    );
    Doubt { text, lines: lines(&losing.who) }
}

/// The table that confirms a sender: by what it authenticates as, else by its address.
fn lines(who: &SenderName) -> Vec<String> {
    let other = |name: &&Foreign| **name != who.policy_domain;
    let proven = who.signs_as.as_ref().filter(other).or(who.returns_to.as_ref().filter(other));
    let by = proven.map_or_else(
        || who.address.map(|address| format!("network = \"{address}/{}\"", who.prefix)),
        |name| Some(format!("signs_as = {}", quoted(name))),
    );
    let table = ["[[confirmed]]".to_owned(), "sender = \"mine\"".to_owned()];
    table.into_iter().chain(by).chain([format!("domain = {}", quoted(&who.policy_domain))]).collect()
}

/// A stranger's text as a TOML string: cleaned, so that nothing in it ends the string or hides.
fn quoted(text: &Foreign) -> String {
    let text: String = Clean::new(text).to_string().chars().filter(|char| !matches!(char, '"' | '\\')).collect();
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::weeks;

    #[test]
    fn each_doubt_ends_with_lines_that_the_settings_take() {
        let planted = weeks::planted();
        let week = planted.iter().find(|planted| planted.event == "a new service that nobody set up").unwrap();
        let doubts = doubts(&week.world.summary());
        assert_eq!(doubts.len(), 1);
        assert!(doubts[0].text.starts_with("Is 198.51.100.77"), "{}", doubts[0].text);
        assert_eq!(
            doubts[0].lines,
            ["[[confirmed]]", "sender = \"mine\"", "signs_as = \"news.example\"", "domain = \"example.com\""]
        );
    }

    #[test]
    fn nothing_that_a_stranger_wrote_ends_the_string() {
        assert_eq!(quoted(&"a\"\nsender = \"mine".into()).matches('"').count(), 2);
    }
}
